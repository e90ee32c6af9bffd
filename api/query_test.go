package api

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// TestPages walks through lists page by page and finds every row once, in the order of the whole.
func TestPagesOfLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	w.settle()
	walk := func(path string, rows func(*httptest.ResponseRecorder) (ids []string, next string)) {
		t.Helper()
		whole, _ := rows(w.want(ask{as: "inspector", path: path}, 200))
		var got []string
		joint := "?"
		if strings.Contains(path, "?") {
			joint = "&"
		}
		at := path + joint + "limit=2"
		for range 100 {
			r := w.want(ask{as: "inspector", path: at}, 200)
			ids, next := rows(r)
			if got = append(got, ids...); next == "" {
				break
			}
			if len(ids) > 2 {
				t.Errorf("%s: %d rows", at, len(ids))
			}
			link, ok := strings.CutSuffix(strings.TrimPrefix(r.Header().Get("Link"), "<"), `>; rel="next"`)
			if !ok || !strings.Contains(link, "cursor=") {
				t.Errorf("Link: %q", r.Header().Get("Link"))
			}
			at = link
		}
		if diff := cmp.Diff(whole, got); diff != "" || len(whole) < 3 {
			t.Errorf("%s: %s", path, diff)
		}
	}
	walk("/v1/regimes/bluezone/compliance", func(r *httptest.ResponseRecorder) (ids []string, next string) {
		p := decodeInto[projections.CompliancePage](t, r)
		for _, x := range p.Rows {
			ids = append(ids, string(x.Unit)+"."+string(x.Form))
		}
		return ids, p.Next
	})
	walk("/v1/regimes/bluezone/answers", func(r *httptest.ResponseRecorder) (ids []string, next string) {
		p := decodeInto[projections.AnswerPage](t, r)
		for _, x := range p.Records {
			ids = append(ids, string(x.Unit)+"."+string(x.Form))
		}
		return ids, p.Next
	})
	walk("/v1/units", func(r *httptest.ResponseRecorder) (ids []string, next string) {
		p := decodeInto[projections.UnitPage](t, r)
		for _, x := range p.Rows {
			ids = append(ids, string(x.Unit))
		}
		return ids, p.Next
	})
	events := func(r *httptest.ResponseRecorder) (ids []string, next string) {
		p := decodeInto[EventPage](t, r)
		for _, x := range p.Events {
			ids = append(ids, x.ID)
		}
		if p.CaughtUp != (p.Next == "") {
			t.Errorf("caught up %t, next %q", p.CaughtUp, p.Next)
		}
		return ids, p.Next
	}
	walk("/v1/events", events)
	walk("/v1/events?category=person,unit", events)

	t.Run("a cursor belongs to its query", func(t *testing.T) {
		_, next := events(w.want(ask{as: "inspector", path: "/v1/events?limit=2"}, 200))
		w.want(ask{as: "inspector", path: "/v1/events?limit=3&cursor=" + next}, 200)
		w.want(ask{as: "inspector", path: "/v1/events?category=unit&cursor=" + next}, 400)
		w.want(ask{as: "inspector", path: "/v1/units?cursor=" + next}, 400)
	})
}

// TestKnownAt asks what was known at instants around a correction.
func TestKnownAt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	w.clock.Set(clockAt("10:00:00"))
	w.want(ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: `{"figures":{"smartphone_users":8000,"installed":4100,"new_today":100},"replaces":1,"correction":"content","reason":"đếm lại"}`}, 201)
	w.settle()
	for _, c := range []struct {
		known    string
		versions int
	}{{"2021-02-08T07:59:59%2B07:00", 0}, {"2021-02-08T08:00:00%2B07:00", 1}, {"2021-02-08T09:59:59%2B07:00", 1}, {"2021-02-08T03:00:00Z", 2}, {"", 2}} {
		h := decodeInto[projections.History](t, w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/history/25741/2021-02-08?known_at=" + c.known}, 200))
		if len(h.Reports) != 1 || len(h.Reports[0].Versions) != c.versions || (h.KnownAt == nil) != (c.known == "") || h.Place == "" {
			t.Errorf("%s: %+v", c.known, h)
		}
	}
	known := decodeInto[EventPage](t, w.want(ask{as: "inspector", path: "/v1/events?category=report&known_at=2021-02-08T09:00:00%2B07:00"}, 200))
	if len(known.Events) != 1 || !strings.HasPrefix(known.Events[0].Type, "example.answerable.ReportSubmitted.v") {
		t.Errorf("%+v", known)
	}
}

