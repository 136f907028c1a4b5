package table

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/scoping"
)

// Index is what comparison found owed, so that it looks again only where something changed (rule S3). It is a cache in memory: a sweep, which looks at everything,
// has to find the same. It is not safe for concurrent use.
type Index struct {
	found   map[scoping.ObjectID][]Finding // of objects with something to remember; nil: nothing was compared yet
	holders map[scoping.ObjectID]map[scoping.ObjectID]struct{}
	timed   map[scoping.ObjectID]struct{} // objects of which a debt hangs on the time
}

// Finding is what comparison found of one feature of an object, if there is a debt or an end that is waited for.
type Finding struct {
	Feature scoping.Feature
	Debt    standing.Debt
	Waits   []scoping.ObjectID // ends that the owner's claim waits for: when one comes, it has to be looked at again
}

// Whole reports whether everything was compared since the index was made.
func (x *Index) Whole() bool { return x.found != nil }

// Clear empties the index, for a sweep that fills it.
func (x *Index) Clear() {
	*x = Index{found: map[scoping.ObjectID][]Finding{}, holders: map[scoping.ObjectID]map[scoping.ObjectID]struct{}{}, timed: map[scoping.ObjectID]struct{}{}}
}

// Set puts what comparison found of an object in place of what it found before.
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

// Concerned adds to objects that changed those whose standing hangs on them, which are holders of references that wait for them, and those of whose debts it hangs on
// the time: there are few, for each was asked for in vain.
func (x *Index) Concerned(ids map[scoping.ObjectID]struct{}) map[scoping.ObjectID]struct{} {
	out := map[scoping.ObjectID]struct{}{}
	maps.Copy(out, ids)
	maps.Copy(out, x.timed)
	for id := range ids {
		maps.Copy(out, x.holders[id])
	}
	return out
}

// Debts returns what is owed. It is the caller's.
func (x *Index) Debts() map[ledger.Key]standing.Debt {
	out := make(map[ledger.Key]standing.Debt, len(x.found))
	for id, found := range x.found {
		Owed(id, found, out)
	}
	return out
}

// Owed adds the debts among what was found of an object.
func Owed(id scoping.ObjectID, found []Finding, out map[ledger.Key]standing.Debt) {
	for _, f := range found {
		if f.Debt.Code != standing.Settled {
			out[ledger.Key{Object: id, Feature: f.Feature}] = f.Debt
		}
	}
}

// Wrong is a key of which an index said something else than comparison of everything found.
type Wrong struct {
	Key         ledger.Key
	Held, Found standing.Debt
}

// Against returns where an index says something else than a sweep, in order.
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
