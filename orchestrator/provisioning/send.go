package provisioning

import (
	"context"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// sending is one write of a round.
type sending struct {
	decided
	j    *Judgement
	done bool // something was written, or is to be decided again at once
	err  error
}

// send carries out the writes of a round, up to Options.Flight at once. That is possible because each is about another object, by a permit of its
// own, and its names were reserved when it was decided. What depends on another object, such as a manager, is a write of a later round. After an
// error no more writes begin, and those in flight are waited for.
func (r *run) send(ctx context.Context, f scoping.Feature, at controller, all []*sending) (sent bool, err error) {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	one := func(x *sending) {
		if x.err = context.Cause(ctx); x.err == nil {
			x.done, x.err = r.carry(ctx, f, at, x.decided, x.j)
		}
		if x.err != nil {
			stop(x.err)
		}
	}
	if r.o.Flight > 1 {
		parallel(all, r.o.Flight, one)
	} else {
		for _, x := range all {
			one(x)
		}
	}
	for _, x := range all {
		sent = sent || x.done
		if x.err != nil && err == nil {
			err = x.err
		}
	}
	if err != nil {
		return sent, context.Cause(ctx)
	}
	return r.after(ctx, f, all)
}

// parallel calls a function for each, with up to n calls at once, and waits for all of them.
func parallel(all []*sending, n int, one func(*sending)) {
	var wait sync.WaitGroup
	defer wait.Wait()
	next := make(chan *sending)
	defer close(next)
	for range min(n, len(all)) {
		wait.Go(func() {
			for x := range next {
				one(x)
			}
		})
	}
	for _, x := range all {
		next <- x
	}
}

// after notes the results of the writes of a round.
func (r *run) after(ctx context.Context, f scoping.Feature, all []*sending) (sent bool, err error) {
	for _, x := range all {
		done := x.done
		refused := !done && x.j.Outcome == engine.Failed && provision.Code(x.j.Code).Refusal()
		if done && x.j.Outcome != engine.Applied { // it is decided again once, by what the controller shows now; that showed no reason, such as who has the name
			done = r.tries[x.s.id] == 0
			r.tries[x.s.id]++
			refused = !done
		}
		if refused {
			r.answers.fail(x.s, x.c.Reading, r.o.Steady(), Verdict{Outcome: x.j.Outcome, Code: gate.Code(x.j.Code), Reason: x.j.Reason, Findings: x.j.Findings})
		}
		sent, r.rest[x.s.id] = sent || done, !done
		if !done {
			if err := r.o.Gate.Record(ctx, r.leave(f, x.s, *x.j)...); err != nil {
				return sent, err
			}
		}
	}
	return sent, nil
}

// reserve reserves the names that a write chose, and its person, against other sources of the same round.
func (x *seen) reserve(c Case, w *ledger.Provisioned) {
	id := c.Object
	if w.Op == provision.Add || w.Op == provision.Join {
		for _, by := range c.Assignment.MatchOr() {
			if v := first(c.Mapping.Desired[by].Text); v != "" {
				x.arriving[term(by, v)] = id
			}
			for _, s := range w.Set {
				if s.Attribute == by && len(s.To) > 0 {
					x.arriving[term(by, first(s.To))] = id
				}
			}
		}
	}
	for _, s := range w.Set {
		for _, name := range w.Unique {
			if name == s.Attribute {
				x.given[term(s.Attribute, first(s.To))] = id
			}
		}
	}
	if w.Op == provision.Rename {
		x.given[term(engine.CommonName, w.Name)] = id
	}
}
