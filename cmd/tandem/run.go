package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

func syncCommand() *cli.Command {
	return &cli.Command{Name: "sync", Usage: "one run of an engine now; exit 3 when something is held, 1 when objects failed", ArgsUsage: "ENGINE",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "profile", Usage: "delta or full; without it delta, or full when the engine's rules changed since its last full run"},
			&cli.StringFlag{Name: "under", Usage: "only this subtree `DN`"},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c, "ENGINE"); err != nil {
				return err
			}
			return ask(c, request{command: "sync", body: api.SyncRequest{Engine: c.Args().First(), Profile: c.String("profile"), Under: c.String("under")}, view: view(showSync)})
		}}
}

func showSync(w io.Writer, r api.Sync) {
	fmt.Fprintf(w, "%s %s: %d read, %d to change, %d applied", bold(r.Engine), r.Profile, r.Read, r.Proposed, r.Applied)
	if r.Applied > 0 {
		fmt.Fprintf(w, " (%d created, %d updated, %d deleted, %d restored)", r.Creates, r.Updates, r.Deletes, r.Restores)
	}
	if links := wave.Links(r.Links).String(); links != "" {
		fmt.Fprintf(w, ", %s", links)
	}
	fmt.Fprintf(w, ", %d unchanged", r.Unchanged)
	for _, x := range []struct {
		n    int
		name string
	}{{r.Shadowed, "shadowed"}, {r.Held, "held"}, {r.Deferred, "deferred"}, {r.Released, "released"}, {r.Refused, "refused"}, {r.Failed, "failed"}, {r.Unclaimed, "unclaimed"}} {
		if x.n > 0 {
			fmt.Fprintf(w, ", %d %s", x.n, x.name)
		}
	}
	fmt.Fprintf(w, " in %d ms\n", r.Millis)
	for _, e := range r.Errors {
		fmt.Fprintf(w, "  %s: %s: %s\n", cmp.Or(e.Object, "the run"), e.Code, e.Message)
	}
	if r.Would != nil && r.Would.Differ() > 0 {
		fmt.Fprintf(w, "would write: %s\n", *r.Would)
	}
	showDifferences(w, r.Differences)
	for _, x := range r.Removals {
		fmt.Fprintf(w, "  %s: %s\n", x.Object, x)
	}
	for _, e := range r.Findings {
		fmt.Fprintf(w, "  %s: %s: %s\n", e.Object, e.Code, e.Message)
	}
	for _, n := range r.Left {
		fmt.Fprintf(w, "  unclaimed: %s\n", n)
	}
	if r.Profile == "full" { // a delta need not tell each time what was left out before it
		for _, s := range r.LeftOut {
			fmt.Fprintf(w, "  left out: %d %s, %s: %s\n", s.Count, s.Reason, s.Message, some(s.Examples, s.Count))
		}
	}
}

func heldCommand() *cli.Command {
	cmds := []*cli.Command{
		{Name: "list", Usage: "held sets that wait", Flags: []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "also those that were rejected, expired, or are done or void"}}, Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "held/list", body: api.HeldListRequest{All: c.Bool("all")}, view: view(func(w io.Writer, v api.HeldSets) { heldTable(w, v.Held) })})
		}},
		{Name: "show", Usage: "one held set", ArgsUsage: "ID", Action: func(c *cli.Context) error {
			if err := arguments(c, "ID"); err != nil {
				return err
			}
			return ask(c, request{command: "held/show", body: api.HeldRequest{ID: c.Args().First()}, view: view(showHeld)})
		}},
	}
	for verb, usage := range map[string]string{"approve": "let this very set be written", "reject": "never write it", "forget": "drop the answer: it will be judged anew"} {
		cmds = append(cmds, &cli.Command{Name: verb, Usage: usage, ArgsUsage: "ID", Flags: []cli.Flag{&cli.StringFlag{Name: "reason", Usage: "why, for the journal"}},
			Action: func(c *cli.Context) error {
				if err := arguments(c, "ID"); err != nil {
					return err
				}
				return ask(c, request{command: "held/answer", body: api.HeldRequest{ID: c.Args().First(), Verb: verb, Reason: c.String("reason")}, view: view(showAnswered)})
			}})
	}
	return &cli.Command{Name: "held", Usage: "sets of writes held by a threshold", Subcommands: cmds}
}

const heldHead = "HELD SET|ENGINE|STATE|WRITES|CLASS|WHY"

func heldTable(w io.Writer, hs []api.Held) { table(w, heldHead, heldRows(hs)) }

func heldRows(hs []api.Held) (rows [][]string) {
	for _, h := range hs {
		rows = append(rows, []string{h.ID, h.Engine, string(h.State), fmt.Sprint(h.Count), string(h.Class), h.Why})
	}
	return rows
}

