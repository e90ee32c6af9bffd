package api

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// paramKind is what a query parameter holds.
type paramKind int

const (
	paramText paramKind = iota
	paramID
	paramDate
	paramInstant
	paramPosition
	paramLimit
	paramChoice  // one of choices
	paramChoices // one or more of choices, joined by commas
	paramLocal   // an instant, or a clock time in the regime's zone, as a field of a form sends it
)

// param is one query parameter: the request is parsed by it and the OpenAPI document describes it.
type param struct {
	name    string
	kind    paramKind
	doc     string
	choices []string
	needed  bool
}

const (
	defaultLimit = 100
	maxLimit     = 500
)

// The parameters every query takes.
var (
	paramAsOf = param{name: "as_of", kind: paramDate, doc: "The day whose tree of units is shown: names, and through which unit each reports. parent, area and totals by area follow it. " +
		"A unit that was merged by then counts where the one it went into stands; one that does not exist on the day is marked absent, and its rows stay. " +
		"Statuses, deadlines and who answers never move. It is independent of known_at. Default: each row's own day."}
	paramKnownAt = param{name: "known_at", kind: paramInstant, doc: "Answer as known at this instant (RFC 3339): nothing recorded later counts, neither reports nor names nor holders of an office. It may not lie in the future. Default: everything recorded so far."}
	paramAt      = param{name: "at", kind: paramPosition, doc: "Wait until the views have reached this position, as a command answered it."}
	paramCursor  = param{name: "cursor", kind: paramText, doc: "The next of the page before; good for the same query only."}
	paramPage    = param{name: "limit", kind: paramLimit, doc: "Rows of a page, 1 to 500; default 100."}
)

// clockSlack is how far a caller's clock may go before this server's: an instant of "now" is not of the future.
const clockSlack = time.Minute

func id(name, doc string) param   { return param{name: name, kind: paramID, doc: doc} }
func date(name, doc string) param { return param{name: name, kind: paramDate, doc: doc} }
func (p param) must() param       { p.needed = true; return p }

// saying is a parameter with the words of its own route.
func (p param) saying(doc string) param { p.doc = doc; return p }

func (p param) want() string {
	switch p.kind {
	case paramID:
		return "[a-z0-9_]{1,40}"
	case paramDate:
		return "2021-02-08"
	case paramInstant:
		return "2021-02-08T15:00:00+07:00"
	case paramPosition:
		return "1234"
	case paramLimit:
		return "1 – 500"
	case paramChoice, paramChoices:
		return strings.Join(p.choices, ", ")
	case paramLocal:
		return "2021-02-08T15:00:00"
	}
	return "UTF-8"
}

func (p param) valid(v string) bool {
	switch p.kind {
	case paramID:
		return domain.ValidID(v)
	case paramDate:
		_, err := domain.ParseDate(v)
		return err == nil
	case paramInstant:
		_, err := time.Parse(time.RFC3339Nano, v)
		return err == nil
	case paramPosition:
		_, err := eventlog.ParsePosition(v)
		return err == nil
	case paramLimit:
		n, err := strconv.Atoi(v)
		return err == nil && n >= 1 && n <= maxLimit
	case paramChoice:
		return slices.Contains(p.choices, v)
	case paramChoices:
		for one := range strings.SplitSeq(v, ",") {
			if !slices.Contains(p.choices, one) {
				return false
			}
		}
		return true
	case paramLocal:
		_, ok := parseLocal(v, time.UTC)
		return ok
	}
	return len(v) <= domain.MaxTextBytes
}

func (p param) schema() *huma.Schema {
	switch p.kind {
	case paramID:
		return &huma.Schema{Type: huma.TypeString, Pattern: "^[a-z0-9_]{1,40}$"}
	case paramDate:
		return &huma.Schema{Type: huma.TypeString, Format: "date"}
	case paramInstant:
		return &huma.Schema{Type: huma.TypeString, Format: "date-time"}
	case paramLimit:
		low, high := 1.0, float64(maxLimit)
		return &huma.Schema{Type: huma.TypeInteger, Minimum: &low, Maximum: &high, Default: defaultLimit}
	case paramPosition:
		return &huma.Schema{Type: huma.TypeString, Pattern: `^[0-9]+(\.[0-9]+)?$`}
	case paramChoice, paramChoices:
		one := &huma.Schema{Type: huma.TypeString}
		for _, c := range p.choices {
			one.Enum = append(one.Enum, c)
		}
		if p.kind == paramChoice {
			return one
		}
		return &huma.Schema{Type: huma.TypeArray, Items: one}
	}
	return &huma.Schema{Type: huma.TypeString}
}

// values are the query parameters of a request, each valid for its kind. An empty value is an absent one.
type values url.Values

func (v values) text(name string) string {
	if len(v[name]) == 0 {
		return ""
	}
	return v[name][0]
}

