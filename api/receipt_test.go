package api

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/schemas"
	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/signing/enrolled"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/receipts"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
)

// evident gives a world a transparency log and a judge of signatures. sign signs for what was recorded by then.
func evident(t *testing.T, w *world) (policy *transparency.Policy, sign func()) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	const origin = "ledger.example/test"
	dir := t.TempDir()
	key, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	must(err)
	salts, err := transparency.NewSaltKey(bytes.NewReader(bytes.Repeat([]byte{2}, 32)))
	must(err)
	policy, err = transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", key))
	must(err)
	tree, err := treestore.Open(t.Context(), treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	must(err)
	must(treestore.CreateGuard(filepath.Join(dir, "guard")))
	guard, err := treestore.OpenGuard(filepath.Join(dir, "guard"))
	must(err)
	t.Cleanup(func() { tree.Close(); guard.Close() })
	seq, err := sequencer.New(t.Context(), sequencer.Options{Log: w.log, Tree: tree, Guard: guard, Salts: salts, Keys: []transparency.SigningKey{key}, Clock: w.clock.Now,
		Header: func(e eventlog.Recorded) (time.Time, string, error) {
			at, actor := schemas.Header(e.Meta)
			return at, string(actor), nil
		}})
	must(err)
	judge, err := enrolled.New(enrolled.Config{}, func(s string) string { return s })
	must(err)
	w.ledger.JudgeSignatures(judge)
	config := w.handler.Config
	config.Metrics = prometheus.NewRegistry()
	config.Evidence = receipts.New(receipts.Options{Log: w.log, Tree: tree, Maker: seq, Policy: policy})
	w.handler, err = New(config)
	must(err)
	return policy, func() {
		t.Helper()
		if _, err := seq.Force(context.WithoutCancel(t.Context())); err != nil {
			t.Fatal(err)
		}
	}
}

func TestReceiptsGetBetter(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	policy, sign := evident(t, w)
	sign()
	recorded := w.submit()
	if len(recorded.Receipts) != 1 || recorded.Receipts[0] != "/v1/receipts/"+recorded.EventIDs[0] {
		t.Fatalf("receipts %q for events %q", recorded.Receipts, recorded.EventIDs)
	}
	verify := func(status int, level transparency.Level, opening *transparency.Opening) {
		t.Helper()
		r := w.want(ask{path: recorded.Receipts[0]}, status) // whoever holds the slip of paper may ask
		if got := r.Header().Get("Answerable-Evidence"); got != level.String() {
			t.Errorf("the header says %q, want %s", got, level)
		}
		v, err := transparency.VerifyReceipt(r.Body.Bytes(), policy, transparency.ReceiptOptions{Opening: opening})
		if err != nil || v.Level != level || v.Leaf.EventID.String() != recorded.EventIDs[0] || v.Leaf.Actor != "filer" {
			t.Errorf("%v: %+v", err, v)
		}
		if n := r.Body.Len(); n > receipts.MaxQRBytes {
			t.Errorf("%d bytes do not fit a QR code", n)
		}
	}
	opened := decodeOpening(t, w.want(ask{as: "filer", path: "/v1/openings/" + recorded.EventIDs[0]}, 200).Body.Bytes())
	verify(202, transparency.Recorded, &opened)
	sign()
	verify(200, transparency.Logged, &opened)

	status := decodeInto[EvidenceStatus](t, w.want(ask{path: "/v1/evidence"}, 200))
	if status.Level != "logged" || status.Asked || status.Witnessed != 0 || status.Waiting != status.Entries || status.Signed != status.Entries {
		t.Errorf("%+v", status)
	}
	for path, cache := range map[string]string{"/log/checkpoint": "public, max-age=1", "/log/tile/entries/000.p/" + fmt.Sprint(status.Entries): "public, max-age=31536000, immutable"} {
		if r := w.want(ask{path: path}, 200); r.Header().Get("Cache-Control") != cache {
			t.Errorf("%s: %v", path, r.Header())
		}
	}
	w.want(ask{path: "/log/tile/entries/000.p/" + fmt.Sprint(status.Entries+1)}, 404)
	w.want(ask{path: "/v1/receipts/0b3f1e5c-0000-5000-8000-000000000000"}, 404)
	if r := w.want(ask{path: "/v1/evidence/policy"}, 200); r.Body.String() != policy.String() {
		t.Error(r.Body)
	}
}

func decodeOpening(t *testing.T, b []byte) (o transparency.Opening) {
	t.Helper()
	if err := json.Unmarshal(b, &o); err != nil {
		t.Fatal(err)
	}
	return o
}

