package gate

import (
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// compared is an object under comparison, with what all its features have in common.
type compared struct {
	id    scoping.ObjectID
	kind  scoping.Kind
	row   *ledger.Row // nil: none
	sight Sight
	place scoping.Place

	answers                map[scoping.Feature]ledger.Unsettled
	inFlight, left, denied bool
}

// compare returns the findings for each key of an object; with a name, as if that engine owned it. g.mu is held.
func (g *Gate) compare(name string, id scoping.ObjectID) (found []table.Finding) {
	o := compared{id: id, row: g.o.Ledger.Rows.Get(id), sight: g.o.Census.Brief(id)}
	o.kind, o.place = o.sight.Kind, o.sight.Place(id.Directory)
	if o.row != nil {
		o.kind = o.row.Kind
	}
	base := scoping.Base(o.kind)
	if base == "" {
		return nil
	}
	o.answers, o.denied = g.o.Ledger.Unsettled[id], g.o.Ledger.CreateRejected(id)
	_, o.inFlight = g.o.Ledger.Pending(id)
	_, o.left = g.o.Ledger.Excluded[id]
	for _, feature := range g.featuresOf(o.kind, base) {
		f := g.o.Without.compares(g.factsOf(name, o, feature))
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

// factsOf collects what all memories know about a feature of an object. g.mu is held.
func (g *Gate) factsOf(name string, o compared, feature scoping.Feature) standing.Facts {
	led, k, kind, row, sight, place := g.o.Ledger, ledger.Key{Object: o.id, Feature: feature}, o.kind, o.row, o.sight, o.place
	f := standing.Facts{Kind: kind, Feature: k.Feature, Now: g.o.Clock.Now().UnixMilli(), Known: sight.Known, Deleted: sight.Deleted, Changed: sight.Reading, Row: row, End: g.end,
		Owner: g.auth.Owner(place, kind, k.Feature).Engine, Rejected: o.denied, InFlight: o.inFlight, Left: o.left}
	if f.Owner == "" {
		f.Owner = scoping.None
	}
	if name != "" {
		f.Owner = name
	}
	f.Mastered = row != nil && row.Cloud != 0 && k.Feature != scoping.PasswordHash
	f.Answered = strings.HasPrefix(o.answers[k.Feature].Code, ledger.HeldAnswer)
	f.Partial = k.Feature == scoping.References && o.answers[k.Feature].Code == string(engine.Partial)
	f.Ran = led.Runs[f.Owner] != nil
	f.Record, f.Recorded = led.OwnerOfRow(row, k.Feature)
	f.Claim, f.Rules = g.o.Claims.Get(f.Owner, k), g.rulesWith(k.Feature, g.ruled[ruledBy{f.Owner, engine.StreamOf(k.Feature), k.Object.Directory}])
	f.SignIn = g.rules.signsIn
	if f.Claim != nil && f.Claim.Unkept != 0 {
		f.Unkept = standing.UnkeptOf(led.Unkept(k))
	}
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
	d, version := g.o.Cache.Digest(id, c.Attrs, c.Seen)
	switch {
	case version != 0 && version == c.Seen:
		return c.Target
	case d == c.Target:
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
	if e, ok := led.OwnerOfRow(row, scoping.Base(row.Kind)); ok && e != scoping.None {
		return e
	}
	if e := auth.Owner(PlaceOf(row.Object, sight, row), row.Kind, scoping.Base(row.Kind)).Engine; e != "" { // the answer that a proposal would get
		return e
	}
	return scoping.None
}
