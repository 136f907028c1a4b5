package host

import (
	"context"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// DecideWave applies a person's decision to a wave. Differences are approved by ApproveWave.
func (h *Host) DecideWave(ctx context.Context, id string, v wave.Verb, by, reason string) (wave.Wave, error) {
	return h.decideWave(ctx, id, wave.Order{Verb: v, By: by}, reason)
}

// ApproveWave approves what a wave waits for. Of differences it has to name the fingerprint of those that the person was shown.
func (h *Host) ApproveWave(ctx context.Context, id, fingerprint, by, reason string) (wave.Wave, error) {
	return h.decideWave(ctx, id, wave.Order{Verb: wave.Approve, By: by, Fingerprint: fingerprint}, reason)
}

func (h *Host) decideWave(ctx context.Context, id string, o wave.Order, reason string) (wave.Wave, error) {
	var out wave.Wave
	o.At, o.Driven = h.now().UnixMilli(), h.driven(id)
	err := h.control.Change(ctx, func(c *control.Content) error {
		w, ok := c.Waves[id]
		if !ok {
			return fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
		}
		next, err := h.decided(c, w, o)
		if err != nil {
			return err
		}
		if next.Phase != w.Phase {
			next = wave.Enter(next, next.Phase, string(o.Verb), h.now())
		}
		next.Decisions++
		c.Waves[id], out = next, next
		c.Owe(ledger.Record{Type: ledger.WaveType, Wave: id, Op: string(o.Verb), By: o.By, Reason: reason, Outcome: engine.Applied, Phase: string(next.Phase), Code: o.Fingerprint, Epoch: c.Head.Epoch})
		return nil
	})
	if err != nil {
		return out, err
	}
	h.unsoak(id) // time before a decision is counted by looks before it: a pause does not soak
	if o.Verb == wave.Pause || o.Verb == wave.Abort {
		h.thaw(id) // a pause in a freeze ends it
	}
	return out, h.pushGrants(ctx)
}

// MayDecide returns why a decision would be refused now; nil: it would not be.
func (h *Host) MayDecide(ctx context.Context, id string, v wave.Verb, by string) error {
	c, err := h.control.View(ctx)
	if err != nil {
		return err
	}
	w, ok := c.Waves[id]
	if !ok {
		return fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
	}
	_, err = h.decided(c, w, wave.Order{Verb: v, By: by, At: h.now().UnixMilli(), Driven: h.driven(id)})
	return err
}

// decided applies a decision to a wave's record, if nothing speaks against it.
func (h *Host) decided(c *control.Content, w wave.Wave, o wave.Order) (wave.Wave, error) {
	next, err := wave.Decide(w, o)
	if err != nil {
		return w, problem.Refuse("%w", err)
	}
	if o.Verb == wave.RollBack {
		err = h.laterWave(c, w)
	}
	return next, err
}

// driven reports whether some call of this process drives a wave.
func (h *Host) driven(id string) bool {
	end, free := h.tryTurn(id)
	if free {
		end()
	}
	return !free
}

// unsoak forgets when a soaking wave was looked at last: what passes until the next look is not soaked.
func (h *Host) unsoak(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.soaking, id)
}

// stopsOf returns the stops in force that hold a wave: of all writing, of one of its engines, or of a subtree that it shares objects with.
func (h *Host) stopsOf(w wave.Wave) string {
	for _, s := range h.gate.Authority().Stops {
		if s.Engine != "" && s.Engine != w.From && s.Engine != w.To {
			continue
		}
		if s.Under == nil || h.Overlap([]scoping.Scope{*s.Under}, w.Scopes()) {
			return "stopped by " + s.By + ": " + s.Reason
		}
	}
	return ""
}
