package api

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

func TestSubmitAndRead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	r := w.want(ask{as: "filer", method: "POST", path: reportURL, body: goodReport}, 201)
	got := decodeInto[Recorded](t, r)
	want := Recorded{Stream: "report-bluezone.commune.25741.20210208", Revision: 0, Position: w.position(), ReceivedAt: clockAt("08:00:00").UTC(), RecordedAt: clockAt("08:00:00").UTC(),
		EventIDs: got.EventIDs, Report: &RecordedReport{Version: 1, Digest: got.Report.Digest, Timeliness: domain.OnTime}}
	if diff := cmp.Diff(want, got); diff != "" || len(got.EventIDs) != 1 {
		t.Fatal(diff)
	}
	if r.Header().Get("Location") != reportURL || r.Header().Get("ETag") != etag(1, got.Report.Digest) {
		t.Error(r.Header())
	}
	read := w.want(ask{as: "filer", path: reportURL}, 200)
	report := decodeInto[Report](t, read)
	if read.Header().Get("ETag") != r.Header().Get("ETag") || report.Newest.Digest != got.Report.Digest || report.Status != domain.StatusOnTime || report.SignOff != domain.SignOffWaiting || report.Newest.EventID != got.EventIDs[0] {
		t.Errorf("%+v", report)
	}
	not := w.want(ask{as: "filer", path: reportURL, headers: map[string]string{"If-None-Match": read.Header().Get("ETag")}}, http.StatusNotModified)
	if not.Body.Len() != 0 {
		t.Error(not.Body)
	}
	// Read your own writes: the position that was answered is waited for.
	page := decodeInto[projections.CompliancePage](t, w.want(ask{as: "filer", path: "/v1/regimes/bluezone/compliance?unit=25741&at=" + got.Position}, 200))
	if len(page.Rows) != 1 || page.Rows[0].Version != 1 || page.Place != got.Position {
		t.Errorf("%+v", page)
	}
}

// TestReceivedAtComesFirst: the instant that counts is taken before anybody reads, authenticates or waits (rule 2).
func TestReceivedAtComesFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	for _, c := range []struct {
		unit, person, at string
		want             domain.Timeliness
	}{
		{"25741", "filer", "14:59:59.999999", domain.OnTime},
		{"25744", "filer_b", "15:00:00", domain.Late},
	} {
		w.clock.Set(clockAt(c.at))
		// Reading the body takes until long after the deadline.
		body := &slowBody{Reader: strings.NewReader(goodReport), before: func() { w.clock.Set(clockAt("15:20:00")) }}
		r := httptest.NewRequest("PUT", "/v1/regimes/bluezone/reports/commune/"+c.unit+"/2021-02-08", body)
		r.Header.Set("Content-Type", jsonType)
		r.Header.Set("Authorization", "Bearer "+w.tokens[domain.PersonID(c.person)])
		out := httptest.NewRecorder()
		w.handler.ServeHTTP(out, r)
		got := decodeInto[Recorded](t, out)
		if out.Code != 201 || got.Report.Timeliness != c.want || !got.ReceivedAt.Equal(clockAt(c.at)) || !got.RecordedAt.Equal(clockAt("15:20:00")) {
			t.Errorf("%s: %d %s", c.at, out.Code, out.Body)
		}
	}
}

type slowBody struct {
	*strings.Reader
	before func()
}

func (s *slowBody) Read(b []byte) (int, error) {
	s.before()
	return s.Reader.Read(b)
}

