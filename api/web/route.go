package web

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// route is one row of the table of pages and acts.
type route struct {
	id     string
	method string
	path   string
	handle func(*call) error
	logged bool // the reading is noted in the access log
	json   bool // asked by the script; a refusal is an object
	feed   bool // stays open; what it is asked for is no use of the session
	file   bool // takes a file: it may be longer, and who sent which is noted in the access log whatever their role

	rule rule
}

const reportPath = "/reports/{regime}/{form}/{unit}/{date}"

// table is every route.
func (h *Handler) table() []*route {
	get := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodGet, path: path, handle: handle}
	}
	read := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodGet, path: path, handle: handle, logged: true}
	}
	post := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodPost, path: path, handle: handle}
	}
	script := func(id, path string, handle func(*call) error) *route {
		return &route{id: id, method: http.MethodPost, path: path, handle: handle, json: true}
	}
	return append(h.operateTable(), []*route{
		get("asset", "/assets/{file}", h.asset), get("root", "/{$}", h.root),
		get("sign-in", "/signin", h.signInPage), post("sign-in-password", "/signin", h.signInPassword),
		script("sign-in-begin", "/signin/passkey", h.signInBegin), script("sign-in-finish", "/signin/passkey/finish", h.signInFinish),
		post("oidc-begin", "/signin/oidc", h.oidcBegin), get("oidc-return", accounts.ReturnPath, h.oidcReturn), post("oidc-finish", accounts.ReturnPath, h.oidcFinish),
		get("demo", "/demo", h.demoPage), post("demo-sign-in", "/demo", h.demoSignIn),
		get("link", "/link", h.linkPage), post("link-open", "/link", h.linkOpen),
		get("enrol", "/enrol", h.enrolPage), post("enrol-password", "/enrol/password", h.enrolPassword),
		script("enrol-begin", "/enrol/passkey", h.enrolBegin), script("enrol-finish", "/enrol/passkey/finish", h.enrolFinish),
		post("sign-out", "/signout", h.signOut),
		get("home", "/home", h.home),
		get("account", "/account", h.accountPage), post("end-session", "/account/sessions/end", h.endSession), post("end-others", "/account/sessions/end-others", h.endOthers),
		post("step-up", "/account/stepup", h.stepUpPassword), script("step-up-begin", "/account/stepup/passkey", h.stepUpBegin), script("step-up-finish", "/account/stepup/passkey/finish", h.stepUpFinish),
		post("set-password", "/account/password", h.setPassword), post("remove-password", "/account/password/remove", h.removePassword), script("passkey-begin", "/account/passkey", h.passkeyBegin), script("passkey-finish", "/account/passkey/finish", h.passkeyFinish),
		post("passkey-revoke", "/account/passkey/revoke", h.passkeyRevoke), post("oidc-bind", "/account/oidc", h.oidcBind), post("oidc-unbind", "/account/oidc/unbind", h.oidcUnbind),

		get("today", "/today", h.todayPage),
		get("file", reportPath+"/file", h.filePage), post("file-send", reportPath+"/file", h.fileSend), read("filed", reportPath+"/filed", h.filedPage),

		get("upload", "/upload", h.uploadPage), get("upload-form", "/upload/form.csv", h.uploadForm),
		{id: "upload-send", method: http.MethodPost, path: "/upload", handle: h.uploadSend, file: true},

		get("queue", "/queue", h.queuePage),
		get("sign", reportPath+"/sign", h.signPage), post("sign-confirm", reportPath+"/sign", h.signConfirm),
		script("sign-begin", reportPath+"/sign/passkey", h.signBegin), script("sign-finish", reportPath+"/sign/passkey/finish", h.signFinish),
		post("return", reportPath+"/return", h.returnReport),
		get("answers", "/answers", h.answersPage), get("explain", reportPath+"/explain", h.explainPage), post("explain-send", reportPath+"/explain", h.explainSend),

		read("inspect", "/inspect", h.inspectPage), read("report", "/reports/{unit}/{date}", h.reportPage), read("bundle", "/reports/{unit}/evidence", h.bundle), read("proof", "/proof/{event}", h.proofPage), read("search", "/search", h.searchPage),

		read("grid", "/grid", h.gridPage), read("judge", "/judgements", h.judgePage),
		post("excuse", reportPath+"/excuse", h.excuse), post("uphold", reportPath+"/uphold", h.uphold),
		read("progress", "/progress", h.progressPage), read("totals", "/totals", h.totalsPage), read("chain", "/chain", h.chainPage), post("issue", "/totals/issue", h.issue),
		read("access", "/access", h.accessPage), get("links", "/links", h.linksPage), post("link-issue", "/links", h.linkIssue),

		{id: "live", method: http.MethodGet, path: "/live", handle: h.liveFeed, json: true, feed: true},
		read("district", "/district", h.districtPage), post("remind", reportPath+"/remind", h.remind),
	}...)
}

// rule is who may ask for a route. The unit is the path's, or the query's parameter unit; without one it is every unit.
type rule struct {
	public bool
	allow  []access.Allowance
}