// stuckViews never reach a position.
type stuckViews struct{ *projections.Views }

func (stuckViews) WaitFor(ctx context.Context, p eventlog.Position) error {
	<-ctx.Done()
	return fmt.Errorf("wait for %s: %w", p, ctx.Err())
}

func TestNotCaughtUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{views: func(v *projections.Views) Views { return stuckViews{v} }, waitFor: time.Millisecond})
	r := w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?at=7"}, 503)
	p := decodeInto[Problem](t, r)
	if p.Code != string(codeNotCaughtUp) || p.Lag == nil || p.Lag.Place == "" || r.Header().Get("Retry-After") != "1" {
		t.Errorf("%+v %v", p, r.Header())
	}
}

func TestAcceptLanguage(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]domain.Language{
		"": "vi", "en": "en", "en-GB,en;q=0.9": "en", "vi-VN,vi;q=0.9,en;q=0.8": "vi", "en;q=0.4, vi;q=0.5": "vi", "fr": "vi", "fr, en;q=0.1": "en",
		"*": "vi", "en;q=0": "vi", "en;q=x": "vi", ",,;": "vi", "EN": "en", "vi;q=0.5,en;q=1.000": "en", "en;q=0.9999": "vi",
	} {
		if got := acceptLanguage(header); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
	w := newWorld(t, options{})
	r := w.want(ask{path: reportURL, headers: map[string]string{"Accept-Language": "en"}}, 401)
	if r.Header().Get("Content-Language") != "en" || !slices.Contains(r.Header().Values("Vary"), "Accept-Language") || !strings.Contains(r.Body.String(), "Not signed in") {
		t.Error(r.Header(), r.Body)
	}
}

// TestEveryCodeIsExplained in both languages, and each placeholder of one language is in the other.
func TestEveryCodeIsExplained(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("wording.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(regexp.MustCompile(`(?m)^\tcode[A-Za-z]+ +code = `).FindAll(source, -1)) != len(transportTexts) {
		t.Errorf("%d codes have words", len(transportTexts))
	}
	for c, e := range transportTexts {
		if e.title.Vi == "" || e.title.En == "" || e.text.Vi == "" || e.text.En == "" {
			t.Errorf("%s: %+v", c, e)
		}
		for _, name := range []string{"{name}", "{value}", "{want}", "{max}", "{at}", "{type}", "{method}", "{allow}"} {
			if strings.Contains(e.text.Vi, name) != strings.Contains(e.text.En, name) {
				t.Errorf("%s: %s is in one language only", c, name)
			}
		}
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err    error
		status int
		code   string
		retry  int
	}{
		{eventlog.ErrUnavailable, 503, "unavailable", 1},
		{eventlog.ErrOutcomeUnknown, 503, "outcome_unknown", 1},
		{eventlog.ErrFull, 503, "not_writable", 60},
		{fmt.Errorf("appstate: %w", appstate.ErrFull), 503, "not_writable", 60},
		{eventlog.ErrReadOnly, 503, "not_writable", 60},
		{eventlog.ErrInUse, 503, "not_writable", 60},
		{eventlog.ErrTooLarge, 413, "too_large", 0},
		{&eventlog.ConflictError{}, 503, "contended", 1},
		{eventlog.ErrRepeatMismatch, 422, "idempotency_key_reused", 0},
		{eventlog.ErrGone, 500, "internal", 0},
		{eventlog.ErrDamaged, 500, "internal", 0},
		{context.DeadlineExceeded, 503, "unavailable", 1},
		{projections.ErrEmpty, 503, "unavailable", 10},
		{projections.ErrCursor, 400, "cursor", 0},
		{errors.New("anything else"), 500, "internal", 0},
		{domain.Refuse(domain.Invalid, domain.CodeJSON, ""), 400, "json", 0},
		{domain.Refuse(domain.Invalid, domain.CodeRange, ""), 422, "range", 0},
		{domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, ""), 404, "unit_unknown", 0},
		{domain.Refuse(domain.Conflict, domain.CodeSigned, ""), 409, "signed", 0},
		{domain.Refuse(domain.Precondition, domain.CodeOldVersion, ""), 412, "old_version", 0},
		{domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, ""), 403, "role_missing", 0},
	} {
		wrapped := fmt.Errorf("commands: append to x: %w", c.err)
		status, transport, _ := statusOf(wrapped)
		retry := 0
		if transport != nil {
			retry = transport.retryAfter
		}
		if p := problemOf(wrapped, domain.English); status != c.status || p.Code != c.code || p.Status != status || retry != c.retry {
			t.Errorf("%v: %d %s, retry after %d", c.err, status, p.Code, retry)
		}
	}
}

