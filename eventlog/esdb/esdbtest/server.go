// Package esdbtest is a server that speaks the wire protocol of EventStoreDB / KurrentDB, in this process.
//
// Its promise: a client of that protocol finds the rules of the reference server — the table by which an append is
// judged to be new, a repeat or a conflict; positions that are byte offsets with gaps; which starts are inclusive and
// which exclusive; checkpoints; trailers; the limits — so that what passes here passes there. It is judged itself by a
// client we did not write (see the folder nodeclient).
//
// Its failure model: nothing is kept on disk. Stop and Restart are a server's death and return with its data whole, on
// the same port; every other fault a network or a server can have is a method of Server and stays until it is used up
// or taken back.
//
// The rules were read in the sources of KurrentDB at commit 44996ed: IndexWriter.CheckCommit, StorageWriterService,
// Streams.Append.cs, Streams.Read.cs, Enumerator.AllSubscriptionFiltered.cs and RpcExceptions.cs.
package esdbtest

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
)

const (
	// DefaultMaxAppendSizeBytes is what servers up to 25.0 take in one append unless told otherwise.
	DefaultMaxAppendSizeBytes = 1 << 20
	// DefaultVersion is what the server says it is.
	DefaultVersion = "24.10.6"
	// DefaultSystemEventEvery is how many appends lie between two events of the server's own.
	DefaultSystemEventEvery = 5
)

// Options of Start. The zero value listens on a free port of 127.0.0.1.
type Options struct {
	Listen             string           // "127.0.0.1:0" unless given
	Version            string           // DefaultVersion unless given
	MaxAppendSizeBytes int              // DefaultMaxAppendSizeBytes unless given
	SystemEventEvery   int              // DefaultSystemEventEvery unless given; negative: none
	Clock              func() time.Time // the server's own clock, for "created"; time.Now unless given
	TLS                *tls.Config      // none: in the clear
	// Users are passwords by name; "admin" may do everything. Without any, nobody is asked.
	Users map[string]string
}

// Server is one node. Nodes started by StartFollower share the data of their leader.
type Server struct {
	options Options
	store   *store
	leader  *Server // nil on a leader
	faults  faults

	mu      sync.Mutex // guards what follows
	address string     // fixed by the first Listen, so that a restart has the same port
	running *running   // nil while stopped
}

// running is what lives from one start to the next stop.
type running struct {
	grpc   *grpc.Server
	conns  *connections
	served chan struct{} // closed when Serve has returned
	stop   context.Context
	cancel context.CancelFunc
}

// Start starts a leader with an empty log (but for the events a server writes for itself).
func Start(o Options) (*Server, error) {
	if o.Clock == nil {
		o.Clock = time.Now
	}
	if o.SystemEventEvery == 0 {
		o.SystemEventEvery = DefaultSystemEventEvery
	}
	return start(o, newStore(o.Clock, o.SystemEventEvery), nil)
}

// StartFollower starts a second node over the same data, which answers reads and refuses appends, naming its leader.
func (s *Server) StartFollower(o Options) (*Server, error) {
	o.Clock = s.options.Clock
	return start(o, s.store, s)
}

func start(o Options, data *store, leader *Server) (*Server, error) {
	if o.Listen == "" {
		o.Listen = anywhere
	}
	if o.Version == "" {
		o.Version = DefaultVersion
	}
	if o.MaxAppendSizeBytes == 0 {
		o.MaxAppendSizeBytes = DefaultMaxAppendSizeBytes
	}
	s := &Server{options: o, store: data, leader: leader, address: o.Listen}
	s.faults.version = o.Version
	return s, s.Restart()
}

// Address is host:port; it stays the same over restarts.
func (s *Server) Address() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.address
}

// URL is a connection string for this node alone.
func (s *Server) URL() string { return "esdb://" + s.Address() + "?tls=false" }

// DiscoverURL is a connection string by which a client asks this node for the cluster's members.
func (s *Server) DiscoverURL() string { return "esdb+discover://" + s.Address() + "?tls=false" }

// Restart starts a stopped server on its old port with its data whole.
func (s *Server) Restart() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		return errors.New("esdbtest: restart: the server runs")
	}
	if s.leader == nil && s.store.isFull() { // it writes the beginning of an epoch before it takes calls
		return errors.New("esdbtest: restart: the process has ended: No space left on device")
	}
	return s.listen()
}

// listen needs s.mu.
func (s *Server) listen() error {
	l, err := listenOn(s.address)
	if err != nil {
		return fmt.Errorf("esdbtest: listen on %s: %w", s.address, err)
	}
	s.address = l.Addr().String()
	r := &running{conns: &connections{Listener: l, closed: make(chan struct{})}, served: make(chan struct{})}
	r.stop, r.cancel = context.WithCancel(context.Background())
	options := []grpc.ServerOption{
		// Clients ping every ten seconds, also without a call under way; grpc-go's default would call that abuse.
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: 5 * time.Second, PermitWithoutStream: true}),
		grpc.MaxRecvMsgSize(64 << 20),
		grpc.UnaryInterceptor(s.unary), grpc.StreamInterceptor(s.stream),
	}
	if s.options.TLS != nil {
		options = append(options, grpc.Creds(credentials.NewTLS(s.options.TLS)))
	}
	r.grpc = grpc.NewServer(options...)
	node := &node{Server: s, running: r}
	streams.RegisterStreamsServer(r.grpc, node)
	serverfeatures.RegisterServerFeaturesServer(r.grpc, features{Server: s})
	gossip.RegisterGossipServer(r.grpc, gossiper{Server: s})
	go func() {
		defer close(r.served)
		_ = r.grpc.Serve(r.conns)
	}()
	s.running = r
	return nil
}

