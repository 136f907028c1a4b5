// Package enginetest helps to test engines: it puts the contract's wire between a test and an engine in the same process.
package enginetest

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// Wire gives impl as a host sees it: every call is marshalled and crosses gRPC. All ends with the test.
func Wire(t testing.TB, impl engine.Engine) engine.Engine {
	t.Helper()
	listener := bufconn.Listen(1 << 16)
	server := grpc.NewServer(append(plugin.ServerOptions(), grpc.WaitForHandlers(true))...)
	plugin.Register(server, impl)
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	conn, err := grpc.NewClient("passthrough:///engine",
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(1<<31-1), grpc.MaxCallSendMsgSize(1<<31-1)))
	if err != nil {
		t.Fatalf("connecting to the engine: %v", err)
	}
	t.Cleanup(func() {
		if err := conn.Close(); err != nil {
			t.Errorf("closing the connection to the engine: %v", err)
		}
		server.Stop()
		if err := <-served; err != nil {
			t.Errorf("serving the engine: %v", err)
		}
	})
	return plugin.NewClient(conn)
}
