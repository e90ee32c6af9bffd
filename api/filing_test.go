package api

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"testing"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/signing"
)

// What the machine of a unit files it can sign; a signature that is sent is checked before anything is recorded.
func TestMachinesSignWhatTheyFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t, options{})
	evident(t, w)
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{9}, 32))
	public, err := signing.EncodePublicKey(key.Public(), signing.MethodEd25519)
	if err != nil {
		t.Fatal(err)
	}
	id, err := signing.KeyID(key.Public())
	if err != nil {
		t.Fatal(err)
	}
	// Written out: this is what other people's programs build.
	statement := func(nonce string) string {
		return `{"correction":"","date":"2021-02-08","decision":"file","figures":{"installed":4000,"new_today":100,"smartphone_users":8000},` +
			`"form":"commune","form_version":2,"nil":false,"nonce":"` + nonce + `","note":"","reason":"","regime":"bluezone","replaces":0,"signer":"filer","unit":"25741","v":"answerable/filing/1"}`
	}
	header := func(by ed25519.PrivateKey, text string) map[string]string {
		return map[string]string{"Answerable-Signature": id + " " + signing.SignEd25519(by, id, []byte(text)).Signature}
	}
	refused := func(what, code string, status int, a ask) {
		t.Helper()
		a.as, a.method, a.path, a.body = "filer", "POST", reportURL, goodReport
		if p := decodeInto[Problem](t, w.want(a, status)); p.Code != code {
			t.Errorf("%s: %s, want %s: %s", what, p.Code, code, p.Detail)
		}
	}
	refused("not enrolled", "credential_unknown", 403, ask{key: "k1", headers: header(key, statement("k1"))})
	w.want(ask{as: "filer", method: "POST", path: "/v1/persons/filer/credentials", body: fmt.Sprintf(`{"credential":%q,"method":"ed25519","public_key":%q}`, id, public)}, 201)
	refused("by another key", "signature_refused", 403, ask{key: "k1", headers: header(ed25519.NewKeyFromSeed(bytes.Repeat([]byte{8}, 32)), statement("k1"))})
	refused("of another act", "signature_refused", 403, ask{key: "k2", headers: header(key, statement("k1"))})
	refused("no signature", "signature_refused", 403, ask{key: "k1", headers: map[string]string{"Answerable-Signature": id}})
	filed := ask{as: "filer", method: "POST", path: reportURL, key: "k1", body: goodReport, headers: header(key, statement("k1"))}
	w.want(filed, 201)
	if r := w.want(filed, 201); r.Header().Get("Idempotency-Replayed") != "true" {
		t.Error("the repeat was not recognised")
	}

	correction := domain.FilingStatement{Key: domain.ReportKey{Regime: "bluezone", Form: "commune", Unit: "25741", Date: testDay}, FormVersion: 2,
		Figures: domain.Figures{"smartphone_users": 8000, "installed": 4001, "new_today": 100}, Replaces: 1, Correction: domain.CorrectionContent, Reason: "đếm sót", Signer: "filer", Nonce: "k3"}
	corrected := ask{as: "filer", method: "POST", path: reportURL + "/corrections", key: "k3", headers: header(key, correction.Text()),
		body: `{"figures":{"smartphone_users":8000,"installed":4001,"new_today":100},"replaces":1,"correction":"content","reason":"đếm sót"}`}
	other := corrected
	other.body = `{"figures":{"smartphone_users":8000,"installed":4002,"new_today":100},"replaces":1,"correction":"content","reason":"đếm sót"}`
	if p := decodeInto[Problem](t, w.want(other, 403)); p.Code != "signature_refused" {
		t.Errorf("another figure than was signed: %s", p.Code)
	}
	w.want(corrected, 201)

	signed := 0
	for e, err := range w.log.ReadStream(t.Context(), "report-bluezone.commune.25741.20210208", 0) {
		if err != nil {
			t.Fatal(err)
		}
		var x struct {
			Statement string             `json:"statement"`
			Signature *signing.Signature `json:"signature"`
		}
		if err := json.Unmarshal(e.Data, &x); err != nil || x.Signature == nil {
			t.Fatalf("%v: %s", err, e.Data)
		}
		if _, err := signing.Verify(signing.Credential{ID: id, Method: "ed25519", PublicKey: public}, []byte(x.Statement), *x.Signature, signing.Policy{}); err != nil {
			t.Error(err)
		}
		signed++
	}
	if signed != 2 {
		t.Errorf("%d versions are recorded with a signature", signed)
	}
	w.want(ask{as: "filer", method: "POST", path: "/v1/persons/filer/credential-revocations", body: fmt.Sprintf(`{"credential":%q,"reason":"mất máy"}`, id)}, 201)
	corrected.key = "k4"
	correction.Nonce, correction.Replaces = "k4", 2
	corrected.headers = header(key, correction.Text())
	corrected.body = `{"figures":{"smartphone_users":8000,"installed":4001,"new_today":100},"replaces":2,"correction":"content","reason":"đếm sót"}`
	if p := decodeInto[Problem](t, w.want(corrected, 403)); p.Code != "credential_unknown" {
		t.Errorf("a key that was revoked: %s", p.Code)
	}
}