func showHeld(w io.Writer, h api.Held) {
	what := fmt.Sprintf("of %s, %s: %s of class %s", h.Engine, h.State, scoping.Many(h.Count, "write", "writes"), h.Class)
	if h.Engine == "" { // no writes: objects that would get another engine
		what = fmt.Sprintf("%s: %s", h.State, scoping.Many(h.Count, "change of an owner", "changes of owners"))
	}
	fmt.Fprintf(w, "%s %s\n%s\n", bold(h.ID), what, h.Why)
	for _, e := range h.Entries {
		fmt.Fprintf(w, "  %s\n", heldLine(e))
	}
	switch {
	case h.Expires != "":
		fmt.Fprintf(w, "approved by %s; what is not written by %s is held again\n", h.By, h.Expires)
	case h.AnsweredAt != "":
		fmt.Fprintf(w, "answered by %s at %s %s\n", h.By, h.AnsweredAt, h.Reason)
	}
	switch {
	case h.State == "void":
		fmt.Fprintln(w, "everything in it changed hands: the new engine is asked")
	case h.Voided > 0:
		fmt.Fprintf(w, "%d more changed hands: their new engine is asked\n", h.Voided)
	}
}

// verb puts an operation into words.
func verb(op string) string {
	if op == "re-link" {
		return op
	}
	return strings.ReplaceAll(op, "-", " ")
}

// heldLine says what one write would change, value by value.
func heldLine(e api.HeldEntry) string {
	out := verb(e.Op) + " " + e.Name
	if e.End != "" {
		out += ": without " + cmp.Or(e.EndName, e.End)
	}
	for _, c := range e.Changes {
		out += fmt.Sprintf("\n    %s: %s → %s", c.Attribute, values(c.Old), values(c.New))
	}
	if e.Detail != "" && e.Op == "delete" {
		out += "\n    " + e.Detail
	}
	if e.Note != "" {
		out += "\n    " + e.Note
	}
	if e.Spent {
		out += "\n    written"
	}
	return out
}

func values(vs []string) string {
	if len(vs) == 0 {
		return "nothing"
	}
	var out []string
	for _, v := range vs {
		out = append(out, fmt.Sprintf("%q", v))
	}
	return strings.Join(out, ", ")
}

func showAnswered(w io.Writer, a api.Answered) {
	fmt.Fprintf(w, "%s: %s\n", a.ID, a.Verb)
	if a.Run != nil {
		showSync(w, *a.Run)
	}
}

func stopFlags(reason string) []cli.Flag {
	return []cli.Flag{&cli.StringFlag{Name: "engine", Usage: "only `ENGINE`"}, &cli.StringFlag{Name: "under", Usage: "only subtree `DN`"},
		&cli.BoolFlag{Name: "all", Usage: "all writing"}, &cli.StringFlag{Name: "reason", Usage: reason}}
}

func stopAction(command, word string) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := arguments(c); err != nil {
			return err
		}
		q := api.StopRequest{Engine: c.String("engine"), Under: c.String("under"), All: c.Bool("all"), Reason: c.String("reason")}
		return ask(c, request{command: command, body: q, view: view(func(w io.Writer, v api.Stops) {
			for _, s := range v.Stops {
				fmt.Fprintf(w, "%s: %s\n", word, s.ID)
			}
		})})
	}
}

func stopCommand() *cli.Command {
	return &cli.Command{Name: "stop", Usage: "stop writing now; survives restarts", Flags: stopFlags("why; needed"), Action: stopAction("stop", "stopped")}
}

func startCommand() *cli.Command {
	return &cli.Command{Name: "start", Usage: "end a stop", Flags: stopFlags("why"), Action: stopAction("start", "started again")}
}

func restoreCommand() *cli.Command {
	return &cli.Command{Name: "restore", Usage: "bring an object back from the tenant's deleted items", ArgsUsage: "REF", Action: func(c *cli.Context) error {
		if err := arguments(c, "REF"); err != nil {
			return err
		}
		return ask(c, request{command: "restore", body: api.RefRequest{Ref: c.Args().First()}, view: view(showRestored)})
	}}
}

func showRestored(w io.Writer, r api.Returned) {
	switch {
	case r.Outcome == api.ReturnedThere:
		fmt.Fprintf(w, "%s is in the tenant as %s: nothing had to be brought back\n", r.Object, r.CloudID)
	case r.Outcome == api.ReturnedBack:
		fmt.Fprintf(w, "%s %s is back as %s, by %s\n", bold("restored"), r.Object, r.CloudID, r.Engine)
	default:
		fmt.Fprintf(w, "%s %s stays in the deleted items as %s: %s\n", bold(r.Outcome), r.Object, r.CloudID, r.Message)
	}
	if r.Run != nil {
		showSync(w, *r.Run)
	}
}

