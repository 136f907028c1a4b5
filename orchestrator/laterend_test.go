package orchestrator_test

import (
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// heldBefore migrates an OU to cloudsync up to a phase that a person asked to stop before.
func (w *world) heldBefore(phase wave.Phase, ou string) wave.Wave {
	w.t.Helper()
	_, ws, err := w.tandem.Host().Migrate(w.t.Context(), ou, "cloudsync", nil, nil, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour, HoldBefore: phase}, By: "test"})
	if err != nil || len(ws) != 1 || ws[0].WaitsFor() != wave.ForHold {
		w.t.Fatalf("the wave does not wait before %s: %v, %+v", phase, err, ws)
	}
	return ws[0]
}

// approve answers what a wave waits for, without driving it on.
func (w *world) approve(x wave.Wave, what wave.For) {
	w.t.Helper()
	if x.WaitsFor() != what {
		w.t.Fatalf("the wave is %s in %s for %q (%s), want %q", x.State, x.Phase, x.WaitsFor(), x.Wait, what)
	}
	if _, err := w.tandem.Host().ApproveWave(w.t.Context(), x.ID, x.Fingerprint, "test", "seen"); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drive(id string) wave.Wave {
	w.t.Helper()
	x, err := w.tandem.Host().Drive(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return x
}

// through approves of whatever a wave waits for, one thing after the other, until it soaks.
func (w *world) through(x wave.Wave) {
	w.t.Helper()
	for range 5 {
		if x.Phase == wave.Soak {
			return
		}
		w.approve(x, x.WaitsFor())
		x = w.drive(x.ID)
	}
	w.t.Fatalf("the wave does not come to its soak: %+v", x)
}

// Row T3 of the findings: a group was judged in shadow while one of its members was not in the tenant. She comes after the cutover, by the other engine, by a move
// or by a create that the tenant refused until then; nothing happens to the group itself, and her membership arrives.
func TestAMembershipWhoseEndComesAfterTheCutoverArrives(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales, marketing, service := "OU=Sales,"+s.base, "OU=Marketing,"+s.base, "OU=Service,"+s.base
		annDN, _ := w.person("ann", sales)
		moverDN, _ := w.person("mover", service) // belongs to nobody, so she is not in the tenant
		crew := w.group("Crew", sales, annDN, moverDN)
		w.sync("connect", engine.ProfileFull)
		w.wantMembers("Crew", "Person ann")
		ids := w.ids()

		held := w.heldBefore(wave.Freeze, sales)
		otherDN, _ := w.person("other", marketing) // connect's, which does not run before the cutover
		w.join(crew, otherDN)
		w.through(held)
		w.owners(map[string]string{"ann@" + s.domain: "cloudsync"})
		w.wantMembers("Crew", "Person ann")

		w.sync("connect", engine.ProfileDelta) // makes the one in Marketing
		w.sync("cloudsync", engine.ProfileDelta)
		w.wantMembers("Crew", "Person ann", "Person other")

		for _, to := range []string{marketing, sales} { // of connect, then of cloudsync
			moverDN = w.move(moverDN, to)
			w.deltas()
			w.wantMembers("Crew", "Person ann", "Person mover", "Person other")
		}
		now := w.ids()
		for k, id := range ids {
			if now[k] != id {
				t.Errorf("%s is not what it was", k)
			}
		}
	})
}
