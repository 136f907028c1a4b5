package main

import (
	"fmt"
	"io"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/build"
)

func versionCommand() *cli.Command {
	return &cli.Command{Name: "version", Usage: "what this program was built of", Action: func(c *cli.Context) error {
		if err := arguments(c); err != nil {
			return err
		}
		return printResult(c, build.Of(), func(w io.Writer, b build.Info) { fmt.Fprint(w, b.Text(c.App.Name)) })
	}}
}
