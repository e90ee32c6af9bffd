package esdbtest

import (
	"encoding/binary"
	"math"
	"regexp"
	"strconv"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

const (
	pageRecords = 256 // records taken from the store at a time
	pageDefault = 32  // window of a filter that names none
)

// Read is Streams.Read.cs: reads and subscriptions, of one stream and of all.
func (n *node) Read(req *streams.ReadReq, call streams.Streams_ReadServer) error {
	ctx := call.Context()
	if err := n.faults.pass(ctx, "Read"); err != nil {
		return err
	}
	if n.faults.use(&n.faults.busy) {
		return status.Error(codes.Unavailable, "Server Is Too Busy")
	}
	if md, _ := metadata.FromIncomingContext(ctx); n.leader != nil && strings.EqualFold(strings.Join(md.Get("requires-leader"), ""), "true") {
		trailer, err := n.notLeader()
		call.SetTrailer(trailer)
		return err
	}
	o := req.GetOptions()
	if o.GetUuidOption() == nil {
		return status.Error(codes.InvalidArgument, "'uuidOption' is a required argument")
	}
	name := "$all"
	if o.GetStream() != nil {
		name = string(o.GetStream().GetStreamIdentifier().GetStreamName())
	}
	if err := n.may(ctx, "$r", name); err != nil {
		call.SetTrailer(denied())
		return err
	}
	filter, err := newFilter(o.GetFilter())
	if err != nil {
		return err
	}
	_, subscription := o.GetCountOption().(*streams.ReadReq_Options_Subscription)
	_, asText := o.GetUuidOption().GetContent().(*streams.ReadReq_Options_UUIDOption_String_)
	out := &sender{node: n, call: call, textIDs: asText, filter: filter}
	backwards := o.GetReadDirection() == streams.ReadReq_Options_Backwards
	switch {
	case o.GetStream() != nil && filter == nil && !subscription:
		return n.readStream(o, backwards, out)
	case o.GetStream() != nil && filter == nil && !backwards:
		return n.followStream(o.GetStream(), out)
	case o.GetAll() != nil && !subscription:
		return n.readAll(o, backwards, out)
	case o.GetAll() != nil && !backwards:
		return n.followAll(o.GetAll(), out)
	}
	return status.Error(codes.InvalidArgument, "The combination is invalid.")
}

func (n *node) readStream(o *streams.ReadReq_Options, backwards bool, out *sender) error {
	name := string(o.GetStream().GetStreamIdentifier().GetStreamName())
	from := uint64(0)
	switch r := o.GetStream().GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		from = r.Revision
	case *streams.ReadReq_Options_StreamOptions_End:
		from = math.MaxUint64
	}
	left := o.GetCount()
	for first := true; left > 0; first = false {
		page, exists, gone := n.store.slice(name, from, backwards, min(left, pageRecords))
		if gone {
			trailer, err := deleted(name)
			out.call.SetTrailer(trailer)
			return err
		}
		if !exists || n.faults.use(&n.faults.stale) {
			return out.call.Send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(name)},
			}}})
		}
		if first {
			if err := out.unknown(); err != nil {
				return err
			}
		}
		for _, r := range page {
			if err := out.event(r); err != nil {
				return err
			}
		}
		left -= uint64(len(page))
		if len(page) < pageRecords {
			return nil
		}
		last := page[len(page)-1].revision
		if backwards {
			if last == 0 {
				return nil
			}
			from = last - 1
		} else {
			from = last + 1
		}
	}
	return nil
}

func (n *node) readAll(o *streams.ReadReq_Options, backwards bool, out *sender) error {
	from := uint64(0)
	switch p := o.GetAll().GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		from = p.Position.GetCommitPosition()
	case *streams.ReadReq_Options_AllOptions_End:
		from = math.MaxUint64
	}
	if err := out.unknown(); err != nil {
		return err
	}
	for left := o.GetCount(); left > 0; {
		page := n.store.all(from, backwards, pageRecords)
		for _, r := range page {
			if out.filter != nil && !out.filter.match(r) {
				continue
			}
			if err := out.event(r); err != nil {
				return err
			}
			if left--; left == 0 {
				return nil
			}
		}
		if len(page) < pageRecords {
			return nil
		}
		from = page[len(page)-1].position
		if !backwards {
			from++
		}
	}
	return nil
}

