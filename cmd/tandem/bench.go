package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/tandem/bench"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

func benchCommand() *cli.Command {
	return &cli.Command{Name: "bench", Usage: "measure on a throw-away lab, and print figures beside their aims; `bench list` names the benches", ArgsUsage: "ID|list",
		Flags: []cli.Flag{&cli.IntFlag{Name: "objects", Usage: "how much to measure with; 0: the bench's own number"}}, Action: runBench}
}

func runBench(c *cli.Context) error {
	if err := arguments(c, "ID"); err != nil {
		return err
	}
	if c.Args().First() == "list" {
		return printResult(c, bench.All(), showBenches)
	}
	if c.Int("objects") < 0 {
		return api.Usage("--objects %d is negative", c.Int("objects"))
	}
	noteInterrupt("ending the bench and clearing up")
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("finding this program: %w", err)
	}
	d := newDisplay()
	defer d.clear()
	o := bench.Options{Objects: c.Int("objects"), Self: self, Dir: os.TempDir(), Progress: func(did string) {
		if !c.Bool("no-progress") {
			d.show(api.Progress{Phase: "bench", Note: did})
		}
	}}
	r, err := bench.Run(c.Context, c.Args().First(), o)
	if errors.Is(err, bench.ErrUnknown) {
		e := api.Usage("there is no bench %q", c.Args().First())
		e.Hint = "tandem bench list"
		return e
	}
	if cause := context.Cause(c.Context); err != nil && cause != nil {
		err = cause // that a process which it ended failed is no news
	}
	if err != nil {
		return err
	}
	d.clear()
	return printResult(c, r, showBench)
}

func showBenches(w io.Writer, all []bench.Bench) {
	var rows [][]string
	for _, b := range all {
		rows = append(rows, []string{b.ID, strconv.Itoa(b.Objects), b.Work})
	}
	table(w, "BENCH|N|MEASURES", rows)
}

func showBench(w io.Writer, r bench.Report) {
	fmt.Fprintf(w, "%s  %s\n", bold(r.ID), r.Work)
	fmt.Fprintf(w, "objects   %d\nbeside    %s\nmodelled  %s\n", r.Objects, r.Beside, strings.Join(r.Modelled, "; "))
	fmt.Fprintf(w, "machine   %s, %d cores (%s), %d MiB, load %.1f, %s\n\n", r.Machine.OS, r.Machine.Cores, r.Machine.CPU, r.Machine.Memory, r.Machine.Load, r.Machine.Go)
	var rows [][]string
	for _, f := range r.Figures {
		verdict := ""
		if f.Met != nil {
			verdict = "not reached"
			if *f.Met {
				verdict = "reached"
			}
		}
		rows = append(rows, []string{f.Name, strings.TrimSpace(strconv.FormatFloat(f.Value, 'f', places(f.Value), 64) + " " + f.Unit), f.Aim, verdict})
	}
	table(w, "FIGURE|VALUE|AIM|", rows)
}

// places is how many decimals a figure is worth.
func places(v float64) int {
	switch {
	case v >= 100 || v == float64(int64(v)):
		return 0
	case v >= 10:
		return 1
	}
	return 2
}
