package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// adopted ends an engine's first adoption when a complete full run of all its scopes left nothing to be asked (rule J5): everything that the tenant had
// before is linked, or a person knows of it.
func (h *Host) adopted(ctx context.Context, o SyncOptions, complete bool, name string, sum gate.Summary) error {
	_, adopting := h.gate.Authority().Adopting[name]
	if !adopting || !complete || o.Profile != engine.ProfileFull || o.Under != "" || !settledAll(sum) {
		return nil
	}
	return h.control.Change(ctx, func(c *control.Content) error {
		delete(c.Head.Adopting, name)
		c.Owe(ledger.Record{Type: ledger.ControlType, Engine: name, Op: "adopted", Outcome: engine.Applied, Reason: "a full run left nothing to be asked", Epoch: c.Head.Epoch})
		return nil
	})
}

// settledAll reports whether nothing that a first adoption asks about is open after a run: nothing is held for it, was rejected, or could not be decided.
func settledAll(sum gate.Summary) bool {
	if slices.ContainsFunc(sum.Held, func(x ledger.Hold) bool { return x.Class == ledger.Adoptions }) {
		return false
	}
	return !slices.ContainsFunc(sum.Judgements, func(j gate.Judgement) bool {
		if j.Key.Feature != scoping.Base(j.Kind) || j.Want != engine.Present {
			return false
		}
		switch j.Outcome {
		case engine.Deferred, engine.Stale, engine.InDoubt, engine.Parked:
			return true
		case engine.Refused:
			return j.Code == "rejected"
		}
		return false
	})
}

// adoptToo lets a first adoption go on with the engine that takes over what another one has not adopted yet.
func adoptToo(c *control.Content, from, to string) {
	since, adopting := c.Head.Adopting[from]
	if _, already := c.Head.Adopting[to]; adopting && !already && to != scoping.None {
		c.Head.Adopting[to] = since
	}
}
