package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"syscall"

	"github.com/urfave/cli/v2"

	"github.com/tandem-sync/tandem/cmd/service"
	"github.com/tandem-sync/tandem/orchestrator/api"
)

// teller tells what a daemon has to say, as the log's format wants it.
func teller(c *cli.Context, l *slog.Logger) func(string) {
	if c.String("log-format") != "json" {
		return func(m string) { fmt.Fprintln(os.Stderr, "tandem: "+m) }
	}
	return func(m string) { l.Log(c.Context, slog.LevelWarn, m) } // whatever level was asked for, as on a terminal
}

// errReload is the cause with which SIGHUP ends a daemon that begins again.
var errReload = errors.New("the configuration is read anew")

// daemon serves until ctx ends. At SIGHUP it ends in order and begins again with the configuration as it is then; where that is wrong it says so, and goes on with
// the one that it has. The service manager is told when it serves, and that it lives.
func daemon(ctx context.Context, o api.Options) error {
	hangup := make(chan os.Signal, 1)
	signal.Notify(hangup, syscall.SIGHUP)
	defer signal.Stop(hangup)
	for {
		if err := serveOnce(ctx, o, hangup); !errors.Is(err, errReload) {
			return err
		}
	}
}

// serveOnce serves with one reading of the configuration. It returns errReload when the next one is to be read.
func serveOnce(ctx context.Context, o api.Options, hangup <-chan os.Signal) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	var beside sync.WaitGroup
	beside.Go(func() { awaitHangup(ctx, o, hangup, end) })
	err := api.Serve(ctx, o, func(at api.Serving) {
		o.Tell("serving on " + at.Socket)
		if at.Monitor != "" {
			o.Tell("monitoring on " + at.Monitor)
		}
		warnOf(o, service.Notify(service.Ready+"\n"+service.Status("serving on "+at.Socket)))
		beside.Go(func() { service.Watch(ctx, func(ctx context.Context) error { return api.Alive(ctx, at.Socket) }, nil) })
	})
	cause := context.Cause(ctx)
	end(nil)
	beside.Wait()
	if cause != nil && (err == nil || errors.Is(err, cause)) { // it was asked to end, or to begin again
		if errors.Is(cause, errReload) {
			return errReload
		}
		warnOf(o, service.Notify(service.Stopping))
		return nil
	}
	return err
}

// awaitHangup ends serving at SIGHUP, if the configuration can be read.
func awaitHangup(ctx context.Context, o api.Options, hangup <-chan os.Signal, end context.CancelCauseFunc) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangup:
		}
		next := o
		next.State, next.Warn = "", nil // the file itself is read
		if _, err := api.StateDir(next); err != nil {
			o.Tell("the configuration is not read anew, and the one before stays in force: " + api.AsError(err).Message)
			continue
		}
		o.Tell("the configuration is read anew: ending after the step under way, and beginning again")
		warnOf(o, service.Notify(service.Reloading))
		end(errReload)
		return
	}
}

func warnOf(o api.Options, err error) {
	if err != nil {
		o.Tell("warning: " + err.Error())
	}
}
