package web

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
)

const (
	// eventsOnPage is a page of the log. Chosen: what fits into 40 kB compressed, ids and all.
	eventsOnPage = 50
	// maxScanned bounds how many events a page looks at for those that were asked for; the next page goes on behind them.
	maxScanned = 20_000
)

// metaOf is what an event's meta object says that a list shows.
type metaOf struct {
	Role   domain.Role `json:"role"`
	Schema int         `json:"schema"`
}

// wanted is what an event must be to be listed.
type wanted struct {
	category, kind, stream string
	unit                   domain.UnitCode
}

func (w wanted) filter() eventlog.Filter {
	switch {
	case w.stream != "":
		return eventlog.Filter{Prefixes: []string{w.stream}}
	case w.category != "":
		return eventlog.Filter{Prefixes: []string{w.category + "-"}}
	}
	var f eventlog.Filter
	for _, x := range domain.Categories {
		f.Prefixes = append(f.Prefixes, x+"-")
	}
	return f
}

func (w wanted) match(e eventlog.Recorded) bool {
	return (w.stream == "" || e.Stream == w.stream) && (w.kind == "" || e.Kind == w.kind) && (w.category == "" || strings.HasPrefix(e.Stream, w.category+"-")) && (w.unit == "" || unitOf(e.Stream) == w.unit)
}

// unitOf is the unit whose stream it is, "" for a stream of none.
func unitOf(stream string) domain.UnitCode {
	category, rest, _ := strings.Cut(stream, "-")
	parts := strings.Split(rest, ".")
	switch {
	case category == domain.CategoryUnit || category == domain.CategoryOffice:
		return domain.UnitCode(rest)
	case category == domain.CategoryReport && len(parts) == 4:
		return domain.UnitCode(parts[2])
	case category == domain.CategoryResult && len(parts) == 2:
		return domain.UnitCode(parts[1])
	}
	return ""
}

// eventsPage lists the log as it was recorded, in its order.
func (h *Handler) eventsPage(c *call) error {
	f, err := c.developerTabs("events_log")
	if err != nil {
		return err
	}
	log := h.Operate.Events
	if log == nil {
		return errNotFound
	}
	q := c.query
	w := wanted{category: q.Get("category"), kind: q.Get("kind"), stream: strings.TrimSpace(q.Get("stream")), unit: c.unitAsked()}
	if w.category != "" && !slices.Contains(domain.Categories, w.category) {
		return errForm
	}
	p := ui.Events{Frame: f, Categories: domain.Categories, Kinds: schemas.Kinds(), Category: w.category, Kind: w.kind, Unit: w.unit, Stream: w.stream}
	head, err := log.Head(c.ctx)
	if err != nil {
		return err
	}
	text := q.Get("after")
	if dense(log) && w.stream == "" && (text == "" || text == "newest") { // what was recorded last is what people come for
		before := head
		if at := q.Get("before"); at != "" {
			if before, err = eventlog.ParsePosition(at); err != nil {
				return fmt.Errorf("%w: %w", errForm, err)
			}
			p.Newest = f.Here("after", "", "before", "")
		}
		reached, more, err := scanBack(c.ctx, log, before, w, func(e eventlog.Recorded) { p.Rows = append(p.Rows, eventLine(e)) })
		if err != nil {
			return err
		}
		if p.Backward, p.First = true, f.Here("after", "first", "before", ""); more {
			p.Next = f.Here("after", "", "before", reached.String())
			if len(p.Rows) < eventsOnPage {
				p.Scanned = reached.String()
			}
		}
		return c.render(http.StatusOK, p)
	}
	var after eventlog.Position
	if text != "" && text != "first" && text != "newest" {
		if after, err = eventlog.ParsePosition(text); err != nil {
			return fmt.Errorf("%w: %w", errForm, err)
		}
	}
	last, more, err := scan(c.ctx, log, after, head, w, func(e eventlog.Recorded) { p.Rows = append(p.Rows, eventLine(e)) })
	if err != nil {
		return err
	}
	if more {
		p.Next = f.Here("after", last.String())
		if len(p.Rows) < eventsOnPage {
			p.Scanned = last.String()
		}
	}
	if !after.IsZero() {
		p.First = f.Here("after", "first")
	}
	if dense(log) && w.stream == "" {
		p.Newest = f.Here("after", "")
	}
	return c.render(http.StatusOK, p)
}

// dense reports whether a log's positions count its events, so that one can go back from any of them.
func dense(log Record) bool {
	d, ok := log.(interface{ Dense() bool })
	return ok && d.Dense()
}

