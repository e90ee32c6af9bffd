package web

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"
	"golang.org/x/net/html"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

const (
	testDay = domain.Date("2021-02-08")
	report  = "/reports/bluezone/commune/25741/2021-02-08"
	// hostile is what every text of the world holds: markup of each kind that a page could let through.
	hostile = `<script>alert("x")</script>"'<img src=x onerror=alert(1)>`
)

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = t
}

func at(hour, minute int) time.Time {
	return time.Date(2021, 2, 8, hour, minute, 0, 0, domain.HoChiMinh)
}

// world is a small province under the pages: two districts, three communes, and a person for every role.
//
//	74 Bình Dương ─ 718 Thủ Dầu Một ─ 25741, 25744
//	              └ 719 Bàu Bàng    ─ 25819
type world struct {
	testing.TB
	ctx     context.Context
	clock   *clock
	log     eventlog.Log
	ledger  *commands.Ledger
	views   *projections.Views
	state   *appstate.State
	handler *Handler
	dir     string // of views.db and state.db

	integrity ui.IntegrityState // what the page of the same name tells
	signed    atomic.Int64      // checkpoints that were asked for: each is another one
	n         int
}

type grant struct {
	person domain.PersonID
	role   domain.Role
	unit   domain.UnitCode
}

func people() []grant {
	return []grant{{"filer", domain.RoleFiler, "25741"}, {"filer_b", domain.RoleFiler, "25744"}, {"filer_far", domain.RoleFiler, "25819"},
		{"head", domain.RoleHead, "25741"}, {"head_far", domain.RoleHead, "25819"}, {"deputy", "", ""}, {"district", domain.RoleDistrict, "718"}, {"district_far", domain.RoleDistrict, "719"},
		{"department", domain.RoleDepartment, ""}, {"inspector", domain.RoleInspector, ""}, {"admin", domain.RoleAdmin, ""}, {"nobody", "", ""}}
}

func newWorld(t testing.TB) *world { return newWorldAt(t, "https://ledger.example", nil) }

// newWorldAt serves a world by an origin; wrap changes what the views answer.
func newWorldAt(t testing.TB, origin string, next http.Handler) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{TB: t, ctx: ctx, clock: &clock{t: at(5, 0).AddDate(0, 0, -3)}}
	registry, err := schemas.Load()
	w.ok(err)
	w.log = memlog.New(w.clock.Now)
	w.ledger = commands.New(w.log, registry, w.clock.Now, zap.NewNop())
	w.dir = t.TempDir()
	w.views, err = projections.Open(ctx, projections.Config{Path: filepath.Join(w.dir, "views.db"), Log: w.log, Registry: registry, Clock: w.clock.Now})
	w.ok(err)
	w.state, err = appstate.Open(ctx, filepath.Join(w.dir, "state.db"), appstate.Options{Clock: w.clock.Now})
	w.ok(err)
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		if err := w.state.Close(); err != nil {
			t.Error(err)
		}
		if err := w.views.Close(); err != nil {
			t.Error(err)
		}
	})
	w.populate()
	go func() {
		defer close(done)
		_ = w.views.Run(ctx)
	}()
	var persons []domain.PersonID
	for _, p := range people() {
		persons = append(persons, p.person)
	}
	a, err := accounts.New(w.ledger, w.state, accounts.Options{Origin: origin, Name: "test", Clock: w.clock.Now, Demo: accounts.EnableDemo()})
	w.ok(err)
	if next == nil {
		next = http.NotFoundHandler()
	}
	w.handler, err = New(Config{Ledger: w.ledger, Views: w.views, Registry: registry, Accounts: a, State: w.state, Clock: w.clock.Now, Logger: zap.NewNop(), Next: next,
		DemoPersons: persons, WaitFor: 20 * time.Second, Operate: w.operate(), Checkpoint: w.checkpoint, SignedLately: w.signedLately})
	w.ok(err)
	w.settle()
	return w
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) settle() {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.ctx, time.Minute)
	defer cancel()
	p, err := w.log.Head(ctx)
	if err == nil {
		err = w.views.WaitFor(ctx, p)
	}
	w.ok(err)
}

func (w *world) do(f func(context.Context, commands.Command) (commands.Result, error)) {
	w.Helper()
	w.n++
	_, err := f(w.ctx, commands.Command{ID: domain.NewCommandID("test", fmt.Sprint(w.n)), Actor: domain.System, Channel: domain.ChannelSystem})
	w.ok(err)
}