// TestFaultsOfOursTellNothing: what went wrong inside is for the log.
func TestFaultsOfOursTellNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.handler.routes[0].handle = func(*call) error { return errors.New("password of the database: hunter2") }
	r := w.want(ask{as: "filer", method: "POST", path: reportURL, body: goodReport}, 500)
	if strings.Contains(r.Body.String(), "hunter2") {
		t.Error(r.Body)
	}
	w.handler.routes[0].handle = func(*call) error { panic("hunter2") }
	r = w.want(ask{as: "filer", method: "POST", path: reportURL, body: goodReport}, 500)
	if strings.Contains(r.Body.String(), "hunter2") || w.handler.routes[0].id != "submit-report" {
		t.Error(r.Body)
	}
}

// event is one server-sent event.
type event struct{ id, name, data string }

// feed reads events from a server until stop is true.
func feed(t *testing.T, w *world, url string, headers map[string]string, stop func([]event) bool) []event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+w.tokens["inspector"])
	for k, v := range headers {
		r.Header.Set(k, v)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != eventStreamType {
		t.Fatal(answer.Status, answer.Header)
	}
	var out []event
	var e event
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		name, value, _ := strings.Cut(lines.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data = value
		case "":
			if e.id != "" {
				out = append(out, e)
			}
			if e = (event{}); stop(out) {
				return out
			}
		}
	}
	t.Fatalf("the feed ended after %d events", len(out))
	return nil
}

func TestFeedResumes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	server := httptest.NewServer(w.handler)
	t.Cleanup(server.Close)
	w.submit()
	head := w.position()
	first := feed(t, w, server.URL+"/v1/events/stream", nil, func(e []event) bool { return len(e) > 0 && e[len(e)-1].id == head })
	last := first[len(first)-1]
	var c CloudEvent
	if err := json.Unmarshal([]byte(last.data), &c); err != nil || last.name != "ReportSubmitted" || c.Sequence != head || c.Subject != "report-bluezone.commune.25741.20210208" {
		t.Fatalf("%v %+v", err, last)
	}

	// A reader that goes on where it stopped sees what came meanwhile, once, and what comes while it reads.
	w.want(ask{as: "filer_b", method: "PUT", path: strings.Replace(reportURL, "25741", "25744", 1), body: goodReport}, 201)
	done := false
	rest := feed(t, w, server.URL+"/v1/events/stream?category=report", map[string]string{"Last-Event-ID": last.id}, func(e []event) bool {
		if len(e) == 1 && !done {
			done = true
			w.want(ask{as: "filer_far", method: "PUT", path: strings.Replace(reportURL, "25741", "25819", 1), body: goodReport}, 201)
		}
		return len(e) == 2
	})
	if !strings.Contains(rest[0].data, "25744") || !strings.Contains(rest[1].data, "25819") {
		t.Errorf("%+v", rest)
	}
	// The whole feed is the log.
	whole := decodeInto[EventPage](t, w.want(ask{as: "inspector", path: "/v1/events?limit=500"}, 200))
	if len(whole.Events) != len(first)+2 {
		t.Errorf("%d events in the log, %d in the feed", len(whole.Events), len(first)+2)
	}
	// A server that shuts down ends its feeds.
	w.handler.CloseFeeds()
	w.want(ask{as: "inspector", path: "/v1/events/stream"}, 200)
	w.want(ask{as: "inspector", path: "/v1/events/stream?after=x"}, 400)
	w.want(ask{as: "inspector", path: "/v1/events/stream", headers: map[string]string{"Last-Event-ID": "999999999"}}, 409)
	w.want(ask{as: "inspector", path: "/v1/events/stream", headers: map[string]string{"Last-Event-ID": "x"}}, 400)
}

// TestEventsAreVerbatim: what the log holds is passed on byte for byte.
func TestEventsAreVerbatim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	page := decodeInto[EventPage](t, w.want(ask{as: "inspector", path: "/v1/events?stream=report-bluezone.commune.25741.20210208"}, 200))
	for r, err := range w.log.ReadStream(t.Context(), "report-bluezone.commune.25741.20210208", 0) {
		if err != nil || len(page.Events) != 1 || string(page.Events[0].Data.Value) != string(r.Data) || page.Events[0].ID != r.ID.String() {
			t.Errorf("%v\n%s\n%+v", err, r.Data, page)
		}
	}
}

func TestAccessLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?unit=25741"}, 200)
	w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/history/99999/2021-02-08"}, 404)
	w.want(ask{as: "department", path: "/v1/regimes/bluezone/compliance"}, 200) // neither an inspector nor an export
	w.want(ask{as: "department", path: "/v1/events"}, 200)                      // an export
	w.want(ask{as: "filer", path: "/v1/events"}, 403)                           // not let in, and noted all the same
	w.want(ask{path: "/v1/events"}, 401)                                        // a stranger
	if err := w.state.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all, err := w.state.Accesses(t.Context(), "", 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, a := range all {
		got = append(got, fmt.Sprintf("%s %s %s?%s %d", a.Person, a.Role, a.Path, a.Query, a.Status))
		if a.Request == "" || a.Token == "" || !a.At.Equal(w.clock.Now()) {
			t.Errorf("%+v", a)
		}
	}
	want := []string{"inspector inspector /v1/regimes/bluezone/compliance?unit=25741 200", "inspector inspector /v1/regimes/bluezone/history/99999/2021-02-08? 404", "department department /v1/events? 200", "filer  /v1/events? 403"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.want(ask{path: "/healthz"}, 200)
	if h := decodeInto[Health](t, w.want(ask{path: "/readyz"}, 200)); h.Status != "ready" || h.Lag == nil {
		t.Errorf("%+v", h)
	}
	if body := w.want(ask{as: "admin", path: "/metrics"}, 200).Body.String(); !strings.Contains(body, `answerable_http_requests_total{route="healthz",status="200"} 1`) || !strings.Contains(body, "answerable_http_views_lag_seconds 0") {
		t.Error(body)
	}
}

// unwell is views that answer a probe as a test says.
type unwell struct {
	Views
	lag    projections.Lag
	leader string
	err    error
}

func (u *unwell) Lag(context.Context) (projections.Lag, error) { return u.lag, u.err }
func (u *unwell) Leader(context.Context) (string, error)       { return u.leader, u.err }
func (u *unwell) over(v *projections.Views) Views              { u.Views = v; return u }

// TestReady says why a server is not one to send requests to, and who leads.
func TestReady(t *testing.T) {
	t.Parallel()
	u := &unwell{}
	w := newWorld(t, options{views: u.over})
	for _, x := range []struct {
		given unwell
		want  Health
	}{
		{unwell{leader: projections.LeaderThis}, Health{Status: "ready", Log: "reachable", Views: "reachable", Leader: projections.LeaderThis}},
		{unwell{leader: projections.LeaderNone, lag: projections.Lag{Seconds: 60}}, Health{Status: "ready", Log: "reachable", Views: "reachable", Leader: projections.LeaderNone}},
		{unwell{leader: projections.LeaderAnother, lag: projections.Lag{Seconds: 60.1}}, Health{Status: "not ready", Log: "reachable", Views: "behind", Leader: projections.LeaderAnother}},
		{unwell{err: projections.ErrEmpty}, Health{Status: "not ready", Log: "reachable", Views: "unreachable"}},
	} {
		u.lag, u.leader, u.err = x.given.lag, x.given.leader, x.given.err
		status := http.StatusOK
		if x.want.Status != "ready" {
			status = http.StatusServiceUnavailable
		}
		got := decodeInto[Health](t, w.want(ask{path: "/readyz"}, status))
		if (got.Lag == nil) != (x.given.err != nil) {
			t.Errorf("%+v", got)
		}
		got.Lag = nil
		if diff := cmp.Diff(x.want, got); diff != "" {
			t.Error(diff)
		}
	}
}

// TestHeaders: every answer, also a refusal and what no route takes, carries the security headers.
func TestHeaders(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{demo: true})
	for _, path := range []string{"/", "/v1/regimes", "/v1/nothing", "/nothing", "/healthz", "/assets/app.css", "/units/99999"} {
		r := w.ask(ask{path: path})
		for _, name := range []string{"Content-Security-Policy", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Cross-Origin-Opener-Policy", "Cache-Control", "X-Request-Id"} {
			if r.Header().Get(name) == "" {
				t.Errorf("%s: %d without %s", path, r.Code, name)
			}
		}
		if csp := r.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || !strings.Contains(csp, "default-src 'none'") {
			t.Error(csp)
		}
	}
}

