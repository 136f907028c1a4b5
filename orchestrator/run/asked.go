package run

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// manyUnasked is the number of unasked keys up to which they are always asked for singly (standing S2a).
const manyUnasked = 1000

// owed returns the keys that an engine is to be asked for, in order. Keys without a claim by its present rules are left out if they are more than a
// fifth of the ledger's rows, and many is true: the engine has its first full run still to make, or to finish (standing S2a). Objects that changed
// since their claim do not count: the engine's next run reports them by itself.
func (r *Runner) owed(name string, stream engine.Stream) (keys []ledger.Key, many bool) {
	var unasked []ledger.Key
	for k, d := range r.o.View.Owed() {
		switch {
		case engine.StreamOf(k.Feature) != stream:
		case d.To != standing.Owner || d.Engine != name || d.Code == standing.Leaves:
		case d.Code == standing.Unasked && !d.Expected:
			unasked = append(unasked, k)
		default:
			keys = append(keys, k)
		}
	}
	known := 0
	r.o.Gate.Read(func(s *ledger.State) { known = s.Rows.Len() })
	if many = len(unasked) > manyUnasked && len(unasked)*5 > known; !many {
		keys = append(keys, unasked...)
	}
	slices.SortFunc(keys, ledger.Key.Compare)
	return keys, many
}

// maxRounds is how often a run asks for what is owed: objects made in one round may settle others in the next.
const maxRounds = 3

// askOwed asks for the keys that are owed by this engine and that it did not mention, and notes those that it then said nothing about (standing S2a).
func (c *conversation) askOwed(ctx context.Context) (answered bool, err error) {
	asked := map[scoping.ObjectID]bool{}
	for range maxRounds {
		owed, _ := c.r.owed(c.q.Engine, c.q.Stream)
		owed = slices.DeleteFunc(owed, func(k ledger.Key) bool { return c.session.Seen(k) || asked[k.Object] })
		if owed, err = c.able(ctx, owed); err != nil {
			return false, err
		}
		var ids []scoping.ObjectID
		for _, k := range owed {
			ids = append(ids, k.Object)
		}
		if ids = slices.Compact(ids); len(ids) == 0 {
			break
		}
		if answered, err = c.ask(ctx, engine.ProfileObjects, ids); err != nil || !answered {
			return answered, err
		}
		if err := c.session.Silent(ctx, owed); err != nil {
			return false, err
		}
		for _, id := range ids {
			asked[id] = true
		}
	}
	return true, nil
}

// able returns the keys whose features the engine has, and notes that it never answers for the others: references follow an object to its owner, also
// if that engine has no references.
func (c *conversation) able(ctx context.Context, keys []ledger.Key) ([]ledger.Key, error) {
	d, err := c.r.o.Engines.Describe(ctx, c.q.Engine)
	if err != nil {
		return nil, fmt.Errorf("asking engine %s what it can do: %w", c.q.Engine, err)
	}
	var without []ledger.Key
	keys = slices.DeleteFunc(keys, func(k ledger.Key) bool {
		has := slices.Contains(d.Features, k.Feature)
		if !has {
			without = append(without, k)
		}
		return !has
	})
	return keys, c.session.Unable(ctx, without)
}

// owing returns the keys with one kind of debt that the engine can end, in order.
func (c *conversation) owing(code standing.Code) (keys []ledger.Key) {
	for k, d := range c.r.o.View.Owed() {
		if d.Code == code && d.Engine == c.q.Engine && engine.StreamOf(k.Feature) == c.q.Stream {
			keys = append(keys, k)
		}
	}
	slices.SortFunc(keys, ledger.Key.Compare)
	return keys
}

// silent notes the keys that a complete full run did not mention, since such a run answers for everything in its scopes (standing S2a).
func (c *conversation) silent(ctx context.Context) error {
	keys, err := c.able(ctx, c.owing(standing.Unasked))
	if err != nil {
		return err
	}
	return c.session.Silent(ctx, keys)
}

// claims proposes, on the owner's behalf, deletes that the census saw and the engine did not propose (rule P4). They are judged together with the
// run's own.
func (c *conversation) claims(ctx context.Context) error {
	died := c.owing(standing.Died)
	var ps []engine.Proposal
	c.r.o.Gate.Read(func(led *ledger.State) {
		for _, k := range died {
			row := led.Rows.Get(k.Object)
			if j, said := c.session.Said(k); row == nil || said && j.Outcome != engine.Stale {
				continue // stale: the object was deleted where the engine has no grant, and the host's proposal is not stale
			}
			ps = append(ps, engine.Proposal{Object: k.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Want: engine.Gone})
		}
	})
	for chunk := range slices.Chunk(ps, engine.MaxBatch) {
		if _, err := c.session.Claim(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

// farewells asks the former owner for the last values of objects that moved to where no engine writes (rules T2, T4).
func (c *conversation) farewells(ctx context.Context, out *Report) error {
	leaving := map[scoping.ObjectID]bool{}
	var ids []scoping.ObjectID
	scopes := map[string]scoping.Scope{}
	for _, k := range c.owing(standing.Leaves) {
		id := k.Object
		leaving[id] = true
		ids = append(ids, id)
		s := scopes[id.Directory]
		s.Directory, s.Features = id.Directory, []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References, scoping.Extensions}
		chain := c.r.o.Census.Brief(id).Chain
		s.Under = chain[len(chain)-1]
		scopes[id.Directory] = s
	}
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

// unclaimed lists the objects that the engine owns and did not propose in a full run, and those in transit to it that it did not claim (rules P4,
// T1).
func (c *conversation) unclaimed(ctx context.Context, o SyncOptions, complete bool, out *Report) error {
	if !complete {
		return nil
	}
	var rec []ledger.Record
	auth, debts := c.r.o.Gate.Authority(), c.r.o.View.Owed()
	c.r.o.Gate.Read(func(led *ledger.State) {
		looked := led.Rows.InTransit()
		full := o.Profile == engine.ProfileFull && o.Under == ""
		if full {
			looked = led.Objects()
		}
		for _, id := range looked {
			row := led.Rows.Get(id)
			sight := c.r.o.Census.Sight(id)
			k := ledger.Key{Object: id, Feature: scoping.Base(row.Kind)}
			if row.State != ledger.Live || sight.Deleted || c.r.o.View.Owner(auth, id, row.Kind) != c.q.Engine {
				continue
			}
			switch {
			case row.Transit != nil && row.Transit.To == c.q.Engine:
				if j, said := c.session.Said(k); said && j.Want == engine.Present && j.Outcome != engine.Stale {
					continue // it claims the object: what keeps the key from being settled, such as a held write, is in its answer
				} else if !said && debts[k].Code == standing.Differs {
					continue // it claimed the object in an earlier run, and is not asked again
				}
				t := *row.Transit
				if t.Runs++; t.Runs > 2 { // it was reported
					out.leave(sight.Name)
					continue
				}
				rec = append(rec, ledger.Record{Type: ledger.TransitType, Engine: c.q.Engine, Object: &row.Object, Kind: row.Kind, Name: row.Name, Feature: k.Feature, Op: "transit", Reason: "not claimed", Transit: &t})
				if t.Runs >= 2 {
					out.leave(sight.Name)
				}
			case full && !c.session.Seen(k):
				out.leave(sight.Name)
			}
		}
	})
	return c.r.o.Gate.Record(ctx, rec...)
}
