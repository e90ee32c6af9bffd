package transparency

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"
	"pgregory.net/rapid"
)

var sampleID = uuid.MustParse("5f0c4f5e-8f2e-5d5a-9f3e-0a1b2c3d4e5f")

func sampleLeaf() Leaf {
	return Leaf{
		Origin:     "ledger.example/binhduong",
		EventID:    sampleID,
		Stream:     "report-bd2021.form1.tdm-phucuong.20210924",
		Revision:   17,
		Kind:       "ReportSubmitted",
		ReceivedAt: time.Date(2021, 9, 24, 7, 58, 3, 123456000, time.UTC),
		RecordedAt: time.Date(2021, 9, 24, 7, 58, 3, 130000000, time.UTC),
		Actor:      "p-0042",
		Payload:    CommitPayload(Salt{1}, []byte(`{"installed":"120"}`)),
		Meta:       CommitMeta(Salt{2}, []byte(`{"actor":"p-0042"}`)),
	}
}

const goldenLeaf = `{"v":"answerable-leaf/1","origin":"ledger.example/binhduong","event_id":"5f0c4f5e-8f2e-5d5a-9f3e-0a1b2c3d4e5f","stream":"report-bd2021.form1.tdm-phucuong.20210924","rev":"17","kind":"ReportSubmitted","received_at":"2021-09-24T07:58:03.123456Z","recorded_at":"2021-09-24T07:58:03.130000Z","actor":"p-0042","payload":"fc358583af0358d6baf2fbf3f45b154867f9461f4623b7eee9b938e4542f0427","meta":"b3058d3aefbc979205af60ef0a3089781794106f345403e745c9466c36598674"}`

