package web

import (
	"cmp"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// operateAdmits is whom the routes of operators and developers let in, about unit 25741.
func operateAdmits(all []string) map[string][]string {
	only := func(who ...string) []string { return who }
	admin, operators, everything := only("admin"), only("department", "inspector", "admin"), only("department", "inspector")
	out := map[string][]string{"configuration": only("department", "admin"), "operations": operators, "rebuild-feed": operators, "integrity": operators, "organisation": operators, "people": operators,
		"office": append(operators, "head", "deputy"), "delegate": only("department", "head", "deputy"), "undelegate": only("department", "head", "deputy"),
		"register-unit": only("department"), "change-unit": only("department"), "appoint": only("department"), "leave": only("department"), "person": only("inspector", "admin"),
		"events": everything, "event": everything, "cloud-event": everything}
	for _, id := range []string{"retry", "rebuild", "rebuild-cancel", "rebuild-undo", "rebuild-drop", "verify", "register", "grant-role", "revoke-role", "revoke-credential", "person-link", "person-sessions", "person-unbind", "person-password"} {
		out[id] = admin
	}
	for _, id := range []string{"developers", "schema", "tokens", "token-create", "token-revoke"} {
		out[id] = all
	}
	return out
}

// operateVisits is more states of the pages of operators and developers, for the tests that look at every page.
func operateVisits() []visit {
	return []visit{
		{"office-department", "office", "department", "/organisation/25741", nil}, {"office-head", "office", "head", "/organisation/25741", nil},
		{"office-refused", "office", "department", "/organisation/25741", []step{{map[string]string{"#appoint-person": "filer", "#appoint-title": "x"}, `form[action$="/appoint"] button`}}},
		{"person-head", "person", "admin", "/people/head", nil}, {"events-filtered", "events", "inspector", "/events?after=first&category=report&unit=25741", nil},
		{"people-refused", "people", "admin", "/people", []step{{map[string]string{"#register-id": "filer", "#register-name": "x"}, "form.stack button"}}},
		{"tokens-made", "tokens", "deputy", "/tokens", []step{{map[string]string{"#label": "máy gửi"}, `form.stack button`}}},
	}
}

const testAPI = `{"info":{"version":"1"},"paths":{"/v1/events":{"get":{"operationId":"list-events","summary":"Events <b>","tags":["events"],
	"parameters":[{"name":"after","in":"query","description":"After this.","schema":{"type":"string"}}],
	"responses":{"200":{"content":{"application/json":{"schema":{"$ref":"#/components/schemas/EventPage"}}}},"404":{}}}}},
	"components":{"schemas":{"EventPage":{"type":"object","properties":{"x":{"$ref":"#/components/schemas/Other"}}},"Other":{"description":"$ref"}}}}`

func (w *world) operate() Operate {
	return Operate{Rebuilds: w.views, Events: w.log, OpenAPI: []byte(testAPI), Site: "https://ledger.example",
		CloudEvent: func(e eventlog.Recorded) ([]byte, error) { return fmt.Appendf(nil, `{"id":%q}`, e.ID), nil },
		Integrity:  func(context.Context) (ui.IntegrityState, error) { return w.integrity, nil },
		Verify:     func() { w.integrity.Last.Running = true },
		Settings:   []ui.Setting{{Key: "listen", Value: ":80", Source: "environment", Where: "ANSWERABLE_LISTEN"}, {Key: "postgres_url", Value: "postgres://u:xxxxx@h/d", Source: "file", Where: "/etc/" + hostile}}}
}

// checkpoint is a newer one each time, as in a ledger that is written to.
func (w *world) checkpoint(context.Context) (string, error) {
	return fmt.Sprintf("%d 47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", w.signed.Add(1)), nil
}

func (w *world) signedLately(_ context.Context, seen string) (bool, error) {
	size, root, _ := strings.Cut(seen, " ")
	n, err := strconv.ParseInt(size, 10, 64)
	return err == nil && n >= 1 && n <= w.signed.Load() && root == "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=", nil
}

// rebuilt waits until no rebuild goes on.
func (w *world) rebuilt() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	for {
		s, changed := w.views.RebuildStatus()
		if s.State != "running" {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			w.Fatal("the rebuild does not end")
		}
	}
}

