package appstate

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/answerable-ledger/answerable/domain"
)

// KeepAnswers is how long an answer is kept for a repeat of its request. Chosen: longer than a long weekend.
const KeepAnswers = 7 * 24 * time.Hour

// answerWithin is how long a request may be under way before a repeat takes it over: its process has died.
const answerWithin = 5 * time.Minute

// Request is one attempt that its sender may repeat: the same key by the same person on the same route.
type Request struct {
	Person domain.PersonID
	Route  string
	Key    string
	Digest [sha256.Size]byte // of what was asked
}

// Answer is what was answered.
type Answer struct {
	Status int
	Header map[string]string
	Body   []byte
}

// Begin claims a request. It returns the answer kept for it when it was answered before, ErrInProgress while somebody
// else answers it, and ErrOtherRequest when its key was used for another one. After (nil, nil) the caller owes Keep or
// Forget; a caller that dies is taken over by a repeat five minutes later.
func (s *State) Begin(ctx context.Context, r Request) (*Answer, error) {
	var kept *Answer
	now := s.now()
	err := s.inTxAbout(ctx, "answer "+string(r.Person)+" "+r.Route+" "+r.Key, func(tx *sql.Tx) error {
		var digest, headers, body []byte
		var started int64
		var status int
		err := tx.QueryRowContext(ctx, s.dialect.sql(`SELECT digest, started_at, status, headers, body FROM kept_answer WHERE person = ? AND route = ? AND request_key = ?`),
			string(r.Person), r.Route, r.Key).Scan(&digest, &started, &status, &headers, &body)
		switch {
		case errors.Is(err, sql.ErrNoRows) || err == nil && !fromMicros(started).Add(KeepAnswers).After(now):
		case err != nil:
			return fmt.Errorf("%w: %w", ErrUnavailable, err)
		case !bytes.Equal(digest, r.Digest[:]):
			return ErrOtherRequest
		case status == 0 && fromMicros(started).Add(answerWithin).After(now):
			return ErrInProgress
		case status != 0:
			kept = &Answer{Status: status, Body: body}
			return json.Unmarshal(headers, &kept.Header)
		}
		_, err = tx.ExecContext(ctx, s.dialect.sql(`DELETE FROM kept_answer WHERE person = ? AND route = ? AND request_key = ?`), string(r.Person), r.Route, r.Key)
		if err == nil {
			_, err = tx.ExecContext(ctx, s.dialect.sql(`INSERT INTO kept_answer (person, route, request_key, digest, started_at, status, headers, body) VALUES (?, ?, ?, ?, ?, 0, ?, ?)`),
				string(r.Person), r.Route, r.Key, r.Digest[:], micros(now), []byte("{}"), []byte{})
		}
		if err != nil {
			return s.unavailable(err)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("appstate: begin %s of %s: %w", r.Route, r.Person, err)
	}
	return kept, nil
}

// Keep stores the answer of a request that Begin claimed.
func (s *State) Keep(ctx context.Context, r Request, a Answer) error {
	headers, err := json.Marshal(a.Header)
	if err != nil {
		return fmt.Errorf("appstate: keep the answer of %s: %w", r.Route, err)
	}
	_, err = s.db.ExecContext(ctx, s.dialect.sql(`UPDATE kept_answer SET status = ?, headers = ?, body = ? WHERE person = ? AND route = ? AND request_key = ?`),
		a.Status, headers, append([]byte{}, a.Body...), string(r.Person), r.Route, r.Key)
	if err != nil {
		return fmt.Errorf("appstate: keep the answer of %s: %w", r.Route, s.unavailable(err))
	}
	return nil
}

// Forget gives up a request that Begin claimed, so that it can be sent again, also with another content: it was refused,
// or failed for a passing reason.
func (s *State) Forget(ctx context.Context, r Request) error {
	_, err := s.db.ExecContext(ctx, s.dialect.sql(`DELETE FROM kept_answer WHERE person = ? AND route = ? AND request_key = ? AND status = 0`), string(r.Person), r.Route, r.Key)
	if err != nil {
		return fmt.Errorf("appstate: forget %s of %s: %w", r.Route, r.Person, s.unavailable(err))
	}
	return nil
}