func TestRepeats(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	post := ask{as: "filer", method: "POST", path: reportURL, body: goodReport, key: "k1"}
	first := w.want(post, 201)
	w.clock.Set(clockAt("16:30:00")) // long after the deadline: the repeat tells what came of the first attempt
	t.Run("the same is answered the same", func(t *testing.T) {
		again := w.want(post, 201)
		a, b := decodeInto[Recorded](t, first), decodeInto[Recorded](t, again)
		if !b.Repeat || again.Header().Get("Idempotency-Replayed") != "true" {
			t.Error(again.Header(), b)
		}
		b.Repeat = false
		if diff := cmp.Diff(a, b); diff != "" || first.Header().Get("ETag") != again.Header().Get("ETag") {
			t.Error(diff)
		}
	})
	t.Run("another content under the key is refused", func(t *testing.T) {
		other := post
		other.body = otherReport
		w.problem(other, `{"type":"https://answerable.example/problems/idempotency_key_reused","title":"Idempotency-Key đã dùng","status":422,"code":"idempotency_key_reused",
			"detail":"Khóa này đã dùng cho một yêu cầu có nội dung khác.","instance":"`+reportURL+`","errors":[{"parameter":"Idempotency-Key","code":"idempotency_key_reused","detail":"Khóa này đã dùng cho một yêu cầu có nội dung khác."}]}`)
	})
	t.Run("another person's key is another key", func(t *testing.T) {
		mine := post
		mine.as, mine.path = "filer_b", strings.Replace(reportURL, "25741", "25744", 1)
		if got := decodeInto[Recorded](t, w.want(mine, 201)); got.Repeat {
			t.Error(got)
		}
	})
	t.Run("after a correction the first attempt is still known", func(t *testing.T) {
		w.want(ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: `{"figures":{"smartphone_users":8000,"installed":4002,"new_today":100},"replaces":1,"correction":"content","reason":"đếm lại"}`}, 201)
		if got := decodeInto[Recorded](t, w.want(post, 201)); !got.Repeat || got.Report.Version != 1 || got.Revision != 0 {
			t.Errorf("%+v", got)
		}
	})
	t.Run("PUT: the content is the key", func(t *testing.T) {
		put := ask{as: "filer_far", method: "PUT", path: strings.Replace(reportURL, "25741", "25819", 1), body: goodReport}
		w.want(put, 201)
		if got := decodeInto[Recorded](t, w.want(put, 201)); !got.Repeat {
			t.Error(got)
		}
		put.body = otherReport
		w.want(put, 409)
	})
	t.Run("a correction repeats with its If-Match", func(t *testing.T) {
		tag := w.want(ask{as: "filer", path: reportURL}, 200).Header().Get("ETag")
		c := ask{as: "filer", method: "POST", path: reportURL + "/corrections", key: "c1", headers: map[string]string{"If-Match": tag},
			body: `{"figures":{"smartphone_users":8000,"installed":4003,"new_today":100},"correction":"content","reason":"đếm lại"}`}
		a, b := decodeInto[Recorded](t, w.want(c, 201)), decodeInto[Recorded](t, w.want(c, 201))
		if a.Report.Version != 3 || !b.Repeat || b.Report.Version != 3 {
			t.Errorf("%+v %+v", a.Report, b.Report)
		}
		c.key = "c2"
		if r := w.want(c, 412); !strings.HasPrefix(r.Header().Get("ETag"), `"3-`) {
			t.Error(r.Header())
		}
	})
}

// TestManyAtOnce: many repeats of one attempt at the same time are one event.
func TestManyAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	a := ask{as: "filer", method: "POST", path: reportURL, body: goodReport, key: "k"}
	var wg sync.WaitGroup
	var mu sync.Mutex
	ids := map[string]bool{}
	for range 16 {
		wg.Go(func() {
			r := w.ask(a)
			mu.Lock()
			defer mu.Unlock()
			if r.Code != 201 {
				t.Errorf("%d %s", r.Code, r.Body)
				return
			}
			ids[decodeInto[Recorded](t, r).EventIDs[0]] = true
		})
	}
	wg.Wait()
	report, err := w.ledger.Report(context.Background(), domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	if err != nil || len(report.Versions) != 1 || len(ids) != 1 {
		t.Errorf("%v, %d versions, ids %v", err, len(report.Versions), ids)
	}
}