// anywhere is the address of a server that may have any port.
const anywhere = "127.0.0.1:0"

// listenOn listens on an address. Any port is one below those that systems give to outgoing connections: while the server
// is stopped one of these could otherwise take it. Where it looks first the system chooses.
func listenOn(address string) (net.Listener, error) {
	const first, last = 15000, 32000
	l, err := net.Listen("tcp", address)
	if address != anywhere || err != nil {
		return l, err
	}
	start := l.Addr().(*net.TCPAddr).Port
	for i := range last - first {
		below, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+(start+i)%(last-first))))
		if err == nil {
			return below, l.Close()
		}
	}
	return l, nil
}

// Stop kills the server: the port is closed and every connection is cut.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end()
}

// stopped is Stop of one run, when it has not ended yet.
func (s *Server) stopped(r *running) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == r {
		s.end()
	}
}

// end needs s.mu.
func (s *Server) end() {
	if s.running == nil {
		return
	}
	s.running.cancel()
	s.running.conns.cut()
	s.running.grpc.Stop()
	<-s.running.served
	s.running = nil
}

// Close is Stop, for t.Cleanup.
func (s *Server) Close() { s.Stop() }

// GoAway tells every client to leave (HTTP/2 GOAWAY) and takes new connections at once, as a node does that is
// restarted behind a load balancer. Calls under way end a moment later.
func (s *Server) GoAway() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.running
	if old == nil {
		return errors.New("esdbtest: go away: the server is stopped")
	}
	left := make(chan struct{})
	go func() { // GracefulStop sends GOAWAY, frees the port, then waits for calls under way.
		defer close(left)
		old.grpc.GracefulStop()
	}()
	<-old.conns.closed
	err := s.listen()
	old.cancel() // subscriptions never end by themselves
	<-left
	return err
}

// CutConnections cuts every TCP connection without a word; the port stays open.
func (s *Server) CutConnections() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running != nil {
		s.running.conns.cut()
	}
}

// TooManyPings sends every client away as a server does that counts its pings as abuse: GOAWAY with ENHANCE_YOUR_CALM, and
// the connection is closed. It means nothing with TLS.
func (s *Server) TooManyPings() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.running == nil {
		return
	}
	const reason = "too_many_pings"
	// RFC 9113, 6.8: length, type, flags, stream; the last stream that was served, the code, and the reason.
	frame := []byte{0, 0, 8 + byte(len(reason)), 7, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 11}
	s.running.conns.last(append(frame, reason...))
}

// connections remembers what it accepted so that it can cut it.
type connections struct {
	net.Listener
	closed chan struct{} // closed with the listener, that is, when the port is free again
	once   sync.Once
	mu     sync.Mutex
	open   []net.Conn
}

func (c *connections) Close() error {
	err := c.Listener.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

func (c *connections) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err == nil {
		c.mu.Lock()
		c.open = append(c.open, conn)
		c.mu.Unlock()
	}
	return conn, err
}

func (c *connections) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, as when the process or the machine is gone
		}
		_ = conn.Close()
	}
	c.open = nil
}

// last writes a last word on every connection and closes it.
func (c *connections) last(word []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, conn := range c.open {
		_, _ = conn.Write(word)
		_ = conn.Close()
	}
	c.open = nil
}

// features answers what the server can do; clients read the version and refuse what they cannot parse.
type features struct {
	serverfeatures.UnimplementedServerFeaturesServer
	*Server
}

func (f features) GetSupportedMethods(ctx context.Context, _ *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	if err := f.faults.pass(ctx, "GetSupportedMethods"); err != nil {
		return nil, err
	}
	const service = "event_store.client.streams.streams"
	out := &serverfeatures.SupportedMethods{EventStoreServerVersion: f.faults.says()}
	for _, m := range []struct {
		name     string
		features []string
	}{
		{"read", []string{"position", "events"}}, {"append", nil}, {"delete", nil}, {"tombstone", nil},
	} {
		out.Methods = append(out.Methods, &serverfeatures.SupportedMethod{MethodName: m.name, ServiceName: service, Features: m.features})
	}
	return out, nil
}

// gossiper names the members of the cluster.
type gossiper struct {
	gossip.UnimplementedGossipServer
	*Server
}

func (g gossiper) Read(ctx context.Context, _ *shared.Empty) (*gossip.ClusterInfo, error) {
	if err := g.faults.pass(ctx, "Gossip"); err != nil {
		return nil, err
	}
	info := &gossip.ClusterInfo{}
	add := func(s *Server, state gossip.MemberInfo_VNodeState) {
		host, port, _ := net.SplitHostPort(s.Address())
		number, _ := strconv.ParseUint(port, 10, 16)
		info.Members = append(info.Members, &gossip.MemberInfo{
			State: state, IsAlive: true,
			HttpEndPoint: &gossip.EndPoint{Address: host, Port: uint32(number)},
		})
	}
	if g.leader == nil {
		add(g.Server, gossip.MemberInfo_Leader)
	} else {
		add(g.Server, gossip.MemberInfo_Follower)
		add(g.leader, gossip.MemberInfo_Leader)
	}
	return info, nil
}
