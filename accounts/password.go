package accounts

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"

	"github.com/answerable-ledger/answerable/appstate"
	"github.com/answerable-ledger/answerable/domain"
)

// Why a password is not taken.
var (
	ErrPasswordShort  = errors.New("the password is too short")
	ErrPasswordLong   = errors.New("the password is too long")
	ErrPasswordCommon = errors.New("the password is among the first that would be tried")
)

// hashParams are the parameters of argon2id (RFC 9106).
type hashParams struct {
	memoryKiB uint32
	passes    uint32
	lanes     uint8
}

// currentParams are OWASP's for argon2id (Password Storage Cheat Sheet): 19 MiB, 2 passes, 1 lane. Some 30 ms here; the
// rush before a deadline signs a province in on two cores.
func currentParams() hashParams { return hashParams{memoryKiB: 19 * 1024, passes: 2, lanes: 1} }

const (
	saltBytes = 16 // RFC 9106, 3.1
	keyBytes  = 32
)

func deriveArgon2id(password, salt []byte, p hashParams) []byte {
	return argon2.IDKey(password, salt, p.passes, p.memoryKiB, p.lanes, keyBytes)
}

// normal is the password's one form: the same letters typed on another keyboard are other bytes (RFC 8265, 4.2).
func normal(password string) string { return norm.NFC.String(password) }

// SignInPassword signs a person in by their id and password. ErrRefused says nothing of what is wrong; an unknown person
// takes as long as a wrong password.
func (a *Accounts) SignInPassword(ctx context.Context, t Attempt, name, password string) (Opened, error) {
	p, err := a.checkPassword(ctx, t, domain.PersonID(strings.ToLower(strings.TrimSpace(name))), password)
	if err != nil {
		return Opened{}, err
	}
	return a.open(ctx, t, p, MethodPassword, "")
}

// StepUpPassword proves again who is in a session, by the password.
func (a *Accounts) StepUpPassword(ctx context.Context, t Attempt, s Session, password string) (Opened, error) {
	if s.Purpose != purposeUse {
		return Opened{}, ErrRefused
	}
	if _, err := a.checkPassword(ctx, t, s.Person, password); err != nil {
		return Opened{}, err
	}
	return a.stepUp(ctx, t, s, MethodPassword, "")
}

// checkPassword is the person whose password it is.
func (a *Accounts) checkPassword(ctx context.Context, t Attempt, id domain.PersonID, password string) (domain.PersonID, error) {
	if err := t.valid(); err != nil {
		return "", err
	}
	if err := a.byAddress.take(addressKey(t.address), t.at); err != nil {
		return "", err
	}
	account := "p" + hashSecret(string(id)) // of fixed length: anything may have been typed
	if err := a.byAccount.take(account, t.at); err != nil {
		return "", err
	}
	person, err := a.person(ctx, id)
	known := err == nil
	if err != nil && !errors.Is(err, ErrRefused) {
		return "", err
	}
	stored, err := a.state.Password(ctx, id)
	if err != nil && !errors.Is(err, appstate.ErrNoPassword) {
		return "", err
	}
	usable := known && err == nil && utf8.RuneCountInString(password) <= MaxPasswordRunes
	params, salt, want := a.params, make([]byte, saltBytes), make([]byte, keyBytes)
	if usable {
		if params, salt, want, err = parseHash(stored.Hash); err != nil {
			return "", fmt.Errorf("accounts: password of %s: %w", id, err)
		}
	} else {
		password = "" // hash something all the same, and not a book
	}
	got, err := a.hash(ctx, password, salt, params)
	if err != nil {
		return "", err
	}
	if right := subtle.ConstantTimeCompare(got, want) == 1; !right || !usable {
		return "", a.refused(ctx, t, person.ID, "password")
	}
	a.byAccount.giveBack(account, t.at)
	if params != a.params {
		again, err := a.newHash(ctx, password)
		if err == nil {
			err = a.state.RehashPassword(ctx, id, stored.Hash, again)
		}
		if err != nil {
			return "", err
		}
	}
	return person.ID, nil
}

