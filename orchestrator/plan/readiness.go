package plan

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// Situation returns what an assessment has to know besides the directories: the tenant's content, what is in force and what waits. It reads tenant
// and directories, and needs no policy in force. If the tenant cannot be read, that is a finding and no error.
func (r *Planner) Situation(ctx context.Context, engines []assess.Engine) (assess.Situation, error) {
	x := assess.Situation{Engines: engines}
	if err := r.lookForAssessment(ctx, &x); err != nil {
		return x, err
	}
	auth, rules := r.o.Gate.Authority(), r.o.Gate.Rules()
	x.Verified, x.InitialDomain = rules.Verified, rules.InitialDomain
	r.o.Gate.Read(func(s *ledger.State) { x.Linked, x.Belongs = linksOf(s) })
	if p := auth.Partition; p != nil {
		x.Features = p.Features()
		x.Owner = func(id scoping.ObjectID, k scoping.Kind, f scoping.Feature) string {
			return p.Owner(r.o.Census.Brief(id).Place(id.Directory), k, f).Engine
		}
		x.Chosen = func(id scoping.ObjectID) bool { return len(r.o.Census.Brief(id).Chosen) > 0 }
		if err := r.mark(ctx, &x); err != nil {
			return x, err
		}
		r.noteDrift(p, &x)
	}
	return x, r.assessEnds(ctx, auth, &x)
}

// lookForAssessment brings the views of tenant and directories up to date, as far as they can be read.
func (r *Planner) lookForAssessment(ctx context.Context, x *assess.Situation) error {
	tenant := r.o.LookAtTenant(ctx)
	if ctx.Err() != nil {
		return tenant
	}
	if tenant == nil {
		x.Tenant = r.o.Cache
	} else {
		x.General = append(x.General, assess.General{Code: assess.TenantUnread, Detail: tenant.Error()})
	}
	if r.o.Gate.Authority().Partition == nil {
		return nil
	}
	err := r.o.Run.Prepare(ctx)
	if err != nil && tenant != nil && ctx.Err() == nil {
		return r.o.Look(ctx) // what is known of the directories suffices
	}
	return err
}

// linksOf copies what an assessment asks about links from the ledger.
func linksOf(s *ledger.State) (linked func(scoping.ObjectID) (assess.Link, bool), belongs func(string) bool) {
	of, ids := make(map[scoping.ObjectID]assess.Link, s.Rows.Len()), make(map[string]bool, s.Rows.Len())
	for id := range s.Rows.Objects() {
		row := s.Rows.Get(id)
		if row.CloudID == "" {
			continue
		}
		ids[row.CloudID] = true
		if row.State == ledger.Live || row.State == ledger.ParkedRow {
			of[id] = assess.Link{CloudID: row.CloudID, Anchor: row.Anchor, Brought: row.Cloud != 0}
		}
	}
	return func(id scoping.ObjectID) (assess.Link, bool) { l, ok := of[id]; return l, ok }, func(id string) bool { return ids[id] }
}

// mark notes the objects with pending work.
func (r *Planner) mark(ctx context.Context, x *assess.Situation) error {
	note := func(id scoping.ObjectID, c assess.Code, detail string) {
		x.Marked = append(x.Marked, assess.Marked{Object: id, Code: c, Detail: detail})
	}
	for _, h := range r.o.View.Held() {
		for _, e := range h.Entries {
			if h.State == ledger.HoldOpen {
				note(e.Object, assess.Held, "")
			}
		}
	}
	for _, f := range r.o.View.Findings(nil) {
		if f.Code == gate.CodeNotKept {
			note(f.Key.Object, assess.Unsettled, string(f.Code))
		}
	}
	owed := r.o.View.Owed()
	r.o.Gate.Read(func(s *ledger.State) {
		for _, o := range s.Doubts() {
			note(*o.Record.Object, assess.Doubtful, "")
		}
		for _, k := range slices.SortedFunc(maps.Keys(owed), ledger.Key.Compare) {
			if d := owed[k]; d.To != standing.OtherKey && d.Code != standing.EndWaits && d.Code != standing.Unasked && d.Code != standing.InFlight {
				note(k.Object, assess.Unsettled, reasonOf(s, k, d))
			}
		}
	})
	return r.markWaves(ctx, note)
}