func mustAppend(t testing.TB, l Leaf) []byte {
	t.Helper()
	b, err := l.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestLeafGolden(t *testing.T) {
	t.Parallel()
	b := mustAppend(t, sampleLeaf())
	if diff := cmp.Diff(goldenLeaf, string(b)); diff != "" {
		t.Errorf("the bytes of a leaf are for ever (-want +got):\n%s", diff)
	}
	got, err := ParseLeaf(b)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(sampleLeaf(), got); diff != "" {
		t.Error(diff)
	}
	var asJSON map[string]string
	if err := json.Unmarshal(b, &asJSON); err != nil {
		t.Errorf("a leaf is JSON with string values: %v", err)
	}
	if LeafHash(b) != tlog.RecordHash(b) {
		t.Error("LeafHash differs from tlog.RecordHash")
	}
}

func TestCommitmentGolden(t *testing.T) {
	t.Parallel()
	// Anybody can do this with sha256sum: the line, the salt, the bytes.
	salt := Salt(bytes.Repeat([]byte{7}, 32))
	want := sha256.Sum256(append(append([]byte("answerable/payload/v1\n"), salt[:]...), "{}"...))
	if got := CommitPayload(salt, []byte("{}")); got != Commitment(want) {
		t.Errorf("payload: %s", got)
	}
	if CommitMeta(salt, []byte("{}")) == CommitPayload(salt, []byte("{}")) {
		t.Error("payload and metadata must not be interchangeable")
	}
}

func TestLeafStrict(t *testing.T) {
	t.Parallel()
	good := string(mustAppend(t, sampleLeaf()))
	for name, bad := range map[string]string{
		"trailing byte":        good + "\n",
		"leading blank":        " " + good,
		"blank after colon":    strings.Replace(good, `"rev":"17"`, `"rev": "17"`, 1),
		"number, not a string": strings.Replace(good, `"17"`, `17`, 1),
		"leading zero":         strings.Replace(good, `"17"`, `"017"`, 1),
		"plus sign":            strings.Replace(good, `"17"`, `"+17"`, 1),
		"unknown key":          strings.Replace(good, `,"meta"`, `,"extra":"","meta"`, 1),
		"repeated key":         strings.Replace(good, `,"rev":"17"`, `,"rev":"17","rev":"17"`, 1),
		"missing key":          strings.Replace(good, `,"rev":"17"`, ``, 1),
		"escaped for nothing":  strings.Replace(good, `p-0042`, `\u0070-0042`, 1),
		"upper-case hex":       strings.Replace(good, `5f0c4f5e`, `5F0C4F5E`, 1),
		"uuid without dashes":  strings.Replace(good, sampleID.String(), strings.ReplaceAll(sampleID.String(), "-", ""), 1),
		"local time":           strings.Replace(good, `07:58:03.123456Z`, `14:58:03.123456+07:00`, 1),
		"milliseconds":         strings.Replace(good, `.123456Z`, `.123Z`, 1),
		"31 February":          strings.Replace(good, `2021-09-24T07:58:03.123456Z`, `2021-02-31T07:58:03.123456Z`, 1),
		"no recorded_at":       strings.Replace(good, `2021-09-24T07:58:03.130000Z`, ``, 1),
		"short commitment":     strings.Replace(good, `"}`, `00"}`, 1),
		"other version":        strings.Replace(good, `leaf/1`, `leaf/2`, 1),
		"not UTF-8":            strings.Replace(good, `p-0042`, "p-\xff", 1),
		"too long":             strings.Replace(good, `p-0042`, strings.Repeat("x", MaxLeafBytes), 1),
		"cut short":            good[:len(good)-1],
		"empty":                "",
	} {
		if _, err := ParseLeaf([]byte(bad)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLeafRefusesWhatHasNoSpelling(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Leaf){
		"nanoseconds":  func(l *Leaf) { l.RecordedAt = l.RecordedAt.Add(1) },
		"no time":      func(l *Leaf) { l.RecordedAt = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"bad UTF-8":    func(l *Leaf) { l.Actor = "\xff" },
		"no origin":    func(l *Leaf) { l.Origin = "" },
		"over 4 KiB":   func(l *Leaf) { l.Actor = strings.Repeat("x", MaxLeafBytes) },
		"nil event id": func(l *Leaf) { l.EventID = uuid.Nil },
	} {
		l := sampleLeaf()
		change(&l)
		if _, err := l.Append(nil); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestLeafRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := sampleLeaf()
		l.Actor = rapid.StringN(0, 80, 200).Draw(t, "actor")
		l.Kind = rapid.StringN(1, 80, 200).Draw(t, "kind")
		l.Revision = rapid.Uint64().Draw(t, "revision")
		l.ReceivedAt = time.UnixMicro(rapid.Int64Range(-62135596800000000+1, 253402300799999999).Draw(t, "received")).UTC()
		b, err := l.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(b) {
			t.Fatalf("not JSON: %s", b)
		}
		got, err := ParseLeaf(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(l, got); diff != "" {
			t.Fatal(diff)
		}
		// Any other byte string that parses parses to another leaf: one spelling only.
		i := rapid.IntRange(0, len(b)-1).Draw(t, "byte")
		c := bytes.Clone(b)
		c[i] ^= byte(rapid.IntRange(1, 255).Draw(t, "flip"))
		if other, err := ParseLeaf(c); err == nil && cmp.Equal(other, l) {
			t.Fatalf("two spellings of one leaf:\n%s\n%s", b, c)
		}
	})
}

// FuzzLeaf: what ParseLeaf accepts has one spelling.
func FuzzLeaf(f *testing.F) {
	good := mustAppend(f, sampleLeaf())
	f.Add(good)
	for _, actor := range []string{"", `"\\`, "\x00\x1f\x7f", "Nguyễn", "\u2028"} {
		l := sampleLeaf()
		l.Actor = actor
		f.Add(mustAppend(f, l))
	}
	f.Add(bytes.Replace(good, []byte("p-0042"), []byte(`\u0041`), 1))
	f.Add(bytes.Replace(good, []byte("p-0042"), []byte(`\u001F`), 1))
	f.Add(bytes.Replace(good, []byte("2021-09-24T07:58:03.123456Z"), []byte("0001-01-01T00:00:00.000000Z"), 1))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := ParseLeaf(b)
		if err != nil {
			return
		}
		again, err := l.Append(nil)
		if err != nil || !bytes.Equal(again, b) {
			t.Fatalf("two spellings (%v):\n%s\n%s", err, b, again)
		}
	})
}

// TestParseLeavesNothingBehind reads a leaf with nothing optional into one that had everything.
func TestParseLeavesNothingBehind(t *testing.T) {
	t.Parallel()
	bare := sampleLeaf()
	bare.ReceivedAt, bare.Actor = time.Time{}, ""
	got := sampleLeaf()
	if err := got.parse(mustAppend(t, bare), nil); err != nil || got != bare {
		t.Errorf("%v\n%+v\n%+v", err, got, bare)
	}
}

func TestIsPlain(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.OneOf(rapid.ByteRange(0x1f, 0x22), rapid.ByteRange(0x5b, 0x5d), rapid.ByteRange(0x7e, 0x81), rapid.ByteRange(' ', '['), rapid.Byte()), 0, 20).Draw(t, "bytes")
		want := bytes.IndexFunc(b, func(r rune) bool { return r < ' ' || r >= 0x80 || r == '\\' }) < 0
		if got := isPlain(b); got != want {
			t.Fatalf("%x: %v", b, got)
		}
	})
}

