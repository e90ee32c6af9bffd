package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"rsc.io/qr"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/transparency/receipts"
)

// receipt is what proves an event now, for a page; nil where no evidence is made.
func (h *Handler) receipt(c *call, event string) (*ui.Receipt, error) {
	if h.Evidence == nil {
		return nil, nil
	}
	id, err := uuid.Parse(event)
	if err != nil || id.String() != event {
		return nil, errNotFound
	}
	r, err := h.Evidence.Receipt(c.ctx, id)
	if err != nil {
		return nil, fmt.Errorf("web: receipt of %s: %w", event, err)
	}
	out := &ui.Receipt{Event: event, Level: r.Level.String(), Index: r.Index, Size: r.Size, Text: string(r.Bytes)}
	if len(r.Bytes) <= receipts.MaxQRBytes {
		if out.Code, err = code(string(r.Bytes)); err != nil {
			return nil, fmt.Errorf("web: code of the receipt of %s: %w", event, err)
		}
	}
	return out, nil
}

// quiet is the white border that readers of codes need, in modules (ISO/IEC 18004).
const quiet = 4

// code draws a QR code as strokes of a path, a module high: it prints at any size, and a page holds it without an image.
func code(text string) (*ui.Code, error) {
	q, err := qr.Encode(text, qr.L)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	for y := range q.Size {
		at := -1 // where the pen stands in this row
		for x := 0; x < q.Size; x++ {
			if !q.Black(x, y) {
				continue
			}
			from := x
			for x < q.Size && q.Black(x, y) {
				x++
			}
			if at < 0 {
				fmt.Fprintf(&b, "M%d %d.5h%d", from+quiet, y+quiet, x-from)
			} else {
				fmt.Fprintf(&b, "m%d 0h%d", from-at, x-from)
			}
			at = x
		}
	}
	return &ui.Code{Size: q.Size + 2*quiet, Path: b.String()}, nil
}

// proofPage shows what proves an event, for the browser to check and for whoever carries it away.
func (h *Handler) proofPage(c *call) error {
	f, err := c.frame("proof")
	if err != nil {
		return err
	}
	r, err := h.receipt(c, c.path("event"))
	if err != nil || r == nil {
		return errNotFound
	}
	return c.render(http.StatusOK, ui.Proof{Frame: f, Receipt: *r})
}

// bundle is everything recorded about a unit's duties of some days, with what proves it.
func (h *Handler) bundle(c *call) error {
	if h.Evidence == nil || h.Operate.Events == nil {
		return errNotFound
	}
	f := c.bare("bundle")
	r, err := c.regime(&f)
	if err != nil {
		return err
	}
	from, to, err := c.span(r)
	if err != nil {
		return err
	}
	q := documents.BundleQuery{Regime: r.ID, Unit: c.unitAsked(), From: from, To: to, Lang: c.language(), MadeAt: c.at}
	s := documents.Sources{Streams: h.Operate.Events, Answers: h.Views, Evidence: h.Evidence, Decode: func(r eventlog.Recorded) (domain.Fact, error) {
		return schemas.Decode(schemas.Source{Stream: r.Stream, Revision: r.Revision, RecordedAt: r.RecordedAt, Stored: schemas.Stored{ID: r.ID, Kind: r.Kind, Data: r.Data, Meta: r.Meta}})
	}}
	for _, form := range h.Registry.Forms() {
		s.Forms = append(s.Forms, form.ID)
	}
	var b bytes.Buffer // whole before it is sent: half a bundle is none
	end := h.operating.jobs.begin(ui.Job{Kind: "export", Who: c.person.ID, What: fmt.Sprintf("%s %s %s – %s", q.Regime, q.Unit, q.From, q.To), Begun: c.at})
	err = documents.WriteBundle(c.ctx, &b, s, q)
	end(outcome(err, nil), h.Clock())
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", fmt.Sprintf("evidence-%s-%s-%s.zip", q.Unit, q.From, q.To)))
	c.write(http.StatusOK, "application/zip", b.Bytes())
	return nil
}
