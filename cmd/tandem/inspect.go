package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func checkCommand() *cli.Command {
	return &cli.Command{Name: "check", Usage: "connections, rights, permissions, clock, TLS, tenant capabilities", Action: func(c *cli.Context) error {
		if err := arguments(c); err != nil {
			return err
		}
		return ask(c, request{command: "check", body: api.None{}, view: view(showChecks)})
	}}
}

func showChecks(w io.Writer, v api.Checks) {
	for _, f := range v.Checks {
		fmt.Fprintf(w, "%-8s %s: %s\n", f.Severity, f.Name, f.Message)
		if f.Hint != "" {
			fmt.Fprintf(w, "         → %s\n", f.Hint)
		}
	}
}

func engineTable(w io.Writer, es []api.Engine) {
	var rows [][]string
	for _, e := range es {
		health, last := "not running here", "–"
		if e.Healthy != nil {
			health = "healthy"
			if !*e.Healthy {
				health = "unhealthy"
			}
			health = strings.TrimSuffix(health+": "+e.Message, ": ")
		}
		if e.Last != nil {
			last = fmt.Sprintf("%s, %d applied, %d failed, %s", e.Last.Profile, e.Last.Applied, e.Last.Failed, e.Last.At)
		}
		rows = append(rows, []string{e.Name, health, fmt.Sprint(e.Scopes), fmt.Sprint(e.Errors), last})
		if p := e.Passwords; p != nil {
			last := "–"
			if p.Last != nil {
				last = fmt.Sprintf("%s, %d handed over, %d failed, %s", p.Last.Profile, p.Last.Applied, p.Last.Failed, p.Last.At)
			}
			rows = append(rows, []string{"  passwords", "", "", "", last})
		}
	}
	table(w, "ENGINE|HEALTH|SCOPES|UNSETTLED|LAST RUN", rows)
}

func explainCommand() *cli.Command {
	return &cli.Command{Name: "explain", Usage: "who owns an object, per feature, and why", ArgsUsage: "REF",
		Flags: []cli.Flag{&cli.StringFlag{Name: "policy", Usage: "answer by this policy `FILE` instead of the one in force"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c, "REF"); err != nil {
				return err
			}
			q := api.ExplainRequest{Ref: c.Args().First()}
			if f := c.String("policy"); f != "" {
				text, err := readFile(f)
				if err != nil {
					return err
				}
				q.File, q.Text = f, text
			}
			return ask(c, request{glance: true, command: "explain", body: q, view: view(showExplained)})
		}}
}

func showExplained(w io.Writer, e api.Explained) {
	if e.Object.IsCloud() {
		fmt.Fprintf(w, "%s\n%s of the tenant, in no directory\n", bold(e.DN), e.Kind)
	} else {
		fmt.Fprintf(w, "%s\n%s in %s, anchor %s\n", bold(e.DN), e.Kind, e.Directory, e.Anchor)
	}
	if e.Way != "" {
		fmt.Fprintln(w, e.Way)
	}
	for _, f := range e.Features {
		by := ""
		if f.Assignment != "" {
			by = fmt.Sprintf(" by assignment %q", f.Assignment)
		}
		fmt.Fprintf(w, "%s: %s%s\n  because %s\n", f.Feature, bold(f.Engine), by, f.Because)
		for _, l := range f.Lost {
			fmt.Fprintf(w, "  not %s of %q: %s\n", l.Engine, l.Assignment, l.Because)
		}
	}
	if len(e.Extensions) > 0 {
		fmt.Fprintf(w, "carried as extensions: %s\n", strings.Join(e.Extensions, ", "))
	}
	if len(e.LeftOut) > 0 {
		fmt.Fprintf(w, "managed by nobody: %s\n", strings.Join(e.LeftOut, ", "))
	}
	for _, x := range e.Waits {
		fmt.Fprintf(w, "%s %s\n", bold("held:"), x)
	}
}

func objectCommand() *cli.Command {
	return &cli.Command{Name: "object", Usage: "everything known of one object", ArgsUsage: "REF", Action: func(c *cli.Context) error {
		if err := arguments(c, "REF"); err != nil {
			return err
		}
		return ask(c, request{glance: true, command: "object", body: api.RefRequest{Ref: c.Args().First()}, view: view(showObject)})
	}}
}

