package orchestrator_test

import (
	"maps"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// sync runs an engine and fails the test unless everything settled.
func (w *world) sync(name, profile string) host.SyncReport {
	w.t.Helper()
	r, err := w.tandem.Host().Sync(w.t.Context(), name, host.SyncOptions{Profile: profile})
	if err != nil {
		w.t.Fatalf("sync %s: %v", name, err)
	}
	if !r.Complete || r.Failed+r.Held+r.Refused+r.Deferred > 0 {
		w.t.Fatalf("sync %s: %+v", name, r)
	}
	return r
}

func (w *world) same(before map[string]string, what string) {
	w.t.Helper()
	if after := w.ids(); !maps.Equal(before, after) {
		w.t.Fatalf("%s changed the tenant's objects: %d before, %d after", what, len(before), len(after))
	}
}

func TestAnOUMovesBetweenTwoEnginesAndBack(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 60)
		w.importPolicy()
		first := w.sync("connect", engine.ProfileFull)
		t.Logf("first full sync: read %d, applied %d, %d ms", first.Read, first.Applied, first.Millis)
		ids := w.ids()
		if first.Applied != len(ids) {
			t.Fatalf("applied %d, in the tenant %d", first.Applied, len(ids))
		}
		w.graph.ResetCounters()
		second := w.sync("connect", engine.ProfileFull)
		if second.Applied != 0 || w.writes() != 0 {
			t.Fatalf("a second full sync wrote: %+v, %d requests", second, w.writes())
		}

		_, ws, err := w.tandem.Host().Migrate(t.Context(), "OU=Sales,"+s.base, "cloudsync", nil, []string{"OU=Contractors,OU=Sales," + s.base},
			host.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if len(ws) != 1 || ws[0].Phase != wave.Soak {
			t.Fatalf("the wave: %+v", ws)
		}
		w.same(ids, "the migration")
		if w.writes() != 0 {
			t.Fatalf("the migration wrote %d times", w.writes())
		}

		if _, err := w.tandem.Host().DecideWave(t.Context(), ws[0].ID, wave.RollBack, "test", "because"); err != nil {
			t.Fatal(err)
		}
		back, err := w.tandem.Host().Drive(t.Context(), ws[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if back.State != wave.RolledBack {
			t.Fatalf("the rollback: %+v", back)
		}
		w.same(ids, "the rollback")
		if w.writes() != 0 {
			t.Fatalf("the rollback wrote %d times", w.writes())
		}
	})
}
