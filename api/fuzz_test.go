package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
)

// What callers send beside bodies: each parser takes what it is for, refuses the rest with a 4xx, and panics at nothing.

func refused(t *testing.T, what string, err error) {
	t.Helper()
	if status, _, _ := statusOf(err); status < 400 || status >= 500 {
		t.Fatalf("%q: %d, %v", what, status, err)
	}
	for _, l := range []domain.Language{domain.Vietnamese, domain.English} {
		if p := problemOf(err, l); p.Title == "" || p.Detail == "" {
			t.Fatalf("%q: %+v", what, p)
		}
	}
}

// asking is a call with a header and a query, before anybody has looked at it.
func asking(h *Handler, params []param, header, value, query string) *call {
	r := httptest.NewRequest(http.MethodGet, "/v1/fuzzed", nil)
	r.URL.RawQuery = query
	if header != "" {
		r.Header[header] = []string{value}
	}
	return &call{h: h, r: r, route: &route{keyed: keyNeeded, params: params}}
}

func fuzzedHandler() *Handler {
	return &Handler{Config: Config{Clock: func() time.Time { return clockAt("08:00:00") }}}
}

func FuzzCursor(f *testing.F) {
	h := fuzzedHandler()
	given := asking(h, []param{paramCursor, paramPage, paramKnownAt}, "", "", "")
	f.Add(given.cursorOf("MjAyMS0wMi0wOCAx"))
	for _, s := range []string{"", "AAAA", "=", "*", "AAAAAAAAAAAA", given.cursorOf("x") + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		c := asking(h, given.route.params, "", "", "")
		c.query = values{paramCursor.name: {text}}
		place, err := c.cursor()
		if err != nil {
			refused(t, text, err)
		} else if c.cursorOf(place) != text {
			t.Fatalf("%q is %q, which is %q", text, place, c.cursorOf(place))
		}
	})
}

func FuzzAcceptLanguage(f *testing.F) {
	for _, s := range []string{"", "vi", "en;q=0.9, vi;q=0.8", "en-GB", "*;q=0", ",;,=", "en;q=1.0000", strings.Repeat("en,", 1000), "vi;q=0,en;q=0.001"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		l := acceptLanguage(header)
		if l != domain.Vietnamese && l != domain.English {
			t.Fatalf("%q: %q", header, l)
		}
		if l == domain.English && !strings.Contains(strings.ToLower(header), "en") {
			t.Fatalf("%q asks for no English", header)
		}
	})
}

func FuzzIfMatch(f *testing.F) {
	digest := strings.Repeat("0a", 32)
	for _, s := range []string{etag(1, digest), etag(12, digest), `W/` + etag(1, digest), "*", `"1-"`, `"01-` + digest + `"`, `"+1-` + digest + `"`, `"1-` + strings.ToUpper(digest) + `"`, etag(1, digest) + `"`, ""} {
		f.Add(s, 0)
	}
	h := fuzzedHandler()
	f.Fuzz(func(t *testing.T, header string, inBody int) {
		if seen, ok := parseETag(header); ok && (etag(seen.Version, seen.Digest) != header || seen.Version < 1) {
			t.Fatalf("%q is %+v", header, seen)
		}
		seen, err := asking(h, nil, "If-Match", header, "").versionSeen(inBody, "")
		if err != nil {
			refused(t, header, err)
		} else if inBody != 0 && seen.Version != inBody {
			t.Fatalf("%q with %d: %+v", header, inBody, seen)
		}
	})
}

func FuzzIdempotencyKey(f *testing.F) {
	for _, s := range []string{"", "a", "0190b5a2-0f6e-7000-8000-000000000000", strings.Repeat("k", 200), strings.Repeat("k", 201), "khóa", "a\x00", "a\tb", "~ !"} {
		f.Add(s)
	}
	h := fuzzedHandler()
	f.Fuzz(func(t *testing.T, text string) {
		key, err := asking(h, nil, keyHeader, text, "").idempotencyKey()
		if err != nil {
			refused(t, text, err)
			return
		}
		if key != text || len(key) == 0 || len(key) > 200 || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Fatalf("%q became %q", text, key)
		}
	})
}

