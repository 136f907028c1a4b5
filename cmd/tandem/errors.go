package main

import (
	"cmp"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

func errorsCommand() *cli.Command {
	return &cli.Command{Name: "errors", Usage: "objects that did not settle", Subcommands: []*cli.Command{
		{Name: "list", Usage: "what did not settle, causes first; of many by what they have in common", Flags: []cli.Flag{&cli.BoolFlag{Name: "all", Usage: "each of them, however many"}}, Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			all := c.Bool("all")
			return ask(c, request{command: "errors/list", body: api.None{}, view: view(func(w io.Writer, v api.Debts) { showDebts(w, v, all) })})
		}},
		{Name: "retry", Usage: "ask for them again now", ArgsUsage: "[REF]", Action: func(c *cli.Context) error {
			if c.Args().Len() > 1 {
				return arguments(c, "[REF]")
			}
			return ask(c, request{command: "errors/retry", body: api.RefRequest{Ref: c.Args().First()}, view: view(func(w io.Writer, v api.Retries) {
				for _, r := range v.Runs {
					showSync(w, r)
				}
				if len(v.Runs) == 0 {
					fmt.Fprintln(w, "nothing to try again")
				}
			})})
		}},
	}}
}

// mostErrors is how many errors are listed one by one; of more it is told what they have in common.
const mostErrors = 50

// mostExamples is how many objects are named of those that have something in common.
const mostExamples = 3

func showDebts(w io.Writer, v api.Debts, all bool) {
	rs := rootsOf(v.Errors)
	switch {
	case len(rs) == 0:
		fmt.Fprintln(w, "nothing: every object is settled")
	case all || len(v.Errors) <= mostErrors:
		for _, r := range rs {
			most := mostExamples
			if all {
				most = len(r.follow)
			}
			showRoot(w, r, most)
		}
	default:
		showGroups(w, groupsOf(rs), len(v.Errors))
	}
	showFindings(w, v.Findings)
}

// root is an error that follows from no other one, and those that follow from it.
type root struct {
	api.Debt
	follow []api.Debt
}

// rootsOf reads a list in which what follows from an error stands behind it.
func rootsOf(ds []api.Debt) (out []root) {
	for _, d := range ds {
		if d.Cause == nil || len(out) == 0 {
			out = append(out, root{Debt: d})
			continue
		}
		last := &out[len(out)-1]
		last.follow = append(last.follow, d)
	}
	return out
}

// showRoot tells of one error, and of the first of those that follow from it.
func showRoot(w io.Writer, r root, most int) {
	fmt.Fprintln(w, bold(r.Name))
	fmt.Fprintf(w, "  %s: %s\n", titleOf(r.Debt), told(r.Debt))
	if when := tried(r.Debt); when != "" {
		fmt.Fprintf(w, "  %s\n", when)
	}
	for _, d := range r.follow[:min(most, len(r.follow))] {
		fmt.Fprintf(w, "  so also %s of %s\n", d.Feature, d.Name)
	}
	if more := len(r.follow) - most; more > 0 {
		fmt.Fprintf(w, "  so also %d more; --all lists them\n", more)
	}
}

// titleOf returns the feature that is not settled, the engine that owns it, and how its last try ended.
func titleOf(d api.Debt) string {
	out := string(d.Feature)
	if d.Owner != "" {
		out += " of " + d.Owner
	}
	out += ", " + d.Code
	if d.Reason != "" && !strings.Contains(d.Reason, " ") { // a code; what comparison found has a sentence there
		out += " " + d.Reason
	}
	return out
}

// told is the message of an error, with the attribute and the other object that it is about.
func told(d api.Debt) string {
	if len(d.Refusals) == 0 {
		out := cmp.Or(d.Message, d.Reason)
		if d.Other != "" {
			out += ": " + d.Other
		}
		return out
	}
	var parts []string
	for _, r := range d.Refusals {
		part := r.Reason
		if r.Attribute != "" {
			part = r.Attribute + ": " + part
		}
		if r.Other != "" && !strings.Contains(part, r.Other) {
			part += " (" + r.Other + ")"
		}
		if !slices.Contains(parts, part) {
			parts = append(parts, part)
		}
	}
	if more := len(parts) - mostExamples; more > 0 {
		parts = append(parts[:mostExamples], fmt.Sprintf("and %d more", more))
	}
	return strings.Join(parts, "; ")
}

