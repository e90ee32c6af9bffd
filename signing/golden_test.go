package signing

import (
	"crypto"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// generate writes golden files that do not exist yet. Files that exist are never written: a signature stored years ago
// must verify for ever, so a golden file that fails is a fault of the program.
var generate = flag.Bool("generate", false, "write missing golden files")

// golden is one stored signature with everything needed to verify it.
type golden struct {
	Made      string    `json:"made"` // by what
	Person    string    `json:"person"`
	PublicKey string    `json:"public_key"`
	Statement string    `json:"statement"`
	Signature Signature `json:"signature"`
	Origins   []string  `json:"origins,omitempty"`
	RPIDs     []string  `json:"rp_ids,omitempty"`
	Roots     string    `json:"roots,omitempty"` // PEM
	At        time.Time `json:"at,omitzero"`
}

func TestGoldenSignaturesVerify(t *testing.T) {
	t.Parallel()
	if *generate {
		generateGolden(t)
	}
	files, err := filepath.Glob("testdata/golden/*.json")
	must(t, err)
	if len(files) < 6 {
		t.Fatalf("%d golden files", len(files))
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			b, err := os.ReadFile(file)
			must(t, err)
			var g golden
			must(t, json.Unmarshal(b, &g))
			p := Policy{Origins: g.Origins, RPIDs: g.RPIDs, At: g.At}
			if g.Roots != "" {
				p.Roots = x509.NewCertPool()
				if !p.Roots.AppendCertsFromPEM([]byte(g.Roots)) {
					t.Fatal("no roots")
				}
			}
			cred := Credential{ID: g.Signature.Credential, Method: g.Signature.Method, PublicKey: g.PublicKey}
			_, err = Verify(cred, []byte(g.Statement), g.Signature, p)
			must(t, err)
			if _, err := Verify(cred, []byte(g.Statement+"\n"), g.Signature, p); err == nil {
				t.Error("another statement passes")
			}
		})
	}
}

func generateGolden(t *testing.T) {
	for name, key := range map[string]crypto.Signer{"webauthn-es256": newP256(t), "webauthn-rs256": newRSA(), "webauthn-eddsa": newEd25519(t)} {
		a := newAuthenticator(t, key)
		writeGolden(t, name, golden{Made: "a virtual authenticator", PublicKey: a.cred.PublicKey, Signature: a.sign(t, Challenge([]byte(statement))),
			Origins: policy.Origins, RPIDs: policy.RPIDs})
	}
	key, cred := newMachine(t)
	writeGolden(t, "ed25519", golden{Made: "this package", PublicKey: cred.PublicKey, Signature: SignEd25519(key, cred.ID, []byte(statement))})
	// testdata/openssl.sh makes these two files.
	for _, name := range []string{"cms-ecdsa", "cms-rsa"} {
		dir := os.Getenv("OPENSSL_OUT")
		der, err := os.ReadFile(filepath.Join(dir, name+".der"))
		must(t, err)
		root, err := os.ReadFile(filepath.Join(dir, "root.pem"))
		must(t, err)
		leaf, err := os.ReadFile(filepath.Join(dir, name+".pem"))
		must(t, err)
		block, _ := pem.Decode(leaf)
		cert, err := x509.ParseCertificate(block.Bytes)
		must(t, err)
		writeGolden(t, name, golden{Made: "OpenSSL 3.0", PublicKey: cmsCredential(t, cert.PublicKey).PublicKey, Signature: cmsSignature(der, cert.PublicKey),
			Roots: string(root), At: time.Now().UTC().Truncate(time.Second)})
	}
}

func writeGolden(t *testing.T, name string, g golden) {
	t.Helper()
	g.Person, g.Statement = "nguyen-van-an", statement
	b, err := json.MarshalIndent(g, "", "  ")
	must(t, err)
	must(t, os.MkdirAll("testdata/golden", 0o755))
	f, err := os.OpenFile(filepath.Join("testdata/golden", name+".json"), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if os.IsExist(err) {
		return
	}
	must(t, err)
	_, err = f.Write(append(b, '\n'))
	must(t, err)
	must(t, f.Close())
}
