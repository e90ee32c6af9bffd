package accounts

import "time"

// Every bound of this package, with its reason. A bound without a better reason says "chosen".
const (
	// IdleLimit ends a session that is not used: a machine left at the counter of a commune's office closes by itself, and
	// the longest form is filled in faster.
	IdleLimit = 30 * time.Minute
	// AbsoluteLimit ends a session in any case: one working day with its evening, so that nobody is thrown out in the
	// deadline's rush and nobody stays in overnight.
	AbsoluteLimit = 12 * time.Hour
	// touchEvery is how often a session's use is written. The idle limit is that much coarser.
	touchEvery = time.Minute
	// FreshFor is how long a proof of who one is counts for what matters most: credentials, roles and links. A sign-off
	// asks for none: it is signed with the passkey itself, or is one page of the session. Chosen: one page is read and sent.
	FreshFor = 5 * time.Minute
	// CeremonyLimit is how long an authenticator's challenge may be answered: finding the key in the bag is within what
	// WebAuthn recommends for ceremonies with user verification (5 to 10 minutes, WebAuthn 3, 15.1).
	CeremonyLimit = 5 * time.Minute
	// LinkLimit is how long a one-time link opens an account. Chosen: handed over today, used by tomorrow.
	LinkLimit = 24 * time.Hour
	// EnrolLimit ends a session that a link opened. Chosen: enrolling a passkey and failing twice.
	EnrolLimit = 15 * time.Minute

	// providerLimit is how long a provider of OpenID Connect may take to answer. Chosen: it is in the way of one click.
	providerLimit = 5 * time.Second
	// maxSubjectBytes bounds a subject (OpenID Connect Core, 2: at most 255 characters of ASCII).
	maxSubjectBytes = 255

	// addressBurst and addressEvery bound sign-ins from one address, of which a passkey's take two: a district office behind
	// one address signs everybody in within a minute, and a guesser gets one guess a second.
	addressBurst = 120
	addressEvery = time.Second
	// accountBurst and accountEvery bound wrong passwords of one account: a person mistypes some times in a row, and a
	// guesser gets 1,440 guesses a day at what the list of common passwords leaves.
	accountBurst = 10
	accountEvery = time.Minute
	// maxBuckets bounds what a limiter remembers, some 10 MiB; who comes beyond it shares one bucket.
	maxBuckets = 100_000

	// MinPasswordRunes: NIST SP 800-63B-4, 3.1.1.2 asks for 15 where a password is the only factor and 8 otherwise; chosen
	// between them, with the rate limits, because these are typed on shared machines.
	MinPasswordRunes = 12
	// MaxPasswordRunes: the same asks for at least 64. Bounded, so that nobody lets the server hash a book.
	MaxPasswordRunes = 128
	// maxHashing bounds the passwords hashed at once, and with them the memory: four of 19 MiB.
	maxHashing = 4

	// maxResponseBytes bounds an authenticator's answer. Chosen: the longest attestation known has below 10 KiB.
	maxResponseBytes = 64 << 10
	// maxStatementBytes bounds a text to sign. A sign-off statement has below 8 KiB.
	maxStatementBytes = 64 << 10
	// maxAgentBytes is how much of a browser's name is kept, for its owner to recognise it.
	maxAgentBytes = 200
	// maxLabelBytes bounds the name a person gives a passkey.
	maxLabelBytes = 100
)
