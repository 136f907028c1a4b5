package wave_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/wave"
)

var now = time.UnixMilli(1_000_000_000)

// at is a wave in a phase, verified a moment ago.
func at(p wave.Phase, f ...func(*wave.Wave)) wave.Wave {
	w := wave.Wave{ID: "w1", From: "connect", To: "cloudsync", Phase: p, State: wave.Running, VerifiedAt: now.UnixMilli(),
		Options: wave.Options{Soak: time.Hour}}
	if slices.Contains([]wave.Phase{wave.CatchUp, wave.Soak, wave.Complete, wave.RollbackFreeze}, p) {
		w.CutoverAt = now.UnixMilli()
	}
	for _, g := range f {
		g(&w)
	}
	return w
}

func good(a wave.Act) *wave.Evidence { return &wave.Evidence{Act: a, OK: true, Drained: true} }

func but(a wave.Act, f func(*wave.Evidence)) *wave.Evidence {
	e := good(a)
	f(e)
	return e
}

func failed(e *wave.Evidence)    { e.OK, e.Why = false, "why" }
func expired(e *wave.Evidence)   { e.Expired = true }
func loud(e *wave.Evidence)      { e.Drained = false }
func blocked(e *wave.Evidence)   { e.Findings = []wave.Finding{{Severity: wave.Blocker, Code: "x"}} }
func warned(e *wave.Evidence)    { e.Findings = []wave.Finding{{Severity: wave.Warning}} }
func grave(e *wave.Evidence)     { e.Counts.Delete = 1 }
func over(w *wave.Wave)          { w.SoakMillis = time.Hour.Milliseconds() }
func unsettled(e *wave.Evidence) { e.Unsettled = 1 }
func unclaimed(e *wave.Evidence) { e.Unclaimed = 1 }

// shape says in a word what a decision is.
func shape(d wave.Decision) string {
	switch {
	case d.Do != "":
		return "do " + string(d.Do)
	case d.To != "":
		return "to " + string(d.To)
	case d.Over != "":
		return "over " + string(d.Over)
	case d.Wait != "":
		return strings.TrimSpace("wait " + string(d.For))
	}
	return "nothing"
}