func formOf(root *html.Node, action string) *html.Node {
	return find(root, func(n *html.Node) bool { return n.Data == "form" && attr(n, "action") == action })
}

// TestRebuildFromThePage: a dry run, a rebuild that switches, going back, and letting go of what could be gone back to.
func TestRebuildFromThePage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, inspector := w.as("admin"), w.as("inspector")
	root := inspector.page("/operations")
	inspector.shows(root, "Bảng tổng hợp đang đọc", "Cây bằng chứng đã ký", "Sổ ở vị trí")
	if formOf(root, "/operations/rebuild") != nil {
		t.Error("an inspector is offered a rebuild")
	}
	root = admin.page("/operations")
	admin.follow(root, "/operations/rebuild", url.Values{"how": {"dry"}})
	w.rebuilt()
	root = admin.page("/operations")
	admin.shows(root, "Đã xong", "Không có khác biệt nào", "0 thay đổi không được khai báo")
	if formOf(root, "/operations/rebuild/undo") != nil {
		t.Error("a dry run leaves something to go back to")
	}
	admin.want(http.MethodPost, "/operations/rebuild/undo", nil, http.StatusConflict)
	admin.want(http.MethodPost, "/operations/rebuild", url.Values{"how": {"accept"}}, http.StatusUnprocessableEntity) // without a tick
	admin.want(http.MethodPost, "/operations/rebuild", url.Values{"how": {"x"}}, http.StatusBadRequest)
	admin.follow(root, "/operations/rebuild", url.Values{"how": {"switch"}})
	w.rebuilt()
	root = admin.page("/operations")
	admin.shows(root, "Quay lại bảng trước", "Bảng tổng hợp trước, giữ để quay lại")
	root = admin.follow(root, "/operations/rebuild/undo", nil)
	admin.want(http.MethodPost, "/operations/rebuild/drop", nil, http.StatusUnprocessableEntity)
	root = admin.follow(root, "/operations/rebuild/drop", url.Values{"agree": {"1"}})
	if formOf(root, "/operations/rebuild/undo") != nil {
		t.Error("what was let go of is still offered")
	}
	admin.want(http.MethodPost, "/operations/rebuild/cancel", nil, http.StatusSeeOther) // nothing to cancel is no fault
	if find(root, func(n *html.Node) bool { return n.Data == "meta" && attr(n, "http-equiv") != "" }) != nil {
		t.Error("a page on which nothing goes on loads itself again")
	}
}

// rebuildAt is a rebuild that stands where it is told to.
type rebuildAt struct {
	Rebuilder
	status projections.RebuildStatus
}

func (r rebuildAt) RebuildStatus() (projections.RebuildStatus, <-chan struct{}) { return r.status, nil }

