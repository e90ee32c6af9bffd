package projections

import (
	"cmp"
	"context"
	"fmt"
	"strconv"

	"github.com/go-json-experiment/json"
	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
)

// entry is one fact of a report's stream as the history row keeps it: all an inspector is shown of it, and enough to fold
// the report from. What was known at an instant is a prefix of the entries, so the past needs no rows of its own. The
// statement and the signature of a sign-off are left to the log.
type entry struct {
	Known    instant         `json:"n"`
	Kind     string          `json:"k"`
	Received instant         `json:"r"`
	Recorded instant         `json:"t"` // 0: as it became known
	EventID  uuid.UUID       `json:"e"`
	Actor    domain.PersonID `json:"a"`
	Role     domain.Role     `json:"o"`
	Channel  domain.Channel  `json:"c"`
	Place    string          `json:"p"`
	Revision uint64          `json:"-"` // its place in the row

	Version        int                   `json:"v"`
	FormVersion    int                   `json:"fv"`
	Figures        domain.Figures        `json:"g"`
	Nil            bool                  `json:"z"`
	Note           string                `json:"no"`
	Digest         string                `json:"h"`
	Timeliness     domain.Timeliness     `json:"tl"`
	Correction     domain.CorrectionKind `json:"co"`
	Findings       []domain.Finding      `json:"fi"`
	Children       []domain.ChildPin     `json:"ch"`
	Missing        []domain.UnitCode     `json:"mi"`
	Due            instant               `json:"d"`
	RegimeVersion  int                   `json:"rv"`
	Breach         domain.BreachKind     `json:"b"`
	Duty           domain.DutyID         `json:"du"`
	Text           string                `json:"x"`  // reason, explanation, text of a reminder
	By             domain.PersonID       `json:"by"` // "": the actor
	Capacity       domain.Capacity       `json:"ca"`
	Title          string                `json:"ti"`
	Authority      string                `json:"au"`
	CheckpointSeen string                `json:"cp"`
	Via            string                `json:"vi"`
}

// entryOf is the entry of a fact of a report's stream; false for an event that no report's stream holds.
func entryOf(f *domain.Fact, place string) (n entry, ok bool) {
	n = entry{Kind: f.Event.Kind(), Received: at(f.ReceivedAt), Recorded: at(f.RecordedAt), EventID: f.EventID,
		Actor: f.Actor, Role: f.Role, Channel: f.Channel, Revision: f.Revision, Place: place}
	switch e := f.Event.(type) {
	case domain.ReportSubmitted:
		n.Version, n.FormVersion, n.Figures, n.Nil, n.Note, n.Digest = 1, e.FormVersion, e.Figures, e.Nil, e.Note, e.Digest
		n.Timeliness, n.Findings, n.Children, n.Missing = e.Timeliness, e.Findings, e.Children, e.Missing
		n.Due, n.RegimeVersion = at(e.Due), e.RegimeVersion
	case domain.ReportCorrected:
		n.Version, n.FormVersion, n.Figures, n.Nil, n.Note, n.Digest = e.Version, e.FormVersion, e.Figures, e.Nil, e.Note, e.Digest
		n.Correction, n.Text, n.Findings, n.Children, n.Missing = e.Correction, e.Reason, e.Findings, e.Children, e.Missing
	case domain.ReportReturned:
		n.Version, n.Text, n.By = e.Version, e.Reason, e.ReturnedBy
	case domain.ReportSignedOff:
		n.Version, n.By, n.Capacity, n.Title = e.Version, e.Signer, e.Capacity, e.Title
		n.Authority, n.CheckpointSeen = e.Authority, e.CheckpointSeen
	case domain.DeadlineBreached:
		n.Version, n.Breach, n.Due, n.RegimeVersion, n.Duty = e.Version, e.Breach, at(e.Due), e.RegimeVersion, e.Duty
	case domain.BreachWithdrawn:
		n.Breach, n.Text, n.Due = e.Breach, e.Reason, at(e.ReceivedAt)
	case domain.BreachExplained:
		n.Breach, n.Text, n.By = e.Breach, e.Text, e.ExplainedBy
	case domain.BreachExcused:
		n.Breach, n.Text, n.By = e.Breach, e.Reason, e.GrantedBy
	case domain.BreachUpheld:
		n.Breach, n.Text, n.By = e.Breach, e.Reason, e.UpheldBy
	case domain.ReminderSent:
		n.Via, n.Text, n.By = e.Via, e.Text, e.SentBy
	default:
		return n, false
	}
	if n.By == n.Actor {
		n.By = ""
	}
	return n, true
}

