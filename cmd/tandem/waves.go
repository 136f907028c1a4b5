package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

func planCommand() *cli.Command {
	return &cli.Command{Name: "plan", Usage: "what would change hands, wave by wave, after a shadow run of the target",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "f", Aliases: []string{"file"}, Usage: "`POLICY` file"},
			&cli.StringFlag{Name: "o", Aliases: []string{"out"}, Usage: "`PLAN` file to write, for apply"},
			&cli.BoolFlag{Name: "exit-code", Usage: "exit 4 when something would change hands or is blocked"},
			&cli.BoolFlag{Name: "allow-revert", Usage: "let the policy undo a committed wave"},
			&cli.BoolFlag{Name: "force", Usage: "replace the file that -o names"},
		},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			f := c.String("f")
			if f == "" {
				return api.Usage("plan needs -f POLICY, and -o PLAN to keep the plan")
			}
			text, matches, err := readPolicy(f)
			if err != nil {
				return err
			}
			out := c.String("o")
			if err := vacant(out, c.Bool("force")); err != nil {
				return err
			}
			var r api.PlanReply
			o, err := call(c, "plan", api.PlanRequest{File: f, Text: text, Matches: matches, AllowRevert: c.Bool("allow-revert"), ExitCode: c.Bool("exit-code")}, &r)
			if err != nil {
				return err
			}
			if out != "" {
				if err := writeFile(out, append(r.File, '\n')); err != nil {
					return err
				}
			}
			if err := printResult(c, r.Plan, showPlan); err != nil {
				return err
			}
			sayNext(r.Plan, out)
			return end(o, nil)
		}}
}

// vacant refuses to write over a file, before anything is done for it.
func vacant(file string, force bool) error {
	if file == "" || force {
		return nil
	}
	if _, err := os.Lstat(file); errors.Is(err, os.ErrNotExist) {
		return nil
	} else if err != nil {
		return api.Usage("%v", err)
	}
	e := api.Usage("the file %s is there already, and is not written over", file)
	e.Hint = "name another one, or say --force"
	return e
}

// sayNext says where the plan is and what becomes of it.
func sayNext(p api.Plan, file string) {
	next := "tandem apply " + file
	if len(p.Waves) == 0 && len(p.Changes) == 0 {
		next = "" // nothing would happen
	}
	switch {
	case file != "":
		complain("the plan is in "+file, next)
	case next != "":
		complain("the plan is kept nowhere", "name a file for it with -o, and give that to tandem apply")
	}
}

func showPlan(w io.Writer, p api.Plan) {
	showChanges(w, p.Changes)
	for _, e := range p.Effects {
		showEffect(w, e)
	}
	if len(p.Waves) == 0 {
		fmt.Fprintln(w, "nothing changes hands")
	}
	defer showBringing(w, p.Provisioning)
	for _, x := range p.Waves {
		fmt.Fprintf(w, "%s %s → %s, %v: %s\n", bold(x.ID), x.From, x.To, x.Features, kinds(x.Objects))
		showScopes(w, x.Scopes)
		if x.Predicted == nil {
			fmt.Fprintf(w, "  predicted: nothing, since %s did not run\n", x.To)
		} else {
			fmt.Fprintf(w, "  predicted: %s\n", counts(*x.Predicted))
		}
		showTakeOver(w, x)
		showPredicted(w, x.Examples)
		for _, f := range x.Findings {
			showFinding(w, f)
		}
		showCrossing(w, x)
	}
}

// mostBrought is how many objects a plan shows of each kind of what is done; the JSON has more.
const mostBrought = 3

// showBringing tells what the other direction would do.
func showBringing(w io.Writer, all []api.Bringing) {
	for _, b := range all {
		fmt.Fprintf(w, "%s %s (%s): from group %s to %s: %s\n", bold(b.Assignment), b.Way, b.Engine, strings.Join(b.From, ", "), b.Under, kinds(b.Objects))
		if b.Predicted == nil {
			fmt.Fprintf(w, "  predicted: nothing, since %s did not run\n", b.Engine)
		} else {
			fmt.Fprintf(w, "  predicted: %s\n", brings(*b.Predicted))
		}
		for i, x := range b.Examples {
			if i < mostBrought || b.Examples[i-mostBrought].Op != x.Op {
				fmt.Fprintf(w, "  %s\n", broughtLine(x))
			}
		}
		for _, f := range b.Findings {
			showFinding(w, f)
		}
	}
}