// Every phase, with the evidence missing, good, bad, expired.
func TestPhases(t *testing.T) {
	differ := func(n int) func(*wave.Wave) { return found(updates(n)...) }
	approve := func(ds ...wave.Difference) func(*wave.Wave) {
		return func(w *wave.Wave) {
			x := at(wave.Verify, found(ds...))
			w.Approval = &wave.Approval{Grave: x.Found.Grave, Hash: x.Found.Hash, Updates: x.Found.Updates}
		}
	}
	auto := func(printed ...wave.Difference) func(*wave.Wave) {
		return func(w *wave.Wave) { w.Options.AutoApprove, w.Printed = true, wave.OrdinaryMarks(printed) }
	}
	elsewhere := updates(3)[1:]
	old := func(w *wave.Wave) { w.VerifiedAt = now.Add(-wave.VerifyLife - time.Second).UnixMilli() }
	for _, x := range []struct {
		name string
		w    wave.Wave
		last *wave.Evidence
		want string
	}{
		{"preflight", at(wave.Preflight), nil, "do check"},
		{"preflight, no blocker", at(wave.Preflight), but(wave.ActCheck, warned), "to baseline"},
		{"preflight, a blocker", at(wave.Preflight), but(wave.ActCheck, blocked), "wait blocker"},
		{"baseline", at(wave.Baseline), nil, "do baseline"},
		{"baseline, saved", at(wave.Baseline), good(wave.ActBaseline), "to shadow"},
		{"baseline, not saved", at(wave.Baseline), but(wave.ActBaseline, failed), "wait run"},
		{"shadow", at(wave.ShadowPhase), nil, "do shadow-run"},
		{"shadow, complete", at(wave.ShadowPhase), good(wave.ActShadowRun), "to verify"},
		{"shadow, broken", at(wave.ShadowPhase), but(wave.ActShadowRun, failed), "wait run"},
		{"verify, the same", at(wave.Verify), nil, "to freeze"},
		{"verify, never", at(wave.Verify, func(w *wave.Wave) { w.VerifiedAt = 0 }), nil, "to shadow"},
		{"verify, too old", at(wave.Verify, old), nil, "to shadow"},
		{"verify, updates", at(wave.Verify, differ(1)), nil, "wait differences"},
		{"verify, the clock stepped back", at(wave.Verify, func(w *wave.Wave) { w.VerifiedAt = now.Add(time.Hour).UnixMilli() }), nil, "to shadow"},
		{"verify, from before a person let it go on", at(wave.Verify, func(w *wave.Wave) { w.AnsweredAt = now.UnixMilli() + 1 }), nil, "to shadow"},
		{"verify, updates that a person approved", at(wave.Verify, differ(1), approve(updates(1)...)), nil, "to freeze"},
		{"verify, others than were approved, and no more", at(wave.Verify, found(elsewhere...), approve(updates(2)...)), nil, "to freeze"},
		{"verify, more than were approved", at(wave.Verify, differ(26), approve(updates(1)...)), nil, "wait differences"},
		{"verify, a delete that was approved", at(wave.Verify, found(deletion("a")), approve(deletion("a"), deletion("b"))), nil, "to freeze"},
		{"verify, another delete than was approved", at(wave.Verify, found(deletion("c")), approve(deletion("a"), deletion("b"))), nil, "wait differences"},
		{"verify, updates that the plan printed", at(wave.Verify, differ(2), auto(updates(2)...)), nil, "to freeze"},
		{"verify, more updates than the plan printed", at(wave.Verify, differ(3), auto(updates(2)...)), nil, "wait differences"},
		{"verify, as many other objects as the plan printed", at(wave.Verify, found(elsewhere...), auto(updates(2)...)), nil, "wait differences"},
		{"verify, another value than the plan printed", at(wave.Verify, found(valued("a", "y")), auto(valued("a", "x"))), nil, "wait differences"},
		{"verify, a grave update is never approved by itself", at(wave.Verify, found(grievous("a")), auto(grievous("a"))), nil, "wait differences"},
		{"verify, a delete is never approved by itself", at(wave.Verify, found(deletion("a")), auto(deletion("a"))), nil, "wait differences"},
		{"verify, unclaimed", at(wave.Verify, func(w *wave.Wave) { w.Differences.Unclaimed = 1 }), nil, "wait differences"},
		{"verify, after the last freeze", at(wave.Verify, func(w *wave.Wave) { w.Freezes = wave.MaxFreezes }), nil, "wait freeze"},
		{"freeze", at(wave.Freeze), nil, "do freeze"},
		{"freeze, verify too old", at(wave.Freeze, old), nil, "to shadow"},
		{"freeze, quiet", at(wave.Freeze), good(wave.ActFreeze), "do verify-new"},
		{"freeze, not quiet yet", at(wave.Freeze), but(wave.ActFreeze, loud), "do freeze"},
		{"freeze, expired", at(wave.Freeze), but(wave.ActFreeze, expired), "to verify"},
		{"freeze, failed", at(wave.Freeze), but(wave.ActFreeze, failed), "to verify"},
		{"freeze, nothing new", at(wave.Freeze), good(wave.ActVerifyNew), "to cutover"},
		{"freeze, expired while verifying", at(wave.Freeze), but(wave.ActVerifyNew, expired), "to verify"},
		{"freeze, something grave is new", at(wave.Freeze), but(wave.ActVerifyNew, grave), "to verify"},
		{"freeze, an update is new", at(wave.Freeze), but(wave.ActVerifyNew, finds(updates(1)...)), "to verify"},
		{"freeze, an update that verify found", at(wave.Freeze, differ(1)), but(wave.ActVerifyNew, finds(updates(1)...)), "to cutover"},
		{"freeze, new updates, as many as were approved", at(wave.Freeze, differ(1), approve(updates(2)...)), but(wave.ActVerifyNew, finds(updates(2)...)), "to cutover"},
		{"freeze, more new updates than were approved", at(wave.Freeze, differ(1), approve(updates(1)...)), but(wave.ActVerifyNew, finds(updates(2)...)), "to verify"},
		{"freeze, a new update that the plan printed", at(wave.Freeze, auto(updates(1)...)), but(wave.ActVerifyNew, finds(updates(1)...)), "to cutover"},
		{"freeze, a grave update is new", at(wave.Freeze, approve(updates(9)...)), but(wave.ActVerifyNew, finds(grievous("a"))), "to verify"},
		{"cutover, resumed: the freeze is lost", at(wave.Cutover), nil, "to freeze"},
		{"cutover, frozen and verified", at(wave.Cutover), good(wave.ActVerifyNew), "do cutover"},
		{"cutover, frozen and not verified", at(wave.Cutover), good(wave.ActFreeze), "to freeze"},
		{"cutover, refused", at(wave.Cutover), but(wave.ActCutover, failed), "to verify"},
		{"catch-up", at(wave.CatchUp), nil, "do catch-up"},
		{"catch-up, settled", at(wave.CatchUp), good(wave.ActCatchUp), "to soak"},
		{"catch-up, unsettled", at(wave.CatchUp), but(wave.ActCatchUp, unsettled), "do catch-up"},
		{"catch-up, unsettled in the last round", at(wave.CatchUp, func(w *wave.Wave) { w.Rounds = 2 }), but(wave.ActCatchUp, unsettled), "wait unsettled"},
		{"catch-up, unsettled and accepted", at(wave.CatchUp, func(w *wave.Wave) { w.Rounds = -1 }), but(wave.ActCatchUp, unsettled), "to soak"},
		{"catch-up, broken", at(wave.CatchUp, func(w *wave.Wave) { w.Rounds = 2 }), but(wave.ActCatchUp, failed), "wait run"},
		{"soak", at(wave.Soak), nil, "do watch"},
		{"soak, time left", at(wave.Soak), good(wave.ActWatch), "wait soak"},
		{"soak, time is up", at(wave.Soak, over), good(wave.ActWatch), "wait complete"},
		{"soak, time is up, and that was to complete it", at(wave.Soak, over, func(w *wave.Wave) { w.Options.AutoComplete = true }), good(wave.ActWatch), "to complete"},
		{"soak, time is up, a gate is red, and that was to complete it", at(wave.Soak, over, func(w *wave.Wave) { w.Options.AutoComplete = true }), but(wave.ActWatch, failed), "wait complete"},
		{"soak, of no time", at(wave.Soak, func(w *wave.Wave) { w.Options.Soak = 0 }), nil, "to complete"},
		{"soak, time is up and a gate is red", at(wave.Soak, func(w *wave.Wave) { w.SoakMillis = time.Hour.Milliseconds() }), but(wave.ActWatch, failed), "wait complete"},
		{"soak, ended by a person", at(wave.Soak, func(w *wave.Wave) { w.SoakOver = true }), nil, "to complete"},
		{"complete", at(wave.Complete), nil, "do complete"},
		{"complete, done", at(wave.Complete), good(wave.ActComplete), "over completed"},
		{"complete, unclaimed (P4)", at(wave.Complete), but(wave.ActComplete, unclaimed), "wait unclaimed"},
		{"complete, failed", at(wave.Complete), but(wave.ActComplete, failed), "wait unclaimed"},
		{"rollback", at(wave.RollbackFreeze), nil, "do freeze"},
		{"rollback, quiet", at(wave.RollbackFreeze), good(wave.ActFreeze), "do flip-back"},
		{"rollback, not quiet yet", at(wave.RollbackFreeze), but(wave.ActFreeze, loud), "do freeze"},
		{"rollback, expired", at(wave.RollbackFreeze), but(wave.ActFreeze, expired), "do freeze"},
		{"rollback, expired for the third time", at(wave.RollbackFreeze, func(w *wave.Wave) { w.Freezes = 2 }), but(wave.ActFreeze, expired), "wait rollback"},
		{"rollback, refused", at(wave.RollbackFreeze), but(wave.ActFlipBack, failed), "wait rollback"},
		{"evaluate", at(wave.RollbackEvaluate), nil, "do evaluate"},
		{"evaluate, settled", at(wave.RollbackEvaluate), good(wave.ActEvaluate), "to rollback-restore"},
		{"evaluate, unsettled", at(wave.RollbackEvaluate), but(wave.ActEvaluate, unsettled), "do evaluate"},
		{"evaluate, unsettled in the last round", at(wave.RollbackEvaluate, func(w *wave.Wave) { w.Rounds = 2 }), but(wave.ActEvaluate, unsettled), "to rollback-restore"},
		{"evaluate, broken", at(wave.RollbackEvaluate), but(wave.ActEvaluate, failed), "wait rollback"},
		{"restore", at(wave.RollbackRestore), nil, "do restore"},
		{"restore, done", at(wave.RollbackRestore), good(wave.ActRestore), "over rolled-back"},
		{"restore, failed", at(wave.RollbackRestore), but(wave.ActRestore, failed), "wait rollback"},
		{"a phase of a newer program", at("teleport"), nil, "wait"},
	} {
		d := wave.Next(x.w, x.last, now)
		if got := shape(d); got != x.want {
			t.Errorf("%s: %s (%s%s), want %s", x.name, got, d.Wait, d.Result, x.want)
		}
		if d.Wait != "" && d.Command == "" && x.w.Phase != "teleport" {
			t.Errorf("%s: waits, and no command ends the wait", x.name)
		}
	}
}