// scanBack goes from the event at a position towards the beginning, in steps, until a page is full, enough was looked at, or
// the beginning is there. reached is the last event that was not looked at.
func scanBack(ctx context.Context, log Record, before eventlog.Position, w wanted, each func(eventlog.Recorded)) (reached eventlog.Position, more bool, err error) {
	shown, step := 0, uint64(eventsOnPage)
	for high := before.Commit; ; step = min(4*step, 4096) {
		low := high - min(high, step)
		var matching []eventlog.Recorded
		// Everything is followed, since what is rare would be looked for far behind the step.
		for b, err := range log.Follow(ctx, place(low), wanted{}.filter(), eventlog.FollowOptions{BatchSize: 4 * eventsOnPage}) {
			if err != nil {
				return place(high), false, fmt.Errorf("web: list events before %s: %w", place(high+1), err)
			}
			over := b.CaughtUp
			for _, e := range b.Events {
				if e.Position.Commit > high {
					over = true
					break
				}
				if w.match(e) {
					matching = append(matching, e)
				}
			}
			if over || len(b.Events) > 0 && b.Events[len(b.Events)-1].Position.Commit == high {
				break
			}
		}
		for _, e := range slices.Backward(matching) {
			if shown == eventsOnPage {
				return e.Position, true, nil
			}
			shown++
			each(e)
		}
		switch high = low; {
		case high == 0:
			return eventlog.Position{}, false, nil
		case shown == eventsOnPage || before.Commit-high >= maxScanned:
			return place(high), true, nil
		}
	}
}

// place is a position of a dense log.
func place(n uint64) eventlog.Position { return eventlog.Position{Commit: n, Prepare: n} }

// scan goes through the log until a page is full, enough was looked at, or nothing more was there. last is how far it came.
func scan(ctx context.Context, log Record, after, head eventlog.Position, w wanted, each func(eventlog.Recorded)) (last eventlog.Position, more bool, err error) {
	last = after
	seen, shown := 0, 0
	for b, err := range log.Follow(ctx, after, w.filter(), eventlog.FollowOptions{BatchSize: 4 * eventsOnPage}) {
		if err != nil {
			return last, false, fmt.Errorf("web: list events after %s: %w", after, err)
		}
		for _, e := range b.Events {
			if shown == eventsOnPage || seen == maxScanned {
				return last, true, nil
			}
			last = e.Position
			if seen++; w.match(e) {
				shown++
				each(e)
			}
		}
		if b.CaughtUp || last.Compare(head) >= 0 { // what comes meanwhile is the next visit's
			break
		}
	}
	return last, false, nil
}

func eventLine(e eventlog.Recorded) ui.EventLine {
	line := ui.EventLine{Position: e.Position.String(), Stream: e.Stream, Revision: e.Revision, Kind: e.Kind, RecordedAt: e.RecordedAt, Address: eventURL(e.Stream, e.Revision)}
	_, line.Actor = schemas.Header(e.Meta)
	var m metaOf
	if json.Unmarshal(e.Meta, &m) == nil { // an event that nobody can read is listed all the same
		line.Role = m.Role
	}
	return line
}

func eventURL(stream string, revision uint64) string {
	return "/events/" + url.PathEscape(stream) + "/" + strconv.FormatUint(revision, 10)
}

// recorded finds the event of the path.
func (h *Handler) recorded(c *call) (eventlog.Recorded, error) {
	stream := c.path("stream")
	revision, err := strconv.ParseUint(c.path("revision"), 10, 64)
	if h.Operate.Events == nil || err != nil || eventlog.CheckStream(stream) != nil || !ours(stream) {
		return eventlog.Recorded{}, errNotFound
	}
	for e, err := range h.Operate.Events.ReadStream(c.ctx, stream, revision) {
		if err != nil {
			return e, fmt.Errorf("web: read revision %d of %s: %w", revision, stream, err)
		}
		if e.Revision == revision {
			return e, nil
		}
		break
	}
	return eventlog.Recorded{}, errNotFound
}

// ours reports whether a stream is the ledger's: others may lie in the same store.
func ours(stream string) bool {
	category, _, ok := strings.Cut(stream, "-")
	return ok && slices.Contains(domain.Categories, category)
}

