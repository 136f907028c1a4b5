package gate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// desired gives a proposal's values in the canonical form of the tenant.
func desired(p engine.Proposal) cloud.Values {
	out := cloud.Values{}
	for k, v := range p.Desired {
		t := slices.DeleteFunc(slices.Clone(v.Text), func(s string) bool { return s == "" })
		slices.Sort(t)
		out[k] = t
	}
	return out
}

// difference gives the part of want that have does not show, and what have shows there.
func difference(have, want cloud.Values) (set, before cloud.Values) {
	set, before = cloud.Values{}, cloud.Values{}
	for k, w := range want {
		if h := have[k]; !slices.Equal(h, w) {
			set[k] = w
			before[k] = h
		}
	}
	return set, before
}
