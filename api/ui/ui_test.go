package ui

import (
	"io/fs"
	"maps"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// filled sets every field below v to something, so that every branch of a template that asks for one is walked.
func filled(v reflect.Value, depth int) {
	switch v.Kind() {
	case reflect.Pointer:
		if depth > 0 && v.CanSet() && v.Type() != reflect.TypeFor[*time.Location]() {
			v.Set(reflect.New(v.Type().Elem()))
			filled(v.Elem(), depth-1)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2021, 2, 8, 8, 0, 0, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				filled(v.Field(i), depth)
			}
		}
	case reflect.Slice:
		if depth > 0 {
			v.Set(reflect.MakeSlice(v.Type(), 2, 2))
			filled(v.Index(0), depth-1)
			filled(v.Index(1), depth-1)
		}
	case reflect.Map:
		if depth > 0 && v.Type().Key().Kind() == reflect.String {
			v.Set(reflect.MakeMap(v.Type()))
			key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			filled(key, depth-1)
			filled(value, depth-1)
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(`<b>"'&`)
	case reflect.Int, reflect.Int64:
		v.SetInt(1234)
	case reflect.Uint64:
		v.SetUint(1234)
	case reflect.Bool:
		v.SetBool(true)
	}
}

func everyPage() []Page {
	return append(operatePages(), []Page{Board{}, Unit{}, Breaches{}, Synthesis{}, Failure{}, SignIn{}, Provider{}, Demo{}, Link{}, Links{}, Enrol{}, Account{}, Today{}, Proof{}, Chain{}, File{}, File{Step: "note"}, File{Step: "check"}, File{Step: "send"}, Filed{}, Upload{}, Upload{Step: "faults"}, Upload{Step: "record"}, Upload{Step: "done"},
		Queue{}, Sign{}, Answers{}, Explain{}, Inspect{}, Search{}, Search{What: "breaches"}, Grid{}, Judge{}, Progress{}, Totals{}, Operations{}, Access{}, District{}}...)
}

// allTexts is the words of every page.
func allTexts() map[string]domain.Wording {
	all := maps.Clone(texts)
	maps.Copy(all, peopleTexts)
	maps.Copy(all, operateTexts)
	return all
}

// TestEveryPageRenders with nothing in it, and with everything in it, and escapes what is in it.
func TestEveryPageRenders(t *testing.T) {
	t.Parallel()
	p, err := New()
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range everyPage() {
		if _, err := p.Render(page); err != nil {
			t.Errorf("%T, empty: %v", page, err)
		}
		full := reflect.New(reflect.TypeOf(page)).Elem()
		full.Set(reflect.ValueOf(page))
		step := ""
		switch f := page.(type) {
		case File:
			step = f.Step
		case Upload:
			step = f.Step
		}
		filled(full, 5)
		if f, ok := full.Addr().Interface().(*File); ok && step != "" {
			f.Step = step
		}
		if f, ok := full.Addr().Interface().(*Upload); ok {
			f.Step = step
		}
		b, err := p.Render(full.Interface().(Page))
		if err != nil {
			t.Errorf("%T, full: %v", page, err)
		}
		if strings.Contains(string(b), "<b>\"") || strings.Contains(string(b), `<b>&#34;`) || strings.Contains(string(b), "ZgotmplZ") {
			t.Errorf("%T does not escape", page)
		}
		for _, lang := range []domain.Language{domain.Vietnamese, domain.English} {
			f := full.FieldByName("Frame").Interface().(Frame)
			f.Language = lang
			full.FieldByName("Frame").Set(reflect.ValueOf(f))
			if _, err := p.Render(full.Interface().(Page)); err != nil {
				t.Errorf("%T in %s: %v", page, lang, err)
			}
		}
	}
	structs := map[string]bool{}
	for _, page := range everyPage() {
		structs[page.template()] = true
	}
	if len(p.templates) != len(structs) {
		t.Errorf("%d templates, and %d structs", len(p.templates), len(structs))
	}
}

// TestTexts: every key a template or a page asks for has its words, in both languages and in NFC; no word is left over.
func TestTexts(t *testing.T) {
	t.Parallel()
	used := map[string]bool{}
	key := regexp.MustCompile(`\.T "([^"]+)"`)
	prefix := regexp.MustCompile(`\.T \(print "([^"]+)"`)
	var prefixes []string
	err := fs.WalkDir(files, "templates", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := fs.ReadFile(files, name)
		for _, m := range key.FindAllSubmatch(text, -1) {
			used[string(m[1])] = true
			if _, ok := allTexts()[string(m[1])]; !ok {
				t.Errorf("%s: no words for %q", name, m[1])
			}
		}
		for _, m := range prefix.FindAllSubmatch(text, -1) {
			prefixes = append(prefixes, string(m[1]))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for k := range operateTexts {
		_, twice := texts[k]
		if _, people := peopleTexts[k]; twice || people {
			t.Errorf("%q has words twice", k)
		}
	}
	for k := range texts {
		if _, twice := peopleTexts[k]; twice {
			t.Errorf("%q has words twice", k)
		}
	}
	for _, k := range []string{"sign_in", "provider", "demo", "link", "links", "enrol", "account", "today", "file", "correct", "check", "upload", "upload_note", "was", "is", "interruption", "filed", "queue", "sign", "my_answers", "explain", "inspect", "search", "access",
		"grid", "progress", "operations", "district", "proof", "chain", "left", "over", "days", "hours", "minutes", "days.one", "hours.one", "minutes.one", "sign.needs_passkey", "sign.needs_tick", "preset_deadline", "preset_closed", "preset_issued", "history", "failure", "answerable", "head_deadline", "head_sign_off", "head_correction", "status.undeterminable"} { // asked for in Go
		used[k] = true
	}
	for _, k := range operateAsked() {
		used[k] = true
	}
	prefixes = append(prefixes, "fail.", "setting.", "status.", "mark.", "correction.") // asked for in Go
	for k, w := range allTexts() {
		byPrefix := false
		for _, p := range prefixes {
			byPrefix = byPrefix || strings.HasPrefix(k, p)
		}
		if !used[k] && !byPrefix {
			t.Errorf("nobody asks for %q", k)
		}
		if k != "role." && (w.Vi == "" || w.En == "") || !norm.NFC.IsNormalString(w.Vi) {
			t.Errorf("%q: %+v", k, w)
		}
	}
	for _, s := range []domain.Status{domain.StatusDue, domain.StatusOnTime, domain.StatusLate, domain.StatusMissing, domain.StatusExempt} {
		row := projections.ComplianceRow{Status: s, Determinable: true}
		if f := (Frame{}); f.Mark(row) == "mark."+string(s) || f.Status(row) == "status."+string(s) {
			t.Errorf("no words for status %s", s)
		}
	}
	for _, k := range []string{"ReportSubmitted", "ReportCorrected", "ReportReturned", "ReportSignedOff", "DeadlineBreached", "BreachWithdrawn", "BreachExplained", "BreachExcused", "BreachUpheld", "ReminderSent"} {
		if _, ok := texts["kind."+k]; !ok {
			t.Errorf("no words for %s", k)
		}
	}
	for _, r := range domain.Roles {
		if _, ok := texts["role."+string(r)]; !ok {
			t.Errorf("no words for role %s", r)
		}
	}
}

func TestFrame(t *testing.T) {
	t.Parallel()
	vi, en := Frame{Language: domain.Vietnamese}, Frame{Language: domain.English}
	at := time.Date(2021, 2, 8, 7, 59, 59, 900e6, time.UTC)
	for _, c := range [][2]string{
		{vi.Number(int64(1234567)), "1.234.567"}, {en.Number(int64(1234567)), "1,234,567"},
		{vi.Time(at), "14:59:59 08/02/2021"}, {en.Time(at), "2021-02-08 14:59:59"}, {vi.Time(time.Time{}), ""},
		{vi.Day("2021-02-08"), "08/02/2021"}, {en.Day("2021-02-08"), "2021-02-08"}, {vi.Day("x"), "x"},
		{vi.Word(domain.Wording{Vi: "a", En: "b"}), "a"}, {en.Word(domain.Wording{Vi: "a", En: "b"}), "b"}, {en.Word(domain.Wording{Vi: "a"}), "a"},
		{string(vi.Other()), "en"}, {string(en.Other()), "vi"},
		{Frame{Path: "/x", Query: map[string][]string{"a": {"1"}, "lang": {"en"}, "b": {""}}}.Here("a", "", "c", "2 3"), "/x?c=2+3"},
		{Frame{Query: map[string][]string{"date": {"2021-02-08"}, "cursor": {"z"}}}.Link("/"), "/?date=2021-02-08"},
		{Frame{Regime: "r"}.UnitLink("u", "2021-02-08"), "/units/u?date=2021-02-08&regime=r"},
		{vi.Mark(projections.ComplianceRow{Status: domain.StatusOnTime}), "?"},
	} {
		if c[0] != c[1] {
			t.Errorf("%q, want %q", c[0], c[1])
		}
	}
}