// fact is the fact again, but for what the row leaves out, so that domain's own fold says what it means.
func (n entry) fact(k domain.ReportKey) domain.Fact {
	f := domain.Fact{Meta: domain.Meta{Stream: k.Stream(), Revision: n.Revision, ReceivedAt: n.Received.time(),
		RecordedAt: n.Recorded.time(), Actor: n.Actor, Role: n.Role, Channel: n.Channel}}
	f.EventID = n.EventID
	switch n.Kind {
	case domain.ReportSubmitted{}.Kind():
		f.Event = domain.ReportSubmitted{Regime: k.Regime, Form: k.Form, FormVersion: n.FormVersion, Unit: k.Unit, Date: k.Date,
			Figures: n.Figures, Nil: n.Nil, Note: n.Note, Digest: n.Digest, Due: n.Due.time(), RegimeVersion: n.RegimeVersion,
			Timeliness: n.Timeliness, Findings: n.Findings, Children: n.Children, Missing: n.Missing}
	case domain.ReportCorrected{}.Kind():
		f.Event = domain.ReportCorrected{Regime: k.Regime, Form: k.Form, FormVersion: n.FormVersion, Unit: k.Unit, Date: k.Date,
			Version: n.Version, Replaces: n.Version - 1, Correction: n.Correction, Reason: n.Text, Figures: n.Figures, Nil: n.Nil,
			Note: n.Note, Digest: n.Digest, Findings: n.Findings, Children: n.Children, Missing: n.Missing}
	case domain.ReportReturned{}.Kind():
		f.Event = domain.ReportReturned{Version: n.Version, Digest: n.Digest, Reason: n.Text, ReturnedBy: n.By}
	case domain.ReportSignedOff{}.Kind():
		f.Event = domain.ReportSignedOff{Version: n.Version, Digest: n.Digest, Signer: n.By, Capacity: n.Capacity, Title: n.Title,
			Authority: n.Authority, CheckpointSeen: n.CheckpointSeen}
	case domain.DeadlineBreached{}.Kind():
		f.Event = domain.DeadlineBreached{Regime: k.Regime, Form: k.Form, Unit: k.Unit, Date: k.Date, Duty: n.Duty,
			Breach: n.Breach, Due: n.Due.time(), RegimeVersion: n.RegimeVersion, Version: n.Version}
	case domain.BreachWithdrawn{}.Kind():
		f.Event = domain.BreachWithdrawn{Breach: n.Breach, Reason: n.Text, ReceivedAt: n.Due.time()}
	case domain.BreachExplained{}.Kind():
		f.Event = domain.BreachExplained{Breach: n.Breach, Text: n.Text, ExplainedBy: n.By}
	case domain.BreachExcused{}.Kind():
		f.Event = domain.BreachExcused{Breach: n.Breach, Reason: n.Text, GrantedBy: n.By}
	case domain.BreachUpheld{}.Kind():
		f.Event = domain.BreachUpheld{Breach: n.Breach, Reason: n.Text, UpheldBy: n.By}
	case domain.ReminderSent{}.Kind():
		f.Event = domain.ReminderSent{Regime: k.Regime, Form: k.Form, Unit: k.Unit, Date: k.Date, SentBy: n.By, Via: n.Via, Text: n.Text}
	}
	return f
}

