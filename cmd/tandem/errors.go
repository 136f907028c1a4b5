package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

// mostErrors is how many objects a list of errors names one by one; of more it tells the causes.
const mostErrors = 50

// mostExamples is how many objects of one cause are named.
const mostExamples = 3

func showDebts(w io.Writer, v api.Debts) {
	if len(v.Errors) > mostErrors {
		showCauses(w, causesOf(v.Errors), len(v.Errors))
	} else {
		var rows [][]string
		for _, d := range v.Errors {
			rows = append(rows, []string{d.Name, string(d.Feature), d.Owner, d.Code, d.Since, tried(d), why(d)})
		}
		table(w, "OBJECT|FEATURE|OWNER|CODE|SINCE|TRIED|REASON", rows)
	}
	showFindings(w, v.Findings)
}

func why(d api.Debt) string { return strings.TrimPrefix(d.Reason+": "+d.Message, ": ") }

// cause is what many objects have in common that did not settle.
type cause struct {
	owner, code, reason string
	count               int
	since               string // of the oldest
	next                string // the first time that one of them is tried again
	examples            []api.Debt
}

// causesOf groups what did not settle by who is asked, code and reason, the most first. Of two causes that are as frequent the older comes first.
func causesOf(ds []api.Debt) []cause {
	type key struct{ owner, code, reason string }
	at := map[key]*cause{}
	for _, d := range ds {
		k := key{d.Owner, d.Code, d.Reason}
		c := at[k]
		if c == nil {
			c = &cause{owner: d.Owner, code: d.Code, reason: d.Reason}
			at[k] = c
		}
		c.count++
		if d.Since != "" && (c.since == "" || d.Since < c.since) {
			c.since = d.Since
		}
		if d.Next != "" && (c.next == "" || d.Next < c.next) {
			c.next = d.Next
		}
		if len(c.examples) < mostExamples {
			c.examples = append(c.examples, d)
		}
	}
	out := make([]cause, 0, len(at))
	for _, c := range at {
		out = append(out, *c)
	}
	slices.SortFunc(out, func(a, b cause) int {
		return cmp.Or(cmp.Compare(b.count, a.count), cmp.Compare(a.since, b.since), cmp.Compare(a.owner, b.owner), cmp.Compare(a.code, b.code), cmp.Compare(a.reason, b.reason))
	})
	return out
}

func showCauses(w io.Writer, cs []cause, all int) {
	fmt.Fprintf(w, "%s did not settle; --output json gives all\n", scoping.Many(all, "feature of an object", "features of objects"))
	for _, c := range cs {
		line := fmt.Sprintf("%s: %s", c.code, scoping.Many(c.count, "time", "times"))
		for _, x := range [][2]string{{"of engine ", c.owner}, {"since ", c.since}, {"next try ", c.next}} {
			if x[1] != "" {
				line += ", " + x[0] + x[1]
			}
		}
		fmt.Fprintln(w, bold(line))
		for _, d := range c.examples {
			fmt.Fprintf(w, "  %s: %s\n", d.Name, why(d))
		}
		if more := c.count - len(c.examples); more > 0 {
			fmt.Fprintf(w, "  and %d more\n", more)
		}
	}
}
