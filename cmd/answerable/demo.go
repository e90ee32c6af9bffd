package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/go-json-experiment/json"

	"github.com/answerable-ledger/answerable/accounts"
	"github.com/answerable-ledger/answerable/commands"
	"github.com/answerable-ledger/answerable/domain"
	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/sqlite"
	binhduong "github.com/answerable-ledger/answerable/examples/binhduong-2021"
	"github.com/answerable-ledger/answerable/examples/binhduong-2021/replay"
	"github.com/answerable-ledger/answerable/projections"
)

const (
	defaultListen = "127.0.0.1:8080"
	defaultSeed   = 2021
	// demoMarker says that a directory is the demonstration's own and may be made anew.
	demoMarker = "answerable-demo.json"
)

type demoCmd struct {
	dataFlag
	Seed   uint64 `help:"Seed of the made-up week: one seed, one story, byte for byte." default:"2021"`
	Listen string `help:"Address to serve on." default:"127.0.0.1:8080" placeholder:"HOST:PORT"`
	Once   bool   `help:"Replay, print the summary and exit instead of serving."`
	JSON   bool   `name:"json" help:"Print the summary as one JSON object."`
}

func (demoCmd) Help() string {
	return `Replays 5 to 10 February 2021 under Directive 03/CT-UBND of Bình Dương: real units by official code, synthetic figures and persons, the same commands an API call uses, a simulated clock. The data directory is made anew each time; one that is not a demonstration's is never touched.

Examples:
  answerable demo
  answerable demo --once --json
  answerable demo --data /tmp/demo --seed 7 --listen 127.0.0.1:9000`
}

func (c demoCmd) Run(a *app) error {
	a.local = true
	dir, err := c.dir(a)
	if err != nil {
		return err
	}
	var listener net.Listener
	if !c.Once { // found out before the work, not after it
		if listener, err = net.Listen("tcp", c.Listen); err != nil {
			return err
		}
		defer listener.Close()
	}
	if err := prepareDemo(dir, c.Seed); err != nil {
		return err
	}
	clock := &replay.Clock{}
	n, err := a.openNode(a.ctx, dir, clock.Now)
	if err != nil {
		return err
	}
	s, err := a.tellDemo(n, clock, c.Seed)
	if err != nil {
		return errors.Join(err, n.close())
	}
	if err := a.printSummary(c, s, dir); err != nil {
		return errors.Join(err, n.close())
	}
	if c.Once {
		return n.close()
	}
	clock.Release()
	x, err := binhduong.Load()
	if err != nil {
		return errors.Join(err, n.close())
	}
	return a.serveNode(n, listener, serving{demo: true, pagesOf: pagesOf{site: siteOf("", listener), signInAs: accounts.EnableDemo(), persons: demoPersons(x)}})
}

// demoPersons are those one may sign in as: who runs it, and the people of every unit.
func demoPersons(x *binhduong.Example) []domain.PersonID {
	out := []domain.PersonID{binhduong.Operator, binhduong.Inspector, binhduong.Admin}
	for _, u := range x.Units {
		out = append(out, binhduong.Filer(u.Unit), binhduong.Head(u.Unit), binhduong.Successor(u.Unit), binhduong.Deputy(u.Unit), binhduong.Officer(u.Unit))
	}
	return out
}

// prepareDemo makes the directory empty. Only what a demonstration made is removed, and only when no process uses it.
func prepareDemo(dir string, seed uint64) error {
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("data directory: %w", err)
	}
	if len(entries) > 0 {
		if _, err := os.Stat(filepath.Join(dir, demoMarker)); err != nil {
			return usagef("%s is not empty and not a demonstration's: it is left as it is; name another with --data", dir)
		}
		if err := clearDemo(dir, entries); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	marker, err := json.Marshal(map[string]any{"made_by": "answerable demo", "seed": seed}, json.Deterministic(true))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, demoMarker), append(marker, '\n'), 0o644); err != nil {
		return err
	}
	place := evidencePlace{dir: dir, evidenceConfig: evidenceConfig{Origin: demoOrigin, Keys: keysDir, Guard: filepath.Join("guard", guardFile), Policy: policyFile, Demo: true}}
	return place.create()
}

