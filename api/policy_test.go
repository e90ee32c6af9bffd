package api

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// allowed says, apart from the policy table, who may call which route about unit 25741, which reports through 718:
// "own" is its filer, "head" its head, "deputy" a person with a right to sign for it, "above" the head of 718,
// "district" the officer of 718; "far" is who holds the same roles elsewhere. Routes that name no unit are asked without; those
// that name a person name "far".
func allowed() map[string]string {
	const (
		reading  = "own head above district department inspector"
		signing  = "head deputy"
		anybody  = "own other far head above district district_far department inspector admin"
		ordering = "department"
	)
	return map[string]string{
		"submit-report": "own", "put-report": "own", "correct-report": "own",
		"return-report": signing, "get-statement": signing, "sign-off": signing, "explain-breach": signing,
		"excuse-breach": ordering, "uphold-breach": ordering, "remind": "district department", "get-report": reading,
		"import-reports": "own other far district district_far",
		"issue-regime":   ordering, "amend-regime": ordering, "close-regime": ordering, "open-day": ordering, "extend-deadline": ordering,
		"exempt-day": ordering, "issue-synthesis": ordering, "register-unit": ordering, "change-unit": ordering,
		"take-office": ordering, "leave-office": ordering, "grant-authority": signing + " department", "revoke-authority": signing + " department",
		"register-person": "admin", "grant-role": "admin", "revoke-role": "admin", "enroll-credential": "admin far", "revoke-credential": "admin far",
		"list-regimes": anybody, "get-regime": anybody, "list-days": anybody, "list-units": anybody, "get-unit": anybody, "get-office": anybody,
		"list-forms": anybody, "get-form": anybody, "get-me": anybody + " deputy nobody", "get-person": "inspector admin far",
		"board": "department inspector", "compliance": "department inspector", "unit-records": "department inspector", "answers": "department inspector",
		"list-breaches": "department inspector", "synthesis": "department inspector", "sign-off-queue": "department inspector", "list-targets": "department inspector",
		"history": reading, "list-events": "department inspector", "stream-events": "department inspector",
		"lag": "department inspector admin", "list-parked": "department inspector admin", "retry-parked": "admin", "metrics": "admin",
		"rebuild-status": "department inspector admin", "stream-rebuild": "department inspector admin", "start-rebuild": "admin", "cancel-rebuild": "admin", "undo-rebuild": "admin", "drop-previous": "admin",
		"page-board": "department inspector", "page-unit": reading, "page-breaches": "department inspector", "page-synthesis": "department inspector",
		"get-receipt": "everybody", "get-opening": anybody + " deputy nobody", "evidence-bundle": reading, "evidence-status": "everybody", "evidence-policy": "everybody", "log-file": "everybody",
		"openapi": "everybody", "list-words": "everybody", "healthz": "everybody", "readyz": "everybody", "page-style": "everybody",
	}
}

// callers are the persons of the world by what they are to unit 25741.
func callers() map[string]domain.PersonID {
	return map[string]domain.PersonID{"own": "filer", "other": "filer_b", "far": "filer_far", "head": "head", "above": "head_718", "district": "district",
		"district_far": "district_far", "department": "department", "inspector": "inspector", "admin": "admin", "nobody": "nobody", "deputy": "deputy", "anonymous": ""}
}

// about fills a route's path with the world's names.
func about(rt *route, unit, form string) string {
	return strings.NewReplacer("{regime}", "bluezone", "{form}", form, "{unit}", unit, "{date}", string(testDay), "{breach}", "late", "{person}", "filer_far", "{event_id}", "0b3f1e5c-0000-5000-8000-000000000000", "{path...}", "checkpoint", "{$}", "").Replace(rt.path)
}

// wasAdmitted calls a route without a body: an admitted command is then refused for that, and nothing is recorded.
func wasAdmitted(t *testing.T, w *world, rt *route, as domain.PersonID, path string) bool {
	t.Helper()
	var needed []string
	for _, p := range rt.params {
		if p.needed && p.kind == paramDate {
			needed = append(needed, p.name+"="+string(testDay))
		}
	}
	if len(needed) > 0 {
		path += "?" + strings.Join(needed, "&")
	}
	r := w.ask(ask{as: as, method: rt.method, path: path})
	switch r.Code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return false
	}
	if r.Code >= 500 {
		t.Errorf("%s as %q: %d %s", rt.id, as, r.Code, r.Body)
	}
	return true
}