// tried says since when it is so, how often it was tried, and when it is tried again.
func tried(d api.Debt) string {
	var out []string
	if d.Since != "" {
		out = append(out, "since "+d.Since)
	}
	switch {
	case d.Attempts > 0:
		out = append(out, scoping.Many(d.Attempts, "attempt", "attempts")+", last "+d.Last)
	case d.Tries > 0:
		out = append(out, scoping.Many(d.Tries, "try", "tries"))
	}
	if d.Next != "" {
		out = append(out, "next "+d.Next)
	} else if d.Attempts > 0 {
		out = append(out, "next with the engine's next run")
	}
	return strings.Join(out, ", ")
}

// group are errors that have engine, code and message in common.
type group struct {
	title    string
	count    int
	follow   int    // errors that follow from them
	since    string // of the oldest
	next     string // the first time that one of them is tried again
	examples []root
}

// particular is what tells messages apart that say the same: what stands in quotes, who holds a value, ids, addresses, numbers.
var particular = regexp.MustCompile(`"[^"]*"|'[^']*'|; held by [^;]*|\(request-id [^)]*\)|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[^\s@(]+@[^\s)]+|\d+`)

// commonOf returns what an error's message says, whatever it is about.
func commonOf(d api.Debt) string {
	m := told(d)
	for _, name := range []string{d.Name, d.Other} {
		if name != "" {
			m = strings.ReplaceAll(m, name, "…")
		}
	}
	return particular.ReplaceAllString(m, "…")
}

// groupsOf puts together what has code and message in common, the most first. Of two groups that are as big the older comes first.
func groupsOf(rs []root) []group {
	type key struct{ title, common string }
	at := map[key]*group{}
	for _, r := range rs {
		k := key{titleOf(r.Debt), commonOf(r.Debt)}
		g := at[k]
		if g == nil {
			g = &group{title: k.title}
			at[k] = g
		}
		g.count++
		g.follow += len(r.follow)
		if r.Since != "" && (g.since == "" || r.Since < g.since) {
			g.since = r.Since
		}
		if r.Next != "" && (g.next == "" || r.Next < g.next) {
			g.next = r.Next
		}
		if len(g.examples) < mostExamples {
			g.examples = append(g.examples, r)
		}
	}
	out := make([]group, 0, len(at))
	for _, g := range at {
		out = append(out, *g)
	}
	slices.SortFunc(out, func(a, b group) int {
		return cmp.Or(cmp.Compare(b.count+b.follow, a.count+a.follow), cmp.Compare(a.since, b.since), cmp.Compare(a.title, b.title), cmp.Compare(a.examples[0].Name, b.examples[0].Name))
	})
	return out
}

func showGroups(w io.Writer, gs []group, all int) {
	fmt.Fprintf(w, "%s did not settle; --all lists each\n", scoping.Many(all, "feature of an object", "features of objects"))
	for _, g := range gs {
		line := fmt.Sprintf("%s: %s", g.title, scoping.Many(g.count, "time", "times"))
		for _, x := range [][2]string{{"since ", g.since}, {"next try ", g.next}} {
			if x[1] != "" {
				line += ", " + x[0] + x[1]
			}
		}
		fmt.Fprintln(w, bold(line))
		for _, r := range g.examples {
			fmt.Fprintf(w, "  %s: %s\n", r.Name, told(r.Debt))
		}
		if more := g.count - len(g.examples); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
		if g.follow > 0 {
			fmt.Fprintf(w, "  so also %d others, whose references, extensions or passwords wait for these\n", g.follow)
		}
	}
}

func showFindings(w io.Writer, fs []api.Finding) {
	if len(fs) == 0 {
		return
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, f := range fs {
		rows = append(rows, []string{f.Name, f.Code, f.Message, strings.Join(f.Examples, "; ")})
	}
	table(w, "OBJECT|FINDING|WHAT|NAMES", rows)
}
