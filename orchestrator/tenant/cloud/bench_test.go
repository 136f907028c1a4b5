package cloud_test

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

func crowd(n int) cloud.Refresh {
	r := cloud.Refresh{Began: at(0), Full: []scoping.Kind{scoping.User, scoping.Group}}
	for i := range n {
		id := fmt.Sprintf("%08x-0000-4000-8000-%012x", i, i)
		name := fmt.Sprintf("user%d", i)
		u := cloud.Upsert{ID: id, Kind: scoping.User, Values: cloud.Values{cloud.UPN: {name + "@contoso.test"}, cloud.ImmutableID: {id[:24]},
			cloud.DisplayName: {"User " + name}, cloud.Mail: {name + "@contoso.test"}, cloud.Nickname: {name}, cloud.Enabled: {"true"},
			"department": {"Sales"}, "givenName": {"User"}, "surname": {name}, "jobTitle": {"Clerk"}}}
		r.Pages = append(r.Pages, page(u))
	}
	return r
}

func BenchmarkFirstLoad100k(b *testing.B) {
	for b.Loop() {
		r := crowd(100_000)
		c := cloud.NewCache(delay)
		c.Commit(r)
		r = cloud.Refresh{}
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.HeapAlloc)/100_000, "B/object")
		runtime.KeepAlive(c)
	}
}

func BenchmarkGet(b *testing.B) {
	c := cloud.NewCache(delay)
	c.Commit(crowd(10_000))
	for b.Loop() {
		if _, ok := c.ByUPN("user77@contoso.test"); !ok {
			b.Fatal("not found")
		}
	}
}

func BenchmarkSettledIntoAGroupOf100k(b *testing.B) {
	c := cloud.NewCache(delay)
	g := cloud.Upsert{ID: "g", Kind: scoping.Group}
	for i := range 100_000 {
		g.AddMembers = append(g.AddMembers, fmt.Sprintf("%036d", i))
	}
	c.Apply(page(g), at(0))
	i := 0
	for b.Loop() {
		i++
		c.Settled(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: "g", Refs: []string{fmt.Sprintf("x%d", i%1000)}}, done("g"), at(1))
	}
}
