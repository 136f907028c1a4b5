package table

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/scoping"
)

// Index is the result of comparison, so that only changed objects are compared again (rule S3). It is a cache in memory: a sweep, which compares
// everything, has to find the same. It is not safe for concurrent use.
type Index struct {
	found   map[scoping.ObjectID][]Finding // of objects with a debt or a wait; nil: nothing was compared yet
	holders map[scoping.ObjectID]map[scoping.ObjectID]struct{}
	timed   map[scoping.ObjectID]struct{} // objects with a debt that may change by time alone
}

// Finding is the result of comparing one feature of an object, if there is a debt or an end that it waits for.
type Finding struct {
	Feature scoping.Feature
	Debt    standing.Debt
	Waits   []scoping.ObjectID // ends that the owner's claim waits for: when one comes, the object is compared again
}

// Whole reports whether everything was compared since the index was made.
func (x *Index) Whole() bool { return x.found != nil }

// Clear empties the index, for a sweep that fills it.
func (x *Index) Clear() {
	*x = Index{found: map[scoping.ObjectID][]Finding{}, holders: map[scoping.ObjectID]map[scoping.ObjectID]struct{}{}, timed: map[scoping.ObjectID]struct{}{}}
}

// Set replaces the findings of an object.
func (x *Index) Set(id scoping.ObjectID, found []Finding) {
	for _, f := range x.found[id] {
		for _, end := range f.Waits {
			if delete(x.holders[end], id); len(x.holders[end]) == 0 {
				delete(x.holders, end)
			}
		}
	}
	delete(x.timed, id)
	delete(x.found, id)
	if len(found) == 0 {
		return
	}
	x.found[id] = found
	for _, f := range found {
		if f.Debt.Timed {
			x.timed[id] = struct{}{}
		}
		for _, end := range f.Waits {
			if x.holders[end] == nil {
				x.holders[end] = map[scoping.ObjectID]struct{}{}
			}
			x.holders[end][id] = struct{}{}
		}
	}
}

// Concerned returns changed objects and those that depend on them: holders of references that wait for them, and all objects whose debts may change
// by time. The latter are few: their engines were asked without success.
func (x *Index) Concerned(ids map[scoping.ObjectID]struct{}) map[scoping.ObjectID]struct{} {
	out := map[scoping.ObjectID]struct{}{}
	maps.Copy(out, ids)
	maps.Copy(out, x.timed)
	for id := range ids {
		maps.Copy(out, x.holders[id])
	}
	return out
}

// Debts returns what is owed. The map is the caller's.
func (x *Index) Debts() map[ledger.Key]standing.Debt {
	out := make(map[ledger.Key]standing.Debt, len(x.found))
	for id, found := range x.found {
		Owed(id, found, out)
	}
	return out
}

// Owed adds the debts among the findings of an object to out.
func Owed(id scoping.ObjectID, found []Finding, out map[ledger.Key]standing.Debt) {
	for _, f := range found {
		if f.Debt.Code != standing.Settled {
			out[ledger.Key{Object: id, Feature: f.Feature}] = f.Debt
		}
	}
}

// Wrong is a key with another debt in the index than a sweep found.
type Wrong struct {
	Key         ledger.Key
	Held, Found standing.Debt
}

// Against returns where an index and a sweep differ, in order.
func (x *Index) Against(sweep *Index) (out []Wrong) {
	held, found := x.Debts(), sweep.Debts()
	for k, d := range held {
		if found[k] != d {
			out = append(out, Wrong{k, d, found[k]})
		}
	}
	for k, d := range found {
		if _, known := held[k]; !known {
			out = append(out, Wrong{k, standing.Debt{}, d})
		}
	}
	slices.SortFunc(out, func(a, b Wrong) int { return a.Key.Compare(b.Key) })
	return out
}
