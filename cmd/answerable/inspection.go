package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/api/web"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// verifiedFile remembers the last check of a directory, by the command or from the page. It is a remark: nothing is judged
// by it, and without it the page says that none is known.
const verifiedFile = "verified.json"

// verified is what it says.
type verified struct {
	At      time.Time `json:"at"`
	OK      bool      `json:"ok"`
	Events  int64     `json:"events"`
	Entries int64     `json:"entries"`
	Fault   string    `json:"fault,omitempty"`
}

// remember writes the outcome of a check beside what was checked. A directory that cannot be written can be checked too.
func (v verified) remember(a *app, dir string) {
	b, err := json.Marshal(v, json.Deterministic(true))
	if err == nil {
		err = treestore.WriteFileSync(filepath.Join(dir, verifiedFile), append(b, '\n'), 0o644)
	}
	if err != nil {
		a.logger.Warn("the outcome of the check is not remembered", zap.String("data", dir), zap.Error(err))
	}
}

// lastVerified reads it; the zero value where there is none.
func lastVerified(dir string) (v verified) {
	b, err := os.ReadFile(filepath.Join(dir, verifiedFile))
	if err == nil {
		err = json.Unmarshal(b, &v)
	}
	if err != nil {
		return verified{}
	}
	return v
}

// inspection is what the page of integrity tells and does in a process that serves. Close it.
type inspection struct {
	a     *app
	n     *node
	proof *signer // nil: no evidence is made
	place evidencePlace

	cancel context.CancelFunc
	ctx    context.Context
	wait   sync.WaitGroup

	mu      sync.Mutex // owns what follows
	check   *logCheck  // the one under way; nil
	reached int64      // events that it has looked at
}

func (a *app) newInspection(n *node, proof *signer, place evidencePlace) *inspection {
	i := &inspection{a: a, n: n, proof: proof, place: place}
	i.ctx, i.cancel = context.WithCancel(context.WithoutCancel(a.ctx))
	return i
}

// close ends a check that goes on.
func (i *inspection) close() {
	i.cancel()
	i.wait.Wait()
}

// begin starts a check, unless one goes on.
func (i *inspection) begin() {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.check != nil || i.ctx.Err() != nil {
		return
	}
	i.check, i.reached = newLogCheck(i.n.registry), 0
	check := i.check
	i.wait.Go(func() {
		v := verified{At: i.n.now()}
		err := i.verify(check)
		v.Events = check.events
		if err == nil {
			v.Entries, err = i.a.verifyEvidence(i.ctx, i.n.dir, i.n.log)
		}
		if i.ctx.Err() == nil {
			if v.OK = err == nil; err != nil {
				v.Fault = err.Error()
				i.a.logger.Error("the ledger does not verify", zap.String("data", i.n.dir), zap.Error(err))
			}
			v.remember(i.a, i.n.dir)
		}
		i.mu.Lock()
		i.check = nil
		i.mu.Unlock()
	})
}

func (i *inspection) verify(check *logCheck) error {
	if err := check.check(i.ctx, i.n.log, i); err != nil {
		return err
	}
	return i.a.verifyViews(i.n)
}

// at is told how far the check has come.
func (i *inspection) at(done int64) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.reached = done
}

