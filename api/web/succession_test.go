package web

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// TestSuccession: a deputy signs, the day's deadline passes, another head takes over and the report is corrected. What the
// former head answers for stays on their page, with the correction gone to who was in office then; the searches for what a
// deputy signed and where the head changed find the report.
func TestSuccession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	filer, deputy := w.as("filer"), w.as("deputy")
	filer.follow(filer.send(filer.page(report+"/file"), "/file", figures("8000", "4000", "100"), http.StatusOK), "/file", url.Values{"step": {"send"}})
	deputy.follow(deputy.page(report+"/sign"), "/sign", url.Values{"agree": {"1"}})
	w.settle()
	head := w.as("head")
	head.shows(head.page("/answers"), "4.000", "08/02/2021", "TUQ.")
	inspector := w.as("inspector")
	inspector.shows(inspector.page("/search?date=2021-02-08&what=deputy"), "Hiệp Thành", "TUQ. Nguyễn deputy")
	inspector.shows(inspector.page("/search?date=2021-02-08&what=head_changed"), "Không có dòng nào")

	w.clock.Set(at(15, 30))
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.LeaveOffice(ctx, c, domain.OfficeLeft{Unit: "25741", Person: "head", Until: w.clock.Now(), Reason: "Điều động"})
	})
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.TakeOffice(ctx, c, domain.OfficeTaken{Unit: "25741", Person: "head_far", Capacity: domain.CapacityHead, Title: "Chủ tịch mới", From: w.clock.Now(), Decision: "10/QĐ"})
	})
	w.settle()
	head, next := w.as("head"), w.as("head_far")
	former := head.page("/answers")
	head.shows(former, "4.000", "08/02/2021", "đến 15:30:00 08/02/2021")
	if strings.Contains(textOf(next.page("/answers")), "4.000") {
		t.Error("a successor answers for what was due before them")
	}

	w.clock.Set(at(16, 0))
	filer = w.as("filer")
	values := figures("8000", "4100", "200")
	values.Set("reason", "Rà soát lại")
	filer.follow(filer.send(filer.page(report+"/file"), "/file", values, http.StatusOK), "/file", url.Values{"step": {"send"}})
	w.settle()
	head, next, inspector = w.as("head"), w.as("head_far"), w.as("inspector")
	next.shows(next.page("/answers"), "Chủ tịch mới", "4.100")
	inspector.shows(inspector.page("/search?date=2021-02-08&what=head_changed"), "Hiệp Thành", "Nguyễn head ", "Nguyễn head_far")
	former = head.page("/answers?known_at=2021-02-08T15:45:00%2B07:00")
	head.shows(former, "4.000", "đến 15:30:00 08/02/2021")
	head.shows(head.page("/answers"), "08/02/2021")
}

// TestTodaysCard: the card counts down by the server's clock, and shows the last seven reporting days.
func TestTodaysCard(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	card := func() *html.Node {
		return find(w.as("filer").page("/today"), func(n *html.Node) bool { return n.Data == "section" && strings.HasPrefix(attr(n, "class"), "card") })
	}
	until := func(n *html.Node) bool { return hasAttr(n, "data-due") }
	for _, c := range []struct {
		hour, minute int
		words        string
	}{{8, 0, "còn 7 giờ"}, {13, 30, "còn 1 giờ 30 phút"}, {14, 59, "còn 1 phút"}} {
		w.clock.Set(at(c.hour, c.minute))
		n := find(card(), until)
		if n == nil || !strings.Contains(textOf(n), c.words) || attr(n, "data-due") != "1612771200" || attr(n, "data-now") == "" {
			t.Errorf("at %d:%d the card counts %q of %v", c.hour, c.minute, textOf(n), n.Attr)
		}
	}
	for d := domain.Date("2021-02-09"); d <= "2021-02-13"; d = d.AddDays(1) {
		w.clock.Set(w.clock.Now().AddDate(0, 0, 1))
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.OpenDay(ctx, c, "bluezone", d)
		})
	}
	w.settle()
	var days []string
	week := find(card(), func(n *html.Node) bool { return attr(n, "class") == "week" })
	for n := range week.Descendants() {
		if n.Data == "span" {
			days = append(days, textOf(n))
		}
	}
	if want := []string{"13/02/2021 ", "12/02/2021 ", "11/02/2021 ", "10/02/2021 ", "09/02/2021 ", "08/02/2021 ", "07/02/2021 "}; !slices.Equal(days, want) {
		t.Errorf("the week is %q", days)
	}
}

// TestBothTimesInAddresses: each preset, and the permanent address of what is shown, say for which day and as known when.
func TestBothTimesInAddresses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fullDay()
	inspector := w.as("inspector")
	root := inspector.page("/reports/25741/2021-02-08?regime=bluezone")
	found := map[string]string{}
	for n := range root.Descendants() {
		if n.Data == "a" && n.Parent != nil && attr(n.Parent, "class") == "presets" {
			found[strings.TrimSpace(textOf(n))] = attr(n, "href")
		}
	}
	for _, words := range []string{"lúc hết hạn", "lúc khóa ngày", "lúc phát hành tổng hợp", "Địa chỉ lâu dài"} {
		address := ""
		for text, href := range found {
			if strings.Contains(text, words) {
				address = href
			}
		}
		u, err := url.Parse(address)
		if err != nil || u.Path != "/reports/25741/2021-02-08" || u.Query().Get("known_at") == "" {
			t.Errorf("%q leads to %q, of %v", words, address, found)
			continue
		}
		inspector.shows(inspector.page(address), "Bạn đang xem quá khứ")
	}
}

