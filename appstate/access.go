package appstate

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/domain"
)

// Access is one reading of the ledger: who asked for what, when, and what came of it.
type Access struct {
	ID      int64
	At      time.Time
	Person  domain.PersonID
	Token   string // id of the token used
	Role    domain.Role
	Method  string
	Path    string
	Query   string
	Status  int
	Request string // id of the request, as its answer carried it
}

const (
	maxWaiting    = 1024             // access entries that wait for their batch; then readers wait
	maxBatch      = 256              // entries of one transaction
	batchInterval = time.Second      // how long an entry waits at most
	tidyInterval  = 10 * time.Minute // how often kept answers that are over are removed
)

// LogAccess notes an access. It returns before the entry is on the disk; when too many wait, it waits until ctx ends.
func (s *State) LogAccess(ctx context.Context, a Access) error {
	select {
	case <-s.stop:
		return fmt.Errorf("appstate: log an access of %s: closed: %w", a.Person, ErrUnavailable)
	default:
	}
	select {
	case s.entries <- a: // asked first: who has read and gone away has read all the same
		return nil
	default:
	}
	select {
	case s.entries <- a:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("appstate: log an access of %s: %w: %w", a.Person, ErrUnavailable, context.Cause(ctx))
	}
}

// Flush writes everything that was noted before the call.
func (s *State) Flush(ctx context.Context) error {
	answer := make(chan error, 1)
	select {
	case s.flush <- answer:
	case <-s.done:
		return fmt.Errorf("appstate: flush: closed: %w", ErrUnavailable)
	case <-ctx.Done():
		return fmt.Errorf("appstate: flush: %w", context.Cause(ctx))
	}
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return fmt.Errorf("appstate: flush: %w", context.Cause(ctx))
	}
}

// Accesses lists access entries after an id, the oldest first; person "" is everybody's.
func (s *State) Accesses(ctx context.Context, person domain.PersonID, after int64, limit int) ([]Access, error) {
	rows, err := s.db.QueryContext(ctx, s.dialect.sql(`SELECT id, at, person, token, role, method, path, query, status, request FROM access_log
		WHERE (? = '' OR person = ?) AND id > ? ORDER BY id LIMIT ?`), string(person), string(person), after, limit)
	if err != nil {
		return nil, fmt.Errorf("appstate: list accesses: %w: %w", ErrUnavailable, err)
	}
	defer rows.Close()
	var out []Access
	for rows.Next() {
		var a Access
		var at int64
		if err := rows.Scan(&a.ID, &at, &a.Person, &a.Token, &a.Role, &a.Method, &a.Path, &a.Query, &a.Status, &a.Request); err != nil {
			return nil, fmt.Errorf("appstate: list accesses: %w: %w", ErrUnavailable, err)
		}
		a.At = fromMicros(at)
		out = append(out, a)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("appstate: list accesses: %w: %w", ErrUnavailable, err)
	}
	return out, nil
}

// write is the one writer of batches. It ends after Close, when everything that waited is written.
func (s *State) write() {
	defer close(s.done)
	tick := time.NewTicker(batchInterval)
	defer tick.Stop()
	var batch []Access
	var tidied time.Time
	writeBatch := func() error {
		err := s.writeBatch(batch)
		if err != nil { // kept for the next try; LogAccess makes readers wait meanwhile
			s.logger.Error("access log cannot be written", zap.Int("waiting", len(batch)), zap.Error(err))
			return err
		}
		batch = batch[:0]
		return nil
	}
	drain := func(n int) {
		for len(batch) < n {
			select {
			case a := <-s.entries:
				batch = append(batch, a)
			default:
				return
			}
		}
	}
	for {
		entries := s.entries
		if len(batch) >= maxBatch { // the last try failed: take no more
			entries = nil
		}
		select {
		case a := <-entries:
			batch = append(batch, a)
			if drain(maxBatch); len(batch) >= maxBatch {
				_ = writeBatch()
			}
		case <-tick.C:
			drain(maxBatch)
			_ = writeBatch()
			if now := s.now(); now.Sub(tidied) >= tidyInterval {
				tidied = now
				s.tidy()
			}
		case answer := <-s.flush:
			drain(maxWaiting + maxBatch)
			answer <- writeBatch()
		case <-s.stop:
			drain(2 * maxWaiting)
			_ = writeBatch()
			return
		}
	}
}

func (s *State) writeBatch(batch []Access) error {
	s.usedMu.Lock()
	used := s.used
	s.used = map[string]time.Time{}
	s.usedMu.Unlock()
	if len(batch) == 0 && len(used) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	err := s.inTxAbout(ctx, "access", func(tx *sql.Tx) error { // so that ids become visible in their order
		for _, a := range batch {
			if _, err := tx.ExecContext(ctx, s.dialect.sql(`INSERT INTO access_log (at, person, token, role, method, path, query, status, request) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`),
				micros(a.At), string(a.Person), a.Token, string(a.Role), a.Method, a.Path, a.Query, a.Status, a.Request); err != nil {
				return s.unavailable(err)
			}
		}
		for id, at := range used {
			if _, err := tx.ExecContext(ctx, s.dialect.sql(`UPDATE token SET used_at = ? WHERE id = ? AND used_at < ?`), micros(at), id, micros(at)); err != nil {
				return s.unavailable(err)
			}
		}
		return nil
	})
	if err != nil {
		for id, at := range used {
			s.Used(id, at)
		}
		return fmt.Errorf("appstate: write %d accesses: %w", len(batch), err)
	}
	return nil
}

func (s *State) tidy() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if _, err := s.db.ExecContext(ctx, s.dialect.sql(`DELETE FROM kept_answer WHERE started_at < ?`), micros(s.now().Add(-KeepAnswers))); err != nil {
		s.logger.Warn("kept answers cannot be removed", zap.Error(err))
	}
}
