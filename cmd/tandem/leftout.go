package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func leftOutCommand() *cli.Command {
	return &cli.Command{Name: "left-out", Usage: "objects of the directories that are left out, by reason; with --reason each of them",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "engine", Usage: "only what `ENGINE` leaves out"},
			&cli.StringFlag{Name: "reason", Usage: "only what is left out for `REASON`, each object by name"},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			q := api.LeftOutRequest{Engine: c.String("engine"), Reason: c.String("reason"), Each: c.IsSet("reason")}
			return ask(c, request{command: "left-out", body: q, view: view(showLeftOut)})
		}}
}

func showLeftOut(w io.Writer, v api.LeftOut) {
	if len(v.Sets) == 0 {
		fmt.Fprintln(w, "nothing is left out")
	}
	for _, s := range v.Sets {
		showLeftSet(w, s, len(v.Objects) == 0)
	}
	for _, x := range v.Objects {
		fmt.Fprintf(w, "  %s %s\n", x.Kind, x.Name)
	}
}

// showLeftSet tells of one set why, how many, and names some.
func showLeftSet(w io.Writer, s api.LeftSet, examples bool) {
	by := "by the policy"
	if s.Engine != "" {
		by = "by " + s.Engine
	}
	linked := ""
	if s.Linked > 0 {
		linked = fmt.Sprintf(", %s the tenant and left alone there", scoping.Many(s.Linked, "of them is in", "of them are in"))
	}
	fmt.Fprintf(w, "%s left out %s: %s: %s%s\n", bold(kinds(s.Kinds)), by, s.Reason, s.Message, linked)
	if examples {
		fmt.Fprintf(w, "  %s\n", some(s.Examples, s.Count))
	}
}

// some lists the names of the first of so many.
func some(names []string, all int) string {
	if more := all - len(names); more > 0 {
		return strings.Join(names, "; ") + fmt.Sprintf("; and %d more", more)
	}
	return strings.Join(names, "; ")
}
