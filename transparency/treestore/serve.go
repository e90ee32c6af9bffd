package treestore

import (
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/answerable-ledger/answerable/transparency"
)

// errNoFile: the log has no such public file (yet).
var errNoFile = errors.New("no such file in the log")

// Public is what serving a log asks of the store of its tree.
type Public interface {
	// Latest is the newest signed checkpoint, Checkpoints up to limit of them in order of size without the first skip.
	Latest(ctx context.Context) (latest Signed, ok bool, err error)
	Checkpoints(ctx context.Context, skip, limit int64) ([]Signed, error)
	// Tile gives a tile's hashes, or a bundle's entries, exactly Width of them.
	Tile(ctx context.Context, id transparency.TileID) ([]byte, error)
}

// publicFile gives one of the log's public files by its path below the log's prefix: checkpoint, tile/…, tile/entries/…
// (C2SP tlog-tiles) and history/…. Nothing beyond the newest signed checkpoint is given. immutable says that the file will
// never change.
func publicFile(ctx context.Context, s Public, path string) (b []byte, immutable bool, err error) {
	latest, ok, err := s.Latest(ctx)
	if err != nil {
		return nil, false, err
	}
	if !ok {
		return nil, false, errNoFile
	}
	switch {
	case path == "checkpoint":
		return latest.Note.Marshal(), false, nil
	case strings.HasPrefix(path, "history/"):
		n, err := transparency.ParseGroupedNumber(strings.TrimPrefix(path, "history/"))
		if err != nil {
			return nil, false, errNoFile
		}
		kept, err := s.Checkpoints(ctx, n*transparency.TileWidth, transparency.TileWidth)
		if err == nil && len(kept) == 0 {
			err = errNoFile
		}
		for _, k := range kept {
			b = transparency.AppendHistory(b, k.Note)
		}
		return b, false, err
	}
	id, err := transparency.ParseTilePath(path)
	if err != nil || !id.Within(latest.Size) {
		return nil, false, errNoFile
	}
	b, err = s.Tile(ctx, id)
	return b, true, err
}

// Handler serves the public files; it expects the log's prefix to be stripped. onError is told of failures to read, which
// the client sees as 500 without detail.
func Handler(s Public, onError func(error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
			return
		}
		path := strings.TrimPrefix(r.URL.Path, "/")
		b, immutable, err := publicFile(r.Context(), s, path)
		switch {
		case errors.Is(err, errNoFile):
			// What is not there now may be there in a second.
			w.Header().Set("Cache-Control", "no-store")
			http.NotFound(w, r)
			return
		case err != nil:
			onError(fmt.Errorf("serve %s: %w", path, err))
			http.Error(w, "internal error", http.StatusInternalServerError)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/plain; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=1")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Access-Control-Allow-Origin", "*") // the log is public: browsers may verify too
		if immutable {
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		if strings.HasPrefix(path, "tile/entries/") && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			h.Set("Content-Encoding", "gzip")
			h.Set("Vary", "Accept-Encoding")
			z := gzip.NewWriter(w)
			z.Write(b)
			z.Close()
			return
		}
		h.Set("Content-Length", strconv.Itoa(len(b)))
		w.Write(b)
	})
}

// Export writes the log's public files below dir, the newest checkpoint last, so that a directory with one is whole.
// Partial tiles of an earlier export stay beside the new ones, as the format wishes.
func Export(ctx context.Context, s Public, dir string, progress func(done, of int)) error {
	latest, ok, err := s.Latest(ctx)
	if err != nil {
		return err
	}
	if !ok {
		return fmt.Errorf("treestore: export: %w", transparency.ErrNotYet)
	}
	var paths []string
	for _, id := range append(transparency.BundlesOf(latest.Size), transparency.TilesOf(latest.Size)...) {
		paths = append(paths, id.Path())
	}
	for n := int64(0); ; n++ {
		kept, err := s.Checkpoints(ctx, n*transparency.TileWidth, 1)
		if err != nil {
			return err
		}
		if len(kept) == 0 {
			break
		}
		paths = append(paths, transparency.HistoryPath(n))
	}
	for i, path := range paths {
		b, _, err := publicFile(ctx, s, path)
		if err != nil {
			return fmt.Errorf("treestore: export %s: %w", path, err)
		}
		if err := writeExport(filepath.Join(dir, filepath.FromSlash(path)), b); err != nil {
			return fmt.Errorf("treestore: export %s: %w", path, err)
		}
		if progress != nil {
			progress(i+1, len(paths))
		}
	}
	return writeExport(filepath.Join(dir, "checkpoint"), latest.Note.Marshal())
}

func writeExport(path string, b []byte) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o644)
}
