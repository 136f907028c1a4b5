// Command hr is a small HR system: it sends the people of a CSV file to the job of API-driven provisioning of an Entra tenant, or of the
// lab's, and follows the provisioning log until it has told of each of them.
//
//	hr [-tenant lab/lab.json] [-today 2026-12-01] [-wait 15m] people.csv
//
// The whole file is sent each time: the service finds out who is to be created, changed, enabled or disabled, and whoever is as it
// should be is left alone. Nothing is sent if anything is wrong with the file.
//
// Exit status: 0 everybody is provisioned; 1 somebody is not, or nothing could be sent; 2 the file, or what else was given, is wrong.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUsage is about what was given, and not about what became of it.
var errUsage = errors.New("wrong use")

// run is the whole program. It returns the exit status.
func run(ctx context.Context, args []string, out, errs io.Writer) int {
	failed, err := provision(ctx, args, out, errs)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case errors.Is(err, errUsage):
		return 2
	case errors.Is(err, context.Canceled):
		fmt.Fprintln(errs, "hr: interrupted: what was sent is carried out all the same, and another run does nothing twice")
		return 1
	case err != nil:
		fmt.Fprintf(errs, "hr: %v\n", err)
		var wrong *fileError
		if errors.As(err, &wrong) {
			return 2
		}
		return 1
	case failed > 0:
		return 1
	}
	return 0
}

func provision(ctx context.Context, args []string, out, errs io.Writer) (failed int, err error) {
	flags := flag.NewFlagSet("hr", flag.ContinueOnError)
	flags.SetOutput(errs)
	tenant := flags.String("tenant", "lab/lab.json", "`FILE` with authority, tenantId, clientId, clientSecret, caFile and bulkUpload, as tandem lab up writes it")
	day := flags.String("today", "", "the `DAY` on which contracts have begun or ended, such as 2026-12-01 (default today)")
	wait := flags.Duration("wait", 15*time.Minute, "how long to wait for the log, which in Entra comes 5 to 10 minutes later")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0, err
		}
		return 0, errUsage // flag has said it
	}
	if flags.NArg() != 1 {
		fmt.Fprintln(errs, "hr: the CSV file of people is missing: hr people.csv")
		return 0, errUsage
	}
	today := time.Now()
	if *day != "" {
		if today, err = time.Parse(time.DateOnly, *day); err != nil {
			fmt.Fprintf(errs, "hr: -today %q is no day: such as 2026-12-01\n", *day)
			return 0, errUsage
		}
	}
	people, err := readPeople(flags.Arg(0))
	if err != nil {
		return 0, err
	}
	c, err := connect(*tenant)
	if err != nil {
		return 0, err
	}
	defer c.close()
	ctx, cancel := context.WithTimeout(ctx, *wait)
	defer cancel()
	outcomes, err := c.provision(ctx, people, today)
	if err != nil {
		return 0, err
	}
	for _, p := range people {
		o := outcomes[p.ID]
		fmt.Fprintf(out, "%-8s %-24s %s\n", p.ID, p.shown(), o)
		if o.failed() {
			failed++
		}
	}
	return failed, nil
}