// appendTail writes the entry without the instant it became known, which only the ordered fold can say: everything else is
// written by the decoders, in parallel. An act that names a version has that version's digest, so it is not repeated.
func (n *entry) appendTail(b []byte, order *fieldOrder) ([]byte, error) {
	o := object(append(append(append(b, `"k":"`...), n.Kind...), '"'))
	o.number("r", int64(n.Received))
	o.id("e", n.EventID)
	o.text("a", string(n.Actor))
	o.text("o", string(n.Role))
	o.text("c", string(n.Channel))
	o.word("p", n.Place)
	o.number("v", int64(n.Version))
	o.number("fv", int64(n.FormVersion))
	if len(n.Figures) > 0 {
		o.name("g")
		o = order.appendFigures(o, n.Figures)
	}
	o.flag("z", n.Nil)
	o.text("no", n.Note)
	o.text("h", n.Digest)
	o.text("tl", string(n.Timeliness))
	o.text("co", string(n.Correction))
	if len(n.Findings) > 0 {
		b, err := json.Marshal(n.Findings, json.Deterministic(true))
		if err != nil {
			return nil, fmt.Errorf("projections: findings of %s: %w", n.EventID, err)
		}
		o.raw("fi", b)
	}
	if len(n.Children) > 0 {
		o.name("ch")
		o = appendPins(o, n.Children)
	}
	if len(n.Missing) > 0 {
		o.name("mi")
		o = appendTexts(o, n.Missing)
	}
	o.number("d", int64(n.Due))
	o.number("rv", int64(n.RegimeVersion))
	o.text("b", string(n.Breach))
	o.text("du", string(n.Duty))
	o.text("x", n.Text)
	o.text("by", string(n.By))
	o.text("ca", string(n.Capacity))
	o.text("ti", n.Title)
	o.text("au", n.Authority)
	o.text("cp", n.CheckpointSeen)
	o.text("vi", n.Via)
	o.end()
	return o, nil
}

// appendHistory writes the whole row: what was loaded and what came after; nothing when there is neither.
func (s *slot) appendHistory(b []byte) []byte {
	if len(s.history)+len(s.entries) == 0 {
		return b
	}
	b = append(b, s.history...)
	for i, e := range s.entries {
		if i == 0 && len(s.history) == 0 {
			b = append(b, '[')
		} else {
			b = append(b, ',')
		}
		b = append(b, `{"n":`...)
		b = strconv.AppendInt(b, int64(e.known), 10)
		b = append(b, ',')
		b = append(b, e.tail...)
	}
	return append(b, ']')
}

// fieldOrder is the fields of the figures written last, sorted: those of the next report are mostly the same.
type fieldOrder []string

func (last *fieldOrder) appendFigures(b []byte, f domain.Figures) []byte {
	begin := len(b)
	if len(*last) == len(f) {
		if b, ok := appendFields(b, f, *last); ok {
			return b
		}
	}
	*last = f.Names()
	b, _ = appendFields(b[:begin], f, *last)
	return b
}

