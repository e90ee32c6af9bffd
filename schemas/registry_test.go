package schemas

import (
	"errors"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/answerable-ledger/answerable/domain"
)

var loadOnce = sync.OnceValues(Load)

func registry(t testing.TB) *Registry {
	t.Helper()
	r, err := loadOnce()
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// fault is what a test says of one: code, place, and the arguments that matter.
type fault struct {
	Code    domain.Code
	Pointer string
}

var openArgument = regexp.MustCompile(`\{[a-z_]+\}`)

func faultsOf(t testing.TB, err error) []fault {
	t.Helper()
	if err == nil {
		return nil
	}
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatalf("not a refusal: %v", err)
	}
	var out []fault
	for _, f := range e.Faults {
		out = append(out, fault{f.Code, f.Pointer})
		for _, l := range []domain.Language{domain.Vietnamese, domain.English} {
			if text := f.Text(l); openArgument.MatchString(text) {
				t.Errorf("%s in %s leaves an argument open: %s", f.Code, l, text)
			}
		}
	}
	return out
}

func TestValidateFigures(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	for name, c := range map[string]struct {
		form    domain.FormID
		version int
		figures string
		want    []fault
	}{
		"good":                    {"commune", 2, `{"smartphone_users":10,"installed":6,"new_today":1,"households_visited":3}`, nil},
		"the new field may miss":  {"commune", 2, `{"smartphone_users":10,"installed":6,"new_today":1}`, nil},
		"zeros":                   {"commune", 2, `{"smartphone_users":0,"installed":0,"new_today":0}`, nil},
		"the greatest":            {"commune", 2, `{"smartphone_users":9007199254740992,"installed":0,"new_today":0}`, nil},
		"equal is at most":        {"commune", 2, `{"smartphone_users":7,"installed":7,"new_today":7}`, nil},
		"unknown before v2":       {"commune", 1, `{"smartphone_users":10,"installed":6,"new_today":1,"households_visited":3}`, []fault{{domain.CodeFieldUnknown, "/figures/households_visited"}}},
		"above 2^53":              {"commune", 2, `{"smartphone_users":9007199254740993,"installed":0,"new_today":0}`, []fault{{domain.CodeRange, "/figures/smartphone_users"}}},
		"above 2^64":              {"commune", 2, `{"smartphone_users":18446744073709551617,"installed":0,"new_today":0}`, []fault{{domain.CodeRange, "/figures/smartphone_users"}}},
		"very long":               {"commune", 2, `{"smartphone_users":1` + strings.Repeat("0", 5000) + `,"installed":0,"new_today":0}`, []fault{{domain.CodeRange, "/figures/smartphone_users"}}},
		"negative":                {"commune", 2, `{"smartphone_users":10,"installed":-1,"new_today":0}`, []fault{{domain.CodeRange, "/figures/installed"}, {domain.CodeAtMost, "/figures/new_today"}}},
		"minus zero":              {"commune", 2, `{"smartphone_users":10,"installed":6,"new_today":-0}`, []fault{{domain.CodeNotInteger, "/figures/new_today"}}},
		"fraction":                {"commune", 2, `{"smartphone_users":10,"installed":6.5,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/installed"}}},
		"integer with decimals":   {"commune", 2, `{"smartphone_users":10,"installed":6.0,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/installed"}}},
		"exponent":                {"commune", 2, `{"smartphone_users":1e3,"installed":6,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/smartphone_users"}}},
		"huge exponent":           {"commune", 2, `{"smartphone_users":1e999999999,"installed":6,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/smartphone_users"}}},
		"string":                  {"commune", 2, `{"smartphone_users":"10","installed":6,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/smartphone_users"}}},
		"null":                    {"commune", 2, `{"smartphone_users":null,"installed":6,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/smartphone_users"}}},
		"bool":                    {"commune", 2, `{"smartphone_users":true,"installed":6,"new_today":1}`, []fault{{domain.CodeNotInteger, "/figures/smartphone_users"}}},
		"more than phones":        {"commune", 2, `{"smartphone_users":10,"installed":11,"new_today":1}`, []fault{{domain.CodeAtMost, "/figures/installed"}}},
		"two exceed":              {"commune", 2, `{"smartphone_users":10,"installed":11,"new_today":12}`, []fault{{domain.CodeAtMost, "/figures/installed"}, {domain.CodeAtMost, "/figures/new_today"}}},
		"missing":                 {"commune", 2, `{"new_today":0}`, []fault{{domain.CodeRequired, "/figures/installed"}, {domain.CodeRequired, "/figures/smartphone_users"}}},
		"unknown":                 {"commune", 2, `{"smartphone_users":10,"installed":6,"new_today":1,"a/b~c":1,"zz":2}`, []fault{{domain.CodeFieldUnknown, "/figures/a~1b~0c"}, {domain.CodeFieldUnknown, "/figures/zz"}}},
		"percent in a name":       {"commune", 2, `{"smartphone_users":10,"installed":6,"new_today":1,"%41 é":1}`, []fault{{domain.CodeFieldUnknown, "/figures/%41 é"}}},
		"wrong case":              {"commune", 2, `{"smartphone_users":10,"installed":6,"New_today":1}`, []fault{{domain.CodeFieldUnknown, "/figures/New_today"}, {domain.CodeRequired, "/figures/new_today"}}},
		"twice":                   {"commune", 2, `{"smartphone_users":10,"installed":6,"installed":7,"new_today":1}`, []fault{{domain.CodeDuplicate, "/figures/installed"}}},
		"twice by escape":         {"commune", 2, `{"smartphone_users":10,"installed":6,"\u0069nstalled":7,"new_today":1}`, []fault{{domain.CodeDuplicate, "/figures/installed"}}},
		"all at once":             {"commune", 2, `{"smartphone_users":"10","installed":-6,"installed":7,"x":1}`, []fault{{domain.CodeDuplicate, "/figures/installed"}, {domain.CodeRange, "/figures/installed"}, {domain.CodeRequired, "/figures/new_today"}, {domain.CodeNotInteger, "/figures/smartphone_users"}, {domain.CodeFieldUnknown, "/figures/x"}}},
		"no object":               {"commune", 2, `[1]`, []fault{{domain.CodeType, "/figures"}}},
		"null figures":            {"commune", 2, `null`, []fault{{domain.CodeType, "/figures"}}},
		"not JSON":                {"commune", 2, `{"installed":6,}`, []fault{{domain.CodeJSON, "/figures"}}},
		"nothing":                 {"commune", 2, ``, []fault{{domain.CodeJSON, "/figures"}}},
		"two values":              {"commune", 2, `{} {}`, []fault{{domain.CodeJSON, "/figures"}}},
		"leading zero":            {"commune", 2, `{"installed":06}`, []fault{{domain.CodeJSON, "/figures"}}},
		"not UTF-8":               {"commune", 2, "{\"inst\xffalled\":6}", []fault{{domain.CodeJSON, "/figures"}}},
		"deep":                    {"commune", 2, `{"installed":` + strings.Repeat("[", 100) + strings.Repeat("]", 100) + `}`, []fault{{domain.CodeJSON, "/figures/installed" + strings.Repeat("/0", 31)}}},
		"unknown form":            {"nothing", 1, `{}`, []fault{{domain.CodeFormUnknown, "/form"}}},
		"unknown version":         {"commune", 99, `{}`, []fault{{domain.CodeFormVersion, "/form_version"}}},
		"version zero":            {"commune", 0, `{}`, []fault{{domain.CodeFormVersion, "/form_version"}}},
		"staff":                   {"staff", 1, `{"staff":50,"staff_smartphone":51,"staff_installed":60,"relatives_installed":100}`, []fault{{domain.CodeAtMost, "/figures/staff_installed"}, {domain.CodeAtMost, "/figures/staff_smartphone"}}},
		"district without own":    {"district", 2, `{"smartphone_users":1,"installed":1,"new_today":0,"communes_reported":10,"communes_late":1,"communes_missing":0}`, nil},
		"more late than reported": {"district", 2, `{"smartphone_users":1,"installed":1,"new_today":0,"communes_reported":1,"communes_late":2,"communes_missing":0}`, []fault{{domain.CodeAtMost, "/figures/communes_late"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := reg.ValidateFigures(c.form, c.version, []byte(c.figures))
			if d := cmp.Diff(c.want, faultsOf(t, err)); d != "" {
				t.Errorf("faults (-want +got):\n%s\n%v", d, err)
			}
		})
	}
}

// The library walks maps; the order a person sees does not depend on it.
func TestFaultsComeInOneOrder(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	figures := []byte(`{"smartphone_users":"x","installed":-6,"z":1,"y":2,"x":3}`)
	first := faultsOf(t, reg.ValidateFigures("commune", 2, figures))
	for range 200 {
		if d := cmp.Diff(first, faultsOf(t, reg.ValidateFigures("commune", 2, figures))); d != "" {
			t.Fatal(d)
		}
	}
}

func TestFaultsNameTheLimit(t *testing.T) {
	t.Parallel()
	err := registry(t).ValidateFigures("commune", 2, []byte(`{"smartphone_users":10,"installed":11,"new_today":1}`))
	want := `invalid: /figures/installed: “installed” is 11; it may not exceed “smartphone_users”, which is 10.`
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestParseFiguresGivesTheNumbers(t *testing.T) {
	t.Parallel()
	got, err := registry(t).ParseFigures("commune", 2, []byte(`{"smartphone_users":9007199254740992,"installed":6,"new_today":1}`))
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(domain.Figures{"smartphone_users": 1 << 53, "installed": 6, "new_today": 1}, got); d != "" {
		t.Error(d)
	}
}

func TestForms(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	items := map[string]domain.FormID{}
	for _, f := range reg.Forms() {
		items[f.Item] = f.ID
		for _, x := range f.Fields {
			if limit, ok := f.Field(x.AtMost); x.AtMost != "" && !ok {
				t.Errorf("%s.%s may not exceed %s, which is no field", f.ID, x.Name, limit.Name)
			}
		}
	}
	want := map[string]domain.FormID{"1": "staff", "2a": "commune", "2b": "district", "3": "health", "4": "education", "5": "sector", "6": "quarantine", "7": "publicity", "8": "enterprise"}
	if d := cmp.Diff(want, items); d != "" {
		t.Errorf("items of the directive (-want +got):\n%s", d)
	}
	commune, _ := reg.CurrentForm("commune")
	var names []string
	for _, f := range commune.Fields {
		names = append(names, f.Name)
	}
	if d := cmp.Diff([]string{"smartphone_users", "installed", "new_today", "households_visited"}, names); d != "" {
		t.Errorf("the fields are not in the order of the file:\n%s", d)
	}
	installed, _ := commune.Field("installed")
	if !installed.Cumulative || installed.Denominator || !installed.Required || installed.AtMost != "smartphone_users" || installed.RollUp != domain.RollUpSum {
		t.Errorf("installed: %+v", installed)
	}
	if households, _ := commune.Field("households_visited"); households.Required {
		t.Error("a field that version 1 has not may not be required in version 2")
	}
	if old, ok := reg.Form("commune", 1); !ok || len(old.Fields) != 3 {
		t.Errorf("version 1 of commune: %v %+v", ok, old)
	}
}

// What a commune reported under version 1 of its form is valid under version 2, without a figure nobody counted.
func TestFormHopKeepsOldFigures(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	for _, f := range reg.Forms() {
		for v := 1; v < f.Version; v++ {
			old, _ := reg.Form(f.ID, v)
			for _, x := range f.Fields {
				if was, ok := old.Field(x.Name); x.Required && (!ok || !was.Required) {
					t.Errorf("%s: %s is required from version %d on, but version %d need not have it", f.ID, x.Name, f.Version, v)
				}
			}
			for _, x := range old.Fields {
				if _, ok := f.Field(x.Name); !ok {
					t.Errorf("%s: %s of version %d is gone", f.ID, x.Name, v)
				}
			}
		}
	}
}

func TestValidateEventNamesEveryFault(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	for name, c := range map[string]struct {
		change func(*domain.Fact)
		want   []fault
	}{
		"good": {func(*domain.Fact) {}, nil},
		"figures": {func(f *domain.Fact) {
			e := f.Event.(domain.ReportSubmitted)
			e.Figures = domain.Figures{"Ẩn": 1, "b": -1}
			f.Event = e
		}, []fault{{domain.CodeRange, "/figures/b"}, {domain.CodeFieldUnknown, "/figures/Ẩn"}}},
		"digest and date": {func(f *domain.Fact) {
			e := f.Event.(domain.ReportSubmitted)
			e.Date, e.Digest = "2021-02-30", "x"
			f.Event = e
		}, []fault{{domain.CodeDate, "/date"}, {domain.CodeSchema, "/digest"}}},
		"choice": {func(f *domain.Fact) { e := f.Event.(domain.ReportSubmitted); e.Timeliness = "early"; f.Event = e }, []fault{{domain.CodeChoice, "/timeliness"}}},
		"note": {func(f *domain.Fact) {
			e := f.Event.(domain.ReportSubmitted)
			e.Note = strings.Repeat("ă", 9000)
			f.Event = e
		}, []fault{{domain.CodeTextTooLong, "/note"}}},
		"circumstances": {func(f *domain.Fact) { f.Role, f.Actor, f.Channel = "chairman", "Nguyễn", "" }, []fault{{domain.CodeID, "/meta/actor"}, {domain.CodeChoice, "/meta/channel"}, {domain.CodeChoice, "/meta/role"}}},
		"nested": {func(f *domain.Fact) {
			f.Event = domain.RegimeIssued{Regime: "r", Rules: domain.Rules{Title: "", IssuedOn: "5/2/2021", Zone: "UTC", FirstDay: "2021-02-05",
				Duties: []domain.Duty{{ID: "d", Form: "commune", FormVersion: 1, Due: "3 PM", GraceMinutes: 481}}}}
		}, []fault{{domain.CodeClockTime, "/rules/duties/0/due"}, {domain.CodeRange, "/rules/duties/0/grace_minutes"}, {domain.CodeDate, "/rules/issued_on"}, {domain.CodeTextMissing, "/rules/title"}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := sampleFact()
			c.change(&f)
			s, err := Encode(f)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, faultsOf(t, reg.ValidateEvent(s))); d != "" {
				t.Errorf("faults (-want +got):\n%s", d)
			}
		})
	}
}

func TestLoadRefusesWhatDoesNotFit(t *testing.T) {
	t.Parallel()
	const form = `{"$id": "https://answerable.example/schemas/forms/f/1", "answerable:form": {"form": "f", "version": 1, "item": "1", "scope": "sector", "title": {"vi": "a", "en": "a"}, "rules": 1},
		"type": "object", "additionalProperties": false, "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 9, "answerable:field": {"label": {"vi": "a", "en": "a"}, "unit": {"vi": "a", "en": "a"}, "rollup": "sum"}}}`
	all := func() map[string][]byte {
		out := map[string][]byte{}
		for _, kind := range Kinds() {
			current, _ := CurrentVersion(kind)
			for v := 1; v <= current; v++ {
				out[eventSchema(kind, v)], _ = released(eventSchema(kind, v))
			}
		}
		out["meta/1"], _ = released("meta/1")
		out["defs/1"], _ = released("defs/1")
		out["forms/f/1"] = []byte(form + `}`)
		return out
	}
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		want   string
	}{
		"good":                 {func(map[string][]byte) {}, ""},
		"a version is missing": {func(m map[string][]byte) { delete(m, "events/ReportSubmitted/1") }, "events/ReportSubmitted/1.json is missing"},
		"a version too many":   {func(m map[string][]byte) { m["events/ReportSubmitted/4"] = []byte(`{}`) }, "belongs to no kind"},
		"a reference outside":  {func(m map[string][]byte) { m["forms/f/1"] = []byte(form + `, "$ref": "file:///etc/passwd"}`) }, "released schemas only"},
		"a limit nobody has":   {func(m map[string][]byte) { m["forms/f/1"] = []byte(form + `, "answerable:atMost": {"n": "m"}}`) }, "is not a property"},
		"a limit that is none": {func(m map[string][]byte) { m["forms/f/1"] = []byte(form + `, "answerable:atMost": {"n": 5}}`) }, "expected string"},
		"a version left out":   {func(m map[string][]byte) { m["forms/f/3"] = []byte(`{}`) }, "a version before it is missing"},
		"another form's name":  {func(m map[string][]byte) { m["forms/g/1"] = m["forms/f/1"]; delete(m, "forms/f/1") }, "it says it is version 1 of f"},
		"an unknown roll-up":   {func(m map[string][]byte) { m["forms/f/1"] = []byte(strings.Replace(form+`}`, `"sum"`, `"mean"`, 1)) }, `rollup "mean"`},
		"a scope unknown":      {func(m map[string][]byte) { m["forms/f/1"] = []byte(strings.Replace(form+`}`, `"sector"`, `"all"`, 1)) }, `scope "all"`},
		"a rate": {func(m map[string][]byte) {
			m["forms/f/1"] = []byte(strings.Replace(form+`}`, `"integer"`, `"number"`, 1))
		}, "a figure is an integer"},
		"consolidates a nothing": {func(m map[string][]byte) {
			m["forms/f/1"] = []byte(strings.Replace(form+`}`, `"rules": 1`, `"rules": 1, "consolidates": "g"`, 1))
		}, "which does not exist"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			texts := all()
			c.change(texts)
			_, err := load(texts)
			if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func BenchmarkValidateEvent(b *testing.B) {
	reg := registry(b)
	s, err := Encode(sampleFact())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := reg.ValidateEvent(s); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkValidateFigures(b *testing.B) {
	reg := registry(b)
	figures := []byte(`{"smartphone_users":8123,"installed":4410,"new_today":312,"households_visited":1204}`)
	b.ReportAllocs()
	for b.Loop() {
		if err := reg.ValidateFigures("commune", 2, figures); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	for b.Loop() {
		if _, err := Load(); err != nil {
			b.Fatal(err)
		}
	}
}