// TestOpenAPI: the document is 3.1, names every route, and holds the schema files word for word.
func TestOpenAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	r := w.want(ask{path: "/v1/openapi.json"}, 200)
	var doc struct {
		OpenAPI    string `json:"openapi"`
		Paths      map[string]map[string]json.RawMessage
		Components struct{ Schemas map[string]json.RawMessage }
	}
	if err := json.Unmarshal(r.Body.Bytes(), &doc); err != nil || doc.OpenAPI != "3.1.0" {
		t.Fatal(err, doc.OpenAPI)
	}
	for _, rt := range w.handler.routes {
		op, ok := doc.Paths[rt.path][strings.ToLower(rt.method)]
		if ok == rt.page {
			t.Errorf("%s %s: in the document %t", rt.method, rt.path, ok)
		}
		var o struct {
			OperationID string `json:"operationId"`
			Summary     string
			Responses   map[string]json.RawMessage
			RequestBody json.RawMessage
		}
		if ok && (json.Unmarshal(op, &o) != nil || o.OperationID != rt.id || o.Summary == "" || o.Responses["400"] == nil) {
			t.Errorf("%s: %s", rt.id, op)
		}
		if takes := rt.method != http.MethodGet && !slices.Contains([]string{"retry-parked", "start-rebuild", "cancel-rebuild", "undo-rebuild", "drop-previous"}, rt.id); ok && takes != (o.RequestBody != nil) {
			t.Errorf("%s: body %s", rt.id, o.RequestBody)
		}
	}
	for _, name := range []string{"forms.commune.2", "forms.district.1", "events.ReportSubmitted.1", "events.ReportSubmitted.2", "defs.1.figures", "Problem", "Submission", "Correction", "Recorded", "CompliancePage", "History"} {
		if doc.Components.Schemas[name] == nil {
			t.Errorf("no schema %s", name)
		}
	}
}

// TestQueriesRefuseWhatIsNotThere: a misspelt code must not be answered as if nothing had happened, nor the future as if
// it were known.
func TestQueriesRefuseWhatIsNotThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	w.settle()
	for _, x := range []struct {
		path   string
		status int
		code   string
	}{
		{"/v1/regimes/nosuch/breaches", 404, "regime_unknown"},
		{"/v1/regimes/bluezone/breaches?unit=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/breaches?from=2021-02-09&to=2021-02-08", 422, "date"},
		{"/v1/regimes/bluezone/compliance?form=nosuch", 404, "form_unknown"},
		{"/v1/regimes/bluezone/records?unit=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/answers?person=nosuch", 404, "person_unknown"},
		{"/v1/regimes/bluezone/targets?unit=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/sign-off-queue?unit=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/days/2021-02-08/board?area=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/days/2021-02-08/synthesis?area=99999", 404, "unit_unknown"},
		{"/v1/regimes/bluezone/days/2020-02-08/synthesis", 404, "day_not_open"},
		{"/v1/regimes/nosuch/days", 404, "regime_unknown"},
		{"/v1/regimes/bluezone/breaches?kind=late,missing", 400, "parameter"}, // it takes one
		{"/v1/regimes/bluezone/breaches?known_at=2099-01-01T00:00:00Z", 422, "known_at_future"},
	} {
		if p := decodeInto[Problem](t, w.want(ask{as: "inspector", path: x.path}, x.status)); p.Code != x.code {
			t.Errorf("%s: %s, want %s", x.path, p.Code, x.code)
		}
	}
	for _, path := range []string{"answers", "breaches", "compliance", "days/" + string(testDay) + "/board", "days/" + string(testDay) + "/synthesis"} {
		if p := decodeInto[projections.At](t, w.want(ask{as: "inspector", path: "/v1/regimes/bluezone/" + path + "?as_of=2021-02-09"}, 200)); p.AsOf != "2021-02-09" {
			t.Errorf("%s does not say as of which day: %+v", path, p)
		}
	}
}

// TestNotReadyWhileTheLogIsFull: a server that refuses every report is not one to send reports to; after a while it is
// asked again, and says itself how it stands.
func TestNotReadyWhileTheLogIsFull(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.settle()
	handle := w.handler.routes[0].handle
	w.handler.routes[0].handle = func(*call) error { return fmt.Errorf("append: %w", eventlog.ErrFull) }
	w.want(ask{as: "filer", method: "POST", path: reportURL, body: goodReport}, 503)
	if h := decodeInto[Health](t, w.want(ask{path: "/readyz"}, 503)); h.Log != "not writable" {
		t.Errorf("%+v", h)
	}
	w.handler.routes[0].handle = handle
	w.submit()
	w.want(ask{path: "/readyz"}, 200)
}
