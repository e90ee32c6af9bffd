package api

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

// clock is the ledger's clock, turned by the tests.
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

// The day of every test, and its deadline.
const testDay = domain.Date("2021-02-08")

func clockAt(text string) time.Time {
	t, err := time.ParseInLocation("15:04:05.999999999", text, domain.HoChiMinh)
	if err != nil {
		panic(err)
	}
	return time.Date(2021, 2, 8, t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), domain.HoChiMinh)
}

// world is a small province under a handler: two districts, three communes, one body, and a person for every role.
//
//	74 Bình Dương ─ 718 Thủ Dầu Một ─ 25741, 25744
//	              ├ 719 Bàu Bàng    ─ 25819
//	              └ so_y_te
type world struct {
	t       testing.TB
	clock   *clock
	log     eventlog.Log
	ledger  *commands.Ledger
	views   *projections.Views
	state   *appstate.State
	handler *Handler
	tokens  map[domain.PersonID]string
	key     int
}

// people of the world: who holds which role for which unit.
func people() []struct {
	person domain.PersonID
	role   domain.Role
	unit   domain.UnitCode
} {
	return []struct {
		person domain.PersonID
		role   domain.Role
		unit   domain.UnitCode
	}{
		{"filer", domain.RoleFiler, "25741"},
		{"filer_b", domain.RoleFiler, "25744"},
		{"filer_far", domain.RoleFiler, "25819"},
		{"head", domain.RoleHead, "25741"},
		{"head_718", domain.RoleHead, "718"},
		{"district", domain.RoleDistrict, "718"},
		{"district_far", domain.RoleDistrict, "719"},
		{"department", domain.RoleDepartment, ""},
		{"inspector", domain.RoleInspector, ""},
		{"admin", domain.RoleAdmin, ""},
		{"nobody", "", ""},
		{"deputy", "", ""}, // signs by an authority, not by a role
	}
}

type options struct {
	demo     bool
	log      eventlog.Log
	views    func(*projections.Views) Views
	waitFor  time.Duration
	tokenTTL time.Duration
}

func newWorld(t testing.TB, o options) *world {
	t.Helper()
	return newWorldOn(t, &clock{t: clockAt("05:00:00").AddDate(0, 0, -3)}, o, (*world).populate)
}

