package main

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// operations are what would be done with objects, the gravest first: in this order differences are shown.
var operations = []string{"delete", "orphan", "unclaimed", "create", "restore", "update"}

// mostOfOne is how many objects of one operation are shown on paper; JSON has all.
const mostOfOne = 50

// byOperation shows differences by what would be done, and of more than a person reads how many more there are.
func byOperation[D any](w io.Writer, indent string, ds []D, op func(D) string, show func(D)) {
	of := map[string][]D{}
	for _, d := range ds {
		of[op(d)] = append(of[op(d)], d)
	}
	for _, o := range operations {
		for _, d := range of[o][:min(len(of[o]), mostOfOne)] {
			show(d)
		}
		if more := len(of[o]) - mostOfOne; more > 0 {
			fmt.Fprintf(w, "%s%s %d more; --output json gives all\n", indent, o, more)
		}
	}
}

// counts puts in words what would become of objects and references.
func counts(c api.Counts) string { return fmt.Sprintf("%d unchanged, %s", c.Unchanged, c) }

func showDiff(w io.Writer, d api.Diff) {
	fmt.Fprintf(w, "%s would write %d of %s\n", d.Engine, len(d.Differences), scoping.Many(d.Objects, "object", "objects"))
	if len(d.Differences) > 0 {
		fmt.Fprintf(w, "%s\n", counts(d.Counts))
	}
	showDifferences(w, d.Differences)
	if n := len(d.PutBack); n > 0 {
		fmt.Fprintf(w, "values that only the wave wrote would be put back on %s\n", scoping.Many(n, "object", "objects"))
	}
	for _, x := range d.PutBack {
		showDifference(w, x)
	}
	if n := len(d.Waiting); n > 0 {
		fmt.Fprintf(w, "%s a request without an answer; what it wrote is put back as well, once that is known: %s\n", scoping.Many(n, "object has", "objects have"), strings.Join(d.Waiting[:min(n, 5)], "; "))
	}
}

// showDifferences shows what an engine would write.
func showDifferences(w io.Writer, ds []api.Difference) {
	byOperation(w, "", ds, func(d api.Difference) string { return d.Op }, func(d api.Difference) { showDifference(w, d) })
}

func showDifference(w io.Writer, x api.Difference) {
	if x.Way != "" {
		fmt.Fprintf(w, "%s %s (%s)\n", bold(x.Op), x.Object, x.Way)
	} else {
		fmt.Fprintf(w, "%s %s\n", bold(x.Op), x.Object)
	}
	for _, k := range slices.Sorted(maps.Keys(x.Attributes)) {
		if x.References != nil && strings.TrimRight(k, "+-") == x.References.Of {
			continue // shown by name
		}
		was := x.Attributes[k].Tenant
		if x.Way != "" {
			was = x.Attributes[k].Directory
		}
		fmt.Fprintf(w, "  %s: %s → %s\n", k, value(was), value(x.Attributes[k].Wanted))
	}
	if x.References != nil {
		fmt.Fprintf(w, "  %s\n", x.References)
	}
	if x.Reason != "" {
		fmt.Fprintf(w, "  %s\n", x.Reason)
	}
}

func value(v any) string {
	if v == nil {
		return "nothing"
	}
	return fmt.Sprintf("%q", v)
}

// showFound lists what would be written, with what is new since it was shown before marked, and the fingerprint that an approval names.
func showFound(w io.Writer, x api.Wave) {
	shown := map[scoping.ObjectID]bool{}
	byOperation(w, "    ", x.Examples, func(d wave.Difference) string { return d.Op }, func(d wave.Difference) {
		shown[d.Object] = true
		fmt.Fprintf(w, "    %s%s %s %s%s\n", map[bool]string{true: "new: "}[d.New], d.Op, d.Name, d.Detail, map[bool]string{true: " (" + x.From + " did not bring this change yet)"}[d.Behind])
	})
	if more := x.Differences.Differ() - len(shown); more > 0 && len(shown) > 0 {
		fmt.Fprintf(w, "    and %s\n", scoping.Many(more, "more object", "more objects"))
	}
	if len(x.Examples) > 0 {
		fmt.Fprintf(w, "  fingerprint: %s\n", x.Fingerprint)
	}
}

// showPredicted lists what a plan's shadow run found.
func showPredicted(w io.Writer, ds []wave.Difference) {
	byOperation(w, "  ", ds, func(d wave.Difference) string { return d.Op }, func(d wave.Difference) { fmt.Fprintf(w, "  %s %s %s\n", d.Op, d.Name, d.Detail) })
}

// showTakeOver tells what becomes of what the tenant has when a wave's target takes it over: values that differ, attribute by attribute, and references that stay.
func showTakeOver(w io.Writer, x api.PlannedWave) {
	if x.TakeOver == nil {
		return
	}
	for _, s := range x.TakeOver.Values {
		e := s.Examples[0]
		fmt.Fprintf(w, "  %s would change on %s, such as %s: %s → %s\n", s.Attribute, scoping.Many(s.Objects, "object", "objects"), e.Object, values(e.Tenant), values(e.Wanted))
	}
	if k := x.TakeOver.Kept; k.References > 0 {
		fmt.Fprintf(w, "  kept: %s that others wrote in the tenant, of %s:\n", scoping.Many(k.References, "reference", "references"), scoping.Many(k.Objects, "object", "objects"))
		for _, e := range k.Examples {
			fmt.Fprintf(w, "    %s\n", e)
		}
	}
}
