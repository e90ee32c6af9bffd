package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
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

func (a *app) status(s domain.Status) string { return domain.Word("status", string(s), a.lang) }

func (a *app) breach(k domain.BreachKind) string { return domain.Word("breach", string(k), a.lang) }

func (a *app) signOff(s domain.SignOffState) string {
	return domain.Word("sign_off", string(s), a.lang)
}

func (a *app) outcome(o string) string { return domain.Word("outcome", o, a.lang) }

// formTitle is a form by its title, with what it is called in flags.
func (a *app) formTitle(forms *schemas.Registry, id domain.FormID, duty domain.DutyID) string {
	f, ok := forms.CurrentForm(id)
	if !ok {
		return fmt.Sprintf("%s (%s)", id, duty)
	}
	return fmt.Sprintf("%s (%s, %s)", a.say(f.Title.Vi, f.Title.En), id, duty)
}

func unitsText(us []domain.UnitCode) string {
	parts := make([]string, len(us))
	for i, u := range us {
		parts[i] = string(u)
	}
	return strings.Join(parts, ", ")
}