// policy is the one table of who may ask for what. A route that is not in it is not served. The ledger decides every act
// again; this table keeps out who has no business at a door at all, and is the only guard of reading.
func policy() map[string]rule {
	public, signedIn := rule{public: true}, rule{allow: []access.Allowance{{Reach: access.Anybody}}}
	anyFiler := rule{allow: access.Anywhere.For(domain.RoleFiler, domain.RoleDistrict)}
	filers := rule{allow: access.Own.For(domain.RoleFiler, domain.RoleDistrict)}
	readers := access.Subtree.For(domain.RoleInspector, domain.RoleDepartment, domain.RoleDistrict, domain.RoleHead, domain.RoleFiler)
	signers := rule{allow: append(access.Own.For(domain.RoleHead), access.Allowance{Reach: access.Office})}
	department := rule{allow: access.All.For(domain.RoleDepartment)}
	oversight := rule{allow: access.All.For(domain.RoleInspector, domain.RoleDepartment)}
	return operatePolicy(map[string]rule{
		"asset": public, "root": public, "sign-in": public, "sign-in-password": public, "sign-in-begin": public, "sign-in-finish": public,
		"oidc-begin": public, "oidc-return": public, "oidc-finish": public,
		"demo": public, "demo-sign-in": public, "link": public, "link-open": public,
		// An enrolment is let in by its own session, which a link opened.
		"enrol": public, "enrol-password": public, "enrol-begin": public, "enrol-finish": public,

		"sign-out": signedIn, "home": signedIn, "account": signedIn, "end-session": signedIn, "end-others": signedIn,
		"step-up": signedIn, "step-up-begin": signedIn, "step-up-finish": signedIn, "set-password": signedIn, "remove-password": signedIn,
		"passkey-begin": signedIn, "passkey-finish": signedIn, "passkey-revoke": signedIn, "oidc-bind": signedIn, "oidc-unbind": signedIn,

		"today": anyFiler, "upload": anyFiler, "upload-form": anyFiler, "upload-send": anyFiler,
		"file": filers, "file-send": filers, "filed": {allow: append(readers, access.Allowance{Reach: access.Office})},

		"queue": signedIn, "answers": signedIn,
		"sign": signers, "sign-confirm": signers, "sign-begin": signers, "sign-finish": signers, "return": signers,
		"explain": signers, "explain-send": signers,

		"inspect": {allow: access.Anywhere.For(domain.RoleInspector, domain.RoleDepartment, domain.RoleDistrict)},
		"report":  {allow: append(readers, access.Allowance{Reach: access.Office})}, "search": oversight,
		// A receipt says what the public log says, and shows no content; a bundle holds the content.
		"proof": signedIn, "bundle": {allow: append(readers, access.Allowance{Reach: access.Office})},

		"grid": oversight, "judge": oversight, "excuse": department, "uphold": department,
		"progress": oversight, "totals": oversight, "chain": oversight, "issue": department,
		"links": {allow: access.All.For(domain.RoleAdmin)}, "link-issue": {allow: access.All.For(domain.RoleAdmin)},
		"access": {allow: access.All.For(domain.RoleAdmin, domain.RoleInspector)},

		"live":     {allow: append(access.All.For(domain.RoleInspector, domain.RoleDepartment), access.Subtree.For(domain.RoleDistrict)...)},
		"district": {allow: slices.Concat(access.Subtree.For(domain.RoleDistrict), access.All.For(domain.RoleDepartment))},
		"remind":   {allow: slices.Concat(access.Subtree.For(domain.RoleDistrict), access.All.For(domain.RoleDepartment))},
	})
}

// register binds the routes to the mux.
func (h *Handler) register() error {
	rules := policy()
	for _, rt := range h.routes {
		rule, ok := rules[rt.id]
		if !ok {
			return fmt.Errorf("route %s has no rule", rt.id)
		}
		if !rule.public && len(rule.allow) == 0 {
			return fmt.Errorf("the rule of route %s lets nobody in", rt.id)
		}
		delete(rules, rt.id)
		rt.rule = rule
		h.mux.HandleFunc(rt.method+" "+rt.path, func(w http.ResponseWriter, r *http.Request) { h.serve(rt, w, r) })
	}
	for id := range rules {
		return fmt.Errorf("rule %s has no route", id)
	}
	return nil
}

// admit lets the caller in, or says why not.
func (h *Handler) admit(c *call) error {
	var err error
	if c.r.Method == http.MethodPost {
		limit := int64(domain.MaxBodyBytes)
		if c.route.file {
			limit = domain.MaxImportBytes // the page refuses earlier, in words
		}
		c.r.Body = http.MaxBytesReader(c.w, c.r.Body, limit)
		if c.attempt, err = h.Accounts.Attempt(c.r); err != nil {
			return err
		}
		if !c.route.json && !c.route.file { // a file is read once it is known who sends it
			if err := c.r.ParseForm(); err != nil {
				return fmt.Errorf("%w: %w", errForm, err)
			}
		}
	}
	if err := c.parsePath(); err != nil {
		return err
	}
	if c.query, err = url.ParseQuery(c.r.URL.RawQuery); err != nil {
		return fmt.Errorf("%w: %w", errForm, err)
	}
	authenticate := h.Accounts.Authenticate
	if c.route.feed || c.r.Header.Get("HX-Request") == "true" {
		authenticate = h.Accounts.Watch
	}
	c.session, c.person, err = authenticate(c.r)
	switch {
	case err == nil:
		c.actor = c.person.ActorAt(c.at)
		c.actor.ID = c.person.ID
	case c.route.rule.public && errors.Is(err, appstate.ErrNoSession):
		return nil
	default:
		return err
	}
	if c.route.rule.public {
		return nil
	}
	c.role, err = access.Judge(c.ctx, h.Ledger, c.route.rule.allow, access.Asking{Actor: c.actor, Unit: c.unitAsked(), At: c.at})
	return err
}

// root is the open board in the demonstration, and elsewhere everybody's own page.
func (h *Handler) root(c *call) error {
	if h.Demo {
		h.Next.ServeHTTP(c.w, c.r)
		return nil
	}
	return c.redirect("/home")
}

// home sends everybody to the page they work on.
func (h *Handler) home(c *call) error {
	nav, err := c.nav()
	if err != nil {
		return err
	}
	return c.redirect(nav[0].Path)
}
