package api

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
)

type registerUnitBody struct {
	Level       domain.Level    `json:"level" enum:"province,district,commune,body"`
	Type        string          `json:"type"`
	Name        string          `json:"name"`
	NameEn      string          `json:"name_en,omitempty" required:"false"`
	Parent      domain.UnitCode `json:"parent,omitempty" required:"false"`
	EffectiveOn domain.Date     `json:"effective_on"`
	Source      string          `json:"source,omitempty" required:"false"`
	Synthetic   bool            `json:"synthetic,omitempty" required:"false"`
}

// changeUnitBody is one change from a day on; which of the others is needed depends on change.
type changeUnitBody struct {
	Change      string          `json:"change" enum:"renamed,reclassified,moved,merged,dissolved"`
	EffectiveOn domain.Date     `json:"effective_on"`
	Basis       string          `json:"basis" doc:"The decision it rests on."`
	Name        string          `json:"name,omitempty" required:"false" doc:"For renamed and reclassified."`
	NameEn      string          `json:"name_en,omitempty" required:"false" doc:"For renamed."`
	Type        string          `json:"type,omitempty" required:"false" doc:"For reclassified."`
	Parent      domain.UnitCode `json:"parent,omitempty" required:"false" doc:"For moved."`
	Into        domain.UnitCode `json:"into,omitempty" required:"false" doc:"For merged."`
}

func (h *Handler) unitRoutes() []*route {
	unit := func(c *call) domain.UnitCode { return domain.UnitCode(c.path("unit")) }
	return []*route{
		{id: "register-unit", method: http.MethodPost, path: "/v1/units/{unit}", tag: "units", summary: "Register a unit under its official code",
			body: registerUnitBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b registerUnitBody) (commands.Result, error) {
				if b.Parent != "" {
					if err := h.knownUnit(c, "/parent", b.Parent); err != nil {
						return commands.Result{}, err
					}
				}
				return h.Ledger.RegisterUnit(c.ctx, cmd, domain.UnitRegistered{Unit: unit(c), Level: b.Level, Type: b.Type, Name: b.Name, NameEn: b.NameEn,
					Parent: b.Parent, EffectiveOn: b.EffectiveOn, Source: b.Source, Synthetic: b.Synthetic})
			})},
		{id: "change-unit", method: http.MethodPost, path: "/v1/units/{unit}/changes", tag: "units", summary: "Rename, reclassify, move, merge or dissolve a unit from a day on",
			body: changeUnitBody{}, answer: Recorded{}, status: http.StatusCreated, keyed: keyNeeded,
			handle: commandRoute(func(c *call, cmd commands.Command, b changeUnitBody) (commands.Result, error) {
				e, err := h.unitChange(c, unit(c), b)
				if err != nil {
					return commands.Result{}, err
				}
				return h.Ledger.ChangeUnit(c.ctx, cmd, unit(c), e)
			})},
		{id: "list-units", method: http.MethodGet, path: "/v1/units", tag: "units", summary: "Units, as of a day", answer: projections.UnitPage{},
			params: []param{{name: "search", doc: "In codes and all names a unit had, without marks and case."}, {name: "level", kind: paramChoice, choices: levels(), doc: "One level."},
				id("parent", "The units reporting through this one."), unitsAsOf(), paramKnownAt, paramAt, paramCursor, paramPage}, handle: func(c *call) error {
				after, err := c.readyQuery()
				if err != nil {
					return err
				}
				page, err := h.Views.Units(c.ctx, projections.UnitQuery{AsOf: c.query.date("as_of"), Search: c.query.text("search"), Level: domain.Level(c.query.text("level")),
					Parent: domain.UnitCode(c.query.text("parent")), KnownAt: c.query.instant("known_at"), After: after, Limit: c.query.limit()})
				if err != nil {
					return err
				}
				page.Next = c.cursorOf(page.Next)
				return c.page(page, page.Next)
			}},
		{id: "get-unit", method: http.MethodGet, path: "/v1/units/{unit}", tag: "units", summary: "A unit, as of a day", answer: projections.UnitPage{},
			params: []param{unitsAsOf(), paramKnownAt, paramAt}, handle: func(c *call) error {
				if err := c.waitForViews(); err != nil {
					return err
				}
				page, err := h.Views.Units(c.ctx, projections.UnitQuery{AsOf: c.query.date("as_of"), Unit: unit(c), KnownAt: c.query.instant("known_at")})
				if err == nil && len(page.Rows) == 0 {
					err = domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "/unit", "unit", string(unit(c)))
				}
				if err != nil {
					return err
				}
				return c.answer(http.StatusOK, page)
			}},
	}
}

func (h *Handler) unitChange(c *call, u domain.UnitCode, b changeUnitBody) (domain.Event, error) {
	switch b.Change {
	case "renamed":
		return domain.UnitRenamed{Unit: u, Name: b.Name, NameEn: b.NameEn, EffectiveOn: b.EffectiveOn, Basis: b.Basis}, nil
	case "reclassified":
		return domain.UnitReclassified{Unit: u, Type: b.Type, Name: b.Name, EffectiveOn: b.EffectiveOn, Basis: b.Basis}, nil
	case "moved":
		return domain.UnitMoved{Unit: u, Parent: b.Parent, EffectiveOn: b.EffectiveOn, Basis: b.Basis}, h.knownUnit(c, "/parent", b.Parent)
	case "merged":
		return domain.UnitMerged{Unit: u, Into: b.Into, EffectiveOn: b.EffectiveOn, Basis: b.Basis}, h.knownUnit(c, "/into", b.Into)
	case "dissolved":
		return domain.UnitDissolved{Unit: u, EffectiveOn: b.EffectiveOn, Basis: b.Basis}, nil
	}
	return nil, domain.Refuse(domain.Invalid, domain.CodeChoice, "/change", "value", b.Change)
}

// knownUnit refuses a code in a body that names no unit.
func (h *Handler) knownUnit(c *call, pointer string, u domain.UnitCode) error {
	if !domain.ValidID(string(u)) {
		return domain.Refuse(domain.Invalid, domain.CodeID, pointer, "value", string(u))
	}
	_, err := h.Ledger.Unit(c.ctx, u)
	if errors.Is(err, domain.Refuse(domain.NotFound, domain.CodeUnitUnknown, "")) {
		return domain.Refuse(domain.Invalid, domain.CodeUnitUnknown, pointer, "unit", string(u))
	}
	return err
}

func (h *Handler) knownUnits(c *call, pointer string, units []domain.UnitCode) error {
	for i, u := range units {
		if err := h.knownUnit(c, pointer+"/"+strconv.Itoa(i), u); err != nil {
			return err
		}
	}
	return nil
}

func checkDate(pointer string, d domain.Date) error {
	if _, err := domain.ParseDate(string(d)); err != nil {
		return domain.Refuse(domain.Invalid, domain.CodeDate, pointer, "value", string(d))
	}
	return nil
}

func unitsAsOf() param {
	return paramAsOf.saying("The units there were on this day, each as it was then. Default: every unit there ever was, as it is described last.")
}

func levels() []string {
	return []string{string(domain.LevelProvince), string(domain.LevelDistrict), string(domain.LevelCommune), string(domain.LevelBody)}
}