// state tells how the evidence stands. What cannot be read is told, not failed on: the page is for this very case.
func (i *inspection) state(ctx context.Context) (ui.IntegrityState, error) {
	v := lastVerified(i.n.dir)
	i.mu.Lock()
	s := ui.IntegrityState{Checks: true, Last: ui.Verification{At: v.At, OK: v.OK, Events: v.Events, Entries: v.Entries, Fault: v.Fault}}
	if i.check != nil {
		s.Last = ui.Verification{Running: true, Events: i.reached}
	}
	i.mu.Unlock()
	if i.proof == nil {
		return s, nil
	}
	s.Origin, s.Second, s.Policy = i.place.Origin, i.a.guardPlace(i.place), i.proof.Policy().String()
	if err := i.proof.Trouble(); err != nil {
		s.Trouble = err.Error()
	}
	status, err := i.proof.Status(ctx)
	if err != nil {
		if ctx.Err() == nil && s.Trouble == "" {
			s.Trouble = err.Error()
		}
		return s, ctx.Err()
	}
	s.Entries, s.Signed, s.Witnessed, s.Wants = status.Entries, status.Signed, status.Witnessed, status.WantsWitnesses
	for _, x := range status.Cosigned {
		s.Cosigned = append(s.Cosigned, ui.Cosigned{Witness: x.Witness, Last: x.Last})
	}
	if s.Signed > 0 {
		s.Checkpoint = string(status.Checkpoint.Marshal())
	}
	return s, i.second(ctx, &s)
}

// second compares the second copy of the last signed checkpoint with the tree.
func (i *inspection) second(ctx context.Context, s *ui.IntegrityState) error {
	i.proof.mu.RLock()
	defer i.proof.mu.RUnlock()
	if i.proof.signs == nil { // who reads may be behind the second copy, which is the signer's
		if i.proof.reads != nil {
			i.signedAt(ctx, i.proof.reads.tree, s)
		}
		return ctx.Err()
	}
	tree := i.proof.signs.tree
	i.signedAt(ctx, tree, s)
	r := i.a.comparing(i.place, i.proof.policy, tree)
	if err := r.checkGuard(ctx); err != nil && ctx.Err() == nil {
		s.SecondSays = err.Error()
	}
	return ctx.Err()
}

func (i *inspection) signedAt(ctx context.Context, tree tree, s *ui.IntegrityState) {
	if latest, ok, err := tree.Latest(ctx); err == nil && ok {
		s.SignedAt = latest.SignedAt
	}
}

// checkpoint names the newest checkpoint for a statement to sign: "<size> <root>", as the checkpoint itself writes them.
func (i *inspection) checkpoint(ctx context.Context) (string, error) {
	if i.proof == nil {
		return "", nil
	}
	s, err := i.proof.Status(ctx)
	if errors.Is(err, errNotHere) { // a signature does not wait for it
		return "", nil
	}
	if err != nil || s.Signed == 0 {
		return "", err
	}
	return receipts.Names(s.Checkpoint), nil
}

// signedLately reports whether the log signed a checkpoint that a statement names.
func (i *inspection) signedLately(ctx context.Context, seen string) (bool, error) {
	if i.proof == nil {
		return false, nil
	}
	return i.proof.SignedLately(ctx, seen)
}

// operate is what the pages of operators and developers are made of.
func (i *inspection) operate(site string, document []byte) web.Operate {
	return web.Operate{Rebuilds: i.n.views, Events: i.n.log, Integrity: i.state, Verify: i.begin, OpenAPI: document, Site: site, Settings: i.a.shownSettings(i.place, site),
		Backup: func() ui.BackupState { return lastBackup(i.n.dir) },
		CloudEvent: func(e eventlog.Recorded) ([]byte, error) {
			c, err := api.NewCloudEvent(e)
			if err != nil {
				return nil, err
			}
			return c.Marshal()
		}}
}

// shownSettings is every setting as the page shows it: what evidence.json says of a ledger that is there comes before what
// was set for a new one.
func (a *app) shownSettings(place evidencePlace, site string) []ui.Setting {
	var out []ui.Setting
	for _, r := range a.settingRows() {
		kind, where, _ := strings.Cut(r.Source, " ")
		s := ui.Setting{Key: r.Key, Value: r.Value, Source: kind, Where: where}
		decided := map[string]string{"origin": place.Origin, "keys": place.Keys, "guard": place.Guard}[r.Key]
		switch {
		case decided != "":
			s.Value, s.Source, s.Where = decided, "file", filepath.Join(place.dir, evidenceFile)
		case r.Key == "site" && s.Value == "":
			s.Value = site
		}
		out = append(out, s)
	}
	return out
}
