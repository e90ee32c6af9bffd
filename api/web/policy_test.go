package web

import (
	"context"
	"database/sql"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestPolicyByRouteAndRole asks for every route as everybody, about a unit that is theirs and one that is not.
func TestPolicyByRouteAndRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	all := []string{"filer", "filer_far", "head", "head_far", "deputy", "district", "district_far", "department", "inspector", "admin", "nobody"}
	only := func(who ...string) []string { return who }
	// Whom the table of routes lets in, about unit 25741 of district 718. Whoever is not listed is refused; who is signed
	// in nowhere is asked to sign in.
	filers, signers := only("filer"), only("head", "deputy")
	readers := only("filer", "head", "deputy", "district", "department", "inspector")
	oversight := only("department", "inspector")
	wanted := map[string][]string{
		"sign-out": all, "home": all, "account": all, "end-session": all, "end-others": all, "step-up": all, "step-up-begin": all, "step-up-finish": all,
		"set-password": all, "remove-password": all, "passkey-begin": all, "passkey-finish": all, "passkey-revoke": all, "oidc-bind": all, "oidc-unbind": all,
		"today": only("filer", "filer_far", "district", "district_far"), "file": filers, "file-send": filers, "upload": only("filer", "filer_far", "district", "district_far"), "upload-form": only("filer", "filer_far", "district", "district_far"), "upload-send": only("filer", "filer_far", "district", "district_far"), "filed": readers,
		"queue": all, "answers": all, "sign": signers, "sign-confirm": signers, "sign-begin": signers, "sign-finish": signers, "return": signers, "explain": signers, "explain-send": signers,
		"inspect": only("district", "district_far", "department", "inspector"), "report": readers, "bundle": readers, "proof": all, "search": oversight,
		"grid": oversight, "judge": oversight, "excuse": only("department"), "uphold": only("department"), "progress": oversight, "totals": oversight, "chain": oversight, "issue": only("department"),
		"access": only("inspector", "admin"), "links": only("admin"), "link-issue": only("admin"),
		"district": only("district", "department"), "remind": only("district", "department"), "live": only("district", "department", "inspector"),
	}
	maps.Copy(wanted, operateAdmits(all))
	sessions := map[string]*browser{}
	for _, who := range all {
		sessions[who] = w.as(domain.PersonID(who))
	}
	for _, rt := range w.handler.routes {
		if rt.rule.public {
			continue
		}
		who, ok := wanted[rt.id]
		if !ok {
			t.Errorf("route %s is in no expectation", rt.id)
			continue
		}
		path := strings.NewReplacer("{regime}", "bluezone", "{form}", "commune", "{unit}", "25741", "{date}", "2021-02-08").Replace(rt.path)
		if rt.id == "district" || rt.id == "live" {
			path += "?unit=718"
		}
		nobody := w.as("")
		if r := nobody.ask(rt.method, path, nil); rt.json && r.Code != http.StatusUnauthorized || !rt.json && (r.Code != http.StatusSeeOther || !strings.HasPrefix(r.Header().Get("Location"), "/signin?next=")) {
			t.Errorf("%s without a session: %d %s", rt.id, r.Code, r.Header().Get("Location"))
		}
		for _, name := range all {
			r := httptest.NewRequest(rt.method, "https://ledger.example"+path, strings.NewReader(""))
			r.Header.Set("Sec-Fetch-Site", "same-origin")
			for k, v := range sessions[name].cookies {
				r.AddCookie(&http.Cookie{Name: k, Value: v})
			}
			for _, key := range []string{"regime", "form", "unit", "date"} {
				if strings.Contains(rt.path, "{"+key+"}") {
					r.SetPathValue(key, map[string]string{"regime": "bluezone", "form": "commune", "unit": "25741", "date": "2021-02-08"}[key])
				}
			}
			c := &call{h: w.handler, w: httptest.NewRecorder(), r: r, ctx: r.Context(), route: rt, at: w.clock.Now(), id: "test"}
			err := w.handler.admit(c)
			if admitted := err == nil; admitted != slices.Contains(who, name) {
				t.Errorf("%s as %s: admitted %v (%v)", rt.id, name, admitted, err)
			}
		}
	}
	if len(policy()) != len(w.handler.routes) {
		t.Errorf("%d rules, %d routes", len(policy()), len(w.handler.routes))
	}
}