// TestDifferences: who may switch sees what would change, by unit, day and figure, and is asked to say that they have.
func TestDifferences(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	first := []projections.Change{{View: "compliance", Unit: "25741", Form: "commune", Day: "2021-02-08", Field: "figures.installed", Old: "4000", New: "4100" + hostile},
		{View: "history", Row: "a row " + hostile, Field: "version", Declared: "vì " + hostile}}
	w.handler.Operate.Rebuilds = rebuildAt{w.views, projections.RebuildStatus{State: "refused", Error: "differs " + hostile,
		Comparison: &projections.Comparison{Place: "33", Rows: 1234, Declared: 1, Undeclared: 7, First: first}}}
	root := admin.page("/operations")
	admin.shows(root, "1.234 dòng", "7 thay đổi không được khai báo", "25741", "08/02/2021", "figures.installed", "4000", "4100"+hostile, "a row "+hostile, "vì "+hostile, "answerable rebuild --dry-run")
	if accept := formOf(root, "/operations/rebuild"); find(root, func(n *html.Node) bool { return n.Data == "button" && attr(n, "value") == "accept" }) == nil || accept == nil {
		t.Error("what differs cannot be accepted")
	}
	if formOf(w.as("inspector").page("/operations"), "/operations/rebuild") != nil {
		t.Error("an inspector is offered to accept it")
	}
	w.handler.Operate.Rebuilds = rebuildAt{w.views, projections.RebuildStatus{State: "running", Progress: &projections.Progress{Phase: "write", Events: 9, Total: 9, Rows: 500, AllRows: 1000, Seconds: 2, Left: 2}}}
	root = admin.page("/operations")
	admin.shows(root, "Ghi bảng mới: 500 / 1.000 (50 %)", "còn khoảng 2 giây")
	if formOf(root, "/operations/rebuild/cancel") == nil || formOf(root, "/operations/rebuild") != nil {
		t.Error("a rebuild that goes on can be cancelled, and no other begun")
	}
	if bar := find(root, func(n *html.Node) bool { return n.Data == "progress" }); attr(bar, "value") != "500" || attr(bar, "max") != "1000" || attr(bar, "aria-label") == "" {
		t.Error("the bar does not say how far it is")
	}
	if r := admin.want(http.MethodGet, "/operations", nil, http.StatusOK); !strings.Contains(r.Body.String(), `<noscript><meta http-equiv="refresh"`) {
		t.Error("without a script the page stays as it is")
	}
	w.handler.Operate.Rebuilds = nil // a process that only reads
	root = admin.page("/operations")
	admin.shows(root, "Tiến trình này không làm bảng tổng hợp")
	for _, act := range []string{"", "/cancel", "/undo", "/drop"} {
		admin.want(http.MethodPost, "/operations/rebuild"+act, url.Values{"how": {"dry"}, "agree": {"1"}}, http.StatusConflict)
	}
}

