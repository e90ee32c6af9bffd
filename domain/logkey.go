package domain

import (
	"slices"
	"time"
)

// LogKeyIntroduced says that checkpoints of the transparency log are signed with this key from here on. While another key
// is in use too both sign, so that who knows only the old one can still check.
type LogKeyIntroduced struct {
	Origin string `json:"origin"` // the log's name
	Key    string `json:"key"`    // verifier key as policies write it: "<origin>+<id>+<base64>"
	// Beside is the key that was in use until then; "" for the first.
	Beside       string   `json:"beside,omitempty"`
	IntroducedBy PersonID `json:"introduced_by"`
}

// LogKeyRetired says that a key signs no more; what it signed before stays good.
type LogKeyRetired struct {
	Origin    string   `json:"origin"`
	Key       string   `json:"key"`
	Successor string   `json:"successor"` // the key that signs on
	RetiredBy PersonID `json:"retired_by"`
}

func (LogKeyIntroduced) Kind() string { return "LogKeyIntroduced" }
func (LogKeyRetired) Kind() string    { return "LogKeyRetired" }
func (LogKeyIntroduced) event()       {}
func (LogKeyRetired) event()          {}

// LogKey is a key of the transparency log and the time it was in use.
type LogKey struct {
	Origin       string
	Key          string
	IntroducedAt time.Time
	IntroducedBy PersonID
	RetiredAt    time.Time // zero while in use
	RetiredBy    PersonID
}

// LogKeys is what the stream of the log's keys folds to.
type LogKeys struct {
	Keys []LogKey // in the order of their introduction
	CommandLog
}

// Apply folds one fact.
func (k LogKeys) Apply(f Fact) LogKeys {
	k.CommandLog = k.CommandLog.add(f.Meta)
	switch e := f.Event.(type) {
	case LogKeyIntroduced:
		k.Keys = append(slices.Clip(k.Keys), LogKey{Origin: e.Origin, Key: e.Key, IntroducedAt: f.RecordedAt, IntroducedBy: e.IntroducedBy})
	case LogKeyRetired:
		k.Keys = slices.Clone(k.Keys)
		for i := range k.Keys {
			if k.Keys[i].Key == e.Key {
				k.Keys[i].RetiredAt, k.Keys[i].RetiredBy = f.RecordedAt, e.RetiredBy
			}
		}
	}
	return k
}

// InUse are the keys that were introduced and not retired.
func (k LogKeys) InUse() []string {
	var out []string
	for _, x := range k.Keys {
		if x.RetiredAt.IsZero() {
			out = append(out, x.Key)
		}
	}
	return out
}

// Sign decides what is recorded when the log is signed with these keys from now on: an introduction of each that is new, a
// retirement of each that is no longer among them. A key that was retired does not come back: whoever holds it could
// otherwise say so.
func (k LogKeys) Sign(origin string, keys []string, by Actor) ([]Event, error) {
	if err := by.require(RoleAdmin, ""); err != nil {
		return nil, err
	}
	if len(keys) == 0 {
		return nil, refuse(Invalid, CodeTextMissing, "/keys")
	}
	inUse := k.InUse()
	beside := ""
	if len(inUse) > 0 {
		beside = inUse[len(inUse)-1]
	}
	var events []Event
	for _, key := range keys {
		if slices.Contains(inUse, key) {
			continue
		}
		if slices.ContainsFunc(k.Keys, func(x LogKey) bool { return x.Key == key }) {
			return nil, refuse(Conflict, CodeLogKeyRetired, "/keys", "key", key)
		}
		events = append(events, LogKeyIntroduced{Origin: origin, Key: key, Beside: beside, IntroducedBy: by.ID})
		beside = key
	}
	for _, key := range inUse {
		if !slices.Contains(keys, key) {
			events = append(events, LogKeyRetired{Origin: origin, Key: key, Successor: keys[len(keys)-1], RetiredBy: by.ID})
		}
	}
	return events, nil
}
