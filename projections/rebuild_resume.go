package projections

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"

	"github.com/go-json-experiment/json"
	"go.uber.org/zap"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/internal/postgres"
)

// written is what the register keeps of a generation that was written in full, at a position of its own, and whose
// comparison is settled: all that whoever goes on with it has to know. Whatever differs from what he would have made
// himself makes it of no use.
type written struct {
	Asked      asked      `json:"asked"`
	Live       int        `json:"live,omitempty"` // the generation it was compared with; 0: with none
	Comparison Comparison `json:"comparison"`
}

// asked is what decides what a rebuild writes, beside the fingerprint and the log.
type asked struct {
	Program string `json:"program"` // the build that wrote it: another may fold otherwise, with the same fingerprint
	Accept  bool   `json:"accept,omitempty"`
	Parked  bool   `json:"parked,omitempty"`
	Park    bool   `json:"park,omitempty"`
	Blind   bool   `json:"blind,omitempty"`
	Former  string `json:"former"`
}

func (b *build) asked() asked {
	return asked{program(), b.Accept, b.Parked, b.park, b.blind, b.former}
}

// program names the build that runs.
func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	name := info.Main.Version
	for _, s := range info.Settings {
		if slices.Contains([]string{"vcs.revision", "vcs.time", "vcs.modified"}, s.Key) {
			name += " " + s.Value
		}
	}
	return name
}

// settle records that a generation is written. A process that is killed from here on leaves something to go on with.
func (b *build) settle(ctx context.Context, g *generation) error {
	record, err := json.Marshal(written{b.asked(), b.comparedWith, b.found}, json.Deterministic(true))
	if err != nil {
		return fmt.Errorf("projections: settle generation %d: %w", g.n, err)
	}
	return b.v.store.settle(ctx, g, string(record))
}

// Former is what an earlier rebuild has left that was killed, or told to end.
type Former struct {
	Generation int    `json:"generation"`
	TakenOver  bool   `json:"taken_over"`         // this rebuild goes on with its rows; otherwise it removes them, and begins anew
	Why        string `json:"why,omitempty"`      // they are of no use
	Place      string `json:"position,omitempty"` // where the rows that are taken over stand
	Events     int64  `json:"events,omitempty"`   // in them
}

func (b *build) tellFormer(f Former) {
	if b.Former != nil {
		b.Former(f)
	}
}

// halfWritten tells of rows that their writer did not finish. What makes new ones removes them.
func (b *build) halfWritten(ctx context.Context) error {
	r, f := b.v.store.board(), Former{Why: "it ended before its rows were written"}
	err := r.DB.QueryRowContext(ctx, r.Bind(`SELECT n FROM `+r.Before+`generation WHERE state = ? ORDER BY n DESC`), stateBuilding).Scan(&f.Generation)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil
	case err != nil:
		return fmt.Errorf("projections: look for a former rebuild: %w", err)
	}
	b.tellFormer(f)
	return nil
}

// adopt gives the generation that an interrupted rebuild like this one has written, and where it stands; nil when there is
// none. What cannot be gone on with is removed.
func (b *build) adopt(ctx context.Context) (_ *generation, at position, err error) {
	if err := b.halfWritten(ctx); err != nil {
		return nil, at, err
	}
	g, err := b.v.opened(ctx, stateWritten)
	if err == nil && g == nil {
		return nil, at, nil
	}
	var f Former
	why := "it cannot be opened"
	if err == nil {
		f.Generation = g.n
		if at, why, err = b.judge(ctx, g); err == nil && why == "" {
			f.TakenOver, f.Place, f.Events = true, at.at.String(), at.events
			b.tellFormer(f)
			b.v.config.Logger.Info("going on with a rebuild that was interrupted", zap.Int("generation", g.n), zap.Stringer("position", at.at))
			return g, at, nil
		}
		err = errors.Join(err, g.close())
	}
	if err != nil && !b.v.store.dialect().damaged(err) && !errors.Is(err, ErrDamaged) {
		return nil, at, err
	}
	f.Why = why
	b.tellFormer(f)
	b.v.config.Logger.Info("what an interrupted rebuild has written is of no use", zap.String("reason", why), zap.Error(err))
	return nil, at, b.v.store.discard(ctx, stateWritten)
}

// judge tells why a written generation is of no use to this build, "" when it is.
func (b *build) judge(ctx context.Context, g *generation) (at position, why string, err error) {
	var r written
	record, err := b.v.store.record(ctx, g)
	if err != nil {
		return at, "", err
	}
	if err := json.Unmarshal([]byte(record), &r); err != nil {
		return at, "its record cannot be read", nil
	}
	live, err := b.v.store.liveNumber(ctx)
	if err != nil {
		return at, "", err
	}
	switch mine := b.asked(); {
	case g.fingerprint != b.v.fingerprint || r.Asked.Program != mine.Program:
		return at, "another program wrote it", nil
	case b.Fresh || r.Asked != mine:
		return at, "other options were asked for", nil
	case r.Live != 0 && r.Live != live:
		return at, "the views that it was compared with were replaced", nil
	}
	if at, err = g.position(ctx, g.read); err != nil {
		return at, "", err
	}
	switch err := b.v.checkAhead(ctx, at); {
	case errors.Is(err, ErrAhead):
		return at, "it is ahead of the log", nil
	case err != nil:
		return at, "", err
	}
	b.found = r.Comparison
	b.found.Resumed = true
	return at, "", nil
}

// resumable tells whether a rebuild that failed leaves its written generation for the next one. Where there is no room it
// does not.
func (b *build) resumable(ctx context.Context, err error) bool {
	switch {
	case ctx.Err() != nil:
		return !errors.Is(context.Cause(ctx), errCancelled)
	case b.v.store.dialect().full(err):
		return false
	}
	return b.v.transient(err) || errors.Is(err, eventlog.ErrUnavailable) || errors.Is(err, ErrFenced)
}

// drop removes the generations in a state after a failure. Without its lock a process leaves them alone: another may be at
// work on them.
func (b *build) drop(ctx context.Context, state string) error {
	if errors.Is(context.Cause(ctx), postgres.ErrLockLost) {
		return nil
	}
	return b.v.store.discard(context.WithoutCancel(ctx), state)
}

// checkWhole has a log that can tell whether events were taken out of it, as a server's administrator can, look for that
// while the rebuild goes on. What it returns waits for the answer: an error that is eventlog.ErrGone, or ctx's. Views that
// are made of such a log would be wrong, and agree with it.
func checkWhole(ctx context.Context, log eventlog.Log, logger *zap.Logger) func() error {
	l, ok := log.(interface {
		CheckWhole(ctx context.Context) error
	})
	if !ok {
		return func() error { return nil }
	}
	done := make(chan error, 1)
	go func() { done <- l.CheckWhole(ctx) }()
	return sync.OnceValue(func() error {
		err := <-done
		switch {
		case err == nil, errors.Is(err, eventlog.ErrGone):
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		}
		logger.Warn("whether events are missing from the log could not be seen", zap.Error(err))
		return nil
	})
}
