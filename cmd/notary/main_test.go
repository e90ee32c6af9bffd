package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/transparency"
	"github.com/answerable-ledger/answerable/transparency/sequencer"
	"github.com/answerable-ledger/answerable/transparency/treestore"
	"github.com/answerable-ledger/answerable/transparency/witness"
)

const origin = "ledger.example/binhduong"

// deadline is 15:00 in Viet Nam on the day of the example.
var deadline = time.Date(2021, 9, 24, 8, 0, 0, 0, time.UTC)

// world is a ledger with a witness, and a holder of receipts with a folder.
type world struct {
	t       testing.TB
	now     time.Time
	log     *memlog.Log
	tree    *treestore.Store
	seq     *sequencer.Sequencer
	salts   transparency.SaltKey
	key     transparency.SigningKey
	witness transparency.SigningKey
	server  *httptest.Server // the witness
	dir     string           // the holder's
	events  int
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: deadline.Add(-time.Hour), dir: t.TempDir()}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	var err error
	w.key, err = transparency.NewSigningKey(origin, transparency.AlgEd25519, bytes.NewReader(bytes.Repeat([]byte{1}, 32)))
	must(err)
	w.witness, err = transparency.NewSigningKey("thanhtra.example/w", transparency.AlgCosignatureV1, bytes.NewReader(bytes.Repeat([]byte{2}, 32)))
	must(err)
	w.salts, err = transparency.NewSaltKey(bytes.NewReader(bytes.Repeat([]byte{3}, 32)))
	must(err)
	server, err := witness.New(witness.Options{Dir: t.TempDir(), Key: w.witness, Logs: []transparency.VerifierKey{w.key.VerifierKey}, Now: func() time.Time { return w.now }})
	must(err)
	w.server = httptest.NewServer(server.Handler())
	t.Cleanup(w.server.Close)
	w.log = memlog.New(func() time.Time { return w.now })
	w.open()
	must(os.WriteFile(w.path("policy.txt"), fmt.Appendf(nil, "log %s\nwitness thanhtra %s %s\nquorum thanhtra\n", w.key, w.witness, w.server.URL), 0o644))
	return w
}

// open starts the operator's side on new files.
func (w *world) open() {
	w.t.Helper()
	dir := w.t.TempDir()
	if err := treestore.CreateGuard(filepath.Join(dir, "guard")); err != nil {
		w.t.Fatal(err)
	}
	guard, err := treestore.OpenGuard(filepath.Join(dir, "guard"))
	if err != nil {
		w.t.Fatal(err)
	}
	w.tree, err = treestore.Open(w.t.Context(), treestore.Options{Path: filepath.Join(dir, "tree.db"), Origin: origin, Create: true})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.tree.Close(); guard.Close() })
	w.seq, err = sequencer.New(w.t.Context(), sequencer.Options{Log: w.log, Tree: w.tree, Guard: guard, Salts: w.salts, Keys: []transparency.SigningKey{w.key},
		Clock: func() time.Time { return w.now },
		Header: func(e eventlog.Recorded) (time.Time, string, error) {
			var m struct {
				ReceivedAt time.Time `json:"received_at"`
				Actor      string    `json:"actor"`
			}
			err := json.Unmarshal(e.Meta, &m)
			return m.ReceivedAt, m.Actor, err
		}})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) path(name string) string { return filepath.Join(w.dir, name) }

// report records one report a second.
func (w *world) report(n int, figure string) {
	w.t.Helper()
	for range n {
		w.now = w.now.Add(time.Second)
		unit := w.events % 3
		e := eventlog.Proposed{ID: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, figure, w.events)), Kind: "ReportSubmitted",
			Data: fmt.Appendf(nil, `{"installed":%q}`, figure), Meta: fmt.Appendf(nil, `{"received_at":%q,"actor":"p-%d"}`, w.now.Format(time.RFC3339), unit)}
		if _, err := w.log.Append(w.t.Context(), fmt.Sprintf("unit-xa%d", unit), eventlog.After(uint64(w.events/3)), []eventlog.Proposed{e}); err != nil {
			w.t.Fatal(err)
		}
		w.events++
	}
}