// FuzzQuery reads a whole query string: what is let pass is valid for its kind, and is what the handler will see.
func FuzzQuery(f *testing.F) {
	for _, s := range []string{"", "at=12", "at=12.13", "at=-1", "at=99999999999999999999", "from=2021-02-08&to=2021-02-09", "from=2021-02-30", "from=0001-01-01", "known_at=2021-02-08T15:00:00%2B07:00",
		"known_at=1600-01-01T00:00:00Z", "known_at=2021-02-08T24:00:00Z", "known_at=2099-01-01T00:00:00Z", "known_at=2021-02-08 15:00", "limit=0", "limit=500", "limit=5e2", "unit=25741", "unit=A", "kind=late,missing", "kind=",
		"local=2021-02-08T15:00", "local=2021-02-08T15:00:00Z", "at=1&at=2", "%zz", "a;b", "as_of=2021-02-08", "x=%00"} {
		f.Add(s)
	}
	h := fuzzedHandler()
	params := []param{paramAt, paramKnownAt, paramPage, paramCursor, date("from", ""), date("to", ""), id("unit", ""),
		{name: "kind", kind: paramChoices, choices: []string{"late", "missing"}}, {name: "local", kind: paramLocal}}
	f.Fuzz(func(t *testing.T, query string) {
		c := asking(h, params, "", "", query)
		if err := c.parseQuery(); err != nil {
			refused(t, query, err)
			return
		}
		q := c.query
		for name := range q {
			if _, err := domain.ParseDate(q.text(name)); (name == "from" || name == "to") && q.text(name) != "" && err != nil {
				t.Fatalf("%q: %v", query, err)
			}
		}
		if p := q.text("at"); p != "" {
			if _, err := eventlog.ParsePosition(p); err != nil {
				t.Fatalf("%q: %v", query, err)
			}
		}
		if known := q.instant("known_at"); (known == nil) != (q.text("known_at") == "") || known != nil && known.After(h.Clock().Add(clockSlack)) {
			t.Fatalf("%q is known at %v", query, known)
		}
		if local := q.local("local", domain.HoChiMinh); (local == nil) != (q.text("local") == "") {
			t.Fatalf("%q is local at %v", query, local)
		}
		if n := q.limit(); n < 1 || n > maxLimit {
			t.Fatalf("%q: %d rows", query, n)
		}
		if u := q.text("unit"); u != "" && !domain.ValidID(u) {
			t.Fatalf("%q: unit %q", query, u)
		}
	})
}

func FuzzLastEventID(f *testing.F) {
	for _, s := range []string{"", "0", "1", "12.13", "1.", ".1", "-1", "+1", "１", "18446744073709551616", "1 "} {
		f.Add(s, "")
		f.Add("", s)
		f.Add(s, "7")
	}
	h := fuzzedHandler()
	f.Fuzz(func(t *testing.T, header, after string) {
		c := asking(h, nil, "Last-Event-Id", header, "")
		c.query = values{"after": {after}}
		p, err := c.seenLast()
		if err != nil {
			refused(t, header+after, err)
			return
		}
		given := header
		if given == "" {
			given = after
		}
		want, err := eventlog.ParsePosition(given)
		if given != "" && err != nil || p != want {
			t.Fatalf("%q, %q: %v", header, after, p)
		}
	})
}

func FuzzSignatureHeader(f *testing.F) {
	for _, s := range []string{"", " ", "key", "key signature", "key  ", strings.Repeat("k", 2049) + " s", "khóa chữ ký", "a\x00 b"} {
		f.Add(s, "k1")
		f.Add(s, "")
	}
	h := fuzzedHandler()
	f.Fuzz(func(t *testing.T, header, key string) {
		c := asking(h, nil, keyHeader, key, "")
		c.r.Header.Set(signatureHeader, header)
		signed, err := c.filingSignature()
		if err != nil {
			refused(t, header, err)
			return
		}
		if signed == nil || signed.Nonce != key || signed.Signature.Credential+" "+signed.Signature.Signature != header {
			t.Fatalf("%q became %+v", header, signed)
		}
	})
}

// A file that is sent in parts is found whole, or refused.
func FuzzImportFile(f *testing.F) {
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.csv\"\r\n\r\nunit,form\r\n--x--\r\n")
	f.Add("multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"../../a.JSON\"\r\n\r\n[]\r\n--x--\r\n")
	f.Add("multipart/form-data", "--\r\n")
	f.Add("multipart/form-data; boundary=x", "--x--")
	f.Add("text/csv; charset=latin1", "x")
	f.Add("application/json", "[]")
	f.Fuzz(func(t *testing.T, mediaType, body string) {
		h := fuzzedHandler()
		r := httptest.NewRequest(http.MethodPost, "/v1/fuzzed", strings.NewReader(body))
		r.Header["Content-Type"] = []string{mediaType}
		name, file, channel, err := h.importFile(&call{h: h, r: r, x: &exchange{ResponseWriter: httptest.NewRecorder()}, route: &route{}})
		switch {
		case err != nil:
			refused(t, mediaType+"\n"+body, err)
		case name == "" || strings.Contains(name, "/") && name != "/" || channel == "" || len(file) > len(body):
			t.Fatalf("%q, %d bytes, %q", name, len(file), channel)
		}
	})
}