func (n *node) followStream(o *streams.ReadReq_Options_StreamOptions, out *sender) error {
	name := string(o.GetStreamIdentifier().GetStreamName())
	next := uint64(0)
	switch r := o.GetRevisionOption().(type) {
	case *streams.ReadReq_Options_StreamOptions_Revision:
		next = r.Revision + 1 // the start of a subscription is exclusive
	case *streams.ReadReq_Options_StreamOptions_End:
		if last, _, _ := n.store.slice(name, math.MaxUint64, true, 1); len(last) > 0 {
			next = last[0].revision + 1
		}
	}
	if err := out.confirm(); err != nil {
		return err
	}
	for caughtUp := false; ; {
		_, grown := n.store.after(math.MaxUint64, 0)
		page, _, gone := n.store.slice(name, next, false, pageRecords)
		if gone {
			trailer, err := deleted(name)
			out.call.SetTrailer(trailer)
			return err
		}
		for _, r := range page {
			if err := out.event(r); err != nil {
				return err
			}
			next = r.revision + 1
		}
		if len(page) > 0 {
			continue
		}
		if !caughtUp {
			if err := out.caughtUp(); err != nil {
				return err
			}
			caughtUp = true
		}
		if err := n.wait(out.call, grown); err != nil {
			return err
		}
	}
}

// followAll is Enumerator.AllSubscription and AllSubscriptionFiltered.
func (n *node) followAll(o *streams.ReadReq_Options_AllOptions, out *sender) error {
	at := uint64(0)
	switch p := o.GetAllOption().(type) {
	case *streams.ReadReq_Options_AllOptions_Position:
		at = p.Position.GetCommitPosition() // the start of a subscription is exclusive
	case *streams.ReadReq_Options_AllOptions_End:
		if last := n.store.all(math.MaxUint64, true, 1); len(last) > 0 {
			at = last[0].position
		}
	}
	if err := out.confirm(); err != nil {
		return err
	}
	scanned, caughtUp := uint64(0), false
	for {
		page, grown := n.store.after(at, pageRecords)
		for _, r := range page {
			at = r.position
			if out.filter == nil || out.filter.match(r) {
				if err := out.event(r); err != nil {
					return err
				}
			}
			if scanned++; out.filter != nil && scanned%out.filter.checkpointEvery == 0 {
				if err := out.checkpoint(at); err != nil {
					return err
				}
			}
		}
		if len(page) > 0 {
			continue
		}
		if !caughtUp {
			caughtUp = true
			if err := out.atEnd(at); err != nil {
				return err
			}
		}
		if err := n.wait(out.call, grown); err != nil {
			return err
		}
	}
}

// wait waits for the log to grow, the client to leave, or the server to stop.
func (n *node) wait(call streams.Streams_ReadServer, grown <-chan struct{}) error {
	select {
	case <-grown:
		return nil
	case <-call.Context().Done():
		return call.Context().Err()
	case <-n.running.stop.Done():
		return status.Error(codes.Unavailable, "the server is stopping")
	}
}

// sender writes the messages of one read or subscription.
type sender struct {
	*node
	call           streams.Streams_ReadServer
	textIDs        bool
	filter         *filter
	events         int
	lastCheckpoint uint64
	subscription   bool
}

func (s *sender) confirm() error {
	s.subscription = true
	return s.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Confirmation{
		Confirmation: &streams.ReadResp_SubscriptionConfirmation{SubscriptionId: uuid.NewString()},
	}})
}

