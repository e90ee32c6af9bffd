package projections

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/memlog"
	"github.com/answerable-ledger/answerable/schemas"
)

// benchEvents is how many events the benchmarks fold: ANSWERABLE_BENCH_EVENTS, or 200,000.
func benchEvents() int {
	if n, err := strconv.Atoi(os.Getenv("ANSWERABLE_BENCH_EVENTS")); err == nil && n > 0 {
		return n
	}
	return 200_000
}

// load writes a made-up ledger: a province of districts of communes, each reporting every day, most signed, some
// corrected, some missing, one in fifty of the communes with a change of head every ten days.
type load struct {
	facts  func(domain.Fact)
	clock  time.Time
	next   map[string]uint64
	n      int
	max    int
	people map[domain.UnitCode]int
}

const (
	loadDistricts = 20
	loadCommunes  = 50 // per district
)

func (l *load) full() bool { return l.n >= l.max }

func (l *load) fact(stream string, actor domain.PersonID, e domain.Event) {
	if l.full() {
		return
	}
	l.n++
	l.clock = l.clock.Add(time.Millisecond)
	revision := l.next[stream]
	l.next[stream]++
	id := uuid.NewSHA1(uuid.Nil, []byte(stream+strconv.FormatUint(revision, 10)))
	l.facts(domain.Fact{Event: e, Meta: domain.Meta{EventID: id, Stream: stream, Revision: revision, ReceivedAt: l.clock, RecordedAt: l.clock,
		Actor: actor, Role: domain.RoleFiler, Channel: domain.ChannelAPI, CommandID: id, CorrelationID: id}})
}

func (l *load) write() {
	var communes []domain.UnitCode
	var groups []domain.DutyGroup
	for d := range loadDistricts {
		district := domain.UnitCode(strconv.Itoa(700 + d))
		l.unit(district, domain.LevelDistrict, "Huyện", "74")
		g := domain.DutyGroup{Parent: district}
		for c := range loadCommunes {
			code := domain.UnitCode(strconv.Itoa(25000 + 100*d + c))
			l.unit(code, domain.LevelCommune, "Xã", district)
			g.Units = append(g.Units, code)
		}
		groups, communes = append(groups, g), append(communes, g.Units...)
	}
	l.fact("regime-load", "p_department", domain.RegimeIssued{Regime: "load", Rules: domain.Rules{Title: "Chế độ báo cáo thử tải", Zone: "Asia/Ho_Chi_Minh", FirstDay: "2021-01-01",
		Duties: []domain.Duty{{ID: "commune", Form: "commune", FormVersion: 2, Due: "15:00", SignOffDue: "17:00", Holders: domain.Holders{Levels: []domain.Level{domain.LevelCommune}}}}}})
	for day := 0; !l.full(); day++ {
		l.day(day, groups, communes)
	}
}

