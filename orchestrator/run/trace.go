package run

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// The parts of a run, from the whole to a request.
const (
	TraceRun     = "run"     // one run of one engine, with all other parts
	TraceRead    = "read"    // the host brings its views of directories and tenant up to date
	TraceCompute = "compute" // the engine reads and evaluates
	TracePropose = "propose" // one batch of its proposals, until they are answered
	TraceGate    = "gate"    // the gate decides, and sends what it may
	TraceTarget  = "target"  // one request for some writes
)

// Ended ends a part of a run with a word and numbers by name. Neither contains secrets or names of people.
type Ended func(result string, counts map[string]int)

// Trace begins a part of a run, with labels that contain no names of people. Parts that begin with the returned context are below it.
type Trace func(ctx context.Context, part string, labels map[string]string) (context.Context, Ended)

// trace is Trace, which may be missing.
func (r *Runner) trace(ctx context.Context, part string, labels map[string]string) (context.Context, Ended) {
	if r.o.Trace == nil {
		return ctx, func(string, map[string]int) {}
	}
	return r.o.Trace(ctx, part, labels)
}

// resultOf returns the word for how something ended: an error's text may name people.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "stopped"
	}
	return "failed"
}

// labels are what a run's trace begins with.
func (o SyncOptions) labels(name string, stream engine.Stream) map[string]string {
	return map[string]string{"engine": name, "stream": string(stream), "profile": o.Profile, "wave": o.Wave}
}

// endRun ends the trace of a run by its report.
func endRun(end Ended, x Report, err error) {
	result := resultOf(err)
	switch {
	case err != nil:
	case !x.Complete:
		result = "incomplete"
	case x.Held > 0:
		result = "held"
	}
	end(result, map[string]int{"read": x.Read, "applied": x.Applied, "held": x.Held, "failed": x.Failed})
}
