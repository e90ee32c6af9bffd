package projections

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestDamagedViewsAreSetAside: whatever becomes of the files of the views, what to do is said, and it makes them again.
func TestDamagedViewsAreSetAside(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	log := newRecorder()
	log.record(t, busyDay().facts...)
	garbage := func(file string) { must(t, os.WriteFile(file, []byte(strings.Repeat("no database ", 2000)), 0o600)) }
	for _, x := range []struct {
		name   string
		damage func(dir string)
		kept   []string
	}{
		{"the generation", func(dir string) { garbage(filepath.Join(dir, "views-1.db")) }, []string{"views-1.db"}},
		{"the registry", func(dir string) { garbage(filepath.Join(dir, "views.db")) }, []string{"views-1.db", "views.db"}},
		{"both", func(dir string) { garbage(filepath.Join(dir, "views.db")); garbage(filepath.Join(dir, "views-1.db")) }, []string{"views-1.db", "views.db"}},
		{"pages within", func(dir string) {
			f, err := os.OpenFile(filepath.Join(dir, "views-1.db"), os.O_RDWR, 0)
			must(t, err)
			info, err := f.Stat()
			must(t, err)
			_, err = f.WriteAt(make([]byte, info.Size()-100), 100)
			must(t, err)
			must(t, f.Close())
		}, []string{"views-1.db"}},
		{"gone", func(dir string) { must(t, os.Remove(filepath.Join(dir, "views-1.db"))) }, nil},
	} {
		dir := tempDir(t)
		v := openViews(t, dir, log)
		must(t, v.followInBatches(ctx, func() int { return 1000 }))
		closeViews(t, v)
		for _, beside := range []string{"-wal", "-shm"} {
			must(t, os.RemoveAll(filepath.Join(dir, "views-1.db"+beside)))
		}
		x.damage(dir)
		c := Config{Path: viewsIn(dir), Log: log, Registry: registry(t), Decoders: 2}
		if _, err := Open(ctx, c); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "answerable rebuild") {
			t.Errorf("%s: open: %v", x.name, err)
		}
		if _, err := OpenReader(ctx, c.Path, c.Registry); !errors.Is(err, ErrDamaged) {
			t.Errorf("%s: open to read: %v", x.name, err)
		}
		v = openViews(t, dir, log, func(c *Config) { c.Mend = true })
		must(t, v.Rebuild(ctx, nil))
		must(t, v.Verify(ctx))
		closeViews(t, v)
		closeViews(t, openViews(t, dir, log))
		files, err := filepath.Glob(filepath.Join(dir, "*.damaged-*"))
		must(t, err)
		var kept []string
		for _, f := range files {
			name, _, _ := strings.Cut(filepath.Base(f), ".damaged-")
			kept = append(kept, name)
		}
		if diff := cmp.Diff(x.kept, kept); diff != "" {
			t.Errorf("%s: set aside: %s", x.name, diff)
		}
	}
}
