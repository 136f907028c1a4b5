package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

// namedExamples is how many objects a finding names, if nobody says otherwise.
const namedExamples = 5

func assessCommand() *cli.Command {
	return &cli.Command{Name: "assess", Usage: "readiness per OU and feature, what stands in the way, and an order of waves; writes to no directory and no tenant",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "under", Usage: "only what lies under `DN`"},
			&cli.BoolFlag{Name: "exit-code", Usage: "exit 4 when something is blocked"},
			&cli.IntFlag{Name: "examples", Usage: "name `N` objects with each finding; 0: all of them", Value: namedExamples},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "assess", body: api.AssessRequest{Under: c.String("under"), Examples: c.Int("examples"), ExitCode: c.Bool("exit-code")}, view: view(showAssessment)})
		}}
}

func showAssessment(w io.Writer, a api.Assessment) {
	fmt.Fprintf(w, "%s%s\n", bold(string(a.Readiness)), map[bool]string{true: ": from " + a.From + " to " + a.To}[a.To != ""])
	for _, f := range a.Findings {
		showAssessFinding(w, f)
	}
	fmt.Fprintln(w)
	var rows [][]string
	for _, u := range a.Units {
		blockers, warnings := severities(u.Findings)
		rows = append(rows, []string{unitName(u.Unit), string(u.Readiness), number(u.Objects["user"]), number(u.Objects["group"]), number(u.Objects["contact"] + u.Objects["device"]),
			number(blockers), number(warnings), owners(u)})
	}
	table(w, "IN|READINESS|USERS|GROUPS|OTHERS|BLOCKERS|WARNINGS|ENGINE", rows)
	for _, u := range a.Units {
		showReadyUnit(w, u)
	}
	if len(a.Waves) > 0 {
		fmt.Fprintf(w, "\n%s\n", bold(fmt.Sprintf("From %s to %s, %s in this order", a.From, a.To, scoping.Many(len(a.Waves), "wave", "waves"))))
	}
	for i, x := range a.Waves {
		showSuggestedWave(w, i+1, x.Wave)
		fmt.Fprintf(w, "     readiness: %s\n", x.Readiness)
	}
	if len(a.Notes) > 0 {
		fmt.Fprintln(w)
	}
	for _, n := range a.Notes {
		fmt.Fprintf(w, "note: %s\n", n)
	}
}

// severities counts the findings that stand in the way, and those to know of.
func severities(fs []api.AssessFinding) (blockers, warnings int) {
	for _, f := range fs {
		switch f.Severity {
		case "blocker":
			blockers++
		case "warning":
			warnings++
		}
	}
	return blockers, warnings
}

// owners names the engines that write the base features of a unit, the one with most objects first.
func owners(u api.AssessedUnit) string {
	count := map[string]int{}
	for _, f := range u.Features {
		if f.Feature == scoping.Users || f.Feature == scoping.Groups || f.Feature == scoping.Contacts {
			for e, n := range f.Owners {
				count[e] += n
			}
		}
	}
	var names []string
	for e := range count {
		names = append(names, e)
	}
	slices.SortFunc(names, func(a, b string) int {
		if count[a] != count[b] {
			return count[b] - count[a]
		}
		return strings.Compare(a, b)
	})
	return strings.Join(names, ", ")
}

func showReadyUnit(w io.Writer, u api.AssessedUnit) {
	if len(u.Findings) == 0 && len(u.Features) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%s: %s\n", bold(unitName(u.Unit)), u.Readiness)
	var features []string
	for _, f := range u.Features {
		features = append(features, fmt.Sprintf("%s %d %s", f.Feature, f.Objects, f.Readiness))
	}
	fmt.Fprintf(w, "  %s\n", strings.Join(features, ", "))
	for _, f := range u.Findings {
		showAssessFinding(w, f)
	}
}

func showAssessFinding(w io.Writer, f api.AssessFinding) {
	count := ""
	if f.Objects > 0 {
		count = fmt.Sprintf(" (%d)", f.Objects)
	}
	fmt.Fprintf(w, "  %s %s: %s%s\n", bold(string(f.Severity)), f.Code, f.Message, count)
	if f.Severity == "info" { // how it is: --output json and `tandem report assess` name the objects
		return
	}
	for _, e := range f.Examples {
		fmt.Fprintf(w, "    %s\n", e)
	}
	if f.Fix != "" {
		fmt.Fprintf(w, "    → %s\n", f.Fix)
	}
}
