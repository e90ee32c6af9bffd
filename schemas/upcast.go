package schemas

import (
	"fmt"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"github.com/answerable-ledger/answerable/domain"
)

// A hop brings the data of one version to the next: it is pure, and it never makes up what was not recorded. A value
// that old data cannot yield is left out, and the schema of the next version has it optional.
type hop func(jsontext.Value) (jsontext.Value, error)

// hopFrom is the hop that leads from a version of a kind to the next one.
func hopFrom(kind string, version int) (hop, bool) {
	switch {
	case kind == "ReportSubmitted" && version == 1:
		return lateBecomesTimeliness, true
	case kind == "ReportIssued" && version == 1:
		return pinsBecomeVersions, true
	case kind == "ReportSubmitted" && version == 2, kind == "ReportCorrected" && version == 1:
		return unsigned, true
	}
	return nil, false
}

// upcast brings data of an old version to the current one.
func upcast(kind string, version int, data []byte) ([]byte, error) {
	current, _ := CurrentVersion(kind)
	for v := version; v < current; v++ {
		h, ok := hopFrom(kind, v)
		if !ok {
			return nil, fmt.Errorf("no hop from version %d of %s", v, kind)
		}
		next, err := h(data)
		if err != nil {
			return nil, fmt.Errorf("hop from version %d of %s: %w", v, kind, err)
		}
		data = next
	}
	return data, nil
}

// lateBecomesTimeliness: version 1 of ReportSubmitted said late true or false. Version 2 names the judgement, because
// "not late" would also be said of a report that nobody judged.
func lateBecomesTimeliness(data jsontext.Value) (jsontext.Value, error) {
	return renamed(data, "late", "timeliness", func(v jsontext.Value) (jsontext.Value, error) {
		switch v.Kind() {
		case 't':
			return jsontext.Value(`"late"`), nil
		case 'f':
			return jsontext.Value(`"on_time"`), nil
		}
		return nil, fmt.Errorf("late is %s", v)
	})
}

// pinsBecomeVersions: version 1 of ReportIssued repeated unit, version and digest of every report in a sum, which a large
// province's day does not fit. Version 2 groups the units by version and keeps one digest of all.
func pinsBecomeVersions(data jsontext.Value) (jsontext.Value, error) {
	return renamed(data, "parts", "parts", func(v jsontext.Value) (jsontext.Value, error) {
		var parts []jsontext.Value
		if err := json.Unmarshal(v, &parts); err != nil {
			return nil, err
		}
		for i, part := range parts {
			var digest string
			part, err := renamed(part, "inputs", "inputs", func(v jsontext.Value) (jsontext.Value, error) {
				var pins []domain.ChildPin
				if err := json.Unmarshal(v, &pins); err != nil {
					return nil, err
				}
				digest = domain.PinsDigest(pins)
				return json.Marshal(domain.IssuedVersions(pins))
			})
			if err != nil {
				return nil, fmt.Errorf("part %d: %w", i, err)
			}
			parts[i] = append(part[:len(part)-1:len(part)-1], `,"inputs_digest":"`+digest+`"}`...) // inputs is there: the object is not empty
		}
		return json.Marshal(parts)
	})
}

// unsigned: from version 3 of ReportSubmitted and 2 of ReportCorrected on, a filing may carry the signature of the machine
// that sent it. None did before.
func unsigned(data jsontext.Value) (jsontext.Value, error) { return data, nil }

// renamed copies an object with one member, which must be there, under a new name and with a new value. The other
// members keep their order and their bytes.
func renamed(object jsontext.Value, from, to string, change func(jsontext.Value) (jsontext.Value, error)) (jsontext.Value, error) {
	members, err := membersOf(object)
	if err != nil {
		return nil, err
	}
	out, found := []byte{'{'}, false
	for i, m := range members {
		if m.name == from {
			if m.value, err = change(m.value); err != nil {
				return nil, err
			}
			m.name, found = to, true
		}
		if i > 0 {
			out = append(out, ',')
		}
		if out, err = jsontext.AppendQuote(out, m.name); err != nil {
			return nil, err
		}
		out = append(append(out, ':'), m.value...)
	}
	if !found {
		return nil, fmt.Errorf("%s is missing", from)
	}
	return append(out, '}'), nil
}

type member struct {
	name  string
	value jsontext.Value
}

// orderedMembers is a JSON object that keeps the order of its file.
type orderedMembers []member

// UnmarshalJSONFrom reads one object.
func (o *orderedMembers) UnmarshalJSONFrom(d *jsontext.Decoder) error {
	if d.PeekKind() != '{' {
		return fmt.Errorf("not an object")
	}
	if _, err := d.ReadToken(); err != nil {
		return err
	}
	for d.PeekKind() == '"' {
		name, err := d.ReadToken()
		if err != nil {
			return err
		}
		m := member{name: name.String()}
		value, err := d.ReadValue()
		if err != nil {
			return err
		}
		m.value = value.Clone()
		*o = append(*o, m)
	}
	_, err := d.ReadToken()
	return err
}

// membersOf splits an object in the order written; a name that occurs twice is an error.
func membersOf(object []byte) ([]member, error) {
	var out orderedMembers
	err := json.Unmarshal(object, &out)
	return out, err
}