func (l *load) unit(code domain.UnitCode, level domain.Level, typ string, parent domain.UnitCode) {
	l.fact("unit-"+string(code), "p_department", domain.UnitRegistered{Unit: code, Level: level, Type: typ, Name: "Đơn vị " + string(code), Parent: parent, EffectiveOn: "2020-01-01", Synthetic: true})
	head := domain.PersonID("p_" + string(code))
	l.fact("person-"+string(head), "p_admin", domain.PersonRegistered{Person: head, Name: "Nguyễn Văn " + string(code), Synthetic: true})
	l.fact("office-"+string(code), "p_department", domain.OfficeTaken{Unit: code, Person: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH", From: l.clock.AddDate(-1, 0, 0), Decision: "QĐ 1"})
}

func (l *load) day(n int, groups []domain.DutyGroup, communes []domain.UnitCode) {
	date := domain.Date("2021-01-01").AddDays(n)
	midnight, _ := time.Parse(time.DateOnly, string(date))
	l.clock = midnight.Add(time.Hour)
	due, signDue := midnight.Add(8*time.Hour), midnight.Add(10*time.Hour)
	l.fact(domain.DayStream("load", date), domain.System, domain.DayOpened{Regime: "load", Date: date, RegimeVersion: 1, Duties: []domain.DayDuty{
		{Duty: "commune", Form: "commune", FormVersion: 2, Due: due, GraceSeconds: 300, SignOffDue: &signDue, Groups: groups}}})
	for i, u := range communes {
		key := domain.ReportKey{Regime: "load", Form: "commune", Unit: u, Date: date}
		filer, head := domain.PersonID("p_filer_"+string(u)), domain.PersonID("p_"+string(u))
		if (i+n)%31 == 0 {
			l.fact(key.Stream(), domain.System, domain.DeadlineBreached{Regime: "load", Form: "commune", Unit: u, Date: date, Duty: "commune", Breach: domain.BreachMissing, Due: due, RegimeVersion: 1})
			continue
		}
		figures := domain.Figures{"smartphone_users": 4000, "installed": int64(1000 + 7*n + i), "new_today": int64(i), "households_visited": int64(i % 300)}
		content := domain.Content{FormVersion: 2, Figures: figures}
		l.fact(key.Stream(), filer, domain.ReportSubmitted{Regime: "load", Form: "commune", FormVersion: 2, Unit: u, Date: date, Figures: figures, Digest: content.Digest(key), Due: due, RegimeVersion: 1, Timeliness: domain.OnTime})
		v := domain.Version{Number: 1, Digest: content.Digest(key)}
		if (i+n)%10 == 0 {
			changed := domain.Figures{"smartphone_users": 4000, "installed": int64(1001 + 7*n + i), "new_today": int64(i), "households_visited": int64(i % 300)}
			content = domain.Content{FormVersion: 2, Figures: changed}
			l.fact(key.Stream(), filer, domain.ReportCorrected{Regime: "load", Form: "commune", FormVersion: 2, Unit: u, Date: date, Version: 2, Replaces: 1, ReplacesDigest: v.Digest,
				Correction: domain.CorrectionContent, Reason: "bổ sung số liệu nhận muộn", Figures: changed, Digest: content.Digest(key)})
			v = domain.Version{Number: 2, Digest: content.Digest(key)}
		}
		l.fact(key.Stream(), head, domain.ReportSignedOff{Version: v.Number, Digest: v.Digest, Signer: head, Capacity: domain.CapacityHead, Title: "CHỦ TỊCH",
			Statement: domain.Statement(key, v, domain.SignerRight{Capacity: domain.CapacityHead}, head, "ledger.example 1234 abcdef", "n")})
	}
}

var benchLogs struct {
	sync.Mutex
	log    eventlog.Log
	events int
}

// benchLog makes the ledger once per run.
func benchLog(b *testing.B) (eventlog.Log, int) {
	b.Helper()
	benchLogs.Lock()
	defer benchLogs.Unlock()
	if benchLogs.log == nil {
		var now time.Time
		benchLogs.log = newBenchLog(func() time.Time { return now })
		l := &load{clock: time.Date(2020, 12, 1, 0, 0, 0, 0, time.UTC), next: map[string]uint64{}, max: benchEvents()}
		l.facts = func(f domain.Fact) {
			now = f.RecordedAt
			s, err := schemas.Encode(f)
			must(b, err)
			_, err = benchLogs.log.Append(context.Background(), f.Stream, eventlog.After(f.Revision), []eventlog.Proposed{{ID: s.ID, Kind: s.Kind, Data: s.Data, Meta: s.Meta}})
			must(b, err)
		}
		l.write()
		benchLogs.events = l.n
	}
	return benchLogs.log, benchLogs.events
}

// newBenchLog is the store that is scanned; bench/ does the same with the stores of production.
var newBenchLog = func(clock eventlog.Clock) eventlog.Log { return memlog.New(clock) }

// The rates to compare: what scanning and decoding alone reaches on all cores, with the same decoder; what the rebuild
// reaches, which does that too; and what writing batch by batch reaches.
func BenchmarkReplay(b *testing.B) {
	ctx := context.Background()
	b.Run("decode", func(b *testing.B) {
		log, n := benchLog(b)
		v := openViews(b, b.TempDir(), log)
		defer closeViews(b, v)
		before := cpu()
		for b.Loop() {
			alone := func(s *step) {
				e := &s.recorded
				s.fact, s.err = schemas.Decode(schemas.Source{Stream: e.Stream, Revision: e.Revision, RecordedAt: e.RecordedAt, Stored: schemas.Stored{ID: e.ID, Kind: e.Kind, Data: e.Data, Meta: e.Meta}})
			}
			must(b, followWith(ctx, func() func(*step) { return alone }, log, eventlog.Position{}, v.config.BatchSize, v.config.Decoders, func(x batch) bool { return !x.caughtUp }))
		}
		perSecond(b, n, before)
	})
	b.Run("rebuild", func(b *testing.B) {
		log, n := benchLog(b)
		v := openViews(b, b.TempDir(), log)
		defer closeViews(b, v)
		before := cpu()
		for b.Loop() {
			started, phase := time.Now(), ""
			must(b, v.Rebuild(ctx, func(p Progress) {
				if testing.Verbose() && p.Phase != phase {
					phase = p.Phase
					fmt.Fprintf(os.Stderr, "%8s %s %d rows\n", time.Since(started).Round(time.Millisecond), p.Phase, p.Rows)
				}
			}))
		}
		perSecond(b, n, before)
	})
	b.Run("rows", func(b *testing.B) { // as an application does that writes each row when its event comes
		log, n := benchLog(b)
		n = min(n, 50_000)
		before := cpu()
		for b.Loop() {
			b.StopTimer()
			v := openViews(b, b.TempDir(), log)
			var steps []step
			must(b, follow(ctx, log, eventlog.Position{}, 1000, v.config.Decoders, func(x batch) bool {
				steps = append(steps, x.steps...)
				return len(steps) < n
			}))
			b.StartTimer()
			for part := range slices.Chunk(steps[:n], 1000) {
				must(b, v.applyRowByRow(ctx, part))
			}
			b.StopTimer()
			closeViews(b, v)
			b.StartTimer()
		}
		perSecond(b, n, before)
	})
}

// applyRowByRow folds steps in one transaction and writes the rows of every step by itself.
func (v *Views) applyRowByRow(ctx context.Context, steps []step) error {
	tx, err := v.current.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if v.live == nil {
		v.live = newSet(nil)
	}
	at := v.position()
	v.live.from = stored{ctx, v.current, tx}
	for i := range steps {
		if err := v.live.fold(&steps[i], nil); err != nil {
			return err
		}
		if err := v.current.upsert(ctx, tx, v.live); err != nil {
			return err
		}
		v.live.settle()
	}
	if err := v.current.advance(ctx, tx, at.at, v.live.position()); err != nil {
		return err
	}
	v.moved(v.live.position())
	return tx.Commit()
}

func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func perSecond(b *testing.B, n int, before time.Duration) {
	b.ReportMetric(float64((cpu()-before).Nanoseconds())/1000/float64(n)/float64(b.N), "cpu_us/event")
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.ReportMetric(0, "ns/op")
}

// Point queries, with the 99th percentile of each.
func BenchmarkPoint(b *testing.B) {
	ctx := context.Background()
	log, _ := benchLog(b)
	v := openViews(b, b.TempDir(), log)
	defer closeViews(b, v)
	must(b, v.CatchUp(ctx))
	page, err := v.Days(ctx, "load", "", "", nil)
	must(b, err)
	known := page.Days[len(page.Days)/2].OpenedAt
	questions := map[string]func(u domain.UnitCode, d domain.Date) error{
		"history": func(u domain.UnitCode, d domain.Date) error {
			_, err := v.History(ctx, HistoryQuery{Regime: "load", Unit: u, Date: d})
			return err
		},
		"history_known_at": func(u domain.UnitCode, d domain.Date) error {
			_, err := v.History(ctx, HistoryQuery{Regime: "load", Unit: u, Date: page.Days[0].Date, KnownAt: &known})
			return err
		},
		"answer": func(u domain.UnitCode, d domain.Date) error {
			_, err := v.Answer(ctx, AnswerQuery{Regime: "load", Unit: u, Form: "commune", From: d, To: d})
			return err
		},
		"board": func(u domain.UnitCode, d domain.Date) error {
			_, err := v.Board(ctx, BoardQuery{Regime: "load", Date: d})
			return err
		},
		"synthesis": func(u domain.UnitCode, d domain.Date) error {
			_, err := v.Synthesis(ctx, SynthesisQuery{Regime: "load", Date: d})
			return err
		},
	}
	for name, ask := range questions {
		b.Run(name, func(b *testing.B) {
			var took []time.Duration
			for i := 0; b.Loop(); i++ {
				u := domain.UnitCode(strconv.Itoa(25000 + 100*(i*7%loadDistricts) + i*13%loadCommunes))
				started := time.Now()
				must(b, ask(u, page.Days[i*31%len(page.Days)].Date))
				took = append(took, time.Since(started))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99_ms")
		})
	}
}
