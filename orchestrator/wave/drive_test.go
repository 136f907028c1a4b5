package wave_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/wave"
)

var errKilled = errors.New("killed")

// executor is a fake that keeps one wave, notes its acts, and ends the process at call number dies.
type executor struct {
	w       wave.Wave
	now     time.Time
	acts    []wave.Act
	calls   int
	dies    int
	frozen  bool // in memory: lost with the process
	owner   string
	answers func(wave.Act) wave.Evidence
	decide  func(*executor, wave.Act)
	paused  []time.Duration
	since   time.Time
	stopped func(*executor) string
}

func newExecutor() *executor {
	return &executor{w: wave.Wave{ID: "w1", From: "connect", To: "cloudsync", Phase: wave.Preflight, State: wave.NotStarted, Options: wave.Options{Soak: time.Minute, AutoComplete: true}},
		now: now, owner: "connect"}
}

func (x *executor) call() error {
	x.calls++
	if x.calls == x.dies {
		x.frozen, x.since = false, time.Time{}
		return errKilled
	}
	return nil
}

func (x *executor) Do(_ context.Context, w wave.Wave, a wave.Act) (wave.Evidence, error) {
	x.acts = append(x.acts, a)
	if err := x.call(); err != nil {
		return wave.Evidence{}, err
	}
	if x.decide != nil {
		x.decide(x, a)
	}
	e := wave.Evidence{OK: true, Drained: true}
	if x.answers != nil {
		e = x.answers(a)
	}
	x.act(a, &e)
	return e, x.call() // killed after the act, before anybody knows
}

func (x *executor) act(a wave.Act, e *wave.Evidence) {
	switch a {
	case wave.ActFreeze:
		x.frozen = true
	case wave.ActWatch:
		if !x.since.IsZero() {
			e.Elapsed = x.now.Sub(x.since)
		}
		x.since = x.now
	case wave.ActCutover, wave.ActFlipBack:
		if !x.frozen {
			e.OK, e.Why = false, "not frozen"
			return
		}
		x.frozen = false
		next, owner := wave.CatchUp, "cloudsync"
		if a == wave.ActFlipBack {
			next, owner = wave.RollbackEvaluate, "connect"
		}
		x.owner = owner
		x.w = wave.Enter(x.w, next, "committed", x.now)
		x.w.CutoverAt = x.now.UnixMilli()
	}
}

func (x *executor) Commit(_ context.Context, w wave.Wave) error {
	if err := x.call(); err != nil {
		return err
	}
	if w.Decisions != x.w.Decisions {
		return wave.ErrDecided
	}
	x.w = w
	return x.call()
}

func (x *executor) Load(context.Context, string) (wave.Wave, error) { return x.w, x.call() }
func (x *executor) Stopped(context.Context, wave.Wave) (string, error) {
	if x.stopped == nil {
		return "", nil
	}
	return x.stopped(x), nil
}

func (x *executor) Now() time.Time { return x.now }

func (x *executor) Pause(_ context.Context, d time.Duration) (bool, error) {
	x.paused, x.now = append(x.paused, d), x.now.Add(d)
	return true, x.call()
}

func (x *executor) drive(t *testing.T) error {
	t.Helper()
	_, err := wave.Drive(context.Background(), x, "w1", "")
	return err
}

func TestDriveGoesThroughThePhasesInOrder(t *testing.T) {
	x := newExecutor()
	if err := x.drive(t); err != nil {
		t.Fatal(err)
	}
	var phases []wave.Phase
	for _, h := range x.w.History {
		phases = append(phases, h.Name)
		if h.EndedAt == 0 {
			t.Errorf("%s never ended", h.Name)
		}
	}
	if d := cmp.Diff(wave.Phases(), phases); d != "" {
		t.Error(d)
	}
	if x.w.State != wave.Completed || x.owner != "cloudsync" {
		t.Errorf("%s, owned by %s", x.w.State, x.owner)
	}
	if x.w.SoakMillis != time.Minute.Milliseconds() {
		t.Errorf("soaked %d ms in a minute", x.w.SoakMillis)
	}
}

