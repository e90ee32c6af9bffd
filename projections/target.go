package projections

import (
	"context"
	"database/sql"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/domain"
)

// targetRow is one judged target. It never changes: a target is judged once (rule 4).
type targetRow struct {
	known    instant
	recorded instant
	judged   domain.TargetJudged
}

func (w *set) applyTarget(s *step) error {
	e, ok := s.fact.Event.(domain.TargetJudged)
	if !ok || domain.ResultStream(e.Regime, e.Unit) != s.recorded.Stream {
		return errStrayKind
	}
	w.targets = append(w.targets, targetRow{w.known, at(s.fact.RecordedAt), e})
	return nil
}

// Targets lists judged targets and who was head at the deadline. Reaching the result is apart from keeping the regime.
func (v *Views) Targets(ctx context.Context, q TargetQuery) (TargetPage, error) {
	var page TargetPage
	var err error
	page.At, err = v.ask(ctx, q.AsOf, q.KnownAt, func(r *reader) error {
		if err := r.knownRegime(q.Regime); err != nil {
			return err
		}
		if _, err := r.knownUnit("/unit", q.Unit); err != nil {
			return err
		}
		where, args := ` WHERE known <= ?`, []any{int64(r.known)}
		for _, c := range []struct{ column, value string }{{"regime", string(q.Regime)}, {"target", q.Target}, {"unit", string(q.Unit)}, {"date", string(q.Date)}} {
			if c.value != "" {
				where, args = where+` AND `+c.column+` = ?`, append(args, c.value)
			}
		}
		var found []targetRow
		err := r.query(`SELECT recorded, doc FROM {target}`+where+` ORDER BY regime, target, date, unit`, args, func(rows *sql.Rows) error {
			var t targetRow
			var doc string
			if err := rows.Scan(&t.recorded, &doc); err != nil {
				return err
			}
			found = append(found, t)
			return json.Unmarshal([]byte(doc), &found[len(found)-1].judged)
		})
		if err != nil {
			return err
		}
		for _, t := range found {
			out := TargetRow{TargetJudged: t.judged, JudgedAt: t.recorded.time()}
			if out.UnitName, err = r.nameOf(t.judged.Unit, t.judged.Date); err != nil {
				return err
			}
			k := domain.ReportKey{Regime: t.judged.Regime, Form: t.judged.Form, Unit: t.judged.Unit, Date: t.judged.Date}
			x, ok, err := r.one(k)
			if err != nil {
				return err
			}
			if ok {
				if err := r.loadUnits(x.parent); err != nil {
					return err
				}
				if out.Head, err = r.headAt(k.Unit, r.unit(x.parent).code, x.state.Due, headAt(x.state.Due.time())); err != nil {
					return err
				}
			}
			if t.judged.Met {
				page.Met++
			} else {
				page.Missed++
			}
			page.Rows = append(page.Rows, out)
		}
		return nil
	})
	return page, err
}
