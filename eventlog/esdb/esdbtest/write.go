package esdbtest

import (
	"context"
	"errors"
	"io"
	"math"
	"net"
	"strconv"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

// node answers the calls of one run of a server.
type node struct {
	streams.UnimplementedStreamsServer
	*Server
	running *running
}

// notLeader is the refusal of a follower, with the trailers that send a client to the leader.
func (n *node) notLeader() (metadata.MD, error) {
	host, port, _ := net.SplitHostPort(n.leader.Address())
	return metadata.Pairs("exception", "not-leader", "leader-endpoint-host", host, "leader-endpoint-port", port),
		status.Error(codes.NotFound, "Leader info available")
}

func deleted(name string) (metadata.MD, error) {
	return metadata.Pairs("exception", "stream-deleted", "stream-name", name),
		status.Errorf(codes.FailedPrecondition, "Event stream '%s' is deleted.", name)
}

// Append is Streams.Append.cs.
func (n *node) Append(call streams.Streams_AppendServer) error {
	ctx := call.Context()
	if err := n.faults.pass(ctx, "Append"); err != nil {
		return err
	}
	if n.faults.use(&n.faults.busy) {
		return status.Error(codes.Unavailable, "Server Is Too Busy")
	}
	if n.leader != nil {
		trailer, err := n.notLeader()
		call.SetTrailer(trailer)
		return err
	}
	if n.faults.use(&n.faults.refuseEarly) {
		return status.Error(codes.Internal, "refused before the events were read")
	}
	head, err := call.Recv()
	if err != nil {
		return err
	}
	options := head.GetOptions()
	if options == nil {
		return status.Error(codes.Unknown, "Exception was thrown by handler.")
	}
	name := string(options.GetStreamIdentifier().GetStreamName())
	if err := n.may(ctx, "$w", name); err != nil {
		call.SetTrailer(denied())
		return err
	}
	expected, err := expectation(options)
	if err != nil {
		return err
	}
	events, trailer, err := n.proposed(call)
	if err != nil {
		call.SetTrailer(trailer)
		return err
	}
	answer := n.store.append(name, expected, events)
	if answer.verdict == written {
		if n.faults.cuts() {
			n.running.conns.cut()
			return status.Error(codes.Unavailable, "cut after the commit")
		}
		if err := n.faults.pass(ctx, "Commit"); err != nil {
			return err
		}
	}
	_, _, noPosition, _ := n.faults.flags()
	switch answer.verdict {
	case noRoom: // nobody is answered; what reaches the writer meanwhile it drops
		go n.stopped(n.running)
		<-ctx.Done()
		return status.Error(codes.Unavailable, "the process has ended")
	case streamDeleted:
		trailer, err := deleted(name)
		call.SetTrailer(trailer)
		return err
	case wrongVersion:
		return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_WrongExpectedVersion_{WrongExpectedVersion: conflict(options, answer.current)}})
	}
	success := &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{CurrentRevision: answer.revision},
		PositionOption: &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{
			CommitPosition: answer.position, PreparePosition: answer.position,
		}},
	}
	if len(events) == 0 || answer.verdict == repeated && noPosition {
		success.PositionOption = &streams.AppendResp_Success_NoPosition{NoPosition: &shared.Empty{}}
	}
	return call.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: success}})
}

// proposed reads the events of an append and holds them to the size limit as they come, so that a client that sends
// too much is refused while it is still sending.
func (n *node) proposed(call streams.Streams_AppendServer) ([]*record, metadata.MD, error) {
	var events []*record
	size := 0
	for {
		message, err := call.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil, nil
		}
		if err != nil {
			return nil, nil, err
		}
		p := message.GetProposedMessage()
		if p == nil {
			return nil, nil, status.Error(codes.Unknown, "Exception was thrown by handler.")
		}
		r := &record{data: p.GetData(), meta: p.GetCustomMetadata(), kind: p.GetMetadata()["type"], contentType: p.GetMetadata()["content-type"]}
		if r.kind == "" || r.contentType == "" {
			return nil, metadata.Pairs("exception", "missing-required-metadata-property", "required-metadata-properties", "type,content-type"),
				status.Error(codes.InvalidArgument, "Required Metadata Property 'type' or 'content-type' is missing")
		}
		if r.id, err = eventID(p.GetId()); err != nil {
			return nil, nil, err
		}
		if size += len(r.data) + len(r.meta) + 2*len(r.kind); size > n.options.MaxAppendSizeBytes {
			return nil, metadata.Pairs("exception", "maximum-append-size-exceeded", "maximum-append-size", strconv.Itoa(n.options.MaxAppendSizeBytes)),
				status.Errorf(codes.InvalidArgument, "Maximum Append Size of %d Exceeded.", n.options.MaxAppendSizeBytes)
		}
		events = append(events, r)
	}
}

