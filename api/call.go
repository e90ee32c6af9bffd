package api

import (
	"context"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	jsonv1 "github.com/go-json-experiment/json/v1"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// call is one request of a route, admitted.
type call struct {
	h          *Handler
	x          *exchange
	r          *http.Request
	ctx        context.Context
	route      *route
	receivedAt time.Time
	token      appstate.Token
	actor      domain.Actor // nobody, with no roles, on a public route
	role       domain.Role  // under which the caller was let in; "" by office, or nobody
	query      values
	logged     bool // in the access log
}

func (c *call) path(name string) string { return c.r.PathValue(name) }

func (c *call) reportKey() domain.ReportKey {
	return domain.ReportKey{Regime: domain.RegimeID(c.path("regime")), Form: domain.FormID(c.path("form")),
		Unit: domain.UnitCode(c.path("unit")), Date: domain.Date(c.path("date"))}
}

// unitAsked is the unit a request is about, "" when it is about all of them.
func (c *call) unitAsked() domain.UnitCode {
	if u := c.path("unit"); u != "" {
		return domain.UnitCode(u)
	}
	for _, name := range c.route.rule.unit {
		if u := c.query.text(name); u != "" {
			return domain.UnitCode(u)
		}
	}
	return ""
}

// parsePath refuses names no stream can carry before anybody makes a stream name of them, and forms there are not.
func (c *call) parsePath() error {
	for _, p := range []struct {
		name string
		code domain.Code
	}{{"regime", domain.CodeRegimeUnknown}, {"form", domain.CodeFormUnknown}, {"unit", domain.CodeUnitUnknown}, {"person", domain.CodePersonUnknown}} {
		if v := c.path(p.name); v != "" && !domain.ValidID(v) {
			return domain.Refuse(domain.NotFound, p.code, "/"+p.name, p.name, v)
		}
	}
	if v := c.path("form"); v != "" {
		if _, ok := c.h.Registry.CurrentForm(domain.FormID(v)); !ok {
			return domain.Refuse(domain.NotFound, domain.CodeFormUnknown, "/form", "form", v)
		}
	}
	if v := c.path("date"); v != "" {
		if _, err := domain.ParseDate(v); err != nil {
			return domain.Refuse(domain.Invalid, domain.CodeDate, "/date", "value", v)
		}
	}
	return nil
}

// body reads the whole body, of one of the given media types, within a limit.
func (c *call) body(limit int64, types ...string) (content []byte, mediaType string, params map[string]string, err error) {
	mediaType, params, err = mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || !slices.Contains(types, mediaType) || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return nil, "", nil, refuse(http.StatusUnsupportedMediaType, codeMediaType, "type", c.r.Header.Get("Content-Type"), "want", strings.Join(types, ", "))
	}
	if c.r.ContentLength > limit {
		return nil, "", nil, &http.MaxBytesError{Limit: limit}
	}
	reader := http.MaxBytesReader(c.x, c.r.Body, limit)
	if n := c.r.ContentLength; n >= 0 {
		content = make([]byte, n)
		_, err = io.ReadFull(reader, content)
	} else {
		content, err = io.ReadAll(reader)
	}
	if err != nil {
		if isTooLarge(err) {
			return nil, "", nil, err
		}
		return nil, "", nil, unreadable("unreadable", err)
	}
	return content, mediaType, params, nil
}

const jsonType = "application/json"

// answerJSON is how answers are written. Empty values are left out as the tags of package domain say.
var answerJSON = json.JoinOptions(json.Deterministic(true), jsonv1.OmitEmptyWithLegacySemantics(true))

// answer sends a value as JSON.
func (c *call) answer(status int, v any) error {
	body, err := json.Marshal(v, answerJSON)
	if err != nil {
		return fmt.Errorf("api: encode the answer of %s: %w", c.route.id, err)
	}
	c.x.write(status, jsonType, append(body, '\n'))
	return nil
}

func etag(version int, digest string) string {
	return fmt.Sprintf("%q", fmt.Sprintf("%d-%s", version, digest))
}