// A wave that is over or paused does nothing.
func TestPausedAndFinishedWavesDoNothing(t *testing.T) {
	for _, s := range []wave.State{wave.Paused, wave.Completed, wave.RolledBack, wave.Aborted} {
		for _, p := range wave.Phases() {
			if got := shape(wave.Next(at(p, func(w *wave.Wave) { w.State = s }), good(wave.ActFreeze), now)); got != "nothing" {
				t.Errorf("%s in %s: %s", s, p, got)
			}
		}
	}
}

// Nothing is held inside a freeze: a hold before the cutover waits before the freeze, until a person lets it go. What the person saw is verified once more.
func TestHoldBefore(t *testing.T) {
	for _, before := range []wave.Phase{wave.Freeze, wave.Cutover} {
		w := at(wave.Verify, func(w *wave.Wave) { w.Options.HoldBefore = before })
		if got := shape(wave.Next(w, nil, now)); got != "wait hold" {
			t.Errorf("before %s: %s", before, got)
		}
		if got := shape(wave.Next(at(wave.Freeze, func(w *wave.Wave) { w.Options.HoldBefore = before }), nil, now)); got != "wait hold" {
			t.Errorf("in freeze, held before %s: %s", before, got)
		}
		w, err := decide(waits(w, wave.ForHold), wave.Approve)
		if got := shape(wave.Next(w, nil, now)); err != nil || got != "to freeze" {
			t.Errorf("approved: %s, %v", got, err)
		}
		w.AnsweredAt++
		if got := shape(wave.Next(w, nil, now)); got != "to shadow" {
			t.Errorf("approved after verify: %s", got)
		}
	}
	w := at(wave.ShadowPhase, func(w *wave.Wave) { w.Options.HoldBefore = wave.Verify })
	if got := shape(wave.Next(w, good(wave.ActShadowRun), now)); got != "wait hold" {
		t.Error(got)
	}
}