// An opening shows what its event says, so it is for those who may read the event, and for who made it.
func TestWhoMayOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	evident(t, w)
	submitted := w.submit().EventIDs[0]
	first := func(stream, kind string) string {
		for e, err := range w.log.ReadStream(t.Context(), stream, 0) {
			if err != nil {
				t.Fatal(err)
			}
			if e.Kind == kind {
				return e.ID.String()
			}
		}
		t.Fatalf("%s holds no %s", stream, kind)
		return ""
	}
	anybody := "own other far head above district district_far department inspector admin"
	for event, who := range map[string]string{
		submitted:                                         "own head above district department inspector deputy",
		first("person-head", "PersonRegistered"):          "head inspector admin",
		first("office-25741", "OfficeTaken"):              anybody,
		first("regimeday-bluezone.20210208", "DayOpened"): anybody,
		first("regime-bluezone", "RegimeIssued"):          anybody,
		first("unit-25741", "UnitRegistered"):             anybody,
	} {
		for name, person := range callers() {
			r := w.ask(ask{as: person, path: "/v1/openings/" + event})
			if got, want := r.Code == http.StatusOK, slices.Contains(strings.Fields(who), name); got != want {
				t.Errorf("%s as %s: %d, want %t", event, name, r.Code, want)
			}
		}
	}
}

// Who has a key signs with it, over the statement the ledger gave, once.
func TestSignOffsAreSigned(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	_, sign := evident(t, w)
	w.submit()
	sign()
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public, err := signing.EncodePublicKey(key.Public(), signing.MethodEd25519)
	if err != nil {
		t.Fatal(err)
	}
	id, err := signing.KeyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	path := reportURL + "/sign-offs"
	statement := func() Statement {
		return decodeInto[Statement](t, w.want(ask{as: "head", path: reportURL + "/statement"}, 200))
	}
	body := func(s Statement, by ed25519.PrivateKey) string {
		b, err := json.Marshal(map[string]any{"statement": s.Statement, "signature": signing.SignEd25519(by, id, []byte(s.Statement))})
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	refused := func(status int, code, key, body string) {
		t.Helper()
		if p := decodeInto[Problem](t, w.want(ask{as: "head", method: "POST", path: path, key: key, body: body}, status)); p.Code != code {
			t.Errorf("%s: %s, want %s", p.Code, p.Detail, code)
		}
	}
	s := statement()
	if s.CheckpointSeen == "" || s.Nonce == "" || !strings.Contains(s.Statement, `"checkpoint":"`+s.CheckpointSeen+`"`) {
		t.Errorf("%+v", s)
	}
	refused(403, "credential_unknown", "", body(s, key)) // not enrolled yet
	w.want(ask{as: "head", method: "POST", path: "/v1/persons/head/credentials", body: fmt.Sprintf(`{"credential":%q,"method":"ed25519","public_key":%q}`, id, public)}, 201)
	refused(403, "signature_missing", "", fmt.Sprintf(`{"version":1,"digest":%q}`, s.Digest))
	refused(422, "nonce", "", body(s, key)) // it was used, if in vain
	refused(403, "signature_refused", "", body(statement(), ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32))))
	w.clock.Set(w.clock.Now().Add(time.Minute))
	old := statement()
	w.clock.Set(w.clock.Now().Add(statementTime))
	refused(422, "nonce", "", body(old, key))
	own := decodeInto[Statement](t, w.want(ask{as: "head", path: reportURL + "/statement?nonce=mine"}, 200))
	refused(422, "nonce", "", body(own, key))
	for _, at := range []string{"1 AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "somewhere"} { // an audit takes it for a fork
		if p := decodeInto[Problem](t, w.want(ask{as: "head", path: reportURL + "/statement?checkpoint=" + url.QueryEscape(at)}, 422)); p.Code != "checkpoint_seen" {
			t.Errorf("%s: %s, want checkpoint_seen", p.Code, p.Detail)
		}
		refused(422, "checkpoint_seen", "", fmt.Sprintf(`{"version":1,"digest":%q,"checkpoint_seen":%q}`, s.Digest, at))
	}

	good := body(statement(), key)
	w.want(ask{as: "head", method: "POST", path: path, key: "sign-1", body: good}, 201)
	if r := w.want(ask{as: "head", method: "POST", path: path, key: "sign-1", body: good}, 201); r.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the repeat was not recognised")
	}
	refused(422, "nonce", "sign-2", good) // a replayed signature
	for e, err := range w.log.ReadStream(t.Context(), "report-bluezone.commune.25741.20210208", 1) {
		if err != nil {
			t.Fatal(err)
		}
		var x domain.ReportSignedOff
		if err := json.Unmarshal(e.Data, &x); err != nil || x.Signature == nil {
			t.Fatalf("%v: %s", err, e.Data)
		}
		if _, err := signing.Verify(signing.Credential{ID: id, Method: "ed25519", PublicKey: public}, []byte(x.Statement), signing.Signature(*x.Signature), signing.Policy{}); err != nil {
			t.Error(err)
		}
	}
}

// A signature that nobody can judge is not recorded.
func TestSignatureWithoutAJudge(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	w.submit()
	report, err := w.ledger.Report(t.Context(), domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay})
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.ledger.SignOff(t.Context(), commands.Command{ID: domain.NewCommandID("x"), Actor: "head"}, report.Key,
		domain.SigningAttempt{Version: 1, Digest: report.Versions[0].Digest, Signature: &domain.Signature{Method: "ed25519", Credential: "x", Signature: "eA=="}})
	if e, ok := err.(*domain.Error); !ok || e.Code() != domain.CodeSignatureRefused {
		t.Error(err)
	}
}
