package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// ApplyOptions say how waves run.
type ApplyOptions struct {
	wave.Options
	By string
}

// Apply puts in force what a plan's policy says beside who owns what, begins the plan's waves and runs them one after the other; repeated, it resumes
// what began. It stops at the first wave that waits.
func (h *Host) Apply(ctx context.Context, p *Plan, o ApplyOptions) ([]wave.Wave, error) {
	if len(p.Waves) == 0 && p.Settings == nil {
		return nil, nil
	}
	begun, err := h.begun(ctx, p)
	if err != nil {
		return nil, err
	}
	if !begun {
		if err := h.begin(ctx, p, o); err != nil {
			return nil, err
		}
	}
	var out []wave.Wave
	for _, pw := range p.Waves {
		w, err := h.Drive(ctx, pw.ID)
		if err != nil {
			return append(out, w), err
		}
		out = append(out, w)
		if !w.State.Over() {
			return out, nil
		}
		if w.State != wave.Completed {
			return out, fmt.Errorf("%w: wave %s is %s; plan again", problem.ErrStalePlan, w.ID, w.State)
		}
	}
	return out, nil
}

func (h *Host) begun(ctx context.Context, p *Plan) (bool, error) {
	c, err := h.control.View(ctx)
	if err != nil {
		return false, err
	}
	for _, pw := range p.Waves {
		if _, ok := c.Waves[pw.ID]; ok {
			return true, nil
		}
	}
	return c.Head.Plan == p.Fingerprint, nil
}

// begin checks that the plan still holds, and puts its settings in force and records all its waves in one transaction, which consumes it.
func (h *Host) begin(ctx context.Context, p *Plan, o ApplyOptions) error {
	if err := h.Prepare(ctx); err != nil {
		return err
	}
	if err := h.stale(ctx, p); err != nil {
		return err
	}
	if bs := p.Blocked(); len(bs) > 0 {
		return fmt.Errorf("%w: the plan has %d blockers, the first: %s: %s", problem.ErrCheckpoint, len(bs), bs[0].Code, bs[0].Message)
	}
	err := h.control.Change(ctx, func(c *control.Content) error {
		if c.Partition == nil || c.Partition.Revision() != p.FromRevision {
			return fmt.Errorf("%w: the policy in force changed meanwhile", problem.ErrStalePlan)
		}
		if p.Settings != nil {
			restate(c, p, o.By)
		}
		for _, pw := range p.Waves {
			w := wave.Wave{ID: pw.ID, Plan: p.Fingerprint, From: pw.From, To: pw.To, Features: pw.Features, HandOvers: pw.HandOvers, Objects: pw.Objects, Options: o.Options,
				Phase: wave.Preflight, State: wave.NotStarted, Revision: c.Partition.Revision(), CreatedAt: h.now().UnixMilli(), By: o.By, History: []wave.PhaseRecord{}}
			if pw.Predicted != nil {
				w.Predicted, w.Printed = *pw.Predicted, pw.Printed
			}
			c.Waves[w.ID] = w
			c.Owe(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "begin", By: o.By, Outcome: engine.Applied, Phase: string(w.Phase), Reason: "from " + w.From + " to " + w.To, Epoch: c.Head.Epoch})
		}
		if p.Policy != "" {
			c.Policy = []byte(p.Policy)
		}
		return nil
	})
	if err != nil || p.Settings == nil {
		return err
	}
	return h.pushGrants(ctx)
}

// Migrate plans and applies the hand-over of one subtree to an engine.
func (h *Host) Migrate(ctx context.Context, under, to string, features []scoping.Feature, except []string, o ApplyOptions) (*Plan, []wave.Wave, error) {
	target, err := h.targetFor(ctx, under, to, features, except)
	if err != nil {
		return nil, nil, err
	}
	p, err := h.Plan(ctx, PlanOptions{Target: target, AllowRevert: true})
	if err != nil {
		return nil, nil, err
	}
	ws, err := h.Apply(ctx, p, o)
	return p, ws, err
}

// targetFor gives the partition in force with one subtree given to an engine. What is excepted below the subtree by assignments of their own to other
// engines goes along unless it is named in except.
func (h *Host) targetFor(ctx context.Context, under, to string, features []scoping.Feature, except []string) (*scoping.Partition, error) {
	cur, err := h.control.Partition()
	if err != nil {
		return nil, err
	}
	caps, err := h.caps(ctx)
	if err != nil {
		return nil, err
	}
	if _, ok := caps[to]; !ok && to != scoping.None {
		return nil, problem.Refuse("no engine %q is configured (configured: %v)", to, h.o.Engines.Names())
	}
	if len(features) == 0 {
		features = cur.Features()
	}
	for _, f := range features {
		if !cur.On(f) {
			return nil, problem.Refuse("feature %q is not switched on in the policy (on: %v)", f, cur.Features())
		}
	}
	features = withReferences(cur, features)
	dir, guid, chain, err := h.Resolve(ctx, under)
	if err != nil {
		return nil, err
	}
	scope := scoping.Scope{Directory: dir, Under: guid, Features: features}
	for _, x := range except {
		d, g, _, err := h.Resolve(ctx, x)
		if err != nil {
			return nil, err
		}
		if d != dir {
			return nil, problem.Refuse("%s lies in another directory than %s", x, under)
		}
		scope.Except = append(scope.Except, g)
	}
	return h.handAll(cur, scope, h.nameOfContainer(scope, under), chain, to)
}