// SetPassword gives the session's person a password and ends their other sessions; an enrolment ends too, and they sign
// in with what they set. It needs a recent proof or the enrolment of a link.
func (a *Accounts) SetPassword(ctx context.Context, t Attempt, s Session, password string) error {
	if err := a.mayEnrol(t, s); err != nil {
		return err
	}
	p, err := a.person(ctx, s.Person)
	if err != nil {
		return err
	}
	if err := CheckPassword(password, string(p.ID), p.Name); err != nil {
		return err
	}
	hash, err := a.newHash(ctx, password)
	if err != nil {
		return err
	}
	kept := s.ID
	if s.Purpose == purposeEnrol {
		kept = ""
	}
	if err := a.tellSet(ctx, t, p, s, domain.SignInMethodSet{Method: domain.SignInPassword}); err != nil {
		return err
	}
	return a.state.SetPassword(ctx, appstate.Password{Person: p.ID, Hash: hash, SetAt: t.at}, kept, a.entry(t, p.ID, p.ID, ActPassword, s.Link))
}

// RemovePassword takes a person's password away, by themselves or an administrator, and ends their sessions but the one
// it is done in: they sign in by passkey alone. It needs a recent proof, and of an administrator the reason. Who has none is
// appstate.ErrNoPassword, and nothing is recorded.
func (a *Accounts) RemovePassword(ctx context.Context, t Attempt, by Session, person domain.PersonID, why string) error {
	if err := a.fresh(t, by); err != nil {
		return err
	}
	if person != by.Person {
		if err := a.administers(ctx, t, by); err != nil {
			return err
		}
	}
	if err := checkWhy(person, by.Person, why); err != nil {
		return err
	}
	if _, err := a.state.Password(ctx, person); err != nil {
		return fmt.Errorf("accounts: remove the password of %s: %w", person, err)
	}
	if err := a.state.SetPassword(ctx, appstate.Password{Person: person}, by.ID, a.entry(t, person, by.Person, ActPasswordGone, why)); err != nil {
		return err
	}
	return a.tellEnded(ctx, t, domain.SignInMethodEnded{Person: person, Method: domain.SignInPassword, At: t.at, EndedBy: by.Person, Reason: why})
}

// HasPassword reports whether a person has a password.
func (a *Accounts) HasPassword(ctx context.Context, p domain.PersonID) (bool, error) {
	_, err := a.state.Password(ctx, p)
	if errors.Is(err, appstate.ErrNoPassword) {
		return false, nil
	}
	return err == nil, err
}

// hash derives a key when there is room for its memory.
func (a *Accounts) hash(ctx context.Context, password string, salt []byte, p hashParams) ([]byte, error) {
	select {
	case a.hashing <- struct{}{}:
	case <-ctx.Done():
		return nil, fmt.Errorf("accounts: hash a password: %w", context.Cause(ctx))
	}
	defer func() { <-a.hashing }()
	return a.derive([]byte(normal(password)), salt, p), nil
}

func (a *Accounts) newHash(ctx context.Context, password string) (string, error) {
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key, err := a.hash(ctx, password, salt, a.params)
	if err != nil {
		return "", err
	}
	return formatHash(a.params, salt, key), nil
}

// formatHash is a hash as it is stored.
func formatHash(p hashParams, salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, p.memoryKiB, p.passes, p.lanes, b64.EncodeToString(salt), b64.EncodeToString(key))
}

// parseHash reads what newHash wrote, under these parameters or earlier ones.
func parseHash(s string) (p hashParams, salt, key []byte, err error) {
	parts := strings.Split(s, "$")
	var version int
	if len(parts) == 6 && parts[0] == "" && parts[1] == "argon2id" {
		_, err = fmt.Sscanf(parts[2]+" "+parts[3], "v=%d m=%d,t=%d,p=%d", &version, &p.memoryKiB, &p.passes, &p.lanes)
		if err == nil {
			salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4])
		}
		if err == nil {
			key, err = base64.RawStdEncoding.Strict().DecodeString(parts[5])
		}
	}
	// Bounds: a damaged row must not take the machine's memory.
	const mostMemoryKiB, mostPasses = 1 << 20, 16
	if err != nil || version != argon2.Version || len(salt) < 8 || len(key) != keyBytes || p.memoryKiB > mostMemoryKiB || p.passes == 0 || p.passes > mostPasses || p.lanes == 0 || s != formatHash(p, salt, key) {
		return hashParams{}, nil, nil, fmt.Errorf("not an argon2id hash of this program: %w", errors.Join(appstate.ErrUnavailable, err))
	}
	return p, salt, key, nil
}

