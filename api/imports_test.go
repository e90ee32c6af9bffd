package api

import (
	"bytes"
	"context"
	"fmt"
	"mime/multipart"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/projections"
)

const importURL = "/v1/regimes/bluezone/days/2021-02-08/imports"

// asOfficer gives the district officer the filing of its communes, as an office that types in what is telephoned.
func asOfficer(w *world) {
	for _, unit := range []string{"25741", "25744"} {
		w.want(ask{as: "admin", method: "POST", path: "/v1/persons/district/roles", body: `{"role":"filer","unit":"` + unit + `"}`}, 201)
	}
}

const goodCSV = "unit;form;smartphone_users;installed;new_today;note\n" +
	"25741;commune;8000;4000;100;đủ các ấp\n" +
	"25744;commune;6000;3000;50;\n"

func TestImport(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	asOfficer(w)
	a := ask{as: "district", method: "POST", path: importURL, body: goodCSV, key: "file-1", headers: map[string]string{"Content-Type": csvType}}
	first := w.want(a, 201)
	got := decodeInto[Imported](t, first)
	if got.Rows != 2 || len(got.Reports) != 2 || got.Repeats != 0 || got.Reports[0].Row != 2 || got.Reports[1].Timeliness != domain.OnTime || got.Position != w.position() {
		t.Errorf("%+v", got)
	}
	report := decodeInto[Report](t, w.want(ask{as: "district", path: reportURL}, 200))
	if report.Newest.Figures["installed"] != 4000 || report.Newest.Note != "đủ các ấp" || report.Newest.Channel != domain.ChannelSpreadsheet || report.Newest.Filer != "district" {
		t.Errorf("%+v", report.Newest)
	}
	t.Run("a repeat is answered byte for byte", func(t *testing.T) {
		again := w.want(a, 201)
		if again.Body.String() != first.Body.String() || again.Header().Get("Idempotency-Replayed") != "true" {
			t.Error(again.Body)
		}
		other := a
		other.body = strings.Replace(goodCSV, "8000", "8001", 1)
		if p := decodeInto[Problem](t, w.want(other, 422)); p.Code != string(codeKeyReused) {
			t.Error(p)
		}
	})
	t.Run("as JSON, in a form", func(t *testing.T) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("file", "ngày 8.json")
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprint(part, `[{"unit":"25819","form":"commune","figures":{"smartphone_users":5000,"installed":100,"new_today":1}}]`)
		if err := form.Close(); err != nil {
			t.Fatal(err)
		}
		r := w.want(ask{as: "filer_far", method: "POST", path: importURL, body: body.String(), headers: map[string]string{"Content-Type": form.FormDataContentType()}}, 201)
		if got := decodeInto[Imported](t, r); got.Rows != 1 {
			t.Errorf("%+v", got)
		}
	})
}