// brings puts in words what would be done; what does not happen is left out.
func brings(p api.Brings) string {
	var out []string
	for _, x := range []struct {
		n         int
		one, many string
	}{{p.Unchanged, "unchanged", "unchanged"}, {p.Create, "create", "creates"}, {p.Update, "update", "updates"}, {p.Rename, "rename", "renames"}, {p.Move, "move", "moves"}, {p.Join, "join", "joins"},
		{p.Relink, "re-link", "re-links"}, {p.Enable, "enabled", "enabled"}, {p.Disable, "disabled", "disabled"}, {p.Delete, "delete", "deletes"}, {p.Failed, "failure", "failures"}} {
		if x.n > 0 {
			out = append(out, scoping.Many(x.n, x.one, x.many))
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, ", ")
}

// broughtLine is one thing that would be done with one object.
func broughtLine(x api.Brought) string {
	line := x.Op + " " + x.Object
	switch {
	case x.Reason != "":
		line += ": " + x.Code + ": " + x.Reason
	case x.Name != "":
		line += ": " + x.DN + " → " + x.Name
	case x.Container != "" && x.DN != "":
		line += ": " + x.DN + " → " + x.Container
	case x.Container != "":
		line += " in " + x.Container
	case x.DN != "":
		line += ": " + x.DN
	}
	if x.Waits {
		line += " (waits for a person)"
	}
	return line
}

// showEffect tells what a change of managed attributes does to one attribute in one scope.
func showEffect(w io.Writer, e api.Effect) {
	fmt.Fprintf(w, "  %s under %s (%s): ", e.Attribute, e.Under, e.Engine)
	switch {
	case e.Basis != "":
		fmt.Fprintf(w, "%s did not run, so what it would write is not known", e.Engine)
	case e.Kept > 0:
		fmt.Fprintf(w, "%s left alone from now on", scoping.Many(e.Kept, "value in the tenant is", "values in the tenant are"))
	default:
		fmt.Fprintf(w, "%s would be written and %d cleared", scoping.Many(e.Written, "value", "values"), e.Cleared)
	}
	if len(e.Examples) > 0 {
		fmt.Fprintf(w, ", such as of %s", e.Examples[0])
	}
	fmt.Fprintln(w)
}

// showChanges tells what a policy says otherwise without handing anything over.
func showChanges(w io.Writer, cs []api.PolicyChange) {
	or := func(s string) string {
		if s == "" {
			return "none"
		}
		return s
	}
	for _, c := range cs {
		fmt.Fprintf(w, "%s: %s → %s\n", bold(c.What), or(c.From), or(c.To))
	}
}

func showFinding(w io.Writer, f wave.Finding) {
	fmt.Fprintf(w, "  %s %s: %s", bold(string(f.Severity)), f.Code, f.Message)
	if f.Objects > 0 {
		fmt.Fprintf(w, " (%d, such as)", f.Objects)
	}
	fmt.Fprintln(w)
	for _, e := range f.Examples {
		fmt.Fprintf(w, "    %s\n", e)
	}
}

// mostPairs is how many pairs of OUs a plan shows.
const mostPairs = 3

// showCrossing tells between which OUs references will cross engines.
func showCrossing(w io.Writer, x api.PlannedWave) {
	if x.Crossing == nil || x.Crossing.New == 0 {
		return
	}
	rest := x.Crossing.After
	for _, p := range x.Crossing.Pairs[:min(mostPairs, len(x.Crossing.Pairs))] {
		n := p.Memberships + p.Managers
		rest -= n
		fmt.Fprintf(w, "  crossing: %d from %s (%s) to %s (%s)\n", n, p.From.Under, p.From.Engine, p.To.Under, p.To.Engine)
	}
	if rest > 0 {
		fmt.Fprintf(w, "  crossing: %d between other OUs\n", rest)
	}
}

func showScopes(w io.Writer, ss []api.Scope) {
	for _, s := range ss {
		fmt.Fprintf(w, "  under %s\n", s.Under)
		for _, e := range s.Except {
			fmt.Fprintf(w, "    except %s\n", e)
		}
		for _, c := range s.With {
			fmt.Fprintf(w, "    only %s\n", c)
		}
		for _, c := range s.Without {
			fmt.Fprintf(w, "    without %s\n", c)
		}
	}
}

func kinds[K ~string](m map[K]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(m)) {
		out = append(out, scoping.Many(m[k], string(k), string(k)+"s"))
	}
	if len(out) == 0 {
		return "no objects"
	}
	return strings.Join(out, ", ")
}

