package run

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// The parts of a run, from the whole to a request.
const (
	TraceRun     = "run"     // of one engine, with everything below
	TraceRead    = "read"    // the host brings its views of directories and tenant up to date
	TraceCompute = "compute" // the engine reads and evaluates
	TracePropose = "propose" // a batch of its proposals, until they are answered
	TraceGate    = "gate"    // the gate decides, and sends what it may
	TraceTarget  = "target"  // one request for some writes
)

// Ended says how a part of a run ended: a word, and numbers by name. Neither holds a secret or names a person.
type Ended func(result string, counts map[string]int)

// Trace tells somebody who follows runs that a part of one begins, with labels that name no person. What is done in the context that it returns is below that part.
type Trace func(ctx context.Context, part string, labels map[string]string) (context.Context, Ended)

// trace is Trace, also where nobody follows.
func (r *Runner) trace(ctx context.Context, part string, labels map[string]string) (context.Context, Ended) {
	if r.o.Trace == nil {
		return ctx, func(string, map[string]int) {}
	}
	return r.o.Trace(ctx, part, labels)
}

// resultOf is the word for how something ended: an error's text may name people.
func resultOf(err error) string {
	switch {
	case err == nil:
		return "done"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return "stopped"
	}
	return "failed"
}

// labels are what is told of a run from its beginning.
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