// TestImportFaults: every fault is told with its row and column, and nothing is recorded.
func TestImportFaults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	asOfficer(w)
	before := w.position()
	for _, c := range []struct {
		name, body, contentType string
		status                  int
		want                    []ProblemFault
	}{
		{"figures", "unit;form;smartphone_users;installed;new_today\n25741;commune;8000;8001;1\n25744;commune;6000;3,5;1\n", csvType, 422, []ProblemFault{
			{Pointer: "/figures/installed", Row: 2, Column: "D", Code: "at_most", Detail: "“installed” là 8001, không được lớn hơn “smartphone_users” là 8000."},
			{Pointer: "/figures/installed", Row: 3, Column: "D", Code: "not_integer", Detail: "Phải là số nguyên, không có phần thập phân và không đặt trong ngoặc kép."},
		}},
		{"what the ledger refuses", "unit;form;smartphone_users;installed;new_today\n25741;commune;8000;4000;1\n25819;commune;6000;3000;1\n99999;commune;6000;3000;1\n", csvType, 404, []ProblemFault{
			{Row: 3, Code: "role_missing", Detail: "Cần vai trò “người lập báo cáo” đối với đơn vị “25819”."},
			{Pointer: "/unit", Row: 4, Code: "unit_unknown", Column: "A", Detail: "Không có đơn vị này; hãy kiểm tra lại mã đơn vị."},
		}},
		{"another day", "unit;form;date;smartphone_users;installed;new_today\n25741;commune;2021-02-09;8000;4000;1\n", csvType, 422, []ProblemFault{
			{Pointer: "/date", Row: 2, Column: "C", Code: "date", Detail: "“2021-02-09” không phải là ngày hợp lệ (ví dụ 2021-02-08)."},
		}},
		{"no table", `{}`, jsonType, 422, []ProblemFault{{Code: "type", Detail: "Sai kiểu: cần danh sách JSON."}}},
	} {
		r := w.want(ask{as: "district", method: "POST", path: importURL, body: c.body, headers: map[string]string{"Content-Type": c.contentType}}, c.status)
		if diff := cmp.Diff(c.want, decodeInto[Problem](t, r).Errors); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
	w.want(ask{as: "district", method: "POST", path: importURL, body: goodCSV, headers: map[string]string{"Content-Type": "application/pdf"}}, 415)
	w.want(ask{as: "district", method: "POST", path: importURL, body: "--x--", headers: map[string]string{"Content-Type": "multipart/form-data; boundary=x"}}, 422)
	w.want(ask{as: "district", method: "POST", path: importURL, body: strings.Repeat("a", domain.MaxImportBytes+1), headers: map[string]string{"Content-Type": csvType}}, 413)
	if after := w.position(); after != before {
		t.Errorf("something was recorded: %s, then %s", before, after)
	}
	// A key of a refused import is free: the mended file is sent under it.
	a := ask{as: "district", method: "POST", path: importURL, body: strings.Replace(goodCSV, "8000", "1", 1), key: "k", headers: map[string]string{"Content-Type": csvType}}
	w.want(a, 422)
	a.body = goodCSV
	w.want(a, 201)
}

// failingLog is a log that fails as it is told.
type failingLog struct {
	eventlog.Log
	fail atomic.Pointer[failure]
}

type failure struct {
	after int32 // appends that still work
	err   error
	done  atomic.Int32
}

func (l *failingLog) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if f := l.fail.Load(); f != nil && f.done.Add(1) > f.after {
		return eventlog.Appended{}, fmt.Errorf("test: append to %s: %w", stream, f.err)
	}
	return l.Log.Append(ctx, stream, expected, events)
}

// TestImportIsFinishedByARepeat: an import that the log cut off half-way is finished under the same key, with no row
// twice.
func TestImportIsFinishedByARepeat(t *testing.T) {
	t.Parallel()
	c := &clock{t: clockAt("05:00:00").AddDate(0, 0, -3)}
	log := &failingLog{Log: memlog.New(c.Now)}
	w := newWorldOn(t, c, options{log: log}, (*world).populate)
	asOfficer(w)
	log.fail.Store(&failure{after: 1, err: eventlog.ErrUnavailable})
	a := ask{as: "district", method: "POST", path: importURL, body: goodCSV, key: "k", headers: map[string]string{"Content-Type": csvType}}
	if r := w.want(a, http.StatusServiceUnavailable); r.Header().Get("Retry-After") == "" {
		t.Error(r.Header())
	}
	log.fail.Store(nil)
	got := decodeInto[Imported](t, w.want(a, 201))
	if got.Rows != 2 || got.Repeats != 1 {
		t.Errorf("%+v", got)
	}
	page := decodeInto[projections.DayBoard](t, w.want(ask{as: "department", path: "/v1/regimes/bluezone/days/2021-02-08/board?at=" + w.position()}, 200))
	if page.Total.OnTime != 2 {
		t.Errorf("%+v", page.Total)
	}
}