// TestSpine goes the whole way over HTTP: filing, return, correction, sign-off, consolidation, breach, explanation,
// excuse, synthesis.
func TestSpine(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	tag := func() string { return w.want(ask{as: "filer", path: reportURL}, 200).Header().Get("ETag") }
	ifMatch := func() map[string]string { return map[string]string{"If-Match": tag()} }

	w.want(ask{as: "head", method: "POST", path: reportURL + "/returns", headers: ifMatch(), body: `{"reason":"xem lại số cài mới"}`}, 201)
	w.want(ask{as: "filer", method: "POST", path: reportURL + "/corrections", headers: ifMatch(),
		body: `{"figures":{"smartphone_users":8000,"installed":4000,"new_today":90},"correction":"content","reason":"nhập nhầm"}`}, 201)

	statement := decodeInto[Statement](t, w.want(ask{as: "deputy", path: reportURL + "/statement?nonce=n1"}, 200))
	if !strings.Contains(statement.Statement, `"capacity":"TUQ"`) || statement.Version != 2 {
		t.Errorf("%+v", statement)
	}
	signOff := fmt.Sprintf(`{"version":2,"digest":%q,"nonce":"n1","statement":%q}`, statement.Digest, statement.Statement)
	late := w.clock.Now()
	w.clock.Set(clockAt("12:00:00")) // the deputy's authority has ended
	if p := decodeInto[Problem](t, w.want(ask{as: "deputy", method: "POST", path: reportURL + "/sign-offs", body: signOff}, 403)); p.Code != string(domain.CodeAuthorityExpired) {
		t.Error(p)
	}
	w.clock.Set(late)
	w.want(ask{as: "deputy", method: "POST", path: reportURL + "/sign-offs", body: signOff}, 201)
	if got := decodeInto[Report](t, w.want(ask{as: "head", path: reportURL}, 200)); got.SignOff != domain.SignOffSigned {
		t.Error(got.SignOff)
	}

	consolidated := decodeInto[Recorded](t, w.want(ask{as: "district", method: "PUT", path: "/v1/regimes/bluezone/reports/district/718/2021-02-08", body: `{"figures":{"agencies_reached":12}}`}, 201))
	if diff := cmp.Diff(domain.Figures{"smartphone_users": 8000, "installed": 4000, "new_today": 90, "communes_reported": 1, "communes_late": 0, "communes_missing": 1, "agencies_reached": 12}, consolidated.Report.Figures); diff != "" {
		t.Error(diff)
	}
	if !cmp.Equal(consolidated.Report.Missing, []domain.UnitCode{"25744"}) {
		t.Errorf("%+v", consolidated.Report)
	}

	far := strings.Replace(reportURL, "25741", "25819", 1)
	w.want(ask{as: "district_far", method: "POST", path: far + "/reminders", body: `{"via":"điện thoại","text":"đã 14 giờ"}`}, 201)
	w.clock.Set(clockAt("15:10:00"))
	w.want(ask{as: "filer_far", method: "PUT", path: far, body: goodReport}, 201)
	w.clock.Set(clockAt("18:00:00"))
	closer := &commands.Closer{Ledger: w.ledger, Parallel: 1}
	if _, err := closer.CloseDue(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.do(func(ctx context.Context, c commands.Command) (commands.Result, error) {
		return w.ledger.TakeOffice(ctx, c, domain.OfficeTaken{Unit: "25819", Person: "nobody", Capacity: domain.CapacityActing, Title: "Quyền Chủ tịch", From: clockAt("09:00:00"), Decision: "d"})
	})
	w.want(ask{as: "nobody", method: "POST", path: far + "/breaches/late/explanations", body: `{"text":"mất mạng cả xã"}`}, 201)
	w.want(ask{as: "department", method: "POST", path: far + "/breaches/late/excuse", body: `{"reason":"có xác nhận của VNPT"}`}, 201)
	page := decodeInto[projections.BreachPage](t, w.want(ask{as: "department", path: "/v1/regimes/bluezone/breaches?unit=25819&kind=late&at=" + w.position()}, 200))
	if len(page.Rows) != 1 || page.Rows[0].Outcome != "excused" || len(page.Rows[0].Explanations) != 1 {
		t.Errorf("%+v", page.Rows)
	}
	// As known before the excuse, the breach was only recorded.
	if past := decodeInto[projections.BreachPage](t, w.want(ask{as: "department", path: "/v1/regimes/bluezone/breaches?unit=25819&kind=late&known_at=2021-02-08T17:00:00%2B07:00"}, 200)); len(past.Rows) != 0 || past.KnownAt == nil {
		t.Errorf("%+v", past)
	}
	w.want(ask{as: "department", method: "POST", path: "/v1/regimes/bluezone/days/2021-02-08/syntheses", body: `{"to":"Ủy ban nhân dân tỉnh"}`}, 201)
	days := decodeInto[projections.DayPage](t, w.want(ask{as: "filer", path: "/v1/regimes/bluezone/days?at=" + w.position()}, 200))
	if len(days.Days) == 0 || len(days.Days[0].Issued) != 1 || days.Days[0].Closed == nil {
		t.Errorf("%+v", days.Days)
	}
	answers := decodeInto[projections.AnswerPage](t, w.want(ask{as: "head", path: "/v1/regimes/bluezone/answers?person=head&date=2021-02-08"}, 200))
	if len(answers.Records) != 1 || answers.Records[0].Unit != "25741" || answers.Records[0].Answerable.Person.ID != "head" {
		t.Errorf("%+v", answers.Records)
	}
	queue := decodeInto[projections.QueuePage](t, w.want(ask{as: "department", path: "/v1/regimes/bluezone/sign-off-queue"}, 200))
	if len(queue.Rows) == 0 {
		t.Error("nothing waits for a signature")
	}
}

// TestOrganisation changes what the province is made of, over HTTP.
func TestOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	rules := `"title":"Chỉ thị mới","title_en":"","number":"04","issued_on":"2021-02-08","issued_by":"UBND","zone":"Asia/Ho_Chi_Minh","first_day":"2021-02-09",
		"duties":[{"duty":"a","item":"1","name":{"vi":"A","en":"A"},"form":"commune","form_version":2,"holders":{"levels":["commune"]},"due":"15:00","grace_minutes":10}]`
	for _, c := range []struct {
		as         domain.PersonID
		path, body string
	}{
		{"department", "/v1/regimes/second", `{"rules":{` + rules + `}}`},
		{"department", "/v1/regimes/second/amendments", `{"rules":{` + rules + `},"reason":"bổ sung"}`},
		{"department", "/v1/regimes/second/days/2021-02-09/opening", `{}`},
		{"department", "/v1/regimes/second/days/2021-02-09/extensions", `{"duty":"a","units":["25741"],"due":"2021-02-09T16:00:00+07:00","reason":"bão"}`},
		{"department", "/v1/regimes/second/days/2021-02-09/exemptions", `{"units":["25819"],"reason":"cách ly"}`},
		{"department", "/v1/regimes/second/closing", `{"last_day":"2021-02-10","reason":"hết dịch"}`},
		{"department", "/v1/units/25900", `{"level":"commune","type":"Xã","name":"Xã mới","parent":"719","effective_on":"2021-02-01"}`},
		{"department", "/v1/units/25900/changes", `{"change":"renamed","name":"Phường mới","effective_on":"2021-02-08","basis":"NQ 1"}`},
		{"department", "/v1/units/25900/changes", `{"change":"reclassified","type":"Phường","name":"Phường mới","effective_on":"2021-02-08","basis":"NQ 1"}`},
		{"department", "/v1/units/25900/changes", `{"change":"moved","parent":"718","effective_on":"2021-02-08","basis":"NQ 1"}`},
		{"department", "/v1/units/25900/changes", `{"change":"merged","into":"25741","effective_on":"2021-02-09","basis":"NQ 1"}`},
		{"admin", "/v1/persons/new", `{"name":"Nguyễn Văn Mới"}`},
		{"admin", "/v1/persons/new/roles", `{"role":"head","unit":"25744"}`},
		{"nobody", "/v1/persons/nobody/credentials", `{"credential":"c1","method":"ed25519","public_key":"AAAA"}`},
		{"nobody", "/v1/persons/nobody/credential-revocations", `{"credential":"c1","reason":"mất khóa"}`},
		{"department", "/v1/units/25744/office/tenures", `{"person":"new","capacity":"head","title":"Chủ tịch","from":"2021-02-08T00:00:00+07:00","decision":"5/QĐ"}`},
		{"head", "/v1/units/25741/office/authorities", `{"authority":"uq_2","person":"deputy","capacity":"KT","title":"Phó Chủ tịch","from":"2021-02-08T00:00:00+07:00","until":"2021-03-01T00:00:00+07:00","decision":"6/UQ"}`},
		{"head", "/v1/units/25741/office/revocations", `{"authority":"uq_2","reason":"thôi việc"}`},
		{"department", "/v1/units/25744/office/departures", `{"person":"new","until":"2021-02-08T08:00:00+07:00","reason":"chuyển"}`},
		{"admin", "/v1/persons/new/role-revocations", `{"role":"head","unit":"25744","reason":"chuyển"}`},
	} {
		w.want(ask{as: c.as, method: "POST", path: c.path, body: c.body}, 201)
	}
	regime := decodeInto[Regime](t, w.want(ask{as: "filer", path: "/v1/regimes/second"}, 200))
	if regime.Version != 2 || len(regime.Extensions) != 1 || len(regime.Exemptions) != 1 || regime.Closed == nil {
		t.Errorf("%+v", regime)
	}
	units := decodeInto[projections.UnitPage](t, w.want(ask{as: "filer", path: "/v1/units?search=phuong%20moi&as_of=2021-02-08&at=" + w.position()}, 200))
	if len(units.Rows) != 1 || units.Rows[0].Parent != "718" || units.AsOf != "2021-02-08" {
		t.Errorf("%+v", units)
	}
	person := decodeInto[Person](t, w.want(ask{as: "admin", path: "/v1/persons/nobody"}, 200))
	if len(person.Credentials) != 1 || person.Credentials[0].RevokedAt == nil {
		t.Errorf("%+v", person)
	}
}