// clearDemo removes the files of a demonstration, after making sure that no process has them open for writing.
func clearDemo(dir string, entries []os.DirEntry) error {
	ledger := filepath.Join(dir, ledgerFile)
	if _, err := os.Stat(ledger); err == nil {
		log, err := sqlite.Open(ledger, sqlite.Options{})
		if errors.Is(err, eventlog.ErrInUse) {
			return err
		}
		if err == nil { // a damaged one is thrown away like any other
			if err := log.Close(); err != nil {
				return err
			}
		}
	}
	for _, e := range entries {
		name := e.Name()
		if name == "guard" && e.IsDir() {
			if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
				return fmt.Errorf("data directory: %w", err)
			}
			continue
		}
		ours := name == demoMarker || name == evidenceFile || name == policyFile || name == verifiedFile || name == backupFile || strings.HasPrefix(name, "tree.") ||
			strings.HasPrefix(name, "ledger.") || strings.HasPrefix(name, "views") || strings.HasPrefix(name, "state.")
		if !ours || e.IsDir() {
			continue
		}
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, os.ErrNotExist) { // closing the log took its shared memory away
			return fmt.Errorf("data directory: %w", err)
		}
	}
	return nil
}

// tellDemo replays the story with a checkpoint at each deadline and each closing, as a server would have made them.
func (a *app) tellDemo(n *node, clock *replay.Clock, seed uint64) (_ summary, err error) {
	proof, err := a.openEvidence(a.ctx, n.dir, n.log, n.now)
	if err != nil {
		return summary{}, err
	}
	defer func() { err = errors.Join(err, proof.close()) }()
	sign := func(ctx context.Context) error {
		_, err := proof.seq.Force(ctx)
		return err
	}
	s, err := a.replayDemo(n, clock, seed, sign)
	if err != nil {
		return s, err
	}
	return s, sign(a.ctx)
}

// replayDemo tells the story to an empty ledger and counts what came of it. sign signs for what is in the log.
func (a *app) replayDemo(n *node, clock *replay.Clock, seed uint64, sign func(context.Context) error) (summary, error) {
	x, err := binhduong.Load()
	if err != nil {
		return summary{}, err
	}
	// Nobody looks at the views while the week is replayed: they catch up when a day's closing asks for their digest.
	digest := func(ctx context.Context, id domain.RegimeID, date domain.Date, after eventlog.Position) (string, string, error) {
		if err := n.views.CatchUp(ctx); err != nil {
			return "", "", err
		}
		return n.digest(ctx, id, date, after)
	}
	story := x.Story(seed)
	r := &replay.Replay{Ledger: n.ledger, Clock: clock, Seed: seed, Checkpoint: sign, Closer: &commands.Closer{Ledger: n.ledger, Parallel: 1, Digest: digest}}
	p := a.progress(a.say("Diễn lại tuần 5–10/02/2021", "Replaying 5 to 10 February 2021"), int64(len(story)))
	err = r.Run(a.ctx, story, func(i int) { p.at(int64(i)) })
	p.done()
	if err == nil {
		err = n.views.CatchUp(a.ctx)
	}
	if err != nil {
		return summary{}, err
	}
	return n.summarise(a.ctx, x, r.Refused)
}

// summary is what came of the week.
type summary struct {
	Regime      domain.RegimeID `json:"regime"`
	Days        int             `json:"days"`
	Units       unitCounts      `json:"units"`
	Obligations int             `json:"obligations"`
	OnTime      int             `json:"on_time"`
	Late        int             `json:"late"`
	Missing     int             `json:"missing"`
	Exempt      int             `json:"exempt"`
	Reports     int             `json:"reports"`
	Corrections int             `json:"corrections"`
	SignOffs    int             `json:"sign_offs"`
	Breaches    int             `json:"breaches"`
	Targets     targetCounts    `json:"targets"`
	Events      int             `json:"events"`

	perDay  []dayCounts
	refused int
}

