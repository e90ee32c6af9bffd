package intake

import (
	"encoding/json"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
)

var reportSeeds = []string{
	`{"figures":{"smartphone_users":10,"installed":6,"new_today":1},"note":"Mất điện"}`,
	`{"form_version":1,"nil":true}`, `{"figures":{"installed":1.0}}`, `{"figures":{"installed":1,"installed":2}}`, `{"a/b~":1,"a/b~":2}`,
	`{"figures":null,"nil":null,"note":null}`, `[]`, ``, `{`, "\xff", `{"note":"\ud800"}`, `{"note":"e\u0302\u0301"}`,
	`{"figures":{"smartphone_users":10,"installed":6,"new_today":1},"replaces":1,"correction":"erratum","reason":"a"}`,
}

// checkContent: what came out is whole and within bounds, and is what another reader sees in the same bytes.
func checkContent(t *testing.T, body []byte, c domain.Content, texts ...string) {
	t.Helper()
	var seen struct {
		Figures map[string]int64 `json:"figures"`
		Nil     bool             `json:"nil"`
	}
	if body != nil {
		if err := json.Unmarshal(body, &seen); err != nil {
			t.Fatalf("let pass %q: %v", body, err)
		}
		if !c.Figures.Equal(seen.Figures) && len(c.Figures)+len(seen.Figures) > 0 || c.Nil != seen.Nil {
			t.Fatalf("%q became %+v", body, c)
		}
	}
	if c.Nil == (len(c.Figures) > 0) {
		t.Fatalf("nil and figures at once, or neither: %+v", c)
	}
	for name, n := range c.Figures {
		if n < 0 || n > domain.MaxFigure {
			t.Fatalf("%s is %d", name, n)
		}
	}
	for _, s := range texts {
		if !utf8.ValidString(s) || !norm.NFC.IsNormalString(s) || len(s) > domain.MaxTextBytes {
			t.Fatalf("text %q", s)
		}
	}
}

func FuzzParseReport(f *testing.F) {
	for _, s := range reportSeeds {
		f.Add([]byte(s))
	}
	reg := registry(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseReport(body, reg, communeKey, domain.DayDuty{})
		if err != nil {
			faultsOf(t, err)
			return
		}
		checkContent(t, body, s.Content, s.Note)
	})
}

// Of a report that the ledger sums nothing is let pass that is summed from below (rule 9).
func FuzzParseConsolidated(f *testing.F) {
	for _, s := range reportSeeds {
		f.Add([]byte(s))
	}
	f.Add([]byte(`{"figures":{"agencies_reached":12},"note":"x"}`))
	f.Add([]byte(`{"figures":{"agencies_reached":12,"installed":1}}`))
	reg := registry(f)
	form, _ := reg.Form("district", districtDuty.FormVersion)
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseReport(body, reg, domain.ReportKey{Form: "district", Unit: "726", Date: "2021-02-08"}, districtDuty)
		if err != nil {
			faultsOf(t, err)
			return
		}
		for name, n := range s.Figures {
			if field, ok := form.Field(name); !ok && s.FormVersion == form.Version || n < 0 || n > domain.MaxFigure || ok && field.RollUp != domain.RollUpOwn && field.RollUp != domain.RollUpNone {
				t.Fatalf("let pass %s %d", name, n)
			}
		}
	})
}

func FuzzParseCorrection(f *testing.F) {
	for _, s := range reportSeeds {
		f.Add([]byte(s))
	}
	reg := registry(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := ParseCorrection(body, reg, communeKey, domain.DayDuty{})
		if err != nil {
			faultsOf(t, err)
			return
		}
		checkContent(t, body, c.Content, c.Note, c.Reason)
		if c.Replaces < 1 || c.Reason == "" {
			t.Fatalf("let pass %+v", c)
		}
	})
}

func FuzzParseFileJSON(f *testing.F) {
	for _, s := range reportSeeds {
		f.Add([]byte("[" + s + "]"))
	}
	f.Add([]byte(`[{"unit":"25900","form":"commune","figures":{"smartphone_users":10,"installed":6,"new_today":1}},{"unit":"25741","form":"staff","nil":true}]`))
	fuzzFile(f, "a.json")
}

func FuzzParseFileCSV(f *testing.F) {
	for _, s := range []string{
		"unit,form,smartphone_users,installed,new_today,nil,note\n25900,commune,10,6,1,,\n25741,commune,,,,x,\"a\nb\"\n",
		"\ufeffsep=;\r\nĐơn vị;Biểu;Cài mới trong ngày\r\n25900;commune;1.234\r\n", "unit\tform\tnil\n25900\tcommune\t1\n",
		"", "\n", "\"", "unit,form\n\"", "unit,form,unit\n", "a;b,c\td\n", "unit,form,\n1,2,3,4\n", "\xff\xfe",
	} {
		f.Add([]byte(s))
	}
	fuzzFile(f, "a.csv")
}

func fuzzFile(f *testing.F, name string) {
	reg := registry(f)
	f.Fuzz(func(t *testing.T, body []byte) {
		rows, err := ParseFile(name, body, reg, "2021-02-08", duties)
		if err != nil {
			if faultsOf(t, err); rows != nil {
				t.Fatal("rows and a refusal")
			}
			return
		}
		if len(rows) == 0 {
			t.Fatal("neither rows nor a refusal")
		}
		seen := map[place]bool{}
		last := 0
		for _, r := range rows {
			at := place{r.Unit, r.Form, r.Date}
			if seen[at] || r.Number <= last || r.Date != "2021-02-08" || !domain.ValidID(string(r.Unit)) {
				t.Fatalf("row %+v", r)
			}
			seen[at], last = true, r.Number
			checkContent(t, nil, r.Submission.Content, r.Submission.Note)
		}
	})
}
