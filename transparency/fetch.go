package transparency

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"strconv"
	"strings"
)

// Fetcher reads a log's public files by their path below its prefix. A file that does not exist is fs.ErrNotExist.
// Nothing it gives is believed. The bytes are the caller's, who may change them.
type Fetcher interface {
	Fetch(ctx context.Context, path string) ([]byte, error)
}

// FromFS reads an exported log: a directory (os.DirFS), or the inside of an archive.
func FromFS(f fs.FS) Fetcher { return fsFetcher{f} }

type fsFetcher struct{ fs.FS }

func (f fsFetcher) Fetch(_ context.Context, path string) ([]byte, error) {
	return fs.ReadFile(f.FS, path)
}

// fetchInto is Fetch into memory that is there: an audit reads thousands of files of one size.
func (f fsFetcher) fetchInto(path string, room []byte) ([]byte, error) {
	file, err := f.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	room = room[:0]
	for {
		n, err := file.Read(room[len(room):cap(room)])
		room = room[:len(room)+n]
		switch {
		case err == io.EOF:
			return room, nil
		case err != nil:
			return nil, err
		case len(room) > maxFetchBytes: // fs.ReadFile would read on; no honest file is as large
			return room, nil
		case len(room) == cap(room):
			room = append(room, make([]byte, max(len(room), 16<<10))...)[:len(room)]
		}
	}
}

// FromURL reads a log over HTTP.
func FromURL(prefix string, c *http.Client) Fetcher {
	return urlFetcher{strings.TrimSuffix(prefix, "/") + "/", c}
}

type urlFetcher struct {
	prefix string
	client *http.Client
}

// maxFetchBytes is above the largest honest file, 256 entries of 65,535 bytes with their lengths.
const maxFetchBytes = TileWidth*(2+65535) + 1

func (f urlFetcher) Fetch(ctx context.Context, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.prefix+path, nil)
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", path, err)
	}
	res, err := f.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch: %w", err)
	}
	defer res.Body.Close()
	switch res.StatusCode {
	case http.StatusOK:
	case http.StatusNotFound:
		return nil, fmt.Errorf("fetch %s: %w", req.URL, fs.ErrNotExist)
	default:
		return nil, fmt.Errorf("fetch %s: the server answers %s", req.URL, res.Status)
	}
	b, err := io.ReadAll(io.LimitReader(res.Body, maxFetchBytes))
	if err != nil {
		return nil, fmt.Errorf("fetch %s: %w", req.URL, err)
	}
	return b, nil
}

// fetchTile reads a tile or bundle. A log may have dropped a partial one once the full one is there.
func fetchTile(ctx context.Context, f Fetcher, t TileID) ([]byte, error) {
	b, err := f.Fetch(ctx, t.Path())
	if errors.Is(err, fs.ErrNotExist) && t.Width < TileWidth {
		full := t
		full.Width = TileWidth
		if b, ferr := f.Fetch(ctx, full.Path()); ferr == nil {
			return cutTile(b, t)
		}
	}
	return b, err
}

// fetchTileInto is fetchTile into memory that is there, where the fetcher can.
func fetchTileInto(ctx context.Context, f Fetcher, t TileID, room []byte) ([]byte, error) {
	if files, ok := f.(fsFetcher); ok {
		b, err := files.fetchInto(t.Path(), room)
		if !errors.Is(err, fs.ErrNotExist) {
			return b, err
		}
	}
	return fetchTile(ctx, f, t)
}

func cutTile(b []byte, t TileID) ([]byte, error) {
	if t.Level != EntriesLevel {
		return b[:min(len(b), t.Width*32)], nil
	}
	entries, err := SplitEntries(b)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.Path(), err)
	}
	var out []byte
	for _, e := range entries[:min(len(entries), t.Width)] {
		out = AppendEntry(out, e)
	}
	return out, nil
}

// HistoryPath is where the n-th 256 kept checkpoints lie, in order of size: notes, each with its length as text on a line
// ahead of it. It is an addition to the tile format: the cosigned checkpoints are the log's clock.
func HistoryPath(n int64) string { return "history/" + GroupedNumber(n) }

// AppendHistory adds a note to a file of the history.
func AppendHistory(b []byte, n Note) []byte {
	note := n.Marshal()
	b = strconv.AppendInt(b, int64(len(note)), 10)
	b = append(b, '\n')
	return append(b, note...)
}

// SplitHistory reads what AppendHistory wrote.
func SplitHistory(b []byte) ([]Note, error) {
	var out []Note
	for s := string(b); s != ""; {
		length, rest, ok := strings.Cut(s, "\n")
		n, err := parseCount(length)
		if !ok || err != nil || n > int64(len(rest)) || n > MaxNoteBytes {
			return nil, fmt.Errorf("history: checkpoint %d: want its length on a line, then as many bytes: %w", len(out), ErrMalformed)
		}
		note, err := ParseNote([]byte(rest[:n]))
		if err != nil {
			return nil, fmt.Errorf("history: checkpoint %d: %w", len(out), err)
		}
		out = append(out, note)
		s = rest[n:]
	}
	return out, nil
}

// fetchHistory reads every kept checkpoint. A log without a history gives none.
func fetchHistory(ctx context.Context, f Fetcher) ([]Note, error) {
	var out []Note
	for n := int64(0); ; n++ {
		b, err := f.Fetch(ctx, HistoryPath(n))
		if errors.Is(err, fs.ErrNotExist) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		notes, err := SplitHistory(b)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", HistoryPath(n), err)
		}
		out = append(out, notes...)
		if len(notes) < TileWidth {
			return out, nil
		}
	}
}
