package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// keyCmd changes the key that signs the transparency log.
type keyCmd struct {
	Begin  keyBeginCmd  `cmd:"" help:"Make the next key; from the next start on both sign."`
	Finish keyFinishCmd `cmd:"" help:"Sign with the next key alone from the next start on."`
	List   keyListCmd   `cmd:"" help:"List the keys that sign, and signed, as the ledger has them recorded."`
}

// keyChange are the flags of both steps of a change.
type keyChange struct {
	Data string `help:"Data directory." required:"" placeholder:"DIR"`
	By   string `help:"Administrator who changes the key, as the ledger records it; without it, the operator of the machine." placeholder:"ID"`
}

type keyBeginCmd struct{ keyChange }

func (keyBeginCmd) Help() string {
	return `Makes the next key and adds its public half to the policy. From the next start of the server on both keys sign, so that old and new policies accept; give the new policy to witnesses and to whoever checks receipts, and finish when all have it. The ledger records the key as an event: at once, or at the next start when the server runs now.

Example:
  answerable key begin --data ./ledger --by admin`
}

func (c keyBeginCmd) Run(a *app) error {
	p, err := c.place(a)
	if err != nil {
		return err
	}
	k, err := transparency.CreateSigningKey(filepath.Join(p.path(p.Keys), nextKeyFile), p.Origin, transparency.AlgEd25519)
	if errors.Is(err, os.ErrExist) {
		return usagef("a change of key is under way already: finish it first")
	}
	if err != nil {
		return err
	}
	policy, err := os.ReadFile(p.path(p.Policy))
	if err != nil {
		return err
	}
	// The line goes first: the order of a policy's lines means nothing but that names are defined before they are used.
	if err := treestore.WriteFileSync(p.path(p.Policy), append([]byte("log "+k.String()+"\n"), policy...), 0o644); err != nil {
		return err
	}
	if err := c.record(a, p); err != nil {
		return err
	}
	a.printf("Khóa mới: %s\nKhởi động lại máy chủ để cả hai khóa cùng ký; gửi %s cho các nhân chứng và người kiểm tra.\n",
		"The new key: %s\nStart the server again to have both keys sign; give %s to the witnesses and to whoever checks.\n", k, p.path(p.Policy))
	return nil
}

type keyFinishCmd struct{ keyChange }

func (keyFinishCmd) Help() string {
	return `The old key no longer signs; its private half is kept under its id, to be destroyed by hand. Its public half stays in the policy, because what it signed must still be checked. It is refused before both keys have signed a checkpoint together, and the ledger records the retirement as an event.

Example:
  answerable key finish --data ./ledger --by admin`
}

func (c keyFinishCmd) Run(a *app) error {
	p, err := c.place(a)
	if err != nil {
		return err
	}
	current, next := filepath.Join(p.path(p.Keys), logKeyFile), filepath.Join(p.path(p.Keys), nextKeyFile)
	successor, err := transparency.LoadSigningKey(next)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err != nil {
		return usagef("no change of key is under way: begin one")
	}
	old, err := transparency.LoadSigningKey(current)
	if err != nil {
		return err
	}
	if err := a.overlapped(p, old.VerifierKey, successor.VerifierKey); err != nil {
		return err
	}
	retired := filepath.Join(p.path(p.Keys), fmt.Sprintf("log-%08x.retired", old.ID))
	// Linked and then replaced, so that a crash in between leaves a key under every name that is looked for.
	if err := os.Link(current, retired); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	if err := os.Rename(next, current); err != nil {
		return err
	}
	if err := syncPath(p.path(p.Keys)); err != nil {
		return err
	}
	if err := c.record(a, p); err != nil {
		return err
	}
	a.printf("Từ lần khởi động tới chỉ khóa mới ký. Khóa cũ: %s; hãy hủy khi không còn cần.\n", "From the next start on the new key signs alone. The old one is %s: destroy it when it is not needed.\n", retired)
	return nil
}

// overlapped refuses to finish before the newest checkpoint carries both signatures: whoever knows the old key alone must
// be able to follow the log to the new one.
func (a *app) overlapped(p evidencePlace, old, successor transparency.VerifierKey) error {
	b, err := a.lastSigned(a.ctx, p)
	if err != nil {
		return err
	}
	n, err := transparency.ParseNote(b)
	if err == nil {
		for _, k := range []transparency.VerifierKey{old, successor} {
			if _, err = transparency.VerifyLog(n, []transparency.VerifierKey{k}); err != nil {
				break
			}
		}
	}
	if err != nil {
		return usagef("the newest checkpoint is not signed by both keys yet: start the server, so that they sign one together, and finish then")
	}
	return nil
}

// allowed refuses somebody who is no administrator before any file changes.
func (c keyChange) allowed(a *app) error {
	if c.By == "" {
		return nil
	}
	return a.read(c.Data, func(n *node) error {
		person, err := n.ledger.Person(a.ctx, domain.PersonID(c.By))
		if err == nil && !person.ActorAt(a.now()).Has(domain.RoleAdmin, "") {
			err = domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(domain.RoleAdmin), "unit", "")
		}
		return err
	})
}

