package cloudsync

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
)

// The limits of the port. Whoever has shown no certificate of an enrolled agent yet is a stranger: all strangers together cost a few
// megabytes, whatever they send and however many they are. When there are too many the oldest is cut off: those that do what they
// came for are gone in milliseconds.
const (
	mostHandshakes   = 64               // TCP connections without a finished TLS handshake
	handshakeTime    = 10 * time.Second // for the TLS handshake, and again for HTTP/2's preface
	mostStrangers    = 32               // connections of strangers after that
	strangerTime     = 30 * time.Second // how long a stranger's connection lasts at most
	strangerIdle     = 10 * time.Second // and without a call
	strangerMessage  = 16 << 10         // bytes in a stranger's message
	strangerWindow   = 64 << 10         // bytes in flight on a stranger's connection
	strangerStreams  = 4
	strangerBuffer   = 4 << 10
	mostOfOneAgent   = 4 // connections of one enrolled agent
	agentStreams     = 64
	mostHeaderBytes  = 16 << 10
	acceptRest       = 100 * time.Millisecond // after an error, such as too many open files
	renewalGrace     = 30 * 24 * time.Hour    // how long after its end a certificate still gets its agent a new one
	renewalGraceDays = int(renewalGrace / (24 * time.Hour))
)

// port is the TCP port where agents dial in. It does the TLS handshakes itself, so that it knows who calls before any message is
// read, and passes each connection to one of two gRPC servers: the one for agents, or the one for strangers with its small limits.
type port struct {
	authority *authority
	known     func(agent string) bool
	clock     clock
	log       *slog.Logger

	listener  net.Listener
	agents    *grpc.Server
	strangers *grpc.Server
	toAgents  *queue
	toOthers  *queue
	work      sync.WaitGroup

	mu    sync.Mutex
	crowd map[string][]net.Conn // by who they are, the oldest first
}

// The crowds that are no agent's.
const (
	crowdHandshakes = "handshakes"
	crowdStrangers  = "strangers"
)

// caller is who has made a connection. It implements credentials.AuthInfo.
type caller struct {
	credentials.CommonAuthInfo
	agent   string            // by its certificate; empty: none was shown, or it proves nothing
	leaf    *x509.Certificate // of that agent
	lapsed  bool              // it has ended, not so long ago that it could not be renewed
	refused string            // why the certificate shown proves nothing
}

// AuthType implements credentials.AuthInfo.
func (caller) AuthType() string { return "tls" }

// listenPort opens the port. serve begins.
func listenPort(address string, a *authority, known func(string) bool, c clock, log *slog.Logger) (*port, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for agents: %w", err)
	}
	p := &port{authority: a, known: known, clock: c, log: log, listener: l, crowd: map[string][]net.Conn{},
		toAgents: newQueue(l.Addr()), toOthers: newQueue(l.Addr())}
	both := []grpc.ServerOption{grpc.Creds(shaken{}), grpc.WaitForHandlers(true), grpc.ConnectionTimeout(handshakeTime),
		grpc.MaxHeaderListSize(mostHeaderBytes),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: line.KeepAlive / 2, PermitWithoutStream: true})}
	p.agents = grpc.NewServer(append(both, grpc.MaxRecvMsgSize(line.MaxMessage), grpc.MaxSendMsgSize(line.MaxMessage), grpc.MaxConcurrentStreams(agentStreams),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: line.AgentAlive, Timeout: line.AgentAlive}))...)
	p.strangers = grpc.NewServer(append(both, grpc.MaxRecvMsgSize(strangerMessage), grpc.MaxConcurrentStreams(strangerStreams),
		grpc.InitialWindowSize(strangerWindow), grpc.InitialConnWindowSize(strangerWindow),
		grpc.ReadBufferSize(strangerBuffer), grpc.WriteBufferSize(strangerBuffer),
		grpc.KeepaliveParams(keepalive.ServerParameters{MaxConnectionIdle: strangerIdle, MaxConnectionAge: strangerTime,
			MaxConnectionAgeGrace: strangerIdle, Time: strangerIdle, Timeout: line.AgentAlive}))...)
	return p, nil
}

// serve takes connections until close.
func (p *port) serve() {
	p.work.Go(p.accept)
	for s, q := range map[*grpc.Server]*queue{p.agents: p.toAgents, p.strangers: p.toOthers} {
		p.work.Go(func() {
			if err := s.Serve(q); err != nil {
				p.log.Error("agents cannot dial in any more", "error", err)
			}
		})
	}
}

