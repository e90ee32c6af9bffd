package web

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/projections"
)

// line is a connection that somebody reads while it is written.
type line struct {
	header http.Header
	status int
	*io.PipeWriter
}

func (l *line) Header() http.Header    { return l.header }
func (l *line) WriteHeader(status int) { l.status = status }
func (l *line) Flush()                 {}

// listen opens the feed of a page, and gives the lines that are sent on it.
func (b *browser) listen(target string) (lines *bufio.Scanner, hangUp func()) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	in, out := io.Pipe()
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "https://ledger.example"+target, nil)
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		b.handler.ServeHTTP(&line{header: http.Header{}, PipeWriter: out}, r)
		out.Close()
	}()
	return bufio.NewScanner(in), func() {
		cancel()
		in.Close()
		<-done
	}
}

func until(t *testing.T, lines *bufio.Scanner, want string) string {
	t.Helper()
	for lines.Scan() {
		if strings.Contains(lines.Text(), want) {
			return lines.Text()
		}
	}
	t.Fatalf("the feed ended before %q: %v", want, lines.Err())
	return ""
}

// TestLiveFeed: a page is told what changed of what it shows, and nothing else; a page that is left open does not keep its
// reader signed in.
func TestLiveFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.handler.Log = w.log
	department, district := w.as("department"), w.as("district")
	all, hangUp := department.listen("/live?regime=bluezone&from=2021-02-08&to=2021-02-08")
	defer hangUp()
	mine, hangUpMine := district.listen("/live?regime=bluezone&unit=718&from=2021-02-08&to=2021-02-08")
	defer hangUpMine()
	until(t, all, "retry:")
	until(t, mine, "retry:")
	form := url.Values{"key": {newKey()}, "step": {"send"}}
	for name, v := range figures("8000", "4000", "100") {
		form[name] = v
	}
	w.as("").want(http.MethodGet, "/live?regime=bluezone", nil, http.StatusUnauthorized)
	w.as("filer_far").want(http.MethodPost, strings.Replace(report, "25741", "25819", 1)+"/file", form, http.StatusSeeOther)
	w.as("filer").want(http.MethodPost, report+"/file", form, http.StatusSeeOther)
	if got := until(t, mine, "data:"); !strings.Contains(got, `"unit":"25741"`) || strings.Contains(got, "25819") {
		t.Errorf("the district is told %s", got)
	}
	if got := until(t, all, `"unit":"25819"`); !strings.Contains(got, `"position":`) {
		t.Errorf("the department is told %s", got)
	}

	// The part that is asked for again is the part alone.
	r := department.want(http.MethodGet, "/grid?from=2021-02-08&to=2021-02-08", nil, http.StatusOK, func(r *http.Request) { r.Header.Set("HX-Request", "true") })
	if body := r.Body.String(); strings.Contains(body, "<html") || !strings.Contains(body, `id="live"`) {
		t.Error(body)
	}
	if page := department.page("/grid?from=2021-02-08&to=2021-02-08&known=deadline"); find(page, func(n *html.Node) bool { return hasAttr(n, "data-live") }) != nil {
		t.Error("what is past is asked for again")
	}
	w.clock.Set(w.clock.Now().Add(25 * time.Minute))
	department.want(http.MethodGet, "/grid", nil, http.StatusOK, func(r *http.Request) { r.Header.Set("HX-Request", "true") })
	w.clock.Set(w.clock.Now().Add(10 * time.Minute))
	department.want(http.MethodGet, "/grid", nil, http.StatusSeeOther)

	// A server that ends does not wait for its pages.
	w.handler.CloseFeeds()
	for all.Scan() {
	}
}

// TestBrowserLive: a grid and a board that are open show a report that comes in, without being loaded again, and
// who works with the keyboard stays where they are.
func TestBrowserLive(t *testing.T) {
	w, origin := serveWorld(t)
	w.handler.Log = w.log
	shots := artifacts(t)
	desk, phone := newTab(t, origin, shots, "desk", 1280, 900), newTab(t, origin, shots, "phone", 390, 844)
	desk.signInAs("department")
	desk.open("/grid?from=2021-02-07&to=2021-02-08")
	phone.signInAs("district")
	phone.open("/district?unit=718&date=2021-02-08")
	for _, b := range []*tab{desk, phone} {
		b.do(chromedp.WaitVisible(chromedp.CSS("#livestate:not([hidden])")), chromedp.SetAttributeValue(chromedp.CSS("body"), "data-loaded", "once"))
	}
	for _, b := range []*tab{desk, phone} {
		if !b.is(`(() => { const all = document.querySelectorAll("#live a"), last = all[all.length-1]; last.focus(); return document.activeElement === last })()`) {
			t.Errorf("%s: nothing in the part that changes takes the focus", b.name)
		}
	}
	filer := w.as("filer")
	form := figures("8000", "4000", "100")
	form.Set("key", newKey())
	form.Set("step", "send")
	filer.want(http.MethodPost, report+"/file", form, http.StatusSeeOther, func(r *http.Request) { r.Header.Set("Origin", origin) })
	desk.do(chromedp.WaitReady(chromedp.CSS("body[data-loaded] #live td a.on_time")))
	phone.do(chromedp.WaitReady(chromedp.CSS("body[data-loaded] #live td b.on_time")))
	for _, b := range []*tab{desk, phone} {
		if !b.is(`document.activeElement.matches("#live a")`) {
			t.Errorf("%s: who stood in the part that changed has lost their place", b.name)
		}
	}
	desk.shot("grid-live")
	phone.shot("district-live")
}

