package signing

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/binary"
	"math/big"
)

// The three COSE keys (RFC 9052, RFC 9053, RFC 8230) in the canonical CBOR that CTAP2 prescribes have fixed heads, so no
// CBOR reader is needed: each is the head, the number, and for two of them a second head and number.
const (
	coseES256     = "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20" // {kty: EC2, alg: ES256, crv: P-256, x: bytes(32)
	coseES256Y    = "\x22\x58\x20"                             // y: bytes(32)}
	coseEdDSA     = "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20" // {kty: OKP, alg: EdDSA, crv: Ed25519, x: bytes(32)}
	coseRS256     = "\xa4\x01\x03\x03\x39\x01\x00\x20\x59"     // {kty: RSA, alg: RS256, n: bytes(two octets of length follow)
	coseRS256E    = "\x21\x43\x01\x00\x01"                     // e: 65537}
	coordinateLen = 32
)

// ParseCOSEKey reads the public key of a WebAuthn credential: ES256, RS256 or EdDSA with Ed25519.
func ParseCOSEKey(cose []byte) (crypto.PublicKey, error) {
	key, ok := readCOSE(cose)
	if !ok {
		return nil, Refuse(ErrMalformed, CodePublicKey, "not a canonical COSE key for ES256, RS256 or EdDSA")
	}
	if again, err := COSEKey(key); err != nil {
		return nil, err
	} else if !bytes.Equal(again, cose) {
		return nil, Refuse(ErrMalformed, CodePublicKey, "another spelling of a COSE key")
	}
	return key, nil
}

func readCOSE(cose []byte) (crypto.PublicKey, bool) {
	if rest, ok := bytes.CutPrefix(cose, []byte(coseES256)); ok {
		if len(rest) != 2*coordinateLen+len(coseES256Y) {
			return nil, false
		}
		point := append([]byte{4}, rest[:coordinateLen]...)
		point = append(point, rest[coordinateLen+len(coseES256Y):]...)
		key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
		return key, err == nil
	}
	if rest, ok := bytes.CutPrefix(cose, []byte(coseEdDSA)); ok {
		return ed25519.PublicKey(bytes.Clone(rest)), len(rest) == ed25519.PublicKeySize
	}
	if rest, ok := bytes.CutPrefix(cose, []byte(coseRS256)); ok && len(rest) > 2 {
		n, rest := int(binary.BigEndian.Uint16(rest)), rest[2:]
		if len(rest) != n+len(coseRS256E) {
			return nil, false
		}
		return &rsa.PublicKey{N: new(big.Int).SetBytes(rest[:n]), E: 65537}, true
	}
	return nil, false
}

// COSEKey is a key in the form authenticators give it, for tools that expect that.
func COSEKey(key crypto.PublicKey) ([]byte, error) {
	if err := checkKey(key, MethodWebAuthn); err != nil {
		return nil, err
	}
	switch k := key.(type) {
	case *ecdsa.PublicKey:
		point, err := k.Bytes()
		if err != nil {
			return nil, Refuse(ErrMalformed, CodePublicKey, "not a point of P-256: %v", err)
		}
		b := append([]byte(coseES256), point[1:1+coordinateLen]...)
		return append(append(b, coseES256Y...), point[1+coordinateLen:]...), nil
	case *rsa.PublicKey:
		n := k.N.Bytes()
		b := binary.BigEndian.AppendUint16([]byte(coseRS256), uint16(len(n)))
		return append(append(b, n...), coseRS256E...), nil
	case ed25519.PublicKey:
		return append([]byte(coseEdDSA), k...), nil
	}
	return nil, Refuse(ErrMalformed, CodePublicKey, "a key of type %T has no COSE form here", key)
}
