package intake

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/answerable-ledger/answerable/domain"
)

func row(n int, unit domain.UnitCode, form domain.FormID, note string, figures domain.Figures) Row {
	version := map[domain.FormID]int{"commune": 2, "staff": 1, "district": 2}[form]
	return Row{Number: n, Unit: unit, Form: form, Date: "2021-02-08", Submission: domain.Submission{
		Content: domain.Content{FormVersion: version, Figures: figures, Nil: len(figures) == 0}, Note: note}}
}

// duties is a day on which districts sum the communes' reports, by the second version of their form.
func duties(form domain.FormID, _ domain.UnitCode, _ domain.Date) domain.DayDuty {
	switch form {
	case "district":
		return districtDuty
	case "commune":
		return domain.DayDuty{Form: form, FormVersion: 2}
	}
	return domain.DayDuty{}
}

var districtDuty = domain.DayDuty{Form: "district", FormVersion: 2, Consolidates: "commune"}

var (
	first  = row(2, "25900", "commune", "", domain.Figures{"smartphone_users": 10, "installed": 6, "new_today": 1})
	second = row(3, "25741", "commune", "mất điện; bù sau", domain.Figures{"smartphone_users": 20, "installed": 7, "new_today": 0, "households_visited": 4})
)

// sums is a district's report that gives nothing of its own.
func sums(n int) Row {
	r := row(n, "726", "district", "", domain.Figures{})
	r.Submission.Nil = false
	return r
}