// reasonOf returns the code of the last answer that left the key unsettled, else that of the debt.
func reasonOf(s *ledger.State, k ledger.Key, d standing.Debt) string {
	if last, said := s.Unsettled[k.Object][k.Feature]; said && d.Answered() && last.Reason != "" {
		return last.Reason
	}
	return string(d.Code)
}

func (r *Planner) markWaves(ctx context.Context, note func(scoping.ObjectID, assess.Code, string)) error {
	ctl, err := r.o.Control.View(ctx)
	if err != nil {
		return err
	}
	for _, id := range slices.Sorted(maps.Keys(ctl.Waves)) {
		if w := ctl.Waves[id]; !w.State.Over() {
			for _, o := range r.o.View.In(w.Scopes()) {
				note(o, assess.WaveRunning, id)
			}
		}
	}
	return nil
}

// noteDrift notes differences between the directory and the policy in force.
func (r *Planner) noteDrift(p *scoping.Partition, x *assess.Situation) {
	pinned := map[scoping.GUID]bool{}
	for _, f := range r.o.View.Pinned() {
		pinned[f.Group.GUID] = true
		x.General = append(x.General, assess.General{Code: assess.SelectorFrozen, Detail: f.String()})
	}
	for _, d := range r.o.View.Drift(p) {
		switch {
		case pinned[d.GUID]:
		case d.What == scoping.Vanished, d.What == scoping.Recreated:
			x.General = append(x.General, assess.General{Code: assess.ContainerGone, Detail: d.Was + " is " + d.What})
		default:
			x.General = append(x.General, assess.General{Code: assess.ContainerDrift, Detail: d.Was + " is " + d.What + ", now " + d.Now})
		}
	}
}

// assessEnds asks the two engines of a migration what they can do now.
func (r *Planner) assessEnds(ctx context.Context, auth gate.Authority, x *assess.Situation) error {
	from, to := assess.Ends(x.Engines)
	note := func(c assess.Code, detail string) {
		x.General = append(x.General, assess.General{Code: c, Detail: detail})
	}
	var c collector
	w := wave.Wave{From: from, To: to}
	for _, f := range x.Features {
		w.HandOvers = append(w.HandOvers, scoping.HandOver{Scope: scoping.Scope{Features: []scoping.Feature{f}}})
	}
	if to == "" {
		w.To = from
	}
	for _, name := range slices.Compact([]string{w.From, w.To}) {
		d, err := r.o.Engines.Describe(ctx, name)
		if err != nil {
			return err
		}
		if name == to && !d.CanShadow {
			note(assess.CannotShadow, name)
		}
		if s := auth.Stopped(name, scoping.Place{}); s != "" {
			note(assess.Stopped, s)
		}
		hl, running := r.health(ctx, name)
		if running && !hl.OK {
			note(assess.Unhealthy, name+" says: "+hl.Message)
		}
		if running && name == to {
			assessAccounts(w, hl, &c)
		}
	}
	for _, f := range x.Features {
		if _, needs := scoping.PurposeOf(f); needs && to != "" && !f.Provisions() {
			r.assessFollowing(f, x, to, note)
		}
	}
	for _, f := range c.list {
		note(assess.NoAccount, f.Message)
	}
	return nil
}

// assessFollowing notes what a feature that follows users asks of the target.
func (r *Planner) assessFollowing(f scoping.Feature, x *assess.Situation, to string, note func(assess.Code, string)) {
	i := slices.IndexFunc(x.Engines, func(e assess.Engine) bool { return e.Name == to })
	switch caps := x.Engines[i].Caps; {
	case !caps.Has(f):
		note(assess.NotCarried, to+": "+string(f))
	default:
		note(assess.WritebackFollow, string(f))
	}
}
