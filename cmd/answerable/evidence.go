package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/signing/enrolled"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// The files of the evidence. The tree can be made again from the log; the keys and the guard cannot.
const (
	evidenceFile = "evidence.json"
	policyFile   = "policy.txt"
	treeFile     = "tree.db"
	leavesFile   = treeFile + treestore.LeavesSuffix
	keysDir      = "keys"
	logKeyFile   = "log.key"
	nextKeyFile  = "log-next.key" // there while the key changes: both sign
	saltKeyFile  = "salt.key"
	guardFile    = "checkpoint"
)

// demoOrigin names the demonstration's log. Its keys are public: what they sign proves nothing.
const demoOrigin = "demo.answerable.invalid/binhduong-2021"

// evidenceConfig is what evidence.json says. Paths that are not absolute are below the data directory.
type evidenceConfig struct {
	Origin string `json:"origin"`         // the log's name, for ever
	Keys   string `json:"keys"`           // directory of log.key and salt.key
	Guard  string `json:"guard"`          // the second copy of the last signed checkpoint
	Policy string `json:"policy"`         // keys and witnesses (C2SP tlog-policy)
	Demo   bool   `json:"demo,omitempty"` // the keys are those everybody knows

	Signing enrolled.Config `json:"signing"`
}

// evidencePlace is an evidence.json and where it lies.
type evidencePlace struct {
	evidenceConfig
	dir string
}

func (p evidencePlace) path(name string) string {
	if filepath.IsAbs(name) {
		return name
	}
	return filepath.Join(p.dir, name)
}

// readEvidence reads a directory's evidence.json; ok is false when it has none.
func readEvidence(dir string) (p evidencePlace, ok bool, err error) {
	b, err := os.ReadFile(filepath.Join(dir, evidenceFile))
	if errors.Is(err, os.ErrNotExist) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("evidence: %w", err)
	}
	p.dir = dir
	if err := json.Unmarshal(b, &p.evidenceConfig, json.RejectUnknownMembers(true)); err != nil {
		return p, false, fmt.Errorf("evidence: %s: %w", filepath.Join(dir, evidenceFile), err)
	}
	return p, true, nil
}

