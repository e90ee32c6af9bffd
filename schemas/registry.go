package schemas

import (
	"embed"
	stdjson "encoding/json"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/answerable-ledger/answerable/domain"
)

//go:embed LOCK defs events forms meta
var files embed.FS

// Files are the schema files as released, by the path that LOCK names, for those who publish them.
func Files() fs.FS { return files }

// Registry holds every schema and form, compiled. It is immutable and safe for concurrent use.
type Registry struct {
	schemas *compiled
	forms   map[domain.FormID][]domain.Form // version n at n-1
	order   []domain.FormID
}

// Load compiles what is embedded. It fails on any gap: a kind without its schemas, a version without its hop.
func Load() (*Registry, error) {
	texts := map[string][]byte{}
	err := fs.WalkDir(files, ".", func(path string, d fs.DirEntry, err error) error {
		name, isSchema := strings.CutSuffix(path, ".json")
		if err != nil || !isSchema {
			return err
		}
		texts[name], err = files.ReadFile(path)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("schemas: load: %w", err)
	}
	r, err := load(texts)
	if err != nil {
		return nil, fmt.Errorf("schemas: load: %w", err)
	}
	return r, nil
}

func load(texts map[string][]byte) (*Registry, error) {
	c, err := compile(texts)
	if err != nil {
		return nil, err
	}
	r := &Registry{schemas: c, forms: map[domain.FormID][]domain.Form{}}
	if err := checkKinds(texts); err != nil {
		return nil, err
	}
	return r, r.readForms(texts)
}

// checkKinds: every version of every kind from 1 to the current one has a schema, and a hop to the next; nothing else is
// among the files.
func checkKinds(texts map[string][]byte) error {
	want := map[string]bool{"meta/1": true}
	for _, kind := range Kinds() {
		current, ok := CurrentVersion(kind)
		if !ok {
			return fmt.Errorf("%s has no current version", kind)
		}
		for v := 1; v <= current; v++ {
			want[eventSchema(kind, v)] = true
			if _, ok := hopFrom(kind, v); ok != (v < current) {
				return fmt.Errorf("%s: hop from version %d: there is %t, wanted %t", kind, v, ok, v < current)
			}
		}
	}
	for name := range want {
		if texts[name] == nil {
			return fmt.Errorf("%s.json is missing", name)
		}
	}
	for name := range texts {
		if !want[name] && !strings.HasPrefix(name, "forms/") && !strings.HasPrefix(name, "defs/") {
			return fmt.Errorf("%s.json belongs to no kind", name)
		}
	}
	return nil
}

func (r *Registry) readForms(texts map[string][]byte) error {
	for name := range texts {
		if id, ok := strings.CutPrefix(name, "forms/"); ok {
			id, _, _ = strings.Cut(id, "/")
			r.order = append(r.order, domain.FormID(id))
		}
	}
	slices.Sort(r.order)
	r.order = slices.Compact(r.order)
	sums := map[domain.FormID]domain.FormID{}
	for _, id := range r.order {
		for v := 1; texts[formSchema(id, v)] != nil; v++ {
			form, consolidates, err := readForm(texts[formSchema(id, v)])
			if err == nil && (form.ID != id || form.Version != v || !domain.ValidID(string(id))) {
				err = fmt.Errorf("it says it is version %d of %s", form.Version, form.ID)
			}
			if err != nil {
				return fmt.Errorf("%s.json: %w", formSchema(id, v), err)
			}
			r.forms[id] = append(r.forms[id], form)
			sums[id] = consolidates
			delete(texts, formSchema(id, v))
		}
	}
	for name := range texts {
		if strings.HasPrefix(name, "forms/") {
			return fmt.Errorf("%s.json: a version before it is missing", name)
		}
	}
	for above, below := range sums {
		if below == "" {
			continue
		}
		f, _ := r.CurrentForm(above)
		g, ok := r.CurrentForm(below)
		if !ok {
			return fmt.Errorf("form %s consolidates %s, which does not exist", above, below)
		}
		if err := checkConsolidation(f, g); err != nil {
			return fmt.Errorf("form %s: %w", above, err)
		}
	}
	return nil
}

func eventSchema(kind string, version int) string {
	return "events/" + kind + "/" + strconv.Itoa(version)
}
func formSchema(id domain.FormID, version int) string {
	return "forms/" + string(id) + "/" + strconv.Itoa(version)
}

// ValidateEvent judges what Encode gave, before it is written. The refusal is a *domain.Error with every fault, pointers
// into the event's data; those of its circumstances lie under /meta.
func (r *Registry) ValidateEvent(s Stored) error {
	version, ok := CurrentVersion(s.Kind)
	if !ok {
		return fmt.Errorf("schemas: validate %s: %w", s.Kind, ErrUnknownKind)
	}
	if err := r.judge(s, version, s.Data); err != nil {
		return fmt.Errorf("schemas: validate %s: %w", s.Kind, err)
	}
	return nil
}

func (r *Registry) judge(s Stored, version int, data []byte) error {
	var faults []domain.Fault
	if !plainlyGoodMeta(s.Meta) {
		faults = r.text("meta/1", s.Meta, "/meta")
	}
	return refusal(append(faults, r.text(eventSchema(s.Kind, version), data, "")...))
}

// text judges a JSON text under a schema.
func (r *Registry) text(schema string, text []byte, base string) []domain.Fault {
	v, faults := readValue(text, base)
	if v == nil && len(faults) > 0 {
		return faults
	}
	return append(faults, r.schemas.check(schema, v, base)...)
}

func refusal(faults []domain.Fault) error {
	if len(faults) == 0 {
		return nil
	}
	domain.SortFaults(faults)
	return &domain.Error{Kind: domain.Invalid, Faults: slices.CompactFunc(faults, func(a, b domain.Fault) bool {
		return a.Pointer == b.Pointer && a.Code == b.Code
	})}
}

// CheckRecorded judges a recorded fact again: it is valid under the schema of the version it was written in, what its
// hops make of it is valid under the current one, it decodes, its figures are valid under the version of the form it
// names, its digest is the digest of its content, and it is about what its stream is about.
func (r *Registry) CheckRecorded(s Source) error {
	if err := r.checkRecorded(s); err != nil {
		return fmt.Errorf("schemas: check %s at %d of %s: %w", s.Kind, s.Revision, s.Stream, err)
	}
	return nil
}

func (r *Registry) checkRecorded(s Source) error {
	f, err := decode(s)
	if err != nil {
		return err
	}
	_, version, err := decodeMeta(s.Meta)
	if err != nil {
		return err
	}
	if err := r.judge(s.Stored, version, s.Data); err != nil {
		return fmt.Errorf("version %d: %w", version, err)
	}
	if current, _ := CurrentVersion(s.Kind); version < current {
		data, err := upcast(s.Kind, version, s.Data)
		if err != nil {
			return err
		}
		if err := r.judge(s.Stored, current, data); err != nil {
			return fmt.Errorf("version %d brought to %d: %w", version, current, err)
		}
	}
	if names := domain.StreamOf(f.Event); names != "" && names != s.Stream {
		return fmt.Errorf("it is about %s: %w", names, ErrMalformed)
	}
	switch e := f.Event.(type) {
	case domain.ReportSubmitted:
		key := domain.ReportKey{Regime: e.Regime, Form: e.Form, Unit: e.Unit, Date: e.Date}
		return r.checkContent(key, domain.Content{FormVersion: e.FormVersion, Figures: e.Figures, Nil: e.Nil, Children: e.Children}, e.Digest)
	case domain.ReportCorrected:
		key := domain.ReportKey{Regime: e.Regime, Form: e.Form, Unit: e.Unit, Date: e.Date}
		return r.checkContent(key, domain.Content{FormVersion: e.FormVersion, Figures: e.Figures, Nil: e.Nil, Children: e.Children}, e.Digest)
	}
	return nil
}

func (r *Registry) checkContent(key domain.ReportKey, c domain.Content, digest string) error {
	if is := c.Digest(key); is != digest {
		return fmt.Errorf("digest %s recorded, %s computed: %w", digest, is, ErrMalformed)
	}
	if c.Nil {
		return nil
	}
	if _, ok := r.Form(key.Form, c.FormVersion); !ok {
		return fmt.Errorf("version %d of form %s: %w", c.FormVersion, key.Form, ErrNewer)
	}
	return r.CheckFigures(key.Form, c.FormVersion, c.Figures)
}

// Form is one version of a form.
func (r *Registry) Form(id domain.FormID, version int) (domain.Form, bool) {
	versions := r.forms[id]
	if version < 1 || version > len(versions) {
		return domain.Form{}, false
	}
	return versions[version-1], true
}

// CurrentForm is the newest version of a form.
func (r *Registry) CurrentForm(id domain.FormID) (domain.Form, bool) {
	return r.Form(id, len(r.forms[id]))
}

// Forms lists the current version of every form, by id.
func (r *Registry) Forms() []domain.Form {
	out := make([]domain.Form, 0, len(r.order))
	for _, id := range r.order {
		f, _ := r.CurrentForm(id)
		out = append(out, f)
	}
	return out
}

// FormSchema is the schema file of a form, for those who publish it.
func (r *Registry) FormSchema(id domain.FormID, version int) ([]byte, bool) {
	return released(formSchema(id, version))
}

// EventSchema is the schema file of a version of a kind of event.
func (r *Registry) EventSchema(kind string, version int) ([]byte, bool) {
	return released(eventSchema(kind, version))
}

func released(name string) ([]byte, bool) {
	text, err := files.ReadFile(name + ".json")
	return text, err == nil
}

// ValidateFigures judges the figures of a report, a JSON object. The refusal is a *domain.Error of kind Invalid with
// every fault, sorted, pointers under /figures.
func (r *Registry) ValidateFigures(id domain.FormID, version int, figures []byte) error {
	_, err := r.ParseFigures(id, version, figures)
	return err
}

// ParseFigures is ValidateFigures that also gives what it judged.
func (r *Registry) ParseFigures(id domain.FormID, version int, figures []byte) (domain.Figures, error) {
	form, err := r.named(id, version)
	if err != nil {
		return nil, err
	}
	v, faults := r.figures(form, figures)
	if err := refusal(faults); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

// ParseOwnFigures judges what a consolidating unit fills in itself: it may leave out every field and may give none that
// is summed from below. What the whole report then says is judged by CheckFigures.
func (r *Registry) ParseOwnFigures(id domain.FormID, version int, figures []byte) (domain.Figures, error) {
	form, err := r.named(id, version)
	if err != nil {
		return nil, err
	}
	v, faults := r.figures(form, figures)
	faults = slices.DeleteFunc(faults, func(f domain.Fault) bool { return f.Code == domain.CodeRequired || f.Code == domain.CodeAtMost })
	object, _ := v.(map[string]any)
	for name := range object {
		if f, ok := form.Field(name); ok && f.RollUp != domain.RollUpOwn && f.RollUp != domain.RollUpNone {
			faults = append(faults, domain.NewFault(domain.CodeFieldSummed, "/figures/"+name, "field", name))
		}
	}
	if err := refusal(faults); err != nil {
		return nil, err
	}
	return numbers(v), nil
}

// CheckFigures is ValidateFigures of figures that were made and not sent.
func (r *Registry) CheckFigures(id domain.FormID, version int, figures domain.Figures) error {
	form, err := r.named(id, version)
	if err != nil {
		return err
	}
	v := make(map[string]any, len(figures))
	for name, n := range figures {
		v[name] = stdjson.Number(strconv.FormatInt(n, 10))
	}
	return refusal(r.schemas.check(formSchema(form.ID, form.Version), v, "/figures"))
}

func (r *Registry) named(id domain.FormID, version int) (domain.Form, error) {
	current, ok := r.CurrentForm(id)
	if !ok {
		return domain.Form{}, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(id))
	}
	form, ok := r.Form(id, version)
	if !ok {
		return domain.Form{}, domain.Refuse(domain.Invalid, domain.CodeFormVersion, "/form_version", "version", strconv.Itoa(version), "current", strconv.Itoa(current.Version))
	}
	return form, nil
}

func (r *Registry) figures(form domain.Form, text []byte) (any, []domain.Fault) {
	v, faults := readValue(text, "/figures")
	if v != nil || len(faults) == 0 {
		faults = append(faults, r.schemas.check(formSchema(form.ID, form.Version), v, "/figures")...)
	}
	return v, faults
}

// numbers is a judged object as figures.
func numbers(v any) domain.Figures {
	object, _ := v.(map[string]any)
	out := make(domain.Figures, len(object))
	for name := range object {
		out[name], _ = integerMember(v, name)
	}
	return out
}
