package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/smallstep/pkcs7"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/documents"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// testSigner is a person's key: what is enrolled of it, and how it signs.
type testSigner struct {
	method, id, public string
	sign               func(statement string) domain.Signature
}

func b64Of(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// testSigners has one of each method; roots is the file of certificates the CMS leads to.
func testSigners(t *testing.T, origin, host string) (of map[string]testSigner, roots string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	of = map[string]testSigner{}
	machine := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{5}, 32))
	public, err := signing.EncodePublicKey(machine.Public(), signing.MethodEd25519)
	must(err)
	id, err := signing.KeyID(machine.Public())
	must(err)
	of[signing.MethodEd25519] = testSigner{signing.MethodEd25519, id, public, func(s string) domain.Signature {
		return domain.Signature(signing.SignEd25519(machine, id, []byte(s)))
	}}

	passkey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	public, err = signing.EncodePublicKey(passkey.Public(), signing.MethodWebAuthn)
	must(err)
	of[signing.MethodWebAuthn] = testSigner{signing.MethodWebAuthn, "cGFzc2tleQ", public, func(s string) domain.Signature {
		client := fmt.Appendf(nil, `{"type":"webauthn.get","challenge":%q,"origin":%q}`, base64.RawURLEncoding.EncodeToString(signing.Challenge([]byte(s))), origin)
		party := sha256.Sum256([]byte(host))
		data := append(party[:], 0x05, 0, 0, 0, 1) // present and verified, the first signature
		clientSum := sha256.Sum256(client)
		sum := sha256.Sum256(append(slices.Clone(data), clientSum[:]...))
		signature, err := ecdsa.SignASN1(rand.Reader, passkey, sum[:])
		must(err)
		return domain.Signature{Method: signing.MethodWebAuthn, Credential: "cGFzc2tleQ", Signature: b64Of(signature), ClientData: b64Of(client), AuthenticatorData: b64Of(data)}
	}}

	now := time.Now()
	rootKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	card, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	certify := func(c, parent *x509.Certificate, key *ecdsa.PrivateKey) *x509.Certificate {
		c.NotBefore, c.NotAfter, c.BasicConstraintsValid = now.AddDate(-1, 0, 0), now.AddDate(1, 0, 0), true
		der, err := x509.CreateCertificate(rand.Reader, c, parent, key.Public(), rootKey)
		must(err)
		out, err := x509.ParseCertificate(der)
		must(err)
		return out
	}
	top := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Test Root"}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}
	root := certify(top, top, rootKey)
	own := certify(&x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "Chủ tịch"}, KeyUsage: x509.KeyUsageDigitalSignature}, root, card)
	public, err = signing.EncodePublicKey(card.Public(), signing.MethodCMS)
	must(err)
	cmsID, err := signing.KeyID(card.Public())
	must(err)
	of[signing.MethodCMS] = testSigner{signing.MethodCMS, cmsID, public, func(s string) domain.Signature {
		data, err := pkcs7.NewSignedData([]byte(s))
		must(err)
		data.SetDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256)
		must(data.AddSigner(own, card, pkcs7.SignerInfoConfig{}))
		data.Detach()
		der, err := data.Finish()
		must(err)
		return domain.Signature{Method: signing.MethodCMS, Credential: cmsID, Signature: b64Of(der)}
	}}
	roots = filepath.Join(t.TempDir(), "roots.pem")
	must(os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: root.Raw}), 0o600))
	return of, roots
}

