package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

// queryFlags are what every question has.
type queryFlags struct {
	dataFlag
	Regime  string `help:"Regime asked about." default:"bluezone" placeholder:"ID"`
	KnownAt string `help:"Answer as known at this instant (RFC 3339); without it as known now." placeholder:"TIME"`
	AsOf    string `help:"Day whose names and tree are shown; without it the day asked about." placeholder:"YYYY-MM-DD"`
	JSON    bool   `name:"json" help:"Print one JSON object."`
}

// ask opens the views of the directory for f.
func (q queryFlags) ask(a *app, f func(*projections.Views, *time.Time) error) error {
	if _, err := date("as-of", q.AsOf); err != nil {
		return err
	}
	known, err := q.knownAt(a.now())
	if err != nil {
		return err
	}
	dir, err := q.dir(a)
	if err != nil {
		return err
	}
	views, err := a.openViews(a.ctx, dir)
	if err != nil {
		return err
	}
	return errors.Join(f(views, known), views.Close())
}

func (q queryFlags) knownAt(now time.Time) (*time.Time, error) {
	if q.KnownAt == "" {
		return nil, nil
	}
	t, err := time.Parse(time.RFC3339Nano, q.KnownAt)
	if err != nil {
		return nil, usagef("--known-at %q is no instant (an example is 2021-02-09T17:00:00+07:00)", q.KnownAt)
	}
	if t.After(now) {
		return nil, usagef("--known-at %s lies in the future; what will be known then is not known yet", q.KnownAt)
	}
	t = t.UTC()
	return &t, nil
}

// date reads a date flag; "" is allowed.
func date(flag, value string) (domain.Date, error) {
	if value == "" {
		return "", nil
	}
	d, err := domain.ParseDate(value)
	if err != nil {
		return "", usagef("--%s %q is no date (an example is 2021-02-08)", flag, value)
	}
	return d, nil
}

// header says of which knowledge an answer is.
func (a *app) header(what string, at projections.At) {
	known := a.say("mọi điều đã ghi", "everything recorded")
	if at.KnownAt != nil {
		known = local(*at.KnownAt)
	}
	a.printf("%s\nnhư đã biết: %s (đến sự kiện %s)\n", "%s\nas known at: %s (up to event %s)\n", what, known, at.Place)
	if at.AsOf != "" {
		a.printf("tên và cây đơn vị: theo ngày %s\n", "names and tree: as of %s\n", at.AsOf)
	}
}

// person is a person in words.
func (a *app) person(p projections.PersonRef) string {
	if p.Name == "" {
		return string(p.ID)
	}
	if p.Synthetic {
		return p.Name + a.say(" (giả lập)", " (synthetic)")
	}
	return p.Name
}

// head is who held an office, in words; a vacancy names the level above.
func (a *app) head(h projections.HeadRef) string {
	if !h.Vacant && h.Person != nil {
		return fmt.Sprintf("%s, %s", a.person(*h.Person), h.Title)
	}
	s := a.say("KHUYẾT", "VACANT")
	if h.Above != nil {
		s += a.say("; cấp trên: ", "; above: ") + a.head(*h.Above)
	}
	return s
}

func (a *app) capacity(s projections.SignOffRow) string {
	out := fmt.Sprintf("%s %s, %s", s.Capacity.Mark(), s.Title, a.person(s.Signer))
	if s.Authority != "" {
		out += " [" + s.Authority + "]"
	}
	return out
}

func (a *app) status(s domain.Status) string {
	return map[domain.Status]string{
		domain.StatusDue: a.say("chưa đến hạn", "due"), domain.StatusOnTime: a.say("đúng hạn", "on time"), domain.StatusLate: a.say("trễ hạn", "late"),
		domain.StatusMissing: a.say("không báo cáo", "missing"), domain.StatusExempt: a.say("được miễn", "exempt"),
	}[s]
}

func (a *app) breach(k domain.BreachKind) string {
	return map[domain.BreachKind]string{domain.BreachMissing: a.say("không báo cáo", "missing"), domain.BreachLate: a.say("trễ hạn", "late"),
		domain.BreachUnsigned: a.say("chưa ký duyệt", "unsigned")}[k]
}

func (a *app) signOff(s domain.SignOffState) string {
	return map[domain.SignOffState]string{domain.SignOffNone: "-", domain.SignOffWaiting: a.say("chờ ký", "waits for a signature"),
		domain.SignOffSigned: a.say("đã ký", "signed"), domain.SignOffSuperseded: a.say("chữ ký của bản cũ", "signed in an older version only"),
		domain.SignOffReturned: a.say("trả lại", "returned")}[s]
}

func (a *app) outcome(o string) string {
	return map[string]string{"standing": a.say("còn hiệu lực", "stands"), "withdrawn": a.say("đã rút", "withdrawn"), "explained": a.say("đã giải trình", "explained"),
		"excused": a.say("được chấp nhận lý do", "excused"), "upheld": a.say("giữ nguyên", "upheld")}[o]
}

func figuresText(f domain.Figures) string {
	var parts []string
	for _, n := range f.Names() {
		parts = append(parts, fmt.Sprintf("%s %d", n, f[n]))
	}
	return strings.Join(parts, ", ")
}

func unitsText(us []domain.UnitCode) string {
	parts := make([]string, len(us))
	for i, u := range us {
		parts[i] = string(u)
	}
	return strings.Join(parts, ", ")
}
