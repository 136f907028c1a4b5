package plan

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// maxExamples is the most objects that a finding names.
const maxExamples = 5

// collector gathers findings, one per code, with counts and examples.
type collector struct{ list []wave.Finding }

func (c *collector) add(s wave.Severity, code wave.Code, message string, examples ...string) {
	for i := range c.list {
		if c.list[i].Code == code {
			c.list[i].Objects += max(1, len(examples))
			if len(c.list[i].Examples) < maxExamples {
				c.list[i].Examples = append(c.list[i].Examples, examples...)
			}
			return
		}
	}
	c.list = append(c.list, wave.Finding{Severity: s, Code: code, Message: message, Objects: len(examples), Examples: append([]string{}, examples...)})
}

// Assess returns what stands in the way of a running wave, or what its administrator should know.
func (r *Planner) Assess(ctx context.Context, w wave.Wave) ([]wave.Finding, error) {
	return r.assess(ctx, w, nil, true)
}

// assess looks for what stands in a wave's way, or what its administrator should know. target is the partition that a plan leads to, nil for a
// running wave: problems that the plan itself fixes are no blockers.
func (r *Planner) assess(ctx context.Context, w wave.Wave, target *scoping.Partition, allowRevert bool) ([]wave.Finding, error) {
	var c collector
	if err := r.assessEngines(ctx, w, &c); err != nil {
		return nil, err
	}
	if err := r.assessWaves(ctx, w, allowRevert, &c); err != nil {
		return nil, err
	}
	r.assessPins(w, target, &c)
	r.assessObjects(w, &c)
	return c.list, nil
}

func (r *Planner) assessEngines(ctx context.Context, w wave.Wave, c *collector) error {
	for _, name := range []string{w.From, w.To} {
		if name == scoping.None {
			continue
		}
		if !slices.Contains(r.o.Engines.Names(), name) {
			c.add(wave.Blocker, codeNoSuchEngine, "engine "+name+" is not configured in tandem.yaml")
			continue
		}
		d, err := r.o.Engines.Describe(ctx, name)
		if err != nil {
			return fmt.Errorf("asking engine %s what it can do: %w", name, err)
		}
		if name == w.To {
			if err := r.assessTenant(ctx, w, c); err != nil {
				return err
			}
		}
		if name == w.To && !d.CanShadow {
			c.add(wave.Blocker, codeCannotShadow, "engine "+name+" cannot be judged before it owns: its wave cannot be verified")
		}
		if s := r.o.Gate.Authority().Stopped(name, scoping.Place{}); s != "" {
			c.add(wave.Blocker, codeStopped, "writing of "+name+" is "+s)
		}
		hl, running := r.health(ctx, name)
		if running && !hl.OK {
			c.add(wave.Blocker, codeUnhealthy, "engine "+name+" says: "+hl.Message)
		}
		if running && name == w.To {
			assessAccounts(w, hl, c)
		}
	}
	return nil
}

// assessAccounts looks for accounts that features of a wave need and its target does not have: otherwise users and administrators would notice after
// the cutover.
func assessAccounts(w wave.Wave, target engine.Health, c *collector) {
	for _, h := range w.HandOvers {
		for _, f := range h.Scope.Features {
			if p, needs := scoping.PurposeOf(f); needs && !target.Holds(p) {
				c.add(wave.Warning, codeNoAccount, fmt.Sprintf("nobody holds an account for %s that engine %s could sign in with: give the directory one in tandem.yaml (%s), or the agents at their enrolment (--%s-user)", f, w.To, p, p))
			}
		}
	}
}

// assessTenant looks for features of a wave that the tenant does not take from its target. A new policy with them does not compile, but the one in
// force may be older than the tenant's answer, and a wave of one scope includes every feature that is switched on.
func (r *Planner) assessTenant(ctx context.Context, w wave.Wave, c *collector) error {
	caps, err := r.o.Run.Capabilities(ctx)
	if err != nil {
		return err
	}
	for _, h := range w.HandOvers {
		for _, f := range h.Scope.Features {
			if why := caps[w.To].Refused[f]; why != "" {
				c.add(wave.Blocker, codeTenantCannot+wave.Code(f), "the tenant does not take "+string(f)+": "+why)
			}
		}
	}
	return nil
}