func TestParseFile(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	const lines = "unit,form,smartphone_users,installed,new_today,households_visited,nil,note\n" +
		"25900,commune,10,6,1,,,\n" +
		"25741,commune,20,7,0,4,không,mất điện; bù sau\n"
	quoted := strings.ReplaceAll(strings.ReplaceAll(lines, "mất điện; bù sau", "\"mất điện; bù sau\""), ",", ";")
	jsonRow := func(r Row, n int) Row { r.Number = n; return r }
	for name, c := range map[string]struct {
		file, body string
		want       []Row
	}{
		"commas":               {"a.csv", lines, []Row{first, second}},
		"byte order mark":      {"a.csv", "\ufeff" + lines, []Row{first, second}},
		"semicolons":           {"a.CSV", quoted, []Row{first, second}},
		"tabs":                 {"a.tsv", strings.ReplaceAll(lines, ",", "\t"), []Row{first, second}},
		"sep line":             {"a.csv", "sep=;\r\n" + quoted, []Row{first, second}},
		"CRLF":                 {"a.csv", strings.ReplaceAll(lines, "\n", "\r\n"), []Row{first, second}},
		"no last line end":     {"a.csv", strings.TrimSuffix(lines, "\n"), []Row{first, second}},
		"decomposed headings":  {"a.csv", strings.Replace(lines, "unit,", "đo\u031bn vi\u0323,", 1), []Row{first, second}},
		"Vietnamese headings":  {"a.csv", strings.Replace(lines, "unit,form,smartphone_users,installed,new_today,households_visited,nil,note", "Mã đơn vị,Biểu,Người dùng điện thoại thông minh trên địa bàn,ĐÃ CÀI BLUEZONE (CỘNG DỒN),Cài mới trong ngày,Số hộ đã đến vận động trong ngày,Không phát sinh,Ghi chú", 1), []Row{first, second}},
		"a date column":        {"a.csv", "date,unit,form,smartphone_users,installed,new_today\n2021-02-08,25900,commune,10,6,1\n", []Row{first}},
		"spaces around":        {"a.csv", "unit , form,smartphone_users,installed, new_today \n 25900 ,commune , 10,6 ,1\n", []Row{first}},
		"blank lines":          {"a.csv", "unit,form,smartphone_users,installed,new_today\n,,,,\n25900,commune,10,6,1\n", []Row{jsonRow(first, 3)}},
		"line feed in a cell":  {"a.csv", "unit,form,note,smartphone_users,installed,new_today\n25741,commune,\"a\r\nb\",10,6,1\n25900,commune,,10,6,1\n", []Row{row(2, "25741", "commune", "a\nb", first.Submission.Figures), jsonRow(first, 3)}},
		"short rows":           {"a.csv", "unit,form,smartphone_users,installed,new_today,households_visited,note\n25900,commune,10,6,1\n", []Row{first}},
		"nil":                  {"a.csv", "unit,form,nil\n25900,commune,Có\n", []Row{row(2, "25900", "commune", "", domain.Figures{})}},
		"two forms":            {"a.csv", "unit,form,smartphone_users,installed,new_today,staff,staff_smartphone,staff_installed,relatives_installed\n25900,commune,10,6,1,,,,\n25900,staff,,,,9,8,7,6\n", []Row{first, row(3, "25900", "staff", "", domain.Figures{"staff": 9, "staff_smartphone": 8, "staff_installed": 7, "relatives_installed": 6})}},
		"JSON":                 {"a.json", `[{"unit":"25900","form":"commune","figures":{"smartphone_users":10,"installed":6,"new_today":1}},{"unit":"25741","form":"commune","date":"2021-02-08","note":"mất điện; bù sau","figures":{"smartphone_users":20,"installed":7,"new_today":0,"households_visited":4}}]`, []Row{jsonRow(first, 1), jsonRow(second, 2)}},
		"JSON with a mark":     {"a.json", "\ufeff" + `[{"unit":"25900","form":"commune","nil":true}]`, []Row{row(1, "25900", "commune", "", domain.Figures{})}},
		"an old form":          {"a.csv", "unit,form,form_version,smartphone_users,installed,new_today\n25900,commune,1,10,6,1\n", []Row{func() Row { r := first; r.Submission.FormVersion = 1; return r }()}},
		"quotes in a cell":     {"a.csv", "unit,form,note,smartphone_users,installed,new_today\n25900,commune,\"tổ \"\"A\"\", B\",10,6,1\n", []Row{row(2, "25900", "commune", `tổ "A", B`, first.Submission.Figures)}},
		"a district's sums":    {"a.csv", "unit,form,smartphone_users,installed,new_today,agencies_reached,nil\n726,district,,,,12,\n25900,commune,10,6,1,,\n", []Row{row(2, "726", "district", "", domain.Figures{"agencies_reached": 12}), jsonRow(first, 3)}},
		"a district, nothing":  {"a.csv", "unit,form,smartphone_users\n726,district,\n", []Row{sums(2)}},
		"a district in JSON":   {"a.json", `[{"unit":"726","form":"district","figures":{"agencies_reached":12}},{"unit":"726","form":"staff","nil":true}]`, []Row{row(1, "726", "district", "", domain.Figures{"agencies_reached": 12}), row(2, "726", "staff", "", domain.Figures{})}},
		"a district, no word":  {"a.json", `[{"unit":"726","form":"district"}]`, []Row{sums(1)}},
		"semicolon in headers": {"a.csv", "unit,form,smartphone_users,installed,new_today,\"note\"\n25900,commune,10,6,1,a;b;c;d;e;f;g\n", []Row{row(2, "25900", "commune", "a;b;c;d;e;f;g", first.Submission.Figures)}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := ParseFile(c.file, []byte(c.body), reg, "2021-02-08", duties)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got, cmpopts.IgnoreUnexported(Row{})); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestParseFileRefuses(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	const head = "unit,form,smartphone_users,installed,new_today\n"
	for name, c := range map[string]struct {
		file, body string
		day        domain.Date
		want       []fault
	}{
		"thousands with points": {"a.csv", head + "25900,commune,1.234,6,1\n", "2021-02-08", []fault{{domain.CodeThousands, "/figures/smartphone_users", 2, "C"}}},
		"thousands with commas": {"a.csv", strings.ReplaceAll(head, ",", ";") + "25900;commune;1,234,567;6;1\n", "2021-02-08", []fault{{domain.CodeThousands, "/figures/smartphone_users", 2, "C"}}},
		"thousands with spaces": {"a.csv", head + "25900,commune,1\u00a0234,6,1\n", "2021-02-08", []fault{{domain.CodeThousands, "/figures/smartphone_users", 2, "C"}}},
		"decimals":              {"a.csv", head + "25900,commune,10.5,\"6,0\",1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/installed", 2, "D"}, {domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}}},
		"exponent":              {"a.csv", head + "25900,commune,1E+03,6,1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}}},
		"leading zero":          {"a.csv", head + "25900,commune,010,6,1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}}},
		"a formula":             {"a.csv", head + "25900,commune,=5+5,6,1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}}},
		"other digits":          {"a.csv", head + "25900,commune,１０,6,1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}}},
		"negative":              {"a.csv", head + "25900,commune,10,-6,-9\n", "2021-02-08", []fault{{domain.CodeRange, "/figures/installed", 2, "D"}, {domain.CodeRange, "/figures/new_today", 2, "E"}}},
		"more than phones":      {"a.csv", head + "25900,commune,10,11,1\n", "2021-02-08", []fault{{domain.CodeAtMost, "/figures/installed", 2, "D"}}},
		"missing":               {"a.csv", head + "25900,commune,10,,1\n", "2021-02-08", []fault{{domain.CodeRequired, "/figures/installed", 2, "D"}}},
		"empty is not nil":      {"a.csv", head + "25900,commune,,,\n", "2021-02-08", []fault{{domain.CodeEmptyNotNil, "/figures", 2, ""}}},
		"nil with figures":      {"a.csv", "unit,form,nil,installed\n25900,commune,1,5\n", "2021-02-08", []fault{{domain.CodeNilWithFigures, "/figures", 2, ""}}},
		"nil unclear":           {"a.csv", "unit,form,nil,smartphone_users,installed,new_today\n25900,commune,perhaps,10,6,1\n", "2021-02-08", []fault{{domain.CodeChoice, "/nil", 2, "C"}}},
		"no unit":               {"a.csv", head + ",commune,10,6,1\n", "2021-02-08", []fault{{domain.CodeRequired, "/unit", 2, "A"}}},
		"a name for a code":     {"a.csv", head + "Tân Bình,commune,10,6,1\n", "2021-02-08", []fault{{domain.CodeID, "/unit", 2, "A"}}},
		"unknown form":          {"a.csv", head + "25900,comune,10,6,1\n", "2021-02-08", []fault{{domain.CodeFormUnknown, "/form", 2, "B"}}},
		"another form's figure": {"a.csv", "unit,form,smartphone_users,installed,new_today,staff\n25900,commune,10,6,1,5\n", "2021-02-08", []fault{{domain.CodeFieldUnknown, "/figures/staff", 2, "F"}}},
		"by name and by label":  {"a.csv", "unit,form,smartphone_users,installed,new_today,Cài mới trong ngày\n25900,commune,10,6,1,1\n", "2021-02-08", []fault{{domain.CodeDuplicate, "/figures/new_today", 2, "F"}}},
		"a sum typed in":        {"a.csv", "unit,form,smartphone_users,agencies_reached\n726,district,5,12\n", "2021-02-08", []fault{{domain.CodeFieldSummed, "/figures/smartphone_users", 2, "C"}}},
		"a sum typed in, JSON":  {"a.json", `[{"unit":"726","form":"staff","nil":true},{"unit":"726","form":"district","figures":{"installed":5}}]`, "2021-02-08", []fault{{domain.CodeFieldSummed, "/1/figures/installed", 2, ""}}},
		"unit and form twice":   {"a.csv", head + "25900,commune,10,6,1\n25741,commune,10,6,1\n25900,commune,11,6,1\n", "2021-02-08", []fault{{domain.CodeDuplicate, "/unit", 4, "A"}}},
		"unknown column":        {"a.csv", "unit,form,smartphone_users,instaled,new_today\n25900,commune,10,6,1\n", "2021-02-08", []fault{{domain.CodeColumnUnknown, "", 1, "D"}}},
		"column twice":          {"a.csv", "unit,form,installed,Installed\n", "2021-02-08", []fault{{domain.CodeDuplicate, "", 1, "D"}}},
		"column in two tongues": {"a.csv", "unit,form,note,Ghi chú\n", "2021-02-08", []fault{{domain.CodeDuplicate, "", 1, "D"}}},
		"no heading row":        {"a.csv", "25900,commune,10,6,1\n", "2021-02-08", []fault{{domain.CodeColumnUnknown, "", 1, "A"}, {domain.CodeRequired, "/form", 1, ""}, {domain.CodeRequired, "/unit", 1, ""}}},
		"a cell too many":       {"a.csv", head + "25900,commune,10,6,1,7\n", "2021-02-08", []fault{{domain.CodeColumnUnknown, "/F", 2, "F"}}},
		"a cell, no heading":    {"a.csv", "unit,form,,smartphone_users,installed,new_today\n25900,commune,5,10,6,1\n", "2021-02-08", []fault{{domain.CodeColumnUnknown, "/C", 2, "C"}}},
		"headings only":         {"a.csv", head, "2021-02-08", []fault{{Code: domain.CodeNoRows}}},
		"nothing":               {"a.csv", "", "2021-02-08", []fault{{Code: domain.CodeNoRows}}},
		"a quote left open":     {"a.csv", head + "25900,commune,10,6,\"1\n25741,commune,10,6,1\n", "2021-02-08", []fault{{domain.CodeCSV, "", 3, ""}}},
		"a quote in a cell":     {"a.csv", head + "25900,com\"mune,10,6,1\n", "2021-02-08", []fault{{domain.CodeCSV, "", 2, ""}}},
		"UTF-16":                {"a.csv", "\xff\xfeu\x00", "2021-02-08", []fault{{Code: domain.CodeEncoding}}},
		"windows-1258":          {"a.csv", head + "25900,commune,10,6,\xd0\n", "2021-02-08", []fault{{Code: domain.CodeEncoding}}},
		"a workbook renamed":    {"a.csv", "PK\x03\x04abc", "2021-02-08", []fault{{Code: domain.CodeEncoding}}},
		"another kind of file":  {"a.pdf", "x", "2021-02-08", []fault{{Code: domain.CodeChoice}}},
		"too large":             {"a.csv", strings.Repeat("x", domain.MaxImportBytes+1), "2021-02-08", []fault{{Code: domain.CodeTooLarge}}},
		"note with NUL":         {"a.csv", "unit,form,nil,note\n25900,commune,1,a\x00b\n", "2021-02-08", []fault{{domain.CodeTextControl, "/note", 2, "D"}}},
		"no day anywhere":       {"a.csv", head + "25900,commune,10,6,1\n", "", []fault{{domain.CodeRequired, "/date", 1, ""}}},
		"no day in a row":       {"a.csv", "date,unit,form,nil\n,25900,commune,1\n", "", []fault{{domain.CodeRequired, "/date", 2, "A"}}},
		"a day that is none":    {"a.csv", "date,unit,form,nil\n08/02/2021,25900,commune,1\n", "", []fault{{domain.CodeDate, "/date", 2, "A"}}},
		"another day":           {"a.csv", "unit,date,form,nil\n25900,2021-02-09,commune,1\n", "2021-02-08", []fault{{domain.CodeDate, "/date", 2, "B"}}},
		"old form unknown":      {"a.csv", "unit,form,form_version,smartphone_users,installed,new_today\n25900,commune,7,10,6,1\n", "2021-02-08", []fault{{domain.CodeFormVersion, "/form_version", 2, "C"}}},
		"all rows at once":      {"a.csv", head + "25900,commune,x,6,1\n25741,commune,10,6,1\n25744,commune,10,60,1\n", "2021-02-08", []fault{{domain.CodeNotInteger, "/figures/smartphone_users", 2, "C"}, {domain.CodeAtMost, "/figures/installed", 4, "D"}}},

		"JSON: no list":       {"a.json", `{}`, "2021-02-08", []fault{{Code: domain.CodeType}}},
		"JSON: an empty list": {"a.json", `[]`, "2021-02-08", []fault{{Code: domain.CodeNoRows}}},
		"JSON: nothing":       {"a.json", ``, "2021-02-08", []fault{{Code: domain.CodeJSON}}},
		"JSON: cut off":       {"a.json", `[{"unit":"25900","form":"commune","nil":true},{"unit"`, "2021-02-08", []fault{{domain.CodeJSON, "", 2, ""}}},
		"JSON: two lists":     {"a.json", `[{"unit":"25900","form":"commune","nil":true}][]`, "2021-02-08", []fault{{domain.CodeJSON, "", 2, ""}}},
		"JSON: no object":     {"a.json", `[5]`, "2021-02-08", []fault{{domain.CodeType, "/0", 1, ""}}},
		"JSON: faults":        {"a.json", `[{"unit":"25900","form":"commune","nil":true},{"unit":25741,"form":"commune","figures":{"installed":"6","smartphone_users":10,"new_today":1.0},"x":1,"x":2}]`, "2021-02-08", []fault{{domain.CodeNotInteger, "/1/figures/installed", 2, ""}, {domain.CodeNotInteger, "/1/figures/new_today", 2, ""}, {domain.CodeType, "/1/unit", 2, ""}, {domain.CodeDuplicate, "/1/x", 2, ""}, {domain.CodeFieldUnknown, "/1/x", 2, ""}}},
		"JSON: twice":         {"a.json", `[{"unit":"25900","form":"commune","nil":true},{"unit":"25900","form":"commune","nil":true}]`, "2021-02-08", []fault{{domain.CodeDuplicate, "/1/unit", 2, ""}}},
		"JSON: no place":      {"a.json", `[{"nil":true}]`, "", []fault{{domain.CodeRequired, "/0/date", 1, ""}, {domain.CodeRequired, "/0/form", 1, ""}, {domain.CodeRequired, "/0/unit", 1, ""}}},
		"JSON: a bad unit":    {"a.json", `[{"unit":"Dĩ An","form":"commune","nil":true}]`, "2021-02-08", []fault{{domain.CodeID, "/0/unit", 1, ""}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rows, err := ParseFile(c.file, []byte(c.body), reg, c.day, duties)
			if d := cmp.Diff(c.want, faultsOf(t, err)); d != "" {
				t.Errorf("faults (-want +got):\n%s\n%v", d, err)
			}
			if rows != nil {
				t.Error("rows came out of a file that was refused")
			}
		})
	}
}

func TestFaultsOfAFileAreBounded(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("unit,form,smartphone_users,installed,new_today\n")
	for i := range 2000 {
		fmt.Fprintf(&b, "%d,commune,x,1,1\n", 10000+i)
	}
	_, err := ParseFile("a.csv", []byte(b.String()), registry(t), "2021-02-08", duties)
	got := faultsOf(t, err)
	var e *domain.Error
	if !errors.As(err, &e) || len(got) != MaxFaults+1 || got[MaxFaults].Code != domain.CodeMoreFaults || e.Faults[MaxFaults].Args["count"] != "1000" {
		t.Errorf("%d faults, last %+v", len(got), got[len(got)-1])
	}
}

func TestTooManyRows(t *testing.T) {
	t.Parallel()
	body := "unit,form,nil\n" + strings.Repeat("a,commune,1\n", domain.MaxUnitsPerDay+1)
	_, err := ParseFile("a.csv", []byte(body), registry(t), "2021-02-08", duties)
	var e *domain.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if last := len(e.Faults) - 1; e.Faults[last].Code != domain.CodeMoreFaults {
		t.Errorf("got %+v", e.Faults[last])
	}
}

func TestLetters(t *testing.T) {
	t.Parallel()
	for i, want := range map[int]string{0: "A", 25: "Z", 26: "AA", 51: "AZ", 52: "BA", 701: "ZZ", 702: "AAA"} {
		if got := letters(i); got != want {
			t.Errorf("column %d is %s, want %s", i, got, want)
		}
	}
}

// The version of a form that a report leaves out is the one that its day asks for, which need not be the newest: a day
// that was opened before a form gained a field asks for the form without it.
func TestVersionInForce(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	old := domain.DayDuty{Form: "commune", FormVersion: 1}
	dutyOf := func(domain.FormID, domain.UnitCode, domain.Date) domain.DayDuty { return old }
	key := domain.ReportKey{Form: "commune", Unit: "25900", Date: "2021-02-08"}
	const figures = `"figures":{"smartphone_users":10,"installed":6,"new_today":1}`
	if s, err := ParseReport([]byte("{"+figures+"}"), reg, key, old); err != nil || s.FormVersion != 1 {
		t.Errorf("a report: version %d, %v", s.FormVersion, err)
	}
	if c, err := ParseCorrection([]byte("{"+figures+`,"replaces":1,"correction":"content","reason":"a"}`), reg, key, old); err != nil || c.FormVersion != 1 {
		t.Errorf("a correction: version %d, %v", c.FormVersion, err)
	}
	for name, body := range map[string]string{
		"a.json": `[{"unit":"25900","form":"commune",` + figures + `}]`,
		"a.csv":  "unit,form,smartphone_users,installed,new_today\n25900,commune,10,6,1\n",
	} {
		rows, err := ParseFile(name, []byte(body), reg, "2021-02-08", dutyOf)
		if err != nil || rows[0].Submission.FormVersion != 1 {
			t.Errorf("%s: %+v, %v", name, rows, err)
		}
	}
	// The field that was added since is unknown to the old version, and known to who names the new one.
	newer := "unit,form,smartphone_users,installed,new_today,households_visited"
	_, err := ParseFile("a.csv", []byte(newer+"\n25900,commune,10,6,1,3\n"), reg, "2021-02-08", dutyOf)
	if d := cmp.Diff([]fault{{domain.CodeFieldUnknown, "/figures/households_visited", 2, "F"}}, faultsOf(t, err)); d != "" {
		t.Error(d)
	}
	rows, err := ParseFile("a.csv", []byte(newer+",form_version\n25900,commune,10,6,1,3,2\n"), reg, "2021-02-08", dutyOf)
	if err != nil || rows[0].Submission.FormVersion != 2 {
		t.Errorf("%+v, %v", rows, err)
	}
}

// A fault that the ledger finds in a row's report is shown where it stands in the file.
func TestPlace(t *testing.T) {
	t.Parallel()
	reg := registry(t)
	found := domain.NewFault(domain.CodeNoteNeeded, "/figures/installed")
	for name, c := range map[string]struct {
		body string
		want fault
	}{
		"a.csv":  {"unit,form,smartphone_users,installed,new_today\n25900,commune,10,6,1\n", fault{domain.CodeNoteNeeded, "/figures/installed", 2, "D"}},
		"a.json": {`[{"unit":"25900","form":"commune","figures":{"smartphone_users":10,"installed":6,"new_today":1}}]`, fault{domain.CodeNoteNeeded, "/0/figures/installed", 1, ""}},
	} {
		rows, err := ParseFile(name, []byte(c.body), reg, "2021-02-08", duties)
		if err != nil {
			t.Fatal(err)
		}
		f := rows[0].Place(found)
		if d := cmp.Diff(c.want, fault{f.Code, f.Pointer, f.Row, f.Column}); d != "" {
			t.Errorf("%s: %s", name, d)
		}
	}
}