// appendFields writes figures in an order of their fields; false when that names one that they have not.
func appendFields(b []byte, f domain.Figures, order []string) ([]byte, bool) {
	b = append(b, '{')
	for i, name := range order {
		value, ok := f[name]
		if !ok {
			return b, false
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = appendText(b, name)
		b = append(b, ':')
		b = strconv.AppendInt(b, value, 10)
	}
	return append(b, '}'), true
}

func appendPins(b []byte, pins []domain.ChildPin) []byte {
	b = append(b, '[')
	for i, p := range pins {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"unit":`...)
		b = appendText(b, string(p.Unit))
		b = append(b, `,"version":`...)
		b = strconv.AppendInt(b, int64(p.Version), 10)
		b = append(b, `,"digest":`...)
		b = appendText(b, p.Digest)
		b = append(b, '}')
	}
	return append(b, ']')
}

// entriesUntil reads the entries of a history row that were known at an instant.
func entriesUntil(row string, known instant) ([]entry, error) {
	if row == "" {
		return nil, nil
	}
	var all []entry
	if err := json.Unmarshal([]byte(row), &all); err != nil {
		return nil, fmt.Errorf("projections: history row: %w", err)
	}
	for i := range all {
		e := &all[i]
		if e.Known > known {
			return all[:i], nil
		}
		e.Revision = uint64(i)
		if e.Recorded == 0 {
			e.Recorded = e.Known
		}
		if e.By == "" {
			e.By = e.Actor
		}
		if e.Digest == "" && e.Version > 0 { // of the version that an act names
			for j := range all[:i] {
				if all[j].isVersion() && all[j].Version == e.Version {
					e.Digest = all[j].Digest
				}
			}
		}
	}
	return all, nil
}

// reportOf folds entries with domain's own fold.
func reportOf(k domain.ReportKey, entries []entry) domain.Report {
	r := domain.Report{Key: k}
	for _, e := range entries {
		r = r.Apply(e.fact(k))
		r.CommandLog = domain.CommandLog{}
	}
	return r
}

// History tells what a unit reported for a day and everything that happened to it, as known at an instant.
func (v *Views) History(ctx context.Context, q HistoryQuery) (History, error) {
	h := History{Unit: q.Unit, Date: q.Date, Determinable: true}
	var err error
	h.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		n, err := r.unitNumber(q.Unit)
		if err != nil {
			return err
		}
		unit := r.unit(n)
		if !unit.Exists() {
			return domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/unit", "unit", string(q.Unit))
		}
		h.UnitName, h.UnitType = r.name(unit, q.Date), unit.On(cmp.Or(q.AsOf, q.Date)).Type
		if _, doubt := r.notDeterminable(q.Regime, q.Unit); doubt {
			h.Determinable = false
		}
		days, err := r.days(q.Regime, q.Date, q.Date)
		if err != nil {
			return err
		}
		if len(days) == 0 {
			return domain.Refuse(domain.NotFound, domain.CodeDayNotOpen, "/date", "date", string(q.Date))
		}
		var rows []row
		err = r.each(rowsQuery{days: days, form: q.Form, unit: q.Unit}, func(x row) (bool, error) {
			rows = append(rows, x)
			return true, nil
		})
		if err != nil {
			return err
		}
		shown, err := r.complianceRows(rows)
		if err != nil {
			return err
		}
		for i, x := range rows {
			entries, err := r.entries(x.id)
			if err != nil {
				return err
			}
			one := ReportHistory{Compliance: shown[i]}
			if one.Versions, err = r.versions(r.key(x), entries); err != nil {
				return err
			}
			if one.Timeline, err = r.timeline(r.key(x), entries); err != nil {
				return err
			}
			h.Reports = append(h.Reports, one)
		}
		return nil
	})
	return h, err
}

// versions lists the versions among entries, each with the sign-offs it got.
func (r *reader) versions(k domain.ReportKey, entries []entry) ([]VersionRow, error) {
	var out []VersionRow
	for _, e := range entries {
		switch {
		case e.isVersion():
			filer, err := r.person(e.Actor)
			if err != nil {
				return nil, err
			}
			if n := len(out); n > 0 {
				out[n-1].SupersededAt = e.Recorded.optional()
				for i := range out[n-1].SignOffs {
					out[n-1].SignOffs[i].Superseded = true
				}
			}
			out = append(out, VersionRow{Slot: slotName(k), Version: e.Version, FormVersion: e.FormVersion, Figures: e.Figures, Nil: e.Nil,
				Note: e.Note, Digest: e.Digest, Correction: e.Correction, Reason: e.Text, Findings: e.Findings, Children: e.Children,
				Missing: e.Missing, Filer: filer, Role: e.Role, Channel: e.Channel, ReceivedAt: e.Received.time(),
				RecordedAt: e.Recorded.time(), EventID: e.EventID.String(), Stream: k.Stream(), Revision: e.Revision, Place: e.Place})
		case e.Kind == domain.ReportSignedOff{}.Kind() && e.Version >= 1 && e.Version <= len(out):
			s, err := r.signOff(e)
			if err != nil {
				return nil, err
			}
			s.Superseded = e.Version < len(out)
			out[e.Version-1].SignOffs = append(out[e.Version-1].SignOffs, s)
		}
	}
	return out, nil
}

func (e entry) isVersion() bool {
	return e.Kind == domain.ReportSubmitted{}.Kind() || e.Kind == domain.ReportCorrected{}.Kind()
}

func (r *reader) signOff(e entry) (SignOffRow, error) {
	signer, err := r.person(e.By)
	return SignOffRow{Signer: signer, Capacity: e.Capacity, Title: e.Title, Authority: e.Authority, Digest: e.Digest,
		At: e.Received.time(), RecordedAt: e.Recorded.time(), CheckpointSeen: e.CheckpointSeen, EventID: e.EventID.String()}, err
}

// timeline lists entries as an inspector reads them.
func (r *reader) timeline(k domain.ReportKey, entries []entry) ([]TimelineRow, error) {
	var out []TimelineRow
	for _, e := range entries {
		actor, err := r.person(e.Actor)
		if err != nil {
			return nil, err
		}
		detail := cmp.Or(string(e.Breach), string(e.Correction), string(e.Timeliness), e.Via)
		out = append(out, TimelineRow{Kind: e.Kind, At: e.Received.time(), RecordedAt: e.Recorded.time(), Actor: actor, Role: e.Role,
			Channel: e.Channel, Capacity: e.Capacity, Version: e.Version, Detail: detail, Reason: e.Text, EventID: e.EventID.String(),
			Stream: k.Stream(), Revision: e.Revision, Place: e.Place})
	}
	return out, nil
}