// An engine that was just started may need a moment until its agents have connected.
const (
	healthPatience = 10 * time.Second
	healthFirst    = time.Second // to answer at all
	healthStep     = 100 * time.Millisecond
)

// health returns an engine's health, after giving it time to get ready.
func (r *Planner) health(ctx context.Context, name string) (engine.Health, bool) {
	begun := r.o.Clock.Now()
	for {
		hl, running := r.o.Engines.Health(name)
		patience := healthPatience
		if !running {
			patience = healthFirst
		}
		if running && hl.OK || r.o.Clock.Now().Sub(begun) >= patience || r.o.Clock.Sleep(ctx, healthStep) != nil {
			return hl, running
		}
	}
}

// assessWaves looks at other waves: only one at a time may have a scope, and none is reverted unless that is allowed.
func (r *Planner) assessWaves(ctx context.Context, w wave.Wave, allowRevert bool, c *collector) error {
	ctl, err := r.o.Control.View(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(ctl.Waves)) {
		o := ctl.Waves[id]
		if id == w.ID || !r.o.View.Overlap(o.Scopes(), w.Scopes()) {
			continue
		}
		switch {
		case !o.State.Over():
			c.add(wave.Blocker, codeWaveRunning, "wave "+id+" on the same objects is not over: `tandem wave show "+id+"`")
		case o.State == wave.Completed && o.From == w.To && o.To == w.From && !allowRevert:
			c.add(wave.Blocker, codeRevertsWave, "this would undo wave "+id+", which moved these objects from "+o.From+" to "+o.To+": plan with --allow-revert if that is meant")
		}
	}
	return nil
}

// fixes reports whether a wave, or its plan, ends the use of a container that is deleted in the directory.
func fixes(w wave.Wave, target *scoping.Partition, deleted scoping.GUID) bool {
	if target != nil && !slices.ContainsFunc(target.Pins(), func(p scoping.Pin) bool { return p.GUID == deleted }) {
		return true
	}
	return slices.ContainsFunc(w.HandOvers, func(o scoping.HandOver) bool { return o.Scope.Under == deleted })
}

func (r *Planner) assessPins(w wave.Wave, target *scoping.Partition, c *collector) {
	p := r.o.Gate.Authority().Partition
	if p == nil {
		return
	}
	pinned := r.o.View.Pinned()
	for _, f := range pinned {
		severity := wave.Blocker
		if slices.ContainsFunc(w.Scopes(), f.Chooses) {
			severity = wave.Warning // this wave may be the fix
		}
		c.add(severity, codeChoosing+wave.Code(f.Why), f.String(), f.Name)
	}
	for _, d := range r.o.View.Drift(p) {
		if (d.What == scoping.Vanished || d.What == scoping.Recreated) && fixes(w, target, d.GUID) {
			c.add(wave.Info, codeGone, "an OU of the policy in force is gone from the directory; the new policy does without it", d.Was)
			continue
		}
		if d.What == scoping.Vanished {
			if slices.ContainsFunc(pinned, func(f objects.PinnedGroup) bool { return f.Group.GUID == d.GUID }) {
				continue // reported below, with its fix
			}
			c.add(wave.Blocker, codeVanished, "an OU of the policy is gone from the directory; nothing is deleted because of that: fix the policy", d.Was)
			continue
		}
		if d.What == scoping.Recreated {
			c.add(wave.Blocker, codeRecreated, "an OU of the policy was deleted, and another one has its name; what lies in that belongs to whoever owns what is above it, and nothing is deleted because of that: plan and apply the policy anew", d.Was)
			continue
		}
		if sight := r.o.Census.Sight(scoping.ObjectID{Directory: d.Directory, GUID: d.GUID}); sight.Kind == scoping.Group {
			c.add(wave.Warning, codeChoosing+wave.Code(d.What), "a group by whose members the policy chooses objects is "+d.What+"; nobody's owner changes by that: `tandem policy fmt --repin` brings the file up to date", d.Was+" → "+d.Now)
			continue
		}
		c.add(wave.Warning, codeContainer+wave.Code(d.What), "an OU of the policy is "+d.What+"; its owner is unchanged: `tandem policy fmt --repin` brings the file up to date", d.Was+" → "+d.Now)
	}
}