// TestUnicodeIsNormalised: two spellings of a text are one.
func TestUnicodeIsNormalised(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.want(ask{as: "filer", method: "PUT", path: reportURL, body: `{"figures":{"smartphone_users":8000,"installed":4000,"new_today":100},"note":"Bi\u0300nh Du\u031bo\u031bng"}`}, 201)
	if got := decodeInto[Report](t, w.want(ask{as: "filer", path: reportURL}, 200)); got.Newest.Note != "Bình Dương" {
		t.Errorf("%q", got.Newest.Note)
	}
	w.want(ask{as: "department", method: "POST", path: "/v1/units/25901", body: "{\"level\":\"commune\",\"type\":\"Xa\u0303\",\"name\":\"Bi\u0300nh My\u0303\",\"parent\":\"719\",\"effective_on\":\"2021-02-01\"}"}, 201)
	if u, err := w.ledger.Unit(t.Context(), "25901"); err != nil || u.Name != "Bình Mỹ" || u.Type != "Xã" {
		t.Errorf("%q %q %v", u.Name, u.Type, err)
	}
}

// TestReplacesIsAMember: the word in a text of a correction is no statement of the version replaced, and the member is one
// however its name is written.
func TestReplacesIsAMember(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]bool{
		`{"replaces":1,"reason":"x"}`:             true,
		`{"reason":"x","replaces":2}`:             true,
		`{"re\u0070laces":1}`:                     true,
		`{"reason":"the \"replaces\" of it"}`:     false,
		`{"figures":{"replaces":1},"reason":"x"}`: false,
		`{`:  false,
		`[]`: false,
		``:   false,
	} {
		if names([]byte(body), "replaces") != want {
			t.Errorf("%s: want %t", body, want)
		}
	}
}
