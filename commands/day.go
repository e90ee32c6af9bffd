package commands

import (
	"context"
	"fmt"
	"strconv"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// OpenDay records what is owed on a day, by the rules in force and the units that exist.
func (l *Ledger) OpenDay(ctx context.Context, c Command, id domain.RegimeID, date domain.Date) (Result, error) {
	r, err := l.Regime(ctx, id)
	if err != nil {
		return Result{}, err
	}
	units, err := l.Units(ctx)
	if err != nil {
		return Result{}, err
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if !by.Has(domain.RoleDepartment, "") && !by.Has(domain.RoleSystem, "") {
		return Result{}, domain.Refuse(domain.Forbidden, domain.CodeRoleMissing, "", "role", string(domain.RoleDepartment), "unit", "")
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleDepartment)
	}
	return change(ctx, l, c, domain.DayStream(id, date), l.loadDay, func(d domain.Day) ([]domain.Event, error) {
		return d.Open(r, date, units, l.now())
	})
}

// tooLarge refuses an event that has more bytes than one may have in every store. Of a day it says how many obligations
// would fit, and which duty has the most: whoever wrote the rules can do something about that.
func tooLarge(e domain.Event, size int) error {
	opened, ok := e.(domain.DayOpened)
	if !ok {
		return domain.Refuse(domain.Invalid, domain.CodeEventTooLarge, "", "kind", e.Kind(), "size", strconv.Itoa(size), "max", strconv.Itoa(eventlog.MaxEventBytes))
	}
	all, most, of := 0, 0, 0
	for i, duty := range opened.Duties {
		n := 0
		for _, g := range duty.Groups {
			n += len(g.Units)
		}
		if all += n; n > most {
			most, of = n, i
		}
	}
	return domain.Refuse(domain.Invalid, domain.CodeDayTooLarge, fmt.Sprintf("/duties/%d", of), "date", string(opened.Date), "count", strconv.Itoa(all),
		"max", strconv.Itoa(int(int64(all)*eventlog.MaxEventBytes/int64(size))), "duty", string(opened.Duties[of].Duty), "units", strconv.Itoa(most))
}

// IssueReport records the synthesis that is sent up: the newest version of every report of the day as it stands now.
// Forms that are consolidations are left out, since what they sum is in it already.
func (l *Ledger) IssueReport(ctx context.Context, c Command, id domain.RegimeID, date domain.Date, to, note string) (Result, error) {
	r, err := l.Regime(ctx, id)
	if err != nil {
		return Result{}, err
	}
	day, err := l.Day(ctx, id, date)
	if err != nil {
		return Result{}, err
	}
	by, err := l.actor(ctx, c.Actor)
	if err != nil {
		return Result{}, err
	}
	if c.Role == "" {
		c.Role = by.RoleFor("", domain.RoleDepartment)
	}
	parts, err := l.synthesis(ctx, r, day)
	if err != nil {
		return Result{}, err
	}
	return change(ctx, l, c, domain.DayStream(id, date), l.loadDay, func(d domain.Day) ([]domain.Event, error) {
		return d.Issue(to, note, parts, by)
	})
}

func (l *Ledger) synthesis(ctx context.Context, r domain.Regime, day domain.Day) ([]domain.IssuedTotal, error) {
	if day.Opened == nil {
		return nil, nil // the domain refuses
	}
	var parts []domain.IssuedTotal
	for _, duty := range day.Opened.Duties {
		if duty.Consolidates != "" {
			continue
		}
		form, ok := l.registry.Form(duty.Form, duty.FormVersion)
		if !ok {
			return nil, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(duty.Form))
		}
		var children []domain.Child
		expected := 0
		for _, g := range duty.Groups {
			for _, u := range g.Units {
				key := domain.ReportKey{Regime: r.ID, Form: duty.Form, Unit: u, Date: day.Opened.Date}
				o, err := day.Obligation(r, key)
				if err != nil {
					return nil, err
				}
				report, err := l.Report(ctx, key)
				if err != nil {
					return nil, err
				}
				if o.Exempt == nil {
					expected++
				}
				children = append(children, domain.Child{Unit: u, Form: form, Report: report, Exempt: o.Exempt != nil})
			}
		}
		figures, pins, missing, err := domain.Consolidate(form, nil, children)
		if err != nil {
			return nil, err
		}
		parts = append(parts, domain.NewIssuedTotal(form, figures, expected, pins, missing))
	}
	return parts, nil
}
