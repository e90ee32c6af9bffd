package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/bench/province"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/projections"
	"github.com/answerable-ledger/answerable/schemas"
)

const (
	// ledgerRounds is how often a process that writes the ledger and keeps its views is killed, over all places.
	ledgerRounds = 200
	ledgerPlaces = 4
	ledgerUnits  = 200
	loadCommand  = "answerable-load"
)

// TestKilledLedgerKeepsWhatItAcknowledged: a process that takes reports, corrections and sign-offs through the commands,
// and keeps the views meanwhile, is killed with SIGKILL 200 times, after a random number of acknowledgements. After every
// kill each event it acknowledged is in the log, and none is there twice; the views, wherever they stand then, are what a
// fresh fold of the log up to there gives. The next process goes on with what the killed one left.
func TestKilledLedgerKeepsWhatItAcknowledged(t *testing.T) {
	t.Parallel()
	founded := filepath.Join(t.TempDir(), "founded")
	if err := os.Mkdir(founded, 0o755); err != nil {
		t.Fatal(err)
	}
	p := morning(t, province.Province{Regime: "bench", Units: ledgerUnits})
	withNode(t, founded, func(n *node) error {
		return errors.Join(p.SetUp(t.Context(), n.ledger, time.Now), p.Open(t.Context(), n.ledger, p.Day), n.views.CatchUp(t.Context()))
	})
	for place := range ledgerPlaces {
		t.Run(fmt.Sprint(place), func(t *testing.T) {
			t.Parallel()
			seed := rand.Uint64()
			t.Logf("seed %d", seed)
			random := rand.New(rand.NewPCG(seed, 0))
			k := killed{dir: filepath.Join(t.TempDir(), "ledger"), day: p.Day, seen: map[uuid.UUID]bool{}}
			if err := copyDir(founded, k.dir); err != nil {
				t.Fatal(err)
			}
			acknowledged := 0
			for range ledgerRounds / ledgerPlaces {
				got := k.round(t, random.IntN(60))
				k.checkLog(t, got)
				k.checkViews(t)
				acknowledged += len(got)
			}
			// Whatever was left behind is caught up with.
			withNode(t, k.dir, func(n *node) error {
				return errors.Join(n.views.CatchUp(t.Context()), n.views.Verify(t.Context()), newLogCheck(n.registry).check(t.Context(), n.log, (&app{now: time.Now, stdio: stdio{err: io.Discard}}).progress("", 0)))
			})
			t.Logf("%d events, %d acknowledged", len(k.seen), acknowledged)
		})
	}
}

// killed is a ledger whose writers are killed.
type killed struct {
	dir  string
	day  domain.Date
	seen map[uuid.UUID]bool
	at   eventlog.Position // the log is known up to here
}

// round lets a process work until it has acknowledged n events, kills it, and answers all it acknowledged.
func (k *killed) round(t *testing.T, n int) []uuid.UUID {
	t.Helper()
	child := exec.Command(loadCommand, k.dir, string(k.day))
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	var got []uuid.UUID
	lines := bufio.NewScanner(out)
	lines.Scan() // it works from here on
	for said := lines.Text() == "working"; said; said = lines.Scan() {
		if id, err := uuid.Parse(lines.Text()); err == nil {
			got = append(got, id)
		}
		if len(got) == n {
			child.Process.Kill() //nolint:errcheck // it may be dead already
		}
	}
	var ended *exec.ExitError
	if err := child.Wait(); !errors.As(err, &ended) || ended.ExitCode() != -1 || len(got) < n {
		t.Fatalf("the process ended with %v after %d of %d acknowledgements", err, len(got), n)
	}
	return got
}

// checkLog reads what was written since the last time.
func (k *killed) checkLog(t *testing.T, acknowledged []uuid.UUID) {
	t.Helper()
	log, err := (&app{}).openLog(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for b, err := range log.Follow(t.Context(), k.at, eventlog.Filter{}, eventlog.FollowOptions{}) {
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range b.Events {
			if k.seen[e.ID] {
				t.Errorf("event %s is there twice", e.ID)
			}
			k.seen[e.ID], k.at = true, e.Position
		}
		if b.CaughtUp {
			break
		}
	}
	for _, id := range acknowledged {
		if !k.seen[id] {
			t.Errorf("event %s was acknowledged and is not there", id)
		}
	}
}

// checkViews compares the views with the log as the killed process left both.
func (k *killed) checkViews(t *testing.T) {
	t.Helper()
	registry, err := schemas.Load()
	if err != nil {
		t.Fatal(err)
	}
	log, err := (&app{}).openLog(k.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	views, err := projections.OpenVerifier(t.Context(), projections.Config{Path: filepath.Join(k.dir, viewsFile), Log: log, Registry: registry, Logger: zap.NewNop()})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(views.Verify(t.Context()), views.Close()); err != nil {
		t.Fatal(err)
	}
}

// withNode opens a ledger as a process that writes does.
func withNode(t *testing.T, dir string, f func(*node) error) {
	t.Helper()
	a := &app{ctx: t.Context(), logger: zap.NewNop(), now: time.Now}
	n, err := a.openNode(t.Context(), dir, time.Now)
	if err == nil {
		err = errors.Join(f(n), n.close())
	}
	if err != nil {
		t.Fatal(err)
	}
}

// workForEver is the process that is killed: callers file, correct and sign, many of them the same reports, and each
// acknowledged event is printed in one write, while the views follow.
func workForEver() {
	ctx := context.Background()
	fail := func(err error) {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(1)
	}
	p := province.Province{Regime: "bench", Units: ledgerUnits}
	n, err := (&app{ctx: ctx, logger: zap.NewNop(), now: time.Now}).openNode(ctx, os.Args[1], time.Now)
	if err != nil {
		fail(err)
	}
	fmt.Println("working")
	go func() { fail(n.views.Run(ctx)) }()
	for range 16 {
		go func() {
			for {
				r, err := anyAct(ctx, n.ledger, p, p.Key(rand.IntN(p.Units), domain.Date(os.Args[2])))
				var refusal *domain.Error // another caller was faster with the same report
				if err != nil && !errors.As(err, &refusal) {
					fail(err)
				}
				var said []byte
				for _, id := range r.EventIDs {
					said = fmt.Appendln(said, id)
				}
				os.Stdout.Write(said) //nolint:errcheck // nobody may be listening any more
			}
		}()
	}
	select {}
}

// anyAct does what may come next in a report's life.
func anyAct(ctx context.Context, l *commands.Ledger, p province.Province, key domain.ReportKey) (commands.Result, error) {
	report, err := l.Report(ctx, key)
	if err != nil {
		return commands.Result{}, err
	}
	c := commands.Command{ID: uuid.New(), Actor: province.Filer, Channel: domain.ChannelAPI}
	f := commands.Filing{Key: key, Figures: p.Figures(1, len(report.Versions)), Note: "Số liệu giả lập."}
	v, filed := report.Newest()
	switch {
	case !filed:
		return l.SubmitReport(ctx, c, f)
	case !report.Signed() && rand.IntN(2) == 0:
		c.Actor = province.Head
		return l.SignOff(ctx, c, key, domain.SigningAttempt{Version: v.Number, Digest: v.Digest})
	}
	return l.CorrectReport(ctx, c, commands.Replacement{Filing: f, Replaces: v.Number, Correction: domain.CorrectionContent, Reason: "Đếm lại."})
}
