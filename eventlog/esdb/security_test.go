package esdb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

// secured starts a server with TLS and users, and gives connection strings for them.
func secured(t *testing.T) (server *esdbtest.Server, as func(user, password string) string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	server = startServer(t, esdbtest.Options{
		TLS:   &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}},
		Users: map[string]string{"admin": "top", "ledger": "p@ss:wörd", "other": "other"},
	})
	return server, func(user, password string) string {
		u := url.URL{Scheme: "esdb", User: url.UserPassword(user, password), Host: server.Address(), RawQuery: url.Values{"tlsCaFile": {authority}}.Encode()}
		return u.String()
	}
}

func TestWhoMayDoWhat(t *testing.T) {
	t.Parallel()
	_, as := secured(t)
	ledgerURL := as("ledger", "p@ss:wörd")

	if _, err := esdb.Open(within(t, long), esdb.Options{URL: as("ledger", "wrong")}); err == nil || !strings.Contains(err.Error(), "user and password") {
		t.Errorf("wrong password: %v", err)
	}
	if _, err := esdb.Open(within(t, long), esdb.Options{URL: ledgerURL}); err == nil || !strings.Contains(err.Error(), "$all") {
		t.Errorf("before the right to follow was granted: %v", err)
	}
	administrator := openLog(t, esdb.Options{URL: as("admin", "top")})
	if _, err := administrator.Protect(within(t, long), "ledger"); err != nil {
		t.Fatal(err)
	}
	log := openLog(t, esdb.Options{URL: ledgerURL})
	mustAppend(t, log, "unit-1", 0, "a", "b")
	if events := eventlogtest.CheckLog(t, log, gapped); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
	if changed, err := log.Protect(within(t, long), "other"); !errors.Is(err, eventlog.ErrUnavailable) && !errors.Is(err, eventlog.ErrReadOnly) || changed {
		t.Errorf("the ledger's own user changed the lists: %v, %v", changed, err)
	}
	for user, connection := range map[string]string{"ledger": ledgerURL, "other": as("other", "other")} {
		config, err := client.ParseConnectionString(connection)
		if err != nil {
			t.Fatal(err)
		}
		config.Logger = client.NoopLogging()
		c, err := client.NewClient(config)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		ctx := within(t, long)
		var truncated client.StreamMetadata
		truncated.SetTruncateBefore(1)
		_, deleteErr := c.DeleteStream(ctx, "unit-1", client.DeleteStreamOptions{ExpectedRevision: client.Any{}})
		_, tombstoneErr := c.TombstoneStream(ctx, "unit-1", client.TombstoneStreamOptions{ExpectedRevision: client.Any{}})
		_, truncateErr := c.SetStreamMetadata(ctx, "unit-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, truncated)
		for what, err := range map[string]error{"delete": deleteErr, "tombstone": tombstoneErr, "truncate": truncateErr} {
			// Truncating is an append of metadata, and a refused append may lose its reason to the end of the stream it
			// was sent on (the client's own defect): then it is an error all the same, and the events below are there.
			var e *client.Error
			denied := errors.As(err, &e) && e.IsErrorCode(client.ErrorCodeAccessDenied)
			if !denied && (what != "truncate" || err == nil) {
				t.Errorf("%s may %s: %v", user, what, err)
			}
		}
		_, err = c.AppendToStream(ctx, "unit-1", client.AppendToStreamOptions{ExpectedRevision: client.Any{}}, client.EventData{EventType: "X"})
		if (err == nil) != (user == "ledger") {
			t.Errorf("append as %s: %v", user, err)
		}
	}
	for e, err := range log.ReadStream(within(t, long), "unit-1", 0) {
		if err != nil || e.Revision != 0 {
			t.Errorf("after all attempts the stream begins with revision %d, %v", e.Revision, err)
		}
		break
	}
}

func TestCertificateOfAnotherAuthority(t *testing.T) {
	t.Parallel()
	server, _ := secured(t)
	log := openLog(t, esdb.Options{URL: "esdb://admin:top@" + server.Address(), Patience: time.Nanosecond})
	if _, err := log.Head(within(t, long)); !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("got %v", err)
	}
}
