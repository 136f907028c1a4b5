package plan

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// stale returns why a plan must not be begun any more.
func (r *Planner) stale(ctx context.Context, p *Plan) error {
	cur, err := r.o.Control.Partition()
	if err != nil {
		return err
	}
	c, err := r.o.Control.View(ctx)
	if err != nil {
		return err
	}
	switch {
	case p.Installation != c.Head.Installation:
		return fmt.Errorf("%w: it was made by another installation", problem.ErrStalePlan)
	case p.FromRevision != cur.Revision():
		return fmt.Errorf("%w: it was made for revision %d, in force is %d", problem.ErrStalePlan, p.FromRevision, cur.Revision())
	}
	for _, n := range r.o.Engines.Names() {
		d, err := r.o.Engines.Describe(ctx, n)
		if err != nil {
			return err
		}
		if v, ok := p.Engines[n]; ok && v != d.Version {
			return fmt.Errorf("%w: engine %s was of version %s, and is of %s now", problem.ErrStalePlan, n, v, d.Version)
		}
	}
	if err := r.o.View.ChoosePlanned(ctx, p.Target); err != nil { // another process may have made the plan
		return err
	}
	for _, w := range p.Waves {
		if err := r.drifted(w); err != nil {
			return err
		}
	}
	return nil
}

// drifted compares a planned wave's objects with the present ones: a difference of more than 1 % or 10 objects makes the plan stale.
func (r *Planner) drifted(w PlannedWave) error {
	now := map[scoping.Kind]int{}
	var scopes []scoping.Scope
	for _, x := range w.HandOvers {
		scopes = append(scopes, x.Scope)
	}
	total, diff := 0, 0
	for _, id := range r.o.View.In(scopes) {
		now[r.o.Census.Sight(id).Kind]++
	}
	for _, k := range []scoping.Kind{scoping.User, scoping.Group, scoping.Contact, scoping.Device} {
		total += w.Objects[k]
		diff += max(now[k]-w.Objects[k], w.Objects[k]-now[k])
	}
	if diff > 10 || (total >= 100 && diff*100 > total) {
		return fmt.Errorf("%w: wave %s was planned for %s, the scope changed by %d since", problem.ErrStalePlan, w.ID, scoping.Many(total, "object", "objects"), diff)
	}
	return nil
}

func (r *Planner) begun(ctx context.Context, p *Plan) (bool, error) {
	c, err := r.o.Control.View(ctx)
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

// Begin puts a plan's settings in force and records all its waves in one transaction, if the plan is not stale. A plan that was begun before is left
// as it is. No wave is driven.
func (r *Planner) Begin(ctx context.Context, p *Plan, by string, o wave.Options) error {
	if begun, err := r.begun(ctx, p); begun || err != nil {
		return err
	}
	if err := r.o.Run.Prepare(ctx); err != nil {
		return err
	}
	if err := r.stale(ctx, p); err != nil {
		return err
	}
	if bs := p.Blocked(); len(bs) > 0 {
		return fmt.Errorf("%w: the plan has %s, the first: %s: %s", problem.ErrCheckpoint, scoping.Many(len(bs), "blocker", "blockers"), bs[0].Code, bs[0].Message)
	}
	err := r.o.Control.Change(ctx, func(c *control.Content) error {
		if c.Partition == nil || c.Partition.Revision() != p.FromRevision {
			return fmt.Errorf("%w: the policy in force changed meanwhile", problem.ErrStalePlan)
		}
		if p.Settings != nil {
			restate(c, p, by)
		}
		for _, pw := range p.Waves {
			w := wave.Wave{ID: pw.ID, Plan: p.Fingerprint, From: pw.From, To: pw.To, Features: pw.Features, HandOvers: pw.HandOvers, Objects: pw.Objects, Options: o,
				Phase: wave.Preflight, State: wave.NotStarted, Revision: c.Partition.Revision(), CreatedAt: r.o.Clock.Now().UnixMilli(), By: by, History: []wave.PhaseRecord{}}
			if pw.Predicted != nil {
				w.Predicted, w.Printed = *pw.Predicted, pw.Printed
			}
			c.Waves[w.ID] = w
			c.Append(ledger.Record{Type: ledger.WaveType, Wave: w.ID, Op: "begin", By: by, Outcome: engine.Applied, Phase: string(w.Phase), Reason: "from " + w.From + " to " + w.To, Epoch: c.Head.Epoch})
		}
		if p.Policy != "" {
			c.Policy = []byte(p.Policy)
		}
		return nil
	})
	if err != nil || p.Settings == nil {
		return err
	}
	return r.o.Run.Grant(ctx)
}

// restate puts a plan's settings in force.
func restate(c *control.Content, p *Plan, by string) {
	next, _ := c.Partition.Restate(p.Target)
	if next == c.Partition { // only its matches are new
		next = next.Again()
	}
	c.Partition, c.Matches, c.Head.Plan = next, p.Settings.Matches, p.Fingerprint
	var said []string
	for _, x := range p.Settings.Changes {
		said = append(said, fmt.Sprintf("%s: %s → %s", x.What, orNothing(x.From), orNothing(x.To)))
	}
	detail, err := json.Marshal(p.Settings.Changes)
	if err != nil {
		panic("plan: changes of a policy that cannot be encoded: " + err.Error()) // they are texts
	}
	c.Append(ledger.Record{Type: ledger.ControlType, Op: "policy", By: by, Outcome: engine.Applied, Reason: strings.Join(said, "; "), Epoch: c.Head.Epoch, Detail: detail})
}

func orNothing(s string) string {
	if s == "" {
		return "none"
	}
	return s
}
