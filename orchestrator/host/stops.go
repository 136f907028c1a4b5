package host

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// StopOptions are what is stopped; with nothing but Reason all writing is.
type StopOptions struct {
	Engine string
	Under  string // a DN
	All    bool
	Reason string
	By     string
}

// Stop closes admission in one transaction (ownership rules §11). It survives restarts, and works on a full disk.
func (h *Host) Stop(ctx context.Context, o StopOptions) (gate.Stop, error) {
	ctx = state.WithReserve(ctx)
	s := gate.Stop{Engine: o.Engine, Reason: o.Reason, By: o.By, At: h.now().UnixMilli(), DN: o.Under}
	if o.Engine != "" && !slices.Contains(h.o.Engines.Names(), o.Engine) {
		return s, problem.Refuse("no engine %q is configured (configured: %v)", o.Engine, h.o.Engines.Names())
	}
	if o.Under != "" {
		dir, guid, _, err := h.Resolve(ctx, o.Under)
		if err != nil {
			return s, err
		}
		s.Under = &scoping.Scope{Directory: dir, Under: guid}
	}
	s.ID = gate.StopID(o.Engine, o.Under)
	err := h.control.Change(ctx, func(c *control.Content) error {
		c.Stops[s.ID] = s
		c.Append(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "stop", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: s.ID, Epoch: c.Head.Epoch})
		return nil
	})
	return s, err
}

// Start ends the stop of the same engine or subtree, or of all; All ends every stop. What was proposed meanwhile is owed and asked for again.
func (h *Host) Start(ctx context.Context, o StopOptions) ([]gate.Stop, error) {
	ctx = state.WithReserve(ctx)
	var ended []gate.Stop
	id := gate.StopID(o.Engine, o.Under)
	err := h.control.Change(ctx, func(c *control.Content) error {
		if ended = c.Start(id, o.All); len(ended) == 0 {
			return problem.Refuse("nothing is stopped by %q (stopped: %v)", id, slices.Sorted(maps.Keys(c.Stops)))
		}
		c.Append(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "start", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: id, Epoch: c.Head.Epoch})
		return nil
	})
	return ended, err
}

// Journal records an act that changes nothing that is in force, such as the removal of an agent.
func (h *Host) Journal(ctx context.Context, r ledger.Record) error {
	return h.control.Change(ctx, func(c *control.Content) error {
		r.Epoch = c.Head.Epoch
		c.Append(r)
		return nil
	})
}