func testRules() domain.Rules {
	return domain.Rules{Title: "Chỉ thị 03/CT-UBND", TitleEn: "Directive 03/CT-UBND", Number: "03/CT-UBND", IssuedOn: "2021-02-05", IssuedBy: "UBND tỉnh", Zone: "Asia/Ho_Chi_Minh",
		FirstDay: "2021-02-05", LastDay: "2021-12-31", Duties: []domain.Duty{
			{ID: "communes", Item: "2a", Name: domain.Wording{Vi: "Xã", En: "Communes"}, Form: "commune", FormVersion: 2, Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}},
				Due: "15:00", GraceMinutes: 30, SignOffDue: "17:00"},
			{ID: "districts", Item: "2b", Name: domain.Wording{Vi: "Huyện", En: "Districts"}, Form: "district", FormVersion: 2, Holders: domain.Holders{Levels: []domain.Level{domain.LevelDistrict}},
				Due: "16:00", GraceMinutes: 30, Consolidates: "communes"},
		}, Targets: []domain.Target{{ID: "sixty", Name: domain.Wording{Vi: "Đạt 60 % trở lên", En: "60 % or more"}, Duty: "communes", Numerator: "installed", Denominator: "smartphone_users", AtLeastPercent: 60, On: "2021-02-10"}}}
}

func (w *world) populate() {
	w.Helper()
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.IssueRegime(ctx, c, "bluezone", testRules())
	})
	for _, u := range []domain.UnitRegistered{
		{Unit: "74", Level: domain.LevelProvince, Type: "tinh", Name: "Bình Dương"},
		{Unit: "718", Level: domain.LevelDistrict, Type: "Thành phố", Name: "Thủ Dầu Một", Parent: "74"},
		{Unit: "719", Level: domain.LevelDistrict, Type: "Huyện", Name: "Bàu Bàng", Parent: "74"},
		{Unit: "25741", Level: domain.LevelCommune, Type: "Phường", Name: "Hiệp Thành " + hostile, Parent: "718"},
		{Unit: "25744", Level: domain.LevelCommune, Type: "Phường", Name: "Phú Lợi", Parent: "718"},
		{Unit: "25819", Level: domain.LevelCommune, Type: "Xã", Name: "Trừ Văn Thố", Parent: "719"},
	} {
		u.EffectiveOn, u.Synthetic = "2020-01-01", true
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.RegisterUnit(ctx, c, u)
		})
	}
	for _, p := range people() {
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.RegisterPerson(ctx, c, domain.PersonRegistered{Person: p.person, Name: "Nguyễn " + string(p.person) + ` "'<b>&`, Synthetic: true})
		})
		if p.role != "" {
			w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
				return w.ledger.GrantRole(ctx, c, p.person, p.role, p.unit, w.clock.Now(), nil)
			})
		}
	}
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.TakeOffice(ctx, c, domain.OfficeTaken{Unit: "25741", Person: "head", Capacity: domain.CapacityHead, Title: "Chủ tịch " + hostile, From: w.clock.Now(), Decision: "01/QĐ"})
	})
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: "25741", Authority: "uq_1", Person: "deputy", Capacity: domain.CapacityTUQ, Title: "Phó Chủ tịch", From: w.clock.Now(), Until: at(23, 0), Decision: "02/UQ"})
	})
	for _, d := range []domain.Date{"2021-02-07", testDay} {
		t := at(5, 0)
		if d != testDay {
			t = t.AddDate(0, 0, -1)
		}
		w.clock.Set(t)
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.OpenDay(ctx, c, "bluezone", d)
		})
	}
	w.clock.Set(at(8, 0))
}

// browser is somebody with a cookie jar of one cookie.
type browser struct {
	*world
	cookies map[string]string
	lang    string
}

// as is a browser at which a person is signed in; "" is nobody.
func (w *world) as(p domain.PersonID) *browser {
	w.Helper()
	b := &browser{world: w, cookies: map[string]string{}}
	if p != "" {
		b.want(http.MethodPost, "/demo", url.Values{"person": {string(p)}}, http.StatusSeeOther)
	}
	return b
}

