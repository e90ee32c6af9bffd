package web

import (
	"bytes"
	"compress/gzip"
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// TestEveryAnswerIsGuarded asks for every page on a day when everything has happened and every text is hostile, as everybody
// in turn, and for every act with nothing in it: each answer has the headers that keep other sites and caches out, and no
// page holds anything that runs but our own script. Asking for pages leaves the log as it was.
func TestEveryAnswerIsGuarded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fullDay()
	before, err := w.log.Head(w.ctx)
	w.ok(err)
	guarded := func(what string, r *httptest.ResponseRecorder) {
		t.Helper()
		want := map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "same-origin", "Cache-Control": "no-store", "Cross-Origin-Opener-Policy": "same-origin", "Cross-Origin-Resource-Policy": "same-origin"}
		for name, value := range want {
			if got := r.Header().Get(name); got != value {
				t.Errorf("%s: %s is %q", what, name, got)
			}
		}
		csp := r.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(csp, part) || strings.Contains(csp, "unsafe") {
				t.Errorf("%s: Content-Security-Policy: %s", what, csp)
			}
		}
	}
	who := map[domain.PersonID]*browser{}
	for _, v := range w.visits() {
		if who[v.who] == nil {
			who[v.who] = w.seated(v.who)
		}
		for _, lang := range []string{"vi", "en"} {
			sign := map[bool]string{true: "&", false: "?"}[strings.Contains(v.path, "?")]
			r := who[v.who].ask(http.MethodGet, v.path+sign+"lang="+lang, nil)
			guarded(v.name, r)
			who[v.who].parsed(v.name, r)
			if r.Code >= 500 || r.Code >= 300 && v.name != "failure" {
				t.Errorf("%s as %s: %d", v.path, v.who, r.Code)
			}
			if strings.Contains(r.Body.String(), "<script>alert") || strings.Contains(r.Body.String(), "<img src=x") {
				t.Errorf("%s shows a hostile text as it is", v.name)
			}
		}
	}
	if after, err := w.log.Head(w.ctx); err != nil || after != before {
		t.Errorf("asking for pages changed the log: %s, %s, %v", before, after, err)
	}
	// What is asked for is hostile too: it is refused or shown, as text.
	evil := url.QueryEscape(hostile)
	for _, rt := range w.handler.routes {
		b := who["inspector"]
		if rt.method == http.MethodGet && !rt.json {
			for _, query := range []string{"date", "known_at", "q", "unit", "regime", "form", "from", "to", "what", "kind", "outcome", "cursor", "at", "after", "lang", "next", "known"} {
				r := b.ask(http.MethodGet, w.asking(rt, query+"="+evil), nil)
				guarded(rt.id+"?"+query, withoutAsset(rt, r))
				if strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
					b.parsed(rt.id+"?"+query, r)
				}
				if r.Code >= 500 {
					t.Errorf("%s with a hostile %s: %d", rt.id, query, r.Code)
				}
			}
		}
		if rt.method == http.MethodPost {
			form := url.Values{"key": {newKey()}, "name": {hostile}, "password": {hostile}, "reason": {hostile}, "text": {hostile}, "note": {hostile}, "person": {hostile}, "next": {"//evil.example"}, "secret": {hostile}, "to": {hostile}}
			r := w.as(map[bool]domain.PersonID{true: "", false: "nobody"}[rt.rule.public]).ask(http.MethodPost, w.addressOf(rt), form)
			guarded(rt.id, r)
			if strings.HasPrefix(r.Header().Get("Content-Type"), "text/html") {
				b.parsed(rt.id, r)
			}
			if to := r.Header().Get("Location"); to != "" && !staysHere(to) {
				t.Errorf("%s leads to %s", rt.id, to)
			}
			if r.Code >= 500 {
				t.Errorf("%s with hostile fields: %d", rt.id, r.Code)
			}
		}
	}
}

func staysHere(address string) bool {
	return strings.HasPrefix(address, "/") && !strings.HasPrefix(address, "//")
}

func (w *world) asking(rt *route, query string) string {
	path := w.addressOf(rt)
	if strings.Contains(path, "?") {
		return path + "&" + query
	}
	return path + "?" + query
}

// withoutAsset lets a style sheet or a script be kept.
func withoutAsset(rt *route, r *httptest.ResponseRecorder) *httptest.ResponseRecorder {
	if rt.id == "asset" {
		r.Header().Set("Cache-Control", "no-store")
	}
	return r
}

// TestNobodyElsesActs: a form that another site sends, or that does not say where it comes from, is refused at every act of
// the table, whoever is signed in; so is one without a session.
func TestNobodyElsesActs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	sessions := map[domain.PersonID]*browser{}
	before, err := w.log.Head(w.ctx)
	w.ok(err)
	for _, rt := range w.handler.routes {
		if rt.method != http.MethodPost {
			continue
		}
		var p domain.PersonID
		if !rt.rule.public {
			p = w.letIn(rt)
		}
		if sessions[p] == nil {
			sessions[p] = w.as(p)
		}
		for site, change := range map[string]func(*http.Request){
			"cross-site": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
			"same-site":  func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
			"origin":     func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "https://evil.example") },
		} {
			if r := sessions[p].ask(http.MethodPost, w.addressOf(rt), nil, change); r.Code != http.StatusForbidden {
				t.Errorf("%s from %s: %d", rt.id, site, r.Code)
			}
		}
	}
	if after, err := w.log.Head(w.ctx); err != nil || after != before {
		t.Errorf("the log changed: %s, %s, %v", before, after, err)
	}
}

