package esdb

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"

	client "github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/answerable-ledger/answerable/eventlog"
	"github.com/answerable-ledger/answerable/eventlog/esdb/esdbtest"
)

// What an attempt to append came to, by what is left of its error, however it is wrapped.
func TestJudge(t *testing.T) {
	t.Parallel()
	rpc := func(c codes.Code, text string) error {
		return fmt.Errorf("could not send append request. Reason: %w", status.Error(c, text))
	}
	for _, c := range []struct {
		given error
		want  outcome
		kind  error // nil: not one of ours yet
	}{
		{nil, stored, nil},
		{notSent{eventlog.ErrUnavailable}, notStored, eventlog.ErrUnavailable},
		{fmt.Errorf("%w: the log was closed", eventlog.ErrUnavailable), unknown, eventlog.ErrUnavailable},
		{context.DeadlineExceeded, unknown, nil},
		{context.Canceled, unknown, nil},
		{rpc(codes.Unavailable, "the connection is gone"), unknown, nil},
		{rpc(codes.Canceled, "the stream was reset"), unknown, nil},
		{rpc(codes.DeadlineExceeded, "late"), unknown, nil},
		{rpc(codes.Aborted, "Commit Timeout"), unknown, nil},
		{rpc(codes.InvalidArgument, "Maximum Append Size of 1048576 Exceeded"), refused, eventlog.ErrTooLarge},
		{rpc(codes.InvalidArgument, "no event type"), refused, eventlog.ErrInvalid},
		{rpc(codes.ResourceExhausted, "message larger than max"), refused, eventlog.ErrTooLarge},
		{rpc(codes.Unknown, "No leader info available in response"), notStored, nil},
		{fmt.Errorf("could not construct append operation. Reason: %w", io.EOF), strange, nil},
		{panicked{"index out of range"}, strange, nil},
		{rpc(codes.Internal, "something else"), strange, nil},
	} {
		got, err := judge(c.given)
		if got != c.want || c.kind != nil && !errors.Is(err, c.kind) || c.given != nil && err == nil {
			t.Errorf("%v: got %d, %v, want %d, %v", c.given, got, err, c.want, c.kind)
		}
	}
}

// Which failed reads are repeated, and which ends of a subscription another one would meet again.
func TestWhatPasses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		given         error
		read, forever bool
	}{
		{status.Error(codes.Unavailable, "gone"), true, false},
		{status.Error(codes.Canceled, "reset"), true, false},
		{status.Error(codes.Aborted, "timeout"), true, false},
		{status.Error(codes.Internal, "broken stream"), true, false},
		{context.DeadlineExceeded, true, false},
		{errors.New("No leader info available in response"), true, false},
		{panicked{"index out of range"}, true, false},
		{fmt.Errorf("%w: the log is closed", eventlog.ErrUnavailable), false, true},
		{status.Error(codes.PermissionDenied, "no"), false, true},
		{status.Error(codes.Unauthenticated, "who"), false, true},
		{status.Error(codes.Unimplemented, "what"), false, true},
		{errors.New("invalid EventStoreDB server version format: 26.1.0-rc.1"), false, true},
		{invalidPosition(status.Error(codes.InvalidArgument, "position")), false, true},
		{fmt.Errorf("dropped: %w", eventlog.ErrDamaged), false, true},
	} {
		if got := transient(c.given); got != c.read {
			t.Errorf("a read that failed with %v is repeated: %t", c.given, got)
		}
		if got := lasting(c.given); got != c.forever {
			t.Errorf("a subscription that ended with %v ends for good: %t", c.given, got)
		}
	}
	if err := invalidPosition(status.Error(codes.InvalidArgument, "position")); !errors.Is(err, eventlog.ErrGone) {
		t.Errorf("a position the server does not know: %v", err)
	}
}

// The client's own way from an error to its code fails when the error was wrapped, by the client itself too.
func TestCodesOfWrappedErrors(t *testing.T) {
	t.Parallel()
	server, err := esdbtest.Start(esdbtest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	config, err := client.ParseConnectionString(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = client.NoopLogging()
	c, err := client.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	events, err := c.ReadStream(t.Context(), "unit-1", client.ReadStreamOptions{}, 1)
	if err != nil {
		t.Fatalf("a stream that is missing is an error of the read itself: the first Recv need not be asked any more: %v", err)
	}
	defer events.Close()
	_, err = receive(events)
	wrapped := fmt.Errorf("could not read. Reason: %w", err)
	if codeOf(err) != client.ErrorCodeResourceNotFound || codeOf(wrapped) != client.ErrorCodeResourceNotFound {
		t.Errorf("%v has code %d, and wrapped %d", err, codeOf(err), codeOf(wrapped))
	}
	if e, ok := client.FromError(wrapped); ok || e.Code() != client.ErrorCodeUnknown {
		t.Errorf("the client finds the code of a wrapped error: codeOf can go")
	}
}
