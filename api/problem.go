package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
)

// TypeBase stands before a problem's code in its type. It is an identifier and need not resolve.
const TypeBase = "https://answerable.example/problems/"

// Problem is the body of every refusal (RFC 9457).
type Problem struct {
	Type   string `json:"type" doc:"Stable URI of the kind of problem: a code after a fixed base."`
	Title  string `json:"title" doc:"The kind of problem in words, in the caller's language."`
	Status int    `json:"status"`
	Detail string `json:"detail,omitempty" doc:"This problem in words, in the caller's language."`
	// Instance is the request's path.
	Instance string         `json:"instance,omitempty"`
	Code     string         `json:"code" doc:"The last part of type."`
	Errors   []ProblemFault `json:"errors,omitempty" doc:"Every fault of the input."`
	Request  string         `json:"request_id"`
	// Current is what stands instead, when the caller decided on an old version.
	Current *CurrentVersion   `json:"current,omitempty"`
	See     string            `json:"see,omitempty" doc:"Where the right act is done instead."`
	Lag     *projections.Lag  `json:"lag,omitempty"`
	Args    map[string]string `json:"args,omitempty" doc:"What detail names, for programs."`
}

// ProblemFault is one fault at one place.
type ProblemFault struct {
	Pointer   string `json:"pointer,omitempty" doc:"JSON Pointer (RFC 6901) into the body; for what the path names, its name."`
	Parameter string `json:"parameter,omitempty" doc:"Name of the query parameter or header."`
	Row       int    `json:"row,omitempty" doc:"Row of a file, from 1."`
	Column    string `json:"column,omitempty"`
	Code      string `json:"code"`
	Detail    string `json:"detail"`
}

// CurrentVersion is the newest version of a report.
type CurrentVersion struct {
	Version int    `json:"version"`
	Digest  string `json:"digest"`
}

// refusal is an error of the transport itself: its code is a row of transportTexts.
type refusal struct {
	status     int
	code       code
	parameter  string // the query parameter or header that is at fault
	pointer    string // the member of the body that is at fault
	args       map[string]string
	retryAfter int // seconds; 0 is none
	lag        *projections.Lag
	allow      string
	err        error // the cause, for the log
}

func (e *refusal) Error() string {
	f := domain.Fault{Args: e.args}
	text := string(e.code) + ": " + e.code.text(domain.English, f.Args)
	if e.err != nil {
		text += ": " + e.err.Error()
	}
	return text
}

func (e *refusal) Unwrap() error { return e.err }

func refuse(status int, c code, args ...string) *refusal {
	e := &refusal{status: status, code: c}
	for i := 0; i+1 < len(args); i += 2 {
		if e.args == nil {
			e.args = make(map[string]string, len(args)/2)
		}
		e.args[args[i]] = args[i+1]
	}
	return e
}

func (e *refusal) because(err error) *refusal   { e.err = err; return e }
func (e *refusal) in(parameter string) *refusal { e.parameter = parameter; return e }
func (e *refusal) after(seconds int) *refusal   { e.retryAfter = seconds; return e }

// withReport adds to an error where the report stands, so that who decided on an old version learns the new one.
type withReport struct {
	error
	current *CurrentVersion
	see     string
}

func (e *withReport) Unwrap() error { return e.error }

