package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// StopOptions say what is stopped; nothing set but Reason stops all writing.
type StopOptions struct {
	Engine string
	Under  string // a DN
	All    bool
	Reason string
	By     string
}

// Stop closes admission in one transaction (ownership rules §11). It survives restarts.
func (h *Host) Stop(ctx context.Context, o StopOptions) (gate.Stop, error) {
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
	s.ID = stopID(o)
	err := h.control.Change(ctx, func(c *control.Content) error {
		c.Stops[s.ID] = s
		c.Owe(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "stop", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: s.ID, Epoch: c.Head.Epoch})
		return nil
	})
	return s, err
}

func stopID(o StopOptions) string {
	switch {
	case o.Engine != "" && o.Under != "":
		return "engine:" + o.Engine + " under:" + o.Under
	case o.Engine != "":
		return "engine:" + o.Engine
	case o.Under != "":
		return "under:" + o.Under
	}
	return "all"
}

// Start ends the stop of the same engine, subtree or all; All ends every stop. What was proposed meanwhile is dirty and is asked for again.
func (h *Host) Start(ctx context.Context, o StopOptions) ([]gate.Stop, error) {
	var ended []gate.Stop
	err := h.control.Change(ctx, func(c *control.Content) error {
		ended = nil
		for _, id := range sorted(c.Stops) {
			if o.All || id == stopID(o) {
				ended = append(ended, c.Stops[id])
				delete(c.Stops, id)
			}
		}
		for id, w := range c.Waves {
			if w.WaitsFor() == wave.ForStop { // another stop that holds it as well holds it again
				w.State = wave.Running
				c.Waves[id] = w
			}
		}
		if len(ended) == 0 {
			return problem.Refuse("nothing is stopped by %q (stopped: %v)", stopID(o), sorted(c.Stops))
		}
		c.Owe(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "start", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: stopID(o), Epoch: c.Head.Epoch})
		return nil
	})
	return ended, err
}

// Settle asks an engine for given objects, and for nothing else, and carries out what is decided.
func (h *Host) Settle(ctx context.Context, name string, ids []scoping.ObjectID) (SyncReport, error) {
	l := h.lock(name)
	l.Lock()
	defer l.Unlock()
	began := h.now()
	r := SyncReport{Engine: name, Profile: engine.ProfileObjects, Errors: []ObjectProblem{}, Findings: []ObjectProblem{}}
	if err := h.Prepare(ctx); err != nil {
		return r, err
	}
	grants := h.gate.Authority().Grants(name)
	if err := h.o.Engines.Grant(ctx, name, grants); err != nil {
		return r, err
	}
	rs := &runState{h: h, name: name, opts: SyncOptions{Profile: engine.ProfileObjects}, id: h.nextRun(), ceiling: h.gate.Authority().Ceiling()}
	rs.scopes, _ = h.scopesUnder(ctx, grants, "")
	rs.session = h.gate.Begin(gate.SessionOptions{Engine: name, Run: rs.id, Asked: true, Ceiling: rs.ceiling})
	complete := true
	var err error
	if len(ids) > 0 {
		complete, err = rs.ask(ctx, engine.RunRequest{Run: rs.id, Profile: engine.ProfileObjects, Scopes: rs.scopes, Objects: ids, Ceiling: rs.ceiling})
		if err != nil {
			return r, err
		}
	}
	if err := rs.claims(ctx); err != nil {
		return r, err
	}
	sum, err := rs.session.End(ctx, complete)
	if err != nil {
		return r, err
	}
	r.Read, r.Complete, r.Judgements = len(ids), complete, sum.Judgements
	r.Errors = append(r.Errors, rs.problem...)
	r.count(sum)
	h.findings(&r, sum)
	if rs.ceiling == engine.ModeOwn {
		if err := rs.farewells(ctx, &r); err != nil { // also those who left: only so is an approved removal carried out
			return r, err
		}
	}
	r.Millis, r.At = h.now().Sub(began).Milliseconds(), h.now().UnixMilli()
	return r, h.Save(ctx)
}

// Debt is one feature of an object that has not settled.
type Debt struct {
	Key   ledger.Key
	Name  string
	Owner string // who will be asked
	ledger.Dirty
	Trouble *ledger.Trouble // what is remembered of its attempts, nil if none was refused
}

// Debts gives the dirty set with names.
func (h *Host) Debts() []Debt {
	var out []Debt
	auth := h.gate.Authority()
	h.gate.Read(func(s *ledger.State) {
		for _, k := range s.DirtyKeys() {
			d := Debt{Key: k, Dirty: s.Dirt[k.Object][k.Feature], Owner: h.Addressee(s, auth, k)}
			d.Trouble = attempts(s.TroubleOf(k))
			if row := s.Rows.Get(k.Object); row != nil {
				d.Name = row.Name
			}
			if n := h.Name(k.Object); n != "" {
				d.Name = n
			}
			out = append(out, d)
		}
	})
	return out
}

// attempts copies what is remembered of attempts that were refused.
func attempts(t *ledger.Trouble) *ledger.Trouble {
	if t == nil || len(t.Parts) == 0 {
		return nil
	}
	c := *t
	c.Parts = slices.Clone(t.Parts)
	return &c
}