func (p evidencePlace) write() error {
	b, err := json.Marshal(p.evidenceConfig, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return treestore.WriteFileSync(filepath.Join(p.dir, evidenceFile), append(b, '\n'), 0o644)
}

// evidenceKeys are what signs and what hides.
type evidenceKeys struct {
	sign []transparency.SigningKey
	salt transparency.SaltKey
}

func (p evidencePlace) saltKey() (transparency.SaltKey, error) {
	if p.Demo {
		return transparency.NewSaltKey(newDemoBytes("salt"))
	}
	return transparency.LoadSaltKey(filepath.Join(p.path(p.Keys), saltKeyFile))
}

func (p evidencePlace) keys() (k evidenceKeys, err error) {
	if k.salt, err = p.saltKey(); err != nil {
		return k, err
	}
	if p.Demo {
		key, err := transparency.NewSigningKey(p.Origin, transparency.AlgEd25519, newDemoBytes("log"))
		k.sign = []transparency.SigningKey{key}
		return k, err
	}
	key, err := transparency.LoadSigningKey(filepath.Join(p.path(p.Keys), logKeyFile))
	if err != nil {
		return k, err
	}
	k.sign = []transparency.SigningKey{key}
	next, err := transparency.LoadSigningKey(filepath.Join(p.path(p.Keys), nextKeyFile))
	if errors.Is(err, os.ErrNotExist) {
		return k, nil
	}
	k.sign = append(k.sign, next)
	return k, err
}

// demoBytes are the same for everybody.
type demoBytes struct{ seed [32]byte }

func newDemoBytes(what string) *demoBytes {
	return &demoBytes{sha256.Sum256([]byte("the demonstration's public " + what + " key\n"))}
}

// Read is io.Reader; nobody asks for more than one key.
func (d *demoBytes) Read(b []byte) (int, error) { return copy(b, d.seed[:]), nil }

func (p evidencePlace) readPolicy() (*transparency.Policy, error) {
	b, err := os.ReadFile(p.path(p.Policy))
	if err != nil {
		return nil, fmt.Errorf("evidence: %w", err)
	}
	policy, err := transparency.ParsePolicy(b)
	if err != nil {
		return nil, fmt.Errorf("evidence: %s: %w", p.path(p.Policy), err)
	}
	return policy, nil
}

// treeOptions: the log covers every stream of the ledger and nothing else that may lie in the same store.
func (p evidencePlace) treeOptions(create bool) treestore.Options {
	return treestore.Options{Path: filepath.Join(p.dir, treeFile), Origin: p.Origin, Prefixes: logPrefixes(), Create: create}
}

func logPrefixes() []string {
	out := make([]string, len(domain.Categories))
	for i, c := range domain.Categories {
		out[i] = c + "-"
	}
	return out
}

// leafHeader is sequencer.Header of this ledger's events.
func leafHeader(e eventlog.Recorded) (time.Time, string, error) {
	at, actor := schemas.Header(e.Meta)
	return at, string(actor), nil
}

// create makes the keys, the guard and the policy of a new log, and evidence.json last: without it there is no evidence.
func (p evidencePlace) create() error { return p.createWith(p.createGuard) }

// createWith is create with a guard that lies elsewhere.
func (p evidencePlace) createWith(guard func() error) error {
	if err := transparency.CheckKeyName(p.Origin); err != nil {
		return usagef("--origin: %v", err)
	}
	var public transparency.VerifierKey
	note := "# Who checks receipts of this log needs this file, from somebody he trusts. Whose word counts: the log's own key, the\n" +
		"# witnesses' (\"witness NAME KEY URL\", \"group\"), and how many of them (\"quorum\"); \"none\" asks no witness.\n"
	if p.Demo {
		k, err := p.keys()
		if err != nil {
			return err
		}
		public = k.sign[0].VerifierKey
		note = "# DEMONSTRATION: everybody knows the private key. What it signs proves nothing.\n"
	} else {
		if err := os.MkdirAll(p.path(p.Keys), 0o700); err != nil {
			return fmt.Errorf("evidence: %w", err)
		}
		k, err := transparency.CreateSigningKey(filepath.Join(p.path(p.Keys), logKeyFile), p.Origin, transparency.AlgEd25519)
		if err != nil {
			return err
		}
		public = k.VerifierKey
		if _, err := transparency.CreateSaltKey(filepath.Join(p.path(p.Keys), saltKeyFile)); err != nil {
			return err
		}
	}
	if err := guard(); err != nil {
		return err
	}
	policy := fmt.Sprintf("%slog %s\nquorum none\n", note, public)
	if err := treestore.WriteFileSync(p.path(p.Policy), []byte(policy), 0o644); err != nil {
		return fmt.Errorf("evidence: %w", err)
	}
	return p.write()
}

// evidence is a directory's transparency log, open for signing. Close it.
type evidence struct {
	place    evidencePlace
	policy   *transparency.Policy
	tree     tree
	guard    guard
	seq      *sequencer.Sequencer
	cosigner *sequencer.Cosigner
	desk     *receipts.Desk
	logger   *zap.Logger
	shared   bool // another process may take over

	mu      sync.Mutex // owns what follows
	trouble error      // why nothing is signed any more; nil while all is well
}

// openEvidence opens a directory's evidence for signing; nil when it has none. An error that is transparency.ErrFork says
// what was lost and how to mend it.
func (a *app) openEvidence(ctx context.Context, dir string, log eventlog.Log, now func() time.Time) (_ *evidence, err error) {
	p, ok, err := readEvidence(dir)
	if err != nil || !ok {
		return nil, err
	}
	e := &evidence{place: p, logger: a.logger}
	defer func() {
		if err != nil {
			err = errors.Join(err, e.close())
		}
	}()
	k, err := p.keys()
	if err != nil {
		return nil, err
	}
	if e.policy, err = p.readPolicy(); err != nil {
		return nil, err
	}
	if e.guard, err = a.openGuard(ctx, p); err != nil {
		return nil, err
	}
	if e.tree, err = a.openTree(ctx, p, true); err != nil {
		return nil, err
	}
	o := sequencer.Options{Log: log, Tree: e.tree, Guard: e.guard, Header: leafHeader, Salts: k.salt, Keys: k.sign, Retired: e.policy.LogKeys(), Clock: now}
	o.Published = func(s treestore.Signed) { e.cosigner.Offer(s) }
	if e.seq, err = sequencer.New(ctx, o); err != nil {
		return nil, err
	}
	e.cosigner = sequencer.NewCosigner(sequencer.CosignerOptions{Tree: e.tree, Policy: e.policy, HTTP: &http.Client{}, Clock: now, Refresh: e.seq.Force, Report: e.asked})
	e.desk = receipts.New(receipts.Options{Log: log, Tree: e.tree, Maker: e.seq, Policy: e.policy})
	return e, nil
}

// judgeSignatures has sign-offs judged as evidence.json says.
func (n *node) judgeSignatures(p evidencePlace) error {
	j, err := enrolled.New(p.Signing, p.path)
	if err != nil {
		return err
	}
	n.ledger.JudgeSignatures(j)
	return nil
}

func (e *evidence) close() error {
	if e == nil {
		return nil
	}
	var errs []error
	if e.tree != nil {
		errs = append(errs, e.tree.Close())
	}
	if e.guard != nil {
		errs = append(errs, e.guard.Close())
	}
	return errors.Join(errs...)
}

// asked is told what came of asking a witness.
func (e *evidence) asked(witness string, size int64, err error) {
	switch {
	case err == nil:
		e.logger.Debug("a witness cosigned", zap.String("witness", witness), zap.Int64("size", size))
	case errors.Is(err, transparency.ErrFork):
		e.logger.Error("a witness has seen another history of this log", zap.String("witness", witness), zap.Int64("size", size), zap.Error(err))
	default:
		e.logger.Warn("a witness did not cosign; it is asked again", zap.String("witness", witness), zap.Int64("size", size), zap.Error(err))
	}
}

// run signs and asks witnesses until ctx ends. When the evidence fails the ledger goes on recording: what was acknowledged
// must not depend on it. It says so loudly, and to everybody who asks for a receipt. It ends by itself, with
// eventlog.ErrInUse, when another process took over.
func (e *evidence) run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	wg.Go(func() { e.cosigner.Run(ctx) }) //nolint:errcheck // it ends with ctx alone
	err := e.seq.Run(ctx)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e.shared && errors.Is(err, eventlog.ErrInUse) {
		return err
	}
	e.mu.Lock()
	e.trouble = err
	e.mu.Unlock()
	e.logger.Error("no more evidence is made; the ledger goes on recording", zap.Error(err))
	<-ctx.Done()
	return ctx.Err()
}

