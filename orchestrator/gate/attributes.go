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

// Leaves reports whether the policy leaves an attribute of a kind unmanaged, whatever an engine proposes for it.
func (m Managed) Leaves(k scoping.Kind, name string) bool {
	return m.LeaveOut[name] || attribute.FeatureOf(k, name) == scoping.Extensions && !m.Extensions[name]
}

// trim removes from a proposal the attributes that the policy leaves unmanaged: they are neither written nor cleared nor owed.
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

// fingerprint identifies the list of managed attributes, so that claims made under another list expire (standing S2); 0: everything is managed.
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

// desired returns a proposal's values in the tenant's canonical form.
func desired(p engine.Proposal) cloud.Values {
	out := cloud.Values{}
	for k, v := range p.Desired {
		t := slices.DeleteFunc(slices.Clone(v.Text), func(s string) bool { return s == "" })
		slices.Sort(t)
		out[k] = t
	}
	return out
}

// difference returns the values of want that differ from have, and have's values for them.
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