// TestIntegrity: the verdict is the worst that is known, in words.
func TestIntegrity(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	good := ui.IntegrityState{Origin: "example/log", Entries: 9, Signed: 9, Witnessed: 8, Wants: true, SignedAt: at(8, 0), Checkpoint: "example/log\n9\nabc=\n", Second: "/other/disk/checkpoint",
		Cosigned: []ui.Cosigned{{Witness: "w " + hostile, Last: at(8, 0)}}, Policy: "log " + hostile, Checks: true}
	for want, change := range map[string]func(*ui.IntegrityState){
		"Sổ toàn vẹn":                     func(*ui.IntegrityState) {},
		"chưa có nhân chứng độc lập":      func(s *ui.IntegrityState) { s.Wants = false },
		"chưa có nhân chứng nào xác nhận": func(s *ui.IntegrityState) { s.Witnessed = 0 },
		"Chưa có điểm kiểm tra nào":       func(s *ui.IntegrityState) { s.Signed = 0 },
		"Sổ này không tạo bằng chứng":     func(s *ui.IntegrityState) { s.Origin = "" },
		"Không ký được nữa : the disk":    func(s *ui.IntegrityState) { s.Trouble = "the disk " + hostile },
		"Bản thứ hai không khớp : older":  func(s *ui.IntegrityState) { s.SecondSays = "older" },
		"chỗ sai đầu tiên: event 7":       func(s *ui.IntegrityState) { s.Last = ui.Verification{At: at(7, 0), Fault: "event 7"} },
	} {
		w.integrity = good
		change(&w.integrity)
		root := admin.page("/integrity")
		text := strings.NewReplacer(" :", ":", " ,", ",").Replace(textOf(root))
		if !strings.Contains(text, strings.ReplaceAll(want, " :", ":")) {
			t.Errorf("no %q in\n%s", want, text)
		}
		if broken := find(root, func(n *html.Node) bool { return attr(n, "class") == "verdict broken" }) != nil; broken != strings.ContainsAny(want, ":") {
			t.Errorf("%q: broken %v", want, broken)
		}
	}
	w.integrity = good
	root := admin.page("/integrity")
	admin.shows(root, "example/log", "/other/disk/checkpoint", "notary audit")
	if link := find(root, func(n *html.Node) bool { return n.Data == "a" && attr(n, "href") == "/log/checkpoint" }); link == nil {
		t.Error("the checkpoint cannot be downloaded")
	}
	root = admin.follow(root, "/integrity/verify", nil)
	admin.shows(root, "đang kiểm tra")
	if formOf(root, "/integrity/verify") != nil {
		t.Error("a check is offered while one goes on")
	}
	if formOf(w.as("inspector").page("/integrity"), "/integrity/verify") != nil {
		t.Error("an inspector is offered a check")
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	root := admin.page("/configuration")
	admin.shows(root, "listen", "địa chỉ phục vụ", "biến môi trường", "ANSWERABLE_LISTEN", "postgres://u:xxxxx@h/d", "tệp cấu hình")
	w.as("inspector").want(http.MethodGet, "/configuration", nil, http.StatusForbidden)
}

// TestOrganisation: a succession and a delegation, recorded from the pages by who may.
func TestOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	department, head, inspector := w.as("department"), w.as("head"), w.as("inspector")
	root := department.page("/organisation?q=hiep")
	department.shows(root, "Hiệp Thành", "718", "Nguyễn head")
	department.shows(department.page("/organisation?parent=719"), "Trừ Văn Thố", "khuyết")
	department.want(http.MethodGet, "/organisation?date=soon", nil, http.StatusUnprocessableEntity)
	const unit = "/organisation/25741"
	root = inspector.page(unit)
	inspector.shows(root, "Nhiệm kỳ", "01/QĐ", "02/UQ", "TUQ. Phó Chủ tịch", "đang hiệu lực")
	if formOf(root, unit+"/appoint") != nil || formOf(root, unit+"/delegate") != nil {
		t.Error("an inspector is offered an act")
	}

	// Two heads at once are refused, and what was typed stays.
	root = department.page(unit)
	root = department.send(root, unit+"/appoint", url.Values{"person": {"filer_b"}, "capacity": {"acting"}, "title": {"Q. Chủ tịch " + hostile}}, http.StatusConflict)
	if in := find(root, func(n *html.Node) bool { return attr(n, "id") == "appoint-title" }); attr(in, "value") != "Q. Chủ tịch "+hostile {
		t.Errorf("the title typed is %q", attr(in, "value"))
	}
	root = department.follow(root, unit+"/leave", url.Values{"reason": {"Nghỉ hưu"}})
	department.shows(root, "Đã ghi vào sổ")
	root = department.follow(root, unit+"/appoint", url.Values{"person": {"filer_b"}, "capacity": {"acting"}, "title": {"Q. Chủ tịch"}, "from": {"2021-02-08T08:00:01"}, "decision": {"05/QĐ"}})
	department.shows(root, "Q. Q. Chủ tịch", "05/QĐ")
	department.send(root, unit+"/appoint", url.Values{"person": {"nobody_known"}, "title": {"x"}}, http.StatusNotFound)
	department.send(root, unit+"/appoint", url.Values{"person": {"filer"}, "title": {"x"}, "from": {"soon"}}, http.StatusUnprocessableEntity)

	// Who held the office may look, and no longer delegate; the department may, and takes it back.
	root = head.page(unit)
	if formOf(root, unit+"/delegate") != nil {
		t.Error("a former head is offered to delegate")
	}
	w.clock.Set(at(8, 10))
	root = department.page(unit)
	for _, act := range []string{"/appoint", "/leave", "/delegate", "/undelegate"} { // it is too long ago that they proved who they are
		department.want(http.MethodPost, unit+act, url.Values{"key": {newKey()}, "person": {"filer_b"}, "title": {"x"}, "authority": {"uq_1"}, "reason": {"x"}}, http.StatusForbidden)
	}
	if o, err := w.ledger.Office(w.ctx, "25741"); err != nil || len(o.Tenures) != 2 || len(o.Authorities) != 1 || !o.Authorities[0].RevokedAt.IsZero() {
		t.Errorf("without a fresh proof: %+v (%v)", o, err)
	}
	department = w.as("department")
	target, values := department.form(root, unit+"/delegate", url.Values{"person": {"deputy"}, "capacity": {"KT"}, "title": {"Phó"}, "until": {"2021-03-01T00:00"}, "decision": {"06/UQ"}})
	department.want(http.MethodPost, target, values, http.StatusSeeOther)
	r := department.want(http.MethodPost, target, values, http.StatusSeeOther) // sent twice
	root = department.page(r.Header().Get("Location"))
	if o, err := w.ledger.Office(w.ctx, "25741"); err != nil || len(o.Authorities) != 2 {
		t.Errorf("%d authorities (%v)", len(o.Authorities), err)
	}
	root = department.follow(root, unit+"/undelegate", url.Values{"reason": {"Hết việc"}})
	department.shows(root, "đã thu hồi")
}

