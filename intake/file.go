package intake

import (
	"bytes"
	"io"
	"path"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

// Row is one report of a file. The caller sets Submission.ReceivedAt.
type Row struct {
	Number     int // 1-based row of a spreadsheet, or position in a JSON array: what a later refusal should name
	Unit       domain.UnitCode
	Form       domain.FormID
	Date       domain.Date
	Submission domain.Submission
	pointer    string            // of the row in a JSON file
	columns    map[string]string // letter of the column a pointer's value stands in; nil in a JSON file
}

// Place gives a fault that was found in the row's report later on its place in the file.
func (r Row) Place(f domain.Fault) domain.Fault {
	f.Row, f.Column = r.Number, r.columns[f.Pointer]
	f.Pointer = r.pointer + f.Pointer
	return f
}

// Placed is what refusals say, one for each row or nil, at its places in the file and in their order.
func Placed(rows []Row, refusals []*domain.Error) []domain.Fault {
	var faults []domain.Fault
	for i, refusal := range refusals {
		if refusal == nil {
			continue
		}
		for _, f := range refusal.Faults {
			faults = append(faults, rows[i].Place(f))
		}
	}
	domain.SortFaults(faults)
	return faults
}

// DutyOf is the duty under which a unit owes a form on a day; the zero duty where nothing is owed.
type DutyOf func(domain.FormID, domain.UnitCode, domain.Date) domain.DayDuty

// ParseFile reads a day's reports from a file, by the extension of its name.
//
// A .json file is an array of objects as ParseReport takes them, each with unit and form, and date when day is "".
//
// A .csv file has a heading row: unit, form, date (as above), the names of the figures, nil, note, form_version, in any
// order; the headings may also be the labels of the form in Vietnamese or English. Cells are separated by comma,
// semicolon or tab, whichever the heading row has most of. It is UTF-8, with or without a byte order mark, with either
// line ending. An empty cell is a figure that was not given.
//
// Rows of several forms may stand in one file, reports that the ledger sums among them: see ParseReport for what duty
// decides. day is the only day the rows may be of; "" leaves it to the file.
func ParseFile(name string, body []byte, reg *schemas.Registry, day domain.Date, duty DutyOf) ([]Row, error) {
	if err := tooLarge(body, domain.MaxImportBytes); err != nil {
		return nil, err
	}
	f := file{reg: reg, day: day, duty: duty, seen: map[place]int{}}
	body = bytes.TrimPrefix(body, []byte("\ufeff"))
	if detail := notUTF8(body); detail != "" {
		return nil, domain.Refuse(domain.Invalid, domain.CodeEncoding, "", "detail", detail)
	}
	switch ext := strings.ToLower(path.Ext(name)); ext {
	case ".json":
		f.json(body)
	case ".csv", ".tsv", ".txt":
		f.csv(body)
	default:
		return nil, domain.Refuse(domain.Invalid, domain.CodeChoice, "", "value", ext)
	}
	if len(f.rows) == 0 && len(f.faults) == 0 {
		f.faults = append(f.faults, domain.NewFault(domain.CodeNoRows, ""))
	}
	if err := refusal(f.faults); err != nil {
		return nil, err
	}
	return f.rows, nil
}

// file is a file being read.
type file struct {
	reg    *schemas.Registry
	day    domain.Date
	duty   DutyOf
	rows   []Row
	faults []domain.Fault
	seen   map[place]int
}

type place struct {
	unit domain.UnitCode
	form domain.FormID
	date domain.Date
}

func notUTF8(body []byte) string {
	switch {
	case bytes.HasPrefix(body, []byte{0xff, 0xfe}), bytes.HasPrefix(body, []byte{0xfe, 0xff}):
		return "UTF-16"
	case bytes.HasPrefix(body, []byte("PK\x03\x04")):
		return "ZIP, XLSX"
	}
	for i := 0; i < len(body); {
		_, size := utf8.DecodeRune(body[i:])
		if size == 1 && body[i] >= utf8.RuneSelf {
			return "byte " + strconv.Itoa(i+1)
		}
		i += size
	}
	return ""
}

// json reads an array of reports.
func (f *file) json(body []byte) {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if d.PeekKind() != '[' {
		f.faults = append(f.faults, notA("array", d, ""))
		return
	}
	_, err := d.ReadToken()
	n := 0
	for err == nil && d.PeekKind() != ']' {
		var v jsontext.Value
		if v, err = d.ReadValue(); err != nil {
			break
		}
		if n++; n > domain.MaxUnitsPerDay {
			f.tooMany(n)
			return
		}
		f.object(n, v)
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err == nil {
		if _, err = d.ReadToken(); err == io.EOF {
			return
		} else if err == nil {
			err = schemas.ErrMoreValues
		}
	}
	fault := schemas.SyntaxFault(err, "")
	if n > 0 {
		fault.Row = n + 1
	}
	f.faults = append(f.faults, fault)
}

func (f *file) tooMany(row int) {
	fault := domain.NewFault(domain.CodeRange, "", "min", "1", "max", strconv.Itoa(domain.MaxUnitsPerDay))
	fault.Row = row
	f.faults = append(f.faults, fault)
}

func (f *file) object(n int, v jsontext.Value) {
	r := reading{reg: f.reg, located: true, base: "/" + strconv.Itoa(n-1)}
	row := Row{Number: n, pointer: r.base}
	if m := r.members(v); m != nil {
		row.Unit = domain.UnitCode(r.id(m, "unit"))
		row.Form = domain.FormID(r.id(m, "form"))
		if _, given := m["date"]; given || f.day == "" {
			row.Date = domain.Date(r.text(m, "date", true))
		}
		if r.of(row.Form, f.dutyOf(row)); row.Form != "" {
			row.Submission.Content, row.Submission.Note = r.content(m)
		}
	}
	for i := range r.faults {
		r.faults[i].Row = n
	}
	f.faults = append(f.faults, r.faults...)
	f.add(row, len(r.faults) == 0)
}

// dutyOf is the duty a row's report is for, as far as the row says.
func (f *file) dutyOf(row Row) domain.DayDuty {
	date := row.Date
	if date == "" {
		date = f.day
	}
	if _, err := domain.ParseDate(string(date)); err != nil || row.Form == "" || row.Unit == "" {
		return domain.DayDuty{}
	}
	return f.duty(row.Form, row.Unit, date)
}

func (r *reading) id(m map[string]jsontext.Value, name string) string {
	s := r.text(m, name, true)
	if s != "" && !domain.ValidID(s) {
		r.fault(domain.CodeID, "/"+name, "value", s)
		return ""
	}
	return s
}

// add takes a row whose own faults are listed already, and compares it with the day and with the rows before it.
func (f *file) add(row Row, good bool) {
	fault := func(c domain.Code, pointer string, args ...string) {
		good = false
		f.faults = append(f.faults, row.Place(domain.NewFault(c, pointer, args...)))
	}
	if row.Date != "" {
		if _, err := domain.ParseDate(string(row.Date)); err != nil || f.day != "" && row.Date != f.day {
			fault(domain.CodeDate, "/date", "value", string(row.Date))
		}
	} else {
		row.Date = f.day
	}
	if row.Unit != "" && row.Form != "" {
		at := place{row.Unit, row.Form, row.Date}
		if _, twice := f.seen[at]; twice {
			fault(domain.CodeDuplicate, "/unit", "name", strings.TrimSpace(string(row.Unit)+" "+string(row.Form)+" "+string(row.Date)))
		}
		f.seen[at] = row.Number
	}
	if good {
		f.rows = append(f.rows, row)
	}
}
