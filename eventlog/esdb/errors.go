package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/answerable-ledger/answerable/eventlog"
)

// codeOf finds the client's code of an error. The client's own FromError misses wrapped ones.
func codeOf(err error) client.ErrorCode {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code()
	}
	return client.ErrorCodeUnknown
}

// statusOf finds the gRPC code of an error, Unknown when there is none. Dropped subscriptions have no other.
func statusOf(err error) codes.Code {
	var s interface{ GRPCStatus() *status.Status }
	if errors.As(err, &s) {
		return s.GRPCStatus().Code()
	}
	return codes.Unknown
}

// broken reports that the client that gave err is of no further use.
func broken(err error) bool {
	if err == nil {
		return false
	}
	if p := (panicked{}); errors.As(err, &p) {
		return true
	}
	switch codeOf(err) {
	case client.ErrorUnavailable, client.ErrorCodeConnectionClosed:
		return true
	}
	return statusOf(err) == codes.Unavailable
}

// unknownMessage reports a panic of ReadStream.Recv at a kind of message the client has no case for (reads.go of
// v4.2.0: "unreachable code"). The stream is sound and the next Recv works.
func unknownMessage(err error) bool {
	var p panicked
	return errors.As(err, &p) && fmt.Sprint(p.value) == "unreachable code"
}

// prerelease reports a server version the client cannot parse ("26.1.0-rc.1").
func prerelease(err error) bool {
	return err != nil && strings.Contains(err.Error(), "invalid EventStoreDB server version format")
}

// hopeless reports what no waiting mends.
func hopeless(err error) bool {
	switch codeOf(err) {
	case client.ErrorCodeAccessDenied, client.ErrorCodeUnauthenticated, client.ErrorCodeUnsupportedFeature:
		return true
	}
	return prerelease(err)
}

// explain adds the remedy where one is known.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case prerelease(err):
		return fmt.Errorf("the server is a pre-release, whose version number the client cannot read; run a released version: %w", err)
	case codeOf(err) == client.ErrorCodeAccessDenied:
		return fmt.Errorf("the user may not do this (following the log needs the right to read $all; `answerable init` with an administrator's connection grants it): %w", err)
	case codeOf(err) == client.ErrorCodeUnauthenticated:
		return fmt.Errorf("the server does not accept user and password of the connection string: %w", err)
	case codeOf(err) == client.ErrorCodeUnsupportedFeature:
		return fmt.Errorf("what answers there is not EventStoreDB or KurrentDB: %w", err)
	case broken(err) && !errors.As(err, new(panicked)):
		return fmt.Errorf("%s: %w", whenLost, err)
	}
	return err
}

// whenLost is what can be said of a server that is gone: it answers nothing when its disk is full, but ends.
const whenLost = "the log's server has gone or cannot be reached; if its process ended its own log says why, and a full disk ends it: make room there and start it, and what was acknowledged is there"

// outcome is what an attempt to append came to.
type outcome int

const (
	stored    outcome = iota
	conflict          // the server compared revisions and ids and refused
	refused           // final, and nothing was stored
	notStored         // not handled; may be repeated
	unknown           // may or may not have been stored; may be repeated
	strange           // unknown, and of a kind that repetition seldom mends
)

// judge sorts the error of an attempt and, when it is final, gives it one of the kinds of eventlog.
func judge(err error) (outcome, error) {
	if err == nil {
		return stored, nil
	}
	var never notSent
	switch {
	case errors.As(err, &never):
		return notStored, err
	case errors.Is(err, eventlog.ErrUnavailable): // closed in mid-call
		return unknown, err
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled):
		return unknown, err
	}
	switch codeOf(err) {
	case client.ErrorCodeWrongExpectedVersion:
		return conflict, err
	case client.ErrorCodeStreamDeleted:
		return refused, fmt.Errorf("%w: the stream was deleted on the server; restore the log from a backup: %w", eventlog.ErrGone, err)
	case client.ErrorCodeAccessDenied:
		return refused, fmt.Errorf("%w: the user of the connection string may not write this stream (`answerable init` grants it): %w", eventlog.ErrReadOnly, err)
	case client.ErrorCodeUnauthenticated, client.ErrorCodeUnsupportedFeature:
		return refused, fmt.Errorf("%w: %w", eventlog.ErrUnavailable, explain(err))
	case client.ErrorCodeNotLeader, client.ErrorCodeConnectionClosed:
		return notStored, err
	case client.ErrorUnavailable, client.ErrorCodeDeadlineExceeded, client.ErrorAborted:
		return unknown, err
	}
	switch statusOf(err) {
	case codes.InvalidArgument:
		if strings.Contains(err.Error(), "Maximum Append") {
			return refused, fmt.Errorf("%w for the server's own limit (its settings MaxAppendSize and MaxAppendEventSize): %w", eventlog.ErrTooLarge, err)
		}
		return refused, fmt.Errorf("%w: %w", eventlog.ErrInvalid, err)
	case codes.ResourceExhausted:
		return refused, fmt.Errorf("%w: %w", eventlog.ErrTooLarge, err)
	case codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.Aborted:
		return unknown, err
	}
	if strings.Contains(err.Error(), "No leader info") { // an election is under way
		return notStored, err
	}
	// A server that ends the call while the client is still sending leaves io.EOF and no reason.
	if errors.Is(err, io.EOF) {
		return strange, fmt.Errorf("the server ended the call before it had read it all (perhaps its limit on the size of an append is lower than %d bytes): %w", eventlog.MaxAppendBytes, err)
	}
	return strange, err
}

// transient reports that a read that failed with err may be repeated with hope.
func transient(err error) bool {
	if errors.Is(err, eventlog.ErrUnavailable) { // from the supervisor: it has waited already
		return false
	}
	if broken(err) || errors.Is(err, context.DeadlineExceeded) {
		return true
	}
	switch codeOf(err) {
	case client.ErrorCodeNotLeader, client.ErrorCodeDeadlineExceeded, client.ErrorAborted:
		return true
	}
	switch statusOf(err) {
	case codes.Canceled, codes.Aborted, codes.DeadlineExceeded, codes.Internal:
		return true
	}
	return strings.Contains(err.Error(), "No leader info")
}