// Trouble is why nothing is signed any more, nil while all is well.
func (e *evidence) Trouble() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.trouble
}

// force signs what the log holds now; a failure is the run's to report.
func (e *evidence) force(ctx context.Context) {
	if _, err := e.seq.Force(ctx); err != nil && ctx.Err() == nil {
		e.logger.Warn("a deadline's checkpoint was not signed", zap.Error(err))
	}
}

// reader is a directory's evidence for reading, also beside the process that signs; nil when it has none.
type evidenceReader struct {
	place  evidencePlace
	policy *transparency.Policy
	tree   tree
	reader *sequencer.Reader
	desk   *receipts.Desk

	guardShown string // where the guard lies
	lastSigned func(context.Context) ([]byte, error)
}

func (a *app) openEvidenceReader(ctx context.Context, dir string, log eventlog.Log) (*evidenceReader, error) {
	p, ok, err := readEvidence(dir)
	if err != nil || !ok {
		return nil, err
	}
	r := a.comparing(p, nil, nil)
	salt, err := p.saltKey()
	if err != nil {
		return nil, err
	}
	if r.policy, err = p.readPolicy(); err != nil {
		return nil, err
	}
	if r.tree, err = a.openTree(ctx, p, false); err != nil {
		return nil, err
	}
	r.reader = sequencer.NewReader(sequencer.Options{Log: log, Tree: r.tree, Header: leafHeader, Salts: salt})
	r.desk = receipts.New(receipts.Options{Log: log, Tree: r.tree, Maker: r.reader, Policy: r.policy})
	return r, nil
}

// comparing gives what compares a tree with its guard.
func (a *app) comparing(p evidencePlace, policy *transparency.Policy, t tree) *evidenceReader {
	return &evidenceReader{place: p, policy: policy, tree: t, guardShown: a.guardPlace(p), lastSigned: func(ctx context.Context) ([]byte, error) { return a.lastSigned(ctx, p) }}
}

// mustEvidenceReader is openEvidenceReader for commands that cannot do without.
func (a *app) mustEvidenceReader(ctx context.Context, dir string, log eventlog.Log) (*evidenceReader, error) {
	r, err := a.openEvidenceReader(ctx, dir, log)
	if err == nil && r == nil {
		err = usagef("%s has no %s: this ledger was made without evidence", dir, evidenceFile)
	}
	return r, err
}
