// Package signing decides whether the holder of an enrolled credential signed exactly this statement.
//
// Its promise: when Verify returns no error, the private key that belongs to the credential's public key made the given
// signature over these statement bytes and no others, in the way the method prescribes, and the policy allows that way.
// It needs the credential, the statement, the signature and the policy, and nothing else: no network, no store, no clock.
//
// Its failure model: every argument may be damaged or forged. Parsers accept one spelling of a thing and refuse the rest,
// so that a changed bit in a stored signature is found even where the mathematics would not care. A signature is checked
// before anything inside it is judged: ErrStatement and ErrPolicy speak of true signatures only. What it cannot show: that
// the signer was shown the text they signed (a page may show one text and have another signed), that the key was in the
// hands of its owner, that a certificate was not revoked by its issuer (no CRL or OCSP is asked; the ledger's own
// CredentialRevoked counts), or when a signature was made: signing times are the signer's own word, the log's index is not.
//
// The methods:
//
//   - webauthn: a Web Authentication assertion (W3C WebAuthn Level 3, 7.2) whose challenge is Challenge(statement), with
//     user presence and user verification, by ES256, RS256 or EdDSA.
//   - ed25519: for machines. The plain Ed25519 signature (RFC 8032, no prehash) over Message(statement), that is the 22
//     bytes "answerable/sign-off/1\n" followed by the statement.
//   - cms: a detached CMS SignedData (RFC 5652) in DER over the statement bytes themselves, by one signer whose
//     certificate holds the enrolled key and leads to a configured root.
//
// Whether the credential was the person's own at that place in the log is CredentialAt's to say, from the log's facts.
// An ECDSA signature can be turned by anybody into a second valid one over the same statement: a signature proves an act,
// it does not number it. Use the nonce in the statement to tell acts apart.
//
// Enrolment of browser credentials, which needs CBOR and attestation formats, is in package enroll.
package signing
