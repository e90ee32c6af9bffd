package api

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

var update = flag.Bool("update", false, "write testdata anew")

// TestProblems sends everything that issue and rules call bad input, and compares the whole document, in both languages
// where the words are ours. Nothing of it may be recorded.
func TestProblems(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit() // 25741 has reported
	w.settle()
	day := "/v1/regimes/bluezone/days/2021-02-08"
	report := func(unit, form, date string) string {
		return "/v1/regimes/bluezone/reports/" + form + "/" + unit + "/" + date
	}
	b := report("25744", "commune", "2021-02-08") // nobody has reported here
	put := func(as domain.PersonID, path, body string) ask {
		a := ask{method: "PUT", path: path, body: body}
		if a.as = as; as == "" {
			a.as = "filer_b"
		}
		return a
	}
	figures := func(s string) string { return `{"figures":` + s + `}` }
	etag1 := w.want(ask{as: "filer", path: reportURL}, 200).Header().Get("ETag")
	wrongDigest := `"1-` + strings.Repeat("0", 64) + `"`
	correction := func(replaces int, kind, figures string) string {
		return fmt.Sprintf(`{"figures":%s,"replaces":%d,"correction":%q,"reason":"đếm lại"}`, figures, replaces, kind)
	}
	same := `{"smartphone_users":8000,"installed":4000,"new_today":100}`
	en := map[string]string{"Accept-Language": "en"}

	cases := []struct {
		name string
		ask  ask
	}{
		{"unknown regime", put("", strings.Replace(b, "bluezone", "other", 1), goodReport)},
		{"unknown unit", ask{as: "department", path: report("99999", "commune", "2021-02-08")}},
		{"a unit no stream can name", ask{as: "department", path: report("a.b", "commune", "2021-02-08")}},
		{"unknown form", put("", report("25744", "census", "2021-02-08"), goodReport)},
		{"a date that is none", put("", report("25744", "commune", "2021-02-30"), goodReport)},
		{"a date that was not opened", put("", report("25744", "commune", "2021-02-09"), goodReport)},
		{"no obligation", put("district", report("718", "commune", "2021-02-08"), goodReport)},
		{"negative", put("", b, figures(`{"smartphone_users":8000,"installed":-1,"new_today":100}`))},
		{"fractional", put("", b, figures(`{"smartphone_users":8000.5,"installed":1e3,"new_today":100}`))},
		{"above 2^53", put("", b, figures(`{"smartphone_users":9007199254740993,"installed":1,"new_today":1}`))},
		{"far above 64 bits", put("", b, figures(`{"smartphone_users":90071992547409930000000000,"installed":1,"new_today":1}`))},
		{"a string for a number", put("", b, figures(`{"smartphone_users":"8000","installed":1,"new_today":1}`))},
		{"a name twice", put("", b, figures(`{"smartphone_users":8000,"smartphone_users":9000,"installed":1,"new_today":1}`))},
		{"an unknown field", put("", b, figures(`{"smartphone_users":8000,"installed":1,"new_today":1,"teachers":3}`))},
		{"an unknown member", put("", b, `{"figures":{"smartphone_users":8000,"installed":1,"new_today":1},"late":false}`)},
		{"a field missing", put("", b, figures(`{"smartphone_users":8000}`))},
		{"more installed than phones", put("", b, figures(`{"smartphone_users":8000,"installed":8001,"new_today":1}`))},
		{"several faults", put("", b, figures(`{"smartphone_users":-1,"installed":"x","new_today":1.5}`))},
		{"not JSON", put("", b, `{"figures":`)},
		{"two values", put("", b, goodReport+`{}`)},
		{"not UTF-8", put("", b, "{\"note\":\"\xff\"}")},
		{"an array", put("", b, `[]`)},
		{"empty is not nil", put("", b, `{"figures":{}}`)},
		{"nil with figures", put("", b, `{"nil":true,"figures":{"installed":1}}`)},
		{"an old form", put("", b, `{"form_version":1,"figures":{"smartphone_users":8000,"installed":1,"new_today":1}}`)},
		{"a body over the limit", put("", b, `{"note":"`+strings.Repeat("a", 256<<10)+`"}`)},
		{"no media type", ask{as: "filer_b", method: "PUT", path: b, body: goodReport, headers: map[string]string{"Content-Type": ""}}},
		{"another media type", ask{as: "filer_b", method: "PUT", path: b, body: goodReport, headers: map[string]string{"Content-Type": "text/plain"}}},
		{"a second submission", put("filer", reportURL, otherReport)},
		{"a second submission, in English", ask{as: "filer", method: "PUT", path: reportURL, body: otherReport, headers: en}},
		{"a summed field typed in", put("district", report("718", "district", "2021-02-08"), figures(`{"installed":1}`))},

		{"an identical correction", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(1, "content", same)}},
		{"an erratum that changes figures", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(1, "erratum", `{"smartphone_users":8000,"installed":4001,"new_today":100}`)}},
		{"a correction of an old version", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(2, "content", `{"smartphone_users":8000,"installed":4001,"new_today":100}`)}},
		{"a correction of another digest", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(1, "content", `{"smartphone_users":8000,"installed":4001,"new_today":100}`), headers: map[string]string{"If-Match": wrongDigest}}},
		{"If-Match that contradicts the body", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(2, "content", same), headers: map[string]string{"If-Match": etag1}}},
		{"If-Match that is no ETag", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: correction(1, "content", same), headers: map[string]string{"If-Match": "*"}}},
		{"a correction without a reason", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: `{"figures":` + same + `,"replaces":1,"correction":"content"}`}},
		{"a correction of no version", ask{as: "filer", method: "POST", path: reportURL + "/corrections", body: `{"figures":` + same + `,"correction":"content","reason":"r"}`}},
		{"a correction of nothing", ask{as: "filer_b", method: "POST", path: b + "/corrections", body: correction(1, "content", same)}},

		{"signing without office", ask{as: "filer_b", method: "POST", path: reportURL + "/sign-offs", body: `{}`}},
		{"signing without office, a head elsewhere", ask{as: "head_718", method: "POST", path: reportURL + "/sign-offs", body: `{}`}},
		{"signing no version", ask{as: "head", method: "POST", path: reportURL + "/sign-offs", body: `{}`}},
		{"signing an old version", ask{as: "head", method: "POST", path: reportURL + "/sign-offs", body: `{"version":7,"digest":"x"}`}},
		{"signing another digest", ask{as: "head", method: "POST", path: reportURL + "/sign-offs", headers: map[string]string{"If-Match": wrongDigest}, body: `{}`}},
		{"signing another statement", ask{as: "head", method: "POST", path: reportURL + "/sign-offs", headers: map[string]string{"If-Match": etag1}, body: `{"statement":"{}"}`}},
		{"returning without a reason", ask{as: "head", method: "POST", path: reportURL + "/returns", headers: map[string]string{"If-Match": etag1}, body: `{"reason":" "}`}},
		{"returning without a version", ask{as: "head", method: "POST", path: reportURL + "/returns", body: `{"reason":"xem lại"}`}},
		{"reminding who has reported", ask{as: "district", method: "POST", path: reportURL + "/reminders", body: `{"via":"điện thoại"}`}},
		{"excusing no breach", ask{as: "department", method: "POST", path: reportURL + "/breaches/late/excuse", body: `{"reason":"mất điện"}`}},

		{"a type in a command's body", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"reason":7}`}},
		{"a time in a command's body", ask{as: "department", method: "POST", path: day + "/extensions", body: `{"duty":"communes","due":"15:00","reason":"r"}`}},
		{"an unknown member of a command", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"reason":"r","because":"x"}`}},
		{"a member of a command twice", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"reason":"r","reason":"x"}`}},
		{"a command cut off", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"reason":"r"`}},
		{"an unknown unit in a command", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"units":["99999"],"reason":"r"}`}},
		{"a unit in a command that no stream can name", ask{as: "department", method: "POST", path: day + "/exemptions", body: `{"units":["A B"],"reason":"r"}`}},
		{"an earlier deadline", ask{as: "department", method: "POST", path: day + "/extensions", body: `{"duty":"communes","due":"2021-02-08T14:00:00+07:00","reason":"r"}`}},
		{"rules with faults", ask{as: "department", method: "POST", path: "/v1/regimes/second", body: `{"rules":{"title":" ","title_en":"","number":"","issued_on":"2021-02-05","issued_by":"","zone":"Mars/Olympus","first_day":"tomorrow","duties":[{"duty":"A","item":"","name":{"vi":"","en":""},"form":"commune","form_version":2,"holders":{},"due":"25:00","grace_minutes":0}]}}`}},
		{"a regime that exists", ask{as: "department", method: "POST", path: "/v1/regimes/bluezone", body: `{"rules":{"title":"a","title_en":"","number":"","issued_on":"2021-02-05","issued_by":"","zone":"Asia/Ho_Chi_Minh","first_day":"2021-02-05","duties":[{"duty":"a","item":"","name":{"vi":"","en":""},"form":"commune","form_version":2,"holders":{},"due":"15:00","grace_minutes":0}]}}`}},
		{"a day opened twice", ask{as: "department", method: "POST", path: day + "/opening", body: `{}`}},
		{"a unit registered twice", ask{as: "department", method: "POST", path: "/v1/units/25741", body: `{"level":"commune","type":"Xã","name":"A","effective_on":"2021-01-01"}`}},
		{"an unknown change of a unit", ask{as: "department", method: "POST", path: "/v1/units/25741/changes", body: `{"change":"sold","effective_on":"2021-01-01","basis":"b"}`}},
		{"an office that is held", ask{as: "department", method: "POST", path: "/v1/units/25741/office/tenures", body: `{"person":"deputy","capacity":"head","title":"t","from":"2021-02-08T00:00:00Z","decision":"d"}`}},
		{"an unknown person in an office", ask{as: "department", method: "POST", path: "/v1/units/25744/office/tenures", body: `{"person":"stranger","capacity":"head","title":"t","from":"2021-02-08T00:00:00Z","decision":"d"}`}},
		{"a role that is none", ask{as: "admin", method: "POST", path: "/v1/persons/filer/roles", body: `{"role":"system"}`}},

		{"no key", ask{as: "filer_b", method: "POST", path: b, body: goodReport, key: "-"}},
		{"no key, in English", ask{as: "filer_b", method: "POST", path: b, body: goodReport, key: "-", headers: en}},
		{"a key that is too long", ask{as: "filer_b", method: "POST", path: b, body: goodReport, key: strings.Repeat("k", 201)}},
		{"no token", ask{path: reportURL}},
		{"a wrong token", ask{path: reportURL, headers: map[string]string{"Authorization": "Bearer answerable_wrong"}}},
		{"another scheme", ask{path: reportURL, headers: map[string]string{"Authorization": "Basic eDp5"}}},
		{"a role too few", ask{as: "nobody", path: reportURL}},
		{"another unit's filer", put("filer", b, goodReport)},
		{"no such address", ask{as: "filer", path: "/v1/nothing"}},
		{"another method", ask{as: "filer", method: "DELETE", path: reportURL}},
		{"an unknown parameter", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?known_ad=2021-02-08T00:00:00Z"}},
		{"a parameter twice", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?unit=1&unit=2"}},
		{"an instant that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?known_at=yesterday"}},
		{"a limit that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?limit=0"}},
		{"a status that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?status=late,early"}},
		{"a cursor that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?cursor=abc"}},
		{"a position that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/compliance?at=x"}},
		{"history of a day not opened", ask{as: "inspector", path: "/v1/regimes/bluezone/history/25741/2021-02-20"}},
		{"history of an unknown unit", ask{as: "inspector", path: "/v1/regimes/bluezone/history/99999/2021-02-08"}},
		{"an unknown person", ask{as: "admin", path: "/v1/persons/stranger"}},
		{"an unknown form asked for", ask{as: "filer", path: "/v1/forms/census"}},
		{"a day asked for that is none", ask{as: "inspector", path: "/v1/regimes/bluezone/days/2021-13-01/board"}},
	}
	before := w.position()
	var got strings.Builder
	for _, c := range cases {
		r := w.ask(c.ask)
		if ct := r.Header().Get("Content-Type"); ct != "application/problem+json" {
			t.Errorf("%s: %d %s\n%s", c.name, r.Code, ct, r.Body)
			continue
		}
		p := decodeInto[Problem](t, r)
		if p.Request == "" || p.Request != r.Header().Get("X-Request-Id") {
			t.Errorf("%s: request id %q, header %q", c.name, p.Request, r.Header().Get("X-Request-Id"))
		}
		if p.Status != r.Code || p.Type != TypeBase+p.Code || p.Instance == "" || p.Title == "" || p.Detail == "" {
			t.Errorf("%s: %d, %+v", c.name, r.Code, p)
		}
		if strings.Contains(r.Body.String(), "{") && strings.ContainsAny(p.Detail, "{}") && c.name != "not JSON" && c.name != "a command cut off" {
			t.Errorf("%s: words are missing: %s", c.name, p.Detail)
		}
		p.Request = ""
		text, err := json.Marshal(p, answerJSON)
		if err != nil {
			t.Fatal(err)
		}
		v := jsontext.Value(text)
		if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&got, "== %s\n", c.name)
		for _, name := range []string{"Allow", "ETag", "Retry-After", "WWW-Authenticate"} {
			if v := r.Header().Get(name); v != "" {
				fmt.Fprintf(&got, "%s: %s\n", name, v)
			}
		}
		fmt.Fprintf(&got, "%s\n\n", v)
	}
	if after := w.position(); after != before {
		t.Errorf("something was recorded: %s, then %s", before, after)
	}
	golden(t, "problems.txt", []byte(got.String()))
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, got) {
		t.Errorf("%s (-want +got)\n%s", path, cmp.Diff(strings.Split(string(want), "\n"), strings.Split(string(got), "\n")))
	}
}