func newWorldOn(t testing.TB, c *clock, o options, populate func(*world)) *world {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w := &world{t: t, clock: c, tokens: map[domain.PersonID]string{}}
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	if w.log = o.log; w.log == nil {
		w.log = memlog.New(w.clock.Now)
	}
	w.ledger = commands.New(w.log, registry, w.clock.Now, zap.NewNop())
	dir := t.TempDir()
	if w.views, err = projections.Open(ctx, projections.Config{Path: filepath.Join(dir, "views.db"), Log: w.log, Registry: registry, Clock: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	if w.state, err = appstate.Open(ctx, filepath.Join(dir, "state.db"), appstate.Options{Clock: w.clock.Now, TokenTTL: o.tokenTTL}); err != nil {
		t.Fatal(err)
	}
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
	populate(w)
	go func() {
		defer close(done)
		_ = w.views.Run(ctx)
	}()
	var views Views = w.views
	if o.views != nil {
		views = o.views(w.views)
	}
	if o.waitFor == 0 {
		o.waitFor = 20 * time.Second
	}
	w.handler, err = New(Config{Ledger: w.ledger, Views: views, Rebuilds: w.views, Log: w.log, Registry: registry, State: w.state, Clock: w.clock.Now, Logger: zap.NewNop(),
		Metrics: prometheus.NewRegistry(), Version: "test", Demo: o.demo, WaitFor: o.waitFor})
	if err != nil {
		t.Fatal(err)
	}
	w.settle()
	return w
}

// settle waits until the views have applied everything.
func (w *world) settle() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	p, err := w.log.Head(ctx)
	if err == nil {
		err = w.views.WaitFor(ctx, p)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// do runs a command of the ledger itself.
func (w *world) do(f func(context.Context, commands.Command) (commands.Result, error)) commands.Result {
	w.t.Helper()
	w.key++
	r, err := f(context.Background(), commands.Command{ID: domain.NewCommandID("test", fmt.Sprint(w.key)), Actor: domain.System, Channel: domain.ChannelSystem})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func testRules() domain.Rules {
	return domain.Rules{Title: "Chỉ thị thử", TitleEn: "Test directive", Number: "03/CT-UBND", IssuedOn: "2021-02-05", IssuedBy: "UBND tỉnh", Zone: "Asia/Ho_Chi_Minh",
		FirstDay: "2021-02-05", LastDay: "2021-12-31", Duties: []domain.Duty{
			{ID: "communes", Item: "2a", Name: domain.Wording{Vi: "Xã", En: "Communes"}, Form: "commune", FormVersion: 2, Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}},
				Due: "15:00", GraceMinutes: 30, SignOffDue: "17:00"},
			{ID: "districts", Item: "2b", Name: domain.Wording{Vi: "Huyện", En: "Districts"}, Form: "district", FormVersion: 2, Holders: domain.Holders{Levels: []domain.Level{domain.LevelDistrict}},
				Due: "16:00", GraceMinutes: 30, Consolidates: "communes"},
		}}
}

func (w *world) populate() {
	w.t.Helper()
	ctx := context.Background()
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.IssueRegime(ctx, c, "bluezone", testRules())
	})
	for _, u := range []domain.UnitRegistered{
		{Unit: "74", Level: domain.LevelProvince, Type: "tinh", Name: "Bình Dương"},
		{Unit: "718", Level: domain.LevelDistrict, Type: "Thành phố", Name: "Thủ Dầu Một", Parent: "74"},
		{Unit: "719", Level: domain.LevelDistrict, Type: "Huyện", Name: "Bàu Bàng", Parent: "74"},
		{Unit: "25741", Level: domain.LevelCommune, Type: "Phường", Name: `Hiệp Thành <script>alert("x")</script>`, Parent: "718"},
		{Unit: "25744", Level: domain.LevelCommune, Type: "Phường", Name: "Phú Lợi", Parent: "718"},
		{Unit: "25819", Level: domain.LevelCommune, Type: "Xã", Name: "Trừ Văn Thố", Parent: "719"},
		{Unit: "so_y_te", Level: domain.LevelBody, Type: "so", Name: "Sở Y tế", Parent: "74"},
	} {
		u.EffectiveOn = "2020-01-01"
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.RegisterUnit(ctx, c, u)
		})
	}
	for _, p := range people() {
		w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
			return w.ledger.RegisterPerson(ctx, c, domain.PersonRegistered{Person: p.person, Name: "Người " + string(p.person) + ` "'<b>&`, Synthetic: true})
		})
		if p.role != "" {
			w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
				return w.ledger.GrantRole(ctx, c, p.person, p.role, p.unit, w.clock.Now(), nil)
			})
		}
		secret, _, err := w.state.CreateToken(ctx, appstate.NewToken{Person: p.person, Scope: appstate.ScopeWrite, Label: "test"})
		if err != nil {
			w.t.Fatal(err)
		}
		w.tokens[p.person] = secret
	}
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.TakeOffice(ctx, c, domain.OfficeTaken{Unit: "25741", Person: "head", Capacity: domain.CapacityHead, Title: "Chủ tịch", From: w.clock.Now(), Decision: "01/QĐ"})
	})
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.GrantAuthority(ctx, c, domain.AuthorityGranted{Unit: "25741", Authority: "uq_1", Person: "deputy", Capacity: domain.CapacityTUQ, Title: "Phó Chủ tịch",
			From: w.clock.Now(), Until: clockAt("12:00:00"), Decision: "02/UQ"})
	})
	w.clock.Set(clockAt("05:00:00"))
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.OpenDay(ctx, c, "bluezone", testDay)
	})
	w.clock.Set(clockAt("08:00:00"))
}