func (s *sender) event(r *record) error {
	id := &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: int64(binary.BigEndian.Uint64(r.id[:8])), LeastSignificantBits: int64(binary.BigEndian.Uint64(r.id[8:])),
	}}}
	if s.textIDs {
		id = &shared.UUID{Value: &shared.UUID_String_{String_: r.id.String()}}
	}
	metadata := map[string]string{
		"type": r.kind, "content-type": r.contentType,
		"created": strconv.FormatInt(r.created.UnixNano()/100, 10), // .NET ticks since 1970
	}
	s.faults.spoil(metadata)
	err := s.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: id, StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.stream)}, StreamRevision: r.revision,
			PreparePosition: r.position, CommitPosition: r.position,
			Metadata:       metadata,
			CustomMetadata: r.meta, Data: r.data,
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: r.position},
	}}})
	if err != nil || !s.subscription {
		return err
	}
	s.events++
	if _, _, _, drop := s.faults.flags(); drop > 0 && s.events >= drop {
		return status.Error(codes.Unavailable, "dropped in the middle")
	}
	return nil
}

func (s *sender) checkpoint(at uint64) error {
	if at <= s.lastCheckpoint {
		return nil
	}
	s.lastCheckpoint = at
	return s.call.Send(&streams.ReadResp{Content: &streams.ReadResp_Checkpoint_{Checkpoint: &streams.ReadResp_Checkpoint{CommitPosition: at, PreparePosition: at}}})
}

// atEnd is what a subscription sends when it reaches the end of the log: a checkpoint if it is filtered, then caught up.
func (s *sender) atEnd(at uint64) error {
	if beyond, _, _, _ := s.faults.flags(); beyond {
		at = s.End()
	}
	if s.filter != nil && at > 0 {
		if err := s.checkpoint(at); err != nil {
			return err
		}
	}
	if err := s.unknown(); err != nil {
		return err
	}
	return s.caughtUp()
}

func (s *sender) caughtUp() error {
	return s.call.Send(&streams.ReadResp{Content: &streams.ReadResp_CaughtUp_{CaughtUp: &streams.ReadResp_CaughtUp{}}})
}

// unknown sends kinds of message that came with later versions, when a test asked for them.
func (s *sender) unknown() error {
	if _, on, _, _ := s.faults.flags(); !on {
		return nil
	}
	for _, m := range []*streams.ReadResp{
		{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: 0}},
		{Content: &streams.ReadResp_LastAllStreamPosition{LastAllStreamPosition: &shared.AllStreamPosition{CommitPosition: 1, PreparePosition: 1}}},
		{}, // a kind this protocol has no name for yet
	} {
		if err := s.call.Send(m); err != nil {
			return err
		}
	}
	return nil
}

// filter selects records of a subscription or a read of all.
type filter struct {
	byKind          bool
	prefixes        []string
	regex           *regexp.Regexp
	checkpointEvery uint64
}

func newFilter(o *streams.ReadReq_Options_FilterOptions) (*filter, error) {
	if o == nil {
		return nil, nil
	}
	f := &filter{}
	var e *streams.ReadReq_Options_FilterOptions_Expression
	switch by := o.GetFilter().(type) {
	case *streams.ReadReq_Options_FilterOptions_EventType:
		f.byKind, e = true, by.EventType
	case *streams.ReadReq_Options_FilterOptions_StreamIdentifier:
		e = by.StreamIdentifier
	default:
		return nil, status.Error(codes.InvalidArgument, "filter is not valid")
	}
	f.prefixes = e.GetPrefix()
	if e.GetRegex() != "" {
		regex, err := regexp.Compile(e.GetRegex())
		if err != nil {
			return nil, status.Errorf(codes.InvalidArgument, "filter: %v", err)
		}
		f.regex = regex
	}
	window := uint64(pageDefault)
	if o.GetMax() > 0 {
		window = uint64(o.GetMax())
	}
	f.checkpointEvery = window * max(1, uint64(o.GetCheckpointIntervalMultiplier()))
	return f, nil
}

func (f *filter) match(r *record) bool {
	subject := r.stream
	if f.byKind {
		subject = r.kind
	}
	if f.regex != nil {
		return f.regex.MatchString(subject)
	}
	for _, p := range f.prefixes {
		if strings.HasPrefix(subject, p) {
			return true
		}
	}
	return false
}
