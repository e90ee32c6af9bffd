package projections

import (
	"context"
	"database/sql"
	"sync"

	"github.com/answerable-ledger/answerable/domain"
)

// fixed is what a generation never changes once it is there, so that no question need ask for it again: which regimes
// there are, and the forms by their numbers, which are known as far as a position says. Safe for concurrent use.
type fixed struct {
	mu      sync.Mutex
	regimes map[domain.RegimeID]bool
	next    int64 // of the forms kept: the number that the next one gets
	forms   map[domain.FormID]int64
	formByN map[int64]domain.FormID
}

func (f *fixed) isRegime(id domain.RegimeID) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.regimes[id]
}

func (f *fixed) keepRegime(id domain.RegimeID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.regimes == nil {
		f.regimes = map[domain.RegimeID]bool{}
	}
	f.regimes[id] = true
}

// formsBefore gives the forms with numbers below next; they are not to be changed. false when they were not kept.
func (f *fixed) formsBefore(next int64) (map[domain.FormID]int64, map[int64]domain.FormID, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.forms == nil || f.next != next {
		return nil, nil, false
	}
	return f.forms, f.formByN, true
}

func (f *fixed) keepForms(next int64, forms map[domain.FormID]int64, byN map[int64]domain.FormID) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.next, f.forms, f.formByN = next, forms, byN
}

// statements are the queries of a generation that are prepared. One is prepared between two questions, by whoever asks the
// next: within one it would wait for a second connection, which others who wait like it may hold.
type statements struct {
	mu     sync.Mutex
	ready  map[string]*sql.Stmt // nil for one that is wanted
	wanted []string
}

// mostStatements bounds what is kept on each connection. Chosen: the questions have about a dozen.
const mostStatements = 32

// get gives a prepared statement, or nil.
func (s *statements) get(query string) *sql.Stmt {
	s.mu.Lock()
	defer s.mu.Unlock()
	ready, ok := s.ready[query]
	if !ok && len(s.ready) < mostStatements {
		if s.ready == nil {
			s.ready = map[string]*sql.Stmt{}
		}
		s.ready[query] = nil
		s.wanted = append(s.wanted, query)
	}
	return ready
}

// prepare prepares what is wanted. What cannot be prepared is asked as it is, and whoever asks it hears why.
func (s *statements) prepare(ctx context.Context, db *sql.DB) {
	s.mu.Lock()
	wanted := s.wanted
	s.wanted = nil
	s.mu.Unlock()
	for _, query := range wanted {
		ready, err := db.PrepareContext(ctx, query)
		s.mu.Lock()
		if err == nil {
			s.ready[query] = ready
		} else {
			delete(s.ready, query)
		}
		s.mu.Unlock()
	}
}

// prepared asks by the statements that there are.
type prepared struct {
	tx *sql.Tx
	s  *statements
}

func (p prepared) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if ready := p.s.get(query); ready != nil {
		return p.tx.StmtContext(ctx, ready).QueryContext(ctx, args...)
	}
	return p.tx.QueryContext(ctx, query, args...)
}

func (p prepared) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	if ready := p.s.get(query); ready != nil {
		return p.tx.StmtContext(ctx, ready).QueryRowContext(ctx, args...)
	}
	return p.tx.QueryRowContext(ctx, query, args...)
}