// statusOf is the one table from an error to a status. Errors of the domain keep their own codes; every other kind that
// a caller can do something about becomes a refusal of the transport; what is left is a fault of ours.
func statusOf(err error) (status int, transport *refusal, faults *domain.Error) {
	if errors.As(err, &transport) {
		return transport.status, transport, nil
	}
	if errors.As(err, &faults) {
		return kindStatus(faults), nil, faults
	}
	transport = func() *refusal {
		var tooLarge *http.MaxBytesError
		switch {
		case errors.As(err, &tooLarge):
			return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "max", strconv.FormatInt(tooLarge.Limit, 10))
		case errors.Is(err, eventlog.ErrRepeatMismatch), errors.Is(err, appstate.ErrOtherRequest):
			return refuse(http.StatusUnprocessableEntity, codeKeyReused).in("Idempotency-Key")
		case errors.Is(err, appstate.ErrInProgress):
			return refuse(http.StatusConflict, codeInProgress).in("Idempotency-Key").after(1)
		case errors.Is(err, eventlog.ErrTooLarge):
			return refuse(http.StatusRequestEntityTooLarge, codeTooLarge, "max", strconv.Itoa(eventlog.MaxEventBytes))
		case errors.Is(err, eventlog.ErrOutcomeUnknown):
			return refuse(http.StatusServiceUnavailable, codeOutcomeUnknown).after(1)
		case errors.Is(err, eventlog.ErrFull), errors.Is(err, eventlog.ErrReadOnly), errors.Is(err, eventlog.ErrInUse), errors.Is(err, appstate.ErrFull):
			return refuse(http.StatusServiceUnavailable, codeNotWritable).after(60)
		case errors.Is(err, eventlog.ErrConflict): // lost the race more often than commands allows
			return refuse(http.StatusServiceUnavailable, codeContended).after(1)
		case errors.Is(err, projections.ErrCursor):
			return refuse(http.StatusBadRequest, codeCursor).in(paramCursor.name)
		case errors.Is(err, projections.ErrRebuilding):
			return refuse(http.StatusConflict, codeRebuilding).after(10)
		case errors.Is(err, projections.ErrNoPrevious):
			return refuse(http.StatusConflict, codeNoPrevious)
		case errors.Is(err, projections.ErrEmpty), errors.Is(err, projections.ErrReadOnly), errors.Is(err, projections.ErrAhead),
			errors.Is(err, projections.ErrBuilding):
			return refuse(http.StatusServiceUnavailable, codeUnavailable).after(10)
		case errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, appstate.ErrUnavailable),
			errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
			return refuse(http.StatusServiceUnavailable, codeUnavailable).after(1)
		}
		return refuse(http.StatusInternalServerError, codeInternal)
	}().because(err)
	return transport.status, transport, nil
}

// kindStatus maps the domain's kinds. What cannot be read at all is 400, what can be read and is wrong is 422.
func kindStatus(e *domain.Error) int {
	switch e.Kind {
	case domain.Invalid:
		switch e.Code() {
		case domain.CodeJSON, domain.CodeBody:
			return http.StatusBadRequest
		case domain.CodeTooLarge:
			return http.StatusRequestEntityTooLarge
		}
		return http.StatusUnprocessableEntity
	case domain.NotFound:
		return http.StatusNotFound
	case domain.Conflict:
		return http.StatusConflict
	case domain.Precondition:
		return http.StatusPreconditionFailed
	case domain.Forbidden:
		return http.StatusForbidden
	}
	return http.StatusInternalServerError
}

// problemOf is the document of an error in a language.
func problemOf(err error, l domain.Language) *Problem {
	status, transport, faults := statusOf(err)
	p := &Problem{Status: status}
	if transport != nil {
		p.Code, p.Title, p.Detail = string(transport.code), transport.code.title(l), transport.code.text(l, transport.args)
		p.Lag, p.Args = transport.lag, transport.args
		if transport.parameter != "" || transport.pointer != "" {
			p.Errors = []ProblemFault{{Parameter: transport.parameter, Pointer: transport.pointer, Code: p.Code, Detail: p.Detail}}
		}
	} else {
		p.Code, p.Title = string(faults.Code()), kindTitle(faults.Kind, l)
		for i, f := range faults.Faults {
			fault := ProblemFault{Pointer: f.Pointer, Row: f.Row, Column: f.Column, Code: string(f.Code), Detail: f.Text(l)}
			if i == 0 {
				p.Detail, p.Args = fault.Detail, f.Args
			}
			p.Errors = append(p.Errors, fault)
		}
	}
	p.Type = TypeBase + p.Code
	var report *withReport
	if errors.As(err, &report) {
		p.Current, p.See = report.current, report.see
	}
	return p
}

// writeProblem answers with an error. Only a fault of ours is logged at length: a caller's is theirs to read.
func (h *Handler) writeProblem(x *exchange, r *http.Request, err error) {
	l := acceptLanguage(r.Header.Get("Accept-Language"))
	p := problemOf(err, l)
	p.Instance, p.Request = r.URL.Path, x.requestID
	h.logFailure(x, r, p, err)
	if x.status != 0 { // the answer has begun: it can only be cut off
		return
	}
	var transport *refusal
	header := x.Header()
	if errors.As(err, &transport) {
		if transport.allow != "" {
			header.Set("Allow", transport.allow)
		}
		if transport.status == http.StatusUnauthorized {
			header.Set("WWW-Authenticate", `Bearer realm="answerable"`)
		}
	} else {
		_, transport, _ = statusOf(err)
	}
	if transport != nil && transport.retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(transport.retryAfter))
	}
	if p.Current != nil {
		header.Set("ETag", etag(p.Current.Version, p.Current.Digest))
	}
	header.Set("Content-Language", string(l))
	header.Add("Vary", "Accept-Language")
	body, err := json.Marshal(p, answerJSON)
	if err != nil { // a struct of strings and numbers
		panic(err)
	}
	x.write(p.Status, problemType, append(body, '\n'))
}