// CheckPassword says whether a password may be taken. known are words that others know of its person: their id and name.
// There are no rules of composition: they make people choose worse (NIST SP 800-63B-4, 3.1.1.2).
func CheckPassword(password string, known ...string) error {
	password = normal(password)
	switch n := utf8.RuneCountInString(password); {
	case n < MinPasswordRunes:
		return ErrPasswordShort
	case n > MaxPasswordRunes:
		return ErrPasswordLong
	}
	plain := fold(password)
	distinct := map[rune]bool{}
	for _, r := range plain {
		distinct[r] = true
	}
	if len(distinct) < 5 || isRun(plain) || isRepeated(plain) {
		return ErrPasswordCommon
	}
	// What is left without the digits and signs that everybody adds.
	word := strings.Map(func(r rune) rune {
		if unicode.IsLetter(r) {
			return r
		}
		return -1
	}, plain)
	for _, common := range commonPasswords {
		if plain == common || word == common {
			return ErrPasswordCommon
		}
	}
	for _, k := range known {
		if k = strings.ReplaceAll(fold(k), " ", ""); k != "" && (word == k || strings.ReplaceAll(plain, " ", "") == k) {
			return ErrPasswordCommon
		}
	}
	return nil
}

// fold is lower case without diacritics: those who guess try "mật khẩu" and "matkhau" alike.
func fold(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Mn, r):
			return -1
		case r == 'đ' || r == 'Đ':
			return 'd'
		}
		return unicode.ToLower(r)
	}, norm.NFD.String(s))
}

// isRun reports whether each character follows the one before it, up or down, in the alphabet, the digits or a row of keys.
func isRun(s string) bool {
	const rows = "01234567890 abcdefghijklmnopqrstuvwxyz qwertyuiop asdfghjkl zxcvbnm 1qaz2wsx3edc4rfv5tgb6yhn7ujm"
	steps, n := 0, 0
	for i := 0; i+1 < len(s); i++ {
		n++
		if pair, back := s[i:i+2], string([]byte{s[i+1], s[i]}); strings.Contains(rows, pair) || strings.Contains(rows, back) {
			steps++
		}
	}
	return steps*10 >= n*8 // four fifths: "123456789abc" has one step that is none
}

// isRepeated reports whether the whole is one short part over and over.
func isRepeated(s string) bool {
	for n := 1; n <= len(s)/2 && n <= 6; n++ {
		if strings.HasPrefix(strings.Repeat(s[:n], len(s)/n+1), s) {
			return true
		}
	}
	return false
}

// commonPasswords are folded, and compared with the whole and with its letters alone.
var commonPasswords = []string{
	"password", "passwordpassword", "passw0rd", "mypassword", "newpassword", "thepassword", "letmein", "letmeinplease", "welcome", "iloveyou", "iloveyouforever",
	"administrator", "admin", "adminadmin", "administrators", "changeme", "changemenow", "default", "defaultpassword", "secret", "topsecret", "qwerty", "qwertyuiop",
	"matkhau", "matkhaumoi", "matkhaucuatoi", "khongbiet", "khongcomatkhau", "xinchao", "xinchaovietnam", "toiyeuvietnam", "toiyeuem", "anhyeuem", "emyeuanh", "yeuemnhieulam",
	"vietnam", "vietnamvodich", "vietnamoi", "binhduong", "tinhbinhduong", "thudaumot", "dian", "thuanan", "tanuyen", "bencat", "hochiminh", "saigon", "hanoi",
	"ubnd", "uyban", "uybannhandan", "phuong", "thitran", "baocao", "baocaongay", "bluezone", "answerable", "ledger", "correcthorsebatterystaple",
}
