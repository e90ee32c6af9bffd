package projections

import (
	"database/sql"

	"github.com/answerable-ledger/answerable/domain"
)

// What a question names must be there. Whoever mistypes a code would else read "no breaches" and believe it; and an
// answer about nothing looks like one about somebody without fault. What is there and was not known yet at the instant
// asked about gives an empty answer, which is then the truth.

// knownRegime refuses a regime that no event is of; "" is every regime.
func (r *reader) knownRegime(id domain.RegimeID) error {
	if id == "" {
		return nil
	}
	if r.g.fixed.isRegime(id) {
		return nil
	}
	there, err := r.there(`SELECT 1 FROM {regime} WHERE regime = ?`, string(id))
	if there {
		r.g.fixed.keepRegime(id)
	}
	if err == nil && !there {
		err = domain.Refuse(domain.NotFound, domain.CodeRegimeUnknown, "/regime", "regime", string(id))
	}
	return err
}

// knownUnit is the number of a unit, 0 for "".
func (r *reader) knownUnit(pointer string, code domain.UnitCode) (int64, error) {
	n, err := r.unitNumber(code)
	if err == nil && n == 0 && code != "" {
		err = domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, pointer, "unit", string(code))
	}
	return n, err
}

// knownForm is the number of a form, 0 for "" and for one that this program knows and that was never owed.
func (r *reader) knownForm(f domain.FormID) (int64, error) {
	if f == "" {
		return 0, nil
	}
	if err := r.loadForms(); err != nil {
		return 0, err
	}
	n := r.forms[f]
	if n == 0 {
		if _, ok := r.v.config.Registry.CurrentForm(f); !ok {
			return 0, domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", string(f))
		}
	}
	return n, nil
}

// knownPerson refuses a person who was never registered; "" is anybody.
func (r *reader) knownPerson(id domain.PersonID) error {
	if id == "" {
		return nil
	}
	there, err := r.there(`SELECT 1 FROM {person} WHERE person = ?`, string(id))
	if err == nil && !there {
		err = domain.Refuse(domain.NotFound, domain.CodePersonUnknown, "/person", "person", string(id))
	}
	return err
}

func (r *reader) there(query, id string) (found bool, err error) {
	return found, r.query(query, []any{id}, func(rows *sql.Rows) error {
		found = true
		var one int
		return rows.Scan(&one)
	})
}
