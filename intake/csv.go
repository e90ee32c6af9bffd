package intake

import (
	"bytes"
	"encoding/csv"
	"errors"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/domain"
)

// column is one column of a heading row.
type column struct {
	letter  string
	heading string // normalised: NFC, lower case, single spaces
	member  string // unit, form, date, nil, note or form_version; "" for a figure
}

// csv reads rows under a heading row.
func (f *file) csv(body []byte) {
	comma, body := delimiter(body)
	r := csv.NewReader(bytes.NewReader(body))
	r.Comma = comma
	r.FieldsPerRecord = -1
	r.ReuseRecord = true
	head, err := r.Read()
	if err != nil {
		f.csvFault(err)
		return
	}
	columns, ok := f.headings(head)
	if !ok {
		return
	}
	inside := lineFeeds(head) // lines that are no rows of the spreadsheet, being inside cells
	n := 0
	for {
		cells, err := r.Read()
		if err != nil {
			f.csvFault(err)
			return
		}
		line, _ := r.FieldPos(0)
		number := line - inside
		inside += lineFeeds(cells)
		if strings.TrimSpace(strings.Join(cells, "")) == "" {
			continue
		}
		if n++; n > domain.MaxUnitsPerDay {
			f.tooMany(number)
			return
		}
		f.record(number, columns, cells)
	}
}

func lineFeeds(cells []string) int {
	n := 0
	for _, c := range cells {
		n += strings.Count(c, "\n")
	}
	return n
}

func (f *file) csvFault(err error) {
	if err == io.EOF {
		return
	}
	detail := "unreadable"
	switch {
	case errors.Is(err, csv.ErrBareQuote):
		detail = "bare_quote"
	case errors.Is(err, csv.ErrQuote):
		detail = "quote"
	case errors.Is(err, csv.ErrFieldCount):
		detail = "field_count"
	}
	fault := domain.NewFault(domain.CodeCSV, "", "detail", detail)
	var parse *csv.ParseError
	if errors.As(err, &parse) {
		fault.Row = parse.Line
	}
	f.faults = append(f.faults, fault)
}

// delimiter finds what separates the cells, and drops the line "sep=;" that some spreadsheets write and read.
func delimiter(body []byte) (rune, []byte) {
	line, rest, _ := bytes.Cut(body, []byte("\n"))
	if mark, ok := bytes.CutPrefix(bytes.TrimSpace(line), []byte("sep=")); ok && len(mark) == 1 && strings.ContainsAny(string(mark), ",;\t") {
		return rune(mark[0]), rest
	}
	best, most := ',', 0
	for _, c := range []rune{',', ';', '\t'} {
		n, quoted := 0, false
		for _, x := range string(line) {
			if x == '"' {
				quoted = !quoted
			} else if x == c && !quoted {
				n++
			}
		}
		if n > most {
			best, most = c, n
		}
	}
	return best, body
}

// headings reads the heading row; false when the rows below cannot be understood.
func (f *file) headings(head []string) ([]column, bool) {
	columns := make([]column, len(head))
	seen := map[string]bool{}
	fault := func(c domain.Code, i int, name string) {
		x := domain.NewFault(c, "", "name", name)
		x.Row, x.Column = 1, letters(i)
		f.faults = append(f.faults, x)
	}
	for i, h := range head {
		h = heading(h)
		columns[i] = column{letter: letters(i), heading: h, member: memberOf(h)}
		key := h
		if columns[i].member != "" {
			key = columns[i].member
		}
		switch {
		case h == "":
		case seen[key]:
			fault(domain.CodeDuplicate, i, h)
		case columns[i].member == "" && !f.isField(h):
			fault(domain.CodeColumnUnknown, i, h)
		}
		seen[key] = true
	}
	for _, name := range []string{"unit", "form", "date"} {
		if !seen[name] && (name != "date" || f.day == "") {
			x := domain.NewFault(domain.CodeRequired, "/"+name, "name", name)
			x.Row = 1
			f.faults = append(f.faults, x)
		}
	}
	return columns, len(f.faults) == 0
}

func heading(s string) string {
	return strings.Join(strings.Fields(strings.ToLower(norm.NFC.String(s))), " ")
}

// memberOf knows the headings that are no figures, in both languages.
func memberOf(heading string) string {
	switch heading {
	case "unit", "đơn vị", "mã đơn vị":
		return "unit"
	case "form", "biểu", "mã biểu":
		return "form"
	case "date", "ngày", "ngày báo cáo":
		return "date"
	case "nil", "không phát sinh":
		return "nil"
	case "note", "ghi chú":
		return "note"
	case "form_version", "phiên bản biểu":
		return "form_version"
	}
	return ""
}

func (f *file) isField(heading string) bool {
	for _, form := range f.reg.Forms() {
		for v := 1; v <= form.Version; v++ { // a day may ask for an old one
			if old, ok := f.reg.Form(form.ID, v); ok && fieldOf(old, heading) != "" {
				return true
			}
		}
	}
	return false
}

// fieldOf is the figure of a form that a heading names, by its name or its label.
func fieldOf(form domain.Form, h string) string {
	for _, x := range form.Fields {
		if h == x.Name || h == heading(x.Label.Vi) || h == heading(x.Label.En) {
			return x.Name
		}
	}
	return ""
}

// letters is the name of a column in a spreadsheet: A, B, … Z, AA.
func letters(i int) string {
	s := ""
	for i++; i > 0; i = (i - 1) / 26 {
		s = string(rune('A'+(i-1)%26)) + s
	}
	return s
}