// TestHostileTextsOfAccounts: the names that people give their keys, what browsers call themselves, and the titles and
// decisions of offices are shown as text, wherever they are shown.
func TestHostileTextsOfAccounts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.EnrollCredential(ctx, c, domain.CredentialEnrolled{Person: "head", Credential: "AQID", Method: "webauthn", PublicKey: "AQID", EnrolledBy: domain.System,
			Detail: `{"label":"<script>alert(\"x\")</script>\"'<img src=x onerror=alert(1)>"}`})
	})
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: "25741", Authority: "kt_2", Person: "head", Capacity: domain.CapacityKT, Title: "Phó " + hostile, From: w.clock.Now(), Until: at(23, 0), Decision: "07/QĐ " + hostile})
	})
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.TakeOffice(ctx, c, domain.OfficeTaken{Unit: "25744", Person: "head", Capacity: domain.CapacityActing, Title: "Quyền " + hostile, From: w.clock.Now(), Decision: "08/QĐ " + hostile})
	})
	w.settle()
	head := w.as("")
	head.want(http.MethodPost, "/demo", url.Values{"person": {"head"}}, http.StatusSeeOther, func(r *http.Request) { r.Header.Set("User-Agent", "Mozilla "+hostile) })
	browsers := map[domain.PersonID]*browser{"head": head, "admin": w.as("admin"), "inspector": w.as("inspector")}
	for _, c := range []struct {
		who  domain.PersonID
		path string
		want []string
	}{
		{"head", "/account", []string{hostile, "Mozilla " + hostile, "Phó " + hostile}},
		{"admin", "/people/head", []string{"Phó " + hostile, "07/QĐ " + hostile, "08/QĐ " + hostile}},
		{"inspector", "/people/head", []string{"07/QĐ " + hostile}},
		{"admin", "/organisation/25741", []string{"Phó " + hostile, "07/QĐ " + hostile}},
		{"admin", "/organisation/25744", []string{"Quyền " + hostile, "08/QĐ " + hostile}},
		{"inspector", "/events/person-head/2", nil},
		{"inspector", "/reports/25744/2021-02-08", nil},
	} {
		for _, lang := range []string{"vi", "en"} {
			if lang == "en" && strings.HasPrefix(c.path, "/reports/") {
				continue // it says "Nothing to sign.", which looks like a key of the words
			}
			r := browsers[c.who].want(http.MethodGet, c.path+"?lang="+lang, nil, http.StatusOK)
			browsers[c.who].shows(browsers[c.who].parsed(c.path, r), c.want...)
			if strings.Contains(r.Body.String(), "<script>alert") || strings.Contains(r.Body.String(), "<img src=x") {
				t.Errorf("%s shows a hostile text as it is", c.path)
			}
		}
	}
}

// maxFirstVisitBytes is what a page may weigh when it is seen first: compressed, with all that it loads. It takes less
// than a second on a line of 50 kB/s, a phone's at the edge of what is covered.
const maxFirstVisitBytes = 40_000

// TestPagesAreLight: every page with its style and its script is light; both lie under names of their content and are kept
// for ever; no page loads anything else.
func TestPagesAreLight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fullDay()
	assets := map[string]int{}
	name := regexp.MustCompile(`^/assets/[a-z.-]+\?v=[0-9a-f]{12}$`)
	who, heaviest, heaviestName := map[domain.PersonID]*browser{}, 0, ""
	zipped := func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") }
	for _, v := range w.visits() {
		if who[v.who] == nil {
			who[v.who] = w.seated(v.who)
		}
		b := who[v.who]
		r := b.ask(http.MethodGet, v.path, nil, zipped)
		bytesAll := r.Body.Len()
		body := r.Body
		if r.Header().Get("Content-Encoding") == "gzip" {
			z, err := gzip.NewReader(bytes.NewReader(body.Bytes()))
			w.ok(err)
			body = &bytes.Buffer{}
			_, err = body.ReadFrom(z)
			w.ok(err)
		}
		root, err := html.Parse(body)
		w.ok(err)
		for n := range root.Descendants() {
			load := ""
			switch {
			case n.Type != html.ElementNode:
			case n.Data == "script" || n.Data == "img" || n.Data == "iframe":
				load = attr(n, "src")
			case n.Data == "link":
				load = attr(n, "href")
			}
			if load == "" {
				continue
			}
			if !name.MatchString(load) {
				t.Errorf("%s loads %s", v.name, load)
				continue
			}
			if assets[load] == 0 {
				a := b.ask(http.MethodGet, load, nil, zipped)
				if c := a.Header().Get("Cache-Control"); a.Code != http.StatusOK || !strings.Contains(c, "immutable") || !strings.Contains(c, "max-age=31536000") {
					t.Errorf("%s: %d %s", load, a.Code, c)
				}
				assets[load] = a.Body.Len()
			}
			bytesAll += assets[load]
		}
		if bytesAll > heaviest {
			heaviest, heaviestName = bytesAll, v.name
		}
		if bytesAll > maxFirstVisitBytes {
			t.Errorf("%s weighs %d bytes", v.name, bytesAll)
		}
	}
	t.Logf("the heaviest page is %s: %d bytes; of them %v", heaviestName, heaviest, assets)
	if len(assets) < 2 {
		t.Error("pages load no style and no script")
	}
}

// TestEveryRouteIsDecided: the matrix of routes and roles (TestPolicyByRouteAndRole) has every role of the domain in it.
func TestEveryRouteIsDecided(t *testing.T) {
	t.Parallel()
	var held []domain.Role
	for _, p := range people() {
		held = append(held, p.role)
	}
	for _, r := range domain.Roles {
		if r != domain.RoleSystem && !slices.Contains(held, r) {
			t.Errorf("nobody of the world is %s", r)
		}
	}
}
