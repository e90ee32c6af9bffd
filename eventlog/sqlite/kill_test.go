//go:build unix

package sqlite

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/eventlogtest"
)

const (
	childPath  = "ANSWERABLE_TEST_KILL_PATH"
	childRound = "ANSWERABLE_TEST_KILL_ROUND"
	// killRounds in all; more with ANSWERABLE_KILL_ROUNDS=1000.
	killRounds = 200
	killFiles  = 4
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		appendForEver(path, os.Getenv(childRound))
	}
	os.Exit(m.Run())
}

// appendForEver is the child: 16 callers append, each to streams of its own and, in turns, to one they share, and print
// each acknowledged event in one write. It ends by being killed.
func appendForEver(path, round string) {
	l, err := Open(path, Options{tune: tuning{runEvents: 100, checkpointBytes: 100000}})
	if err != nil {
		fmt.Println("open:", err)
		os.Exit(1)
	}
	shared := uint64(0)
	for range l.ReadStream(context.Background(), "shared-1", 0) {
		shared++
	}
	var mu sync.Mutex // held while shared is being appended to
	store := func(stream string, expected eventlog.Expected, n int) {
		events := make([]eventlog.Proposed, n)
		for i := range events {
			events[i] = eventlog.Proposed{ID: uuid.New(), Kind: "Tested", Data: make([]byte, 500)}
		}
		got, err := l.Append(context.Background(), stream, expected, events)
		if err != nil {
			fmt.Println("append:", err)
			os.Exit(1)
		}
		var acks []byte
		for i, e := range events {
			acks = fmt.Appendf(acks, "%s %d %s\n", stream, got.First+uint64(i), e.ID)
		}
		os.Stdout.Write(acks)
	}
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				stream := fmt.Sprintf("unit-%s.%d.%d", round, w, i)
				store(stream, eventlog.NoStream, 1+i%3)
				store(stream, eventlog.Exact(uint64(i%3)), 1)
				mu.Lock()
				store("shared-1", eventlog.After(shared), 1)
				shared++
				mu.Unlock()
			}
		}()
	}
	go func() {
		for i := 0; ; i++ {
			storeAll(l, fmt.Sprintf("all-%s.%d", round, i))
		}
	}()
	select {}
}

// wholeParts is to how many streams the child appends as one.
const wholeParts = 7

func storeAll(l *Log, name string) {
	parts := make([]eventlog.Part, wholeParts)
	for i := range parts {
		parts[i] = eventlog.Part{Stream: fmt.Sprintf("%s.%d", name, i), Expected: eventlog.NoStream, Events: []eventlog.Proposed{{ID: uuid.New(), Kind: "Tested", Data: make([]byte, 5000)}}}
	}
	if _, err := l.AppendAll(context.Background(), parts); err != nil {
		fmt.Println("append all:", err)
		os.Exit(1)
	}
	var acks []byte
	for _, p := range parts {
		acks = fmt.Appendf(acks, "%s 0 %s\n", p.Stream, p.Events[0].ID)
	}
	os.Stdout.Write(acks)
}

// checkWhole fails when what was appended to several streams as one is there in part.
func checkWhole(t *testing.T, events []eventlog.Recorded) {
	t.Helper()
	found := map[string]int{}
	for _, e := range events {
		if strings.HasPrefix(e.Stream, "all-") {
			found[e.Stream[:strings.LastIndexByte(e.Stream, '.')]]++
		}
	}
	for name, n := range found {
		if n != wholeParts {
			t.Errorf("%s: %d of %d streams are there", name, n, wholeParts)
		}
	}
	if len(found) == 0 {
		t.Error("nothing was appended to several streams")
	}
}

// A process that is killed at any moment under load leaves every event it acknowledged, none twice, and a log in which
// everything else holds too.
func TestKill(t *testing.T) {
	t.Parallel()
	rounds := killRounds
	if s := os.Getenv("ANSWERABLE_KILL_ROUNDS"); s != "" {
		var err error
		if rounds, err = strconv.Atoi(s); err != nil {
			t.Fatal(err)
		}
	}
	for file := range killFiles {
		t.Run(fmt.Sprint(file), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			path := newPath(t)
			acked := make(map[string]string) // stream and revision to id
			for round := range rounds / killFiles {
				for place, id := range killOneRound(t, path, round, 1+random.IntN(200)) {
					acked[place] = id
				}
				if round%10 != 9 && round != rounds/killFiles-1 {
					continue // the next child finds what this one left
				}
				l := openTest(t, path, Options{})
				events := eventlogtest.CheckLog(t, l)
				checkAcked(t, events, acked)
				checkWhole(t, events)
				if err := l.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// killOneRound lets a child append until it has acknowledged n events, kills it, and answers all it acknowledged.
func killOneRound(t *testing.T, path string, round, n int) map[string]string {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), childPath+"="+path, childRound+"="+strconv.Itoa(round))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	acked := make(map[string]string)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) != 3 || len(f[2]) != len(uuid.Nil.String()) {
			child.Process.Kill()
			t.Fatalf("the child says %q", lines.Text())
		}
		acked[f[0]+" "+f[1]] = f[2]
		if len(acked) == n {
			child.Process.Kill()
		}
	}
	var killed *exec.ExitError
	if err := child.Wait(); !errors.As(err, &killed) || len(acked) < n {
		t.Fatalf("the child ended with %v after %d of %d acknowledgements", err, len(acked), n)
	}
	return acked
}

func checkAcked(t *testing.T, events []eventlog.Recorded, acked map[string]string) {
	t.Helper()
	stored := make(map[string]string, len(events))
	seen := make(map[uuid.UUID]bool, len(events))
	for _, e := range events {
		stored[fmt.Sprintf("%s %d", e.Stream, e.Revision)] = e.ID.String()
		if seen[e.ID] {
			t.Errorf("event %s stands twice", e.ID)
		}
		seen[e.ID] = true
	}
	for place, id := range acked {
		if stored[place] != id {
			t.Errorf("%s: acknowledged %s, found %q", place, id, stored[place])
		}
	}
	t.Logf("%d events, %d acknowledged", len(events), len(acked))
}