// TestParseHex puts every byte into every place of what may stand in a leaf.
func TestParseHex(t *testing.T) {
	t.Parallel()
	const good = "0123456789abcdef09af13ed"
	for n := 0; n <= len(good); n += 8 {
		for i := range n {
			for c := range 256 {
				s := []byte(good[:n])
				s[i] = byte(c)
				got := make([]byte, n/2)
				want, err := hex.DecodeString(string(s))
				ok := parseHex(got, s)
				if ok != (err == nil && strings.ToLower(string(s)) == string(s)) || ok && !bytes.Equal(got, want) {
					t.Fatalf("%q: %x %v, want %x %v", s, got, ok, want, err)
				}
			}
		}
	}
}

// TestParseUUID puts every byte into every place of an event's id.
func TestParseUUID(t *testing.T) {
	t.Parallel()
	const good = "01234567-89ab-cdef-09af-13ed24cb5a68"
	for i := range good {
		for c := range 256 {
			s := []byte(good)
			s[i] = byte(c)
			var got uuid.UUID
			want, err := uuid.ParseBytes(s)
			ok := parseUUID(&got, s)
			if ok != (err == nil && want.String() == string(s)) || ok && got != want {
				t.Fatalf("%q: %s %v, want %s %v", s, got, ok, want, err)
			}
			if ok && string(appendUUID(nil, got)) != string(s) {
				t.Fatalf("%s, want %s", appendUUID(nil, got), s)
			}
		}
	}
}

// TestParseTime reads every day of some centuries, and days that are none.
func TestParseTime(t *testing.T) {
	t.Parallel()
	for d := time.Date(1, 1, 1, 23, 59, 58, 123456000, time.UTC); d.Year() < 2500; d = d.AddDate(0, 0, 1) {
		if got, err := parseTime([]byte(d.Format(leafTime))); err != nil || got != d {
			t.Fatalf("%s: %s %v", d, got, err)
		}
		if got, err := appendTime(nil, d); err != nil || string(got) != d.Format(leafTime) {
			t.Fatalf("%s, want %s (%v)", got, d.Format(leafTime), err)
		}
		if d.Year() == 450 {
			d = d.AddDate(1150, 0, 0)
		}
	}
	for _, day := range []string{"2021-02-29", "1900-02-29", "2100-02-29", "2021-02-30", "2021-04-31", "2021-06-31", "2021-09-31", "2021-11-31", "2021-12-32", "2021-00-01", "2021-13-01", "2021-01-00", "0000-01-01"} {
		if got, err := parseTime([]byte(day + "T00:00:00.000000Z")); err == nil {
			t.Errorf("%s is read as %s", day, got)
		}
	}
	for _, clock := range []string{"24:00:00", "23:60:00", "23:59:60"} {
		if got, err := parseTime([]byte("2021-01-01T" + clock + ".000000Z")); err == nil {
			t.Errorf("%s is read as %s", clock, got)
		}
	}
}