// TestUnits: a unit comes in and changes, from days on, and everything it was stays to be seen.
func TestUnits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	department := w.as("department")
	root := department.page("/organisation")
	one := url.Values{"unit": {"25900"}, "level": {"commune"}, "type": {"Xã"}, "name": {"Tân Bình " + hostile}, "parent": {"718"}, "effective_on": {"2020-01-01"}, "source": {"124/QĐ"}}
	wrong := maps.Clone(one)
	wrong["parent"] = []string{"99999"}
	root = department.send(root, "/organisation", wrong, http.StatusNotFound)
	if in := find(root, func(n *html.Node) bool { return attr(n, "id") == "unit-name" }); attr(in, "value") != "Tân Bình "+hostile {
		t.Error("the name typed is lost")
	}
	root = department.follow(root, "/organisation", one)
	department.shows(root, "Tân Bình "+hostile, "Thủ Dầu Một", "khuyết")
	const change = "/organisation/25900/change"
	for _, bad := range []url.Values{{"change": {"moved"}, "effective_on": {"2021-02-01"}, "basis": {"x"}}, {"change": {"renamed"}, "effective_on": {"soon"}, "name": {"y"}, "basis": {"x"}}, {"change": {"dissolved"}, "effective_on": {"2021-02-01"}}} {
		department.send(root, change, bad, http.StatusUnprocessableEntity)
	}
	department.want(http.MethodPost, change, url.Values{"key": {newKey()}, "change": {"x"}}, http.StatusBadRequest)
	root = department.follow(root, change, url.Values{"change": {"reclassified"}, "effective_on": {"2021-02-01"}, "name": {"Thị trấn Tân Bình"}, "type": {"Thị trấn"}, "basis": {"NQ 1"}})
	root = department.follow(root, change, url.Values{"change": {"moved"}, "effective_on": {"2021-02-03"}, "other": {"719"}, "basis": {"NQ 2"}})
	department.shows(root, "Thị trấn Tân Bình", "Tân Bình "+hostile, "Bàu Bàng", "Thủ Dầu Một", "03/02/2021")
	root = department.follow(root, change, url.Values{"change": {"renamed"}, "effective_on": {"2021-02-04"}, "name": {"Tân Bình"}, "basis": {"NQ 3"}})
	root = department.follow(root, change, url.Values{"change": {"merged"}, "effective_on": {"2021-03-01"}, "other": {"25744"}, "basis": {"NQ 4"}})
	department.shows(root, "nhập vào 25744")
	if formOf(root, change) != nil {
		t.Error("a unit that has ended is offered a change")
	}
	if find(w.as("inspector").page("/organisation"), func(n *html.Node) bool { return attr(n, "id") == "unit-code" }) != nil {
		t.Error("an inspector is offered to register a unit")
	}
}

