// Command tandem runs two directory synchronizations side by side and moves organizational units between them.
//
// Manners: results go to standard output and everything else to standard error, prefixed with the program's name; what went wrong comes with a line
// that says what to do. With --output json standard output holds one JSON document (audit list: one per line) or, when the command failed, nothing.
// The first Ctrl-C stops at the next durable step; the second leaves at once.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/tandem-sync/tandem/orchestrator/api"
)

func main() {
	if len(os.Args) == 3 && os.Args[1] == "plugin" {
		os.Exit(servePlugin(os.Args[2]))
	}
	os.Exit(run(os.Args))
}

// run is the program but for its end. No defect shows a person a stack trace.
func run(args []string) (code int) {
	defer func() {
		if p := recover(); p != nil {
			fmt.Fprintf(os.Stderr, "tandem: a defect of tandem ended it: %v\ntandem: please report it; what was done is durable, and the same command goes on from there\n", p)
			code = api.ExitFailed
		}
	}()
	ctx, end := interruptible()
	defer end()
	app := newApp()
	return report(app.RunContext(ctx, reorder(app, args)))
}

// errInterrupted is the cause with which Ctrl-C ends the work.
var errInterrupted = errors.New("interrupted")

// interruptible gives a context that the first Ctrl-C (or SIGTERM) ends; the second ends the process.
func interruptible() (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	done := make(chan struct{})
	go func() {
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-signals:
			}
			if n > 0 {
				fmt.Fprintln(os.Stderr, "\ntandem: left at once; run the same command again to go on from the last durable step")
				os.Exit(api.ExitFailed)
			}
			if note := interruptNote.Load(); note != nil {
				fmt.Fprintln(os.Stderr, "\ntandem: "+*note)
			}
			cancel(errInterrupted)
		}
	}()
	return ctx, func() { signal.Stop(signals); close(done); cancel(nil) }
}

// report prints what went wrong and gives the exit code.
func report(err error) int {
	if err == nil {
		return api.ExitDone
	}
	var done *ended
	if errors.As(err, &done) {
		if done.Message != "" {
			complain(done.Message, done.Hint)
		}
		return done.Exit
	}
	e := api.AsError(err)
	complain(e.Message, e.Hint)
	return e.Exit
}

// ended is how a command that printed its result ends otherwise than well.
type ended struct{ api.Outcome }

// Error gives the reason.
func (e *ended) Error() string { return e.Message }

// end turns an outcome into the command's error: nil when all is well.
func end(o api.Outcome, err error) error {
	if err != nil || o.Exit == api.ExitDone {
		return err
	}
	return &ended{o}
}