// record reads one row: it becomes the same members as a JSON object, read by the same code.
func (f *file) record(number int, columns []column, cells []string) {
	r := reading{reg: f.reg, located: true}
	m := map[string]jsontext.Value{}
	where := map[string]string{} // pointer to column letter
	row := Row{Number: number, columns: where}
	texts := map[string]string{}
	for i, cell := range cells {
		if i >= len(columns) || columns[i].heading == "" {
			if strings.TrimSpace(cell) != "" {
				r.fault(domain.CodeColumnUnknown, "/"+letters(i), "name", letters(i))
				where["/"+letters(i)] = letters(i)
			}
			continue
		}
		if name := columns[i].member; name != "" {
			where["/"+name] = columns[i].letter
			if name != "note" {
				cell = strings.TrimSpace(cell)
			}
			texts[name] = cell
		}
	}
	row.Unit = domain.UnitCode(r.cellID("unit", texts["unit"]))
	row.Form = domain.FormID(r.cellID("form", texts["form"]))
	if row.Date = domain.Date(texts["date"]); row.Date == "" && f.day == "" {
		r.fault(domain.CodeRequired, "/date", "name", "date")
	}
	_, known := f.reg.CurrentForm(row.Form)
	if row.Form != "" && !known {
		r.fault(domain.CodeFormUnknown, "/form", "form", string(row.Form))
	}
	r.of(row.Form, f.dutyOf(row))
	row.Submission.Note, r.faults = appendText(r.faults, texts["note"])
	if v := texts["form_version"]; v != "" {
		m["form_version"] = jsontext.Value(v)
	}
	switch isNil, ok := yes(texts["nil"]); {
	case !ok:
		r.fault(domain.CodeChoice, "/nil", "value", texts["nil"])
	case isNil:
		m["nil"] = jsontext.Value("true")
	}
	if known {
		m["figures"] = r.cellFigures(f.formOf(row.Form, r.version, texts["form_version"]), columns, cells, where)
		row.Submission.Content, _ = r.content(m)
	}
	r.faults = withoutEchoes(r.faults)
	for i := range r.faults {
		r.faults[i].Row, r.faults[i].Column = number, where[r.faults[i].Pointer]
	}
	f.faults = append(f.faults, r.faults...)
	f.add(row, len(r.faults) == 0)
}

// formOf is the form whose figures a row's cells are: of the version the row says, where there is one like that.
func (f *file) formOf(id domain.FormID, version int, said string) domain.Form {
	if n, err := strconv.Atoi(said); err == nil {
		if form, ok := f.reg.Form(id, n); ok {
			return form
		}
	}
	if form, ok := f.reg.Form(id, version); ok {
		return form
	}
	form, _ := f.reg.CurrentForm(id)
	return form
}

// withoutEchoes drops "not an integer" where it was said already why.
func withoutEchoes(faults []domain.Fault) []domain.Fault {
	said := map[string]bool{}
	for _, f := range faults {
		if f.Code == domain.CodeThousands {
			said[f.Pointer] = true
		}
	}
	return slices.DeleteFunc(faults, func(f domain.Fault) bool { return f.Code == domain.CodeNotInteger && said[f.Pointer] })
}

func (r *reading) cellID(name, cell string) string {
	switch {
	case cell == "":
		r.fault(domain.CodeRequired, "/"+name, "name", name)
	case !domain.ValidID(cell):
		r.fault(domain.CodeID, "/"+name, "value", cell)
	default:
		return cell
	}
	return ""
}

func appendText(faults []domain.Fault, cell string) (string, []domain.Fault) {
	note, more := Text("/note", cell, false)
	if strings.TrimSpace(note) == "" {
		note = ""
	}
	return note, append(faults, more...)
}

// yes reads the cell of a nil report.
func yes(cell string) (isNil, ok bool) {
	switch heading(cell) {
	case "", "0", "false", "no", "không", "khong":
		return false, true
	case "1", "true", "yes", "x", "có", "co":
		return true, true
	}
	return false, false
}

// grouped is a number with separators of thousands, as spreadsheets show it: 1.234 1,234,567 1 234 1'234.
var grouped = regexp.MustCompile("^-?[0-9]{1,3}([., '\u00a0\u202f\u2019][0-9]{3})+([.,][0-9]+)?$")

// cellFigures makes the JSON object of a row's figures; a cell that is no integer becomes null, which the schema refuses
// as one.
func (r *reading) cellFigures(form domain.Form, columns []column, cells []string, where map[string]string) jsontext.Value {
	out := []byte{'{'}
	for i, cell := range cells {
		cell = strings.TrimSpace(cell)
		if i >= len(columns) || columns[i].member != "" || columns[i].heading == "" {
			continue
		}
		name := fieldOf(form, columns[i].heading)
		if name == "" && cell == "" {
			continue // a column of another form
		}
		if name == "" {
			name = columns[i].heading
		}
		at := pointer("figures") + pointer(name)
		where[at] = columns[i].letter
		if cell == "" {
			continue
		}
		if grouped.MatchString(cell) {
			r.fault(domain.CodeThousands, at, "value", cell)
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out, _ = jsontext.AppendQuote(out, name) // the file was checked to be UTF-8
		if isInteger(cell) {
			out = append(append(out, ':'), cell...)
		} else {
			out = append(out, ":null"...)
		}
	}
	out = append(out, '}')
	return out
}
