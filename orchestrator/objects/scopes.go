package objects

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// Pin returns where a pinned container is now, by the census.
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

// Drift returns what changed about a partition's pinned containers and groups, including names that now belong to another object.
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

// In returns the objects in scopes whose base feature the scopes include; deleted ones are left out.
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

// Due returns the number of answers that a full run over scopes has to give: of each living object one about itself, and one about its references where the scope holds
// them. It returns 0 where choices leave some of the objects to other engines, since the number is not known then.
func (v *View) Due(scopes []scoping.Scope) (n int) {
	for _, s := range scopes {
		if s.Chooses() {
			return 0
		}
		v.census.Tree(s.Directory, func(t *census.Tree) {
			for id := range t.Under(s.Under) {
				o, _ := t.Get(id.GUID)
				if !s.Covers(t.Place(id.GUID)) {
					continue
				}
				if s.Writes(o.Kind, scoping.Base(o.Kind)) {
					n++
				}
				if o.Kind != scoping.Device && s.Writes(o.Kind, scoping.References) { // devices refer to nothing
					n++
				}
			}
		})
	}
	return n
}

// under returns the objects of one scope; deleted ones are left out.
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

// Overlap reports whether two sets of scopes may share an object: the top of one is in the other.
func (v *View) Overlap(a, b []scoping.Scope) bool {
	in := func(x, y scoping.Scope) bool {
		p, ok := v.Pin(scoping.ObjectID{Directory: x.Directory, GUID: x.Under})
		return ok && y.Spans(scoping.Place{Directory: x.Directory, Ancestors: append([]scoping.GUID{x.Under}, p.Ancestors...)})
	}
	for _, x := range a {
		for _, y := range b {
			if x.Directory == y.Directory && !disjoint(x, y) && (in(x, y) || in(y, x)) {
				return true
			}
		}
	}
	return false
}

// disjoint reports whether no object can be in both scopes, because one includes a choice that the other excludes.
func disjoint(x, y scoping.Scope) bool {
	in := func(s []scoping.GUID) func(scoping.GUID) bool {
		return func(g scoping.GUID) bool { return slices.Contains(s, g) }
	}
	return slices.ContainsFunc(x.With, in(y.Without)) || slices.ContainsFunc(x.Without, in(y.With))
}

// Inside reports whether a row's object is in scopes now, or was there when it was last written.
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

// DeletedIn returns the base features of the objects in scopes that are deleted in the directory and still in the tenant. Engines do not propose them
// again, in particular those that were deleted while no engine owned them (rules P2, P4).
func (v *View) DeletedIn(scopes []scoping.Scope) []ledger.Key {
	var keys []ledger.Key
	v.gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row, sight := led.Rows.Get(id), v.census.Sight(id)
			if (row.State == ledger.Live || row.State == ledger.ParkedRow) && sight.Known && sight.Deleted && v.Inside(scopes, row) {
				keys = append(keys, ledger.Key{Object: id, Feature: scoping.Base(row.Kind)})
			}
		}
	})
	return keys
}
