package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

func notifyCommand() *cli.Command {
	return &cli.Command{Name: "notify", Usage: "notifications", Subcommands: []*cli.Command{
		{Name: "test", Usage: "send a test message through every channel of tandem.yaml's notify; exit 1 if one does not take it", Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "notify/test", body: api.None{}, view: view(func(w io.Writer, v api.Notified) {
				for _, x := range v.Channels {
					if x.OK {
						fmt.Fprintf(w, "%s took the test message\n", x.Channel)
					} else {
						fmt.Fprintf(w, "%s did not: %s\n", x.Channel, x.Error)
					}
				}
			})})
		}},
	}}
}
