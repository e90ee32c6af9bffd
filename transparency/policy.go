package transparency

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Policy says whose word counts: which logs, which witnesses, and how many of them together (C2SP tlog-policy).
type Policy struct {
	Logs      []PolicyLog
	Witnesses []PolicyWitness
	groups    map[string]group // witnesses stand in it as groups of none
	quorum    string
	lines     []string
}

// PolicyLog is a log's key. A log that changes its key has two for a while.
type PolicyLog struct {
	Key VerifierKey
	URL string // may be empty
}

// PolicyWitness is a witness under its name in this policy.
type PolicyWitness struct {
	Name string
	Key  VerifierKey
	URL  string // submission prefix; may be empty
}

type group struct {
	k       int
	members []string
}

const noQuorum = "none"

// maxPolicyBytes is far above the 32 logs, 32 witnesses and 32 groups the format asks for.
const maxPolicyBytes = 64 << 10

// ParsePolicy reads a policy file.
func ParsePolicy(b []byte) (*Policy, error) {
	if len(b) > maxPolicyBytes {
		return nil, fmt.Errorf("policy has %d bytes, the limit is %d: %w", len(b), maxPolicyBytes, ErrMalformed)
	}
	for i, c := range b {
		if c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return nil, fmt.Errorf("policy: control character %#02x at byte %d: %w", c, i, ErrMalformed)
		}
	}
	p := &Policy{groups: map[string]group{}}
	member := map[string]bool{}
	for i, line := range strings.Split(string(b), "\n") {
		f := strings.FieldsFunc(line, func(r rune) bool { return r == ' ' || r == '\t' })
		if len(f) == 0 || strings.HasPrefix(f[0], "#") {
			continue
		}
		if err := p.line(f, member); err != nil {
			return nil, fmt.Errorf("policy line %d: %w", i+1, err)
		}
		p.lines = append(p.lines, strings.Join(f, " "))
	}
	if p.quorum == "" {
		return nil, fmt.Errorf("policy has no quorum line (\"quorum none\" asks for no witness): %w", ErrMalformed)
	}
	return p, nil
}

func (p *Policy) line(f []string, member map[string]bool) error {
	bad := func(want string) error { return fmt.Errorf("want %s: %w", want, ErrMalformed) }
	optional := func(i int) string {
		if len(f) > i {
			return f[i]
		}
		return ""
	}
	switch f[0] {
	case "log":
		if len(f) < 2 || len(f) > 3 {
			return bad("log <vkey> [<url>]")
		}
		k, err := ParseVerifierKey(f[1])
		if err != nil {
			return err
		}
		if k.Alg != AlgEd25519 {
			return bad("a log key of type 0x01")
		}
		if slices.ContainsFunc(p.Logs, func(l PolicyLog) bool { return bytes.Equal(l.Key.Public, k.Public) }) {
			return bad("each log key once")
		}
		p.Logs = append(p.Logs, PolicyLog{k, optional(2)})
	case "witness":
		if len(f) < 3 || len(f) > 4 {
			return bad("witness <name> <vkey> [<url>]")
		}
		k, err := ParseVerifierKey(f[2])
		if err != nil {
			return err
		}
		if k.Alg != AlgCosignatureV1 {
			return bad("a witness key of type 0x04")
		}
		if slices.ContainsFunc(p.Witnesses, func(w PolicyWitness) bool { return bytes.Equal(w.Key.Public, k.Public) }) {
			return bad("each witness key once")
		}
		if err := p.define(f[1], group{}); err != nil {
			return err
		}
		p.Witnesses = append(p.Witnesses, PolicyWitness{f[1], k, optional(3)})
	case "group":
		if len(f) < 4 {
			return bad("group <name> <k|any|all> <name>…")
		}
		g := group{members: f[3:]}
		switch f[2] {
		case "any":
			g.k = 1
		case "all":
			g.k = len(g.members)
		default:
			k, err := strconv.Atoi(f[2])
			if err != nil || k < 1 || k > len(g.members) {
				return bad("a threshold between 1 and the number of members")
			}
			g.k = k
		}
		for _, m := range g.members {
			if _, ok := p.groups[m]; !ok {
				return fmt.Errorf("%q is not defined above: %w", m, ErrMalformed)
			}
			if member[m] {
				return fmt.Errorf("%q is a member twice: %w", m, ErrMalformed)
			}
			member[m] = true
		}
		return p.define(f[1], g)
	case "quorum":
		if len(f) != 2 || p.quorum != "" {
			return bad("one line quorum <name>")
		}
		if _, ok := p.groups[f[1]]; !ok && f[1] != noQuorum {
			return fmt.Errorf("quorum %q is not defined above: %w", f[1], ErrMalformed)
		}
		p.quorum = f[1]
	default:
		return bad("log, witness, group or quorum")
	}
	return nil
}

