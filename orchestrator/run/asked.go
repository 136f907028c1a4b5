package run

import (
	"context"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// dirty asks for what has to be asked for again and is this engine's now (rule P2).
func (c *conversation) dirty(ctx context.Context) (bool, error) {
	ids := c.r.dirtyOf(c.q.Engine, c.session)
	if len(ids) == 0 {
		return true, nil
	}
	return c.ask(ctx, engine.ProfileObjects, ids)
}

// dirtyOf returns the dirty objects that an engine owns, or owned last if they are gone, and that the session has not heard of.
func (r *Runner) dirtyOf(name string, s *gate.Session) []scoping.ObjectID {
	auth := r.o.Gate.Authority()
	var ids []scoping.ObjectID
	r.o.Gate.Read(func(led *ledger.State) {
		for _, k := range led.DirtyKeys() {
			if s != nil && s.Seen(k) {
				continue
			}
			if r.o.View.Addressee(led, auth, k) == name {
				ids = append(ids, k.Object)
			}
		}
	})
	return slices.Compact(ids)
}

// claims carries out, on the owner's behalf, the deletes that the census saw and the engine did not propose (rule P4). They are judged with the
// run's own.
func (c *conversation) claims(ctx context.Context) error {
	var ps []engine.Proposal
	auth := c.r.o.Gate.Authority()
	c.r.o.Gate.Read(func(led *ledger.State) {
		for _, k := range led.DirtyKeys() {
			row := led.Rows.Get(k.Object)
			if row == nil || k.Feature != scoping.Base(row.Kind) || row.State == ledger.DeletedByTandem {
				continue
			}
			if j, said := c.session.Said(k); said && j.Outcome != engine.Stale {
				continue // stale: it died where the engine has no grant, and the host is as fresh as can be
			}
			sight := c.r.o.Census.Sight(k.Object)
			if !sight.Gone || c.r.o.View.OwnerOfGone(led, auth, row) != c.q.Engine {
				continue
			}
			ps = append(ps, engine.Proposal{Object: k.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Want: engine.Gone})
		}
	})
	if len(ps) == 0 {
		return nil
	}
	for chunk := range slices.Chunk(ps, engine.MaxBatch) {
		if _, err := c.session.Claim(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// farewells asks the old owner for the last values of what left for where no engine writes (rules T2, T4).
func (c *conversation) farewells(ctx context.Context, out *Report) error {
	leaving := map[scoping.ObjectID]bool{}
	var ids []scoping.ObjectID
	scopes := map[string]scoping.Scope{}
	c.r.o.Gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			sight := c.r.o.Census.Sight(id)
			if row.Transit == nil || row.Transit.To != scoping.None || row.Transit.From != c.q.Engine || sight.Gone || !sight.Known {
				continue
			}
			leaving[id] = true
			ids = append(ids, id)
			s := scopes[id.Directory]
			s.Directory, s.Features = id.Directory, []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}
			s.Under = sight.Chain[len(sight.Chain)-1]
			scopes[id.Directory] = s
		}
	})
	if len(ids) == 0 {
		return nil
	}
	q := Request{Engine: c.q.Engine, Profile: engine.ProfileObjects, Ceiling: engine.ModeOwn, Wave: c.q.Wave, farewell: leaving}
	for _, n := range slices.Sorted(maps.Keys(scopes)) {
		q.Scopes = append(q.Scopes, scopes[n])
	}
	f := c.r.begin(q, nil)
	complete, err := f.ask(ctx, q.Profile, ids)
	if err != nil {
		return err
	}
	if f.Summary, err = f.session.End(ctx, complete); err != nil {
		return err
	}
	out.count(f.Summary)
	out.Judgements = append(out.Judgements, f.Summary.Judgements...)
	return nil
}

// unclaimed lists what the engine owns and, in a full run, did not propose; and what is in transit to it and was not claimed (rules P4, T1).
func (c *conversation) unclaimed(ctx context.Context, o SyncOptions, complete bool, out *Report) error {
	if !complete {
		return nil
	}
	var rec []ledger.Record
	auth := c.r.o.Gate.Authority()
	c.r.o.Gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			sight := c.r.o.Census.Sight(id)
			k := ledger.Key{Object: id, Feature: scoping.Base(row.Kind)}
			if row.State != ledger.Live || sight.Gone || c.r.o.View.Owner(auth, id, row.Kind) != c.q.Engine {
				continue
			}
			switch {
			case row.Transit != nil && row.Transit.To == c.q.Engine:
				if j, said := c.session.Said(k); said && j.Want == engine.Present && j.Outcome != engine.Stale {
					continue // it claims the object: what keeps that from settling, such as a held write, stands in its answer
				}
				t := *row.Transit
				t.Runs++
				rec = append(rec, ledger.Record{Type: ledger.TransitType, Engine: c.q.Engine, Object: &row.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Op: "transit", Reason: "not claimed", Transit: &t})
				if t.Runs >= 2 {
					out.leave(sight.Name)
				}
			case o.Profile == engine.ProfileFull && o.Under == "" && !c.session.Seen(k):
				out.leave(sight.Name)
			}
		}
	})
	return c.r.o.Gate.Record(ctx, rec...)
}
