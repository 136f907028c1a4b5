package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/orchestrator/alarm"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/scoping"
)

// Of a status that is not shown on a terminal.
const statusColumns = 80

// mostLeftSets is how many sets of left-out objects a status shows.
const mostLeftSets = 4

// watchPause is how long a watched status stands.
const watchPause = 2 * time.Second

func statusCommand() *cli.Command {
	return &cli.Command{Name: "status", Usage: "everything at a glance", Flags: []cli.Flag{&cli.BoolFlag{Name: "watch", Usage: "show it anew every two seconds, until Ctrl-C"}},
		Action: func(c *cli.Context) error {
			if err := arguments(c); err != nil {
				return err
			}
			r := request{glance: true, command: "status", body: api.None{}, view: view(showStatus)}
			if c.Bool("watch") {
				return watchStatus(c, r)
			}
			return ask(c, r)
		}}
}

// watchStatus shows the status again and again until the command is interrupted, which ends it well. A holder that is away for a while is told and waited for.
func watchStatus(c *cli.Context, r request) error {
	noteInterrupt("leaving")
	frame, last := &frame{w: os.Stdout, redraw: terminal(os.Stdout) && c.String("output") != "json"}, error(nil)
	for shown := false; c.Context.Err() == nil; shown = true {
		var out json.RawMessage
		to := options(c)
		to.Glance = true
		_, err := streamTo(c, to, r.command, r.body, &out, nil)
		var b bytes.Buffer
		switch {
		case c.Context.Err() != nil:
			return nil
		case err != nil && !shown:
			return err // it never worked: nothing to wait for
		case err != nil:
			fmt.Fprintln(&b, bold("not answered: "+visible(api.AsError(err).Message, false)))
		case c.String("output") == "json":
			fmt.Fprintf(&b, "%s\n", out)
		default:
			if err := showTable(&b, out, r.view); err != nil {
				return err
			}
		}
		if last = frame.show(b.String()); last != nil {
			return last
		}
		select {
		case <-c.Context.Done():
		case <-time.After(watchPause):
		}
	}
	if errors.Is(context.Cause(c.Context), errInterrupted) {
		return nil
	}
	return c.Context.Err()
}

// frame shows text over what it showed before, on a terminal; elsewhere one after the other.
type frame struct {
	w      io.Writer
	redraw bool
	drawn  bool
}

func (f *frame) show(text string) error {
	if f.redraw {
		if rows := lines(); rows > 2 { // what is higher than the terminal would scroll, and stand there twice
			if all := strings.SplitAfter(text, "\n"); len(all) > rows-1 {
				text = strings.Join(all[:rows-2], "") + fmt.Sprintf("… %d more lines\n", len(all)-rows+1)
			}
		}
		text = "\x1b[H" + strings.ReplaceAll(text, "\n", "\x1b[K\n") + "\x1b[J"
		if !f.drawn {
			text = "\x1b[2J" + text
		}
	} else if f.drawn && !strings.HasPrefix(text, "{") {
		text = "\n" + text
	}
	f.drawn = true
	_, err := io.WriteString(f.w, text)
	return err
}

func showStatus(w io.Writer, s api.Status) {
	(&statusView{w: w, now: time.Now(), limit: cmp.Or(columns(), statusColumns)}).show(s)
}

// statusView shows a status as it is at a moment, in lines that fit a limit.
type statusView struct {
	w     io.Writer
	now   time.Time
	limit int
}

func (v *statusView) line(label, format string, args ...any) {
	fmt.Fprintln(v.w, cut(fmt.Sprintf("%-*s%s", labelWidth, label, fmt.Sprintf(format, args...)), v.limit))
}

func (v *statusView) show(s api.Status) {
	if s.Revision == 0 {
		v.line("policy", "none in force: tandem import POLICY")
	} else {
		v.line("policy", "revision %d, epoch %s", s.Revision, s.Epoch)
	}
	for _, a := range s.Alarms {
		v.alarm(a)
	}
	for _, n := range s.Notes {
		labelled(v.w, v.limit, "note", n, plainly)
	}
	for _, x := range s.Stops {
		labelled(v.w, v.limit, "STOPPED", fmt.Sprintf("%s by %s, %s ago: %s", x.ID, x.By, age(x.At, v.now), x.Reason), warn)
	}
	v.surroundings(s)
	v.owed(s)
	for _, d := range s.Drift {
		labelled(v.w, v.limit, "drift", api.DriftLine(d), plainly)
	}
	fmt.Fprintln(v.w)
	v.engines(s.Engines)
	if len(s.Held) > 0 {
		fmt.Fprintln(v.w)
		tableWithin(v.w, v.limit, heldHead, heldRows(s.Held))
	}
	if len(s.Waves) > 0 {
		fmt.Fprintln(v.w)
		v.waves(s.Waves)
	}
}

// alarm shows what is wrong in as many lines as it takes; what another thing explains gets one.
func (v *statusView) alarm(a api.Alarm) {
	label, paint := map[string]string{"outage": "OUTAGE", "warning": "WARNING", "asks": "WAITS"}[string(a.Level)], bold
	switch {
	case a.Cause == "read-only":
		label = "READ ONLY"
		a.Message = strings.TrimPrefix(a.Message, "read only: ")
	case a.Level == "asks":
		return // the tables of held sets and waves show it
	}
	switch a.Level {
	case "outage":
		paint = alert
	case "warning":
		paint = warn
	}
	if a.Because != "" {
		fmt.Fprintln(v.w, cut(fmt.Sprintf("%-*s%s", labelWidth, "  so also", a.Message), v.limit))
		return
	}
	labelled(v.w, v.limit, label, a.Message, paint)
	if a.Hint != "" {
		labelled(v.w, v.limit, "", "→ "+a.Hint, plainly)
	}
}

