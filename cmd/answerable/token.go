package main

import (
	"context"
	"errors"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

type tokenCmd struct {
	Create tokenCreateCmd `cmd:"" help:"Make a token that acts for a person; its secret is printed once."`
	List   tokenListCmd   `cmd:"" help:"List tokens, without their secrets."`
	Revoke tokenRevokeCmd `cmd:"" help:"End a token's use."`
}

type tokenCreateCmd struct {
	dataFlag
	Person  string        `help:"Person the token acts for." required:"" placeholder:"ID"`
	Scope   string        `help:"read, or write (reading too)." default:"write" enum:"read,write"`
	Label   string        `help:"What it is for."`
	Expires time.Duration `help:"How long it may be used; 0 is without end." default:"0" placeholder:"DURATION"`
	JSON    bool          `name:"json" help:"Print one JSON object."`
}

func (tokenCreateCmd) Help() string {
	return `The person must be registered; the token can do what their roles can. Works while the server runs.

Example:
  answerable token create --data ./ledger --person filer_25900 --label "xã Tân Bình" --expires 720h`
}

func (c tokenCreateCmd) Run(a *app) error {
	if c.Expires < 0 {
		return usagef("--expires %s lies in the past", c.Expires)
	}
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	if err := a.read(dir, func(n *node) error { return n.mustKnow(a.ctx, domain.PersonID(c.Person)) }); err != nil {
		return err
	}
	state, err := a.openState(a.ctx, dir)
	if err != nil {
		return err
	}
	var expires time.Time
	if c.Expires != 0 {
		expires = a.now().Add(c.Expires)
	}
	secret, t, err := state.CreateToken(a.ctx, appstate.NewToken{Person: domain.PersonID(c.Person), Scope: appstate.Scope(c.Scope), Label: c.Label, ExpiresAt: expires})
	if err = errors.Join(err, state.Close()); err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(map[string]string{"token": secret, "id": t.ID, "person": c.Person, "scope": c.Scope})
	}
	a.printf("Token (chỉ hiển thị một lần): %s\nMã để thu hồi: %s\n", "Token (shown once): %s\nId, to revoke it: %s\n", secret, t.ID)
	return nil
}

// mustKnow refuses a person the ledger does not know: their token could do nothing, and nobody would see why.
func (n *node) mustKnow(ctx context.Context, id domain.PersonID) error {
	p, err := n.ledger.Person(ctx, id)
	if err != nil {
		return err
	}
	if !p.Exists() {
		return domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(id))
	}
	return nil
}

type tokenListCmd struct {
	dataFlag
	Person string `help:"Only this person's." placeholder:"ID"`
	JSON   bool   `name:"json" help:"Print one JSON array."`
}

func (tokenListCmd) Help() string {
	return "Example:\n  answerable token list --data ./ledger"
}

func (c tokenListCmd) Run(a *app) error {
	state, err := c.state(a)
	if err != nil {
		return err
	}
	tokens, err := state.Tokens(a.ctx, domain.PersonID(c.Person))
	if err = errors.Join(err, state.Close()); err != nil {
		return err
	}
	type row struct {
		ID        string          `json:"id"`
		Person    domain.PersonID `json:"person"`
		Scope     appstate.Scope  `json:"scope"`
		Label     string          `json:"label"`
		CreatedAt time.Time       `json:"created_at"`
		ExpiresAt *time.Time      `json:"expires_at"`
		UsedAt    *time.Time      `json:"used_at"`
		RevokedAt *time.Time      `json:"revoked_at"`
	}
	rows := []row{}
	for _, t := range tokens {
		rows = append(rows, row{t.ID, t.Person, t.Scope, t.Label, t.CreatedAt, orNil(t.ExpiresAt), orNil(t.UsedAt), orNil(t.RevokedAt)})
	}
	if c.JSON {
		return a.printJSON(rows)
	}
	g := a.table()
	g.row(a.say("MÃ", "ID"), a.say("NGƯỜI", "PERSON"), a.say("QUYỀN", "SCOPE"), a.say("TẠO LÚC", "CREATED"), a.say("HẾT HẠN", "EXPIRES"),
		a.say("DÙNG LẦN CUỐI", "USED"), a.say("THU HỒI", "REVOKED"), a.say("NHÃN", "LABEL"))
	for _, r := range rows {
		g.row(r.ID, r.Person, r.Scope, local(r.CreatedAt), orDash(r.ExpiresAt), orDash(r.UsedAt), orDash(r.RevokedAt), r.Label)
	}
	return g.flush()
}

type tokenRevokeCmd struct {
	dataFlag
	ID string `arg:"" help:"The token's id, as list prints it."`
}

func (tokenRevokeCmd) Help() string {
	return `A running server notices within two seconds.

Example:
  answerable token revoke 1c9d2e4f5a6b7c8d --data ./ledger`
}

func (c tokenRevokeCmd) Run(a *app) error {
	state, err := c.state(a)
	if err != nil {
		return err
	}
	t, err := state.RevokeToken(a.ctx, c.ID)
	if err = errors.Join(err, state.Close()); err != nil {
		return err
	}
	a.printf("Đã thu hồi token %s của %s.\n", "Revoked token %s of %s.\n", t.ID, t.Person)
	return nil
}

// state opens the tokens of a ledger that is there: no ledger, no tokens, and none is made by looking.
func (d dataFlag) state(a *app) (*appstate.State, error) {
	dir, err := d.dir(a)
	if err != nil {
		return nil, err
	}
	if err := a.read(dir, func(*node) error { return nil }); err != nil {
		return nil, err
	}
	return a.openState(a.ctx, dir)
}

func orNil(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

func orDash(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return local(*t)
}