func (p *Policy) define(name string, g group) error {
	if _, taken := p.groups[name]; taken || name == noQuorum {
		return fmt.Errorf("the name %q is taken: %w", name, ErrMalformed)
	}
	p.groups[name] = g
	return nil
}

// String is the policy without comments.
func (p *Policy) String() string { return strings.Join(p.lines, "\n") + "\n" }

// WantsWitnesses is false for "quorum none".
func (p *Policy) WantsWitnesses() bool { return p.quorum != noQuorum }

// LogKeys are the keys of the trusted logs.
func (p *Policy) LogKeys() []VerifierKey {
	keys := make([]VerifierKey, len(p.Logs))
	for i, l := range p.Logs {
		keys[i] = l.Key
	}
	return keys
}

// met reports whether the named witness or group has cosigned, given the witnesses that did.
func (p *Policy) met(name string, cosigned map[string]bool) bool {
	g := p.groups[name]
	if len(g.members) == 0 {
		return cosigned[name]
	}
	n := 0
	for _, m := range g.members {
		if p.met(m, cosigned) {
			n++
		}
	}
	return n >= g.k
}

// Judged is what a policy makes of a signed checkpoint.
type Judged struct {
	Checkpoint
	Cosigned []Cosigned // known witnesses, by name
	Unknown  int        // signature lines by nobody the policy names
	// Witnessed: the cosignatures meet the quorum. Always false under "quorum none", which asks nobody.
	Witnessed bool
	// By is the earliest second by which a quorum had cosigned: this tree existed then. Since is the latest second at
	// which a quorum still said that this was the largest tree: nothing beyond it existed for them. Both are the
	// witnesses' clocks, and zero unless Witnessed.
	By, Since time.Time
}

// Cosigned is one witness's word. A witness asked again later gives a later time for the same tree; both are kept.
type Cosigned struct {
	Witness     string
	First, Last time.Time
}

// Judge verifies every signature of the note by a key the policy names. One that does not verify spoils the note.
func (p *Policy) Judge(n Note) (Judged, error) {
	c, err := VerifyLog(n, p.LogKeys())
	if err != nil {
		return Judged{}, err
	}
	j := Judged{Checkpoint: c}
	for _, s := range n.Signatures {
		known := slices.ContainsFunc(p.Logs, func(l PolicyLog) bool { return l.Key.Made(s) })
		for _, w := range p.Witnesses {
			if !w.Key.Made(s) {
				continue
			}
			known = true
			at, err := w.Key.Verify(n.Text, s)
			if err != nil {
				return Judged{}, fmt.Errorf("checkpoint of %s, size %d, witness %s: %w", c.Origin, c.Size, w.Name, err)
			}
			j.add(w.Name, at)
		}
		if !known {
			j.Unknown++
		}
	}
	slices.SortFunc(j.Cosigned, func(a, b Cosigned) int { return strings.Compare(a.Witness, b.Witness) })
	if !p.WantsWitnesses() {
		return j, nil
	}
	j.By, j.Witnessed = p.reached(j.Cosigned, func(a, b Cosigned) int { return a.First.Compare(b.First) }, func(c Cosigned) time.Time { return c.First })
	j.Since, _ = p.reached(j.Cosigned, func(a, b Cosigned) int { return b.Last.Compare(a.Last) }, func(c Cosigned) time.Time { return c.Last })
	return j, nil
}

func (j *Judged) add(witness string, at time.Time) {
	for i := range j.Cosigned {
		if c := &j.Cosigned[i]; c.Witness == witness {
			if at.Before(c.First) {
				c.First = at
			}
			if at.After(c.Last) {
				c.Last = at
			}
			return
		}
	}
	j.Cosigned = append(j.Cosigned, Cosigned{witness, at, at})
}

// reached adds cosignatures in the given order until they meet the quorum and tells the time of the one that did.
func (p *Policy) reached(cs []Cosigned, order func(a, b Cosigned) int, at func(Cosigned) time.Time) (time.Time, bool) {
	cs = slices.Clone(cs)
	slices.SortStableFunc(cs, order)
	have := map[string]bool{}
	for _, c := range cs {
		have[c.Witness] = true
		if p.met(p.quorum, have) {
			return at(c), true
		}
	}
	return time.Time{}, false
}