// sign signs; with witnessed the witness cosigns.
func (w *world) sign(witnessed bool) {
	w.t.Helper()
	s, err := w.seq.Force(w.t.Context())
	if err != nil || !witnessed {
		if err != nil {
			w.t.Fatal(err)
		}
		return
	}
	c := sequencer.NewCosigner(sequencer.CosignerOptions{Tree: w.tree, Policy: w.policy(), HTTP: http.DefaultClient, Clock: func() time.Time { return w.now }, Refresh: w.seq.Force})
	ctx, cancel := context.WithCancel(w.t.Context())
	done := make(chan struct{})
	go func() { c.Run(ctx); close(done) }()
	c.Offer(s)
	if _, err := c.Wait(w.t.Context(), s.Size); err != nil {
		w.t.Fatal(err)
	}
	cancel()
	<-done
}

func (w *world) policy() *transparency.Policy {
	w.t.Helper()
	p, err := readPolicy(w.path("policy.txt"))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// receipt hands the holder receipt and opening of the n-th event.
func (w *world) receipt(n int64, name string) {
	w.t.Helper()
	leaf, at, err := w.tree.Leaf(w.t.Context(), n)
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.seq.Receipt(w.t.Context(), at, w.policy())
	if err != nil {
		w.t.Fatal(err)
	}
	l, err := transparency.ParseLeaf(leaf)
	if err != nil {
		w.t.Fatal(err)
	}
	for e, err := range w.log.ReadStream(w.t.Context(), l.Stream, l.Revision) {
		if err != nil {
			w.t.Fatal(err)
		}
		o, err := w.seq.Opening(w.t.Context(), e)
		if err != nil {
			w.t.Fatal(err)
		}
		b, err := json.Marshal(o)
		if err != nil {
			w.t.Fatal(err)
		}
		w.write(name+".opening.json", b)
		break
	}
	w.write(name+".tlog-proof", p.Marshal())
	w.write(name+".leaf", leaf)
}

func (w *world) write(name string, b []byte) {
	w.t.Helper()
	if err := os.WriteFile(w.path(name), b, 0o644); err != nil {
		w.t.Fatal(err)
	}
}

// notary runs the program as the holder would. Words that begin with @ are files of the holder's.
func (w *world) notary(lang string, words ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	for i, word := range words {
		if strings.HasPrefix(word, "@") {
			words[i] = w.path(word[1:])
		}
	}
	getenv := func(name string) string {
		return map[string]string{"LANG": lang, "XDG_STATE_HOME": w.dir}[name]
	}
	code = run(w.t.Context(), words, getenv, &o, &e, time.Now)
	return code, o.String(), e.String()
}

func (w *world) want(code int, part, lang string, words ...string) string {
	w.t.Helper()
	got, out, errs := w.notary(lang, words...)
	if got != code || !strings.Contains(out+errs, part) {
		w.t.Errorf("notary %v: exit %d, want %d and %q:\n%s%s", words, got, code, part, out, errs)
	}
	return out
}

func TestVerdicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(10, "120")
	w.sign(true)
	w.receipt(4, "early")
	w.now = deadline.Add(-2 * time.Second)
	w.report(1, "7") // received at 14:59:59
	w.now = deadline
	w.sign(true)
	w.receipt(10, "close")
	w.report(1, "8")
	w.sign(false)
	w.receipt(11, "pending")

	const vi, en = "vi_VN.UTF-8", "en_US.UTF-8"
	const three = "2021-09-24T15:00:00+07:00"
	for _, tc := range []struct {
		name string
		code int
		lang string
		part string
		args []string
	}{
		{"proven, Vietnamese", 0, vi, "ĐÃ CHỨNG MINH: bản ghi này đã có trong sổ trước 15:00:00 24/09/2021 (+07:00).", []string{"@early.tlog-proof", "--not-after", three}},
		{"proven, English", 0, en, "PROVEN: this entry was in the log before 15:00:00 24 Sep 2021 (+07:00).", []string{"@early.tlog-proof", "--not-after", three}},
		{"language by flag", 0, en, "ĐÃ CHỨNG MINH", []string{"@early.tlog-proof", "--not-after", three, "--lang", "vi"}},
		{"witnessed", 0, vi, "ĐÃ CÓ NHÂN CHỨNG", []string{"@early.tlog-proof"}},
		{"opened", 0, vi, `{"installed":"120"}`, []string{"@early.tlog-proof", "--opening", "@early.opening.json"}},
		{"the operator alone says so", 1, vi, "CHƯA CHỨNG MINH được là trước 15:00:00", []string{"@close.tlog-proof", "--not-after", three}},
		{"the operator alone says so, English", 1, en, "NOT PROVEN to be before 15:00:00 24 Sep 2021 (+07:00): the witnesses only confirm that the entry was in the log before 15:00:01", []string{"@close.tlog-proof", "--not-after", three}},
		{"no witness yet", 1, vi, "CHƯA ĐỦ NHÂN CHỨNG", []string{"@pending.tlog-proof"}},
		{"bare entry", 1, vi, "MỚI GHI NHẬN", []string{"@early.leaf"}},
		{"another event's opening", 1, vi, "nội dung đưa ra không phải nội dung đã được cam kết", []string{"@early.tlog-proof", "--opening", "@close.opening.json"}},
		{"no such file", 2, en, "no such file", []string{"@nothing.tlog-proof"}},
		{"a wrong time", 2, en, "--not-after", []string{"@early.tlog-proof", "--not-after", "15:00"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w.t = t
			w.want(tc.code, tc.part, tc.lang, append([]string{"verify", "--policy", w.path("policy.txt")}, tc.args...)...)
		})
	}
	w.t = t
	var j map[string]any
	out := w.want(0, "", en, "verify", "@early.tlog-proof", "--policy", "@policy.txt", "--not-after", three, "--json")
	if err := json.Unmarshal([]byte(out), &j); err != nil || j["verdict"] != "proven" || j["ok"] != true {
		t.Errorf("%s %v", out, err)
	}
	w.want(2, "missing flags: --policy", en, "verify")
	w.want(2, "", en, "nonsense")
	w.want(0, "Example:", en, "verify", "--help")

	// One digit in the file.
	b, err := os.ReadFile(w.path("early.tlog-proof"))
	if err != nil {
		t.Fatal(err)
	}
	w.write("changed.tlog-proof", bytes.Replace(b, []byte("index 4"), []byte("index 5"), 1))
	w.want(1, "KHÔNG HỢP LỆ", vi, "verify", "@changed.tlog-proof", "--policy", "@policy.txt")
}

