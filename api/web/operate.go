package web

import (
	"context"
	"iter"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// Operate is what the pages of operators and developers are made of. What is missing is not shown.
type Operate struct {
	Rebuilds Rebuilder // the views that this process makes
	Events   Record    // the log itself
	// CloudEvent is an event as the API gives it.
	CloudEvent func(eventlog.Recorded) ([]byte, error)
	// Integrity tells how the evidence stands.
	Integrity func(context.Context) (ui.IntegrityState, error)
	// Verify begins a check of the log, the views and the tree, unless one goes on; Integrity tells what came of it.
	Verify func()
	// Backup is the last backup that this program made of the log, the zero value where none is known of; nil: none can be.
	Backup   func() ui.BackupState
	Settings []ui.Setting
	OpenAPI  []byte // the API's own document
	Site     string // the address that programs use
}

// Rebuilder makes the views again, beside those that are read.
type Rebuilder interface {
	RebuildStatus() (projections.RebuildStatus, <-chan struct{})
	StartRebuild(projections.RebuildOptions) error
	CancelRebuild() bool
	Undo(context.Context) error
	DropPrevious(context.Context) error
	Generations(context.Context) ([]projections.Generation, error)
}

// Record is the log, for those who may read all of it.
type Record interface {
	ReadStream(ctx context.Context, stream string, from uint64) iter.Seq2[eventlog.Recorded, error]
	Follow(ctx context.Context, after eventlog.Position, filter eventlog.Filter, o eventlog.FollowOptions) iter.Seq2[eventlog.Batch, error]
	Head(ctx context.Context) (eventlog.Position, error)
}

// operating is what the handler keeps for these pages.
type operating struct {
	found  rebuildReport
	jobs   jobs
	roster roster
	api    sync.Once
	doc    apiDocument
}

// operateTable is the routes of operators and developers.
func (h *Handler) operateTable() []*route {
	get := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodGet, path: path, handle: handle}
	}
	read := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodGet, path: path, handle: handle, logged: true}
	}
	post := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodPost, path: path, handle: handle}
	}
	return []*route{
		get("operations", "/operations", h.operationsPage), post("retry", "/operations/retry", h.retry),
		post("rebuild", "/operations/rebuild", h.rebuild), post("rebuild-cancel", "/operations/rebuild/cancel", h.rebuildCancel),
		post("rebuild-undo", "/operations/rebuild/undo", h.rebuildUndo), post("rebuild-drop", "/operations/rebuild/drop", h.rebuildDrop),
		{id: "rebuild-feed", method: http.MethodGet, path: "/operations/feed", handle: h.rebuildFeed, json: true, feed: true},
		get("integrity", "/integrity", h.integrityPage), post("verify", "/integrity/verify", h.verify),
		get("configuration", "/configuration", h.configurationPage),

		read("organisation", "/organisation", h.organisationPage), post("register-unit", "/organisation", h.registerUnit), post("change-unit", "/organisation/{unit}/change", h.changeUnit),
		read("office", "/organisation/{unit}", h.officePage),
		post("appoint", "/organisation/{unit}/appoint", h.appoint), post("leave", "/organisation/{unit}/leave", h.leave),
		post("delegate", "/organisation/{unit}/delegate", h.delegate), post("undelegate", "/organisation/{unit}/undelegate", h.undelegate),
		read("people", "/people", h.peoplePage), post("register", "/people", h.registerPerson), read("person", "/people/{person}", h.personPage),
		post("grant-role", "/people/{person}/grant", h.grantRole), post("revoke-role", "/people/{person}/revoke", h.revokeRole),
		post("revoke-credential", "/people/{person}/credential", h.revokeCredential), post("person-link", "/people/{person}/link", h.personLink),
		post("person-sessions", "/people/{person}/sessions", h.personSessions), post("person-unbind", "/people/{person}/unbind", h.personUnbind),
		post("person-password", "/people/{person}/password", h.personPassword),

		read("events", "/events", h.eventsPage), read("event", "/events/{stream}/{revision}", h.eventPage),
		read("cloud-event", "/events/{stream}/{revision}/cloudevent", h.cloudEvent),
		get("developers", "/developers", h.developersPage), get("schema", "/developers/schemas/{name}", h.schemaPage),
		get("tokens", "/tokens", h.tokensPage), post("token-create", "/tokens", h.tokenCreate), post("token-revoke", "/tokens/revoke", h.tokenRevoke),
	}
}