// Given reports signed off with a passkey, with a certificate and with a plain key, and corrections that machines signed,
// when their units' bundles are verified offline, then each signature is judged by whose keys the verifier trusts; and
// whoever changes what was signed and packs it again is found.
func TestBundlesHoldEveryKindOfSignature(t *testing.T) {
	t.Parallel()
	const site, host = "https://ledger.example", "ledger.example"
	signers, roots := testSigners(t, site, host)
	dir := filepath.Join(t.TempDir(), "demo")
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(copyDir(sharedDemo(t), dir))
	// Certificates carry the time of the machine, so the ledger's clock is it too.
	at := time.Now().UTC()
	now := func() time.Time { at = at.Add(time.Second); return at }
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: now, lang: domain.English}
	n, err := a.openNode(t.Context(), dir, now)
	must(err)
	p, _, err := readEvidence(dir)
	must(err)
	p.Signing.Origins, p.Signing.RPIDs, p.Signing.Roots = []string{site}, []string{host}, roots
	must(n.judgeSignatures(p))
	must(n.views.CatchUp(t.Context()))
	units, err := n.ledger.Units(t.Context())
	must(err)
	command := func(name string, by domain.PersonID) commands.Command {
		return commands.Command{ID: domain.NewCommandID("signed", name, string(by)), Actor: by, Channel: domain.ChannelAPI}
	}
	enrol := func(by domain.PersonID, s testSigner) {
		t.Helper()
		_, err := n.ledger.EnrollCredential(t.Context(), command("enrol", by), domain.CredentialEnrolled{Person: by, Credential: s.id, Method: s.method, PublicKey: s.public})
		must(err)
	}
	machine := signers[signing.MethodEd25519]
	unitOf := map[string]domain.UnitCode{}
	// The last of the three is replayed: its head signs a later version under the same nonce.
	const replayed = "replayed"
	signers[replayed] = machine
	left := []string{signing.MethodWebAuthn, signing.MethodCMS, signing.MethodEd25519, replayed}
	for _, u := range units {
		if len(left) == 0 {
			break
		}
		queue, err := n.views.SignOffQueue(t.Context(), projections.SignOffQuery{Regime: "bluezone", Units: []domain.UnitCode{u.Code}, Limit: 100})
		must(err)
		office, err := n.ledger.Office(t.Context(), u.Code)
		must(err)
		head, ok := office.HeadAt(at)
		i := slices.IndexFunc(queue.Rows, func(r projections.QueueRow) bool { return r.Form == "commune" })
		if !ok || i < 0 {
			continue
		}
		row := queue.Rows[i]
		report := domain.ReportKey{Regime: row.Regime, Form: row.Form, Unit: row.Unit, Date: row.Date}
		turn := left[0]
		s := signers[turn]
		left = left[1:]
		unitOf[turn] = u.Code

		// The unit's machine corrects the report and signs what it files.
		before, err := n.ledger.Report(t.Context(), report)
		must(err)
		v, _ := before.Newest()
		filer := v.Filer
		enrol(filer, machine)
		c := commands.Replacement{Filing: commands.Filing{Key: report, Figures: v.Content.Figures, Note: "Sửa lời ghi chú “lần 2”"}, Replaces: v.Number, Correction: domain.CorrectionErratum, Reason: "ghi nhầm"}
		text := domain.FilingStatement{Key: report, FormVersion: v.Content.FormVersion, Figures: c.Figures, Note: c.Note, Replaces: c.Replaces, Correction: c.Correction, Reason: c.Reason, Signer: filer, Nonce: "n-1"}
		c.Signed = &commands.FilingSignature{Nonce: "n-1", Signature: machine.sign(text.Text())}
		_, err = n.ledger.CorrectReport(t.Context(), command("correct", filer), c)
		must(err)

		// Its head signs it off.
		enrol(head.Person, s)
		sign := func(name string) {
			t.Helper()
			nonce := "nonce-" + turn
			statement, newest, err := n.ledger.Statement(t.Context(), head.Person, report, "", nonce)
			must(err)
			signature := s.sign(statement)
			_, err = n.ledger.SignOff(t.Context(), command(name, head.Person), report, domain.SigningAttempt{Version: newest.Number, Digest: newest.Digest, Nonce: nonce, Statement: statement, Signature: &signature})
			must(err)
		}
		sign("sign")
		if turn == replayed {
			c.Note, c.Replaces, c.Signed = "Sửa lời ghi chú “lần 3”", c.Replaces+1, nil
			_, err = n.ledger.CorrectReport(t.Context(), command("correct again", filer), c)
			must(err)
			sign("sign again")
		}
	}
	if len(left) > 0 {
		t.Fatalf("no report waits for %q", left)
	}
	must(n.views.CatchUp(t.Context()))
	must(a.signOnce(t.Context(), n))
	must(n.close())

	auditSigned(t, dir, "--site", site, "--roots", roots)
	policy := filepath.Join(dir, policyFile)
	for method, unit := range unitOf {
		bundle := filepath.Join(t.TempDir(), method+".zip")
		mustRun(t, "export", "--data", dir, "--evidence", "--unit", string(unit), "--from", "2021-02-05", "--to", "2021-02-10", "-o", bundle)
		verify := func(code int, bundle string, more ...string) string {
			t.Helper()
			return runNotary(t, code, append([]string{"verify", bundle, "--policy", policy, "--forget", "--json"}, more...)...)
		}
		if method == replayed {
			if said := verify(1, bundle); !strings.Contains(said, `"fault":"signed"`) || !strings.Contains(said, "replayed") {
				t.Errorf("one nonce, two acts: %s", said)
			}
			continue
		}
		trusting := map[string][]string{signing.MethodWebAuthn: {"--site", site}, signing.MethodCMS: {"--roots", roots}}[method]
		if said := verify(0, bundle, trusting...); !strings.Contains(said, `"signed":1`) || !strings.Contains(said, `"filings_signed":1`) || !strings.Contains(said, `"signatures_not_judged":0`) {
			t.Errorf("%s: %s", method, said)
		}
		if method == signing.MethodEd25519 {
			attackSignedBundle(t, bundle, verify)
			continue
		}
		// Whoever names no site and no root is told that the signature was not judged, and not that it holds.
		if said := verify(0, bundle); !strings.Contains(said, `"signed":0`) || !strings.Contains(said, `"signatures_not_judged":1`) {
			t.Errorf("%s, nobody trusted: %s", method, said)
		}
		if method == signing.MethodWebAuthn {
			if said := verify(1, bundle, "--site", "https://other.example"); !strings.Contains(said, `"fault":"signature"`) {
				t.Errorf("a passkey of another site: %s", said)
			}
			continue
		}
		_, strangers := testSigners(t, site, host)
		if said := verify(1, bundle, "--roots", strangers); !strings.Contains(said, `"fault":"signature"`) {
			t.Errorf("a certificate of another root: %s", said)
		}
	}
}

