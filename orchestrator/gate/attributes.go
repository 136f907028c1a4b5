package gate

import (
	"cmp"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// Leaves reports whether the policy leaves an attribute of a kind unmanaged, whatever an engine proposes of it.
func (m Managed) Leaves(k scoping.Kind, name string) bool {
	return m.LeaveOut[name] || attribute.FeatureOf(k, name) == scoping.Extensions && !m.Extensions[name]
}

// trim returns a proposal without what the policy leaves unmanaged: it is neither written nor cleared, and nothing is owed of it.
func (m Managed) trim(p engine.Proposal) engine.Proposal {
	cloned := false
	for n := range p.Desired {
		if attribute.FeatureOf(p.Kind, n) != p.Feature || !m.Leaves(p.Kind, n) {
			continue
		}
		if !cloned {
			p.Desired, cloned = maps.Clone(p.Desired), true
		}
		delete(p.Desired, n)
	}
	return p
}

// fingerprint tells apart rules by which engines' values are cut, for claims that were made by others (standing S2); 0: they cut nothing.
func (m Managed) fingerprint() uint64 {
	if len(m.LeaveOut)+len(m.Extensions) == 0 {
		return 0
	}
	h := fnv.New64a()
	for _, names := range []map[string]bool{m.LeaveOut, m.Extensions} {
		for _, n := range sortedKeys(names) {
			h.Write([]byte(n + "\x00"))
		}
		h.Write([]byte{1})
	}
	return h.Sum64()
}

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