func TestAuditAndMemory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(300, "120")
	w.sign(true)
	w.receipt(4, "early")
	if err := treestore.Export(t.Context(), w.tree, w.path("export"), nil); err != nil {
		t.Fatal(err)
	}
	w.want(0, "SỔ ĐÚNG: cả 300 bản ghi khớp với chữ ký và đều đã có đủ nhân chứng", "vi", "audit", "@export", "--policy", "@policy.txt", "--opening", "@early.opening.json")
	server := httptest.NewServer(http.StripPrefix("/log", treestore.Handler(w.tree, func(err error) { t.Error(err) })))
	t.Cleanup(server.Close)
	w.report(20, "120")
	w.sign(false)
	w.want(0, "the first 300 are witnessed", "en", "audit", server.URL+"/log", "--policy", "@policy.txt")
	// The older copy is now older than what was seen.
	w.want(1, "bản cũ, hoặc bản ghi đã bị rút đi", "vi", "audit", "@export", "--policy", "@policy.txt")
	w.want(0, "SỔ ĐÚNG", "vi", "audit", "@export", "--policy", "@policy.txt", "--forget")

	// A receipt's checkpoint is remembered too: a second history of one size is found offline.
	w.want(0, "WITNESSED", "en", "verify", "@early.tlog-proof", "--policy", "@policy.txt")

	// The operator tells another history from the 200th event on, with the true key.
	w.log, w.events, w.now = memlog.New(func() time.Time { return w.now }), 0, deadline.Add(-time.Hour)
	w.report(200, "120")
	w.report(120, "999")
	w.open()
	w.sign(false)
	w.receipt(250, "forked")
	if err := treestore.Export(t.Context(), w.tree, w.path("forked"), nil); err != nil {
		t.Fatal(err)
	}
	out := w.want(1, "the log was forked", "en", "audit", "@forked", "--policy", "@policy.txt")
	if strings.Count(out, "\n"+origin+"\n") < 2 || strings.Count(out, "— "+origin+" ") < 2 {
		t.Errorf("both signed notes must be printed:\n%s", out)
	}
	w.want(1, "the log was forked", "en", "verify", "@forked.tlog-proof", "--policy", "@policy.txt")

	// Damage in an export names the entry.
	bundle := w.path("export/tile/entries/000")
	b, err := os.ReadFile(bundle)
	if err != nil {
		t.Fatal(err)
	}
	at := bytes.Index(b, []byte(`"rev":"17"`))
	b[at+8] = '9'
	if err := os.WriteFile(bundle, b, 0o644); err != nil {
		t.Fatal(err)
	}
	w.want(1, "Chỗ sai đầu tiên: entry 51", "vi", "audit", "@export", "--policy", "@policy.txt", "--forget")
	w.want(2, "neither an address nor a folder", "en", "audit", "@nowhere", "--policy", "@policy.txt")
}

