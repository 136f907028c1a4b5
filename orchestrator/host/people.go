package host

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
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
		return s, fmt.Errorf("%w: no engine %q is configured (configured: %v)", ErrUsage, o.Engine, h.o.Engines.Names())
	}
	if o.Under != "" {
		dir, guid, _, err := h.resolveDN(ctx, o.Under)
		if err != nil {
			return s, err
		}
		s.Under = &scoping.Scope{Directory: dir, Under: guid}
	}
	s.ID = stopID(o)
	err := h.change(ctx, func(c *control) error {
		c.stops[s.ID] = s
		c.owe(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "stop", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: s.ID, Epoch: c.head.Epoch})
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
	err := h.change(ctx, func(c *control) error {
		ended = nil
		for _, id := range sorted(c.stops) {
			if o.All || id == stopID(o) {
				ended = append(ended, c.stops[id])
				delete(c.stops, id)
			}
		}
		if len(ended) == 0 {
			return fmt.Errorf("%w: nothing is stopped by %q (stopped: %v)", ErrUsage, stopID(o), sorted(c.stops))
		}
		c.owe(ledger.Record{Type: ledger.ControlType, Engine: o.Engine, Op: "start", By: o.By, Reason: o.Reason, Outcome: engine.Applied, Code: stopID(o), Epoch: c.head.Epoch})
		return nil
	})
	return ended, err
}

// Held gives the held sets; an open one without entries that still wait is left out.
func (h *Host) Held() []ledger.Hold {
	var out []ledger.Hold
	waits := map[string]bool{} // changes of owners that are held by whom choices take
	for _, s := range h.o.Census.Staged() {
		waits[chosenOp(s)+s.Choice.ID.String()+s.Object.String()] = true
	}
	h.gate.Read(func(s *ledger.State) {
		for _, x := range s.SortedHolds() {
			hd := *x
			hd.Entries = slices.Clone(x.Entries)
			if hd.Class == ledger.OwnerChanges {
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool { return !waits[e.Op+e.Detail+e.Object.String()] })
			} else if hd.State == ledger.HoldOpen {
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool {
					_, dirty := s.Dirt[e.Object][e.Feature]
					return !dirty
				})
			}
			if len(hd.Entries) > 0 {
				out = append(out, hd)
			}
		}
	})
	return out
}

// HeldSet gives one held set.
func (h *Host) HeldSet(id string) (ledger.Hold, error) {
	for _, x := range h.Held() {
		if x.ID == id {
			return x, nil
		}
	}
	return ledger.Hold{}, fmt.Errorf("%w: held set %q", ErrNotFound, id)
}

// Answer records a person's answer to a held set: approve, reject or forget. Approved writes are asked for again at once and decided anew; what is
// no longer true is dropped. It gives the run that followed, if one did.
func (h *Host) Answer(ctx context.Context, id, verb, by, reason string) (*SyncReport, error) {
	hd, err := h.HeldSet(id)
	if err != nil {
		return nil, err
	}
	switch {
	case verb == "approve" && hd.State != ledger.HoldOpen, verb == "reject" && hd.State != ledger.HoldOpen:
		return nil, fmt.Errorf("%w: held set %s is %s", ErrUsage, id, hd.State)
	}
	if err := h.gate.Record(ctx, ledger.Record{Type: ledger.AnswerType, Engine: hd.Engine, Op: verb, By: by, Reason: reason, Outcome: engine.Applied, Code: id, Answer: &ledger.Answer{Hold: id, Verb: verb}}); err != nil {
		return nil, err
	}
	if verb != "approve" {
		return nil, h.Save(ctx)
	}
	if hd.Class == ledger.OwnerChanges {
		if err := h.Prepare(ctx); err != nil { // their new owners are asked for them at their next runs
			return nil, err
		}
		return nil, h.Save(ctx)
	}
	r, err := h.Settle(ctx, hd.Engine, objectsOf(hd))
	return &r, err
}

func objectsOf(hd ledger.Hold) []scoping.ObjectID {
	var ids []scoping.ObjectID
	for _, e := range hd.Entries {
		ids = append(ids, e.Object)
	}
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	return slices.Compact(ids)
}

// Settle asks an engine for given objects, and for nothing else, and carries out what is decided.
func (h *Host) Settle(ctx context.Context, name string, ids []scoping.ObjectID) (SyncReport, error) {
	l := h.lock(name)
	l.Lock()
	defer l.Unlock()
	began := h.now()
	r := SyncReport{Engine: name, Profile: engine.ProfileObjects, Errors: []ObjectProblem{}}
	if err := h.Prepare(ctx); err != nil {
		return r, err
	}
	grants := h.gate.Authority().Grants(name)
	if err := h.o.Engines.Grant(ctx, name, grants); err != nil {
		return r, err
	}
	rs := &runState{h: h, name: name, opts: SyncOptions{Profile: engine.ProfileObjects}, id: h.nextRun()}
	rs.scopes, _ = h.scopesUnder(ctx, grants, "")
	rs.session = h.gate.Begin(gate.SessionOptions{Engine: name, Run: rs.id})
	complete := true
	var err error
	if len(ids) > 0 {
		complete, err = rs.ask(ctx, engine.RunRequest{Run: rs.id, Profile: engine.ProfileObjects, Scopes: rs.scopes, Objects: ids, Ceiling: engine.ModeOwn})
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
	r.Millis, r.At = h.now().Sub(began).Milliseconds(), h.now().UnixMilli()
	return r, h.Save(ctx)
}

// Debt is one feature of an object that has not settled.
type Debt struct {
	Key   ledger.Key
	Name  string
	Owner string // who will be asked
	ledger.Dirty
}

// Debts gives the dirty set with names.
func (h *Host) Debts() []Debt {
	var out []Debt
	auth := h.gate.Authority()
	h.gate.Read(func(s *ledger.State) {
		for _, k := range s.DirtyKeys() {
			d := Debt{Key: k, Dirty: s.Dirt[k.Object][k.Feature], Owner: h.askable(s, auth, k)}
			if row := s.Rows[k.Object]; row != nil {
				d.Name = row.Name
			}
			if n := h.nameOf(k.Object); n != "" {
				d.Name = n
			}
			out = append(out, d)
		}
	})
	return out
}
