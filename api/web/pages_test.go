package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/api/access"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
)

// visit is one page as somebody sees it.
type visit struct {
	name  string // of its pictures; unique
	route string
	who   domain.PersonID
	path  string
	// then is what is done on the page to come to the state that is meant: forms filled in and sent.
	then []step
}

// step fills in fields, and sends the form by its button.
type step struct {
	fill  map[string]string
	press string
}

// standsFor is somebody who holds a role, about the unit that pages are asked about where nothing else is said.
var standsFor = map[domain.Role]domain.PersonID{domain.RoleFiler: "filer", domain.RoleHead: "head", domain.RoleDistrict: "district",
	domain.RoleDepartment: "department", domain.RoleInspector: "inspector", domain.RoleAdmin: "admin"}

// addressOf fills in the path of a route.
func (w *world) addressOf(rt *route) string {
	event := "00000000-0000-4000-8000-000000000000"
	if strings.Contains(rt.path, "{event}") {
		r, err := w.ledger.Report(w.ctx, domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
		w.ok(err)
		if len(r.Versions) > 0 {
			event = r.Versions[0].EventID
		}
	}
	path := strings.NewReplacer("{event}", event, "{regime}", "bluezone", "{form}", "commune", "{unit}", "25741", "{date}", string(testDay), "{$}", "",
		"{person}", "filer", "{stream}", "report-bluezone.commune.25741.20210208", "{revision}", "0", "{name}", "EventPage").Replace(rt.path)
	switch rt.id {
	case "district":
		path += "?unit=718"
	case "chain":
		path += "?form=commune&field=installed"
	}
	return path
}

// notPages are the routes of GET that answer no page of their own, and why.
var notPages = map[string]string{"asset": "the style and the script", "root": "the API's open pages, which its own tests look at", "home": "leads to everybody's own page", "cloud-event": "JSON for programs", "live": "a feed for scripts", "bundle": "a file", "upload-form": "a file",
	"oidc-return": "there is none where no provider is set; TestOIDC looks at it"}

// theOnlyWay lists pages that the table of routes cannot be asked for just so, and more states of pages.
func theOnlyWay() []visit {
	const phuLoi = "/reports/bluezone/commune/25744/2021-02-08"
	wrong := map[string]string{"#f_smartphone_users": "8.000", "#f_installed": "9"}
	right := map[string]string{"#f_smartphone_users": "8000", "#f_installed": "4000", "#f_new_today": "100"}
	submit := "form.stack button"
	return append(operateVisits(), []visit{
		{"today-open", "today", "filer_b", "/today", nil}, {"file-first", "file", "filer_b", phuLoi + "/file", nil},
		{"file-problems", "file", "filer_b", phuLoi + "/file", []step{{wrong, submit}}}, {"file-check", "file", "filer_b", phuLoi + "/file", []step{{right, submit}}},
		{"file-interruption", "file", "filer", report + "/file", []step{{map[string]string{"#f_installed": "3000", "#reason": "Rà soát"}, submit}}},
		{"file-correction-check", "file", "filer", report + "/file", []step{{map[string]string{"#f_installed": "4300", "#reason": "Rà soát"}, submit}}},
		{"file-consolidation", "file", "district", "/reports/bluezone/district/718/2021-02-08/file", nil},
		{"filed-nothing", "filed", "filer_b", phuLoi + "/filed", nil},
		{"sign-unticked", "sign", "head", report + "/sign", []step{{map[string]string{}, `form[action$="/return"] button`}}},
		{"report-past", "report", "inspector", "/reports/25741/2021-02-08?regime=bluezone&known_at=2021-02-08T12%3A00", nil},
		{"report-district", "report", "inspector", "/reports/718/2021-02-08?regime=bluezone", nil},
		{"search-changed", "search", "inspector", "/search?date=2021-02-08&what=changed", nil},
		{"grid-deadline", "grid", "department", "/grid?from=2021-02-05&to=2021-02-10&known=deadline", nil},
		{"judge-department", "judge", "department", "/judgements", nil},
		{"links-issued", "links", "admin", "/links", []step{{map[string]string{"#person": "filer"}, submit}}},
		{"sign-in-refused", "sign-in", "", "/signin", []step{{map[string]string{"#name": "filer", "#password": "sai"}, submit}}},
		{"failure", "report", "inspector", "/reports/99999/2021-02-08", nil},
		{"upload-faults", "upload", "filer_b", "/upload?date=2021-02-08", []step{{map[string]string{"#file": "unit;form;installed\n25744;commune;" + quoted() + "\n99999;commune;5\n"}, submit}}},
		{"upload-check", "upload", "filer_b", "/upload?date=2021-02-08", []step{{map[string]string{"#file": "unit;form;smartphone_users;installed;new_today;note\n25744;commune;8000;4000;100;" + quoted() + "\n"}, submit}}},
		{"chain-commune", "chain", "inspector", "/chain?date=2021-02-08&form=commune&field=installed", nil},
	}...)
}

// visits is every page of the table of routes, as somebody whom the policy lets in, and what is listed besides. A page that
// is added to the table is visited without being named anywhere.
func (w *world) visits() []visit {
	w.Helper()
	var out []visit
	for _, rt := range w.handler.routes {
		if rt.method != http.MethodGet || rt.json || notPages[rt.id] != "" {
			continue
		}
		v := visit{name: rt.id, route: rt.id, path: w.addressOf(rt)}
		if rt.id == "enrol" {
			v.who = enrolling
		} else if !rt.rule.public {
			v.who = w.letIn(rt)
		}
		out = append(out, v)
	}
	return append(out, theOnlyWay()...)
}

// enrolling is nobody: a browser that has opened a one-time link, and is about to enrol.
const enrolling domain.PersonID = "…"

// letIn is somebody whom the policy lets in.
func (w *world) letIn(rt *route) domain.PersonID {
	w.Helper()
	for _, a := range rt.rule.allow {
		if a.Reach == access.Anybody {
			return "head"
		}
		if p := standsFor[a.Role]; p != "" {
			return p
		}
	}
	w.Fatalf("nobody of the world may see %s: say who", rt.id)
	return ""
}

// seated is a browser at which a visit's person is signed in.
func (w *world) seated(p domain.PersonID) *browser {
	w.Helper()
	if p != enrolling {
		return w.as(p)
	}
	return w.enrols("filer_far")
}

// enrols is a browser that has opened a one-time link of somebody's.
func (w *world) enrols(p domain.PersonID) *browser {
	w.Helper()
	admin, b := w.as("admin"), w.as("")
	page := admin.send(admin.page("/links"), "/links", url.Values{"person": {string(p)}}, http.StatusOK)
	_, secret, _ := strings.Cut(textOf(page), "/link#")
	secret, _, _ = strings.Cut(secret, " ")
	target, values := b.form(b.page("/link"), "/link", url.Values{"secret": {secret}})
	b.want(http.MethodPost, target, values, http.StatusSeeOther)
	return b
}

// fullDay makes a day on which everything has happened: a report returned, corrected, signed, corrected again; a reminder, a
// consolidation that is out of date; late, missing and unsigned reports, an explanation, a judgement, a target missed. Every
// text that somebody typed is hostile.
func (w *world) fullDay() {
	w.Helper()
	on := func(day domain.Date) string { return strings.Replace(report, "2021-02-08", string(day), 1) }
	file := func(b *browser, slot string, values url.Values) {
		b.Helper()
		b.follow(b.send(b.page(slot+"/file"), "/file", values, http.StatusOK), "/file", url.Values{"step": {"send"}})
	}
	sign := w.evident(func(b []byte) []byte { return b })
	w.clock.Set(at(8, 0).AddDate(0, 0, -1))
	file(w.as("filer"), on("2021-02-07"), figures("8000", "3900", "0"))
	w.clock.Set(at(8, 0))
	filer, head, district := w.as("filer"), w.as("head"), w.as("district")
	file(filer, report, figures("8000", "4000", "100"))
	head.follow(head.page(report+"/sign"), "/return", url.Values{"reason": {"Thiếu khu phố 3 " + hostile}})
	values := figures("8000", "4100", "200")
	values.Set("reason", "Bổ sung khu phố 3 "+hostile)
	values.Set("note", "Ghi chú "+hostile)
	file(filer, report, values)
	head.follow(head.page(report+"/sign"), "/sign", url.Values{"agree": {"1"}})
	district.follow(district.page("/district?unit=718"), "/25744/2021-02-08/remind", nil)
	file(district, "/reports/bluezone/district/718/2021-02-08", url.Values{"f_agencies_reached": {"12"}})
	w.clock.Set(at(16, 10))
	file(w.as("filer_far"), strings.Replace(report, "25741", "25819", 1), figures("5000", "1200", "20"))
	filer = w.as("filer")
	values.Set("f_installed", "4250")
	values.Set("reason", "Rà soát lại "+hostile)
	file(filer, report, values)
	w.clock.Set(at(18, 0))
	_, err := (&commands.Closer{Ledger: w.ledger, Parallel: 1}).CloseDue(context.Background())
	w.ok(err)
	w.settle()
	head, department := w.as("head"), w.as("department")
	head.follow(head.page(report+"/explain"), "/explain", url.Values{"text": {"Đi họp " + hostile}})
	department.follow(department.page("/judgements?outcome=explained"), "/excuse", url.Values{"reason": {"Chấp nhận " + hostile}})
	department.follow(department.page("/totals?date=2021-02-08"), "/totals/issue", url.Values{"to": {"UBND tỉnh " + hostile}, "note": {hostile}})
	w.as("inspector").page("/reports/25741/2021-02-08")
	w.settle()
	sign()
}

// TestEveryPageIsVisited: the tests that look at every page look at every page: each route of GET is visited as somebody, or
// it is said why it is no page.
func TestEveryPageIsVisited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen, names := map[string]bool{}, map[string]bool{}
	for _, v := range w.visits() {
		if names[v.name] {
			t.Errorf("two pages are called %s", v.name)
		}
		seen[v.route], names[v.name] = true, true
	}
	for _, rt := range w.handler.routes {
		if rt.method == http.MethodGet && !rt.json && !seen[rt.id] && notPages[rt.id] == "" {
			t.Errorf("%s is not visited", rt.id)
		}
	}
	for id := range notPages {
		if !slices.ContainsFunc(w.handler.routes, func(rt *route) bool { return rt.id == id }) {
			t.Errorf("there is no route %s", id)
		}
	}
}
