//go:generate ./generate.sh

// Package plugin speaks the engine contract between two processes, over HashiCorp's go-plugin and gRPC.
//
// In the engine's process main calls [Serve] with an engine.Engine: it prints the handshake, serves the calls, and returns at the
// session's end. In the host [Start] starts an executable and connects to it; [Process.Engine] is the engine.Engine on the other
// side, whose methods may be called at once from several goroutines, and whose every call ends with the process, in an
// engine.ErrEngineDied. [Process.Stop] ends the process and waits for it. A process is never restarted: a new session is a new one.
// [NewClient] and [Register] are the two ends of the wire alone, for tests and other transports.
package plugin

import (
	"context"
	"errors"

	goplugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// pluginName is the contract's name in go-plugin's table.
const pluginName = "engine"

// handshake is go-plugin's: the cookie tells an executable that a Tandem host started it. It is no secret.
var handshake = goplugin.HandshakeConfig{
	ProtocolVersion:  engine.ContractVersion,
	MagicCookieKey:   "TANDEM_ENGINE",
	MagicCookieValue: "4c1e5b0a-engine",
}

// wire plugs the contract into go-plugin, on either side.
type wire struct {
	goplugin.NetRPCUnsupportedPlugin
	impl engine.Engine // of the plugin's side
}

func (w *wire) GRPCServer(_ *goplugin.GRPCBroker, s *grpc.Server) error {
	if w.impl == nil {
		return errors.New("no engine to serve")
	}
	Register(s, w.impl)
	return nil
}

func (w *wire) GRPCClient(_ context.Context, _ *goplugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewClient(conn), nil
}
