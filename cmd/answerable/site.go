package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/api/web"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing/enrolled"
)

// siteOf is the origin that browsers reach the pages by: what was given, or this machine's own name when nobody else can
// reach the listener. "" is nobody's: cookies and passkeys need a name and https, and the pages are not served.
func siteOf(given string, listener net.Listener) string {
	if given != "" {
		return given
	}
	host, port, err := net.SplitHostPort(listener.Addr().String())
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return ""
	}
	return "http://localhost:" + port
}

// signingAt completes the rules of signatures with the site's own name, which its pages ask browsers to sign for.
func signingAt(c enrolled.Config, site string) (enrolled.Config, error) {
	if site == "" || len(c.Origins) > 0 || len(c.RPIDs) > 0 {
		return c, nil
	}
	id, err := accounts.RelyingParty(site)
	if err != nil || id == "" {
		return c, err
	}
	c.Origins, c.RPIDs = []string{site}, []string{id}
	return c, nil
}

// withPages puts the people's pages before the API.
func (a *app) withPages(n *node, state *appstate.State, look *inspection, how serving, signing enrolled.Config, api *api.Handler) (http.Handler, *accounts.Accounts, error) {
	if how.site == "" {
		a.logger.Warn("the people's pages are not served: name the address their browsers use with --site", zap.String("data", n.dir))
		return api, nil, nil
	}
	options := accounts.Options{Origin: how.site, Name: "answerable", Clock: n.now, SyncedSign: signing.AllowSynced, Demo: how.signInAs}
	if !how.demo { // its persons are nobody's elsewhere
		var err error
		if options.OIDC, err = a.provider(); err != nil {
			return nil, nil, err
		}
	}
	who, err := accounts.New(n.ledger, state, options)
	if err != nil {
		return nil, nil, err
	}
	pages := web.Config{Ledger: n.ledger, Views: n.views, Registry: n.registry, Accounts: who, State: state, Clock: n.now, Logger: a.logger, Log: n.log, Next: api,
		Demo: how.demo, DemoPersons: how.persons, Receipts: !how.withoutEvidence, Checkpoint: look.checkpoint, SignedLately: look.signedLately, Operate: look.operate(how.site, api.OpenAPI())}
	if look.proof != nil {
		pages.Evidence = look.proof
	}
	site, err := web.New(pages)
	return site, who, err
}

// reconcileEvery is how long an event about a way to sign in may be owed to the log. Chosen: an administrator who ends one
// while the log is away sees it told of within the hour.
const reconcileEvery = 10 * time.Minute

// reconcile has the log told of the ways to sign in that there are, at the start and from time to time.
func (a *app) reconcile(ctx context.Context, who *accounts.Accounts) error {
	for {
		if who != nil {
			told, err := who.Reconcile(ctx)
			switch {
			case err != nil && ctx.Err() == nil:
				a.logger.Warn("whether the log tells of every way to sign in could not be seen", zap.Error(err))
			case told > 0:
				a.logger.Warn("the log was told of ways to sign in that were set or ended without it", zap.Int("events", told))
			}
		}
		select {
		case <-time.After(reconcileEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// pagesOf is how a node's pages are served.
type pagesOf struct {
	site     string            // origin of the pages; "" is none
	signInAs accounts.Demo     // the demonstration's leave to sign in without proof
	persons  []domain.PersonID // whom its page lists
}