// TestLogFailures: what the caller is told when the log fails, and that the same request works afterwards.
func TestLogFailures(t *testing.T) {
	t.Parallel()
	c := &clock{t: clockAt("05:00:00").AddDate(0, 0, -3)}
	log := &failingLog{Log: memlog.New(c.Now)}
	w := newWorldOn(t, c, options{log: log}, (*world).populate)
	a := ask{as: "filer", method: "POST", path: reportURL, body: goodReport, key: "k"}
	for err, code := range map[error]code{eventlog.ErrUnavailable: codeUnavailable, eventlog.ErrOutcomeUnknown: codeOutcomeUnknown, eventlog.ErrFull: codeNotWritable, eventlog.ErrReadOnly: codeNotWritable} {
		log.fail.Store(&failure{err: err})
		r := w.want(a, http.StatusServiceUnavailable)
		if p := decodeInto[Problem](t, r); p.Code != string(code) || r.Header().Get("Retry-After") == "" {
			t.Errorf("%v: %+v %v", err, p, r.Header())
		}
	}
	log.fail.Store(nil)
	w.want(a, 201)
}

// TestClockBackwards: recorded_at never decreases in a stream, whatever the clock does.
func TestClockBackwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	w.clock.Set(clockAt("07:00:00"))
	got := decodeInto[Recorded](t, w.want(ask{as: "filer", method: "POST", path: reportURL + "/corrections",
		body: `{"figures":{"smartphone_users":8000,"installed":4001,"new_today":100},"replaces":1,"correction":"content","reason":"r"}`}, 201))
	if got.RecordedAt.Before(clockAt("08:00:00")) || !got.ReceivedAt.Equal(clockAt("07:00:00")) {
		t.Errorf("%+v", got)
	}
}

// TestTheDepartmentDoesNotFile, and is told who does, until it is given the role for a unit.
func TestTheDepartmentDoesNotFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	file := ask{as: "department", method: "POST", path: "/v1/regimes/bluezone/days/2021-02-08/imports", body: "unit,form,smartphone_users,installed,new_today\n25741,commune,8000,4000,100\n", headers: map[string]string{"Content-Type": csvType}}
	for _, l := range []string{"vi", "en"} {
		file.headers["Accept-Language"] = l
		if p := decodeInto[Problem](t, w.want(file, 403)); p.Code != string(codeFilersOnly) || p.Detail != codeFilersOnly.text(domain.Language(l), nil) {
			t.Errorf("%+v", p)
		}
	}
	w.want(ask{as: "admin", method: "POST", path: "/v1/persons/department/roles", body: `{"role":"filer","unit":"25741"}`}, 201)
	w.want(file, 201)
}

// racedLog takes one stream at a time, and somebody else comes before the first append to one of them.
type racedLog struct {
	eventlog.Log
	stream string
	first  func()
	came   atomic.Bool
}

func (l *racedLog) Append(ctx context.Context, stream string, expected eventlog.Expected, events []eventlog.Proposed) (eventlog.Appended, error) {
	if stream == l.stream && l.came.CompareAndSwap(false, true) {
		l.first()
	}
	return l.Log.Append(ctx, stream, expected, events)
}

// TestImportSaysWhatARaceLeft: where the log takes rows one by one, the answer says which were not recorded and how many were.
func TestImportSaysWhatARaceLeft(t *testing.T) {
	t.Parallel()
	c := &clock{t: clockAt("05:00:00").AddDate(0, 0, -3)}
	log := &racedLog{Log: memlog.New(c.Now)}
	w := newWorldOn(t, c, options{log: log}, (*world).populate)
	asOfficer(w)
	key := domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25744", Date: "2021-02-08"}
	log.first = func() {
		w.want(ask{as: "district", method: "POST", path: strings.Replace(reportURL, "25741", "25744", 1), body: goodReport}, 201)
	}
	log.stream = key.Stream()
	p := decodeInto[Problem](t, w.want(ask{as: "district", method: "POST", path: importURL, body: goodCSV, headers: map[string]string{"Content-Type": csvType}}, 409))
	if len(p.Errors) != 2 || p.Errors[0].Row != 3 || p.Errors[0].Code != string(domain.CodeAlreadySubmitted) || p.Errors[1].Code != string(domain.CodeOthersRecorded) {
		t.Errorf("%+v", p)
	}
}
