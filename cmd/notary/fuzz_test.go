package main

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/answerable-ledger/answerable/signing"
	"github.com/answerable-ledger/answerable/transparency"
)

// What these targets hold the readers of untrusted files to: no panic, every refusal has a name that people are told, and
// what is accepted is what its signers made.

// pack makes an archive as bundles are made.
func pack(t testing.TB, files map[string][]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err == nil {
			_, err = f.Write(files[name])
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// bundleSeed is a bundle that holds, by its files, of a log with a key's event, a day and a report that was signed off.
func bundleSeed(f *testing.F) (files map[string][]byte, policy *transparency.Policy) {
	f.Helper()
	key, err := transparency.NewSigningKey(origin, transparency.AlgEd25519, bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	if err != nil {
		f.Fatal(err)
	}
	if policy, err = transparency.ParsePolicy(fmt.Appendf(nil, "log %s\nquorum none\n", key)); err != nil {
		f.Fatal(err)
	}
	const statement = `{"v":"1","authority":"","capacity":"","checkpoint":"","date":"2021-09-24","decision":"sign-off","digest":"d1","form":"f1","nonce":"","regime":"bd","signer":"p1","unit":"u1","version":1}`
	off, err := json.Marshal(signOff{Version: 1, Digest: "d1", Signer: "p1", Statement: statement})
	if err != nil {
		f.Fatal(err)
	}
	var leaves [][]byte
	var hashes []tlog.Hash
	read := tlog.HashReaderFunc(func(indexes []int64) (out []tlog.Hash, err error) {
		for _, i := range indexes {
			out = append(out, hashes[i])
		}
		return out, nil
	})
	m := bundleManifest{V: bundleVersion, Origin: origin, Regime: "bd", Unit: "u1", From: "2021-09-24", To: "2021-09-24", MadeAt: at("18:00:00")}
	files = map[string][]byte{"policy.txt": nil, "summary.html": nil,
		"answers.json": []byte(`[{"regime":"bd","form":"f1","unit":"u1","date":"2021-09-24","version":1,"digest":"d1","figures":[{"field":"n","value":5}],"sign_off":{"signer":{"id":"p1"},"digest":"d1"}}]`)}
	next := map[string]uint64{}
	for i, e := range []entry{
		{logKeyStream, "LogKeyIntroduced", "00:00:00", "", fmt.Sprintf(`{"origin":%q,"key":%q}`, origin, key)},
		{"office-u1", "OfficeTaken", "00:01:00", "", `{"person":"p1","from":"2020-01-01T00:00:00Z"}`},
		{"regimeday-bd.20210924", "DayOpened", "00:05:00", "", aDay},
		{"report-bd.f1.u1.20210924", "ReportSubmitted", "14:00:00", "", `{"timeliness":"on_time","digest":"d1","figures":{"n":5}}`},
		{"report-bd.f1.u1.20210924", "ReportSignedOff", "16:00:00", "", string(off)},
	} {
		o := transparency.Opening{EventID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, i)), HasPayload: true, Payload: []byte(e.payload)}
		l := transparency.Leaf{Origin: origin, EventID: o.EventID, Stream: e.stream, Revision: next[e.stream], Kind: e.kind, ReceivedAt: at(e.received), RecordedAt: at(e.received), Actor: "p1",
			Payload: transparency.CommitPayload(o.PayloadSalt, o.Payload)}
		next[e.stream]++
		leaf, err := l.Append(nil)
		if err != nil {
			f.Fatal(err)
		}
		more, err := tlog.StoredHashes(int64(i), leaf, read)
		if err != nil {
			f.Fatal(err)
		}
		leaves, hashes = append(leaves, leaf), append(hashes, more...)
		m.Entries = append(m.Entries, bundleEntry{EventID: l.EventID, Stream: l.Stream, Revision: l.Revision, Kind: l.Kind, Index: int64(i), Level: "logged", Opened: true})
		if files["openings/"+l.EventID.String()+".opening.json"], err = json.Marshal(o); err != nil {
			f.Fatal(err)
		}
	}
	root, err := tlog.TreeHash(int64(len(leaves)), read)
	if err != nil {
		f.Fatal(err)
	}
	note, err := transparency.Checkpoint{Origin: origin, Size: int64(len(leaves)), Root: root}.Sign(key)
	if err != nil {
		f.Fatal(err)
	}
	files["checkpoints"] = transparency.AppendHistory(nil, note)
	for i, leaf := range leaves {
		proof, err := tlog.ProveRecord(int64(len(leaves)), int64(i), read)
		if err != nil {
			f.Fatal(err)
		}
		files["receipts/"+m.Entries[i].EventID.String()+".tlog-proof"] = transparency.Proof{Extra: leaf, Index: int64(i), Hashes: proof, Checkpoint: note}.Marshal()
	}
	if files["bundle.json"], err = json.Marshal(m); err != nil {
		f.Fatal(err)
	}
	if err := newBundle(policy, signing.Policy{}).check(pack(f, files)); err != nil {
		f.Fatalf("the seed: %v", err)
	}
	return files, policy
}

// named checks that a refusal has a name of its own.
func named(t *testing.T, err error) {
	t.Helper()
	if kindOf(err) == "missing" {
		t.Fatalf("a refusal without a name: %v", err)
	}
}

func FuzzBundle(f *testing.F) {
	files, policy := bundleSeed(f)
	good := pack(f, files)
	f.Add(good)
	f.Add(good[:len(good)-1])
	f.Add(append(good[:len(good):len(good)], 0))
	f.Add(pack(f, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		isBundle(b)
		if err := newBundle(policy, signing.Policy{}).check(b); err != nil {
			named(t, err)
			return
		}
		// Another archive that holds can only say what the same signatures cover: its entries are those of the log.
		var m bundleManifest
		c := newBundle(policy, signing.Policy{})
		if err := c.read(b); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(c.files["bundle.json"], &m); err != nil || len(m.Entries) > 5 {
			t.Fatalf("%d entries of a log of 5, %v", len(m.Entries), err)
		}
	})
}

// What lies inside a bundle is read as well, and there no archive's checksum stands before it.
func FuzzBundleFiles(f *testing.F) {
	files, policy := bundleSeed(f)
	names := slices.Sorted(maps.Keys(files))
	for i, name := range names {
		f.Add(uint8(i), files[name])
	}
	f.Add(uint8(slices.Index(names, "bundle.json")), []byte(`{"v":"answerable-bundle/1","entries":[{"index":-1}]}`))
	f.Add(uint8(slices.Index(names, "bundle.json")), bytes.ReplaceAll(files["bundle.json"], []byte(`"Index":4`), []byte(`"Index":-1`)))
	f.Add(uint8(slices.Index(names, "answers.json")), []byte(`[{"answerable":{"above":{"above":null}}}]`))
	f.Fuzz(func(t *testing.T, i uint8, content []byte) {
		changed := maps.Clone(files)
		changed[names[int(i)%len(names)]] = content
		if err := newBundle(policy, signing.Policy{}).check(pack(t, changed)); err != nil {
			named(t, err)
		}
	})
}

func FuzzOpenings(f *testing.F) {
	one, err := json.Marshal(transparency.Opening{EventID: uuid.Max, HasPayload: true, Payload: []byte(`{"a":1}`)})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(one)
	f.Add(append(append(bytes.Clone(one), '\n'), one...))
	f.Add([]byte("[]"))
	f.Add([]byte("{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		openings, err := decodeOpenings(bytes.NewReader(b))
		if err != nil {
			if !errors.Is(err, transparency.ErrMalformed) {
				t.Fatalf("refused without saying that it is malformed: %v", err)
			}
			return
		}
		var again bytes.Buffer
		for _, o := range openings {
			text, err := json.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			again.Write(text)
		}
		if back, err := decodeOpenings(&again); err != nil || len(back) != len(openings) {
			t.Fatalf("%d openings came back as %d, %v", len(openings), len(back), err)
		}
	})
}

// Whatever a ledger recorded and opens, the judges of an audit read it. A line is a stream, a kind, the clock and the
// content, none when it was not opened.
func FuzzAuditedEntries(f *testing.F) {
	line := func(entries ...entry) (out string) {
		for _, e := range entries {
			out += e.stream + "\t" + e.kind + "\t" + e.received + "\t" + strings.ReplaceAll(e.payload, "\n", "") + "\n"
		}
		return out
	}
	f.Add(line(opened, submitted("u1", "14:00:00", "on_time"), signed("u1", 1), breached("u2", "missing"), closed(1, 0, 2, 0), later))
	f.Add(line(opened, extended("13:00:00", "2021-09-24T09:00:00Z"), exempted("13:00:00"), on("u1", "BreachWithdrawn", "15:12:00", "", `{"breach":"missing"}`)))
	f.Add(line(hidden, on("u1", "ReportSubmitted", "14:00:00", "", "")))
	f.Add(line(entry{"person-p1", "CredentialEnrolled", "01:00:00", "", `{"person":"p1","credential":"k","method":"ed25519","public_key":"AAAA"}`},
		entry{"person-p1", "CredentialRevoked", "02:00:00", "", `{"person":"p1","credential":"k"}`}, entry{"office-u1", "OfficeTaken", "03:00:00", "", `{"person":"p1","from":"2020-01-01T00:00:00Z"}`},
		entry{"office-u1", "OfficeLeft", "04:00:00", "", `{"person":"p1","until":"2022-01-01T00:00:00Z"}`}, opened,
		on("u1", "ReportSubmitted", "14:00:00", "", `{"statement":"{\"v\":\"answerable/filing/1\",\"signer\":\"\"}","signature":{"method":"ed25519","credential":"k","signature":"AAAA"}}`),
		on("u1", "ReportSignedOff", "16:00:00", "", `{"version":1,"signer":"p1","statement":"{\"unit\":\"u1\",\"signer\":\"p1\",\"version\":1}","checkpoint_seen":"1 AAAA","signature":{"method":"webauthn"}}`)))
	f.Add(line(entry{logKeyStream, "LogKeyIntroduced", "00:00:00", "", `{"origin":"a","key":"a+00000000+AA=="}`}))
	f.Fuzz(func(t *testing.T, story string) {
		j, s := newJudge(time.Second), newSignatures(signing.Policy{}, func(size int64) (string, bool) { return "AAAA", size == 1 })
		var k logKeys
		for i, text := range strings.Split(story, "\n") {
			p := append(strings.SplitN(text, "\t", 4), "", "", "")
			l := &transparency.Leaf{Origin: origin, Stream: p[0], Kind: p[1], Revision: uint64(i)}
			if when, err := time.ParseInLocation("15:04:05", p[2], vietNam); err == nil {
				l.ReceivedAt, l.RecordedAt = when, when
			}
			var o []transparency.Opening
			if p[3] != "" {
				o = append(o, transparency.Opening{HasPayload: true, Payload: []byte(p[3])})
			}
			payload := shownPayload(o)
			for _, err := range []error{k.take(int64(i), l, payload), s.takeLeaf(int64(i), l, payload), j.take(int64(i), l, o)} {
				if err != nil {
					named(t, err)
				}
			}
		}
		for _, err := range []error{s.finish(), j.finish()} {
			if err != nil {
				named(t, err)
			}
		}
	})
}