func TestPolicyByRouteAndRole(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	table := allowed()
	before := w.position()
	for _, rt := range w.handler.routes {
		want, ok := table[rt.id]
		if !ok {
			t.Errorf("route %s is not in the test's table", rt.id)
			continue
		}
		for name, person := range callers() {
			wanted := want == "everybody" || slices.Contains(strings.Fields(want), name)
			if got := wasAdmitted(t, w, rt, person, about(rt, "25741", "commune")); got != wanted {
				t.Errorf("%s as %s: admitted %t, want %t", rt.id, name, got, wanted)
			}
		}
	}
	if after := w.position(); after != before {
		t.Errorf("something was recorded: %s, then %s", before, after)
	}
}

// TestPolicyByUnit asks queries about units in and out of the callers' reach.
func TestPolicyByUnit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	left := map[string]bool{} // parameters by which a route's caller may be let in, which nobody has asked with
	patterns := map[string]*route{}
	for _, rt := range w.handler.routes {
		patterns[rt.method+" "+rt.path] = rt
		for _, name := range rt.rule.unit {
			left[rt.id+" "+name] = true
		}
		if rt.rule.person != "" {
			left[rt.id+" "+rt.rule.person] = true
		}
	}
	asked := func(path string) {
		r := httptest.NewRequest(http.MethodGet, path, nil)
		_, pattern := w.handler.mux.Handler(r)
		for name := range r.URL.Query() {
			if rt := patterns[pattern]; rt != nil {
				delete(left, rt.id+" "+name)
			}
		}
	}
	for _, route := range []string{"compliance", "records", "breaches"} {
		for _, c := range []struct {
			query string
			who   string
		}{
			{"unit=25741", "own head above district department inspector"},
			{"unit=25744", "other above district department inspector"},
			{"unit=25819", "far district_far department inspector"},
			{"unit=718", "above district department inspector"},
			{"parent=718", "above district department inspector"},
			{"parent=719", "district_far department inspector"},
			{"parent=74", "department inspector"},
			{"unit=25741&parent=719", "own head above district department inspector"}, // 25741 decides, and the answer is empty
		} {
			asked("/v1/regimes/bluezone/" + route + "?" + c.query)
			for name, person := range callers() {
				r := w.ask(ask{as: person, path: "/v1/regimes/bluezone/" + route + "?" + c.query})
				if got, want := r.Code == http.StatusOK, slices.Contains(strings.Fields(c.who), name); got != want {
					t.Errorf("%s?%s as %s: %d, want %t", route, c.query, name, r.Code, want)
				}
			}
		}
	}
	for _, c := range []struct {
		path, who string
	}{
		{"/v1/regimes/bluezone/days/2021-02-08/board?area=718", "above district department inspector"},
		{"/v1/regimes/bluezone/days/2021-02-08/synthesis?area=718", "above district department inspector"},
		{"/v1/regimes/bluezone/answers?unit=25741", "own head above district department inspector"},
		{"/v1/regimes/bluezone/answers?person=head", "head department inspector"}, // what oneself answers for
		{"/v1/regimes/bluezone/sign-off-queue?unit=25741", "own head above district department inspector"},
		{"/v1/regimes/bluezone/targets?unit=25741", "own head above district department inspector"},
		{"/v1/persons/head", "head inspector admin"},
		{"/units/25744?date=2021-02-08", "other above district department inspector"},
		{"/?area=718", "above district department inspector"},
		{"/breaches?unit=25741", "own head above district department inspector"},
		{"/synthesis?area=718", "above district department inspector"},
	} {
		asked(c.path)
		for name, person := range callers() {
			r := w.ask(ask{as: person, path: c.path})
			if got, want := r.Code == http.StatusOK, slices.Contains(strings.Fields(c.who), name); got != want {
				t.Errorf("%s as %s: %d, want %t", c.path, name, r.Code, want)
			}
		}
	}
	if len(left) > 0 {
		t.Errorf("nobody asks with %v", left)
	}
	// Who sees one area alone learns nothing of the others.
	if body := w.want(ask{as: "district", path: "/v1/regimes/bluezone/days/2021-02-08/board?area=718"}, 200).Body.String(); strings.Contains(body, "719") || !strings.Contains(body, `"total":{"obligations":2,`) {
		t.Error(body)
	}
}

func TestPolicyOutOfScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	want := map[string]string{"submit-report": "far", "put-report": "far", "correct-report": "far", "get-report": "far district_far department inspector",
		"history": "far district_far department inspector", "remind": "district_far department", "sign-off": "", "return-report": "", "explain-breach": "", "get-statement": "",
		"grant-authority": "department", "revoke-authority": "department", "page-unit": "far district_far department inspector", "excuse-breach": "department", "uphold-breach": "department",
		"evidence-bundle": "far district_far department inspector", "register-unit": "department", "change-unit": "department", "take-office": "department", "leave-office": "department",
		"get-unit": allowed()["get-unit"], "get-office": allowed()["get-office"]}
	for _, rt := range w.handler.routes {
		who, ok := want[rt.id]
		if named := strings.Contains(rt.path, "{unit}"); named != ok {
			t.Errorf("%s names a unit in its path: %t; in the test's table: %t", rt.id, named, ok)
		}
		if !ok {
			continue
		}
		for name, person := range callers() {
			if got, want := wasAdmitted(t, w, rt, person, about(rt, "25819", "commune")), slices.Contains(strings.Fields(who), name); got != want {
				t.Errorf("%s about 25819 as %s: admitted %t, want %t", rt.id, name, got, want)
			}
		}
	}
	// A district's own report is filed by its officer.
	if r := w.ask(ask{as: "district", method: "PUT", path: "/v1/regimes/bluezone/reports/district/718/2021-02-08"}); r.Code == http.StatusForbidden {
		t.Error(r.Body)
	}
	if r := w.ask(ask{as: "district", method: "PUT", path: "/v1/regimes/bluezone/reports/district/719/2021-02-08"}); r.Code != http.StatusForbidden {
		t.Error(r.Body)
	}
}

func TestReadTokensReadOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	secret, made, err := w.state.CreateToken(t.Context(), appstate.NewToken{Person: "filer", Scope: appstate.ScopeRead})
	if err != nil {
		t.Fatal(err)
	}
	w.tokens["reader"] = secret
	w.want(ask{as: "reader", path: reportURL}, 200)
	r := w.want(ask{as: "reader", method: "POST", path: reportURL, body: goodReport}, 403)
	if p := decodeInto[Problem](t, r); p.Code != string(codeTokenScope) {
		t.Error(p)
	}
	// A revocation is felt by the next request.
	if _, err := w.state.RevokeToken(t.Context(), made.ID); err != nil {
		t.Fatal(err)
	}
	w.want(ask{as: "reader", path: reportURL}, 401)
}

// TestRolesEndInTime: a role is asked for at the instant of receipt.
func TestRolesEndInTime(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.want(ask{as: "admin", method: "POST", path: "/v1/persons/nobody/roles", body: `{"role":"filer","unit":"25744","until":"2021-02-08T10:00:00+07:00"}`}, 201)
	path := "/v1/regimes/bluezone/reports/commune/25744/2021-02-08"
	w.clock.Set(clockAt("09:59:59.999999"))
	w.want(ask{as: "nobody", path: path}, 200)
	w.clock.Set(clockAt("10:00:00"))
	w.want(ask{as: "nobody", path: path}, 403)
	w.want(ask{as: "admin", method: "POST", path: "/v1/persons/filer/role-revocations", body: `{"role":"filer","unit":"25741","reason":"chuyển công tác"}`}, 201)
	w.want(ask{as: "filer", method: "PUT", path: reportURL, body: goodReport}, 403)
}

func TestNewRefusesARouteWithoutARule(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	h := &Handler{Config: w.handler.Config, mux: http.NewServeMux(), api: w.handler.api, metrics: w.handler.metrics}
	h.routes = []*route{{id: "forgotten", method: http.MethodGet, path: "/v1/forgotten"}}
	if err := h.register(); err == nil || !strings.Contains(err.Error(), "forgotten has no rule") {
		t.Error(err)
	}
}
