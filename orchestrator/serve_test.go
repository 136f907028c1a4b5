package orchestrator_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/schedule"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// every gives engines their schedules, for the next open.
func (w *world) every(of map[string]time.Duration) {
	for i, e := range w.config.Engines {
		if d, ok := of[e.Name]; ok {
			w.config.Engines[i].Schedule = d
		}
	}
}

// serves runs the schedules of the open Tandem until the function that it returns is called, which waits for their end and returns how long that took.
func (w *world) serves() (stop func() time.Duration) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.tandem.RunSchedules(ctx) }()
	return func() time.Duration {
		w.t.Helper()
		began := time.Now()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				w.t.Errorf("serving ended with %v", err)
			}
		case <-time.After(time.Minute):
			w.t.Fatalf("serving did not end: %+v", w.tandem.Loops())
		}
		return time.Since(began)
	}
}

// eventually waits until something is so.
func (w *world) eventually(what string, limit time.Duration, so func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(limit)
	for !so() {
		if time.Now().After(deadline) {
			w.t.Fatalf("not within %s: %s; loops: %+v", limit, what, w.tandem.Loops())
		}
		time.Sleep(20 * time.Millisecond) // what another process does cannot be waited for otherwise
	}
}

func (w *world) wave() wave.Wave {
	w.t.Helper()
	ws, err := w.tandem.Host().Waves(w.t.Context())
	if err != nil || len(ws) != 1 {
		w.t.Fatalf("waves: %+v, %v", ws, err)
	}
	return ws[0]
}

func (w *world) loop(name string) schedule.Loop {
	for _, l := range w.tandem.Loops() {
		if l.Name == name {
			return l
		}
	}
	return schedule.Loop{}
}

// killedIn kills a host when its wave enters a phase, and opens the Tandem of its folder again.
func (w *world) killedIn(phase wave.Phase, args ...string) {
	w.t.Helper()
	w.close()
	c := w.spawn(args...)
	if !c.until("]" + string(phase) + " ") {
		w.t.Fatalf("the wave never came to phase %s: %s", phase, c.last)
	}
	c.kill()
	w.nothingLeft()
	w.open()
	if got := w.wave(); got.State != wave.Running || got.Phase != phase {
		w.t.Fatalf("the host was killed in %s and the wave is %s in %s", phase, got.State, got.Phase)
	}
}

// servedToSoak serves until the wave, which nobody drives, soaks.
func (w *world) servedToSoak() {
	w.t.Helper()
	stop := w.serves()
	w.eventually("the wave soaks", time.Minute, func() bool { return w.wave().Phase == wave.Soak })
	stop()
}

// Row T2 of the findings: a host that was killed in the middle of a wave leaves it running, and nobody drives it any more.
func TestServingEndsAWaveWhoseHostWasKilled(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		w.killedIn(wave.ShadowPhase, "migrate", "OU=Sales,"+s.base, "cloudsync")
		w.servedToSoak()
		w.settle()
		w.same(ids, "the kill in shadow")
	})
}

// The same row: what the target said in shadow it has forgotten by the cutover, and the host was killed before the catch-up wrote it. Nobody changes it again, nobody
// runs anything: serving alone ends the wave, and it is in the tenant.
func TestServingCatchesUpForAHostThatWasKilledAfterTheCutover(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		sales := "OU=Sales," + s.base
		annDN, ann := w.person("ann", sales)
		bobDN, bob := w.person("bob", sales)
		crew := w.group("Crew", sales, bobDN)
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		held := w.heldBefore(wave.Freeze, sales)
		w.modify(annDN, "title", "Said in shadow")
		w.modify(crew, "member", annDN)
		w.approve(held, wave.ForHold)
		w.approve(w.drive(held.ID), wave.ForDifferences) // cloudsync said it, and connect does not run
		w.killedIn(wave.CatchUp, "drive", held.ID)
		if got := w.mustUser(ann).Properties["jobTitle"]; got != nil {
			t.Fatalf("the catch-up wrote before the host was killed: %v", got)
		}
		w.servedToSoak()
		w.settle()
		if got := w.mustUser(ann).Properties["jobTitle"]; got != "Said in shadow" {
			t.Errorf("what the target said in shadow was lost: %v", got)
		}
		w.wantMembers("Crew", "Person ann")
		w.owners(map[string]string{ann: "cloudsync", bob: "cloudsync"})
		w.same(ids, "the kill in catch-up")
	})
}

// Row E7 and A6: the process of one engine stands still in the middle of the work of the other.
func TestAFrozenEngineDelaysNeitherTheOtherNorTheEnd(t *testing.T) {
	w := newWorld(t, embeddedSite(t), 40)
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	w.close()
	w.every(map[string]time.Duration{"connect": 50 * time.Millisecond, "cloudsync": 50 * time.Millisecond})
	w.open()
	stop := w.serves()
	w.eventually("both engines ran", 30*time.Second, func() bool {
		return !w.loop("engine connect").Ended.IsZero() && !w.loop("engine cloudsync").Ended.IsZero()
	})
	pids := children(syscall.Getpid(), "plugin connect")
	if len(pids) != 1 {
		t.Fatalf("processes of connect: %v", pids)
	}
	if err := syscall.Kill(pids[0], syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	w.eventually("connect hangs in a run", 30*time.Second, func() bool {
		l := w.loop("engine connect")
		return !l.Began.IsZero() && time.Since(l.Began) > time.Second
	})
	hangs := w.loop("engine connect").Began
	for range 3 {
		last := w.loop("engine cloudsync").Ended
		w.eventually("cloudsync ran again", 5*time.Second, func() bool { return w.loop("engine cloudsync").Ended.After(last) })
	}
	if l := w.loop("engine connect"); !l.Began.Equal(hangs) {
		t.Fatalf("connect was to hang all the time: %+v", l)
	}
	if took := stop(); took > 15*time.Second {
		t.Errorf("with a frozen engine serving took %s to end", took)
	}
	began := time.Now()
	w.close()
	if took := time.Since(began); took > 15*time.Second {
		t.Errorf("a frozen engine took %s to be ended", took)
	}
}