// Freezes that are given back are tried three times; then a person is asked, and his approval allows three more.
func TestFreezesAreTriedThreeTimes(t *testing.T) {
	w := at(wave.Freeze)
	for n := 1; n <= wave.MaxFreezes; n++ {
		d := wave.Next(w, but(wave.ActFreeze, expired), now)
		d.Set(&w)
		if w.Freezes != n || w.VerifiedAt != 0 {
			t.Fatalf("after freeze %d: %d, verified at %d", n, w.Freezes, w.VerifiedAt)
		}
	}
	w.Phase, w.VerifiedAt = wave.Verify, now.UnixMilli()
	if got := shape(wave.Next(w, nil, now)); got != "wait freeze" {
		t.Fatal(got)
	}
	w, err := decide(waits(w, wave.ForFreeze), wave.Approve)
	if got := shape(wave.Next(w, nil, now)); err != nil || got != "to freeze" || w.Freezes != 0 {
		t.Errorf("%s %v", got, err)
	}
}

// The soak counts what elapsed while somebody looked, not the calendar.
func TestSoakCountsElapsedTimeOnly(t *testing.T) {
	w := at(wave.Soak)
	if got := shape(wave.Next(w, good(wave.ActWatch), now.Add(100*time.Hour))); got != "wait soak" {
		t.Fatalf("a host that was off soaked: %s", got)
	}
	for range 3 {
		d := wave.Next(w, but(wave.ActWatch, func(e *wave.Evidence) { e.Elapsed = 15 * time.Minute }), now)
		if shape(d) != "wait soak" {
			t.Fatal(shape(d))
		}
		d.Set(&w)
	}
	d := wave.Next(w, but(wave.ActWatch, func(e *wave.Evidence) { e.Elapsed = 15 * time.Minute }), now)
	if d.Set(&w); shape(d) != "wait complete" || w.SoakMillis != time.Hour.Milliseconds() {
		t.Errorf("%s after %d ms", shape(d), w.SoakMillis)
	}
}

