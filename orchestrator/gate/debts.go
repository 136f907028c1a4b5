package gate

import (
	"reflect"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Debts returns what is owed for each key of the ledger's rows and of the objects that exist in the directories (standing S3). The first call
// compares everything, later ones only what changed since. The facts of all keys are of one moment.
func (g *Gate) Debts(living func() []scoping.ObjectID) map[ledger.Key]standing.Debt {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Glance {
		out := map[ledger.Key]standing.Debt{}
		for o := range g.o.Ledger.Unsettled {
			g.answersOf(o, out)
		}
		return out
	}
	g.compareChanged(living)
	return g.index.Debts()
}

// DebtsAs returns what would be owed if one engine owned everything that it has claims of.
func (g *Gate) DebtsAs(name string, living []scoping.ObjectID) map[ledger.Key]standing.Debt {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[ledger.Key]standing.Debt{}
	if g.o.Glance {
		return out
	}
	g.each(living, func(id scoping.ObjectID) { table.Owed(id, g.compare(name, id), out) })
	return out
}

// DebtsOf returns what is owed for one object.
func (g *Gate) DebtsOf(id scoping.ObjectID) map[ledger.Key]standing.Debt {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := map[ledger.Key]standing.Debt{}
	if g.o.Glance {
		g.answersOf(id, out)
		return out
	}
	table.Owed(id, g.compare("", id), out)
	return out
}

// MissingEnds returns the ends of an object's references that were not in the tenant when an engine spoke of them last, in order. A glance knows of none.
func (g *Gate) MissingEnds(engine string, o scoping.ObjectID) []scoping.ObjectID {
	g.mu.Lock()
	defer g.mu.Unlock()
	c := g.o.Claims.Get(engine, ledger.Key{Object: o, Feature: scoping.References})
	if c == nil {
		return nil
	}
	return slices.Clone(c.Waits)
}

// Sweep compares everything and returns where the index differed: a change that was not noted. The result replaces the index.
func (g *Gate) Sweep(living func() []scoping.ObjectID) []table.Wrong {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.o.Glance {
		return nil
	}
	g.compareChanged(living)
	was := g.index
	g.sweep(living)
	return was.Against(&g.index)
}

// compareChanged brings the index up to date. g.mu is held.
func (g *Gate) compareChanged(living func() []scoping.ObjectID) {
	g.gather()
	ids, all := g.unseen.Take()
	if all || !g.index.Whole() {
		g.sweep(living)
		return
	}
	for id := range g.index.Concerned(ids) {
		g.index.Set(id, g.compare("", id))
	}
}

// sweep fills the index from everything. g.mu is held.
func (g *Gate) sweep(living func() []scoping.ObjectID) {
	g.gather()
	g.unseen.Take() // nothing is left to look at
	g.index.Clear()
	g.each(living(), func(id scoping.ObjectID) { g.index.Set(id, g.compare("", id)) })
}

// each calls f with every object that the ledger has a row of, then with the listed ones without a row, then with those of unanswered writes. Deleted
// objects are included. g.mu is held.
func (g *Gate) each(living []scoping.ObjectID, f func(scoping.ObjectID)) {
	for id := range g.o.Ledger.Rows.Objects() {
		f(id)
	}
	for _, id := range living {
		if !g.o.Ledger.Rows.Has(id) {
			f(id)
		}
	}
	for _, o := range g.o.Ledger.Intents {
		if id := *o.Record.Object; !g.o.Ledger.Rows.Has(id) {
			f(id)
		}
	}
}

// Changed returns the objects that changed in any memory since its last call; all means any of them may have. It is for the caller that updates
// owners and places of links, which uses Unfollowed if that failed.
func (g *Gate) Changed() (ids map[scoping.ObjectID]struct{}, all bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.gather()
	return g.follow.Take()
}

// Unfollowed makes the next Changed return everything.
func (g *Gate) Unfollowed() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.follow.NoteAll()
}

// gather collects the changes of every memory. g.mu is held.
func (g *Gate) gather() {
	for _, memory := range []func() (map[scoping.ObjectID]struct{}, bool){g.o.Ledger.Changed, g.o.Claims.Changed} {
		g.note(memory())
	}
	if seen, every := g.o.Census.Changed(); g.o.Without.notes() {
		g.note(seen, every)
	}
	shown, all := g.o.Cache.Changed()
	ids := map[scoping.ObjectID]struct{}{}
	for cloudID := range shown {
		if row, ok := g.o.Ledger.ByCloud(cloudID); ok {
			ids[row.Object] = struct{}{}
		}
	}
	g.note(ids, all)
}

// note passes changes to both readers: the index and Changed. g.mu is held.
func (g *Gate) note(ids map[scoping.ObjectID]struct{}, all bool) {
	if all {
		g.unseen.NoteAll()
		g.follow.NoteAll()
	}
	for id := range ids {
		g.unseen.Note(id)
		g.follow.Note(id)
	}
}

// rule marks everything as changed if a new authority or new rules may lead to other debts. g.mu is held.
func (g *Gate) rule(a Authority, r Rules) {
	g.note(nil, a.Partition != g.auth.Partition || !reflect.DeepEqual(r, g.rules))
}

// answersOf adds the last answers that left an object's keys unsettled: the debts that a glance, which has no claims, can tell. g.mu is held.
func (g *Gate) answersOf(id scoping.ObjectID, out map[ledger.Key]standing.Debt) {
	for f, d := range g.o.Ledger.Unsettled[id] {
		code := standing.Differs
		if d.Code == string(engine.Partial) {
			code = standing.EndWaits
		}
		out[ledger.Key{Object: id, Feature: f}] = standing.Debt{Code: code, To: standing.Owner}
	}
}

// rulesWith combines the rules by which an engine makes values with those by which the host trims them, for comparison with a claim's; 0: the
// engine's are unknown. Passwords are never trimmed. g.mu is held.
func (g *Gate) rulesWith(f scoping.Feature, engines uint64) uint64 {
	if engines == 0 || engine.StreamOf(f) != engine.Objects {
		return engines
	}
	return engines ^ g.rules.Managed.fingerprint()
}