func eventID(id *shared.UUID) (uuid.UUID, error) {
	if s := id.GetStructured(); s != nil {
		var out uuid.UUID
		for i := range 8 {
			out[i] = byte(uint64(s.GetMostSignificantBits()) >> (56 - 8*i))
			out[8+i] = byte(uint64(s.GetLeastSignificantBits()) >> (56 - 8*i))
		}
		return out, nil
	}
	out, err := uuid.Parse(id.GetString_())
	if err != nil {
		return uuid.Nil, status.Error(codes.InvalidArgument, "event id is not a UUID")
	}
	return out, nil
}

func expectation(o *streams.AppendReq_Options) (int64, error) {
	switch e := o.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_NoStream:
		return expectNoStream, nil
	case *streams.AppendReq_Options_Any:
		return expectAny, nil
	case *streams.AppendReq_Options_StreamExists:
		return expectExists, nil
	case *streams.AppendReq_Options_Revision:
		if e.Revision > math.MaxInt64 {
			return 0, status.Error(codes.InvalidArgument, "revision out of range")
		}
		return int64(e.Revision), nil
	}
	return 0, status.Error(codes.InvalidArgument, "'None' is not a valid expected stream revision")
}

func conflict(o *streams.AppendReq_Options, current int64) *streams.AppendResp_WrongExpectedVersion {
	w := &streams.AppendResp_WrongExpectedVersion{}
	switch e := o.GetExpectedStreamRevision().(type) {
	case *streams.AppendReq_Options_NoStream:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64}
	case *streams.AppendReq_Options_Any:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedAny{ExpectedAny: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_Any_20_6_0{Any_20_6_0: &shared.Empty{}}
	case *streams.AppendReq_Options_StreamExists:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: &shared.Empty{}}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: &shared.Empty{}}
	case *streams.AppendReq_Options_Revision:
		w.ExpectedRevisionOption = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: e.Revision}
		w.ExpectedRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: e.Revision}
	}
	if current < 0 {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: &shared.Empty{}}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: &shared.Empty{}}
	} else {
		w.CurrentRevisionOption = &streams.AppendResp_WrongExpectedVersion_CurrentRevision{CurrentRevision: uint64(current)}
		w.CurrentRevisionOption_20_6_0 = &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{CurrentRevision_20_6_0: uint64(current)}
	}
	return w
}

// Delete hides a stream's events. The expected revision is not looked at.
func (n *node) Delete(ctx context.Context, req *streams.DeleteReq) (*streams.DeleteResp, error) {
	name := string(req.GetOptions().GetStreamIdentifier().GetStreamName())
	if err := n.deletable(ctx, name); err != nil {
		return nil, err
	}
	p := n.store.softDelete(name)
	return &streams.DeleteResp{PositionOption: &streams.DeleteResp_Position_{Position: &streams.DeleteResp_Position{CommitPosition: p, PreparePosition: p}}}, nil
}

// Tombstone deletes a stream for ever. The expected revision is not looked at.
func (n *node) Tombstone(ctx context.Context, req *streams.TombstoneReq) (*streams.TombstoneResp, error) {
	name := string(req.GetOptions().GetStreamIdentifier().GetStreamName())
	if err := n.deletable(ctx, name); err != nil {
		return nil, err
	}
	p := n.store.tombstone(name)
	return &streams.TombstoneResp{PositionOption: &streams.TombstoneResp_Position_{Position: &streams.TombstoneResp_Position{CommitPosition: p, PreparePosition: p}}}, nil
}

func (n *node) deletable(ctx context.Context, name string) error {
	if err := n.may(ctx, "$d", name); err != nil {
		_ = grpc.SetTrailer(ctx, denied())
		return err
	}
	if n.leader != nil {
		trailer, err := n.notLeader()
		_ = grpc.SetTrailer(ctx, trailer)
		return err
	}
	if _, _, gone := n.store.slice(name, 0, false, 1); gone {
		trailer, err := deleted(name)
		_ = grpc.SetTrailer(ctx, trailer)
		return err
	}
	return nil
}
