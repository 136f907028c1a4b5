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
func showMark(w io.Writer, limit int, m api.Mark, trouble []string) {
	fed := func(text string, paint func(string) string) { labelled(w, limit, "fed by", text, paint) }
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
		fed(who+", as far as it is known: see above", bold)
	case m.Problem != "":
		fed(who+": "+m.Problem, bold)
	case m.Read != "" && !m.Kept:
		fed("unknown: the application may not keep the tenant's mark", plainly)
	case m.Ours:
		fed("this host: "+who, plainly)
	default:
		fed(who, plainly)
	}
	if m.Waits != "" {
		labelled(w, limit, "waits", "nothing is written before "+m.Waits+": another host may still write", bold)
	}
}
