package api

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

const (
	// EventSource is the CloudEvents source of every event of a ledger.
	EventSource = "https://answerable.example/ledger"
	// eventTypePrefix stands before the kind and the schema version in a CloudEvents type.
	eventTypePrefix = "example.answerable."
	schemaBase      = "https://answerable.example/schemas/"
	eventStreamType = "text/event-stream"
)

// CloudEvent is a recorded event in the JSON format of CloudEvents 1.0. Data is the recorded text, byte for byte.
type CloudEvent struct {
	SpecVersion     string    `json:"specversion"`
	ID              string    `json:"id"`
	Source          string    `json:"source"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject" doc:"The stream."`
	Time            time.Time `json:"time" doc:"When it was recorded."`
	DataContentType string    `json:"datacontenttype"`
	DataSchema      string    `json:"dataschema"`
	Sequence        string    `json:"sequence" doc:"The position in the log; give it as ?after= or Last-Event-ID to go on from here."`
	Revision        string    `json:"revision" doc:"In the stream."`
	ReceivedAt      time.Time `json:"receivedat"`
	Actor           string    `json:"actor"`
	Role            string    `json:"role"`
	Channel         string    `json:"channel"`
	CommandID       string    `json:"commandid"`
	CorrelationID   string    `json:"correlationid"`
	CausationID     string    `json:"causationid,omitempty"`
	Data            Verbatim  `json:"data"`
}

// Verbatim is a JSON text that is passed on as it is.
type Verbatim struct{ jsontext.Value }

// Schema says that anything may stand here; what does, another schema says.
func (Verbatim) Schema(huma.Registry) *huma.Schema { return &huma.Schema{} }

// eventMeta is what an event's meta object says, in the words of package schemas.
type eventMeta struct {
	ReceivedAt    time.Time `json:"received_at"`
	Actor         string    `json:"actor"`
	Role          string    `json:"role"`
	Channel       string    `json:"channel"`
	CommandID     string    `json:"command_id"`
	CorrelationID string    `json:"correlation_id"`
	CausationID   string    `json:"causation_id"`
	Schema        int       `json:"schema"`
}

// NewCloudEvent gives a recorded event to the world outside.
func NewCloudEvent(r eventlog.Recorded) (CloudEvent, error) {
	var m eventMeta
	if err := json.Unmarshal(r.Meta, &m); err != nil {
		return CloudEvent{}, fmt.Errorf("api: meta of event %s, revision %d of %s: %w", r.ID, r.Revision, r.Stream, err)
	}
	version := strconv.Itoa(m.Schema)
	return CloudEvent{SpecVersion: "1.0", ID: r.ID.String(), Source: EventSource, Type: eventTypePrefix + r.Kind + ".v" + version, Subject: r.Stream,
		Time: r.RecordedAt.UTC(), DataContentType: jsonType, DataSchema: schemaBase + "events/" + r.Kind + "/" + version, Sequence: r.Position.String(),
		Revision: strconv.FormatUint(r.Revision, 10), ReceivedAt: m.ReceivedAt, Actor: m.Actor, Role: m.Role, Channel: m.Channel, CommandID: m.CommandID,
		CorrelationID: m.CorrelationID, CausationID: m.CausationID, Data: Verbatim{r.Data}}, nil
}

// Marshal is the event's JSON text on one line.
func (e CloudEvent) Marshal() ([]byte, error) {
	b, err := json.Marshal(e, answerJSON)
	if err != nil {
		return nil, fmt.Errorf("api: encode event %s: %w", e.ID, err)
	}
	return b, nil
}

// EventPage is a page of events in log order.
type EventPage struct {
	Events   []CloudEvent `json:"events"`
	Position string       `json:"position" doc:"Of the last event of the page, or what was given."`
	CaughtUp bool         `json:"caught_up" doc:"Nothing more was there."`
	Next     string       `json:"next,omitempty"`
}

func (h *Handler) eventRoutes() []*route {
	category := param{name: "category", kind: paramChoices, choices: domain.Categories, doc: "Categories of streams, joined by commas."}
	stream := param{name: "stream", doc: "One stream."}
	after := param{name: "after", kind: paramPosition, doc: "Events after this position."}
	return []*route{
		{id: "list-events", method: http.MethodGet, path: "/v1/events", tag: "events", summary: "Recorded events in log order, as CloudEvents", export: true,
			params: []param{after, category, stream, paramKnownAt, paramAt, paramCursor, paramPage}, answer: EventPage{}, handle: h.listEvents},
		{id: "stream-events", method: http.MethodGet, path: "/v1/events/stream", tag: "events", summary: "The feed of events as they are recorded (server-sent events); Last-Event-ID resumes", export: true,
			params: []param{after, category, stream}, mediaTypes: []string{eventStreamType}, also: []int{http.StatusConflict}, handle: h.streamEvents},
	}
}

func (c *call) eventFilter() (f eventlog.Filter) {
	if s := c.query.text("stream"); s != "" {
		return eventlog.Filter{Prefixes: []string{s}}
	}
	categories := c.query.list("category")
	if len(categories) == 0 {
		categories = domain.Categories
	}
	for _, x := range categories {
		f.Prefixes = append(f.Prefixes, x+"-")
	}
	return f
}

