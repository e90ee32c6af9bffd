package intake

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

var loadOnce = sync.OnceValues(schemas.Load)

func registry(t testing.TB) *schemas.Registry {
	t.Helper()
	r, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fault is what a test says of one.
type fault struct {
	Code    domain.Code
	Pointer string
	Row     int
	Column  string
}

var openArgument = regexp.MustCompile(`\{[a-z_]+\}`)

// faultsOf lists the faults of a refusal and checks that each is said in full, in both languages.
func faultsOf(t testing.TB, err error) []fault {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a refusal: %v", err)
	}
	if e.Kind != domain.Invalid || len(e.Faults) == 0 {
		t.Errorf("kind %v, %d faults", e.Kind, len(e.Faults))
	}
	var out []fault
	for _, f := range e.Faults {
		out = append(out, fault{f.Code, f.Pointer, f.Row, f.Column})
		for _, l := range []domain.Language{domain.Vietnamese, domain.English} {
			if text := f.Text(l); text == string(f.Code) || openArgument.MatchString(text) {
				t.Errorf("%s in %s is not said in full: %s", f.Code, l, text)
			}
		}
	}
	return out
}

var communeKey = domain.ReportKey{Regime: "bluezone_2021", Form: "commune", Unit: "25900", Date: "2021-02-08"}

