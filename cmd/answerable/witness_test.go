package main

import (
	"archive/zip"
	"bytes"
	"crypto/ed25519"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/api"
	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

// runNotary runs the outsider's program and returns what it says, wanting an exit code.
func runNotary(t *testing.T, code int, args ...string) string {
	t.Helper()
	path, err := notaryProgram()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	got := 0
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else if err != nil {
		t.Fatal(err)
	}
	if got != code {
		t.Errorf("notary %q exits with %d, want %d:\n%s", args, got, code, out)
	}
	return string(out)
}

// A witness makes receipts better; when it is down nothing waits for it, and the receipts say so.
func TestWitnessesMakeReceiptsBetter(t *testing.T) {
	t.Parallel()
	dir := newLedger(t)
	p, _, err := readEvidence(dir)
	if err != nil {
		t.Fatal(err)
	}
	own, err := p.readPolicy()
	if err != nil {
		t.Fatal(err)
	}
	key, err := transparency.NewSigningKey("thanhtra.example/w", transparency.AlgCosignatureV1, bytes.NewReader(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	w, err := witness.New(witness.Options{Dir: t.TempDir(), Key: key, Logs: own.LogKeys(), Now: time.Now})
	if err != nil {
		t.Fatal(err)
	}
	asked := httptest.NewServer(w.Handler())
	defer asked.Close()
	policy := filepath.Join(dir, policyFile)
	text := strings.Replace(own.String(), "quorum none", "witness thanhtra "+key.String()+" "+asked.URL+"\nquorum thanhtra", 1)
	if err := os.WriteFile(policy, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	state, err := appstate.Open(t.Context(), filepath.Join(dir, stateFile), appstate.Options{})
	if err != nil {
		t.Fatal(err)
	}
	secret, _, err := state.CreateToken(t.Context(), appstate.NewToken{Person: "admin", Scope: appstate.ScopeWrite})
	if err = errors.Join(err, state.Close()); err != nil {
		t.Fatal(err)
	}
	server := startServer(t, dir)
	call := func(method, path, body string) (*http.Response, []byte) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+server.address+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+secret)
		r.Header.Set("Idempotency-Key", path)
		r.Header.Set("Content-Type", "application/json")
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		b, err := io.ReadAll(res.Body)
		if err != nil {
			t.Fatal(err)
		}
		return res, b
	}
	person := func(id string) string {
		t.Helper()
		res, b := call(http.MethodPost, "/v1/persons/"+id, `{"name":"Người mới"}`)
		var recorded api.Recorded
		if err := json.Unmarshal(b, &recorded); err != nil || res.StatusCode != http.StatusCreated || len(recorded.Receipts) != 1 {
			t.Fatalf("%v: %s %s", err, res.Status, b)
		}
		return recorded.Receipts[0]
	}
	until := func(path, level string) []byte {
		t.Helper()
		for { // the test's own time ends it
			if res, b := call(http.MethodGet, path, ""); res.Header.Get("Answerable-Evidence") == level {
				return b
			}
		}
	}
	first := until(person("p_1"), "witnessed")
	receipt := filepath.Join(t.TempDir(), "bien-nhan.tlog-proof")
	if err := os.WriteFile(receipt, first, 0o644); err != nil {
		t.Fatal(err)
	}
	later := time.Now().Add(time.Hour).Format(time.RFC3339)
	if said := runNotary(t, 0, "verify", receipt, "--policy", policy, "--forget", "--not-after", later, "--lang", "vi"); !strings.Contains(said, "ĐÃ CHỨNG MINH") {
		t.Error(said)
	}
	runNotary(t, 0, "audit", "http://"+server.address+"/log", "--policy", policy, "--forget")

	asked.Close()
	pending := until(person("p_2"), "logged")
	if err := os.WriteFile(receipt, pending, 0o644); err != nil {
		t.Fatal(err)
	}
	if said := runNotary(t, 1, "verify", receipt, "--policy", policy, "--forget", "--lang", "vi"); !strings.Contains(said, "CHƯA ĐỦ NHÂN CHỨNG") {
		t.Error(said)
	}
	var status api.EvidenceStatus
	_, b := call(http.MethodGet, "/v1/evidence", "")
	if err := json.Unmarshal(b, &status); err != nil || !status.Asked || status.Waiting == 0 || status.Level != "logged" {
		t.Errorf("%v: %s", err, b)
	}
	server.stop(t)
	mustRun(t, "verify", "--data", dir)
}

// signedDemo is a demonstration in which a head signed with a key of their own, and the bundle of that unit.
func signedDemo(t *testing.T) (dir, bundle string) {
	t.Helper()
	dir = filepath.Join(t.TempDir(), "demo")
	if err := copyDir(sharedDemo(t), dir); err != nil {
		t.Fatal(err)
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	at := time.Date(2021, 2, 13, 3, 0, 0, 0, time.UTC)
	now := func() time.Time { at = at.Add(time.Second); return at }
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: now, lang: domain.English}
	n, err := a.openNode(t.Context(), dir, now)
	must(err)
	p, _, err := readEvidence(dir)
	must(err)
	must(n.judgeSignatures(p))
	must(n.views.CatchUp(t.Context()))
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	public, err := signing.EncodePublicKey(key.Public(), signing.MethodEd25519)
	must(err)
	id, err := signing.KeyID(key.Public())
	must(err)
	units, err := n.ledger.Units(t.Context())
	must(err)
	var signed domain.ReportKey
	for _, u := range units {
		if signed.Unit != "" {
			break
		}
		queue, err := n.views.SignOffQueue(t.Context(), projections.SignOffQuery{Regime: "bluezone", Units: []domain.UnitCode{u.Code}, Limit: 100})
		must(err)
		office, err := n.ledger.Office(t.Context(), u.Code)
		must(err)
		head, ok := office.HeadAt(at)
		if !ok || len(queue.Rows) == 0 {
			continue
		}
		row := queue.Rows[0]
		report := domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date}
		_, err = n.ledger.EnrollCredential(t.Context(), commands.Command{ID: domain.NewCommandID("enrol", string(head.Person)), Actor: head.Person, Channel: domain.ChannelAPI},
			domain.CredentialEnrolled{Person: head.Person, Credential: id, Method: signing.MethodEd25519, PublicKey: public})
		must(err)
		text, v, err := n.ledger.Statement(t.Context(), head.Person, report, "", "nonce-1")
		must(err)
		attempt := domain.SigningAttempt{Version: v.Number, Digest: v.Digest, Nonce: "nonce-1", Statement: text}
		sign := func(name string) error {
			_, err := n.ledger.SignOff(t.Context(), commands.Command{ID: domain.NewCommandID("sign", name), Actor: head.Person, Channel: domain.ChannelAPI}, report, attempt)
			return err
		}
		if err := sign("unsigned"); !errors.Is(err, domain.Refuse(domain.Forbidden, domain.CodeSignatureMissing, "")) {
			t.Errorf("who has a key signs with it: %v", err)
		}
		s := domain.Signature(signing.SignEd25519(key, id, []byte(text)))
		attempt.Signature = &s
		must(sign("signed"))
		signed = report
	}
	if signed.Unit == "" {
		t.Fatal("no report waits for a head who is in office")
	}
	must(n.views.CatchUp(t.Context()))
	must(a.signOnce(t.Context(), n))
	must(n.close())
	bundle = filepath.Join(t.TempDir(), "ho-so.zip")
	mustRun(t, "export", "--data", dir, "--evidence", "--unit", string(signed.Unit), "--from", "2021-02-05", "--to", "2021-02-10", "-o", bundle)
	return dir, bundle
}

// A bundle shows who signed, provably; whoever changes a part of it and packs it again contradicts the rest.
func TestBundlesAreCheckedByTheirParts(t *testing.T) {
	t.Parallel()
	dir, bundle := signedDemo(t)
	policy := filepath.Join(dir, policyFile)
	said := runNotary(t, 0, "verify", bundle, "--policy", policy, "--forget", "--json")
	if !strings.Contains(said, `"signed":1`) || !strings.Contains(said, `"signatures_not_judged":0`) {
		t.Error(said)
	}
	whole, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	var m documents.Manifest
	if err := json.Unmarshal(unpacked(t, whole)["bundle.json"], &m); err != nil {
		t.Fatal(err)
	}
	entry := func(kind string) documents.ManifestEntry {
		for _, e := range m.Entries {
			if e.Kind == kind {
				return e
			}
		}
		t.Fatalf("the bundle has no %s", kind)
		return documents.ManifestEntry{}
	}
	// without leaves an entry out, of the manifest too.
	without := func(files map[string][]byte, id string) {
		left := m
		left.Entries = nil
		for _, e := range m.Entries {
			if e.EventID != id {
				left.Entries = append(left.Entries, e)
			}
		}
		b, err := json.Marshal(left)
		if err != nil {
			t.Fatal(err)
		}
		files["bundle.json"] = b
		delete(files, "receipts/"+id+".tlog-proof")
		delete(files, "openings/"+id+".opening.json")
	}
	for name, c := range map[string]struct {
		change func(map[string][]byte)
		kind   string
	}{
		"another head": {func(f map[string][]byte) {
			f["answers.json"] = bytes.ReplaceAll(f["answers.json"], []byte(`"id": "head_`), []byte(`"id": "head_x_`))
		}, "bundle"},
		"another figure": {func(f map[string][]byte) {
			f["answers.json"] = bytes.Replace(f["answers.json"], []byte(`"value": `), []byte(`"value": 9`), 1)
		}, "bundle"},
		"the key left out":      {func(f map[string][]byte) { without(f, entry("CredentialEnrolled").EventID) }, "signature"},
		"a submission left out": {func(f map[string][]byte) { without(f, entry("ReportSubmitted").EventID) }, "sequence"},
		"a receipt left out":    {func(f map[string][]byte) { delete(f, "receipts/"+entry("ReportSubmitted").EventID+".tlog-proof") }, "malformed"},
		"a checkpoint left out": {func(f map[string][]byte) { f["checkpoints"] = nil }, "bundle"},
		"a file nobody names":   {func(f map[string][]byte) { f["note.txt"] = []byte("x") }, "malformed"},
		"an opening of another's": {func(f map[string][]byte) {
			f["openings/"+entry("ReportSubmitted").EventID+".opening.json"] = f["openings/"+entry("ReportSignedOff").EventID+".opening.json"]
		}, "commitment"},
	} {
		files := unpacked(t, whole)
		c.change(files)
		var b bytes.Buffer
		if err := documents.WriteFiles(&b, files); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "changed.zip")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := runNotary(t, 1, "verify", path, "--policy", policy, "--forget", "--json"); !strings.Contains(said, `"fault":"`+c.kind+`"`) {
			t.Errorf("%s: %s", name, said)
		}
	}
}

// unpacked is what a bundle holds, by name.
func unpacked(t *testing.T, bundle []byte) map[string][]byte {
	t.Helper()
	z, err := zip.NewReader(bytes.NewReader(bundle), int64(len(bundle)))
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if files[f.Name], err = io.ReadAll(r); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
