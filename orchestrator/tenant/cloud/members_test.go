package cloud_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// A group that gets many members in many writes shows just those of them that were not taken away, and each member its groups; also when the tenant shows some of it
// meanwhile, and when the group is deleted and restored between.
func TestManyWritesOfMembersShowAll(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 1))
		c := loaded(t, cloud.Upsert{ID: "g", Kind: scoping.Group, Values: cloud.Values{cloud.DisplayName: {"G"}}})
		want, gone := map[string]bool{}, false
		settle := func(n int, op cloud.Op, refs ...string) {
			c.Settled(cloud.Write{Op: op, Kind: scoping.Group, CloudID: "g", Refs: refs}, done("g"), at(n))
		}
		for n := range 150 {
			id := func() string { return fmt.Sprintf("m%03d", r.IntN(220)) }
			switch k := r.IntN(20); {
			case k < 11:
				refs := []string{}
				for range 1 + r.IntN(20) {
					m := id()
					refs, want[m] = append(refs, m), true
				}
				settle(n, cloud.AddMembers, refs...)
			case k < 17:
				m := id()
				delete(want, m)
				settle(n, cloud.RemoveMember, m)
			case k < 18 && !gone:
				gone = true
				settle(n, cloud.Delete)
			case k < 19 && gone:
				gone = false
				settle(n, cloud.Restore)
			default:
				settle(n, cloud.Update)
			}
			if gone {
				continue
			}
			o, ok := c.Get("g")
			if members := slices.Sorted(maps.Keys(want)); !ok || !slices.Equal(o.Members, members) {
				t.Fatalf("seed %d, write %d: %d members, want %d", seed, n, len(o.Members), len(members))
			}
			for i := range 220 {
				m := fmt.Sprintf("m%03d", i)
				if in := slices.Equal(c.MemberOf(m), []string{"g"}); in != want[m] {
					t.Fatalf("seed %d, write %d: %s is in %v", seed, n, m, c.MemberOf(m))
				}
			}
		}
	}
}