type unitCounts struct {
	District int `json:"district"`
	Commune  int `json:"commune"`
	Body     int `json:"body"`
}

type targetCounts struct {
	Met    int `json:"met"`
	Missed int `json:"missed"`
}

type dayCounts struct {
	date domain.Date
	domain.Counts
}

// summarise counts the facts of the log, and takes where the obligations stand from the views.
func (n *node) summarise(ctx context.Context, x *binhduong.Example, refused int) (summary, error) {
	s := summary{Regime: binhduong.Regime, refused: refused,
		Units: unitCounts{x.Count(domain.LevelDistrict), x.Count(domain.LevelCommune), x.Count(domain.LevelBody)}}
	var dates []domain.Date
	err := eachEvent(ctx, n.log, func(e eventlog.Recorded) error {
		s.Events++
		switch e.Kind {
		case "DayOpened", "TargetJudged":
			f, err := decodeEvent(e)
			if err != nil {
				return err
			}
			if day, ok := f.Event.(domain.DayOpened); ok {
				dates = append(dates, day.Date)
			} else if t := f.Event.(domain.TargetJudged); t.Met {
				s.Targets.Met++
			} else {
				s.Targets.Missed++
			}
		case "ReportSubmitted":
			s.Reports++
		case "ReportCorrected":
			s.Corrections++
		case "ReportSignedOff":
			s.SignOffs++
		case "DeadlineBreached":
			s.Breaches++
		}
		return nil
	})
	if err != nil {
		return s, err
	}
	slices.Sort(dates)
	for _, d := range dates {
		board, err := n.views.Board(ctx, projections.BoardQuery{Regime: binhduong.Regime, Date: d})
		if err != nil {
			return s, err
		}
		t := board.Total
		s.Days++
		s.Obligations += t.Obligations
		s.OnTime += t.OnTime
		s.Late += t.Late
		s.Missing += t.Missing
		s.Exempt += t.Exempt
		s.perDay = append(s.perDay, dayCounts{d, domain.Counts{Obligations: t.Obligations, OnTime: t.OnTime, Late: t.Late, Missing: t.Missing, Exempt: t.Exempt, Nil: t.Nil}})
	}
	if s.OnTime+s.Late+s.Missing+s.Exempt != s.Obligations {
		return s, fmt.Errorf("%d on time, %d late, %d missing and %d exempt are not %d obligations", s.OnTime, s.Late, s.Missing, s.Exempt, s.Obligations)
	}
	return s, nil
}

