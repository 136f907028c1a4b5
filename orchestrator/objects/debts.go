package objects

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/scoping"
)

// Owed returns what is owed now (standing S2, S3).
func (v *View) Owed() map[ledger.Key]standing.Debt { return v.gate.Debts(v.living) }

// Sweep compares everything, and returns where Owed would have differed (standing S3).
func (v *View) Sweep() []table.Wrong { return v.gate.Sweep(v.living) }

// OwedAs returns what would be owed in scopes if an engine owned them.
func (v *View) OwedAs(name string, scopes []scoping.Scope) map[ledger.Key]standing.Debt {
	debts := v.gate.DebtsAs(name, v.In(scopes))
	v.gate.Read(func(s *ledger.State) {
		for k := range debts {
			if !v.lies(scopes, k.Object, s.Rows.Get(k.Object)) {
				delete(debts, k)
			}
		}
	})
	return debts
}

// Unsettled returns the objects in scopes, linked or not, with a debt. References that wait for an end are left out, as no engine can end that debt.
func (v *View) Unsettled(scopes []scoping.Scope) (ids []scoping.ObjectID) {
	debts := v.Owed()
	v.gate.Read(func(s *ledger.State) {
		for k, d := range debts {
			if d.To != standing.OtherKey && d.Code != standing.EndWaits && v.lies(scopes, k.Object, s.Rows.Get(k.Object)) {
				ids = append(ids, k.Object)
			}
		}
	})
	return distinct(ids)
}

// lies reports whether an object, linked or not, is in scopes, or was there when it was last written.
func (v *View) lies(scopes []scoping.Scope, id scoping.ObjectID, row *ledger.Row) bool {
	if row != nil {
		return v.Inside(scopes, row)
	}
	sight := v.census.Sight(id)
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool {
		return s.Writes(sight.Kind, scoping.Base(sight.Kind)) && s.Covers(sight.Place(id.Directory))
	})
}

// living returns the users, groups and contacts of all directories that are not deleted.
func (v *View) living() (ids []scoping.ObjectID) {
	for _, name := range v.census.Names() {
		v.census.Tree(name, func(t *census.Tree) {
			for id := range t.Under(t.Root) {
				ids = append(ids, id)
			}
		})
	}
	return ids
}
