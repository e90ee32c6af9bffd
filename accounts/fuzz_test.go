package accounts

import (
	"errors"
	"strings"
	"testing"

	"github.com/answerable-ledger/answerable/appstate"
)

// A stored password is what newHash writes, to the last byte, within bounds that spare the machine; anything else is a
// damaged row.
func FuzzParseHash(f *testing.F) {
	const salt, key = "c2FsdHNhbHRzYWx0c2FsdA", "a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"
	for _, s := range []string{
		"", "$", "$argon2id$v=19$m=65536,t=3,p=1$" + salt + "$" + key, "$argon2id$v=19$m=65536,t=3,p=1 more$" + salt + "$" + key,
		"$argon2id$v=19$m=065536,t=+3,p=1$" + salt + "$" + key, "$argon2id$v=16$m=65536,t=3,p=1$" + salt + "$" + key,
		"$argon2id$v=19$m=4294967295,t=3,p=1$" + salt + "$" + key, "$argon2id$v=19$m=65536,t=0,p=0$" + salt + "$" + key,
		"$argon2i$v=19$m=65536,t=3,p=1$" + salt + "$" + key, "$argon2id$v=19$m=65536,t=3,p=1$" + salt + "=$" + key,
		"$argon2id$v=19$m=65536,t=3,p=1$" + salt + "$" + key + "$", strings.Repeat("$", 6),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, salt, key, err := parseHash(s)
		if err != nil {
			if !errors.Is(err, appstate.ErrUnavailable) || salt != nil || key != nil {
				t.Fatalf("refused as %v, with %x and %x", err, salt, key)
			}
			return
		}
		if p.memoryKiB > 1<<20 || p.passes == 0 || p.passes > 16 || p.lanes == 0 || len(salt) < 8 || len(key) != keyBytes {
			t.Fatalf("took %+v", p)
		}
		if again := formatHash(p, salt, key); again != s {
			t.Fatalf("%q is read as %q", s, again)
		}
	})
}

// What a browser answers to a challenge is read or refused with a reason, whatever it holds.
func FuzzParseAssertion(f *testing.F) {
	for _, s := range []string{
		"", "{}", `{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"e30","authenticatorData":"AA","signature":"AA"}}`,
		`{"id":"AA","rawId":"AA","type":"public-key","response":{"clientDataJSON":"eyJ0eXBlIjoid2ViYXV0aG4uZ2V0In0","authenticatorData":"` + strings.Repeat("A", 50) + `","signature":"AA","userHandle":"AA"}}`,
		`{"id":"` + strings.Repeat("A", maxResponseBytes) + `"}`, `[`, "\xff",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		answer, err := parseAssertion(b)
		if (answer == nil) != (err != nil) || err != nil && !strings.HasPrefix(err.Error(), "passkey: ") {
			t.Fatalf("%+v, %v", answer, err)
		}
	})
}
