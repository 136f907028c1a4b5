// Command tandem runs two directory synchronizations side by side and moves organizational units between them.
//
// Manners: results go to standard output and everything else to standard error, prefixed with the program's name; what went wrong comes with a line
// that says what to do. With --output json standard output holds one JSON document (audit list: one per line), also when the command failed: then
// {"error":…}.
// The first Ctrl-C stops at the next durable step; the second leaves at once.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
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
			code = report(os.Stdout, &api.Error{Kind: api.KindFailed, Exit: api.ExitFailed, Message: fmt.Sprintf("a defect of tandem ended it: %v", p),
				Hint: "please report it; what was done is durable, and the same command goes on from there"}, wantsJSON(args))
		}
	}()
	defer profile()()
	ctx, end := interruptible()
	defer end()
	app := newApp()
	return report(os.Stdout, app.RunContext(ctx, reorder(app, args)), wantsJSON(args))
}

// wantsJSON reports whether arguments ask for --output json, also where the rest of them is wrong.
func wantsJSON(args []string) bool {
	json := false
	for i, a := range args {
		name, value, assigned := strings.Cut(a, "=")
		if a == "--" {
			break
		}
		if name != "--output" && name != "-output" {
			continue
		}
		if !assigned && i+1 < len(args) {
			value = args[i+1]
		}
		json = value == "json"
	}
	return json
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

// report prints what went wrong and returns the exit code. With asJSON, a command that did not print its result prints the error as its document.
func report(w io.Writer, err error, asJSON bool) int {
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
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetEscapeHTML(false)
		_ = enc.Encode(e.Document()) // the exit code tells as well
	}
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