// eventPage shows one event, as it was recorded and as this program reads it.
func (h *Handler) eventPage(c *call) error {
	f, err := c.developerTabs("event")
	if err != nil {
		return err
	}
	e, err := h.recorded(c)
	if err != nil {
		return err
	}
	f.Title = e.Kind
	p := ui.Event{Frame: f, EventLine: eventLine(e), ID: e.ID.String(), Data: indented(e.Data), Meta: indented(e.Meta), Size: len(e.Data) + len(e.Meta)}
	p.ReceivedAt, _ = schemas.Header(e.Meta)
	var m metaOf
	if json.Unmarshal(e.Meta, &m) == nil {
		p.Schema = m.Schema
	}
	p.Current, _ = schemas.CurrentVersion(e.Kind)
	h.upcast(e, &p)
	if key, ok := domain.ParseReportStream(e.Stream); ok {
		p.Report = f.ReportLink(key.Unit, key.Date) + "&" + url.Values{"regime": {string(key.Regime)}}.Encode()
		if !strings.Contains(f.ReportLink(key.Unit, key.Date), "?") {
			p.Report = f.ReportLink(key.Unit, key.Date) + "?" + url.Values{"regime": {string(key.Regime)}}.Encode()
		}
	}
	if h.Receipts {
		p.Receipt = "/v1/receipts/" + e.ID.String()
	}
	if h.Operate.CloudEvent != nil {
		p.CloudEvent = eventURL(e.Stream, e.Revision) + "/cloudevent"
	}
	if err := h.neighbours(c, e, &p); err != nil {
		return err
	}
	return c.render(http.StatusOK, p)
}

// upcast is the event in the words of the present schema: what the views and the commands see of it.
func (h *Handler) upcast(e eventlog.Recorded, p *ui.Event) {
	fact, err := schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt, Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
	if err != nil {
		p.Fault = err.Error()
		return
	}
	if p.Schema == p.Current {
		return
	}
	now, err := schemas.Encode(fact)
	if err != nil {
		p.Fault = err.Error()
		return
	}
	p.Upcast = indented(now.Data)
}

// indented is a JSON text for people; what is none is shown as it is.
func indented(text []byte) string {
	v := jsontext.Value(slices.Clone(text))
	if err := v.Indent(jsontext.WithIndent("  ")); err != nil {
		return strings.ToValidUTF8(string(text), "\ufffd")
	}
	return string(v)
}

// neighbours finds the events before and after, in the stream and in the log, and how a program asks for this one.
func (h *Handler) neighbours(c *call, e eventlog.Recorded, p *ui.Event) error {
	log := h.Operate.Events
	if e.Revision > 0 {
		p.Before = eventURL(e.Stream, e.Revision-1)
	}
	for next, err := range log.ReadStream(c.ctx, e.Stream, e.Revision+1) {
		if err != nil {
			return err
		}
		p.After = eventURL(next.Stream, next.Revision)
		break
	}
	one := func(after eventlog.Position) (link string, err error) {
		for b, err := range log.Follow(c.ctx, after, wanted{}.filter(), eventlog.FollowOptions{BatchSize: 1}) {
			if err != nil {
				return "", err
			}
			if len(b.Events) > 0 {
				return eventURL(b.Events[0].Stream, b.Events[0].Revision), nil
			}
			break
		}
		return "", nil
	}
	var err error
	if p.LogAfter, err = one(e.Position); err != nil {
		return err
	}
	after := eventlog.Position{}
	if d, ok := log.(interface{ Dense() bool }); ok && d.Dense() && e.Position.Commit > 1 {
		n := e.Position.Commit
		if p.LogBefore, err = one(eventlog.Position{Commit: n - 2, Prepare: n - 2}); err != nil {
			return err
		}
		after = eventlog.Position{Commit: n - 1, Prepare: n - 1}
	}
	q := url.Values{"stream": {e.Stream}, "limit": {"1"}}
	if after.IsZero() {
		q.Del("limit")
	} else {
		q.Set("after", after.String())
	}
	p.Curl = "curl -H \"Authorization: Bearer $ANSWERABLE_TOKEN\" '" + h.Operate.Site + "/v1/events?" + q.Encode() + "'"
	return nil
}

// cloudEvent is the event as the API gives it to programs.
func (h *Handler) cloudEvent(c *call) error {
	e, err := h.recorded(c)
	if err != nil {
		return err
	}
	if h.Operate.CloudEvent == nil {
		return errNotFound
	}
	b, err := h.Operate.CloudEvent(e)
	if err != nil {
		return err
	}
	c.w.Header().Set("Content-Disposition", fmt.Sprintf("attachment; filename=%q", e.ID.String()+".cloudevent.json"))
	c.write(http.StatusOK, "application/cloudevents+json; charset=utf-8", append(b, '\n'))
	return nil
}
