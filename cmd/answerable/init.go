package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

type initCmd struct {
	Data    string `help:"Data directory to create." required:"" placeholder:"DIR"`
	Admin   string `help:"Name of the first administrator." required:"" placeholder:"NAME"`
	AdminID string `help:"Id of the first administrator." default:"admin" placeholder:"ID"`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

func (initCmd) Help() string {
	return `Creates the directory and the ledger in it, registers the first administrator and prints a token for them, once. Everything else is done with that token over the API.

Example:
  answerable init --data ./ledger --admin "Nguyễn Văn A"`
}

func (c initCmd) Run(a *app) (err error) {
	if _, err := os.Stat(filepath.Join(c.Data, ledgerFile)); err == nil {
		return usagef("%s holds a ledger already; it is left as it is", c.Data)
	}
	if !domain.ValidID(c.AdminID) {
		return usagef("--admin-id: %s", domain.NewFault(domain.CodeID, "", "value", c.AdminID).Text(a.lang))
	}
	if err := os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("create data directory: %w", err)
	}
	n, err := a.openNode(a.ctx, c.Data, a.now)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, n.close()) }()
	id := domain.PersonID(c.AdminID)
	command := func(what string) commands.Command { return systemCommand("init", what, c.AdminID) }
	if _, err := n.ledger.RegisterPerson(a.ctx, command("person"), domain.PersonRegistered{Person: id, Name: c.Admin}); err != nil {
		return err
	}
	if _, err := n.ledger.GrantRole(a.ctx, command("role"), id, domain.RoleAdmin, "", a.now().Truncate(time.Microsecond), nil); err != nil {
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
	secret, t, err := state.CreateToken(a.ctx, appstate.NewToken{Person: id, Scope: appstate.ScopeWrite, Label: "init"})
	if err != nil {
		return err
	}
	if c.JSON {
		return a.printJSON(map[string]string{"data": c.Data, "person": c.AdminID, "token": secret, "token_id": t.ID})
	}
	a.printf("Đã tạo sổ ở %s, quản trị viên %s (%s).\nToken (chỉ hiển thị một lần): %s\n\nChạy: %s serve --data %s\n",
		"Created a ledger in %s, administrator %s (%s).\nToken (shown once): %s\n\nRun: %s serve --data %s\n", c.Data, c.Admin, c.AdminID, secret, program(), shellQuote(c.Data))
	return nil
}
