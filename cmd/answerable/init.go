package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

type initCmd struct {
	Data    string `help:"Data directory to create." required:"" placeholder:"DIR"`
	Admin   string `help:"Name of the first administrator." required:"" placeholder:"NAME"`
	Origin  string `help:"Name of the transparency log, an address of yours without https://. It is for ever." placeholder:"NAME"`
	Keys    string `help:"Directory for the keys; without it, keys/ in the data directory." placeholder:"DIR"`
	Guard   string `help:"File for the second copy of the last signed checkpoint, best on another disk and in no backup; without it, beside the data directory." placeholder:"FILE"`
	AdminID string `help:"Id of the first administrator." default:"admin" placeholder:"ID"`
	JSON    bool   `name:"json" help:"Print one JSON object."`

	LogUser string `help:"User of the log's server that serve will run as; the connection string's own unless given." placeholder:"NAME"`
}

// firstTokenLimit is how long the first administrator's token may be used: a working week to set a ledger up, with its
// week-end. A token that was printed to a terminal is not for ever.
const firstTokenLimit = 7 * 24 * time.Hour

func (initCmd) Help() string {
	return `Creates the directory and the ledger in it, registers the first administrator and prints two secrets for them, once: a one-time link, which opens the pages of a browser for a day, to enrol a passkey; and a token for the API, which ends after seven days. 'answerable link' and 'answerable token create' make new ones.

Example:
  answerable init --data ./ledger --admin "Nguyễn Văn A"`
}

func (c initCmd) Run(a *app) (err error) {
	if _, err := os.Stat(filepath.Join(c.Data, ledgerFile)); err == nil && a.server(logURLKey) == "" {
		return usagef("%s holds a ledger already; it is left as it is", c.Data)
	}
	if !domain.ValidID(c.AdminID) {
		return usagef("--admin-id: %s", domain.NewFault(domain.CodeID, "", "value", c.AdminID).Text(a.lang))
	}
	if err := a.emptyLog(c.Data); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	place, err := c.place()
	if err != nil {
		return err
	}
	if err := place.createWith(func() error { return a.createGuard(a.ctx, place) }); err != nil {
		return err
	}
	n, err := a.openNode(a.ctx, c.Data, a.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	if err := a.protectLog(a.ctx, n.log, c.LogUser); err != nil {
		return err
	}
	id := domain.PersonID(c.AdminID)
	command := func(what string) commands.Command { return commands.System("init", what, c.AdminID) }
	if _, err := n.ledger.RegisterPerson(a.ctx, command("person"), domain.PersonRegistered{Person: id, Name: c.Admin}); err != nil {
		return err
	}
	if _, err := n.ledger.GrantRole(a.ctx, command("role"), id, domain.RoleAdmin, "", a.now().Truncate(time.Microsecond), nil); err != nil {
		return err
	}
	if _, err := recordLogKeys(a.ctx, n.ledger, place, domain.System); err != nil {
		return err
	}
	if err := n.views.CatchUp(a.ctx); err != nil {
		return err
	}
	state, err := a.openState(a.ctx, c.Data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, state.Close()) }()
	secret, t, err := state.CreateToken(a.ctx, appstate.NewToken{Person: id, Scope: appstate.ScopeWrite, Label: "init", ExpiresAt: a.now().Add(firstTokenLimit)})
	if err != nil {
		return err
	}
	link, until, err := accounts.IssueLocalLink(a.ctx, n.ledger, state, a.now(), id)
	if err != nil {
		return err
	}
	if err := a.signOnce(a.ctx, n); err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(map[string]string{"origin": place.Origin, "keys": place.path(place.Keys), "guard": a.guardPlace(place), "policy": place.path(place.Policy), "data": c.Data, "person": c.AdminID, "token": secret, "token_id": t.ID, "token_expires_at": t.ExpiresAt.Format(time.RFC3339), "link": "/link#" + link, "link_expires_at": until.ExpiresAt.UTC().Format(time.RFC3339)})
	}
	a.printf("Nhật ký minh bạch %s: khóa ở %s (sao lưu riêng, giữ kín), bản đối chiếu ở %s (tốt nhất ở đĩa khác, không đưa vào bản sao lưu).\n",
		"Transparency log %s: keys in %s (back them up apart, keep them secret), guard %s (best on another disk, in no backup).\n", place.Origin, place.path(place.Keys), a.guardPlace(place))
	a.printf("Đã tạo sổ ở %s, quản trị viên %s (%s).\nToken cho API (chỉ hiển thị một lần, dùng đến %s): %s\nĐăng nhập lần đầu, một lần, trước %s: mở /link#%s trên máy chủ.\nHết hạn thì lấy cái mới: %s link %s; %s token create --person %s.\n\nChạy: %s serve --data %s\n",
		"Created a ledger in %s, administrator %s (%s).\nToken for the API (shown once, until %s): %s\nFirst sign-in, once, before %s: open /link#%s at the server.\nWhen they have lapsed, new ones: %s link %s; %s token create --person %s.\n\nRun: %s serve --data %s\n", c.Data, c.Admin, c.AdminID, shownUntil(t.ExpiresAt), secret, shownUntil(until.ExpiresAt), link, program(), c.AdminID, program(), c.AdminID, program(), shellQuote(c.Data))
	return nil
}

func shownUntil(t time.Time) string { return t.In(domain.HoChiMinh).Format("15:04 02/01/2006") }

// place is where the evidence of the new ledger will lie.
func (c initCmd) place() (evidencePlace, error) {
	p := evidencePlace{dir: c.Data, evidenceConfig: evidenceConfig{Origin: c.Origin, Keys: keysDir, Policy: policyFile}}
	if p.Origin == "" {
		// A name nobody else has, so that two ledgers never sign for one log.
		p.Origin = "answerable.invalid/" + uuid.NewString()[:13]
	}
	// What was given is meant from here; evidence.json says what is meant from the data directory.
	var err error
	if c.Keys != "" {
		if p.Keys, err = filepath.Abs(c.Keys); err != nil {
			return p, err
		}
	}
	if c.Guard != "" {
		p.Guard, err = filepath.Abs(c.Guard)
		return p, err
	}
	whole, err := filepath.Abs(c.Data)
	if err != nil {
		return p, err
	}
	// Beside the directory, under its name: a copy of the directory next to it finds the same guard, and cannot sign.
	p.Guard = filepath.Join("..", filepath.Base(whole)+"-guard", guardFile)
	return p, nil
}

// signOnce signs for everything that is in the log of a directory by now.
func (a *app) signOnce(ctx context.Context, n *node) error {
	e, err := a.openEvidence(ctx, n.dir, n.log, n.now)
	if err != nil || e == nil {
		return err
	}
	_, err = e.seq.Force(ctx)
	return errors.Join(err, e.close())
}