// stepped is a rebuild that goes on as far as a test says.
type stepped struct {
	Rebuilder
	mu     sync.Mutex
	status projections.RebuildStatus
	next   chan struct{}
}

func (s *stepped) RebuildStatus() (projections.RebuildStatus, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status, s.next
}

func (s *stepped) to(status projections.RebuildStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next != nil {
		close(s.next)
	}
	s.status, s.next = status, make(chan struct{})
}

func (s *stepped) at(events int64) {
	s.to(projections.RebuildStatus{State: "running", Progress: &projections.Progress{Phase: "read", Events: events, Total: 1000}})
}

// TestRebuildFeed: the page of a rebuild is told that it comes further, and that it has ended; whoever may not see the page
// hears nothing.
func TestRebuildFeed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	rebuild := &stepped{Rebuilder: w.views}
	rebuild.at(100)
	w.handler.Operate.Rebuilds = rebuild
	admin := w.as("admin")
	root := admin.page("/operations")
	if part := find(root, func(n *html.Node) bool { return attr(n, "data-live") == "/operations/feed" }); part == nil || attr(part, "data-poll") == "" {
		t.Error("the page does not follow the rebuild")
	}
	r := admin.want(http.MethodGet, "/operations", nil, http.StatusOK, func(r *http.Request) { r.Header.Set("HX-Request", "true") })
	if body := r.Body.String(); strings.Contains(body, "<html") || !strings.Contains(body, `id="live"`) || !strings.Contains(body, `value="100"`) {
		t.Error(body)
	}
	lines, hangUp := admin.listen("/operations/feed")
	defer hangUp()
	until(t, lines, "retry:")
	until(t, lines, "event: changed")
	rebuild.at(500)
	until(t, lines, "event: changed")
	rebuild.to(projections.RebuildStatus{State: "done"})
	until(t, lines, "event: changed")
	for lines.Scan() { // and then it is over
	}
	if find(admin.page("/operations"), func(n *html.Node) bool { return hasAttr(n, "data-live") || hasAttr(n, "data-poll") }) != nil {
		t.Error("what has ended is followed")
	}
	w.as("filer").want(http.MethodGet, "/operations/feed", nil, http.StatusForbidden)
	w.handler.Operate.Rebuilds = nil
	admin.want(http.MethodGet, "/operations/feed", nil, http.StatusConflict)
}

// TestJobs: the page of operations says what was begun, by whom, and how it ended, and how old the last backup is.
func TestJobs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin, filer := w.as("admin"), w.as("filer")
	admin.shows(admin.page("/operations"), "Không biết: phần mềm này chưa sao lưu")
	w.handler.Operate.Backup = func() ui.BackupState {
		return ui.BackupState{At: at(5, 0).AddDate(0, 0, -2), To: "/disk " + hostile, Head: "33"}
	}
	rebuild := &stepped{Rebuilder: w.views}
	rebuild.to(projections.RebuildStatus{State: "failed"})
	w.handler.Operate.Rebuilds = rebuild
	_, record := filer.form(filer.checks("a.csv", goodFile, http.StatusOK), "/upload", url.Values{"step": {"record"}})
	if r := filer.sendFile("", nil, record); r.Code != http.StatusOK {
		t.Fatal(r.Code)
	}
	admin.shows(admin.page("/operations"), "2 ngày 3 giờ trước", "/disk "+hostile, "Nhập tệp báo cáo bluezone 2021-02-08: 1 filer 08:00:00", "xong", "Dựng lại bảng tổng hợp – – – thất bại")
}

// TestBrowserRebuild: a page of operations that is open shows how a rebuild comes further and ends, without being loaded
// again.
func TestBrowserRebuild(t *testing.T) {
	w, origin := serveWorld(t)
	rebuild := &stepped{Rebuilder: w.views}
	rebuild.at(100)
	w.handler.Operate.Rebuilds = rebuild
	desk := newTab(t, origin, artifacts(t), "desk", 1280, 900)
	desk.signInAs("admin")
	desk.open("/operations")
	desk.do(chromedp.WaitVisible(chromedp.CSS("#livestate:not([hidden])")), chromedp.SetAttributeValue(chromedp.CSS("body"), "data-loaded", "once"))
	rebuild.at(700)
	desk.do(chromedp.WaitReady(chromedp.CSS(`body[data-loaded] #live progress[value="700"]`)))
	desk.shot("rebuild-live")
	rebuild.to(projections.RebuildStatus{State: "done"})
	desk.do(chromedp.WaitReady(chromedp.CSS(`body[data-loaded] #live:not([data-live]) button[value="dry"]`)))
	desk.shows("Đã xong")
}