// parkedViews hold a stream back until somebody asks to try again.
type parkedViews struct {
	Views
	retried *int
}

func (p parkedViews) Parked(context.Context) ([]projections.ParkedStream, error) {
	if *p.retried > 0 {
		return nil, nil
	}
	return []projections.ParkedStream{{Stream: "unit-25741", Unit: "25741", Revision: 3, Kind: "UnitRenamed", Error: "a name " + hostile, Waiting: 2, RecordedAt: at(7, 0)}}, nil
}

func (p parkedViews) RetryParked(context.Context) (int, error) {
	*p.retried++
	return 1, nil
}

// TestRetryParked: an administrator tries streams again that are held back; nobody else is offered to, nor may.
func TestRetryParked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	retried := 0
	config := w.handler.Config
	config.Views = parkedViews{config.Views, &retried}
	handler, err := New(config)
	w.ok(err)
	w.handler = handler
	admin, department := w.as("admin"), w.as("department")
	root := admin.page("/operations")
	admin.shows(root, "unit-25741 @ 3", "a name "+hostile)
	if formOf(department.page("/operations"), "/operations/retry") != nil {
		t.Error("the department is offered what is the administrator's")
	}
	department.want(http.MethodPost, "/operations/retry", nil, http.StatusForbidden)
	root = admin.follow(root, "/operations/retry", nil)
	admin.shows(root, "Không có luồng nào bị giữ")
	if retried != 1 {
		t.Errorf("tried %d times", retried)
	}
}

// TestEndOneSession: of three sessions the one that is named ends, and no other; nobody ends somebody else's.
func TestEndOneSession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	here, second, third, other := w.as("filer"), w.as("filer"), w.as("filer"), w.as("filer_b")
	ends := func(b *browser) (ids []string) {
		for n := range b.page("/account").Descendants() {
			if n.Data == "input" && attr(n, "name") == "session" {
				ids = append(ids, attr(n, "value"))
			}
		}
		return ids
	}
	fromHere, fromThird := ends(here), ends(third)
	if len(fromHere) != 2 || len(fromThird) != 2 {
		t.Fatalf("%q and %q can be ended", fromHere, fromThird)
	}
	both := slices.IndexFunc(fromHere, func(id string) bool { return slices.Contains(fromThird, id) })                 // the second's
	other.want(http.MethodPost, "/account/sessions/end", url.Values{"session": {fromHere[both]}}, http.StatusSeeOther) // there is none of theirs to end
	second.page("/account")
	here.want(http.MethodPost, "/account/sessions/end", url.Values{"session": {fromHere[both]}}, http.StatusSeeOther)
	second.want(http.MethodGet, "/account", nil, http.StatusSeeOther)
	third.page("/account")
	if left := ends(here); len(left) != 1 || left[0] != fromHere[1-both] {
		t.Errorf("%q are left of %q", left, fromHere)
	}
}

// TestTooManyAttempts: who guesses on is answered with a whole page that says so, and when it may go on.
func TestTooManyAttempts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	guess := func() int {
		return w.as("").ask(http.MethodPost, "/signin", url.Values{"name": {"filer"}, "password": {"a wrong password"}}).Code
	}
	tried := 0
	for ; tried < 1000 && guess() == http.StatusUnauthorized; tried++ {
	}
	r := w.as("").want(http.MethodPost, "/signin", url.Values{"name": {"filer"}, "password": {"a wrong password"}}, http.StatusTooManyRequests)
	w.as("").shows(w.as("").parsed("/signin", r), "Thử quá nhiều lần; hãy đợi một lát.")
	if r.Header().Get("Retry-After") == "" || strings.Count(r.Body.String(), "</html>") != 1 {
		t.Errorf("after %d guesses: %v", tried, r.Header())
	}
	if english := w.as("").want(http.MethodPost, "/signin?lang=en", url.Values{"name": {"filer"}, "password": {"a wrong password"}}, http.StatusTooManyRequests); !strings.Contains(english.Body.String(), "Too many attempts") {
		t.Error("an English page is not in English")
	}
}

// TestRolesAskForAFreshProof: who finds the administrator's page open after a while gives nobody a role and ends no key.
func TestRolesAskForAFreshProof(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	admin := w.as("admin")
	root := admin.page("/people/nobody")
	w.clock.Set(at(8, 6))
	page := admin.send(root, "/people/nobody/grant", url.Values{"role": {"admin"}}, http.StatusForbidden)
	admin.shows(page, "Chứng minh lại là bạn")
	admin.want(http.MethodPost, "/people/filer/revoke", url.Values{"key": {newKey()}, "role": {"filer"}, "unit": {"25741"}, "reason": {"x"}}, http.StatusForbidden)
	admin.want(http.MethodPost, "/people/filer/credential", url.Values{"key": {newKey()}, "credential": {"x"}, "reason": {"x"}}, http.StatusForbidden)
	if p, err := w.ledger.Person(w.ctx, "nobody"); err != nil || len(p.Grants) != 0 {
		t.Error("a stale session made an administrator", err)
	}
	admin = w.as("admin")
	admin.follow(admin.page("/people/nobody"), "/people/nobody/grant", url.Values{"role": {"admin"}})
}
