package intake

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/schemas"
)

// ParseReport reads a first version:
//
//	{"form_version": 2, "figures": {"smartphone_users": 8123, …}, "nil": false, "note": "…"}
//
// figures, or nil true, must be there. duty is what the unit owes on that day: form_version is the duty's when it is left
// out, and where the duty consolidates, the ledger makes the sums, so that the figures hold at most what the unit fills in
// itself, and may be left out. The zero duty is for a report that nothing is known to ask for: it is read as a plain one of
// the form's current version, and the ledger says later that nobody asked. The caller sets ReceivedAt.
func ParseReport(body []byte, reg *schemas.Registry, key domain.ReportKey, duty domain.DayDuty) (domain.Submission, error) {
	r := reading{reg: reg}
	r.of(key.Form, duty)
	return r.submission(body)
}

// ParseCorrection reads a later version: what ParseReport reads and
//
//	{…, "replaces": 1, "correction": "content", "reason": "…"}
//
// where replaces is the version the filer looked at. The caller sets ReceivedAt.
func ParseCorrection(body []byte, reg *schemas.Registry, key domain.ReportKey, duty domain.DayDuty) (domain.Correction, error) {
	r := reading{reg: reg, correction: true}
	r.of(key.Form, duty)
	return r.corrected(body)
}

// reading is one body being read.
type reading struct {
	reg          *schemas.Registry
	form         domain.FormID
	version      int // of the form, when the body names none
	figures      func(domain.FormID, int, []byte) (domain.Figures, error)
	correction   bool
	consolidated bool   // the ledger makes the sums
	located      bool   // a row of a file: unit, form and date stand in it
	base         string // JSON Pointer of the object
	faults       []domain.Fault
}

// of says which form is read, and for which duty.
func (r *reading) of(form domain.FormID, duty domain.DayDuty) {
	r.form, r.version, r.consolidated = form, duty.FormVersion, duty.Consolidates != ""
	if current, ok := r.reg.CurrentForm(form); ok && r.version == 0 {
		r.version = current.Version
	}
	r.figures = r.reg.ParseFigures
	if r.consolidated {
		r.figures = r.reg.ParseOwnFigures
	}
}

func (r *reading) fault(c domain.Code, pointer string, args ...string) {
	r.faults = append(r.faults, domain.NewFault(c, r.base+pointer, args...))
}

func (r *reading) submission(body []byte) (domain.Submission, error) {
	if err := tooLarge(body, domain.MaxBodyBytes); err != nil {
		return domain.Submission{}, err
	}
	content, note := r.content(r.members(body))
	if err := refusal(r.faults); err != nil {
		return domain.Submission{}, err
	}
	return domain.Submission{Content: content, Note: note}, nil
}

func (r *reading) corrected(body []byte) (domain.Correction, error) {
	if err := tooLarge(body, domain.MaxBodyBytes); err != nil {
		return domain.Correction{}, err
	}
	m := r.members(body)
	var c domain.Correction
	c.Content, c.Note = r.content(m)
	if m != nil {
		c.Replaces = r.integer(m, "replaces", domain.MaxVersions, true)
		c.Reason = r.text(m, "reason", true)
		kind := r.text(m, "correction", true)
		c.Correction = domain.CorrectionKind(kind)
		if kind != "" && !slices.Contains([]domain.CorrectionKind{domain.CorrectionContent, domain.CorrectionErratum}, c.Correction) {
			r.fault(domain.CodeChoice, "/correction", "value", kind)
		}
	}
	if err := refusal(r.faults); err != nil {
		return domain.Correction{}, err
	}
	return c, nil
}

// content reads what both attempts have.
func (r *reading) content(m map[string]jsontext.Value) (domain.Content, string) {
	if m == nil {
		return domain.Content{}, ""
	}
	c := domain.Content{Figures: domain.Figures{}}
	_, known := r.reg.CurrentForm(r.form)
	if !known {
		r.fault(domain.CodeFormUnknown, "/form", "form", string(r.form))
	}
	if c.FormVersion = r.integer(m, "form_version", 1_000_000, false); c.FormVersion == 0 {
		c.FormVersion = r.version
	}
	note := r.text(m, "note", false)
	c.Nil = r.bool(m, "nil")
	figures, given := m["figures"]
	empty := !given || isEmptyObject(figures)
	switch {
	case c.Nil && !empty:
		r.fault(domain.CodeNilWithFigures, "/figures")
	case c.Nil:
	case empty && !r.consolidated:
		r.fault(domain.CodeEmptyNotNil, "/figures")
	case empty, !known:
	default:
		parsed, err := r.figures(r.form, c.FormVersion, figures)
		var refused *domain.Error
		if errors.As(err, &refused) {
			for _, f := range refused.Faults {
				f.Pointer = r.base + f.Pointer
				r.faults = append(r.faults, f)
			}
		} else if err != nil {
			r.fault(domain.CodeSchema, "/figures", "detail", err.Error())
		}
		c.Figures = parsed
	}
	return c, note
}

func isEmptyObject(v jsontext.Value) bool {
	v = bytes.TrimSpace(v)
	return len(v) >= 2 && v[0] == '{' && len(bytes.TrimSpace(v[1:len(v)-1])) == 0
}

