package orchestrator_test

import (
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// reports makes people report to a manager, by their DNs.
func (w *world) reports(manager string, people ...string) {
	w.t.Helper()
	for _, p := range people {
		w.modify(p, "manager", manager)
	}
}

// wantManager checks whom the tenant shows as somebody's manager; "" for nobody.
func (w *world) wantManager(upn, manager string) {
	w.t.Helper()
	want := ""
	if manager != "" {
		want = w.mustUser(manager).ID
	}
	if got := w.mustUser(upn).Manager; got != want {
		w.t.Errorf("manager of %s is %q, want %q", upn, got, want)
	}
}

// A manager who is taken away in the directory, or is deleted there, is taken away in the tenant, by either engine, and a second run finds nothing to do.
func TestAManagerWhoIsTakenAwayIsCleared(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales, marketing := "OU=Sales,"+s.base, "OU=Marketing,"+s.base
		type team struct{ boss, bossUPN, ann, annUPN, bob, bobUPN string }
		teams := map[string]*team{"connect": {}, "cloudsync": {}}
		for name, x := range teams {
			ou := map[string]string{"connect": marketing, "cloudsync": sales}[name]
			x.boss, x.bossUPN = w.person("boss-"+name, ou)
			x.ann, x.annUPN = w.person("ann-"+name, ou)
			x.bob, x.bobUPN = w.person("bob-"+name, ou)
			w.reports(x.boss, x.ann, x.bob)
		}
		w.sync("connect", engine.ProfileFull)
		w.migrate(sales, "cloudsync")
		for name, x := range teams {
			w.wantManager(x.annUPN, x.bossUPN)
			w.modify(x.ann, "manager")
			w.sync(name, engine.ProfileDelta)
			w.wantManager(x.annUPN, "")
			w.wantManager(x.bobUPN, x.bossUPN)
			w.remove(x.boss)
			w.both(name) // the manager's own delete waits for the end of the run, and the reference for the delete
			w.sync(name, engine.ProfileDelta)
			w.wantManager(x.bobUPN, "")
			if _, alive := w.user(x.bossUPN); alive {
				t.Errorf("%s does not delete the manager", name)
			}
			w.graph.ResetCounters()
			if r := w.sync(name, engine.ProfileFull); r.Applied != 0 || w.writes() != 0 {
				t.Errorf("a second run of %s writes: %+v", name, r)
			}
		}
	})
}

// What a wave's target has to clear in its catch-up does not strand it.
func TestAManagerWhoIsTakenAwayIsClearedByAWavesCatchUp(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales := "OU=Sales," + s.base
		boss, bossUPN := w.person("boss", sales)
		ann, annUPN := w.person("ann", sales)
		w.reports(boss, ann)
		w.sync("connect", engine.ProfileFull)
		w.wantManager(annUPN, bossUPN)
		_, ws, err := w.tandem.Host().Migrate(t.Context(), sales, "cloudsync", nil, nil, host.ApplyOptions{Options: wave.Options{Soak: time.Hour, HoldBefore: wave.Freeze}, By: "test"})
		if err != nil {
			t.Fatal(err)
		}
		w.modify(ann, "manager")
		if _, err := w.tandem.Host().DecideWave(t.Context(), ws[0].ID, wave.Approve, "test", "go on"); err != nil {
			t.Fatal(err)
		}
		got, err := w.tandem.Host().Drive(t.Context(), ws[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if got.Phase != wave.Soak {
			t.Fatalf("the wave: %+v", got)
		}
		w.sync("cloudsync", engine.ProfileDelta)
		w.wantManager(annUPN, "")
	})
}
