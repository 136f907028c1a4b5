package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

func takeoverCommand() *cli.Command {
	return &cli.Command{Name: "takeover", Usage: "take the tenant over from another installation or host, which may write no more; waits until it cannot",
		Flags: []cli.Flag{&cli.StringFlag{Name: "reason", Usage: "why, for the journal"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			if c.String("reason") == "" {
				e := api.Usage("takeover needs --reason R, for the journal")
				e.Hint = "tandem takeover --help"
				return e
			}
			return ask(c, request{command: "takeover", body: api.TakeoverRequest{Reason: c.String("reason")}, view: view(func(w io.Writer, t api.Takeover) {
				fmt.Fprintf(w, "taken over from %s; nothing is written yet. Next:\n", t.From)
				for _, n := range t.Next {
					fmt.Fprintln(w, "  "+n)
				}
			})})
		}}
}

// showMark tells who feeds the tenant, where that is not simply this host. What trouble tells already is not told again.
func showMark(w io.Writer, m api.Mark, trouble []string) {
	who := "nobody yet"
	switch {
	case m.Installation != "":
		who = fmt.Sprintf("installation %s, incarnation %d", m.Installation, m.Incarnation)
		if m.Host != "" {
			who += ", host " + m.Host + " since " + m.At
		}
	case m.Read == "":
		who = "unknown" // the mark could not be read
	}
	problem, _, _ := strings.Cut(m.Problem, "; not tried again")
	switch {
	case problem != "" && slices.ContainsFunc(trouble, func(t string) bool { return strings.Contains(t, problem) }):
		fmt.Fprintln(w, bold("fed by      "+who+", as far as it is known: see above"))
	case m.Problem != "":
		fmt.Fprintln(w, bold("fed by      "+who+": "+m.Problem))
	case m.Read != "" && !m.Kept:
		fmt.Fprintln(w, "fed by      unknown: the application may not keep the tenant's mark")
	case m.Ours:
		fmt.Fprintln(w, "fed by      this host: "+who)
	default:
		fmt.Fprintln(w, "fed by      "+who)
	}
	if m.Waits != "" {
		fmt.Fprintln(w, bold("waits       nothing is written before "+m.Waits+": another host may still write"))
	}
}

// maxDifferences is how many objects a run that writes nothing shows.
const maxDifferences = 100

func showDifferences(w io.Writer, ds []api.Difference) {
	for i, d := range ds {
		if i == maxDifferences {
			fmt.Fprintf(w, "  … and %d more; --output json gives all\n", len(ds)-i)
			return
		}
		showDifference(w, d)
	}
}