// Whatever an act found, a cutover is tried only after a freeze that holds was verified, and nobody else is asked to do it twice.
func TestCutoverNeverSkipsTheFreeze(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		acts := []wave.Act{wave.ActCheck, wave.ActBaseline, wave.ActShadowRun, wave.ActFreeze, wave.ActVerifyNew, wave.ActCutover, wave.ActRelease, wave.ActCatchUp}
		phase := rapid.SampledFrom(wave.Phases()).Draw(t, "phase")
		last := &wave.Evidence{Act: rapid.SampledFrom(acts).Draw(t, "act"), OK: rapid.Bool().Draw(t, "ok"), Drained: rapid.Bool().Draw(t, "drained"), Expired: rapid.Bool().Draw(t, "expired"),
			Counts: wave.Counts{Create: rapid.IntRange(0, 1).Draw(t, "create")}, Unsettled: rapid.IntRange(0, 1).Draw(t, "unsettled")}
		if rapid.Bool().Draw(t, "resumed") {
			last = nil
		}
		d := wave.Next(at(phase), last, now)
		verified := last != nil && last.Act == wave.ActVerifyNew && last.OK && !last.Expired
		if d.Do == wave.ActCutover && (phase != wave.Cutover || !verified) {
			t.Fatalf("cutover in %s after %+v", phase, last)
		}
		if d.To == wave.Cutover && (phase != wave.Freeze || !verified) {
			t.Fatalf("entered from %s after %+v", phase, last)
		}
	})
}

// A process that takes up a wave repeats an act that does no harm, or goes back to before the freeze.
func TestResumingRepeatsAnAct(t *testing.T) {
	harmless := []string{"do check", "do baseline", "do shadow-run", "to freeze", "do freeze", "do catch-up", "do watch", "do complete", "do evaluate", "do restore"}
	for _, p := range append(wave.Phases(), wave.RollbackFreeze, wave.RollbackEvaluate, wave.RollbackRestore) {
		if got := shape(wave.Next(at(p), nil, now)); !slices.Contains(harmless, got) {
			t.Errorf("%s: %s", p, got)
		}
	}
}

// A rollback whose last values have to wait says so, looks again by itself where that may help, and is not over.
func TestRollbackIsNotOverWhileValuesWait(t *testing.T) {
	report := &wave.RollbackReport{Waiting: 1}
	for _, soon := range []bool{true, false} {
		d := wave.Next(at(wave.RollbackRestore), &wave.Evidence{Act: wave.ActRestore, Why: "in doubt", Soon: soon, Report: report}, now)
		if d.Over != "" || d.Wait != "in doubt" || d.Command == "" || (d.Time > 0) != soon {
			t.Errorf("soon %v: %+v", soon, d)
			continue
		}
		w := at(wave.RollbackRestore)
		if d.Set(&w); w.Report != report {
			t.Errorf("the report so far: %+v", w.Report)
		}
	}
	waits := at(wave.RollbackRestore, func(w *wave.Wave) { w.State, w.LookAgain = wave.Waiting, now.UnixMilli() })
	if waits.Due(now.Add(-time.Second)) || !waits.Due(now) {
		t.Error("it is due when it said that it would look again")
	}
	waits.LookAgain = 0
	if waits.Due(now) || at(wave.Soak).Due(now) {
		t.Error("one that waits for a person, or runs, is not due")
	}
}

// The shadow is the target's before the cutover and the source's after it, until the wave is over.
func TestShadowGrant(t *testing.T) {
	for p, want := range map[wave.Phase]string{wave.Preflight: "", wave.Baseline: "", wave.ShadowPhase: "cloudsync", wave.Verify: "cloudsync", wave.Freeze: "cloudsync",
		wave.Cutover: "cloudsync", wave.CatchUp: "connect", wave.Soak: "connect", wave.Complete: "connect", wave.RollbackFreeze: "connect", wave.RollbackEvaluate: ""} {
		if got, _, _ := at(p).ShadowGrant(); got != want {
			t.Errorf("%s: %q, want %q", p, got, want)
		}
		if _, _, ok := at(p, func(w *wave.Wave) { w.State = wave.Completed }).ShadowGrant(); ok {
			t.Errorf("%s, over: still in shadow", p)
		}
	}
}
