//go:generate ./generate.sh

package engine

import (
	"context"
	"errors"

	plugin "github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"
)

// pluginName is the contract's name in go-plugin's table.
const pluginName = "engine"

// handshake is go-plugin's: the cookie tells an executable that a Tandem host started it. It is no secret.
var handshake = plugin.HandshakeConfig{
	ProtocolVersion:  ContractVersion,
	MagicCookieKey:   "TANDEM_ENGINE",
	MagicCookieValue: "4c1e5b0a-engine",
}

// wire plugs the contract into go-plugin, on either side.
type wire struct {
	plugin.NetRPCUnsupportedPlugin
	impl Engine // of the plugin's side
}

func (w *wire) GRPCServer(_ *plugin.GRPCBroker, s *grpc.Server) error {
	if w.impl == nil {
		return errors.New("no engine to serve")
	}
	Register(s, w.impl)
	return nil
}

func (w *wire) GRPCClient(_ context.Context, _ *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return NewClient(conn), nil
}
