// Package esdb keeps the event log on EventStoreDB or KurrentDB (24.10 and later), through the client
// github.com/EventStore/EventStore-Client-Go/v4.
//
// Its promise is that of eventlog, over a network: every caller gets an answer or a typed error within its deadline
// (its own, or Options.Deadline when it has none), an append is stored once however often it has to be sent, and a
// follower is given every event once, in order, over any number of broken connections.
//
// Its failure model: the server may be absent, at the start or for any length of time; it may take a call and never
// answer, answer after it has stored nothing or everything, hand a client to another node, or be replaced by a log
// that lacks our events. The client itself dies for good when it fails to find a server, leaves callers hanging while
// it looks for one, and panics on messages it does not know; so no call reaches it but through a supervisor that
// watches over it and replaces it (supervisor.go).
//
// # What an event looks like on the server
//
// Stream, kind, id and data are the ledger's, verbatim. The user metadata is an envelope, because the log has to keep
// the time of recording beside the writer's metadata:
//
//	{"answerable_recorded_at":"2026-11-22T17:39:39.000000Z","append":"0123456789abcdef","meta":{…}}
//
// answerable_recorded_at is the ledger's clock at the append (UTC, always 27 characters); append is a random number of
// the call that wrote the event, by which a writer knows whether its own attempt or an earlier one was stored; meta is
// the writer's metadata byte for byte, when it is JSON. Metadata that is empty has no "meta"; metadata that is not JSON
// stands after the envelope: {…,"meta_bytes":17}, a line feed, then 17 bytes. Data that is JSON is marked as JSON, so
// that the server's own pages show it.
//
// An event without the envelope was written by somebody else. It is yielded like any other, lest it be overlooked: its
// Meta is the user metadata as it stands and RecordedAt is the server's own "created". Names that CheckStream refuses,
// streams and kinds beginning with '$', are the server's business and are left out.
//
// # Testing against a real server
//
// With ESDB_URL set to a connection string the conformance suite runs against that server as well, in streams whose
// names are new for every run. Nothing is deleted.
package esdb

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"github.com/answerable-ledger/answerable/eventlog"
)

// Defaults of Options.
const (
	DefaultDeadline       = 15 * time.Second
	DefaultAttemptTimeout = 5 * time.Second
	DefaultPatience       = 3 * time.Second
)

// Options of Open. Only URL is required.
type Options struct {
	// URL is the connection string, esdb://… or esdb+discover://… (kurrentdb… is taken too), as the operator was given
	// it. Settings this package cannot answer for are refused: see checkURL.
	URL string
	// Clock tells the time of recording. time.Now unless given.
	Clock eventlog.Clock
	// Deadline bounds a call whose context has no deadline. defaultDeadline in the URL does the same.
	Deadline time.Duration
	// AttemptTimeout is how long one answer is waited for before the call is repeated on what may be a better
	// connection, and how long the supervisor gives a new connection to prove itself.
	AttemptTimeout time.Duration
	// Patience is how long after the loss of the server new calls still wait for its return (an election of a new
	// leader takes about two seconds). After that they fail at once until it is back.
	Patience time.Duration
	// AllowInsecure permits an unencrypted connection to a host other than this one, and certificates that are not
	// verified.
	AllowInsecure bool
	// Logf gets a line for every loss of the server, and for what else somebody may have to look at. Nothing unless given.
	Logf func(format string, args ...any)
	// Infof gets a line when the server is there, at the start and again. Nothing unless given.
	Infof func(format string, args ...any)
}

// Log is an eventlog.Log on a server. Every method is safe for concurrent use.
type Log struct {
	options Options
	server  *supervisor
	stamps  *stamps
	head    headCache
}

var _ eventlog.Log = (*Log)(nil)

// Open connects. A server that cannot be reached is no error: the Log looks for it until Close, and its calls fail
// with ErrUnavailable meanwhile. What no waiting mends is an error: a connection string that is refused (ErrInvalid), a
// server that refuses the user, or one of a version the client cannot read. ctx bounds the first look only.
func Open(ctx context.Context, o Options) (*Log, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	for _, f := range []*func(string, ...any){&o.Logf, &o.Infof} {
		if *f == nil {
			*f = func(string, ...any) {}
		}
	}
	config, err := parseURL(o.URL, o.AllowInsecure)
	if err != nil {
		return nil, fmt.Errorf("esdb: open: %w", err)
	}
	if o.Deadline == 0 && config.DefaultDeadline != nil {
		o.Deadline = *config.DefaultDeadline
	}
	o.Deadline = cmp.Or(o.Deadline, DefaultDeadline)
	o.AttemptTimeout = cmp.Or(o.AttemptTimeout, DefaultAttemptTimeout)
	o.Patience = cmp.Or(o.Patience, DefaultPatience)
	// The client's own bound must never cut a call that ours still allows.
	unbounded := 24 * time.Hour
	config.DefaultDeadline = &unbounded
	// The supervisor repeats discovery for ever and between attempts it is in control; the client is to try once.
	config.MaxDiscoverAttempts = 1
	config.Logger = client.NoopLogging() // it prints to the console; what matters the supervisor says
	l := &Log{options: o, server: newSupervisor(config, o), stamps: newStamps()}
	if err := l.server.first(ctx); hopeless(err) {
		_ = l.Close()
		return nil, fmt.Errorf("esdb: open: %w", explain(err))
	}
	return l, nil
}

// Ping waits until the server answers or ctx (or the default deadline) ends, and says what kept it from answering.
func (l *Log) Ping(ctx context.Context) error {
	ctx, cancel := l.bounded(ctx)
	defer cancel()
	_, err := call(ctx, l.server, 0, patient, func(ctx context.Context, c *client.Client) (struct{}, error) {
		return struct{}{}, probe(ctx, c)
	})
	if err != nil {
		return fmt.Errorf("esdb: ping: %w", failed(err))
	}
	return nil
}

// Close ends every call and every follower with ErrUnavailable and leaves the server.
func (l *Log) Close() error {
	l.server.close()
	return nil
}

// bounded gives ctx the default deadline when it has none.
func (l *Log) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, has := ctx.Deadline(); has {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, l.options.Deadline)
}

// failed gives the error of a call that only read one of the kinds of eventlog.
func failed(err error) error {
	for _, kind := range []error{eventlog.ErrUnavailable, eventlog.ErrGone, eventlog.ErrInvalid, eventlog.ErrDamaged} {
		if errors.Is(err, kind) {
			return err
		}
	}
	return fmt.Errorf("%w: %w", eventlog.ErrUnavailable, explain(err))
}
