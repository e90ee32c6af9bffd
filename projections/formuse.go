package projections

import (
	"cmp"
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/answerable-ledger/answerable/domain"
)

// FormUse is how many obligations of some days have a newest report that was filed under a version of their form.
type FormUse struct {
	Form    domain.FormID `json:"form"`
	Version int           `json:"version"` // 0 while nothing was filed; -1 where the rows are of a program that did not keep it
	Reports int           `json:"reports"`
}

// FormUsePage is an answer.
type FormUsePage struct {
	At
	Uses []FormUse `json:"uses"`
}

// FormUse tells which versions of the forms are in use, so that an old one can be given up. It knows the present only.
func (v *Views) FormUse(ctx context.Context, regime domain.RegimeID, from, to domain.Date) (FormUsePage, error) {
	var page FormUsePage
	var err error
	page.At, err = v.ask(ctx, "", nil, func(r *reader) error {
		if err := r.loadForms(); err != nil {
			return err
		}
		days, err := r.days(regime, from, to)
		if err != nil {
			return err
		}
		count := map[FormUse]int{}
		for _, d := range days {
			query := fmt.Sprintf(`SELECT id >> %d & %d, {obligation.form_version}, COUNT(*) FROM {obligation} WHERE id >= ? AND id < ? GROUP BY 1, 2`, unitBits, 1<<formBits-1)
			err := r.query(query, []any{int64(newSlotID(d.n, 0, 0)), int64(newSlotID(d.n+1, 0, 0))}, func(rows *sql.Rows) error {
				var form int64
				var version sql.NullInt64
				var n int
				err := rows.Scan(&form, &version, &n)
				if !version.Valid {
					version.Int64 = -1
				}
				count[FormUse{Form: r.formByN[form], Version: int(version.Int64)}] += n
				return err
			})
			if err != nil {
				return err
			}
		}
		for u, n := range count {
			u.Reports = n
			page.Uses = append(page.Uses, u)
		}
		slices.SortFunc(page.Uses, func(a, b FormUse) int { return cmp.Or(cmp.Compare(a.Form, b.Form), cmp.Compare(a.Version, b.Version)) })
		return nil
	})
	return page, err
}