// auditSigned audits the whole log with everything shown, and then without the replayed sign-off: as a folder, and over the
// address at which the server shows it.
func auditSigned(t *testing.T, dir string, trusting ...string) {
	t.Helper()
	exported, openings := filepath.Join(t.TempDir(), "log"), filepath.Join(t.TempDir(), "openings")
	mustRun(t, "export", "--data", dir, "--log", exported)
	mustRun(t, "export", "--data", dir, "--openings", openings)
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now, stdio: stdio{err: io.Discard}}
	log, err := a.openLog(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	r, err := a.mustEvidenceReader(t.Context(), dir, log)
	if err != nil {
		t.Fatal(err)
	}
	defer r.tree.Close()
	asked := make(chan struct{}, 1)
	server := httptest.NewServer(http.StripPrefix("/log", http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		select {
		case asked <- struct{}{}:
		default:
		}
		r.desk.Handler(func(err error) { t.Error(err) }).ServeHTTP(w, request)
	})))
	defer server.Close()
	place := exported
	audit := func(code int, more ...string) string {
		t.Helper()
		return runNotary(t, code, append([]string{"audit", place, "--policy", filepath.Join(dir, policyFile), "--opening", openings, "--forget", "--json"}, more...)...)
	}
	places := []string{exported, server.URL + "/log"}
	for _, place = range places {
		if said := audit(1, trusting...); !strings.Contains(said, `"fault":"signed"`) || !strings.Contains(said, "replayed") {
			t.Errorf("%s: one nonce, two acts: %s", place, said)
		}
	}
	f, err := os.Open(openings)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var kept, last []byte
	for d := json.NewDecoder(f); ; {
		var o json.RawMessage
		if err := d.Decode(&o); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(o, []byte("nonce-replayed")) {
			kept, last = append(kept, last...), o
			continue
		}
		kept = append(kept, o...)
	}
	if len(last) == 0 {
		t.Fatal("no replayed sign-off in the openings")
	}
	if err := os.WriteFile(openings, kept, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, place = range places {
		for _, c := range []struct {
			trusting               []string
			signed, filed, skipped int
		}{{trusting, 4, 4, 0}, {nil, 2, 4, 2}} {
			want := fmt.Sprintf(`"signed":%d,"filings_signed":%d,"signatures_not_judged":%d,"sign_offs_not_shown":1,"filings_not_shown":0,"signatures_not_determinable":0`, c.signed, c.filed, c.skipped)
			if said := audit(0, c.trusting...); !strings.Contains(said, want) {
				t.Errorf("%s, trusting %q: %s, want %s", place, c.trusting, said, want)
			}
		}
		if said := audit(1, "--site", "https://other.example"); !strings.Contains(said, `"fault":"signature"`) {
			t.Errorf("%s: a passkey of another site: %s", place, said)
		}
	}
	select {
	case <-asked:
	default:
		t.Error("no audit asked the server")
	}
}

// attackSignedBundle leaves out the machine's key, and shows another content than the one that was signed and committed to.
func attackSignedBundle(t *testing.T, bundle string, verify func(code int, bundle string, more ...string) string) {
	t.Helper()
	raw, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(files map[string][]byte, m *documents.Manifest)
		fault  string
	}{
		"the machine's key left out": {func(files map[string][]byte, m *documents.Manifest) {
			m.Entries = slices.DeleteFunc(m.Entries, func(e documents.ManifestEntry) bool {
				if e.Kind != "CredentialEnrolled" {
					return false
				}
				delete(files, "receipts/"+e.EventID+".tlog-proof")
				delete(files, "openings/"+e.EventID+".opening.json")
				return true
			})
		}, "signature"},
		"another note than was signed": {func(files map[string][]byte, m *documents.Manifest) {
			for _, e := range m.Entries {
				if e.Kind != "ReportCorrected" {
					continue
				}
				name := "openings/" + e.EventID + ".opening.json"
				var o transparency.Opening
				if err := json.Unmarshal(files[name], &o); err != nil {
					t.Fatal(err)
				}
				o.Payload = bytes.Replace(o.Payload, []byte("lần 2"), []byte("lần 3"), 1)
				text, err := json.Marshal(o)
				if err != nil {
					t.Fatal(err)
				}
				files[name] = text
			}
		}, "commitment"},
	} {
		files := unpacked(t, raw)
		var m documents.Manifest
		if err := json.Unmarshal(files["bundle.json"], &m); err != nil {
			t.Fatal(err)
		}
		c.change(files, &m)
		if files["bundle.json"], err = json.Marshal(m); err != nil {
			t.Fatal(err)
		}
		var b bytes.Buffer
		if err := documents.WriteFiles(&b, files); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "changed.zip")
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		if said := verify(1, path); !strings.Contains(said, `"fault":"`+c.fault+`"`) {
			t.Errorf("%s: %s", name, said)
		}
	}
}
