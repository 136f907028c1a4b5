package main

import (
	"os"

	"github.com/tandem-sync/tandem/cmd/tandem/bench"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// servePlugin is this program as one of its built-in engines, started by itself.
func servePlugin(kind string) int {
	l := plugin.NewLogger(os.Stderr)
	switch kind {
	case "connect":
		oneEngine.collect()
		plugin.Serve(connect.New(connect.Options{Logger: l}))
	case "cloudsync":
		oneEngine.collect()
		plugin.Serve(cloudsync.New(cloudsync.Options{Logger: l}))
	case bench.GeneratorKind:
		plugin.Serve(&bench.Generator{})
	default:
		complain("there is no built-in engine "+kind, "connect or cloudsync")
		return api.ExitUsage
	}
	return api.ExitDone
}
