package api

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"crypto/rand"
)

// exchange is one request's answer, with what is known of the request before any handler runs.
type exchange struct {
	http.ResponseWriter
	receivedAt time.Time
	requestID  string
	status     int  // 0 until the answer begins
	packs      bool // the reader takes gzip
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 {
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	if x.status == 0 {
		x.status = http.StatusOK
	}
	return x.ResponseWriter.Write(b)
}

// write sends a whole answer. A reader that has gone away is none of ours to handle.
func (x *exchange) write(status int, contentType string, body []byte) {
	header := x.Header()
	header["Content-Type"] = []string{contentType}
	if strings.HasPrefix(contentType, "text/") { // a page of tables is ten times as long as it says
		header.Add("Vary", "Accept-Encoding")
		if x.packs && len(body) > 1400 { // below a packet it gains nothing
			body = packed(header, body)
		}
	}
	header["Content-Length"] = []string{strconv.Itoa(len(body))}
	x.WriteHeader(status)
	_, _ = x.Write(body)
}

// packed is a body by gzip, and says so in the header; a writer to memory does not fail.
func packed(header http.Header, body []byte) []byte {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	if _, err := z.Write(body); err != nil || z.Close() != nil {
		return body
	}
	header.Set("Content-Encoding", "gzip")
	return b.Bytes()
}

// requestIDs are unique among all processes: a random part of the process and a count.
type requestIDs struct {
	process string
	n       *atomic.Uint64
}

func newRequestIDs() requestIDs {
	var b [6]byte
	rand.Read(b[:]) // it never fails: crypto/rand ends the process first
	return requestIDs{process: hex.EncodeToString(b[:]) + "-", n: new(atomic.Uint64)}
}

func (r requestIDs) next() string { return r.process + strconv.FormatUint(r.n.Add(1), 36) }
