package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"slices"
)

// The sizes of RSA keys accepted. Below, they can be factored; above, they only cost time.
const (
	minRSABits = 2048
	maxRSABits = 4096
)

// EncodePublicKey is the stored form of a key: base64 of its SubjectPublicKeyInfo. It refuses keys not fit for the method.
func EncodePublicKey(key crypto.PublicKey, method string) (string, error) {
	if err := checkKey(key, method); err != nil {
		return "", err
	}
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", Refuse(ErrMalformed, CodePublicKey, "the key cannot be written: %v", err)
	}
	return base64.StdEncoding.EncodeToString(der), nil
}

// ParsePublicKey reads the stored form of a key, in the one spelling EncodePublicKey gives it.
func ParsePublicKey(stored, method string) (crypto.PublicKey, error) {
	der, err := decode("public_key", stored)
	if err != nil {
		return nil, err
	}
	key, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, Refuse(ErrMalformed, CodePublicKey, "not a SubjectPublicKeyInfo: %v", err)
	}
	if err := checkKey(key, method); err != nil {
		return nil, err
	}
	if again, err := x509.MarshalPKIXPublicKey(key); err != nil || !bytes.Equal(again, der) {
		return nil, Refuse(ErrMalformed, CodePublicKey, "another spelling of a SubjectPublicKeyInfo")
	}
	return key, nil
}

// KeyID is the credential id of keys that bring none of their own (ed25519, cms): base64url without padding of the
// SHA-256 of the stored form's bytes.
func KeyID(key crypto.PublicKey) (string, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return "", Refuse(ErrMalformed, CodePublicKey, "the key cannot be written: %v", err)
	}
	sum := sha256.Sum256(der)
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// checkKey refuses kinds of key the method does not use, and keys under which a signature proves nothing.
func checkKey(key crypto.PublicKey, method string) error {
	switch method {
	case MethodWebAuthn, MethodEd25519, MethodCMS:
	default:
		return Refuse(ErrMalformed, CodeMethod, "method %q is not known", method)
	}
	switch k := key.(type) {
	case ed25519.PublicKey:
		if method == MethodCMS {
			break
		}
		if len(k) != ed25519.PublicKeySize || smallOrder(k) {
			return Refuse(ErrMalformed, CodePublicKey, "under this Ed25519 key a signature proves nothing")
		}
		return nil
	case *ecdsa.PublicKey:
		if method == MethodWebAuthn && k.Curve == elliptic.P256() ||
			method == MethodCMS && slices.Contains([]elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()}, k.Curve) {
			return nil
		}
	case *rsa.PublicKey:
		if method == MethodEd25519 {
			break
		}
		if n := k.N.BitLen(); n < minRSABits || n > maxRSABits || k.E != 65537 {
			return Refuse(ErrMalformed, CodePublicKey, "RSA keys have %d to %d bits and exponent 65537; this has %d and %d", minRSABits, maxRSABits, n, k.E)
		}
		return nil
	}
	return Refuse(ErrMalformed, CodePublicKey, "a key of type %T does not serve method %q", key, method)
}

// smallOrder reports whether a point of Ed25519 lies in the small subgroup: under such a key one signature fits many
// messages, so whoever enrols it can deny everything. These are all encodings of those points, the sign bit aside.
func smallOrder(key ed25519.PublicKey) bool {
	k := slices.Clone(key)
	k[31] &= 0x7f
	switch hex.EncodeToString(k) {
	case "0000000000000000000000000000000000000000000000000000000000000000",
		"0100000000000000000000000000000000000000000000000000000000000000",
		"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
		"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
		"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f":
		return true
	}
	return false
}

func signedBy(key crypto.PublicKey, message, sig []byte) bool {
	switch k := key.(type) {
	case ed25519.PublicKey:
		return ed25519.Verify(k, message, sig)
	case *ecdsa.PublicKey:
		sum := sha256.Sum256(message)
		return ecdsa.VerifyASN1(k, sum[:], sig)
	case *rsa.PublicKey:
		sum := sha256.Sum256(message)
		return rsa.VerifyPKCS1v15(k, crypto.SHA256, sum[:], sig) == nil
	}
	return false
}
