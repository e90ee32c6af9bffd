package schemas

import (
	"crypto/sha256"
	"encoding/hex"
)

// Fingerprint identifies the whole set of released schemas: the SHA-256, in hex, of LOCK. Views built by a program with
// another fingerprint are rebuilt.
func Fingerprint() string {
	lock, err := files.ReadFile("LOCK")
	if err != nil {
		panic("schemas: the program was built without LOCK: " + err.Error())
	}
	sum := sha256.Sum256(lock)
	return hex.EncodeToString(sum[:])
}
