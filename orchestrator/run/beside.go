package run

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// Beside runs f as a run of an engine that is no conversation about a directory; f fills in the report. Such runs of one engine and stream follow
// each other. Tenant and directories are read before, and the report is kept like every other.
func (r *Runner) Beside(ctx context.Context, name string, stream engine.Stream, o SyncOptions, f func(context.Context, *Report) error) (Report, error) {
	out := Report{Engine: name, Stream: stream, Profile: engine.ProfileDelta, Errors: []Problem{}, Findings: []Problem{}}
	l := r.lock(keyOf(name, stream))
	l.Lock()
	defer l.Unlock()
	began, from := r.o.Clock.Now(), r.seq()
	unread, err := r.o.Prepare(ctx)
	out.ReadOnly = r.o.Gate.Authority().ReadOnly
	if err == nil {
		out.Complete = unread == nil
		err = f(ctx, &out)
	}
	r.note(o, began, out, err)
	out.Millis, out.At = r.o.Clock.Now().Sub(began).Milliseconds(), r.o.Clock.Now().UnixMilli()
	if err != nil {
		out.Errors = append(out.Errors, problemOf(name, err))
	}
	return out, errors.Join(err, r.remember(ctx, out, err, from), r.o.Save(ctx))
}