func TestParseReport(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	good := domain.Figures{"smartphone_users": 10, "installed": 6, "new_today": 1}
	for name, c := range map[string]struct {
		body string
		want domain.Submission
	}{
		"figures":             {`{"figures":{"smartphone_users":10,"installed":6,"new_today":1}}`, domain.Submission{Content: domain.Content{FormVersion: 2, Figures: good}}},
		"older form":          {`{"form_version":1,"figures":{"smartphone_users":10,"installed":6,"new_today":1}}`, domain.Submission{Content: domain.Content{FormVersion: 1, Figures: good}}},
		"nil":                 {`{"nil":true,"note":"không có điện"}`, domain.Submission{Content: domain.Content{FormVersion: 2, Figures: domain.Figures{}, Nil: true}, Note: "không có điện"}},
		"nil, empty figures":  {`{"nil":true,"figures":{ }}`, domain.Submission{Content: domain.Content{FormVersion: 2, Figures: domain.Figures{}, Nil: true}}},
		"not nil":             {`{"nil":false,"figures":{"smartphone_users":10,"installed":6,"new_today":1}}`, domain.Submission{Content: domain.Content{FormVersion: 2, Figures: good}}},
		"note becomes NFC":    {"{\"note\":\"Tha\u0306\u0301ng lo\u031b\u0323i\",\"figures\":{\"smartphone_users\":10,\"installed\":6,\"new_today\":1}}", domain.Submission{Content: domain.Content{FormVersion: 2, Figures: good}, Note: "Thắng lợi"}},
		"escaped note as NFC": {`{"note":"e\u0302\u0301","figures":{"smartphone_users":10,"installed":6,"new_today":1}}`, domain.Submission{Content: domain.Content{FormVersion: 2, Figures: good}, Note: "ế"}},
		"spaces":              {" {\n\"figures\" : {\"smartphone_users\":10, \"installed\":6, \"new_today\":1}\r\n}\n", domain.Submission{Content: domain.Content{FormVersion: 2, Figures: good}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReport([]byte(c.body), reg, communeKey, domain.DayDuty{})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseReportRefuses(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	const rest = `"smartphone_users":10,"new_today":0`
	for name, c := range map[string]struct {
		body string
		want []fault
	}{
		"negative":               {`{"figures":{"installed":-1,"smartphone_users":10,"new_today":-2}}`, []fault{{Code: domain.CodeRange, Pointer: "/figures/installed"}, {Code: domain.CodeRange, Pointer: "/figures/new_today"}}},
		"fractional":             {`{"figures":{"installed":1.5,` + rest + `}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/installed"}}},
		"1.0":                    {`{"figures":{"installed":1.0,` + rest + `}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/installed"}}},
		"1e3":                    {`{"figures":{"installed":1e3,` + rest + `}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/installed"}}},
		"above 2^53":             {`{"figures":{"installed":1,"new_today":0,"smartphone_users":9007199254740993}}`, []fault{{Code: domain.CodeRange, Pointer: "/figures/smartphone_users"}}},
		"string for a number":    {`{"figures":{"installed":"6",` + rest + `}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/installed"}}},
		"duplicate figure":       {`{"figures":{"installed":6,"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeDuplicate, Pointer: "/figures/installed"}}},
		"duplicate member":       {`{"note":"a","note":"b","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeDuplicate, Pointer: "/note"}}},
		"figures twice":          {`{"figures":{"installed":6,` + rest + `},"figures":{}}`, []fault{{Code: domain.CodeDuplicate, Pointer: "/figures"}}},
		"unknown figure":         {`{"figures":{"installed":6,"instaled":6,` + rest + `}}`, []fault{{Code: domain.CodeFieldUnknown, Pointer: "/figures/instaled"}}},
		"unknown member":         {`{"a/b":1,"figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeFieldUnknown, Pointer: "/a~1b"}}},
		"member of corrections":  {`{"replaces":1,"figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeFieldUnknown, Pointer: "/replaces"}}},
		"member of files":        {`{"unit":"25900","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeFieldUnknown, Pointer: "/unit"}}},
		"more than phones":       {`{"figures":{"installed":11,` + rest + `}}`, []fault{{Code: domain.CodeAtMost, Pointer: "/figures/installed"}}},
		"empty is not nil":       {`{"figures":{}}`, []fault{{Code: domain.CodeEmptyNotNil, Pointer: "/figures"}}},
		"nothing is not nil":     {`{}`, []fault{{Code: domain.CodeEmptyNotNil, Pointer: "/figures"}}},
		"nil with figures":       {`{"nil":true,"figures":{"installed":"x"}}`, []fault{{Code: domain.CodeNilWithFigures, Pointer: "/figures"}}},
		"nil with null figures":  {`{"nil":true,"figures":null}`, []fault{{Code: domain.CodeNilWithFigures, Pointer: "/figures"}}},
		"nil is a word":          {`{"nil":"true","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeType, Pointer: "/nil"}}},
		"figures are a list":     {`{"figures":[1,2]}`, []fault{{Code: domain.CodeType, Pointer: "/figures"}}},
		"figures null":           {`{"figures":null}`, []fault{{Code: domain.CodeType, Pointer: "/figures"}}},
		"note is a number":       {`{"note":5,"figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeType, Pointer: "/note"}}},
		"note too long":          {`{"note":"` + strings.Repeat("ằ", 3000) + `","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeTextTooLong, Pointer: "/note"}}},
		"note with NUL":          {`{"note":"a\u0000b","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeTextControl, Pointer: "/note"}}},
		"version is a word":      {`{"form_version":"2","figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/form_version"}}},
		"version unknown":        {`{"form_version":9,"figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeFormVersion, Pointer: "/form_version"}}},
		"version zero":           {`{"form_version":0,"figures":{"installed":6,` + rest + `}}`, []fault{{Code: domain.CodeRange, Pointer: "/form_version"}}},
		"no object":              {`[1]`, []fault{{Code: domain.CodeType}}},
		"null":                   {`null`, []fault{{Code: domain.CodeType}}},
		"nothing":                {``, []fault{{Code: domain.CodeJSON}}},
		"spaces only":            {` `, []fault{{Code: domain.CodeJSON}}},
		"cut off":                {`{"figures":{"installed":6`, []fault{{Code: domain.CodeJSON}}},
		"not JSON":               {`figures=6`, []fault{{Code: domain.CodeJSON}}},
		"two bodies":             {`{"nil":true}{"nil":true}`, []fault{{Code: domain.CodeJSON}}},
		"trailing comma":         {`{"nil":true,}`, []fault{{Code: domain.CodeJSON}}},
		"not UTF-8":              {"{\"nil\":true,\"note\":\"\xff\"}", []fault{{Code: domain.CodeJSON}}},
		"half a surrogate":       {`{"nil":true,"note":"\ud800"}`, []fault{{Code: domain.CodeJSON}}},
		"too large":              {`{"note":"` + strings.Repeat("a", domain.MaxBodyBytes) + `"}`, []fault{{Code: domain.CodeTooLarge}}},
		"too deep":               {`{"figures":{"installed":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}}`, []fault{{Code: domain.CodeJSON, Pointer: "/figures/installed" + strings.Repeat("/0", 31)}}},
		"very deep":              {strings.Repeat(`{"note":`, 20000), []fault{{Code: domain.CodeJSON}}},
		"everything wrong, once": {`{"x":1,"nil":1,"note":2,"figures":{"installed":"6","y":1}}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/installed"}, {Code: domain.CodeRequired, Pointer: "/figures/new_today"}, {Code: domain.CodeRequired, Pointer: "/figures/smartphone_users"}, {Code: domain.CodeFieldUnknown, Pointer: "/figures/y"}, {Code: domain.CodeType, Pointer: "/nil"}, {Code: domain.CodeType, Pointer: "/note"}, {Code: domain.CodeFieldUnknown, Pointer: "/x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseReport([]byte(c.body), reg, communeKey, domain.DayDuty{})
			if d := cmp.Diff(c.want, faultsOf(t, err)); d != "" {
				t.Errorf("faults (-want +got):\n%s\n%v", d, err)
			}
		})
	}
	t.Run("unknown form", func(t *testing.T) {
		t.Parallel()
		_, err := ParseReport([]byte(`{"figures":{"a":1}}`), reg, domain.ReportKey{Form: "nothing"}, domain.DayDuty{})
		if d := cmp.Diff([]fault{{Code: domain.CodeFormUnknown, Pointer: "/form"}}, faultsOf(t, err)); d != "" {
			t.Error(d)
		}
	})
}

func TestParseCorrection(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	const figures = `"figures":{"smartphone_users":10,"installed":6,"new_today":1}`
	got, err := ParseCorrection([]byte(`{`+figures+`,"replaces":2,"correction":"content","reason":"Đếm trùng","note":"x"}`), reg, communeKey, domain.DayDuty{})
	if err != nil {
		t.Fatal(err)
	}
	want := domain.Correction{Content: domain.Content{FormVersion: 2, Figures: domain.Figures{"smartphone_users": 10, "installed": 6, "new_today": 1}},
		Note: "x", Replaces: 2, Correction: domain.CorrectionContent, Reason: "Đếm trùng"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct {
		body string
		want []fault
	}{
		"bare":            {`{` + figures + `}`, []fault{{Code: domain.CodeRequired, Pointer: "/correction"}, {Code: domain.CodeRequired, Pointer: "/reason"}, {Code: domain.CodeRequired, Pointer: "/replaces"}}},
		"blank reason":    {`{` + figures + `,"replaces":1,"correction":"erratum","reason":" \n"}`, []fault{{Code: domain.CodeTextMissing, Pointer: "/reason"}}},
		"another sort":    {`{` + figures + `,"replaces":1,"correction":"other","reason":"a"}`, []fault{{Code: domain.CodeChoice, Pointer: "/correction"}}},
		"version zero":    {`{` + figures + `,"replaces":0,"correction":"content","reason":"a"}`, []fault{{Code: domain.CodeRange, Pointer: "/replaces"}}},
		"version by word": {`{` + figures + `,"replaces":"1","correction":"content","reason":"a"}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/replaces"}}},
		"version 1.0":     {`{` + figures + `,"replaces":1.0,"correction":"content","reason":"a"}`, []fault{{Code: domain.CodeNotInteger, Pointer: "/replaces"}}},
		"version vast":    {`{` + figures + `,"replaces":99999999999999999999,"correction":"content","reason":"a"}`, []fault{{Code: domain.CodeRange, Pointer: "/replaces"}}},
		"no object":       {`7`, []fault{{Code: domain.CodeType}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := ParseCorrection([]byte(c.body), reg, communeKey, domain.DayDuty{})
			if d := cmp.Diff(c.want, faultsOf(t, err)); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
		})
	}
}

// Rule 9: what is summed from below cannot be typed in.
func TestParseConsolidated(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	key := domain.ReportKey{Regime: "bluezone_2021", Form: "district", Unit: "726", Date: "2021-02-08"}
	for name, c := range map[string]struct {
		body string
		want domain.Figures
		bad  []fault
	}{
		"own":            {`{"figures":{"agencies_reached":12},"note":"x"}`, domain.Figures{"agencies_reached": 12}, nil},
		"nothing":        {`{}`, domain.Figures{}, nil},
		"empty":          {`{"figures":{}}`, domain.Figures{}, nil},
		"summed":         {`{"figures":{"installed":12,"communes_late":0}}`, nil, []fault{{Code: domain.CodeFieldSummed, Pointer: "/figures/communes_late"}, {Code: domain.CodeFieldSummed, Pointer: "/figures/installed"}}},
		"unknown, wrong": {`{"figures":{"agencies_reached":"12","x":1}}`, nil, []fault{{Code: domain.CodeNotInteger, Pointer: "/figures/agencies_reached"}, {Code: domain.CodeFieldUnknown, Pointer: "/figures/x"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseReport([]byte(c.body), reg, key, districtDuty)
			if d := cmp.Diff(c.bad, faultsOf(t, err)); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
			if d := cmp.Diff(c.want, got.Figures); err == nil && d != "" {
				t.Error(d)
			}
		})
	}
	c, err := ParseCorrection([]byte(`{"figures":{"agencies_reached":13},"replaces":1,"correction":"content","reason":"a"}`), reg, key, districtDuty)
	if err != nil || c.Figures["agencies_reached"] != 13 || c.Replaces != 1 {
		t.Errorf("%+v, %v", c, err)
	}
}

func BenchmarkParseReport(b *testing.B) {
	reg := registry(b)
	body := []byte(`{"form_version":2,"figures":{"smartphone_users":8123,"installed":4410,"new_today":312,"households_visited":1204},"note":"Đã đối chiếu với danh sách của 6 khu phố ngày 07/02/2021."}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseReport(body, reg, communeKey, domain.DayDuty{}); err != nil {
			b.Fatal(err)
		}
	}
}