// close ends every connection and waits for what served them.
func (p *port) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	for _, c := range p.crowd[crowdHandshakes] {
		_ = c.Close()
	}
	p.mu.Unlock()
	p.agents.Stop()
	p.strangers.Stop()
	p.work.Wait()
}

func (p *port) accept() {
	for {
		raw, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			p.log.Error("a connection of an agent could not be taken", "error", err)
			p.clock.wait(nil, acceptRest)
			continue
		}
		p.enter(crowdHandshakes, mostHandshakes, raw)
		p.work.Go(func() {
			if !p.shake(raw) {
				_ = raw.Close()
			}
		})
	}
}

// enter adds a connection to a crowd, and cuts off the oldest of too many.
func (p *port) enter(crowd string, most int, c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := append(p.crowd[crowd], c)
	if len(all) > most {
		_ = all[0].Close()
		all = slices.Delete(all, 0, 1)
	}
	p.crowd[crowd] = all
}

func (p *port) exit(crowd string, c net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crowd[crowd] = slices.DeleteFunc(p.crowd[crowd], func(x net.Conn) bool { return x == c })
	if len(p.crowd[crowd]) == 0 {
		delete(p.crowd, crowd)
	}
}

// shake does the TLS handshake and passes the connection on. It reports whether it did.
func (p *port) shake(raw net.Conn) bool {
	defer p.exit(crowdHandshakes, raw)
	ctx, cancel := context.WithTimeout(context.Background(), handshakeTime)
	defer cancel()
	secured := tls.Server(raw, p.authority.serverTLS(p.clock.now))
	if err := secured.HandshakeContext(ctx); err != nil {
		return false
	}
	who := p.authority.judge(secured.ConnectionState().PeerCertificates, p.clock.now())
	crowd, most, to := crowdStrangers, mostStrangers, p.toOthers
	if who.agent != "" && !who.lapsed && p.known(who.agent) {
		crowd, most, to = who.agent, mostOfOneAgent, p.toAgents
	}
	p.enter(crowd, most, raw)
	c := &connection{Conn: secured, who: who, leave: sync.OnceFunc(func() { p.exit(crowd, raw) })}
	if !to.offer(c) {
		c.leave()
		return false
	}
	return true
}

// connection is one whose handshake is done.
type connection struct {
	*tls.Conn
	who   caller
	leave func()
}

// Close implements net.Conn.
func (c *connection) Close() error {
	c.leave()
	return c.Conn.Close()
}

// queue is a net.Listener whose connections are offered to it.
type queue struct {
	address net.Addr
	offered chan net.Conn
	closed  chan struct{}
	close   func()
}

func newQueue(a net.Addr) *queue {
	q := &queue{address: a, offered: make(chan net.Conn), closed: make(chan struct{})}
	q.close = sync.OnceFunc(func() { close(q.closed) })
	return q
}

func (q *queue) offer(c net.Conn) bool {
	select {
	case q.offered <- c:
		return true
	case <-q.closed:
		return false
	}
}

// Accept implements net.Listener.
func (q *queue) Accept() (net.Conn, error) {
	select {
	case c := <-q.offered:
		return c, nil
	case <-q.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (q *queue) Close() error {
	q.close()
	return nil
}

// Addr implements net.Listener.
func (q *queue) Addr() net.Addr { return q.address }

// shaken are the credentials of connections that port has shaken hands with.
type shaken struct{}

var errShaken = errors.New("only the port's own connections are served")

// ServerHandshake implements credentials.TransportCredentials.
func (shaken) ServerHandshake(c net.Conn) (net.Conn, credentials.AuthInfo, error) {
	own, ok := c.(*connection)
	if !ok {
		return nil, nil, errShaken
	}
	return own, own.who, nil
}

// ClientHandshake implements credentials.TransportCredentials: these are a server's.
func (shaken) ClientHandshake(context.Context, string, net.Conn) (net.Conn, credentials.AuthInfo, error) {
	return nil, nil, errShaken
}

// Info implements credentials.TransportCredentials.
func (shaken) Info() credentials.ProtocolInfo {
	return credentials.ProtocolInfo{SecurityProtocol: "tls"}
}

// Clone implements credentials.TransportCredentials.
func (s shaken) Clone() credentials.TransportCredentials { return s }

// OverrideServerName implements credentials.TransportCredentials.
func (shaken) OverrideServerName(string) error { return errShaken }