func showObject(w io.Writer, o api.Object) {
	showExplained(w, o.Explained)
	if o.Gone {
		fmt.Fprintln(w, "deleted in the directory")
	}
	switch {
	case o.Left != "":
		fmt.Fprintf(w, "left out: %s\n", o.Left)
	case o.Excluded != "":
		fmt.Fprintf(w, "left out by the engine that was asked last: %s\n", o.Excluded)
	}
	if o.Link == nil {
		fmt.Fprintln(w, "not linked to a tenant object")
	} else {
		fmt.Fprintf(w, "linked to %s (%s, %s), anchor %s\n", o.Link.CloudID, o.Link.Origin, o.Link.State, o.Link.Anchor)
	}
	for _, f := range slices.Sorted(maps.Keys(o.Record)) {
		fmt.Fprintf(w, "owner of record of %s: %s\n", f, o.Record[f])
	}
	if p := o.Password; p != nil {
		must := ""
		if p.MustChange {
			must = ", to be changed at the next sign-in"
		}
		fmt.Fprintf(w, "the tenant has the password that was set in the directory at %s%s\n", p.SetAt, must)
	}
	fmt.Fprintln(w, bold("\ndirectory"))
	for _, k := range slices.Sorted(maps.Keys(o.Values)) {
		fmt.Fprintf(w, "  %s: %s\n", k, strings.Join(o.Values[k], " | "))
	}
	if o.Tenant != nil {
		fmt.Fprintln(w, bold("tenant"))
		for _, k := range slices.Sorted(maps.Keys(o.Tenant.Values)) {
			fmt.Fprintf(w, "  %s: %s\n", k, strings.Join(o.Tenant.Values[k], " | "))
		}
	}
	showEnds(w, o)
	for _, d := range o.Errors {
		fmt.Fprintf(w, "unsettled: %s: %s\n", titleOf(d), told(d))
		if when := tried(d); when != "" {
			fmt.Fprintf(w, "  %s\n", when)
		}
		if d.Cause != nil && d.Cause.Object != o.Object {
			fmt.Fprintf(w, "  because of %s of %s\n", d.Cause.Feature, d.Cause.Name)
		}
	}
	for _, f := range o.Findings {
		fmt.Fprintf(w, "%s: %s", f.Code, f.Message)
		if len(f.Examples) > 0 {
			fmt.Fprintf(w, " (%s)", strings.Join(f.Examples, "; "))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintln(w, bold("journal"))
	for _, r := range o.Journal {
		showRecord(w, r)
	}
}

// mostEnds is how many ends of references are shown one by one.
const mostEnds = 20

// showEnds tells of the references that the tenant has, which of them others wrote, and which of the directory's are missing.
func showEnds(w io.Writer, o api.Object) {
	if o.Manager != nil {
		fmt.Fprintf(w, "  manager: %s\n", o.Manager.Name)
	}
	if o.Tenant != nil && len(o.Tenant.Members) > 0 {
		fmt.Fprintf(w, "  %s:\n", scoping.Many(len(o.Tenant.Members), "member", "members"))
		for _, m := range o.Members[:min(len(o.Members), mostEnds)] {
			fmt.Fprintf(w, "    %s\n", m.Name)
		}
		if more := len(o.Tenant.Members) - mostEnds; more > 0 {
			fmt.Fprintf(w, "    and %d more\n", more)
		}
	}
	for _, n := range o.Foreign {
		fmt.Fprintf(w, "written by others: the reference to %s\n", n)
	}
	for _, m := range o.Missing[:min(len(o.Missing), mostEnds)] {
		fmt.Fprintf(w, "not in the tenant: the reference to %s: %s\n", m.Name, m.Why)
	}
	if more := len(o.Missing) - mostEnds; more > 0 {
		fmt.Fprintf(w, "not in the tenant: %d more references; --output json gives all\n", more)
	}
}

func diffCommand() *cli.Command {
	return &cli.Command{Name: "diff", Usage: "what the engine would write now; exit 4 if anything",
		Flags: []cli.Flag{&cli.StringFlag{Name: "under", Usage: "subtree `DN`"}, &cli.StringFlag{Name: "engine", Usage: "`ENGINE`; default: the owner"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "diff", body: api.DiffRequest{Under: c.String("under"), Engine: c.String("engine")}, view: view(showDiff)})
		}}
}
