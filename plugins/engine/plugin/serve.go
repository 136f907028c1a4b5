package plugin

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
	"google.golang.org/grpc/stats"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// endLimit is how long a plugin's process may live after its session: the contract says a second.
const endLimit = 900 * time.Millisecond

// parentInterval is how often a plugin looks whether its parent has changed.
const parentInterval = 200 * time.Millisecond

// Serve serves impl to the host that started this process, and returns when the session is over: because the host ended it,
// closed the connection, closed this process's standard input, or died. The main function should then return; the process
// is ended by force within a second of the session's end in any case. When impl is an io.Closer, Serve closes it last.
//
// In a process that no host started, Serve says so on standard error and ends the process with exit code 1. What the plugin
// writes to os.Stdout while serving goes to the host's log; log with [NewLogger].
func Serve(impl engine.Engine) {
	if os.Getenv(handshake.MagicCookieKey) != handshake.MagicCookieValue {
		fmt.Fprintln(os.Stderr, "This program is an engine of Tandem. It is started by tandem, which finds it under engines[].command in tandem.yaml.")
		os.Exit(1)
	}
	s := &session{over: make(chan struct{})}
	go s.watchInput(os.Stdin)
	go s.watchParent(os.Getppid())
	go s.stopServer()
	goplugin.Serve(&goplugin.ServeConfig{
		HandshakeConfig: handshake,
		Plugins:         goplugin.PluginSet{pluginName: &wire{impl: impl}},
		GRPCServer:      s.server,
		Logger:          hclog.New(&hclog.LoggerOptions{Level: hclog.Warn, Output: os.Stderr, JSONFormat: true}),
	})
	s.finish()
	if c, ok := impl.(io.Closer); ok {
		if err := c.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the engine:", err)
		}
	}
}

// session is a plugin's one session. Its goroutines end with the process.
type session struct {
	once sync.Once
	over chan struct{}

	mu    sync.Mutex
	grpc  *grpc.Server // nil until go-plugin has made it
	conns int
}

// finish marks the end of the session. From then on the process has endLimit to live.
func (s *session) finish() {
	s.once.Do(func() {
		time.AfterFunc(endLimit, func() { os.Exit(0) })
		close(s.over)
	})
}

// watchInput ends the session with standard input, which the host holds open as long as it lives.
func (s *session) watchInput(r io.Reader) {
	_, _ = io.Copy(io.Discard, r)
	s.finish()
}

// watchParent ends the session when the process has got another parent: the one that started it is dead.
func (s *session) watchParent(parent int) {
	tick := time.NewTicker(parentInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			if os.Getppid() != parent {
				s.finish()
				return
			}
		case <-s.over:
			return
		}
	}
}

// stopServer makes go-plugin's Serve return at the session's end. Before there is a server, the process's limit does.
func (s *session) stopServer() {
	<-s.over
	s.mu.Lock()
	server := s.grpc
	s.mu.Unlock()
	if server != nil {
		server.Stop()
	}
}

func (s *session) server(opts []grpc.ServerOption) *grpc.Server {
	made := grpc.NewServer(append(append(opts, ServerOptions()...), grpc.StatsHandler(s))...)
	s.mu.Lock()
	s.grpc = made
	s.mu.Unlock()
	return made
}

// HandleConn ends the session with its last connection: there is no coming back to it. (gRPC's stats.Handler)
func (s *session) HandleConn(_ context.Context, c stats.ConnStats) {
	s.mu.Lock()
	switch c.(type) {
	case *stats.ConnBegin:
		s.conns++
	case *stats.ConnEnd:
		s.conns--
		if s.conns == 0 {
			defer s.finish()
		}
	}
	s.mu.Unlock()
}

// TagConn adds nothing.
func (s *session) TagConn(ctx context.Context, _ *stats.ConnTagInfo) context.Context { return ctx }

// TagRPC adds nothing.
func (s *session) TagRPC(ctx context.Context, _ *stats.RPCTagInfo) context.Context { return ctx }

// HandleRPC does nothing.
func (s *session) HandleRPC(context.Context, stats.RPCStats) {}