// runFlags say how waves run.
func runFlags() []cli.Flag {
	return []cli.Flag{
		&cli.BoolFlag{Name: "auto-approve", Usage: "answer the ordinary updates that the plan printed and verify confirmed; never creates, deletes, orphans, sign-in changes, disabled accounts"},
		&cli.StringFlag{Name: "hold-before", Usage: "wait for approval before `PHASE`"},
		&cli.BoolFlag{Name: "auto-complete", Usage: "let the end of the soak complete the wave; without it a person does"},
		&cli.DurationFlag{Name: "soak", Usage: "how long the result is watched before it is final", Value: wave.DefaultSoak},
	}
}

func runRequest(c *cli.Context) api.RunRequest {
	q := api.RunRequest{AutoApprove: c.Bool("auto-approve"), HoldBefore: c.String("hold-before"), AutoComplete: c.Bool("auto-complete")}
	if c.IsSet("soak") {
		d := c.Duration("soak")
		q.Soak = &d
	}
	return q
}

func applyCommand() *cli.Command {
	return &cli.Command{Name: "apply", Usage: "run a plan's waves; repeated, it resumes one that began", ArgsUsage: "PLAN", Flags: runFlags(), Action: func(c *cli.Context) error {
		if err := arguments(c, "PLAN"); err != nil {
			return err
		}
		q := runRequest(c)
		var err error
		q.File = c.Args().First()
		if q.Plan, err = readFile(q.File); err != nil {
			return err
		}
		return ask(c, request{command: "apply", body: q, view: view(showWaves)})
	}}
}

func migrateCommand() *cli.Command {
	return &cli.Command{Name: "migrate", Usage: "plan and apply for one scope",
		Flags: append([]cli.Flag{
			&cli.StringFlag{Name: "under", Usage: "subtree `DN`"},
			&cli.StringFlag{Name: "to", Usage: "`ENGINE` that shall own it"},
			&cli.StringFlag{Name: "features", Usage: "`F,…`; default: all that are switched on"},
			&dnList{StringFlag: cli.StringFlag{Name: "except", Usage: "`DN` below it that stays; may be repeated"}},
		}, runFlags()...),
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			q := runRequest(c)
			q.Under, q.To, q.Except = c.String("under"), c.String("to"), excepts(c)
			for f := range strings.SplitSeq(c.String("features"), ",") {
				if f = strings.TrimSpace(f); f != "" {
					q.Features = append(q.Features, f)
				}
			}
			return ask(c, request{command: "migrate", body: q, view: view(showWaves)})
		}}
}

func showWaves(w io.Writer, v api.Waves) {
	showChanges(w, v.Changes)
	switch {
	case len(v.Changes) > 0:
		fmt.Fprintf(w, "in force as revision %d\n", v.Revision)
	case len(v.Waves) == 0:
		fmt.Fprintln(w, "nothing to do: nothing changes hands")
	}
	for _, x := range v.Waves {
		showWave(w, x)
	}
}

func showWave(w io.Writer, x api.Wave) {
	fmt.Fprintf(w, "%s %s in %s: %s → %s, %s\n", bold("wave "+x.ID), x.State, x.Phase, x.From, x.To, kinds(x.Objects))
	showScopes(w, x.Scopes)
	for _, p := range x.Phases {
		end := "…"
		if p.EndedAt != nil {
			end = *p.EndedAt
		}
		fmt.Fprintf(w, "  %-18s %s – %s  %s\n", p.Name, p.StartedAt, end, p.Result)
	}
	fmt.Fprintf(w, "  differences: %s; freeze %d ms\n", counts(x.Differences), x.FreezeMillis)
	showFound(w, x)
	if x.WaitingFor != nil {
		fmt.Fprintf(w, "  waits: %s\n  ends by: %s\n", x.WaitingFor.Message, x.WaitingFor.Command)
	}
	if r := x.Rollback; r != nil {
		fmt.Fprintf(w, "  rollback: %d restored, %d kept because AD changed, %d kept because somebody else changed them, %d cannot be restored\n", r.Restored, r.ADChanged, r.Foreign, r.Impossible)
		if r.Members > 0 {
			fmt.Fprintf(w, "    %s still there\n", scoping.Many(r.Members, "membership that the wave added is", "memberships that the wave added are"))
		}
		if r.Waiting > 0 {
			fmt.Fprintf(w, "    %s\n", scoping.Many(r.Waiting, "object waits", "objects wait"))
		}
		for _, n := range r.Notes {
			fmt.Fprintf(w, "    %s\n", n)
		}
	}
}