// surroundings shows what this host stands on: directories, tenant and its mark, disk, certificates.
func (v *statusView) surroundings(s api.Status) {
	for _, d := range s.Directories {
		v.line("directory", "%s: %s, %s", d.Name, scoping.Many(d.Objects, "object", "objects"), v.reached(d.Reached))
	}
	v.line("tenant", "%s", v.reached(s.Tenant))
	showMark(v.w, v.limit, s.Mark, s.Trouble)
	if d := s.Disk; d != nil {
		v.line("disk", "%s free of %s", alarm.Bytes(d.Free), alarm.Bytes(d.Total))
	}
	var next api.Certificate
	for _, c := range s.Certificates {
		if next.Ends == "" || c.Ends < next.Ends {
			next = c
		}
	}
	if next.Ends != "" {
		v.line("certificate", "of %s ends first, on %.10s", next.Of, next.Ends)
	}
	for _, e := range s.Engines {
		for _, key := range slices.Sorted(maps.Keys(e.Details)) {
			if of, is := strings.CutPrefix(key, "agents."); is {
				v.line("agents", "%s, directory %s: %s needed can read it", e.Name, of, e.Details[key])
			}
		}
	}
}

// reached says how the last try went.
func (v *statusView) reached(r api.Reached) string {
	if r.Reached == nil || r.LastTry == nil {
		return "not tried yet"
	}
	took := span(time.Duration(r.DurationMillis) * time.Millisecond)
	if *r.Reached {
		return fmt.Sprintf("reached %s ago in %s", age(*r.LastTry, v.now), took)
	}
	last := "never before"
	if r.LastSuccess != nil {
		last = "last reached " + age(*r.LastSuccess, v.now) + " ago"
	}
	return fmt.Sprintf("not reached %s ago, %s, %s", age(*r.LastTry, v.now), last, scoping.Many(r.Failures, "failure", "failures"))
}

func (v *statusView) owed(s api.Status) {
	var linked []string
	for _, k := range slices.Sorted(maps.Keys(s.Linked)) {
		linked = append(linked, scoping.Many(s.Linked[k], string(k), string(k)+"s"))
	}
	if len(linked) == 0 {
		linked = []string{"nothing"}
	}
	v.line("linked", "%s", strings.Join(linked, ", "))
	v.line("unsettled", "%d, in doubt %d", s.Errors, s.InDoubt)
	for i, x := range s.LeftOut {
		if i == mostLeftSets {
			v.line("", "and %s: tandem left-out", scoping.Many(len(s.LeftOut)-i, "more reason", "more reasons"))
			break
		}
		v.line(map[bool]string{true: "left out"}[i == 0], "%d %s (%s): %s", x.Count, x.Reason, x.Engine, some(x.Examples, x.Count))
	}
	switch x := s.Writeback; {
	case x.InDoubt > 0:
		labelled(v.w, v.limit, "passwords", scoping.Many(x.InDoubt, "write into a directory is", "writes into directories are")+" in doubt: tandem errors list", bold)
	case x.Asked:
		v.line("passwords", "what people change in the tenant is written into the directory")
	}
}

func (v *statusView) engines(es []api.Engine) {
	var rows [][]string
	add := func(name, state string, r api.Reached, next, lag, open string) {
		took := "–"
		if r.LastTry != nil {
			took = span(time.Duration(r.DurationMillis) * time.Millisecond)
		}
		rows = append(rows, []string{name, state, v.ago(r.LastTry), v.ago(r.LastSuccess), next, took, fmt.Sprint(r.Failures), lag, open})
	}
	for _, e := range es {
		lag, next := "–", v.ago(e.NextRun)
		if e.Lag != nil {
			lag = span(time.Duration(*e.Lag) * time.Millisecond)
		}
		if e.RunningSince != nil {
			next = "runs " + v.ago(e.RunningSince)
		}
		add(e.Name, stateOf(e), e.Reached, next, lag, fmt.Sprint(e.Errors))
		if p := e.Passwords; p != nil {
			add("  passwords", "", p.Reached, "", "", "")
		}
		if p := e.Provisioning; p != nil {
			add("  tenant → directory", "", p.Reached, "", "", "")
		}
	}
	tableWithin(v.w, v.limit, "ENGINE|STATE|TRIED|DONE|NEXT|TOOK|FAILS|LAG|UNSETTLED", rows)
}

func (v *statusView) ago(t *string) string {
	if t == nil {
		return "–"
	}
	return age(*t, v.now)
}

// stateOf says in a word how an engine is.
func stateOf(e api.Engine) string {
	switch {
	case e.Stopped != "":
		return "stopped"
	case e.Healthy == nil:
		return "not here"
	case *e.Healthy:
		return "healthy"
	}
	return "unhealthy"
}

func (v *statusView) waves(ws []api.Wave) {
	var rows [][]string
	for _, x := range ws {
		wait, since := "", ""
		if x.WaitingFor != nil {
			wait, since = x.WaitingFor.Message, age(x.WaitingFor.Since, v.now)
		}
		rows = append(rows, []string{x.ID, string(x.State), string(x.Phase), since, wait})
	}
	tableWithin(v.w, v.limit, "WAVE|STATE|PHASE|SINCE|WAITS FOR", rows)
	for _, x := range ws {
		if x.WaitingFor != nil && x.WaitingFor.For != "soak" {
			fmt.Fprintln(v.w, cut("→ "+x.WaitingFor.Command, v.limit))
		}
	}
}