// record has the ledger say which keys sign from the next start on. The embedded log has one writer: while the server holds
// it, the server's own next start records them.
func (c keyChange) record(a *app, p evidencePlace) (err error) {
	by := domain.System
	if c.By != "" {
		by = domain.PersonID(c.By)
	}
	log, err := a.openLogFor(a.ctx, p.dir, a.now)
	if errors.Is(err, eventlog.ErrInUse) {
		a.printf("Máy chủ đang chạy sẽ ghi việc đổi khóa vào sổ ở lần khởi động tới.\n", "The server is running: it records the change of key at its next start.\n")
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, log.Close()) }()
	registry, err := schemas.Load()
	if err != nil {
		return err
	}
	_, err = recordLogKeys(a.ctx, commands.New(log, registry, a.now, a.logger), p, by)
	return err
}

// recordLogKeys records the keys that the directory's files say sign, where the ledger does not say so yet. The
// demonstration's are known to everybody, and its story is the same every time: there nothing is recorded.
func recordLogKeys(ctx context.Context, l *commands.Ledger, p evidencePlace, by domain.PersonID) (commands.Result, error) {
	if p.Demo {
		return commands.Result{}, nil
	}
	k, err := p.keys()
	if err != nil {
		return commands.Result{}, err
	}
	names := make([]string, len(k.sign))
	for i, key := range k.sign {
		names[i] = key.VerifierKey.String()
	}
	c := commands.Command{ID: domain.NewCommandID(append([]string{"log-keys", p.Origin}, names...)...), Actor: by, Channel: domain.ChannelSystem}
	if by == domain.System {
		c.Role = domain.RoleSystem
	}
	return l.SignLogWith(ctx, c, p.Origin, names)
}

type keyListCmd struct {
	dataFlag
	JSON bool `name:"json" help:"Print one JSON array."`
}

func (keyListCmd) Help() string {
	return `Shows every key of the transparency log with the time it was in use, from the events that record it. Works while the server runs.

Example:
  answerable key list --data ./ledger`
}

func (c keyListCmd) Run(a *app) error {
	return c.read(a, func(n *node) error { return c.list(a, n) })
}

func (c keyListCmd) list(a *app, n *node) error {
	p, ok, err := readEvidence(n.dir)
	if err != nil {
		return err
	}
	if !ok {
		return usagef("%s has no %s: this ledger was made without evidence", n.dir, evidenceFile)
	}
	recorded, err := n.ledger.LogKeys(a.ctx)
	if err != nil {
		return err
	}
	files, err := p.keys()
	if err != nil {
		return err
	}
	type row struct {
		Key          string          `json:"key"`
		IntroducedAt *time.Time      `json:"introduced_at,omitempty"` // absent: not recorded yet
		IntroducedBy domain.PersonID `json:"introduced_by,omitempty"`
		RetiredAt    *time.Time      `json:"retired_at,omitempty"`
		RetiredBy    domain.PersonID `json:"retired_by,omitempty"`
		Signs        bool            `json:"signs"` // its file is there, so the next start signs with it
	}
	rows := []row{}
	signs := func(key string) bool {
		return slices.ContainsFunc(files.sign, func(k transparency.SigningKey) bool { return k.VerifierKey.String() == key })
	}
	for _, k := range recorded.Keys {
		r := row{Key: k.Key, IntroducedAt: &k.IntroducedAt, IntroducedBy: k.IntroducedBy, Signs: signs(k.Key)}
		if !k.RetiredAt.IsZero() {
			r.RetiredAt, r.RetiredBy = &k.RetiredAt, k.RetiredBy
		}
		rows = append(rows, r)
	}
	for _, k := range files.sign {
		if name := k.VerifierKey.String(); !slices.ContainsFunc(rows, func(r row) bool { return r.Key == name }) {
			rows = append(rows, row{Key: name, Signs: true})
		}
	}
	if c.JSON {
		return a.printJSON(rows)
	}
	for _, r := range rows {
		switch {
		case r.IntroducedAt == nil:
			a.printf("%s: chưa được ghi vào sổ\n", "%s: not recorded in the ledger\n", r.Key)
		case r.RetiredAt == nil:
			a.printf("%s: dùng từ %s (%s)\n", "%s: in use since %s (%s)\n", r.Key, shownTime(*r.IntroducedAt), r.IntroducedBy)
		default:
			a.printf("%s: dùng từ %s (%s) đến %s (%s)\n", "%s: in use from %s (%s) to %s (%s)\n", r.Key, shownTime(*r.IntroducedAt), r.IntroducedBy, shownTime(*r.RetiredAt), r.RetiredBy)
		}
	}
	return nil
}

func shownTime(t time.Time) string { return t.In(domain.HoChiMinh).Format("15:04:05 02/01/2006") }

// place is the evidence of a directory whose key can be changed, when whoever is named may change it.
func (c keyChange) place(a *app) (evidencePlace, error) {
	p, ok, err := readEvidence(c.Data)
	switch {
	case err != nil:
		return p, err
	case !ok:
		return p, usagef("%s has no %s: this ledger was made without evidence", c.Data, evidenceFile)
	case p.Demo:
		return p, usagef("the demonstration's keys are known to everybody and are not changed")
	}
	return p, c.allowed(a)
}
