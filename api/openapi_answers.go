package api

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"
)

// What the document says of headers and statuses follows from a route's row, as what is answered does; a test holds every
// answer of the other tests against it.

const (
	headerPrefix   = "#/components/headers/"
	responsePrefix = "#/components/responses/Problem"
	problemType    = "application/problem+json"
)

// requestHeaders are the headers a route looks at.
func (rt *route) requestHeaders() []*huma.Param {
	text := func(name, doc string, needed bool) *huma.Param {
		return &huma.Param{Name: name, In: "header", Required: needed, Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	out := []*huma.Param{text("Accept-Language", "Language of problems and documents: vi (default) or en.", false)}
	if rt.keyed != keyless {
		out = append(out, text(keyHeader, "1 to 200 printable ASCII characters, new for each attempt and the same in its repeats.", rt.keyed == keyNeeded))
	}
	if rt.bodyRef != "" {
		out = append(out, text(signatureHeader, "What the machine of a unit signs its filing with: the credential and the signature, with a space between. The Idempotency-Key is the nonce.", false))
	}
	if rt.ifMatch {
		out = append(out, text("If-Match", "The ETag of the version looked at; or name the version in the body.", false))
	}
	if rt.bodyRef == bodySubmission || rt.bodyRef == bodyCorrection {
		out = append(out, text(signatureHeader, "The signature of the sender's machine over what it files: the id of an Ed25519 key that the sender has enrolled, a space, and the base64 of the signature over the statement (docs/evidence.md). Its nonce is the Idempotency-Key.", false))
	}
	if slices.Contains(rt.also, http.StatusNotModified) {
		out = append(out, text("If-None-Match", "The ETag of an answer one has: 304 when it would be the same.", false))
	}
	if rt.id == "stream-events" {
		out = append(out, text("Last-Event-ID", "The id of the last event that was seen: the feed goes on after it. It goes before ?after=.", false))
	}
	return out
}

// successes are the statuses of an answer that is no problem.
func (rt *route) successes() []int {
	out := []int{rt.status}
	if rt.status == 0 {
		out[0] = http.StatusOK
	}
	if _, ok := rt.answer.(Recorded); ok { // there was nothing to do
		out = append(out, http.StatusOK)
	}
	for _, s := range rt.also {
		if s < 300 {
			out = append(out, s)
		}
	}
	return out
}

// refusals are the statuses a route refuses with.
func (rt *route) refusals() []int {
	out := []int{http.StatusBadRequest, http.StatusInternalServerError}
	for _, s := range rt.also {
		if s >= 400 {
			out = append(out, s)
		}
	}
	if !rt.rule.public {
		out = append(out, http.StatusUnauthorized, http.StatusForbidden, http.StatusServiceUnavailable)
	}
	for _, m := range pathName.FindAllStringSubmatch(rt.path, -1) {
		switch m[1] {
		case "date":
			out = append(out, http.StatusUnprocessableEntity)
		default:
			out = append(out, http.StatusNotFound)
		}
	}
	for _, p := range rt.params {
		switch p.kind {
		case paramID:
			out = append(out, http.StatusNotFound)
		case paramInstant:
			out = append(out, http.StatusUnprocessableEntity)
		case paramDate:
			if p.name == "to" { // before from
				out = append(out, http.StatusUnprocessableEntity)
			}
		}
	}
	if rt.hasBody() {
		out = append(out, http.StatusConflict, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	}
	if rt.ifMatch {
		out = append(out, http.StatusPreconditionFailed, http.StatusPreconditionRequired)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (rt *route) hasBody() bool {
	return rt.body != nil || rt.bodyRef != "" || len(rt.bodyTypes) > 0
}

// answerHeadersOf are the headers of a route's answer with a status, apart from those of every answer.
func (rt *route) answerHeadersOf(status int) []string {
	var out []string
	if rt.etag {
		out = append(out, "ETag")
	}
	switch {
	case status == http.StatusNotModified:
		return out
	case status == http.StatusAccepted && rt.id == "get-receipt":
		out = append(out, "Retry-After")
	case status == http.StatusCreated && rt.bodyRef == bodySubmission:
		out = append(out, "Location")
	}
	if rt.keyed != keyless {
		out = append(out, "Idempotency-Replayed")
	}
	if slices.ContainsFunc(rt.params, func(p param) bool { return p.name == paramCursor.name }) {
		out = append(out, "Link")
	}
	return append(out, rt.headers...)
}

// describeAnswers says what a route answers, in every case.
func (rt *route) describeAnswers(op *huma.Operation, registry huma.Registry) {
	if rt.page { // pages are for people
		return
	}
	schema := schemaOf(registry, rt.answer, "")
	for _, status := range rt.successes() {
		answer := &huma.Response{Description: successText(status), Headers: headerRefs(append(rt.answerHeadersOf(status), requestIDHeader)), Content: map[string]*huma.MediaType{}}
		for _, t := range orJSON(rt.mediaTypes) {
			switch {
			case schema != nil:
				answer.Content[t] = &huma.MediaType{Schema: schema}
			case strings.HasSuffix(t, "+json"):
				answer.Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeObject}}
			default:
				answer.Content[t] = &huma.MediaType{Schema: &huma.Schema{Type: huma.TypeString}}
			}
		}
		op.Responses[strconv.Itoa(status)] = answer
	}
	if slices.Contains(rt.also, http.StatusNotModified) {
		op.Responses[strconv.Itoa(http.StatusNotModified)] = &huma.Response{Description: "What If-None-Match names is still what would be answered.",
			Headers: headerRefs(append(rt.answerHeadersOf(http.StatusNotModified), requestIDHeader))}
	}
	for _, status := range rt.refusals() {
		op.Responses[strconv.Itoa(status)] = &huma.Response{Ref: responsePrefix + strconv.Itoa(status)}
	}
	if rt.id == "readyz" { // a probe says how it stands in its own words
		op.Responses["503"] = &huma.Response{Description: "Send requests elsewhere for now; status, log, views and leader say why.",
			Headers: headerRefs([]string{requestIDHeader, "Retry-After"}), Content: map[string]*huma.MediaType{jsonType: {Schema: schema}}}
	}
}

func successText(status int) string {
	switch status {
	case http.StatusCreated:
		return "Recorded."
	case http.StatusAccepted:
		return "Taken; what comes of it is seen later."
	}
	return "Done."
}

const requestIDHeader = "X-Request-Id"

// answerHeaders are the headers the document names.
func answerHeaders() map[string]*huma.Param {
	text := func(doc string) *huma.Param {
		return &huma.Param{Description: doc, Schema: &huma.Schema{Type: huma.TypeString}}
	}
	seconds := 1.0
	return map[string]*huma.Param{
		requestIDHeader:        text("Names the request in the server's logs, and in its problem document."),
		"ETag":                 text("The version of the report that the answer is about; give it as If-Match."),
		"Location":             text("Where the report stands now."),
		"Retry-After":          {Description: "Seconds after which to try again, with the same Idempotency-Key.", Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: &seconds}},
		"Idempotency-Replayed": text("true: the command had been taken before, and this is what came of it then."),
		"Link":                 text(`The next page, rel="next", when there is one.`),
		"WWW-Authenticate":     text("The scheme that lets callers in."),
		"Content-Language":     text("The language of the words: vi or en."),
		"Content-Disposition":  text("The name to keep the file under."),
		levelHeader:            text("How much the receipt proves: recorded, logged or witnessed."),
	}
}

func headerRefs(names []string) map[string]*huma.Param {
	out := map[string]*huma.Param{}
	for _, name := range names {
		out[name] = &huma.Param{Ref: headerPrefix + name}
	}
	return out
}

// problemResponses are the refusals of the whole API, by status.
func problemResponses(registry huma.Registry) map[string]*huma.Response {
	out := map[string]*huma.Response{}
	for _, x := range []struct {
		status  int
		text    string
		headers []string
	}{
		{http.StatusBadRequest, "The request cannot be read: a parameter, header or cursor that is not valid, or a body that is not JSON.", nil},
		{http.StatusUnauthorized, "No token, or one that is wrong, has expired or was revoked.", []string{"WWW-Authenticate"}},
		{http.StatusForbidden, "The caller's roles do not reach this.", nil},
		{http.StatusNotFound, "What the path or a parameter names is not there.", nil},
		{http.StatusConflict, "It contradicts what was recorded; or a request with this key is under way, then with Retry-After.", []string{"ETag", "Retry-After"}},
		{http.StatusGone, "The content was erased on purpose; the evidence that it existed stays.", nil},
		{http.StatusPreconditionFailed, "Another version is the newest: ETag and current name it.", []string{"ETag"}},
		{http.StatusRequestEntityTooLarge, "The body is too large.", nil},
		{http.StatusUnsupportedMediaType, "The body is of another media type.", nil},
		{http.StatusUnprocessableEntity, "The request can be read and says something that is not valid: errors lists all of it by place.", nil},
		{http.StatusPreconditionRequired, "The version looked at is missing: say it with If-Match or in the body.", nil},
		{http.StatusInternalServerError, "A fault of the server, which has noted it.", nil},
		{http.StatusServiceUnavailable, "It cannot be served now; nothing else was recorded, or the outcome is unknown: repeat it with the same key.", []string{"Retry-After"}},
	} {
		out["Problem"+strconv.Itoa(x.status)] = &huma.Response{Description: x.text, Headers: headerRefs(append(x.headers, requestIDHeader, "Content-Language")),
			Content: map[string]*huma.MediaType{problemType: {Schema: registry.Schema(reflect.TypeFor[Problem](), true, "")}}}
	}
	return out
}
