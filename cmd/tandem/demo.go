package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

// demoResult is the demo's summary.
type demoResult struct {
	Checks         []demoCheck `json:"checks"`
	Users          int         `json:"users"`
	Groups         int         `json:"groups"`
	Waves          int         `json:"waves"`
	FreezeMillis   []int64     `json:"freezeMillis"`
	DurationMillis int64       `json:"durationMillis"`
	JournalEntries uint64      `json:"journalEntries"`
}

type demoCheck struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail"`
}

func demoCommand() *cli.Command {
	return &cli.Command{Name: "demo", Usage: "the whole story in one go on a throw-away lab; exit 0 only if every check held", Flags: labFlags(), Action: demo}
}

func demo(c *cli.Context) (err error) {
	if err := arguments(c); err != nil {
		return err
	}
	noteInterrupt("ending the demo and clearing up")
	dir, err := os.MkdirTemp("", "tandem-demo-")
	if err != nil {
		return fmt.Errorf("making the demo's folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	o, err := labOptions(c, dir)
	if err != nil {
		return err
	}
	if o.Directory == lab.NoDirectory {
		return api.Usage("the demo needs a directory: embedded or samba")
	}
	if o.Users < minDemoUsers {
		fmt.Fprintf(os.Stderr, "tandem: the story takes %d users at least: so many are made instead of %d\n", minDemoUsers, o.Users)
		o.Users = minDemoUsers
	}
	o.Hires = true
	began := time.Now()
	r, err := tell(c, o)
	if err != nil {
		return fmt.Errorf("the demo ended early: %w", err)
	}
	r.DurationMillis = time.Since(began).Milliseconds()
	var out api.Outcome
	for _, x := range r.Checks {
		if !x.OK {
			out = api.Outcome{Exit: api.ExitFailed, Message: "not held: " + x.Name + ": " + x.Detail}
		}
	}
	return errors.Join(printResult(c, r, showDemo), end(out, nil))
}

// tell puts the lab and Tandem up, tells the story and takes both down.
func tell(c *cli.Context, o lab.Options) (r demoResult, err error) {
	d := newDisplay()
	defer d.clear()
	say := func(p api.Progress) {
		if !c.Bool("no-progress") {
			d.show(p)
		}
	}
	say(api.Progress{Phase: "demo", Note: fmt.Sprintf("a lab with %d users", o.Users)})
	l, err := lab.Up(c.Context, o)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	conn, err := l.Dial()
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	to := options(c)
	to.Config, to.State = l.ConfigFile, ""
	session, err := api.Connect(c.Context, to)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, session.Close()) }()
	session.Progress = say
	s := &story{ctx: c.Context, api: session, lab: l, ldap: conn, say: say}
	s.result = demoResult{Checks: []demoCheck{}, Users: len(l.World.Users), Groups: len(l.World.Groups), FreezeMillis: []int64{}}
	return s.tell()
}

func showDemo(w io.Writer, r demoResult) {
	for _, c := range r.Checks {
		word := "ok    "
		if !c.OK {
			word = bold("FAILED")
		}
		fmt.Fprintf(w, "%s  %s: %s\n", word, c.Name, c.Detail)
	}
	fmt.Fprintf(w, "%d users, %d groups, %d waves with freezes of %v ms, %d journal entries, %.1f s\n", r.Users, r.Groups, r.Waves, r.FreezeMillis, r.JournalEntries, float64(r.DurationMillis)/1000)
}