// withReferences adds the references, which follow their base feature unless the policy assigns them apart (rule F2).
func withReferences(p *scoping.Partition, features []scoping.Feature) []scoping.Feature {
	apart := slices.ContainsFunc(p.Regions(), func(r scoping.Region) bool {
		return slices.Equal(r.Scope.Features, []scoping.Feature{scoping.References}) // owned in another way than what they belong to
	})
	if apart || slices.Contains(features, scoping.References) {
		return features
	}
	return append(slices.Clone(features), scoping.References)
}

// handAll hands what other engines own in a scope, which people call name, to one engine.
func (h *Host) handAll(cur *scoping.Partition, scope scoping.Scope, name string, chain []scoping.GUID, to string) (*scoping.Partition, error) {
	next := cur
	froms := append(cur.Engines(), scoping.None)
	moved := false
	for _, from := range froms {
		if from == to {
			continue
		}
		ho := scoping.HandOver{From: from, To: to, Scope: scope, Assignment: "migrate " + name}
		for _, g := range append([]scoping.GUID{scope.Under}, scope.Except...) {
			if pin, ok := h.Pin(scoping.ObjectID{Directory: scope.Directory, GUID: g}); ok {
				ho.Pins = append(ho.Pins, pin)
			}
		}
		if from == scoping.None {
			continue // what a policy leaves without an engine stays so: name it in a policy file to change that
		}
		p, err := next.Apply(ho, scoping.Epoch{})
		if errors.Is(err, scoping.ErrHandOver) {
			continue
		}
		if err != nil {
			return nil, err
		}
		next, moved = p, true
	}
	if !moved {
		return nil, problem.Refuse("%s owns all of %s already", to, name)
	}
	return next, nil
}

// nameOfContainer gives the directory's name of a scope's top, or what it was called when the census was not read yet.
func (h *Host) nameOfContainer(s scoping.Scope, called string) string {
	if p, ok := h.Pin(scoping.ObjectID{Directory: s.Directory, GUID: s.Under}); ok {
		return p.DN
	}
	return called
}

// Drive runs a wave until it is over or waits.
func (h *Host) Drive(ctx context.Context, id string) (wave.Wave, error) {
	return h.DriveUntil(ctx, id, "")
}

// DriveUntil is Drive that also ends before a phase is begun.
func (h *Host) DriveUntil(ctx context.Context, id string, stopAt wave.Phase) (wave.Wave, error) {
	end, err := h.turn(ctx, id)
	if err != nil {
		return wave.Wave{}, err
	}
	defer end()
	defer h.thaw(id)
	w, err := wave.Drive(ctx, &executor{h: h}, id, stopAt)
	if err != nil {
		return w, err
	}
	return w, h.Save(ctx)
}

// turn waits until nobody else drives the wave.
func (h *Host) turn(ctx context.Context, id string) (end func(), err error) {
	t := h.turnOf(id)
	select {
	case t <- struct{}{}:
		return func() { <-t }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// laterWave refuses a rollback on which a later wave depends.
func (h *Host) laterWave(c *control.Content, w wave.Wave) error {
	for _, id := range sorted(c.Waves) {
		o := c.Waves[id]
		if id != w.ID && o.CutoverEpoch.Compare(w.CutoverEpoch) > 0 && o.State != wave.RolledBack && o.State != wave.Aborted && h.Overlap(o.Scopes(), w.Scopes()) {
			return problem.Refuse("wave %s moved some of the same objects later; roll that one back first", id)
		}
	}
	return nil
}

// Waves gives all waves in the order of their beginning.
func (h *Host) Waves(ctx context.Context) ([]wave.Wave, error) {
	c, err := h.control.View(ctx)
	if err != nil {
		return nil, err
	}
	out := make([]wave.Wave, 0, len(c.Waves))
	for _, id := range sorted(c.Waves) {
		out = append(out, c.Waves[id])
	}
	sortWaves(out)
	return out, nil
}

// Wave gives one wave.
func (h *Host) Wave(ctx context.Context, id string) (wave.Wave, error) {
	c, err := h.control.View(ctx)
	if err != nil {
		return wave.Wave{}, err
	}
	w, ok := c.Waves[id]
	if !ok {
		return w, fmt.Errorf("%w: wave %q", problem.ErrNotFound, id)
	}
	return w, nil
}

// thaw releases a wave's freeze, if this process holds one.
func (h *Host) thaw(id string) {
	h.mu.Lock()
	f := h.frozen[id]
	delete(h.frozen, id)
	h.mu.Unlock()
	if f != nil {
		f.Release()
	}
}

// freezeTime gives how long a wave's freeze has lasted.
func (h *Host) freezeTime(id string) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.now().Sub(h.frozenAt[id])
}