func waveTable(w io.Writer, ws []api.Wave) {
	var rows [][]string
	for _, x := range ws {
		wait, under := "", []string{}
		if x.WaitingFor != nil {
			wait = x.WaitingFor.Message
		}
		for _, s := range x.Scopes {
			under = append(under, s.Under)
		}
		rows = append(rows, []string{x.ID, string(x.State), string(x.Phase), x.From + " → " + x.To, strings.Join(under, "; "), wait})
	}
	table(w, "WAVE|STATE|PHASE|FROM → TO|UNDER|WAITS FOR", rows)
}

func waveCommand() *cli.Command {
	cmds := []*cli.Command{
		{Name: "list", Usage: "all waves", Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			return ask(c, request{command: "wave/list", body: api.None{}, view: view(func(w io.Writer, v api.Waves) { waveTable(w, v.Waves) })})
		}},
		{Name: "show", Usage: "one wave", ArgsUsage: "ID", Action: func(c *cli.Context) error {
			if err := arguments(c, "ID"); err != nil {
				return err
			}
			return ask(c, request{command: "wave/show", body: api.WaveRequest{ID: c.Args().First()}, view: view(showWave)})
		}},
	}
	for _, v := range []struct {
		verb  wave.Verb
		usage string
		flags []cli.Flag
	}{
		{wave.Approve, "approve what it waits for: shows it, and approves of exactly that", []cli.Flag{&cli.StringFlag{Name: "fingerprint", Usage: "approve only if the differences are those of `F`, as wave show printed it"}}},
		{wave.Pause, "stop before the next step", nil},
		{wave.Resume, "go on", nil},
		{wave.Abort, "end it before the cutover", nil},
		{wave.RollBack, "take it back", []cli.Flag{&cli.BoolFlag{Name: "dry-run", Usage: "only show what would be written"}}},
		{wave.CompleteNow, "end the soak; the way back is then a new wave", []cli.Flag{&cli.BoolFlag{Name: "yes", Usage: "do not ask"}}},
	} {
		cmds = append(cmds, &cli.Command{Name: string(v.verb), Usage: v.usage, ArgsUsage: "ID", Action: decide(v.verb),
			Flags: append([]cli.Flag{&cli.StringFlag{Name: "reason", Usage: "why, for the journal"}}, v.flags...)})
	}
	return &cli.Command{Name: "wave", Usage: "waves, and decisions about them", Subcommands: cmds}
}

func decide(v wave.Verb) cli.ActionFunc {
	return func(c *cli.Context) error {
		if err := arguments(c, "ID"); err != nil {
			return err
		}
		q := api.WaveRequest{ID: c.Args().First(), Verb: v, Reason: c.String("reason"), DryRun: c.Bool("dry-run")}
		if v == wave.Approve || v == wave.CompleteNow {
			var x api.Wave
			if _, err := call(c, "wave/show", api.WaveRequest{ID: q.ID}, &x); err != nil {
				return err
			}
			if err := beforehand(c, v, x, &q); err != nil {
				return err
			}
		}
		show := view(showWave)
		if q.DryRun {
			show = view(showDiff)
		}
		return ask(c, request{command: "wave/decide", body: q, view: show})
	}
}

// beforehand shows what is decided about: an approval names what it showed, and completing is asked about.
func beforehand(c *cli.Context, v wave.Verb, x api.Wave, q *api.WaveRequest) error {
	if v == wave.Approve {
		if q.Fingerprint = c.String("fingerprint"); q.Fingerprint == "" {
			q.Fingerprint = x.Fingerprint
			if x.WaitingFor == nil || x.WaitingFor.For == wave.ForSoak {
				return nil // there is nothing to approve, and the answer says so
			}
			fmt.Fprintf(os.Stderr, "approving: %s\n", counts(x.Differences))
			showFound(os.Stderr, x)
		}
		return nil
	}
	left := time.Duration(max(0, x.SoakWanted-x.SoakMillis)) * time.Millisecond
	if x.Phase == wave.Soak && left > 0 {
		fmt.Fprintf(os.Stderr, "wave %s: %s of its soak are left\n", x.ID, left.Round(time.Second))
	}
	switch {
	case c.Bool("yes"):
		return nil
	case !terminal(os.Stdin) || !terminal(os.Stderr):
		return api.Usage("completing wave %s ends the way back: without a terminal say --yes", q.ID)
	case !sure("Complete wave " + q.ID + "? It cannot be rolled back afterwards."):
		return api.Usage("left as it is")
	}
	return nil
}

// sure asks a person at the terminal.
func sure(question string) bool {
	fmt.Fprintf(os.Stderr, "%s [y/N] ", question)
	answer, err := bufio.NewReader(os.Stdin).ReadString('\n')
	return err == nil && strings.EqualFold(strings.TrimSpace(answer), "y")
}