// TestPeople: an administrator registers somebody, gives and takes a role, and lets them in.
func TestPeople(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, inspector, department := w.as("admin"), w.as("inspector"), w.as("department")
	root := admin.page("/people?q=NGUYEN+filer_b")
	admin.shows(root, "filer_b", "người lập báo cáo", "Phú Lợi")
	if link := find(department.page("/people"), func(n *html.Node) bool { return attr(n, "href") == "/people/filer" }); link != nil {
		t.Error("the department is led where it may not go")
	}
	admin.send(root, "/people", url.Values{"person": {"filer"}, "name": {"Another"}}, http.StatusConflict)
	root = admin.follow(root, "/people", url.Values{"person": {"new_one"}, "name": {"Lê Mới " + hostile}})
	admin.shows(root, "Lê Mới "+hostile)
	root = admin.send(root, "/people/new_one/grant", url.Values{"role": {"filer"}, "unit": {"99999"}}, http.StatusNotFound)
	if in := find(root, func(n *html.Node) bool { return attr(n, "id") == "grant-unit" }); attr(in, "value") != "99999" {
		t.Error("the unit typed is lost")
	}
	root = admin.follow(root, "/people/new_one/grant", url.Values{"role": {"filer"}, "unit": {"25744"}, "until": {"2021-12-31T00:00"}})
	admin.shows(root, "Phú Lợi", "00:00:00 31/12/2021", "đang hiệu lực")
	root = admin.follow(root, "/people/new_one/revoke", url.Values{"reason": {"Nhầm"}})
	admin.shows(root, "đã hết")
	link := admin.send(root, "/people/new_one/link", nil, http.StatusOK)
	admin.shows(link, "/link#")
	admin.shows(admin.page("/people/new_one"), "tạo liên kết dùng một lần")
	root = inspector.page("/people/head")
	inspector.shows(root, "Chủ tịch", "01/QĐ")
	if formOf(root, "/people/head/grant") != nil || strings.Contains(textOf(root), "Nhật ký tài khoản") {
		t.Error("an inspector is shown what is the administrator's")
	}
	inspector.want(http.MethodGet, "/people/no_such", nil, http.StatusNotFound)

	// A session of somebody ends when the administrator says so.
	filer := w.as("filer")
	admin.follow(admin.page("/people/filer"), "/people/filer/sessions", nil)
	filer.want(http.MethodGet, "/account", nil, http.StatusSeeOther)
}

// counted is a log whose positions count its events, as those of this test do.
type counted struct{ eventlog.Log }

func (counted) Dense() bool { return true }

