package objects

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// Pin finds where a pinned container is now, by the census.
func (v *View) Pin(id scoping.ObjectID) (scoping.Pin, bool) {
	var p scoping.Pin
	ok := false
	v.census.Tree(id.Directory, func(t *census.Tree) {
		if id.GUID == t.Root {
			p, ok = scoping.Pin{GUID: id.GUID, DN: t.RootDN}, true
			return
		}
		o, known := t.Get(id.GUID)
		if !known || o.Deleted {
			return
		}
		p, ok = scoping.Pin{GUID: id.GUID, DN: t.DN(id.GUID), Ancestors: t.Place(id.GUID).Ancestors}, true
	})
	return p, ok
}

// Drift returns what the pinned containers and groups of a partition have become, those included whose name is another one's now.
func (v *View) Drift(p *scoping.Partition) []scoping.Drift {
	ds := p.Drift(v.Pin)
	for i, d := range ds {
		dn, err := scoping.ParseDN(d.Was)
		if d.What != scoping.Vanished || err != nil {
			continue
		}
		v.census.Tree(d.Directory, func(t *census.Tree) {
			if g, ok := t.Named(dn); ok && g != d.GUID {
				ds[i].What, ds[i].Now = scoping.Recreated, t.DN(g)
			}
		})
	}
	return ds
}

// In returns the living objects of the census in scopes whose base feature the scopes hold.
func (v *View) In(scopes []scoping.Scope) []scoping.ObjectID {
	var out []scoping.ObjectID
	for _, n := range v.census.Names() {
		for _, s := range scopes {
			if s.Directory == n {
				out = append(out, v.under(s)...)
			}
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return slices.Compact(out)
}

// under returns the living objects of one scope.
func (v *View) under(s scoping.Scope) []scoping.ObjectID {
	var out []scoping.ObjectID
	v.census.Tree(s.Directory, func(t *census.Tree) {
		for id := range t.Under(s.Under) {
			o, _ := t.Get(id.GUID)
			if s.Writes(o.Kind, scoping.Base(o.Kind)) && s.Covers(t.Place(id.GUID)) {
				out = append(out, id)
			}
		}
	})
	return out
}

// Overlap reports whether two sets of scopes can hold the same object: one's top lies in the other.
func (v *View) Overlap(a, b []scoping.Scope) bool {
	in := func(x, y scoping.Scope) bool {
		p, ok := v.Pin(scoping.ObjectID{Directory: x.Directory, GUID: x.Under})
		return ok && y.Spans(scoping.Place{Directory: x.Directory, Ancestors: append([]scoping.GUID{x.Under}, p.Ancestors...)})
	}
	for _, x := range a {
		for _, y := range b {
			if x.Directory == y.Directory && !apart(x, y) && (in(x, y) || in(y, x)) {
				return true
			}
		}
	}
	return false
}

// apart reports whether no object can be in both scopes because one wants it taken by a choice and the other not.
func apart(x, y scoping.Scope) bool {
	in := func(s []scoping.GUID) func(scoping.GUID) bool {
		return func(g scoping.GUID) bool { return slices.Contains(s, g) }
	}
	return slices.ContainsFunc(x.With, in(y.Without)) || slices.ContainsFunc(x.Without, in(y.With))
}

// Inside reports whether a row's object lies in scopes now, or lay there when it was last written.
func (v *View) Inside(scopes []scoping.Scope, row *ledger.Row) bool {
	f := scoping.Base(row.Kind)
	places := []scoping.Place{}
	if s := v.census.Sight(row.Object); s.Known {
		places = append(places, s.Place(row.Object.Directory))
	}
	if l := row.Features[f]; l != nil {
		places = append(places, scoping.Place{Directory: row.Object.Directory, Ancestors: l.Chain, Chosen: l.Chosen})
	}
	for _, p := range places {
		for _, s := range scopes {
			if s.Writes(row.Kind, f) && s.Covers(p) {
				return true
			}
		}
	}
	return false
}

// Dead returns the base features of the objects in scopes that are deleted in the directory and still in the tenant: nobody proposes them
// again, least of all those that died while no engine owned them (rules P2, P4).
func (v *View) Dead(scopes []scoping.Scope) []ledger.Key {
	var keys []ledger.Key
	v.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row, sight := led.Rows.Get(id), v.census.Sight(id)
			if (row.State == ledger.Live || row.State == ledger.ParkedRow) && sight.Known && sight.Gone && v.Inside(scopes, row) {
				keys = append(keys, ledger.Key{Object: id, Feature: scoping.Base(row.Kind)})
			}
		}
	})
	return keys
}
