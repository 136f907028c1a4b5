package gate

import (
	"reflect"
	"slices"
	"strings"

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

// compare returns the findings for each key of an object; with a name, as if that engine owned it. g.mu is held.
func (g *Gate) compare(name string, id scoping.ObjectID) (found []table.Finding) {
	row, sight := g.o.Ledger.Rows.Get(id), g.o.Census.Brief(id)
	kind := sight.Kind
	if row != nil {
		kind = row.Kind
	}
	base := scoping.Base(kind)
	if base == "" {
		return nil
	}
	for _, feature := range g.featuresOf(kind, base) {
		f := g.o.Without.compares(g.factsOf(name, ledger.Key{Object: id, Feature: feature}, kind, row, sight))
		x := table.Finding{Feature: feature, Debt: standing.Of(f)}
		if f.Claim != nil {
			x.Waits = f.Claim.Waits
		}
		if x.Debt.Code != standing.Settled || len(x.Waits) > 0 {
			found = append(found, x)
		}
	}
	return found
}

// rulesWith combines the rules by which an engine makes values with those by which the host trims them, for comparison with a claim's; 0: the
// engine's are unknown. Passwords are never trimmed. g.mu is held.
func (g *Gate) rulesWith(f scoping.Feature, engines uint64) uint64 {
	if engines == 0 || engine.StreamOf(f) != engine.Objects {
		return engines
	}
	return engines ^ g.rules.Managed.fingerprint()
}

// factsOf collects what all memories know about a key. g.mu is held.
func (g *Gate) factsOf(name string, k ledger.Key, kind scoping.Kind, row *ledger.Row, sight Sight) standing.Facts {
	led := g.o.Ledger
	place := sight.Place(k.Object.Directory)
	f := standing.Facts{Kind: kind, Feature: k.Feature, Now: g.o.Clock.Now().UnixMilli(), Known: sight.Known, Deleted: sight.Deleted, Changed: sight.Reading, Row: row, End: g.end,
		Owner: g.auth.Owner(place, kind, k.Feature).Engine, Rejected: led.CreateRejected(k.Object)}
	if f.Owner == "" {
		f.Owner = scoping.None
	}
	if name != "" {
		f.Owner = name
	}
	f.Mastered = row != nil && row.Cloud != 0 && k.Feature != scoping.PasswordHash
	f.Answered = strings.HasPrefix(led.Unsettled[k.Object][k.Feature].Code, ledger.HeldAnswer)
	f.Partial = k.Feature == scoping.References && led.Unsettled[k.Object][k.Feature].Code == string(engine.Partial)
	f.Ran = led.Runs[f.Owner] != nil
	_, f.InFlight = led.Pending(k.Object)
	_, f.Left = led.Excluded[k.Object]
	f.Record, f.Recorded = led.OwnerOfRecord(k.Object, k.Feature)
	f.Claim, f.Rules = g.o.Claims.Get(f.Owner, k), g.rulesWith(k.Feature, g.ruled[ruledBy{f.Owner, engine.StreamOf(k.Feature), k.Object.Directory}])
	f.SignIn = g.rules.signsIn
	f.Unkept = standing.UnkeptOf(led.Unkept(k))
	switch {
	case row == nil:
		f.Expected = g.o.Census.Expected(k.Object)
	case sight.Deleted:
		f.Last = OwnerOfGone(led, g.auth, row, sight)
	}
	if k.Feature == scoping.PasswordHash {
		f.Target, f.Temporary = agreedPassword(row), g.rules.Temporary
	} else if c := f.Claim; c != nil && row != nil && row.CloudID != "" {
		f.Target = g.digest(row.CloudID, f.Owner, k, c)
	}
	return f
}

// digest returns the digest of the tenant object over the attributes of an engine's claim. It reads the object only if that changed since it was last
// found equal. g.mu is held.
func (g *Gate) digest(id, name string, k ledger.Key, c *standing.Claim) uint64 {
	version := g.o.Cache.Version(id)
	if version != 0 && version == c.Seen {
		return c.Target
	}
	o, ok := g.o.Cache.Get(id)
	if !ok {
		return 0
	}
	d := standing.Digest(&o, c.Attrs)
	if d == c.Target {
		g.o.Claims.Saw(name, k, version)
	}
	return d
}

// end returns what can be done about a reference's end that was not in the tenant. g.mu is held.
func (g *Gate) end(id scoping.ObjectID) standing.End {
	switch _, s := g.resolve(id); s {
	case RefLinked:
		return standing.There
	case RefWaits:
		return standing.Waits
	}
	return standing.Left
}

// OwnerOfGone returns the engine that may delete a deleted object: the owner of record, else the engine of its last place (rule L2 holds the delete
// then).
func OwnerOfGone(led *ledger.State, auth Authority, row *ledger.Row, sight Sight) string {
	if e, ok := led.OwnerOfRecord(row.Object, scoping.Base(row.Kind)); ok && e != scoping.None {
		return e
	}
	if e := auth.Owner(PlaceOf(row.Object, sight, row), row.Kind, scoping.Base(row.Kind)).Engine; e != "" { // the answer that a proposal would get
		return e
	}
	return scoping.None
}
