package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
)

// TakeOver is what becomes of the values and references that the tenant has when the target of a wave takes them over.
type TakeOver struct {
	Values []ValueSet `json:"values"` // that differ, the most frequent attribute first
	Kept   KeptSet    `json:"kept"`
}

// ValueSet is one attribute to which the target would give other values at the cutover.
type ValueSet struct {
	Attribute string         `json:"attribute"`
	Objects   int            `json:"objects"`
	Examples  []ValueExample `json:"examples"`
}

// ValueExample is one object of a ValueSet with its old and new values.
type ValueExample struct {
	Object string   `json:"object"`
	Tenant []string `json:"tenant"`
	Wanted []string `json:"wanted"`
}

// KeptSet are the references that others wrote in the tenant, and that the target leaves there.
type KeptSet struct {
	References int      `json:"references"`
	Objects    int      `json:"objects"`  // that have them
	Examples   []string `json:"examples"` // "GROUP: MEMBER; MEMBER"
}

// takeOver returns what a shadow run found about what the tenant has; nil if nothing of it differs and nothing is kept. Objects that the target would make are left out:
// the tenant has nothing of them.
func (r *Planner) takeOver(js []gate.Judgement) *TakeOver {
	out := TakeOver{Values: []ValueSet{}, Kept: KeptSet{Examples: []string{}}}
	sets := map[string]*ValueSet{}
	for _, j := range js {
		if n := len(j.Foreign); n > 0 {
			out.Kept.References, out.Kept.Objects = out.Kept.References+n, out.Kept.Objects+1
			if len(out.Kept.Examples) < maxExamples {
				name := cmp.Or(j.Name, r.o.View.Name(j.Key.Object))
				out.Kept.Examples = append(out.Kept.Examples, name+": "+objects.Few(r.o.View.CloudNames(j.Foreign, mostNamed), n))
			}
		}
		if j.Effect() == gate.EffectUpdate && r.o.View.References(j, 0) == nil {
			takesOver(sets, j)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(sets)) {
		out.Values = append(out.Values, *sets[name])
	}
	slices.SortStableFunc(out.Values, func(a, b ValueSet) int { return cmp.Compare(b.Objects, a.Objects) })
	if len(out.Values) == 0 && out.Kept.References == 0 {
		return nil
	}
	return &out
}

// takesOver adds the values that a judgement would write to the sets of their attributes.
func takesOver(sets map[string]*ValueSet, j gate.Judgement) {
	for name, wanted := range j.After {
		s := sets[name]
		if s == nil {
			s = &ValueSet{Attribute: name, Examples: []ValueExample{}}
			sets[name] = s
		}
		s.Objects++
		if len(s.Examples) < maxExamples {
			s.Examples = append(s.Examples, ValueExample{Object: j.Name, Tenant: orNone(j.Before[name]), Wanted: orNone(wanted)})
		}
	}
}

// orNone returns a list that JSON does not encode as null.
func orNone(values []string) []string {
	if values == nil {
		return []string{}
	}
	return values
}
