package connect_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// BenchmarkFull measures a full run over 2,000 users and 100 groups of 20, and a delta run after one change.
func BenchmarkFull(b *testing.B) {
	const users, groups = 2000, 100
	for _, l := range everyLab(b) {
		b.Run(l.name, func(b *testing.B) {
			w := newWorld(b, l)
			var dns []string
			for i := range users {
				dns = append(dns, w.addUser(fmt.Sprintf("User %d", i), w.ou, "displayName", "x", "department", "R&D", "title", "y"))
			}
			for i := range groups {
				w.addGroup(fmt.Sprintf("Group %d", i), w.ou, dns[i*20:i*20+20]...)
			}
			scopes := []scoping.Scope{w.scope(w.ou)}
			b.ResetTimer()
			for b.Loop() {
				w.run(engine.ProfileFull, scopes)
			}
			b.ReportMetric(float64(users+groups)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
			b.StopTimer()
			w.set(dns[0], "title", fmt.Sprint(b.N))
			began := time.Now()
			if got := w.run(engine.ProfileDelta, scopes); len(got.proposals) != 2 {
				b.Errorf("%v", got.lines())
			}
			b.ReportMetric(float64(time.Since(began).Milliseconds()), "delta-ms")
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			b.ReportMetric(float64(m.Sys>>20), "MiB")
		})
	}
}
