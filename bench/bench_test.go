package bench

import (
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
)

// What was asked for is measured, and nothing else; nothing stays behind. How fast it was is nobody's matter here.
func TestRunMeasuresWhatIsAskedFor(t *testing.T) {
	t.Parallel()
	dir, out := t.TempDir(), t.TempDir()
	r, err := Run(t.Context(), Options{Only: []string{"append", "rush", "query"}, Events: 1000, Units: 40, Callers: 4, During: 20 * time.Millisecond, Rounds: 1, Dir: dir,
		Version: "test", Clock: time.Now, Logger: zap.NewNop(), Progress: func(string, int64) (func(int64), func()) { return func(int64) {}, func() {} }})
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Append) != 3 || r.Rush == nil || len(r.Query) != 2 || r.Replay != nil || r.Pages != nil || r.Engines != nil {
		t.Errorf("measured: %+v", r)
	}
	if r.Rush != nil && (r.Rush.Units != 40 || r.Rush.Late != 0) {
		t.Errorf("the rush: %+v", r.Rush)
	}
	text := r.Text(func(_, en string) string { return en })
	if n := strings.Count(text, "\n"); n != 1+3+1+2 { // the machine; append, rush, query
		t.Errorf("%d lines:\n%s", n, text)
	}
	if err := r.Record(out); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	if files, err := os.ReadDir(out); err != nil || len(files) != 2 {
		t.Errorf("recorded: %v, %v", files, err)
	}
}
