package answer

import (
	"cmp"
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/scoping"
)

// LeftSet are the objects that one engine, or the policy, leaves out for one reason.
type LeftSet struct {
	Engine   string // empty: the policy assigns them to none
	Reason   objects.Reason
	Kinds    map[scoping.Kind]int
	Count    int
	Linked   int      // of these the ones in the tenant, which stay there unchanged
	Examples []string // the first by name
}

// mostLeft is the most objects of a set that are named.
const mostLeft = 3

// LeftFilter narrows what LeftOut returns.
type LeftFilter struct {
	Engine string
	Reason objects.Reason
}

func (f LeftFilter) takes(x objects.Left) bool {
	return (f.Engine == "" || f.Engine == x.Engine) && (f.Reason == "" || f.Reason == x.Reason)
}

// LeftOut returns the objects of the directories that are left out, in order, and as sets. Deleted objects are not among them.
func (a *Desk) LeftOut(ctx context.Context, f LeftFilter) ([]LeftSet, []objects.Left, error) {
	if _, err := a.o.Control.Partition(); err != nil {
		return nil, nil, err
	}
	if err := a.o.Look(ctx); err != nil {
		return nil, nil, err
	}
	all := slices.DeleteFunc(a.o.View.AllLeft(), func(x objects.Left) bool { return !f.takes(x) })
	return a.leftSets(all), all, nil
}

// LeftByRules returns the sets that engines leave out by their rules; of one engine, or of all. It is fast, whatever the size of the directories.
func (a *Desk) LeftByRules(engine string) []LeftSet {
	f := LeftFilter{Engine: engine}
	return a.leftSets(slices.DeleteFunc(a.o.View.RuledOut(), func(x objects.Left) bool { return !f.takes(x) }))
}

// example adds an object's name to the set, if it is among the first.
func (s *LeftSet) example(name string) {
	at, _ := slices.BinarySearch(s.Examples, name)
	if at < mostLeft {
		s.Examples = slices.Insert(s.Examples, at, name)
		s.Examples = s.Examples[:min(len(s.Examples), mostLeft)]
	}
}

// leftSets groups objects into sets, the largest first.
func (a *Desk) leftSets(all []objects.Left) []LeftSet {
	type key struct {
		engine string
		reason objects.Reason
	}
	sets := map[key]*LeftSet{}
	for _, x := range all {
		k := key{x.Engine, x.Reason}
		s := sets[k]
		if s == nil {
			s = &LeftSet{Engine: x.Engine, Reason: x.Reason, Kinds: map[scoping.Kind]int{}}
			sets[k] = s
		}
		s.Count++
		s.Kinds[x.Kind]++
		if x.Linked {
			s.Linked++
		}
		s.example(a.o.View.Name(x.Object))
	}
	out := make([]LeftSet, 0, len(sets))
	for _, s := range sets {
		out = append(out, *s)
	}
	slices.SortFunc(out, func(a, b LeftSet) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Engine, b.Engine), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}