// wanted leaves out streams whose name only begins like the one asked for.
func (c *call) wanted(r eventlog.Recorded) bool {
	s := c.query.text("stream")
	return s == "" || s == r.Stream
}

func (h *Handler) listEvents(c *call) error {
	place, err := c.readyQuery()
	if err != nil {
		return err
	}
	if place == "" {
		place = c.query.text("after")
	}
	var after eventlog.Position
	if place != "" {
		if after, err = eventlog.ParsePosition(place); err != nil {
			return refuse(http.StatusBadRequest, codePosition, "value", place).in("after")
		}
	}
	limit, known := c.query.limit(), c.query.instant("known_at")
	page := EventPage{Events: []CloudEvent{}, Position: after.String()}
	full := false
read:
	for b, err := range h.Log.Follow(c.ctx, after, c.eventFilter(), eventlog.FollowOptions{BatchSize: limit + 1}) {
		if err != nil {
			return fmt.Errorf("api: list events after %s: %w", after, err)
		}
		for _, r := range b.Events {
			if known != nil && r.RecordedAt.After(*known) || !c.wanted(r) {
				continue
			}
			if full = len(page.Events) == limit; full {
				break read
			}
			e, err := NewCloudEvent(r)
			if err != nil {
				return err
			}
			page.Events, page.Position = append(page.Events, e), e.Sequence
		}
		if b.CaughtUp {
			break
		}
	}
	page.CaughtUp = !full
	if full {
		page.Next = c.cursorOf(page.Position)
	}
	return c.page(page, page.Next)
}

// heartbeat is how often a quiet feed says that it is alive; proxies cut lines that are silent for longer.
const heartbeat = 15 * time.Second

// extend gives the reader of a feed time until the heartbeat after the next.
func extend(control *http.ResponseController) error {
	return control.SetWriteDeadline(time.Now().Add(2 * heartbeat))
}

// seenLast is the place after which a reader of the feed goes on: what a browser sends by itself goes before what the
// address said when it first connected.
func (c *call) seenLast() (eventlog.Position, error) {
	place := c.r.Header.Get("Last-Event-ID")
	if place == "" {
		place = c.query.text("after")
	}
	if place == "" {
		return eventlog.Position{}, nil
	}
	after, err := eventlog.ParsePosition(place)
	if err != nil {
		return after, refuse(http.StatusBadRequest, codePosition, "value", place).in("Last-Event-ID")
	}
	return after, nil
}

// streamEvents sends events until the reader goes, the token ends, or the log fails. A reader that goes on with
// Last-Event-ID misses nothing and sees nothing twice.
func (h *Handler) streamEvents(c *call) error {
	after, err := c.seenLast()
	if err != nil {
		return err
	}
	if !after.IsZero() {
		// A place that is not there yet is one of another ledger, or of this one before it was restored: its reader must
		// begin anew, and would else wait in silence for what it has never seen.
		head, err := h.Log.Head(c.ctx)
		if err != nil {
			return fmt.Errorf("api: follow the events after %s: %w", after, err)
		}
		if after.Compare(head) > 0 {
			return refuse(http.StatusConflict, codeBeyond, "value", after.String(), "head", head.String()).in("Last-Event-ID")
		}
	}
	ctx, cancel := context.WithCancel(c.ctx)
	defer cancel()
	type read struct {
		events []eventlog.Recorded
		err    error
	}
	batches := make(chan read)
	go func() {
		defer close(batches)
		for b, err := range h.Log.Follow(ctx, after, c.eventFilter(), eventlog.FollowOptions{BatchSize: 100}) {
			if len(b.Events) == 0 && err == nil {
				continue
			}
			select {
			case batches <- read{b.Events, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()

	h.metrics.feeds.Inc()
	defer h.metrics.feeds.Dec()
	control := http.NewResponseController(c.x)
	header := c.x.Header()
	header.Set("Content-Type", eventStreamType)
	header.Set("X-Accel-Buffering", "no")
	c.x.WriteHeader(http.StatusOK)
	h.logAccess(c) // a feed may last for days
	send := func(b []byte) error {
		if err := extend(control); err != nil {
			return err
		}
		if _, err := c.x.Write(b); err != nil {
			return err
		}
		return control.Flush()
	}
	if err := send([]byte(": answerable\nretry: 1000\n\n")); err != nil {
		return nil
	}
	tick := time.NewTicker(heartbeat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-h.closing:
			return nil
		case <-tick.C:
			if h.stillAdmitted(c) != nil {
				return nil
			}
			if send([]byte(": \n\n")) != nil {
				return nil
			}
		case b, ok := <-batches:
			if !ok {
				return nil
			}
			if b.err != nil { // the reader reconnects where it stands
				h.Logger.Warn("the feed of events broke", zap.String("request", c.x.requestID), zap.Error(b.err))
				return nil
			}
			var out []byte
			for _, r := range b.events {
				if !c.wanted(r) {
					continue
				}
				e, err := NewCloudEvent(r)
				if err != nil {
					return err
				}
				text, err := e.Marshal()
				if err != nil {
					return err
				}
				out = fmt.Appendf(out, "id: %s\nevent: %s\ndata: %s\n\n", e.Sequence, r.Kind, text)
			}
			if len(out) > 0 && send(out) != nil {
				return nil
			}
		}
	}
}
