package main

import (
	"errors"
	"time"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/domain"
)

type linkCmd struct {
	dataFlag
	Person string `arg:"" help:"Person whose account the link opens." placeholder:"ID"`
	JSON   bool   `name:"json" help:"Print one JSON object."`
}

func (linkCmd) Help() string {
	return `For whoever holds the server's files: the first administrator whose link has lapsed, or one who lost everything. Whoever opens the link within a day can enrol a passkey or set a password; earlier links of the person stop working. Works while the server runs.

Example:
  answerable link admin --data ./ledger`
}

func (c linkCmd) Run(a *app) error {
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	return a.read(dir, func(n *node) error {
		if err := n.mustKnow(a.ctx, domain.PersonID(c.Person)); err != nil {
			return err
		}
		state, err := a.openState(a.ctx, dir)
		if err != nil {
			return err
		}
		secret, link, err := accounts.IssueLocalLink(a.ctx, n.ledger, state, a.now(), domain.PersonID(c.Person))
		if err = errors.Join(err, state.Close()); err != nil {
			return err
		}
		if c.JSON {
			return a.printJSON(map[string]string{"person": c.Person, "link": "/link#" + secret, "expires_at": link.ExpiresAt.UTC().Format(time.RFC3339)})
		}
		a.printf("Liên kết một lần (chỉ hiển thị một lần, mở trước %s): /link#%s trên máy chủ.\n", "One-time link (shown once, open it before %s): /link#%s at the server.\n", shownUntil(link.ExpiresAt), secret)
		return nil
	})
}