// TestExplorer: the log page by page, an event with everything about it, and the reading noted.
func TestExplorer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	inspector := w.as("inspector")
	seen, pages := 0, 0
	for target := "/events?after=first"; target != ""; pages++ {
		root := inspector.page(target)
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && n.Data == "th" && attr(n, "scope") == "row" {
				seen++
			}
		}
		next := find(root, func(n *html.Node) bool { return attr(n, "rel") == "next" })
		if target = ""; next != nil {
			target = attr(next, "href")
		}
	}
	count := 0
	for b, err := range w.log.Follow(w.ctx, eventlog.Position{}, eventlog.Filter{}, eventlog.FollowOptions{}) {
		w.ok(err)
		if count += len(b.Events); b.CaughtUp {
			break
		}
	}
	if seen != count || pages != (count+eventsOnPage-1)/eventsOnPage {
		t.Errorf("%d events on %d pages, of %d", seen, pages, count)
	}
	// From the end towards the beginning each event comes once too, and those asked for alone.
	w.handler.Operate.Events = counted{w.log}
	for query, want := range map[string]int{"": count, "unit=25741": 0, "category=person&kind=RoleGranted": 0} {
		var places []uint64
		for target := "/events?" + query; target != ""; {
			root := inspector.page(target)
			for n := range root.Descendants() {
				if n.Type == html.ElementNode && n.Data == "td" && attr(n, "class") == "num" {
					p, err := eventlog.ParsePosition(strings.TrimSpace(textOf(n)))
					w.ok(err)
					places = append(places, p.Commit)
				}
			}
			next := find(root, func(n *html.Node) bool { return attr(n, "rel") == "next" })
			if target = ""; next != nil {
				target = attr(next, "href")
			}
		}
		if !slices.IsSortedFunc(places, func(a, b uint64) int { return cmp.Compare(b, a) }) || len(places) == 0 || want > 0 && len(places) != want {
			t.Errorf("%q, newest first: %d, want %d: %v", query, len(places), want, places)
		}
	}
	inspector.want(http.MethodGet, "/events?before=soon", nil, http.StatusBadRequest)
	w.handler.Operate.Events = w.log
	root := inspector.page("/events?after=first&kind=OfficeTaken&unit=25741&category=office")
	inspector.shows(root, "OfficeTaken", "office-25741")
	if text := textOf(find(root, func(n *html.Node) bool { return n.Data == "tbody" })); strings.Contains(text, "AuthorityGranted") || strings.Contains(text, "UnitRegistered") {
		t.Error(text)
	}
	for _, bad := range []string{"/events?category=x", "/events?after=soon"} {
		inspector.want(http.MethodGet, bad, nil, http.StatusBadRequest)
	}
	for _, gone := range []string{"/events/unit-25741/99", "/events/unit-25741/x", "/events/secret-1/0", "/events/no.such/0", "/events/unit-25741/99/cloudevent"} {
		inspector.want(http.MethodGet, gone, nil, http.StatusNotFound)
	}
	root = inspector.page("/events/unit-25741/0")
	inspector.shows(root, "UnitRegistered", `"name"`, `<script>alert(\"x\")</script>`, "curl -H", "stream=unit-25741", `"schema": 1`)
	if next := find(root, func(n *html.Node) bool { return attr(n, "rel") == "next" }); next == nil {
		t.Error("no way to the event after")
	}
	inspector.shows(inspector.page("/events/office-25741/1"), "AuthorityGranted", "Trước trong luồng")
	r := inspector.want(http.MethodGet, "/events/unit-25741/0/cloudevent", nil, http.StatusOK)
	if r.Header().Get("Content-Type") != "application/cloudevents+json; charset=utf-8" || !strings.HasPrefix(r.Body.String(), `{"id":`) {
		t.Error(r.Header(), r.Body)
	}
	w.ok(w.state.Flush(w.ctx))
	entries, err := w.state.Accesses(w.ctx, "inspector", 0, 100)
	w.ok(err)
	logged := map[string]bool{}
	for _, e := range entries {
		logged[e.Path] = true
	}
	for _, path := range []string{"/events", "/events/unit-25741/0", "/events/unit-25741/0/cloudevent"} {
		if !logged[path] {
			t.Errorf("reading %s is not noted", path)
		}
	}
}

func TestDevelopers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer := w.as("filer")
	root := filer.page("/developers")
	filer.shows(root, "/v1/events", "Events <b>", "after", "After this.", "EventPage", "200")
	root = filer.page("/developers/schemas/EventPage")
	filer.shows(root, `"type": "object"`, "Other")
	if n := find(root, func(n *html.Node) bool { return attr(n, "href") == "/developers/schemas/Other" }); n == nil {
		t.Error("a schema does not lead to what it uses")
	}
	filer.want(http.MethodGet, "/developers/schemas/None", nil, http.StatusNotFound)
	w.handler.operating.doc = readAPI([]byte("{"))
	filer.want(http.MethodGet, "/developers", nil, http.StatusInternalServerError)
}