// TestWitnessCommand runs the witness as a program and asks it for a cosignature.
func TestWitnessCommand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.report(10, "1")
	out := w.want(0, "thanhtra.example/cmd+", "en", "key", "thanhtra.example/cmd", "@w.key")
	key, err := transparency.ParseVerifierKey(strings.TrimSpace(out))
	if err != nil {
		t.Fatal(err)
	}
	w.want(1, "exists", "en", "key", "thanhtra.example/cmd", "@w.key")
	ctx, cancel := context.WithCancel(t.Context())
	pr := &firstLines{ready: make(chan string, 1)}
	done := make(chan int, 1)
	go func() {
		done <- run(ctx, []string{"witness", "--listen", "127.0.0.1:0", "--dir", w.path("memory"), "--key", w.path("w.key"), "--log", w.key.String()}, func(string) string { return "" }, pr, os.Stderr, time.Now)
	}()
	url := <-pr.ready
	s, err := w.seq.Force(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client := witness.Client{Prefix: url, Key: key, HTTP: http.DefaultClient}
	if _, err := client.AddCheckpoint(t.Context(), 0, nil, s.Note); err != nil {
		t.Error(err)
	}
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
	w.want(2, "witness's key", "en", "witness", "--dir", "@m2", "--key", "@w.key", "--log", key.String())
}

// firstLines waits for the line that tells the address.
type firstLines struct {
	b     bytes.Buffer
	ready chan string
}

func (f *firstLines) Write(p []byte) (int, error) {
	f.b.Write(p)
	if _, url, ok := strings.Cut(f.b.String(), "listening on "); ok && strings.HasSuffix(url, "\n") {
		f.ready <- strings.TrimSpace(url)
	}
	return len(p), nil
}

// TestLinksNoStore: the tool must not contain what it checks.
func TestLinksNoStore(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	const own = "github.com/answerable-ledger/answerable/"
	allowed := map[string]bool{own + "cmd/notary": true, own + "transparency": true, own + "transparency/witness": true, own + "signing": true}
	for _, p := range strings.Fields(string(out)) {
		if strings.HasPrefix(p, own) && !allowed[p] || strings.Contains(p, "sqlite") || p == "database/sql" || p == "modernc.org/libc" {
			t.Errorf("notary links %s", p)
		}
	}
}

func TestBothLanguagesSayEverything(t *testing.T) {
	t.Parallel()
	for name, w := range map[string]words{"vi": vietnamese, "en": english} {
		for _, kind := range []string{"fork", "older", "other-log", "signature", "commitment", "sequence", "time", "proof", "malformed", "missing", "judgement", "bundle"} {
			if w.kinds[kind] == "" {
				t.Errorf("%s has no words for %s", name, kind)
			}
		}
		for _, field := range strings.Split(fmt.Sprintf("%q", []string{w.proven, w.witnessedNotProven, w.witnessed, w.loggedNotWitnessed, w.loggedNotProven, w.logged, w.recorded,
			w.auditGood, w.auditPartly, w.auditUnwitnessed, w.auditNoWitness, w.bad, w.reason, w.place, w.detail, w.log, w.event, w.received, w.recordedAt, w.ledgersClock, w.actor,
			w.entry, w.entryOf, w.witness, w.unknown, w.content, w.contentMatches, w.contentNotShown, w.root, w.streams, w.checkpoints, w.checkpointsOf, w.span, w.witnessedAt, w.opened, w.daysJudged, w.daysOf, w.judged, w.judgedOf, w.daysNotShown, w.bundleWitnessed, w.bundleLogged, w.bundlePending, w.bundleAbout, w.bundleSigned, w.bundleSignedOf, w.bundleUnjudged, w.bundleAnswers}), " ") {
			if field == `""` {
				t.Errorf("%s: a word is missing", name)
			}
		}
	}
}