// stateNow is everything that is kept about sessions, links, passkeys, passwords, tokens and answers, by table; not the log
// of accesses, and not when a session was used last, which reading is for.
func (w *world) stateNow() map[string][]string {
	w.Helper()
	w.ok(w.state.Flush(w.ctx))
	db, err := sql.Open("sqlite", filepath.Join(w.dir, "state.db"))
	w.ok(err)
	defer db.Close()
	read := func(query string) (columns []string, out [][]any) {
		w.Helper()
		rows, err := db.QueryContext(w.ctx, query)
		w.ok(err)
		defer rows.Close()
		columns, err = rows.Columns()
		w.ok(err)
		for rows.Next() {
			values, into := make([]any, len(columns)), make([]any, len(columns))
			for i := range values {
				into[i] = &values[i]
			}
			w.ok(rows.Scan(into...))
			out = append(out, values)
		}
		w.ok(rows.Err())
		return columns, out
	}
	all := map[string][]string{}
	_, tables := read(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`)
	for _, t := range tables {
		name := t[0].(string)
		if name == "access_log" {
			continue
		}
		columns, rows := read(`SELECT * FROM ` + name + ` ORDER BY 1`)
		all[name] = []string{}
		for _, row := range rows {
			for i, c := range columns {
				if name == "session" && (c == "seen_at" || c == "idle_until") {
					row[i] = "…"
				}
			}
			all[name] = append(all[name], fmt.Sprint(row))
		}
	}
	return all
}

// TestGetChangesNothing asks for every page, and looks whether the log grew or the state beside it changed.
func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before, err := w.log.Head(w.ctx)
	w.ok(err)
	w.ok(w.linkFor("filer"))
	everybody := []domain.PersonID{"", "filer", "head", "district", "department", "inspector", "admin"}
	browsers := map[domain.PersonID]*browser{}
	for _, who := range everybody {
		browsers[who] = w.as(who)
	}
	state := w.stateNow()
	if len(state["session"]) == 0 || len(state["link"]) == 0 || len(state) < 8 {
		t.Fatalf("the state is not looked at: %v", state)
	}
	w.clock.Set(at(8, 5)) // a use of a session is written after a minute
	for _, who := range everybody {
		b := browsers[who]
		for _, rt := range w.handler.routes {
			if rt.method != http.MethodGet {
				continue
			}
			path := strings.NewReplacer("{regime}", "bluezone", "{form}", "commune", "{unit}", "25741", "{person}", "filer", "{stream}", "unit-25741", "{revision}", "0", "{date}", "2021-02-08", "{file}", "app.css", "{$}", "").Replace(rt.path)
			r := b.ask(http.MethodGet, path, nil)
			if r.Code >= 500 {
				t.Errorf("%s as %q: %d", path, who, r.Code)
			}
			for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cache-Control", "X-Request-Id"} {
				if r.Header().Get(name) == "" {
					t.Errorf("%s has no %s", path, name)
				}
			}
			if csp := r.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
				t.Errorf("%s: %s", path, csp)
			}
			if strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
				b.parsed(path, r)
			}
		}
	}
	if diff := cmp.Diff(state, w.stateNow()); diff != "" {
		t.Errorf("asking for pages changed the state:\n%s", diff)
	}
	// What the mux answers by itself is an answer too.
	if r := w.as("").ask(http.MethodGet, "//home", nil); r.Code/100 != 3 || !strings.Contains(r.Header().Get("Content-Security-Policy"), "frame-ancestors 'none'") || r.Header().Get("Referrer-Policy") == "" {
		t.Errorf("a path that is not clean: %d %v", r.Code, r.Header())
	}
	after, err := w.log.Head(w.ctx)
	w.ok(err)
	if after != before {
		t.Errorf("the log grew from %s to %s", before, after)
	}
}

// linkFor makes a one-time link that nobody opens.
func (w *world) linkFor(p domain.PersonID) error {
	_, _, err := accounts.IssueLocalLink(w.ctx, w.ledger, w.state, w.clock.Now(), p)
	return err
}

// TestCrossSite: nothing that another site sends in a person's name is taken, nor what does not say where it comes from.
func TestCrossSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer := w.as("filer")
	form := figures("8000", "4000", "100")
	form.Set("key", newKey())
	form.Set("step", "send")
	for name, change := range map[string]func(*http.Request){
		"another site":     func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another origin":   func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		"nothing is said":  func(r *http.Request) { r.Header.Del("Sec-Fetch-Site") },
		"a sibling's page": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
	} {
		filer.want(http.MethodPost, report+"/file", form, http.StatusForbidden, change)
		w.as("").want(http.MethodPost, "/signin", url.Values{"name": {"filer"}, "password": {"x"}}, http.StatusForbidden, change)
		if r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay}); err != nil || len(r.Versions) != 0 {
			t.Fatal(name, err)
		}
	}
	filer.want(http.MethodPost, report+"/file", form, http.StatusSeeOther)
}

// TestSessions: where one goes after signing in is ours; a session from before the sign-in opens nothing after it; signing
// out ends it.
func TestSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for next, want := range map[string]string{"/today?date=2021-02-08": "/today?date=2021-02-08", "//evil.example": "/home", "https://evil.example/": "/home", "/\\evil.example": "/home", "": "/home", "javascript:alert(1)": "/home"} {
		r := w.as("").want(http.MethodPost, "/demo", url.Values{"person": {"filer"}, "next": {next}}, http.StatusSeeOther)
		if got := r.Header().Get("Location"); got != want {
			t.Errorf("next %q leads to %q", next, got)
		}
	}
	b := w.as("filer")
	old := b.cookies["__Host-answerable_session"]
	b.want(http.MethodPost, "/demo", url.Values{"person": {"filer"}}, http.StatusSeeOther)
	fixed := &browser{world: w, cookies: map[string]string{"__Host-answerable_session": old}}
	fixed.want(http.MethodGet, "/account", nil, http.StatusSeeOther)
	root := b.page("/account")
	b.shows(root, "Nơi đang đăng nhập", "phiên này", "người lập báo cáo")
	second := w.as("filer")
	b.follow(b.page("/account"), "/account/sessions/end-others", nil)
	for name, c := range map[string]*browser{"this": b, "other": second} {
		if r := c.ask(http.MethodGet, "/account", nil); (r.Code == http.StatusOK) != (name == "this") {
			t.Errorf("%s session: %d", name, r.Code)
		}
	}
	b.want(http.MethodPost, "/signout", nil, http.StatusSeeOther)
	b.want(http.MethodGet, "/account", nil, http.StatusSeeOther)
	r := w.as("").want(http.MethodPost, "/signin", url.Values{"name": {"<b>filer"}, "password": {"wrong password"}}, http.StatusUnauthorized)
	if !strings.Contains(r.Body.String(), `value="&lt;b&gt;filer"`) {
		t.Error("the name that was typed is not kept")
	}
}

// TestLinks: an administrator's link lets its person set a password and sign in with it, once.
func TestLinks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, b := w.as("admin"), w.as("")
	root := admin.send(admin.page("/links"), "/links", url.Values{"person": {"filer"}}, http.StatusOK)
	code := find(root, func(n *html.Node) bool { return n.Data == "code" && strings.HasPrefix(textOf(n), "/link#") })
	_, secret, _ := strings.Cut(strings.TrimSpace(textOf(code)), "#")
	b.send(b.page("/link"), "/link", url.Values{"secret": {"x"}}, http.StatusUnauthorized)
	root = b.follow(b.page("/link"), "/link", url.Values{"secret": {secret}})
	b.send(root, "/enrol/password", url.Values{"password": {"123"}}, http.StatusUnprocessableEntity)
	target, values := b.form(root, "/enrol/password", url.Values{"password": {"mưa rơi trên mái tôn"}})
	b.want(http.MethodPost, target, values, http.StatusSeeOther)
	r := b.want(http.MethodPost, "/signin", url.Values{"name": {"filer"}, "password": {"mưa rơi trên mái tôn"}}, http.StatusSeeOther)
	if r.Header().Get("Location") != "/home" {
		t.Error(r.Header())
	}
	b.shows(b.page("/today"), "Báo cáo hôm nay")
	again := w.as("")
	again.send(again.page("/link"), "/link", url.Values{"secret": {secret}}, http.StatusUnauthorized)
}

// TestFailuresAreWhole: what cannot be shown is said on a whole page, in the reader's language.
func TestFailuresAreWhole(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.as("inspector")
	for path, status := range map[string]int{"/reports/99999/2021-02-08": 404, "/reports/25741/2021-02-30": 422, "/grid?from=x": 422, "/search?what=x": 400, "/reports/A%20B/2021-02-08": 404,
		"/reports/25741/2021-02-08?known_at=soon": 422, "/reports/25741/2021-02-08?at=x": 400, "/assets/x": 404} {
		b.parsed(path, b.want(http.MethodGet, path, nil, status))
	}
	r := b.want(http.MethodGet, "/reports/99999/2021-02-08?lang=en", nil, 404)
	if !strings.Contains(r.Body.String(), "This cannot be shown") || r.Header().Get("Content-Language") != "en" {
		t.Error(r.Body.String())
	}
	for name, c := range map[string]string{"app.css": "text/css; charset=utf-8", "app.js": "text/javascript; charset=utf-8", "htmx.min.js": "text/javascript; charset=utf-8", "receipt.js": "text/javascript; charset=utf-8"} {
		v := w.handler.pages.Versions()[name]
		if r := b.want(http.MethodGet, "/assets/"+name+"?v="+v, nil, 200); r.Header().Get("Content-Type") != c || !strings.Contains(r.Header().Get("Cache-Control"), "immutable") {
			t.Error(name, r.Header())
		}
		if r := b.want(http.MethodGet, "/assets/"+name+"?v=old", nil, 200); strings.Contains(r.Header().Get("Cache-Control"), "immutable") {
			t.Error(name, "is kept for ever under a name that is not its own")
		}
	}
}

// TestADeputyWhoFiles: a right to sign shows what waits for the signature also to who holds another role there.
func TestADeputyWhoFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer := w.as("filer")
	leads := func() bool {
		return find(filer.page("/today"), func(n *html.Node) bool { return n.Data == "a" && attr(n, "href") == "/queue" }) != nil
	}
	if leads() {
		t.Error("a filer is shown a queue to sign")
	}
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: "25741", Authority: "kt_1", Person: "filer", Capacity: domain.CapacityKT, Title: "Phó Chủ tịch", From: w.clock.Now(), Until: at(23, 0), Decision: "03/QĐ"})
	})
	if !leads() {
		t.Error("a filer who may sign is not led to what waits for it")
	}
}