func (b *browser) ask(method, target string, form url.Values, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.Helper()
	r := httptest.NewRequest(method, "https://ledger.example"+target, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for _, c := range change {
		c(r)
	}
	out := httptest.NewRecorder()
	b.handler.ServeHTTP(out, r)
	for _, c := range out.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return out
}

func (b *browser) want(method, target string, form url.Values, status int, change ...func(*http.Request)) *httptest.ResponseRecorder {
	b.Helper()
	r := b.ask(method, target, form, change...)
	if r.Code != status {
		text := ""
		if root, err := html.Parse(strings.NewReader(r.Body.String())); err == nil {
			text = textOf(root)
		}
		b.Fatalf("%s %s: %d, want %d\n%s", method, target, r.Code, status, text)
	}
	return r
}

// page asks for a page, parses it as a browser does, and makes sure that nothing runs in it but our own script.
func (b *browser) page(target string) *html.Node {
	b.Helper()
	return b.parsed(target, b.want(http.MethodGet, target, nil, http.StatusOK))
}

func (b *browser) parsed(target string, r *httptest.ResponseRecorder) *html.Node {
	b.Helper()
	root, err := html.Parse(strings.NewReader(r.Body.String()))
	b.ok(err)
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "img" || n.Data == "iframe" || n.Data == "style" || n.Data == "script" && !strings.HasPrefix(attr(n, "src"), "/assets/") {
			b.Errorf("%s holds a %s", target, n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || strings.HasPrefix(strings.ToLower(a.Val), "javascript:") {
				b.Errorf("%s holds %s=%q", target, a.Key, a.Val)
			}
		}
		if n.Data == "form" && attr(n, "method") == "get" && find(n, func(n *html.Node) bool { return attr(n, "name") == "key" }) != nil {
			b.Errorf("%s sends an act with GET", target)
		}
	}
	text := textOf(root)
	for _, wrong := range []string{"%!", "ZgotmplZ", "<no value>", " fail.", " status.", " sign.", " role.", " kind."} {
		if strings.Contains(text, wrong) {
			b.Errorf("%s shows %q:\n%s", target, wrong, text)
		}
	}
	return root
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func find(root *html.Node, is func(*html.Node) bool) *html.Node {
	for n := range root.Descendants() {
		if n.Type == html.ElementNode && is(n) {
			return n
		}
	}
	return nil
}

func textOf(root *html.Node) string {
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "script" {
			b.WriteString(strings.Join(strings.Fields(n.Data), " ") + " ")
		}
	}
	return strings.ReplaceAll(b.String(), "  ", " ")
}

// form fills in a form of a page, found by its action, as somebody without scripts does.
func (b *browser) form(root *html.Node, action string, fill url.Values) (target string, values url.Values) {
	b.Helper()
	f := find(root, func(n *html.Node) bool {
		return n.Data == "form" && attr(n, "method") == "post" && strings.HasSuffix(attr(n, "action"), action)
	})
	if f == nil {
		b.Fatalf("no form %s in\n%s", action, textOf(root))
	}
	values = url.Values{}
	for n := range f.Descendants() {
		name := attr(n, "name")
		switch {
		case n.Type != html.ElementNode || name == "":
		case n.Data == "textarea":
			values.Set(name, textOf(n))
		case n.Data == "input" && (attr(n, "type") != "checkbox" && attr(n, "type") != "radio" || hasAttr(n, "checked")):
			values.Set(name, attr(n, "value"))
		}
	}
	for name, v := range fill {
		values[name] = v
	}
	return attr(f, "action"), values
}

func hasAttr(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// follow sends a form that is expected to be taken, and opens the page it leads to.
func (b *browser) follow(root *html.Node, action string, fill url.Values) *html.Node {
	b.Helper()
	target, values := b.form(root, action, fill)
	r := b.want(http.MethodPost, target, values, http.StatusSeeOther)
	return b.page(r.Header().Get("Location"))
}

// sends a form whose answer is a page, with a status.
func (b *browser) send(root *html.Node, action string, fill url.Values, status int) *html.Node {
	b.Helper()
	target, values := b.form(root, action, fill)
	return b.parsed(target, b.want(http.MethodPost, target, values, status))
}

func (b *browser) shows(root *html.Node, want ...string) {
	b.Helper()
	text := textOf(root)
	for _, s := range want {
		if !strings.Contains(text, s) {
			b.Errorf("no %q in\n%s", s, text)
		}
	}
}

// figures of a commune as a form has them.
func figures(users, installed, today string) url.Values {
	return url.Values{"f_smartphone_users": {users}, "f_installed": {installed}, "f_new_today": {today}}
}