// operatePolicy adds who may ask for them to the one table.
func operatePolicy(table map[string]rule) map[string]rule {
	operators := rule{allow: access.Anywhere.For(domain.RoleAdmin, domain.RoleDepartment, domain.RoleInspector)}
	admin := rule{allow: access.All.For(domain.RoleAdmin)}
	department := rule{allow: access.All.For(domain.RoleDepartment)}
	everything := rule{allow: access.All.For(domain.RoleInspector, domain.RoleDepartment)}
	// A head grants for their own unit; whoever held the office or a right to sign may look, and the ledger refuses the rest.
	ownOffice := append(access.Own.For(domain.RoleHead), access.Allowance{Reach: access.Office})
	signedIn := rule{allow: []access.Allowance{{Reach: access.Anybody}}}
	maps.Copy(table, map[string]rule{
		"operations": operators, "rebuild-feed": operators, "retry": admin, "rebuild": admin, "rebuild-cancel": admin, "rebuild-undo": admin, "rebuild-drop": admin,
		"integrity": operators, "verify": admin,
		"configuration": {allow: access.All.For(domain.RoleAdmin, domain.RoleDepartment)},

		"organisation": operators, "office": {allow: slices.Concat(operators.allow, ownOffice)},
		"register-unit": department, "change-unit": department, "appoint": department, "leave": department,
		"delegate": {allow: slices.Concat(department.allow, ownOffice)}, "undelegate": {allow: slices.Concat(department.allow, ownOffice)},
		"people": {allow: access.All.For(domain.RoleAdmin, domain.RoleInspector, domain.RoleDepartment)}, "register": admin,
		"person": {allow: access.All.For(domain.RoleAdmin, domain.RoleInspector)}, "grant-role": admin, "revoke-role": admin,
		"revoke-credential": admin, "person-link": admin, "person-sessions": admin, "person-unbind": admin, "person-password": admin,

		"events": everything, "event": everything, "cloud-event": everything,
		"developers": signedIn, "schema": signedIn, "tokens": signedIn, "token-create": signedIn, "token-revoke": signedIn,
	})
	return table
}

// may reports whether the caller would be let in at a route that asks about no unit.
func (c *call) may(id string) bool {
	i := slices.IndexFunc(c.h.routes, func(rt *route) bool { return rt.id == id })
	return i >= 0 && slices.ContainsFunc(c.h.routes[i].rule.allow, func(a access.Allowance) bool {
		switch a.Reach {
		case access.Anybody:
			return true
		case access.All:
			return c.actor.Has(a.Role, "")
		case access.Anywhere:
			return c.actor.HasAny(a.Role)
		}
		return false
	})
}

// operateNav is the pages of operators and developers among those a person works on.
func (c *call) operateNav() []ui.NavItem {
	var out []ui.NavItem
	for _, n := range []struct{ id, path, title string }{{"operations", "/operations", "operations"}, {"organisation", "/organisation", "organisation"}, {"events", "/events", "events_log"}} {
		if c.may(n.id) {
			out = append(out, ui.NavItem{Path: n.path, Title: n.title})
		}
	}
	if c.actor.Has(domain.RoleAdmin, "") {
		out = append(out, ui.NavItem{Path: "/tokens", Title: "tokens"})
	}
	for _, g := range c.actor.Grants {
		if g.Role == domain.RoleHead && g.Unit != "" {
			out = append(out, ui.NavItem{Path: "/organisation/" + url.PathEscape(string(g.Unit)), Title: "my_office"})
		}
	}
	return out
}

// tabbed is a frame with the pages of one kind beside each other.
func (c *call) tabbed(title string, group ...string) (ui.Frame, error) {
	f, err := c.frame(title)
	if err != nil {
		return f, err
	}
	for _, id := range group {
		i := slices.IndexFunc(c.h.routes, func(rt *route) bool { return rt.id == id })
		if i < 0 || !c.may(id) {
			continue
		}
		path := c.h.routes[i].path
		key := id
		if id == "events" {
			key = "events_log"
		}
		f.Tabs = append(f.Tabs, ui.NavItem{Path: path, Title: key, Here: c.r.URL.Path == path})
	}
	if len(f.Tabs) < 2 {
		f.Tabs = nil
	}
	return f, nil
}

func (c *call) operationTabs(title string) (ui.Frame, error) {
	return c.tabbed(title, "operations", "integrity", "configuration")
}

func (c *call) peopleTabs(title string) (ui.Frame, error) {
	return c.tabbed(title, "organisation", "people", "links")
}

func (c *call) developerTabs(title string) (ui.Frame, error) {
	return c.tabbed(title, "events", "developers", "tokens")
}

// refused fills in what a page shows of a form that was refused, and its status; an error that is no refusal stays one.
func (c *call) refused(f ui.Frame, a *ui.Acts, refusal error) (status int, err error) {
	a.Key = newKey()
	if refusal == nil {
		return http.StatusOK, nil
	}
	status, _ = statusOf(refusal)
	if status >= http.StatusInternalServerError || status == http.StatusForbidden {
		return status, refusal
	}
	a.Problem, a.Act, a.Typed = words(refusal, f), c.r.PostForm.Get("act"), c.r.PostForm
	return status, nil
}