func (v values) date(name string) domain.Date { return domain.Date(v.text(name)) }

func (v values) instant(name string) *time.Time {
	t, err := time.Parse(time.RFC3339Nano, v.text(name))
	if err != nil {
		return nil
	}
	t = t.UTC()
	return &t
}

// local is an instant given with its offset, or as a clock time in a zone.
func (v values) local(name string, zone *time.Location) *time.Time {
	t, ok := parseLocal(v.text(name), zone)
	if !ok {
		return nil
	}
	return &t
}

func parseLocal(s string, zone *time.Location) (time.Time, bool) {
	for _, layout := range []string{time.RFC3339Nano, "2006-01-02T15:04:05", "2006-01-02T15:04"} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}

func (v values) list(name string) []string {
	if v.text(name) == "" {
		return nil
	}
	return strings.Split(v.text(name), ",")
}

func (v values) limit() int {
	if n, err := strconv.Atoi(v.text("limit")); err == nil {
		return n
	}
	return defaultLimit
}

// parseQuery refuses what the route does not take: a misspelt known_at must not answer as if it had not been asked.
func (c *call) parseQuery() error {
	if c.r.URL.RawQuery == "" {
		for _, p := range c.route.params {
			if p.needed {
				return refuse(http.StatusBadRequest, codeParameterNeeded, "name", p.name).in(p.name)
			}
		}
		return nil
	}
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	if err != nil {
		return refuse(http.StatusBadRequest, codeParameter, "name", "", "value", c.r.URL.RawQuery, "want", "application/x-www-form-urlencoded")
	}
	for _, p := range c.route.params {
		given := query[p.name]
		switch {
		case len(given) > 1:
			return refuse(http.StatusBadRequest, codeParameterTwice, "name", p.name).in(p.name)
		case len(given) == 0 || given[0] == "":
			if p.needed {
				return refuse(http.StatusBadRequest, codeParameterNeeded, "name", p.name).in(p.name)
			}
		case !p.valid(given[0]):
			return refuse(http.StatusBadRequest, codeParameter, "name", p.name, "value", given[0], "want", p.want()).in(p.name)
		}
	}
	// Nothing is known of the future: the same question would be answered otherwise when the instant has come.
	if known := values(query).instant(paramKnownAt.name); known != nil && known.After(c.h.Clock().Add(clockSlack)) {
		return refuse(http.StatusUnprocessableEntity, codeFuture, "value", query.Get(paramKnownAt.name)).in(paramKnownAt.name)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.ContainsFunc(c.route.params, func(p param) bool { return p.name == name }) {
			if name == paramAsOf.name || name == paramKnownAt.name {
				return refuse(http.StatusBadRequest, codeParameterIdle, "name", name).in(name)
			}
			return refuse(http.StatusBadRequest, codeParameterOther, "name", name).in(name)
		}
	}
	c.query = values(query)
	return nil
}

// waitForViews makes a read see what its caller wrote: it waits for the position of ?at=.
func (c *call) waitForViews() error {
	text := c.query.text("at")
	if text == "" {
		return nil
	}
	position, err := eventlog.ParsePosition(text)
	if err != nil {
		return refuse(http.StatusBadRequest, codePosition, "value", text).in("at")
	}
	ctx, cancel := context.WithTimeout(c.ctx, c.h.WaitFor)
	defer cancel()
	if err := c.h.Views.WaitFor(ctx, position); err != nil {
		if ctx.Err() == nil || !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
			return err
		}
		e := refuse(http.StatusServiceUnavailable, codeNotCaughtUp, "at", text).in("at").after(1).because(err)
		if lag, lagErr := c.h.Views.Lag(c.ctx); lagErr == nil {
			e.lag = &lag
		}
		return e
	}
	return nil
}

// A cursor is opaque to callers: the views' own place, bound to the query it belongs to.

// queryMark is what a cursor is bound to: the path and every parameter that changes which rows there are.
func (c *call) queryMark() []byte {
	h := sha256.New()
	h.Write([]byte(c.r.URL.Path))
	for _, p := range c.route.params {
		if p.name != paramCursor.name && p.name != paramPage.name && p.name != paramAt.name {
			h.Write([]byte("\n" + p.name + "=" + c.query.text(p.name)))
		}
	}
	return h.Sum(nil)[:8]
}

func (c *call) cursorOf(next string) string {
	if next == "" {
		return ""
	}
	return base64.RawURLEncoding.EncodeToString(append(c.queryMark(), next...))
}

func (c *call) cursor() (string, error) {
	text := c.query.text(paramCursor.name)
	if text == "" {
		return "", nil
	}
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(b) <= 8 || c.cursorOf(string(b[8:])) != text {
		return "", refuse(http.StatusBadRequest, codeCursor).in(paramCursor.name)
	}
	return string(b[8:]), nil
}