// TestTokens: a token is told once, works as its person, and is ended by them or by an administrator, and by nobody else.
func TestTokens(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer, admin, head := w.as("filer"), w.as("admin"), w.as("head")
	root := filer.page("/tokens")
	root = filer.send(root, "/tokens", url.Values{"label": {"máy " + hostile}, "scope": {"read"}, "days": {"30"}}, http.StatusOK)
	filer.shows(root, "chỉ hiển thị một lần", "máy "+hostile, "chưa bao giờ")
	secret := strings.TrimSpace(textOf(find(root, func(n *html.Node) bool { return n.Data == "code" && attr(n, "class") == "statement" })))
	if token, err := w.state.Token(w.ctx, secret); err != nil || token.Person != "filer" || !token.ExpiresAt.Equal(at(8, 0).Add(30*24*time.Hour)) {
		t.Errorf("%+v (%v)", token, err)
	}
	if root = filer.page("/tokens"); strings.Contains(textOf(root), secret) {
		t.Error("the secret is told twice")
	}
	for _, wrong := range []url.Values{{"label": {"x"}, "scope": {"read"}, "days": {"9999"}}, {"label": {"x"}, "scope": {"all"}, "days": {"1"}}} {
		if r := filer.ask(http.MethodPost, "/tokens", wrong); r.Code != http.StatusBadRequest && r.Code != http.StatusUnprocessableEntity {
			t.Errorf("%v: %d", wrong, r.Code)
		}
	}
	_, values := filer.form(root, "/tokens/revoke", nil)
	head.want(http.MethodPost, "/tokens/revoke", values, http.StatusNotFound)
	if strings.Contains(textOf(head.page("/tokens")), "onerror") {
		t.Error("somebody else's token is shown")
	}
	root = admin.page("/tokens")
	admin.shows(root, "Token của mọi người", "máy", "filer")
	admin.shows(admin.follow(root, "/tokens/revoke", nil), "Đã thu hồi")
	if _, err := w.state.Token(w.ctx, secret); err == nil {
		t.Error("a revoked token works")
	}
	admin.shows(admin.page("/people/filer"), "tạo token", "thu hồi token")

	// Without a recent proof none is made.
	w.clock.Set(at(8, 25))
	filer.shows(filer.page("/tokens"), "trước hết hãy chứng minh lại")
	filer.want(http.MethodPost, "/tokens", url.Values{"label": {"x"}, "scope": {"read"}, "days": {"1"}}, http.StatusForbidden)
}

// TestWeight: each page stays below 40 kB compressed, in both languages, and has labels, captions and headings in order.
func TestWeight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.as("admin")
	department := w.as("department")
	for _, target := range []string{"/operations", "/integrity", "/configuration", "/organisation", "/organisation/25741", "/people", "/people/filer", "/events", "/events/unit-25741/0", "/developers", "/developers/schemas/EventPage", "/tokens"} {
		for _, lang := range []string{"vi", "en"} {
			who := b
			if strings.HasPrefix(target, "/events") || target == "/organisation/25741" {
				who = department
			}
			r := who.want(http.MethodGet, target+"?lang="+lang, nil, http.StatusOK, func(r *http.Request) { r.Header.Set("Accept-Encoding", "gzip") })
			if r.Body.Len() > 40<<10 {
				t.Errorf("%s in %s weighs %d bytes", target, lang, r.Body.Len())
			}
			z, err := gzip.NewReader(r.Body)
			w.ok(err)
			text, err := io.ReadAll(z)
			w.ok(err)
			root, err := html.Parse(strings.NewReader(string(text)))
			w.ok(err)
			accessible(t, target, root)
		}
	}
}

// accessible looks for what a machine can see: a name for every field, a caption for every table, headings without a gap, and
// no id twice.
func accessible(t *testing.T, target string, root *html.Node) {
	t.Helper()
	ids, labelled := map[string]bool{}, map[string]bool{}
	level := 0
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if id := attr(n, "id"); id != "" {
			if ids[id] {
				t.Errorf("%s: id %s twice", target, id)
			}
			ids[id] = true
		}
		labelled[attr(n, "for")] = labelled[attr(n, "for")] || n.Data == "label"
		if n.Data == "table" && find(n, func(n *html.Node) bool { return n.Data == "caption" }) == nil {
			t.Errorf("%s: a table without a caption", target)
		}
		if len(n.Data) == 2 && n.Data[0] == 'h' && n.Data[1] >= '1' && n.Data[1] <= '6' {
			if now := int(n.Data[1] - '0'); now > level+1 {
				t.Errorf("%s: h%d after h%d", target, now, level)
			} else {
				level = now
			}
		}
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "input" && n.Data != "select" && n.Data != "textarea" || attr(n, "type") == "hidden" {
			continue
		}
		inside := false
		for up := n.Parent; up != nil; up = up.Parent {
			inside = inside || up.Data == "label"
		}
		if !inside && !labelled[attr(n, "id")] {
			t.Errorf("%s: a field without a name: %s", target, attr(n, "name"))
		}
	}
}
