package api

import (
	"bytes"
	"fmt"
	"net/http"

	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

const zipType = "application/zip"

func (h *Handler) bundleRoutes() []*route {
	return []*route{
		{id: "evidence-bundle", method: http.MethodGet, path: "/v1/regimes/{regime}/evidence/{unit}", tag: "evidence", mediaTypes: []string{zipType}, export: true, headers: []string{"Content-Disposition"},
			summary: "Everything recorded about a unit's duties of some days, with what proves it: a zip that notary verifies without a network",
			params:  []param{date("from", "First day.").must(), date("to", "Last day; at most 92 days.").must(), paramAt}, handle: h.evidenceBundle},
	}
}

func (h *Handler) evidenceBundle(c *call) error {
	if h.Evidence == nil {
		return refuse(http.StatusNotFound, codeNoEvidence)
	}
	if err := c.waitForViews(); err != nil {
		return err
	}
	q := documents.BundleQuery{Regime: domain.RegimeID(c.path("regime")), Unit: domain.UnitCode(c.path("unit")), From: c.query.date("from"), To: c.query.date("to"),
		Lang: acceptLanguage(c.r.Header.Get("Accept-Language")), MadeAt: c.receivedAt}
	s := documents.Sources{Streams: h.Log, Answers: h.Views, Evidence: h.Evidence, Decode: func(r eventlog.Recorded) (domain.Fact, error) {
		return schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt, Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
	}}
	for _, f := range h.Registry.Forms() {
		s.Forms = append(s.Forms, f.ID)
	}
	var b bytes.Buffer // whole before it is sent: half a bundle is none
	if err := documents.WriteBundle(c.ctx, &b, s, q); err != nil {
		return err
	}
	c.x.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("evidence-%s-%s-%s.zip", q.Unit, q.From, q.To)))
	c.x.write(http.StatusOK, zipType, b.Bytes())
	return nil
}