func (a *app) printSummary(c demoCmd, s summary, dir string) error {
	if c.JSON {
		return a.printJSON(s)
	}
	a.printf("Chỉ thị 03/CT-UBND ngày 05/02/2021, Bình Dương: báo cáo trước 15:00 hằng ngày, thủ trưởng chịu trách nhiệm.\nSố liệu và người giữ chức vụ là GIẢ LẬP (seed %d); đơn vị và mã số là thật.\n\n",
		"Directive 03/CT-UBND of 5 February 2021, Bình Dương: report before 15:00 every day; the heads are answerable.\nFigures and office-holders are SYNTHETIC (seed %d); the units and their codes are real.\n\n", c.Seed)
	a.printf("  đơn vị        %d cấp huyện, %d cấp xã, %d cơ quan của tỉnh\n", "  units         %d districts, %d communes, %d provincial bodies\n", s.Units.District, s.Units.Commune, s.Units.Body)
	a.printf("  nghĩa vụ      %d trong %d ngày\n", "  obligations   %d on %d days\n", s.Obligations, s.Days)
	a.printf("  báo cáo       %d, đính chính %d lần, ký duyệt %d lần; %d lần gửi bị từ chối đúng quy tắc\n",
		"  reports       %d, corrected %d times, signed %d times; %d attempts were refused, as the rules say\n", s.Reports, s.Corrections, s.SignOffs, s.refused)
	a.printf("  vi phạm       %d (thiếu, trễ hoặc chưa ký)\n", "  breaches      %d (missing, late or unsigned)\n", s.Breaches)
	a.printf("  mục tiêu 60%%  %d xã đạt, %d xã chưa đạt vào ngày 10/02\n", "  60 %% target   %d communes met it on 10 February, %d did not\n", s.Targets.Met, s.Targets.Missed)
	a.printf("  sự kiện       %d, không bao giờ sửa đổi\n\n", "  events        %d, never to be changed\n\n", s.Events)
	g := a.table()
	g.row(a.say("  ngày\tnghĩa vụ\tđúng hạn\ttrễ\tthiếu\tmiễn", "  day\tobligations\ton time\tlate\tmissing\texempt"))
	for _, d := range s.perDay {
		g.row("  "+string(d.date), d.Obligations, d.OnTime, d.Late, d.Missing, d.Exempt)
	}
	if err := g.flush(); err != nil {
		return err
	}
	p, data := program(), shellQuote(dir)
	a.printf("\nDữ liệu nằm ở %s\n\nThử tiếp:\n", "\nThe data lie in %s\n\nTry next:\n", dir)
	for _, t := range []struct{ command, vi, en string }{
		{"history --data " + data + " --unit 25900 --date 2021-02-08", "thị trấn Tân Bình đã báo cáo gì cho ngày 08/02", "what Tân Bình reported for 8 February"},
		{"history --data " + data + " --unit 25900 --date 2021-02-08 --known-at 2021-02-09T17:00:00+07:00", "như đã biết lúc 17:00 ngày 09/02", "as known on 9 February at 17:00"},
		{"answer --data " + data + " --unit 25900 --date 2021-02-08", "ai chịu trách nhiệm về số liệu nào", "who is answerable for which figures"},
		{"breaches --data " + data + " --unit 25981", "xã An Sơn: khuyết chức vụ, chưa ký", "An Sơn: a vacancy, and reports left unsigned"},
		{"synthesis --data " + data + " --date 2021-02-10", "tổng hợp toàn tỉnh ngày 10/02", "the province's synthesis of 10 February"},
		{"token create --data " + data + " --person inspector_1 --scope read", "token để gọi API /v1 khi đang phục vụ", "a token for the API under /v1 while it serves"},
		{"export --data " + data + " --log ./log", "nhật ký minh bạch thành tệp tĩnh, để notary kiểm tra", "the transparency log as static files, for notary to check"},
		{"verify --data " + data, "kiểm tra sổ và mọi bảng tổng hợp", "check the log and every view against it"},
	} {
		fmt.Fprintf(a.stdio.out, "  %s %s\n      %s\n", p, t.command, a.say(t.vi, t.en))
	}
	return nil
}

// program is how the user can call this program again.
func program() string {
	exe, err := os.Executable()
	if err != nil || strings.Contains(exe, "go-build") { // made by go run, and gone afterwards
		return "go run ./cmd/answerable"
	}
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		if dir != "" && filepath.Join(dir, filepath.Base(exe)) == exe {
			return filepath.Base(exe)
		}
	}
	return shellQuote(exe)
}

// shellQuote makes a path one word of a shell.
func shellQuote(s string) string {
	if strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || strings.ContainsRune("'\"$`\\|&;<>()*?[]#~!{}", r) }) {
		return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
	}
	return s
}

// digest is what a day's closing says of the views, once these hold everything up to after.
func (n *node) digest(ctx context.Context, id domain.RegimeID, date domain.Date, after eventlog.Position) (string, string, error) {
	if err := n.views.WaitFor(ctx, after); err != nil {
		return "", "", err
	}
	digest, at, err := n.views.Digest(ctx, id, date)
	return digest, at.String(), err
}
