package bench

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
)

// Result is everything that was measured; parts that were left out are nil.
type Result struct {
	At      time.Time `json:"at"`
	Version string    `json:"version"`
	Machine Machine   `json:"machine"`
	Append  []Append  `json:"append,omitempty"`
	Rush    *Rush     `json:"rush,omitempty"`
	Replay  *Replay   `json:"replay,omitempty"`
	Query   []Query   `json:"query,omitempty"`
	Pages   []Page    `json:"pages,omitempty"`
	Engines []Engine  `json:"engines,omitempty"`
}

// Machine is where it was measured.
type Machine struct {
	CPU       string  `json:"cpu"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memory_gib"`
	OS        string  `json:"os"`
	Go        string  `json:"go"`
	Load      float64 `json:"load"`         // average of the last minute before the run: others were there when it is not near 0
	FsyncUs   float64 `json:"fdatasync_us"` // median of 200 after a 4 kB write, at the measured place
}

// Text is the result as a person reads it: each number, its limit, and what is wanted of it. say chooses one of two wordings.
func (r Result) Text(say func(vi, en string) string) string {
	var b strings.Builder
	fmt.Fprintf(&b, say("%s, %d lõi, %.0f GiB, %s, %s, tải %.1f trước khi chạy, fdatasync %.0f µs\n", "%s, %d cores, %.0f GiB, %s, %s, load %.1f before the run, fdatasync %.0f us\n"), r.Machine.CPU, r.Machine.Cores, r.Machine.MemoryGiB, r.Machine.OS, r.Machine.Go, r.Machine.Load, r.Machine.FsyncUs)
	for _, x := range r.Append {
		fmt.Fprintf(&b, say("ghi thêm, %3d bên gọi: %7.0f/giây trên %7.0f/giây của vòng lặp trần = %3.0f %% (cần %d %%), p99 %.1f ms\n", "append, %3d callers: %7.0f/s of %7.0f/s bare = %3.0f %% (wanted %d %%), p99 %.1f ms\n"), x.Callers, x.PerSecond, x.BarePerSecond, 100*x.Share, x.WantedPercent, x.P99ms)
	}
	if x := r.Rush; x != nil {
		fmt.Fprintf(&b, say("đợt dồn, %d đơn vị qua %d kết nối: %.2f giây, bộ xử lý tối giản %.2f giây = %.1f lần (cần 6), p99 %.0f ms (cần 300), bị coi là trễ %d\n", "rush, %d units over %d connections: %.2f s, trivial handler %.2f s = %.1f times (wanted 6), p99 %.0f ms (wanted 300), judged late %d\n"),
			x.Units, x.Connections, x.Seconds, x.TrivialSeconds, x.Times, x.P99ms, x.Late)
	}
	if x := r.Replay; x != nil {
		fmt.Fprintf(&b, say("diễn lại %d sự kiện vào mọi bảng: %.0f/giây, chỉ giải mã %.0f/giây = %.0f %% (cần 50 %%), từng sự kiện một %.0f/giây: %.1f lần (cần 5)\n", "replay of %d events into all views: %.0f/s, decoding alone %.0f/s = %.0f %% (wanted 50 %%), event by event %.0f/s: %.1f times (wanted 5)\n"),
			x.Events, x.PerSecond, x.DecodePerSecond, 100*x.Share, x.OneByOnePerSecond, x.TimesOneByOne)
	}
	for _, x := range r.Query {
		fmt.Fprintf(&b, say("%s với %d sự kiện: p50 %.2f ms, p99 %.2f ms (cần 5)\n", "%s at %d events: p50 %.2f ms, p99 %.2f ms (wanted 5)\n"), x.Query, x.Events, x.P50ms, x.P99ms)
	}
	for _, x := range r.Pages {
		wanted := ""
		if x.WantedMs > 0 {
			wanted = fmt.Sprintf(say(" (cần %d)", " (wanted %d)"), x.WantedMs)
		}
		fmt.Fprintf(&b, say("trang, %s với %d sự kiện: byte đầu p50 %.0f ms, p99 %.0f ms%s, %d kB, %d kB trên đường truyền\n", "page, %s at %d events: first byte p50 %.0f ms, p99 %.0f ms%s, %d kB, %d kB on the line\n"), x.Page, x.Events, x.P50ms, x.P99ms, wanted, x.Bytes/1000, x.Compressed/1000)
	}
	for _, x := range r.Engines {
		fmt.Fprintf(&b, say("bảng %s với %d sự kiện: %d lượt đọc/giây trong lúc dựng lại p99 %.1f ms (cần %d), khi không dựng lại %.1f ms, chậm nhất trong %d lượt %.0f ms, dựng lại trong %.1f giây, trong đó chờ %.1f giây; độ trễ ở %.0f sự kiện/giây p50 %.1f ms, p99 %.1f ms (cần %d)\n", "%s views at %d events: %d reads/s during a rebuild p99 %.1f ms (wanted %d), without one %.1f ms, slowest of %d %.0f ms, rebuilt in %.1f s of which it waited %.1f s; lag at %.0f events/s p50 %.1f ms, p99 %.1f ms (wanted %d)\n"),
			x.Engine, x.Events, readsPerSecond, x.During, readWantedMs, x.Quiet, x.Reads, x.Worst, x.Rebuild, x.Paused, x.Rate, x.LagP50, x.LagP99, lagWantedMs)
	}
	return b.String()
}

// Record keeps a run in a directory: the newest as bench.json, all of them as lines of results.md.
func (r Result) Record(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	b, err := json.Marshal(r, json.Deterministic(true), jsontext.WithIndent("  "))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "bench.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	path := filepath.Join(dir, "results.md")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimSpace(r.Text(func(_, en string) string { return en })), "\n")
	_, err = fmt.Fprintf(f, "- %s, %s: %s\n", r.At.Format("2006-01-02 15:04"), r.Version, strings.Join(lines, "; "))
	return errors.Join(err, f.Close())
}

func describeMachine(dir string) (Machine, error) {
	m := Machine{CPU: runtime.GOARCH, Cores: runtime.NumCPU(), OS: runtime.GOOS, Go: runtime.Version()}
	if raw, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(raw)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				m.CPU = strings.TrimSpace(value)
				break
			}
		}
	}
	if raw, err := os.ReadFile("/proc/meminfo"); err == nil {
		var kib float64
		if _, err := fmt.Sscanf(string(raw), "MemTotal: %f kB", &kib); err == nil {
			m.MemoryGiB = kib / (1 << 20)
		}
	}
	if raw, err := os.ReadFile("/proc/loadavg"); err == nil {
		if _, err := fmt.Sscan(string(raw), &m.Load); err != nil {
			return m, fmt.Errorf("/proc/loadavg: %w", err)
		}
	}
	f, err := os.Create(filepath.Join(dir, "fsync"))
	if err != nil {
		return m, err
	}
	defer f.Close()
	block := make([]byte, 4096)
	var took []time.Duration
	for range 200 {
		began := time.Now()
		if _, err := f.Write(block); err != nil {
			return m, err
		}
		if err := datasync(f); err != nil {
			return m, err
		}
		took = append(took, time.Since(began))
	}
	m.FsyncUs = float64(quantile(took, 0.5)) / float64(time.Microsecond)
	return m, nil
}

// quantile is the value below which the share q of the durations lies.
func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	s := slices.Clone(d)
	slices.Sort(s)
	return s[min(len(s)-1, int(q*float64(len(s))))]
}

func median(x []float64) float64 {
	if len(x) == 0 {
		return 0
	}
	s := slices.Clone(x)
	slices.Sort(s)
	return s[len(s)/2]
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
