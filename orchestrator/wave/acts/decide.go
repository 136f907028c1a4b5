package acts

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// DecideWave applies a person's decision to a wave. Differences are approved by ApproveWave.
func (d *Driver) DecideWave(ctx context.Context, id string, v wave.Verb, by, reason string) (wave.Wave, error) {
	return d.decideWave(ctx, id, wave.Order{Verb: v, By: by}, reason)
}

// ApproveWave approves what a wave waits for. For differences the fingerprint of those that the person was shown is required.
func (d *Driver) ApproveWave(ctx context.Context, id, fingerprint, by, reason string) (wave.Wave, error) {
	return d.decideWave(ctx, id, wave.Order{Verb: wave.Approve, By: by, Fingerprint: fingerprint}, reason)
}

func (d *Driver) decideWave(ctx context.Context, id string, o wave.Order, reason string) (wave.Wave, error) {
	var out wave.Wave
	o.At, o.Driven = d.o.Clock.Now().UnixMilli(), d.driven(id)
	if o.Verb == wave.Pause || o.Verb == wave.Abort || o.Verb == wave.RollBack { // a full disk must not keep a person from stopping something
		ctx = state.WithReserve(ctx)
	}
	err := d.o.Control.Change(ctx, func(c *control.Content) error {
		w, ok := c.Waves[id]
		if !ok {
			return fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
		}
		next, err := d.decided(c, w, o)
		if err != nil {
			return err
		}
		if next.Phase != w.Phase {
			next = wave.Enter(next, next.Phase, string(o.Verb), d.o.Clock.Now())
		}
		next.Decisions++
		c.Waves[id], out = next, next
		c.Append(ledger.Record{Type: ledger.WaveType, Wave: id, Op: string(o.Verb), By: o.By, Reason: reason, Outcome: engine.Applied, Phase: string(next.Phase), Code: o.Fingerprint, Epoch: c.Head.Epoch})
		return nil
	})
	if err != nil {
		return out, err
	}
	d.unsoak(id) // time before a decision was counted by looks before it: a pause does not soak
	if o.Verb == wave.Pause || o.Verb == wave.Abort {
		d.thaw(id) // a pause in a freeze ends it
	}
	return out, d.o.Run.Grant(ctx)
}

// MayDecide returns the error with which a decision would be refused now, or nil.
func (d *Driver) MayDecide(ctx context.Context, id string, v wave.Verb, by string) error {
	c, err := d.o.Control.View(ctx)
	if err != nil {
		return err
	}
	w, ok := c.Waves[id]
	if !ok {
		return fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
	}
	_, err = d.decided(c, w, wave.Order{Verb: v, By: by, At: d.o.Clock.Now().UnixMilli(), Driven: d.driven(id)})
	return err
}

// decided applies a decision to a wave's record, unless it is refused.
func (d *Driver) decided(c *control.Content, w wave.Wave, o wave.Order) (wave.Wave, error) {
	next, err := wave.Decide(w, o)
	if err != nil {
		return w, problem.Refuse("%w", err)
	}
	if o.Verb == wave.RollBack {
		err = d.laterWave(c, w)
	}
	return next, err
}

// driven reports whether a call of this process drives a wave.
func (d *Driver) driven(id string) bool {
	end, free := d.tryTurn(id)
	if free {
		end()
	}
	return !free
}

// unsoak forgets the time of the last look at a soaking wave: time until the next look does not count.
func (d *Driver) unsoak(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.soaking, id)
}

// stopsOf returns the reason of a stop in force that applies to a wave: of all writing, of one of its engines, or of a subtree that overlaps its
// scopes; or "".
func (d *Driver) stopsOf(w wave.Wave) string {
	for _, s := range d.o.Gate.Authority().Stops {
		if s.Engine != "" && s.Engine != w.From && s.Engine != w.To {
			continue
		}
		if s.Under == nil || d.o.View.Overlap([]scoping.Scope{*s.Under}, w.Scopes()) {
			return "stopped by " + s.By + ": " + s.Reason
		}
	}
	return ""
}

// laterWave refuses a rollback that a later wave depends on.
func (d *Driver) laterWave(c *control.Content, w wave.Wave) error {
	for _, id := range slices.Sorted(maps.Keys(c.Waves)) {
		o := c.Waves[id]
		if id != w.ID && o.CutoverEpoch.Compare(w.CutoverEpoch) > 0 && o.State != wave.RolledBack && o.State != wave.Aborted && d.o.View.Overlap(o.Scopes(), w.Scopes()) {
			return problem.Refuse("wave %s moved some of the same objects later; roll that one back first", id)
		}
	}
	return nil
}

// Waves returns all waves, the oldest first.
func (d *Driver) Waves(ctx context.Context) ([]wave.Wave, error) {
	c, err := d.o.Control.View(ctx)
	if err != nil {
		return nil, err
	}
	return c.SortedWaves(), nil
}

// Wave returns one wave.
func (d *Driver) Wave(ctx context.Context, id string) (wave.Wave, error) {
	c, err := d.o.Control.View(ctx)
	if err != nil {
		return wave.Wave{}, err
	}
	w, ok := c.Waves[id]
	if !ok {
		return w, fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
	}
	return w, nil
}
