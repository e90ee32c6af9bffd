package esdb

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/answerable-ledger/answerable/eventlog"
)

func TestEnvelopeBytes(t *testing.T) {
	t.Parallel()
	at := time.Date(2021, 2, 8, 7, 59, 59, 120_000_000, time.UTC)
	const mark = "0123456789abcdef"
	for _, c := range []struct{ meta, want string }{
		{"", `{"answerable_recorded_at":"2021-02-08T07:59:59.120000Z","append":"0123456789abcdef"}`},
		{`{"by":"bà Đỗ"}`, `{"answerable_recorded_at":"2021-02-08T07:59:59.120000Z","append":"0123456789abcdef","meta":{"by":"bà Đỗ"}}`},
		{" [1, 2] \n", `{"answerable_recorded_at":"2021-02-08T07:59:59.120000Z","append":"0123456789abcdef","meta": [1, 2] ` + "\n}"},
		{"plain", `{"answerable_recorded_at":"2021-02-08T07:59:59.120000Z","append":"0123456789abcdef","meta_bytes":5}` + "\nplain"},
		{"\xff", `{"answerable_recorded_at":"2021-02-08T07:59:59.120000Z","append":"0123456789abcdef","meta_bytes":1}` + "\n\xff"},
	} {
		if got := seal(at, mark, []byte(c.meta)); string(got) != c.want {
			t.Errorf("meta %q:\n got %s\nwant %s", c.meta, got, c.want)
		}
	}
}

func TestEnvelopeGivesBackWhatWentIn(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		meta := rapid.OneOf(
			rapid.SliceOf(rapid.Byte()),
			rapid.Map(rapid.SampledFrom([]string{`{}`, `null`, `"}"`, ` {"a":1}`, `}`, "}\n", `","meta":`, `{"meta_bytes":3}`}), func(s string) []byte { return []byte(s) }),
		).Draw(t, "meta")
		at := time.UnixMicro(rapid.Int64Range(-6e16, 2e17).Draw(t, "at")).UTC()
		mark := newMark()
		gotAt, gotMark, got, ok := open(seal(at, mark, meta))
		if !ok || !gotAt.Equal(at) || gotMark != mark || !bytes.Equal(got, meta) {
			t.Fatalf("%q at %s: got %q at %s, %v", meta, at, got, gotAt, ok)
		}
	})
}

func TestNotAnEnvelope(t *testing.T) {
	t.Parallel()
	whole := seal(time.Unix(0, 0), newMark(), []byte("plain"))
	for i := range whole {
		if _, _, _, ok := open(whole[:i]); ok {
			t.Errorf("the first %d bytes pass for an envelope", i)
		}
	}
	for _, s := range []string{"", "{}", `{"$correlationId":"x"}`, string(whole) + "x", strings.Replace(string(whole), "1970-01", "1970-13", 1), strings.Repeat("x", 300)} {
		if _, _, _, ok := open([]byte(s)); ok {
			t.Errorf("%q passes for an envelope", s)
		}
	}
}

func TestParseURL(t *testing.T) {
	t.Parallel()
	const secret = "s3cret"
	for _, c := range []struct {
		url      string
		insecure bool
		want     string // part of the refusal; empty: taken
	}{
		{url: "esdb://127.0.0.1:2113?tls=false"},
		{url: "esdb://localhost?tls=false"},
		{url: "kurrentdb://localhost:2113?tls=false"},
		{url: "esdb://log.example:2113"},
		{url: "esdb+discover://ledger:" + secret + "@cluster.example:2113"},
		{url: "kurrentdb+discover://ledger:" + secret + "@cluster.example:2113?nodePreference=leader&gossipTimeout=3"},
		{url: "esdb://ledger:" + secret + "@a.example:2113,b.example:2113,c.example:2113?defaultDeadline=5000&keepAliveInterval=10000"},
		{url: "esdb://log.example:2113?tls=false", insecure: true},
		{url: "esdb://log.example:2113?tlsVerifyCert=false", insecure: true},
		{url: "", want: "want esdb://"},
		{url: "http://localhost:2113", want: "want esdb://"},
		{url: "esdb://", want: "host is empty"},
		{url: "esdb://a.example,,b.example", want: "host is empty"},
		{url: "esdb://[::1]:2113?tls=false", want: "IPv6"},
		{url: "esdb://::1?tls=false", want: "empty"},
		{url: "esdb://fe80::1?tls=false", want: "IPv6"},
		{url: "esdb://localhost:99999?tls=false", want: "not a number from 1 to 65535"},
		{url: "esdb://log.example:2113?tls=false", want: "in the clear"},
		{url: "esdb://ledger:" + secret + "@localhost:2113?tls=false", want: "never sends user and password"},
		{url: "esdb://ledger@log.example", want: "without a password"},
		{url: "esdb://ledger:" + secret + "%zz@log.example", want: "special characters"},
		{url: "esdb://log.example?tlsVerifyCert=false", want: "trust any server"},
		{url: "esdb://log.example?nodePreference=follower", want: "needs the leader"},
		{url: "esdb://log.example?keepAliveInterval=-1", want: "never be noticed"},
		{url: "esdb://log.example?gossipTimeout=5000", want: "in seconds"},
		{url: "esdb://log.example?defaultDeadline=soon", want: "milliseconds"},
		{url: "esdb://log.example?tlsCaFiel=x", want: "tlsCaFiel is not known"},
		{url: "esdb://log.example?tls=true&TLS=false", want: "twice"},
		{url: "esdb://log.example?tls=maybe", want: "true or false"},
		{url: "esdb://log.example?tlsCaFile=/nowhere/ca.pem", want: "/nowhere/ca.pem"},
		{url: "esdb://log.example?userCertFile=/nowhere/user.pem", want: "userKeyFile"},
	} {
		_, err := parseURL(c.url, c.insecure)
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s: %v", c.url, err)
		case c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want) || !errors.Is(err, eventlog.ErrInvalid)):
			t.Errorf("%s: got %v, want a refusal with %q", c.url, err, c.want)
		case err != nil && strings.Contains(err.Error(), secret):
			t.Errorf("%s: the message gives the password away: %v", c.url, err)
		}
	}
}

func TestStampsAreBounded(t *testing.T) {
	t.Parallel()
	s := newStamps()
	for i := range 2 * stampsKept {
		s.know(fmt.Sprint("unit-", i), 0, time.Unix(int64(i), 0))
	}
	if len(s.streams) > stampsKept {
		t.Errorf("%d streams are remembered", len(s.streams))
	}
}

// Given the process's log with SurviveClient before it, then what is not the client's last words goes through.
func TestOtherLinesAreLogged(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if n, err := (lastWords{&out}).Write([]byte("http: another line\n")); n != 19 || err != nil || out.String() != "http: another line\n" {
		t.Errorf("%d, %v, %q", n, err, out.String())
	}
}
