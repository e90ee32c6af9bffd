package web

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/api/ui"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// statusOf is the one table from an error to a status, and to the key of its words where it is none of the domain's.
func statusOf(err error) (status int, text string) {
	var refused *domain.Error
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return http.StatusRequestEntityTooLarge, "fail.large"
	case errors.Is(err, accounts.ErrLimited):
		return http.StatusTooManyRequests, "fail.limited"
	case errors.Is(err, accounts.ErrCrossSite):
		return http.StatusForbidden, "fail.cross_site"
	case errors.Is(err, accounts.ErrMethod):
		return http.StatusMethodNotAllowed, "fail.method"
	case errors.Is(err, accounts.ErrNotFresh):
		return http.StatusForbidden, "fail.not_fresh"
	case errors.Is(err, accounts.ErrNoPasskeys):
		return http.StatusConflict, "fail.no_passkeys"
	case errors.Is(err, accounts.ErrNoRole):
		return http.StatusForbidden, "fail.no_role"
	case errors.Is(err, accounts.ErrNoDemo):
		return http.StatusNotFound, "fail.no_demo"
	case errors.Is(err, accounts.ErrPasswordShort):
		return http.StatusUnprocessableEntity, "fail.password_short"
	case errors.Is(err, accounts.ErrPasswordLong):
		return http.StatusUnprocessableEntity, "fail.password_long"
	case errors.Is(err, accounts.ErrPasswordCommon):
		return http.StatusUnprocessableEntity, "fail.password_common"
	case errors.Is(err, accounts.ErrNoOIDC), errors.Is(err, appstate.ErrNoSubject), errors.Is(err, appstate.ErrNoPassword):
		return http.StatusNotFound, "fail.not_found"
	case errors.Is(err, accounts.ErrNotVouched):
		return http.StatusUnauthorized, "fail.not_vouched"
	case errors.Is(err, accounts.ErrUnbound):
		return http.StatusForbidden, "fail.unbound"
	case errors.Is(err, accounts.ErrProvider):
		return http.StatusBadGateway, "fail.provider"
	case errors.Is(err, appstate.ErrSubjectTaken):
		return http.StatusConflict, "fail.subject_taken"
	case errors.Is(err, accounts.ErrRefused):
		return http.StatusUnauthorized, "fail.refused"
	case errors.Is(err, appstate.ErrNoSession):
		return http.StatusUnauthorized, "fail.no_session"
	case errors.Is(err, errForm), errors.Is(err, projections.ErrCursor):
		return http.StatusBadRequest, "fail.form"
	case errors.Is(err, projections.ErrRebuilding):
		return http.StatusConflict, "fail.rebuilding"
	case errors.Is(err, projections.ErrNoPrevious):
		return http.StatusConflict, "fail.no_previous"
	case errors.Is(err, projections.ErrReadOnly):
		return http.StatusConflict, "fail.reads_only"
	case errors.Is(err, errNotFound):
		return http.StatusNotFound, "fail.not_found"
	case errors.As(err, &refused):
		switch refused.Kind {
		case domain.Invalid:
			return http.StatusUnprocessableEntity, ""
		case domain.NotFound:
			return http.StatusNotFound, ""
		case domain.Conflict:
			return http.StatusConflict, ""
		case domain.Precondition:
			return http.StatusPreconditionFailed, ""
		case domain.Forbidden:
			return http.StatusForbidden, ""
		}
	case errors.Is(err, eventlog.ErrOutcomeUnknown):
		return http.StatusServiceUnavailable, "fail.unknown"
	case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, appstate.ErrUnavailable), errors.Is(err, eventlog.ErrConflict), errors.Is(err, eventlog.ErrFull),
		errors.Is(err, eventlog.ErrReadOnly), errors.Is(err, errBusy), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return http.StatusServiceUnavailable, "fail.unavailable"
	}
	return http.StatusInternalServerError, "fail.internal"
}

var errNotFound = errors.New("there is no such page")

// words of an error, in the page's language.
func words(err error, f ui.Frame) string {
	_, text := statusOf(err)
	var refused *domain.Error
	if text == "" && errors.As(err, &refused) {
		out := ""
		for i, fault := range refused.Faults {
			if i > 0 {
				out += " "
			}
			out += fault.Text(f.Language)
		}
		return out
	}
	return f.T(text)
}

// fail answers with an error, as a page or to the script. Who is not signed in is asked to sign in, and comes back.
func (c *call) fail(err error) {
	status, _ := statusOf(err)
	fields := []zap.Field{zap.String("request", c.id), zap.String("method", c.r.Method), zap.String("path", c.r.URL.Path), zap.Int("status", status)}
	if status >= http.StatusInternalServerError && c.ctx.Err() == nil {
		c.h.Logger.Error("page failed", append(fields, zap.Error(err))...)
	} else {
		c.h.Logger.Debug("page refused", append(fields, zap.Error(err))...)
	}
	if c.status != 0 {
		return
	}
	var limited *accounts.LimitedError
	if errors.As(err, &limited) {
		limited.SetHeader(c.w.Header())
	}
	if status == http.StatusServiceUnavailable {
		c.w.Header().Set("Retry-After", strconv.Itoa(1))
	}
	f := c.bare("failure")
	if c.route.json {
		b, marshalErr := json.Marshal(map[string]string{"error": words(err, f)})
		if marshalErr != nil { // a map of strings
			panic(marshalErr)
		}
		c.write(status, "application/json", b)
		return
	}
	if errors.Is(err, appstate.ErrNoSession) && !c.route.rule.public {
		next := "/home"
		if c.r.Method == http.MethodGet {
			next = c.r.URL.RequestURI()
		}
		_ = c.redirect("/signin?" + url.Values{"next": {next}}.Encode())
		return
	}
	if c.person.Exists() { // without it the page still says what is wrong
		f.Nav, _ = c.nav()
	}
	p := ui.Failure{Frame: f, Status: status, Detail: words(err, f), StepUp: errors.Is(err, accounts.ErrNotFresh)}
	if err := c.render(status, p); err != nil {
		c.h.Logger.Error("a failure could not be shown", zap.String("request", c.id), zap.Error(err))
		http.Error(c.w, http.StatusText(status), status)
	}
}