func (r *Planner) assessObjects(w wave.Wave, c *collector) {
	auth := r.o.Gate.Authority()
	scopes := w.Scopes()
	inside := map[scoping.ObjectID]bool{}
	for _, id := range r.o.View.In(scopes) {
		inside[id] = true
		r.assessObject(id, c)
	}
	r.o.Gate.Read(func(s *ledger.State) {
		for _, hd := range s.SortedHolds() {
			for _, e := range hd.Entries {
				if hd.State == ledger.HoldOpen && inside[e.Object] {
					c.add(wave.Warning, codeHeld, "writes to these objects are held; a cutover voids the set and the new engine is judged anew", e.Name)
				}
			}
		}
		for _, o := range s.Doubts() {
			if inside[*o.Record.Object] {
				c.add(wave.Warning, codeInDoubt, "an earlier write had no answer; these objects change hands when the doubt ends", o.Record.Name)
			}
		}
		r.assessReferences(s, auth, w, inside, c)
	})
}

func (r *Planner) assessObject(id scoping.ObjectID, c *collector) {
	sight := r.o.Census.Sight(id)
	var row *ledger.Row
	r.o.Gate.Read(func(s *ledger.State) { row = s.Rows.Get(id) })
	switch {
	case sight.AnchorBad == gate.CodeAnchorInvalid:
		c.add(wave.Blocker, codeAnchorInvalid, "mS-DS-ConsistencyGuid does not hold 16 bytes: both engines would compute an unusable source anchor", sight.Name)
	case sight.AnchorBad != "":
		c.add(wave.Blocker, codeDuplicate, "two living objects carry one source anchor", sight.Name)
	case row != nil && row.Anchor != "" && row.Anchor != sight.Anchor:
		c.add(wave.Blocker, codeAnchorChanged, "the source anchor is not the one the cloud object was joined with", sight.Name)
	}
	for _, f := range r.o.View.Findings(&id) {
		c.add(wave.Warning, wave.Code(f.Code), assessed[f.Code], sight.Name)
	}
	if o, ok := r.o.View.Cloud(row); ok && o.Synced {
		c.add(wave.Blocker, codeSynced, "Microsoft's engines own the cloud object: Graph refuses to write it", sight.Name)
	}
}

// assessReferences counts the references that will cross engines after the wave. They stay right: the gate resolves them across engines.
func (r *Planner) assessReferences(s *ledger.State, auth gate.Authority, w wave.Wave, inside map[scoping.ObjectID]bool, c *collector) {
	for _, id := range slices.SortedFunc(maps.Keys(inside), scoping.ObjectID.Compare) {
		row := s.Rows.Get(id)
		if row == nil || row.Kind != scoping.Group {
			continue
		}
		o, ok := r.o.View.Cloud(row)
		if !ok {
			continue
		}
		for _, m := range o.Members {
			end, linked := s.ByCloud(m)
			if linked && !inside[end.Object] && r.o.View.Owner(auth, end.Object, end.Kind) != w.To {
				c.add(wave.Info, codeCrossing, "memberships will cross from "+w.To+"'s groups to objects of other engines; they are kept", row.Name)
				break
			}
		}
	}
}

// unpinning turns blockers about groups with pinned membership into warnings, if the plan's target does not depend on them any more.
func (r *Planner) unpinning(target *scoping.Partition, findings []wave.Finding) {
	for _, f := range r.o.View.Pinned() {
		for i := range findings {
			if x := &findings[i]; f.Left(target) && x.Code == codeChoosing+wave.Code(f.Why) && slices.Equal(x.Examples, []string{f.Name}) {
				x.Severity = wave.Warning
			}
		}
	}
}
