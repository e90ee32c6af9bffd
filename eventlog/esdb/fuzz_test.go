package esdb

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/answerable-ledger/answerable/eventlog"
)

// A connection string is taken or refused as invalid; the password is in no message, and plain text goes to no other
// machine unless that was allowed.
func FuzzParseURL(f *testing.F) {
	for _, s := range []string{
		"esdb://localhost:2113?tls=false", "esdb://admin:changeit@db.example:2113", "esdb+discover://a:1,b:2,c:3?nodePreference=leader", "kurrentdb://db.example:2113",
		"esdb://u:p%40ss@h:2113?tlsCaFile=/etc/ca.pem", "esdb://h:0", "esdb://[::1]:2113", "esdb://h?tls=false&TLS=true", "esdb://h?gossipTimeout=5&defaultDeadline=100&keepAliveInterval=-1",
		"esdb://u@h", "esdb://", "esdb:///", "http://h", "esdb://h:2113/path", "esdb://h?%zz", "esdb://u:p@h?tlsVerifyCert=false", "", "esdb://u:%@h",
	} {
		f.Add(s, "")
	}
	f.Add("esdb://ledger:", "hunter2hunter2")
	f.Fuzz(func(t *testing.T, raw, password string) {
		if password != "" {
			raw += password + "@db.example:2113"
		}
		config, err := parseURL(raw, false)
		if err != nil {
			if !errors.Is(err, eventlog.ErrInvalid) {
				t.Fatalf("refused, and not as invalid: %v", err)
			}
			if len(password) > 7 && strings.HasPrefix(raw, "esdb://ledger:") && strings.Contains(err.Error(), password) {
				t.Fatalf("the message holds the password: %v", err)
			}
			return
		}
		if config == nil {
			t.Fatal("neither taken nor refused")
		}
		if config.DisableTLS && config.Address != "" && !strings.HasPrefix(config.Address, "localhost") && !strings.HasPrefix(config.Address, "127.") {
			t.Fatalf("plain text to %s", config.Address)
		}
	})
}

// What open takes apart lies within the bytes it was given, and says of the metadata what seal was given.
func FuzzEnvelope(f *testing.F) {
	at := time.Date(2021, 2, 8, 7, 59, 59, 123456000, time.UTC)
	for _, meta := range []string{"", `{"actor":"p_1"}`, "{ }", "\x00\xff", `"}`, "}\n"} {
		f.Add(seal(at, "0123456789abcdef", []byte(meta)), []byte(meta), at.UnixMicro())
	}
	f.Add([]byte(`{"answerable_recorded_at":"2021-02-08T07:59:59.123456Z","append":"0123456789abcdef","meta_bytes":2}`+"\nab"), []byte("ab"), int64(0))
	f.Add([]byte(`{"$correlationId":"x"}`), []byte(nil), int64(-1))
	f.Fuzz(func(t *testing.T, b, meta []byte, micro int64) {
		if at, mark, inside, ok := open(b); ok {
			if at.Location() != time.UTC || len(mark) != markLength || !bytes.Contains(b, inside) {
				t.Fatalf("%v, %q, %q of %q", at, mark, inside, b)
			}
		}
		at := time.UnixMicro(micro).UTC()
		if at.Year() < 1 || at.Year() > 9999 {
			return // no clock gives it
		}
		sealed := seal(at, "0123456789abcdef", meta)
		got, mark, inside, ok := open(sealed)
		if !ok || !got.Equal(at) || mark != "0123456789abcdef" || !bytes.Equal(inside, meta) {
			t.Fatalf("%q came back as %v, %q, %q, %t", sealed, got, mark, inside, ok)
		}
		if isJSON(meta) && !utf8.Valid(sealed) {
			t.Fatalf("the server is given what is not UTF-8: %q", sealed)
		}
	})
}