func engineCommand() *cli.Command {
	return &cli.Command{Name: "engine", Usage: "engines", Subcommands: []*cli.Command{
		{Name: "list", Usage: "configured engines", Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "engine/list", body: api.None{}, view: view(func(w io.Writer, v api.Engines) { engineTable(w, v.Engines) })})
		}},
		{Name: "show", Usage: "one engine", ArgsUsage: "NAME", Action: func(c *cli.Context) error {
			if err := arguments(c, "NAME"); err != nil {
				return err
			}
			return ask(c, request{command: "engine/show", body: api.NameRequest{Name: c.Args().First()}, view: view(func(w io.Writer, e api.Engine) {
				engineTable(w, []api.Engine{e})
				fmt.Fprintf(w, "kind %s, version %s, features %v\nwrites into directories %v\nverbs %v\n", e.Kind, e.Version, e.Features, e.Delivers, e.Verbs)
				for _, k := range slices.Sorted(maps.Keys(e.Details)) {
					fmt.Fprintf(w, "%s: %s\n", k, e.Details[k])
				}
			})})
		}},
	}}
}

func agentCommand() *cli.Command {
	which := &cli.StringFlag{Name: "engine", Usage: "`ENGINE`, when several have agents"}
	return &cli.Command{Name: "agent", Usage: "agents", Subcommands: []*cli.Command{
		{Name: "list", Usage: "enrolled agents", Flags: []cli.Flag{which}, Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "agent", body: api.AgentRequest{Engine: c.String("engine"), Verb: "agents"}, view: view(showAgents)})
		}},
		{Name: "invite", Usage: "print a one-time token for tandem-agent enroll", Flags: []cli.Flag{which, &cli.StringFlag{Name: "group", Usage: "`NAME` of the agents' group"},
			&cli.DurationFlag{Name: "ttl", Usage: "how long the token is good for"}}, Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			q := api.AgentRequest{Engine: c.String("engine"), Verb: "invite", Group: c.String("group")}
			if c.IsSet("ttl") {
				q.TTL = c.Duration("ttl").String()
			}
			return agentAnswer(c, q)
		}},
		{Name: "remove", Usage: "end an agent for good", ArgsUsage: "ID", Flags: []cli.Flag{which}, Action: func(c *cli.Context) error {
			if err := arguments(c, "ID"); err != nil {
				return err
			}
			return agentAnswer(c, api.AgentRequest{Engine: c.String("engine"), Verb: "remove", ID: c.Args().First()})
		}},
	}}
}

// agentAnswer shows what the engine answered, in its own words.
func agentAnswer(c *cli.Context, q api.AgentRequest) error {
	var r api.AgentReply
	if _, err := call(c, "agent", q, &r); err != nil {
		return err
	}
	if r.Answer == nil {
		r.Answer = json.RawMessage("{}")
	}
	var v struct{ Warning string }
	if json.Unmarshal(r.Answer, &v) == nil && v.Warning != "" {
		defer complain("warning: "+v.Warning, "tandem agent invite")
	}
	return show(c, r.Answer, func(w io.Writer, b json.RawMessage) error {
		var v struct{ Token, Group, Expires, Listen, Removed string }
		if json.Unmarshal(b, &v) != nil {
			return nil
		}
		switch {
		case v.Token != "":
			fmt.Fprintln(w, v.Token)
			complain(fmt.Sprintf("good once, until %s, for group %s", v.Expires, v.Group),
				"on the agent's host: tandem-agent enroll --server "+v.Listen+" --token-file FILE … (a file of its user alone, or - for standard input: a command line is seen by everybody there)")
		case v.Removed != "":
			fmt.Fprintf(w, "removed %s: it ends by itself and cannot attend again\n", v.Removed)
		}
		return nil
	})
}

func showAgents(w io.Writer, r api.AgentReply) {
	var as []struct {
		ID, Group, Directory, Host, Version, State, Trouble string
		Service                                             string `json:"serviceVersion"`
		Embedded                                            bool
	}
	if err := json.Unmarshal(r.Agents, &as); err != nil {
		fmt.Fprintf(w, "%s\n", r.Agents)
		return
	}
	var rows [][]string
	var troubles []string
	for _, a := range as {
		if a.Version != "" && a.Service != "" && a.Version != a.Service {
			a.Version += " (service: " + a.Service + ")"
		}
		rows = append(rows, []string{a.ID, a.Group, a.Directory, a.Host, a.State, map[bool]string{true: "embedded", false: ""}[a.Embedded], a.Version})
		if a.Trouble != "" {
			troubles = append(troubles, fmt.Sprintf("%s on %s: %s", a.ID, a.Host, a.Trouble))
		}
	}
	table(w, "AGENT|GROUP|DIRECTORY|HOST|STATE||VERSION", rows)
	for _, t := range troubles {
		fmt.Fprintln(w, t)
	}
}