// known says which members an object may have.
func (r *reading) known(name string) bool {
	switch name {
	case "form_version", "figures", "nil", "note":
		return true
	case "replaces", "correction", "reason":
		return r.correction
	case "unit", "form", "date":
		return r.located
	}
	return false
}

// members splits an object; nil when it is none. Values keep their bytes; of a name that occurs twice the first is read
// on, so that its own faults are found as well.
func (r *reading) members(body []byte) map[string]jsontext.Value {
	d := jsontext.NewDecoder(bytes.NewReader(body), jsontext.AllowDuplicateNames(true))
	if d.PeekKind() != '{' {
		r.faults = append(r.faults, notA("object", d, r.base))
		return nil
	}
	out := make(map[string]jsontext.Value, 8)
	_, err := d.ReadToken()
	for err == nil && d.PeekKind() == '"' {
		var name string
		var v jsontext.Value
		if name, v, err = nextMember(d); err != nil {
			break
		}
		switch _, twice := out[name]; {
		case twice:
			r.fault(domain.CodeDuplicate, pointer(name), "name", name)
		case !r.known(name):
			r.fault(domain.CodeFieldUnknown, pointer(name), "field", name)
			out[name] = nil
		default:
			out[name] = v
		}
	}
	if err == nil {
		_, err = d.ReadToken()
	}
	if err == nil {
		if _, err = d.ReadToken(); err == io.EOF {
			return out
		} else if err == nil {
			err = schemas.ErrMoreValues
		}
	}
	r.faults = append(r.faults, schemas.SyntaxFault(err, r.base))
	return nil
}

// notA says that a value is of another type, or that there is none.
func notA(want string, d *jsontext.Decoder, pointer string) domain.Fault {
	if _, err := d.ReadValue(); err != nil {
		return schemas.SyntaxFault(err, pointer)
	}
	return domain.NewFault(domain.CodeType, pointer, "want", want)
}

func nextMember(d *jsontext.Decoder) (string, jsontext.Value, error) {
	t, err := d.ReadToken()
	if err != nil {
		return "", nil, err
	}
	name := t.String()
	v, err := d.ReadValue()
	return name, v.Clone(), err
}

func pointer(name string) string {
	return "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
}

func (r *reading) missing(m map[string]jsontext.Value, name string, required bool) bool {
	_, ok := m[name]
	if !ok && required {
		r.fault(domain.CodeRequired, "/"+name, "name", name)
	}
	return !ok
}

// integer reads a number from 1 to max; 0 when it is not there or at fault.
func (r *reading) integer(m map[string]jsontext.Value, name string, max int, required bool) int {
	if r.missing(m, name, required) {
		return 0
	}
	text := string(m[name])
	if !isInteger(text) {
		r.fault(domain.CodeNotInteger, "/"+name)
		return 0
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > max {
		r.fault(domain.CodeRange, "/"+name, "min", "1", "max", strconv.Itoa(max))
		return 0
	}
	return n
}

// isInteger: digits without a leading zero, perhaps after a minus sign.
func isInteger(s string) bool {
	digits := strings.TrimPrefix(s, "-")
	if digits == "" || digits[0] == '0' && s != "0" {
		return false
	}
	return strings.Trim(digits, "0123456789") == ""
}

func (r *reading) text(m map[string]jsontext.Value, name string, required bool) string {
	if r.missing(m, name, required) {
		return ""
	}
	if m[name].Kind() != '"' {
		r.fault(domain.CodeType, "/"+name, "want", "string")
		return ""
	}
	raw, err := jsontext.AppendUnquote(nil, m[name])
	if err != nil {
		r.faults = append(r.faults, schemas.SyntaxFault(err, r.base+"/"+name))
		return ""
	}
	s, faults := Text(r.base+"/"+name, string(raw), required)
	r.faults = append(r.faults, faults...)
	return s
}

func (r *reading) bool(m map[string]jsontext.Value, name string) bool {
	if r.missing(m, name, false) {
		return false
	}
	k := m[name].Kind()
	if k != 't' && k != 'f' {
		r.fault(domain.CodeType, "/"+name, "want", "boolean")
	}
	return k == 't'
}

func tooLarge(body []byte, max int) error {
	if len(body) > max {
		return domain.Refuse(domain.Invalid, domain.CodeTooLarge, "", "max", strconv.Itoa(max))
	}
	return nil
}

// MaxFaults bounds the faults of one input that are listed; a last one then says how many are not. Chosen: nobody mends
// more of them before sending again.
const MaxFaults = 1000

// refusal is the error of all faults, or nil.
func refusal(faults []domain.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	domain.SortFaults(faults)
	faults = slices.CompactFunc(faults, func(a, b domain.Fault) bool {
		return a.Row == b.Row && a.Pointer == b.Pointer && a.Code == b.Code
	})
	if more := len(faults) - MaxFaults; more > 0 {
		faults = append(faults[:MaxFaults:MaxFaults], domain.NewFault(domain.CodeMoreFaults, "", "count", strconv.Itoa(more)))
	}
	return &domain.Error{Kind: domain.Invalid, Faults: faults}
}