// ask is one request as a test writes it.
type ask struct {
	as      domain.PersonID // "" is without a token
	method  string
	path    string
	body    string
	key     string // "" makes a new one for POST; "-" sends none
	headers map[string]string
}

func (w *world) ask(a ask) *httptest.ResponseRecorder {
	w.t.Helper()
	var body io.Reader
	if a.body != "" {
		body = strings.NewReader(a.body)
	}
	if a.method == "" {
		a.method = http.MethodGet
	}
	r := httptest.NewRequest(a.method, a.path, body)
	if a.body != "" {
		r.Header.Set("Content-Type", jsonType)
	}
	if a.as != "" {
		r.Header.Set("Authorization", "Bearer "+w.tokens[a.as])
	}
	switch {
	case a.key == "-":
	case a.key != "":
		r.Header.Set(keyHeader, a.key)
	case a.method == http.MethodPost:
		w.key++
		r.Header.Set(keyHeader, fmt.Sprintf("key-%d", w.key))
	}
	for name, value := range a.headers {
		r.Header.Set(name, value)
	}
	out := httptest.NewRecorder()
	w.handler.ServeHTTP(out, r)
	asDocumented(w.t, w.handler, r, out)
	return out
}

func (w *world) want(a ask, status int) *httptest.ResponseRecorder {
	w.t.Helper()
	r := w.ask(a)
	if r.Code != status {
		w.t.Fatalf("%s %s as %q: %d, want %d\n%s", a.method, a.path, a.as, r.Code, status, r.Body)
	}
	return r
}

func decodeInto[T any](t testing.TB, r *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(r.Body.Bytes(), &v); err != nil {
		t.Fatalf("%v\n%s", err, r.Body)
	}
	return v
}

// position makes a read wait for what was recorded so far.
func (w *world) position() string {
	w.t.Helper()
	p, err := w.log.Head(context.Background())
	if err != nil {
		w.t.Fatal(err)
	}
	return p.String()
}

// problem compares a problem document with the expected text, apart from its request id.
func (w *world) problem(a ask, want string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := w.ask(a)
	if ct := r.Header().Get("Content-Type"); ct != "application/problem+json" {
		w.t.Fatalf("%s %s: %d %s\n%s", a.method, a.path, r.Code, ct, r.Body)
	}
	got := decodeInto[map[string]any](w.t, r)
	if got["request_id"] != r.Header().Get("X-Request-Id") || got["request_id"] == "" {
		w.t.Errorf("request_id %v, header %q", got["request_id"], r.Header().Get("X-Request-Id"))
	}
	if got["status"] != float64(r.Code) {
		w.t.Errorf("status %v in the document, %d in the answer", got["status"], r.Code)
	}
	delete(got, "request_id")
	var wanted map[string]any
	if err := json.Unmarshal([]byte(want), &wanted); err != nil {
		w.t.Fatalf("%v\n%s", err, want)
	}
	if diff := cmp.Diff(wanted, got); diff != "" {
		text, _ := json.Marshal(got, json.Deterministic(true))
		w.t.Errorf("%s %s: (-want +got)\n%s\ngot: %s", a.method, a.path, diff, text)
	}
	return r
}

const (
	reportURL   = "/v1/regimes/bluezone/reports/commune/25741/2021-02-08"
	goodReport  = `{"figures":{"smartphone_users":8000,"installed":4000,"new_today":100}}`
	otherReport = `{"figures":{"smartphone_users":8000,"installed":4001,"new_today":100}}`
)

func (w *world) submit() Recorded {
	w.t.Helper()
	return decodeInto[Recorded](w.t, w.want(ask{as: "filer", method: "POST", path: reportURL, body: goodReport}, 201))
}