func TestSaltIsHMAC(t *testing.T) {
	t.Parallel()
	k, err := NewSaltKey(bytes.NewReader(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	payload, meta := k.Salts(sampleID)
	for purpose, got := range map[string]Salt{payloadPurpose: payload, metaPurpose: meta} {
		m := hmac.New(sha256.New, k.key[:])
		m.Write([]byte(purpose))
		m.Write(sampleID[:])
		if want := m.Sum(nil); hex.EncodeToString(want) != hex.EncodeToString(got[:]) {
			t.Errorf("%q: %x, want %x", purpose, got, want)
		}
	}
}

// A committer is used for many events, and says of each what the two functions say.
func TestCommitter(t *testing.T) {
	t.Parallel()
	k, err := NewSaltKey(bytes.NewReader(bytes.Repeat([]byte{9}, 32)))
	if err != nil {
		t.Fatal(err)
	}
	c := k.Committer()
	rapid.Check(t, func(t *rapid.T) {
		id := uuid.UUID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id"))
		payload, meta := rapid.SliceOfN(rapid.Byte(), 0, 5000).Draw(t, "payload"), rapid.SliceOf(rapid.Byte()).Draw(t, "meta")
		ps, ms := k.Salts(id)
		if p, m := c.Commit(id, payload, meta); p != CommitPayload(ps, payload) || m != CommitMeta(ms, meta) {
			t.Fatalf("%x and %x", p, m)
		}
	})
}

func TestAppendHex(t *testing.T) {
	t.Parallel()
	var all []byte
	for i := range 256 {
		all = append(all, byte(i))
	}
	for n := 0; n < len(all); n += 4 {
		if got, want := string(appendHex([]byte("x"), all[n:])), "x"+hex.EncodeToString(all[n:]); got != want {
			t.Fatalf("%s, want %s", got, want)
		}
	}
}

func TestSecretFiles(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "salt.key")
	made, err := CreateSaltKey(path)
	if err != nil {
		t.Fatal(err)
	}
	if read, err := LoadSaltKey(path); err != nil || read != made {
		t.Errorf("read back: %v", err)
	}
	if _, err := CreateSaltKey(path); !errors.Is(err, os.ErrExist) {
		t.Errorf("a key must never be replaced: %v", err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := LoadSaltKey(path); !errors.Is(err, os.ErrPermission) {
		t.Errorf("a key others may read must be refused: %v", err)
	}
	path = filepath.Join(t.TempDir(), "log.key")
	signer, err := CreateSigningKey(path, "ledger.example/x", AlgEd25519)
	if err != nil {
		t.Fatal(err)
	}
	again, err := LoadSigningKey(path)
	if err != nil || again.String() != signer.String() {
		t.Errorf("read back: %v", err)
	}
}

// TestEveryFlipInAnOpeningIsNoticed flips every bit of an opening's file. What is still believed says exactly what it said:
// the bit was the case of a digit or of a name.
func TestEveryFlipInAnOpeningIsNoticed(t *testing.T) {
	t.Parallel()
	o := Opening{EventID: sampleID, HasPayload: true, Payload: []byte("{\"note\":\"đã đối chiếu <6> khu phố\",\n \"installed\":120}"), PayloadSalt: Salt{1, 0xab, 0xff},
		HasMeta: true, Meta: []byte{0xff, 0, 1, 2}, MetaSalt: Salt{2}}
	l := sampleLeaf()
	l.Payload, l.Meta = CommitPayload(o.PayloadSalt, o.Payload), CommitMeta(o.MetaSalt, o.Meta)
	good, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range good {
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			var read Opening
			if json.Unmarshal(bad, &read) != nil || read.Check(l) != nil {
				continue
			}
			if diff := cmp.Diff(o, read); diff != "" {
				t.Errorf("byte %d (%q), bit %d goes unnoticed:\n%s", i, good[max(0, i-10):min(len(good), i+10)], bit, diff)
			}
		}
	}
}

func TestOpening(t *testing.T) {
	t.Parallel()
	l := sampleLeaf()
	o := Opening{EventID: sampleID,
		HasPayload: true, Payload: []byte(`{"installed":"120"}`), PayloadSalt: Salt{1},
		HasMeta: true, Meta: []byte(`{"actor":"p-0042"}`), MetaSalt: Salt{2}}
	through := func(o Opening) Opening {
		t.Helper()
		b, err := json.Marshal(o)
		if err != nil {
			t.Fatal(err)
		}
		var back Opening
		if err := json.Unmarshal(b, &back); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(o, back); diff != "" {
			t.Errorf("opening changed in JSON:\n%s", diff)
		}
		return back
	}
	if err := through(o).Check(l); err != nil {
		t.Errorf("true opening: %v", err)
	}
	half := o
	half.HasMeta, half.Meta, half.MetaSalt = false, nil, Salt{}
	if err := through(half).Check(l); err != nil {
		t.Errorf("payload alone: %v", err)
	}
	through(Opening{EventID: sampleID, HasPayload: true, Payload: []byte{0xff, 0}, PayloadSalt: Salt{1}})
	for name, change := range map[string]func(*Opening){
		"another figure":     func(o *Opening) { o.Payload = []byte(`{"installed":"121"}`) },
		"another salt":       func(o *Opening) { o.PayloadSalt[5] ^= 1 },
		"redacted in place":  func(o *Opening) { o.Payload = bytes.Repeat([]byte{0xff}, len(o.Payload)) },
		"reformatted":        func(o *Opening) { o.Payload = []byte(`{"installed": "120"}`) },
		"another actor":      func(o *Opening) { o.Meta = []byte(`{"actor":"p-0043"}`) },
		"meta as payload":    func(o *Opening) { o.Payload, o.PayloadSalt = o.Meta, o.MetaSalt },
		"another event's id": func(o *Opening) { o.EventID[0] ^= 1 },
	} {
		bad := o
		change(&bad)
		if err := bad.Check(l); !errors.Is(err, ErrCommitment) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