// Killed at any call, before or after it took effect, a wave resumes and ends the same; the cutover happens once, and only in a freeze of the
// process that does it.
func TestDriveResumesWhereverItWasKilled(t *testing.T) {
	whole := newExecutor()
	if err := whole.drive(t); err != nil {
		t.Fatal(err)
	}
	for _, back := range []bool{false, true} {
		for dies := 1; dies <= whole.calls; dies++ {
			x := newExecutor()
			x.dies = dies
			if err := x.drive(t); !errors.Is(err, errKilled) {
				t.Fatalf("killed at %d: %v", dies, err)
			}
			resumed := len(x.acts)
			if back && x.w.CutOver() {
				x.w, _ = decide(x.w, wave.RollBack)
			} else if back {
				continue
			}
			if err := x.drive(t); err != nil {
				t.Fatalf("killed at %d, resumed: %v", dies, err)
			}
			want, owner := wave.Completed, "cloudsync"
			if back {
				want, owner = wave.RolledBack, "connect"
			}
			if x.w.State != want && !(back && x.w.State == wave.Completed) || x.owner != owner && x.w.State == want {
				t.Errorf("killed at %d: %s, owned by %s", dies, x.w.State, x.owner)
			}
			for _, cut := range []wave.Act{wave.ActCutover, wave.ActFlipBack} {
				if i := slices.Index(x.acts[resumed:], cut); i >= 0 && !slices.Contains(x.acts[resumed:resumed+i], wave.ActFreeze) {
					t.Errorf("killed at %d: %s without a freeze: %v", dies, cut, x.acts[resumed:])
				}
			}
		}
	}
}

// A person who decides while an act runs is heard before anything else is committed.
func TestDriveHearsWhatAPersonDecides(t *testing.T) {
	for _, during := range []wave.Act{wave.ActCheck, wave.ActBaseline, wave.ActShadowRun, wave.ActFreeze, wave.ActVerifyNew} {
		x := newExecutor()
		x.decide = func(x *executor, a wave.Act) {
			if a == during {
				x.w, _ = decide(x.w, wave.Pause)
				x.w.Decisions++
			}
		}
		if err := x.drive(t); err != nil {
			t.Fatal(err)
		}
		if x.w.State != wave.Paused || x.acts[len(x.acts)-1] != during || x.owner != "connect" {
			t.Errorf("paused during %s: %s, then %v", during, x.w.State, x.acts)
		}
	}
}

// What the wave waits for is durable, with the command that ends the wait.
func TestDriveWaitsForAPerson(t *testing.T) {
	x := newExecutor()
	x.answers = func(wave.Act) wave.Evidence {
		return wave.Evidence{OK: true, Drained: true, Counts: wave.Counts{Update: 1}, Differences: updates(1)}
	}
	if err := x.drive(t); err != nil {
		t.Fatal(err)
	}
	if x.w.State != wave.Waiting || x.w.Phase != wave.Verify || x.w.Command != "tandem wave approve w1" || x.w.WaitsFor() != wave.ForDifferences || x.w.Since != x.now.UnixMilli() {
		t.Fatalf("%s in %s, %q", x.w.State, x.w.Phase, x.w.Command)
	}
	since := x.w.Since
	x.now = x.now.Add(time.Minute)
	if err := x.drive(t); err != nil || x.w.Since != since { // looked at once more
		t.Fatalf("it waits since %d, not %d: %v", x.w.Since, since, err)
	}
	x.w, _ = decide(x.w, wave.Approve)
	if err := x.drive(t); err != nil || x.w.State != wave.Completed {
		t.Fatalf("%s, %v", x.w.State, err)
	}
}

// While writing is stopped a wave does nothing, wherever it is, and goes on when the stop ends.
func TestStoppedWavesWait(t *testing.T) {
	whole := newExecutor()
	if err := whole.drive(t); err != nil {
		t.Fatal(err)
	}
	for n := range whole.acts {
		x := newExecutor()
		x.stopped = func(x *executor) string {
			if len(x.acts) >= n {
				return "stopped by carol"
			}
			return ""
		}
		if err := x.drive(t); err != nil || x.w.WaitsFor() != wave.ForStop || x.w.Command != "tandem start --all" || len(x.acts) != n {
			t.Fatalf("stopped after %d acts: %s for %q after %v, %v", n, x.w.State, x.w.For, x.acts, err)
		}
		x.stopped, x.frozen = nil, false
		if err := x.drive(t); err != nil || x.w.State != wave.Completed {
			t.Errorf("stopped after %d acts and started again: %s in %s, %v", n, x.w.State, x.w.Phase, err)
		}
	}
}

// A phase that is stopped at is not entered.
func TestDriveStopsBeforeAPhase(t *testing.T) {
	for _, p := range wave.Phases()[1:] {
		x := newExecutor()
		if _, err := wave.Drive(context.Background(), x, "w1", p); err != nil {
			t.Fatal(err)
		}
		for _, h := range x.w.History {
			if h.Name == p && p != wave.CatchUp { // the cutover's transaction enters catch-up
				t.Errorf("%s was entered", p)
			}
		}
		if x.w.State.Over() || slices.Contains(x.acts, wave.ActComplete) {
			t.Errorf("stopped at %s: %s", p, x.w.State)
		}
	}
}
