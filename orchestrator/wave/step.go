package wave

import (
	"fmt"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Act is something that an executor does for a wave.
type Act string

// The acts. Each may be repeated.
const (
	ActCheck     Act = "check"      // look for hazards
	ActBaseline  Act = "baseline"   // save the tenant's state of the scope
	ActShadowRun Act = "shadow-run" // the target proposes every object of the scope, and is judged
	ActFreeze    Act = "freeze"     // close admission for the scope, wait for requests in flight within the limit
	ActVerifyNew Act = "verify-new" // judge what changed since verify
	ActCutover   Act = "cutover"    // one transaction; it also enters the next phase
	ActRelease   Act = "release"    // end the freeze without a cutover
	ActCatchUp   Act = "catch-up"   // the target evaluates what it owes and what changed
	ActWatch     Act = "watch"      // look at health, and let the source run in shadow
	ActComplete  Act = "complete"   // see that nothing is unclaimed, archive
	ActFlipBack  Act = "flip-back"  // one transaction; it also enters the next phase
	ActEvaluate  Act = "evaluate"   // the source evaluates every object of the scope
	ActRestore   Act = "restore"    // before-images of attributes that no engine writes
)

// Evidence is what an act found.
type Evidence struct {
	Act         Act
	OK          bool
	Why         string // when not OK
	Findings    []Finding
	Counts      Counts
	Differences []Difference // all of them, in order of object and feature
	Held        []string     // held sets with keys that are not settled
	Drained     bool         // no request is in flight
	Expired     bool         // the freeze ended by itself
	Unsettled   int          // objects whose last proposal did not settle them
	Unclaimed   int
	Elapsed     time.Duration // soaked since the last look
	Millis      int64         // duration of the freeze
	Report      *RollbackReport
	Soon        bool   // what is not OK may pass by itself
	From        uint64 // the log's head when a shadow run began
}

// Decision is what Next decides: at most one of Do, To and Wait is set besides Set.
type Decision struct {
	Do      Act
	To      Phase
	Over    State         // the wave ends in this state
	For     For           // the kind of thing it waits for, …
	Wait    string        // … in words, …
	Command string        // … and the command that ends the wait
	Time    time.Duration // the wait ends by itself after this long
	Result  string        // of the phase that ends
	Set     func(*Wave)
}

// Next decides what a wave does now. last is what the last act of this process found; nil when a process begins with the wave's record.
func Next(w Wave, last *Evidence, now time.Time) Decision {
	if w.State.Over() || w.State == Paused {
		return Decision{}
	}
	step, ok := steps[w.Phase]
	if !ok {
		return Decision{Wait: "the wave's phase " + string(w.Phase) + " is not known to this program"}
	}
	return step(w, last, now)
}

var steps = map[Phase]func(Wave, *Evidence, time.Time) Decision{
	Preflight: preflight, Baseline: baseline, ShadowPhase: shadow, Verify: verify, Freeze: freeze, Cutover: cutover, CatchUp: catchUp, Soak: soak,
	Complete: complete, RollbackFreeze: rollbackFreeze, RollbackEvaluate: rollbackEvaluate, RollbackRestore: rollbackRestore,
}

// after returns the evidence if it is of an act, else nil.
func after(last *Evidence, a Act) *Evidence {
	if last == nil || last.Act != a {
		return nil
	}
	return last
}

// stopsBefore reports whether the administrator wants a stop before a phase. Stops before freeze and cutover both come before the freeze, since waves
// do not wait inside one.
func stopsBefore(w Wave, next Phase) bool {
	want := w.Options.HoldBefore
	if want == Cutover {
		want = Freeze
	}
	return want == next && !w.Released
}

func hold(w Wave, next Phase) Decision {
	return Decision{For: ForHold, Wait: "held before " + string(w.Options.HoldBefore) + ", as asked", Command: "tandem wave approve " + w.ID}
}

func enter(w Wave, next Phase, result string, set func(*Wave)) Decision {
	if stopsBefore(w, next) {
		d := hold(w, next)
		d.Set = set
		return d
	}
	return Decision{To: next, Result: result, Set: set}
}

func preflight(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActCheck)
	if ev == nil {
		return Decision{Do: ActCheck}
	}
	for _, f := range ev.Findings {
		if f.Severity == Blocker {
			return Decision{For: ForBlocker, Wait: fmt.Sprintf("blocker %s: %s", f.Code, f.Message), Command: "tandem wave resume " + w.ID}
		}
	}
	return enter(w, Baseline, scoping.Many(len(ev.Findings), "finding", "findings")+", no blocker", nil)
}

func baseline(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActBaseline)
	if ev == nil {
		return Decision{Do: ActBaseline}
	}
	if !ev.OK {
		return Decision{For: ForRun, Wait: ev.Why, Command: "tandem wave resume " + w.ID}
	}
	return enter(w, ShadowPhase, ev.Why, nil)
}

func shadow(w Wave, last *Evidence, now time.Time) Decision {
	ev := after(last, ActShadowRun)
	if ev == nil {
		return Decision{Do: ActShadowRun}
	}
	if !ev.OK {
		return Decision{For: ForRun, Wait: "the run of " + w.To + " was not complete: " + ev.Why, Command: "tandem wave resume " + w.ID}
	}
	return enter(w, Verify, "complete", func(x *Wave) { x.found(ev, now.UnixMilli()) })
}

// stale returns why verify has to be repeated, or "": it is too old, or from before a person let the wave continue, or the clock stepped back so that
// its age is unknown.
func stale(w Wave, now time.Time) string {
	age := now.Sub(time.UnixMilli(w.VerifiedAt))
	switch {
	case w.VerifiedAt == 0:
		return "judged again"
	case w.VerifiedAt < w.AnsweredAt:
		return "judged again, because a person answered since"
	case age > VerifyLife:
		return fmt.Sprintf("judged again, because the last time was more than %s ago", VerifyLife)
	case age < -clockSlack:
		return "judged again, because the clock was set back since"
	}
	return ""
}

// verify passes differences that are the same as before, that a person approved, or, with auto-approve, ordinary updates that the plan printed.
func verify(w Wave, last *Evidence, now time.Time) Decision {
	if why := stale(w, now); why != "" {
		return Decision{To: ShadowPhase, Result: why}
	}
	if w.Freezes >= MaxFreezes {
		return Decision{For: ForFreeze, Wait: fmt.Sprintf("%s ended before every request in flight had its answer and everything was verified", scoping.Many(w.Freezes, "freeze", "freezes")), Command: "tandem wave approve " + w.ID}
	}
	d := w.Differences
	switch {
	case d.Grave() == 0 && w.Found.none(), w.Approval.covers(w.Found), w.printed(w.Found):
	default:
		return Decision{For: ForDifferences, Wait: fmt.Sprintf("differences to be approved: %s%s", d, w.sinceShown()),
			Command: "tandem wave approve " + w.ID}
	}
	return enter(w, Freeze, fmt.Sprintf("%d same, %d differ", d.Unchanged, d.Differ()), nil)
}

// sinceShown returns a note if there are more differences than a person approved.
func (w Wave) sinceShown() string {
	if w.Approval == nil || w.Approval.covers(w.Found) {
		return ""
	}
	n := 0
	for _, d := range w.Examples {
		if d.New {
			n++
		}
	}
	return fmt.Sprintf("; more than %s approved (%s), %d of those shown are new", w.Approval.By, w.Approval.Fingerprint, n)
}

// freeze closes admission, waits for the requests in flight, and verifies what changed since verify.
func freeze(w Wave, last *Evidence, now time.Time) Decision {
	if last == nil || (last.Act != ActFreeze && last.Act != ActVerifyNew) {
		if stopsBefore(w, Freeze) {
			return hold(w, Freeze)
		}
		if why := stale(w, now); why != "" {
			return Decision{To: ShadowPhase, Result: why}
		}
		return Decision{Do: ActFreeze}
	}
	again := func(x *Wave) { x.Freezes++; x.VerifiedAt = 0 }
	switch {
	case last.Expired || !last.OK:
		return Decision{To: Verify, Result: "given back: " + last.Why, Set: again}
	case last.Act == ActFreeze && !last.Drained:
		return Decision{Do: ActFreeze}
	case last.Act == ActFreeze:
		return Decision{Do: ActVerifyNew}
	}
	if last.Counts.Grave() > 0 || !w.allowed(w.unseen(last.Differences)) {
		return Decision{To: Verify, Result: "something new appeared since verify", Set: again}
	}
	return Decision{To: Cutover, Result: "no request is in flight"}
}

// cutover is entered and left within one freeze; a process that begins here has lost the freeze.
func cutover(w Wave, last *Evidence, _ time.Time) Decision {
	switch {
	case last != nil && last.Act == ActCutover && !last.OK:
		return Decision{To: Verify, Result: last.Why, Set: func(x *Wave) { x.Freezes++; x.VerifiedAt = 0 }}
	case last == nil || last.Act != ActVerifyNew || !last.OK || last.Expired:
		return Decision{To: Freeze, Result: "the freeze was lost"}
	}
	return Decision{Do: ActCutover} // its transaction enters catch-up
}

func catchUp(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActCatchUp)
	switch {
	case ev == nil:
		return Decision{Do: ActCatchUp}
	case w.Rounds < 0 && ev.OK:
		return enter(w, Soak, "what did not settle was accepted", func(x *Wave) { x.Rounds = 0 })
	case ev.OK && ev.Unsettled == 0:
		return enter(w, Soak, "everything settled", nil)
	case w.Rounds+1 < maxCatchUpRounds && w.Rounds >= 0:
		return Decision{Do: ActCatchUp, Set: func(x *Wave) { x.Rounds++ }}
	}
	d := Decision{For: ForUnsettled, Wait: scoping.Many(ev.Unsettled, "object", "objects") + " did not settle", Command: "tandem wave resume " + w.ID, Set: func(x *Wave) { x.Rounds = 0 }}
	switch {
	case !ev.OK:
		d.For, d.Wait = ForRun, ev.Why
	case len(ev.Held) > 0:
		d.For, d.Command = ForHeldSet, "tandem held show "+ev.Held[0]
		d.Wait += ": held sets " + strings.Join(ev.Held, ", ") + " wait for an answer; then `tandem wave resume " + w.ID + "`"
	}
	return d
}

// soak lets time pass while health is watched; a person may end it.
func soak(w Wave, last *Evidence, _ time.Time) Decision {
	done := time.Duration(w.SoakMillis) * time.Millisecond
	if w.SoakOver || w.Options.Soak <= 0 {
		return enter(w, Complete, "ended", nil)
	}
	ev := after(last, ActWatch)
	if ev == nil {
		return Decision{Do: ActWatch}
	}
	add := func(x *Wave) { x.SoakMillis += ev.Elapsed.Milliseconds() }
	done += ev.Elapsed
	d := Decision{For: ForComplete, Command: "tandem wave complete " + w.ID, Set: add}
	switch {
	case done < w.Options.Soak:
		d.For, d.Wait, d.Time = ForSoak, fmt.Sprintf("soaking, %s left", (w.Options.Soak-done).Round(time.Second)), w.Options.Soak-done
	case !ev.OK:
		d.Wait = "the soak's time is up, but: " + ev.Why
	case w.Options.AutoComplete:
		return enter(w, Complete, "time is up, gates are green", add)
	default:
		d.Wait = "the soak's time is up and its gates are green; completing ends the way back"
	}
	return d
}

func complete(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActComplete)
	switch {
	case ev == nil:
		return Decision{Do: ActComplete}
	case !ev.OK:
		return Decision{For: ForUnclaimed, Wait: ev.Why, Command: "tandem wave complete " + w.ID}
	case ev.Unclaimed > 0:
		return Decision{For: ForUnclaimed, Wait: fmt.Sprintf("%s: %s owns what it did not propose", scoping.Many(ev.Unclaimed, "object is unclaimed", "objects are unclaimed"), w.To), Command: "tandem wave complete " + w.ID}
	}
	return Decision{Over: Completed, Result: "done"}
}

func rollbackFreeze(w Wave, last *Evidence, _ time.Time) Decision {
	switch {
	case last == nil || (last.Act != ActFreeze && last.Act != ActFlipBack):
		return Decision{Do: ActFreeze}
	case last.Act == ActFreeze && (last.Expired || !last.OK):
		if w.Freezes+1 >= MaxFreezes {
			return Decision{For: ForRollback, Wait: "requests stayed in flight: " + last.Why, Command: "tandem wave resume " + w.ID, Set: func(x *Wave) { x.Freezes = 0 }}
		}
		return Decision{Do: ActFreeze, Set: func(x *Wave) { x.Freezes++ }}
	case last.Act == ActFreeze && !last.Drained:
		return Decision{Do: ActFreeze}
	case last.Act == ActFlipBack && !last.OK:
		return Decision{For: ForRollback, Wait: last.Why, Command: "tandem wave resume " + w.ID}
	}
	return Decision{Do: ActFlipBack} // its transaction enters rollback-evaluate
}

func rollbackEvaluate(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActEvaluate)
	switch {
	case ev == nil:
		return Decision{Do: ActEvaluate}
	case ev.OK && ev.Unsettled == 0, ev.OK && w.Rounds+1 >= maxCatchUpRounds:
		return Decision{To: RollbackRestore, Result: scoping.Many(ev.Unsettled, "object", "objects") + " did not settle", Set: func(x *Wave) { x.Rounds = 0 }}
	case ev.OK:
		return Decision{Do: ActEvaluate, Set: func(x *Wave) { x.Rounds++ }}
	}
	return Decision{For: ForRollback, Wait: ev.Why, Command: "tandem wave resume " + w.ID}
}

func rollbackRestore(w Wave, last *Evidence, _ time.Time) Decision {
	ev := after(last, ActRestore)
	switch {
	case ev == nil:
		return Decision{Do: ActRestore}
	case !ev.OK && ev.Soon:
		return Decision{For: ForRollback, Wait: ev.Why, Command: "tandem wave resume " + w.ID, Time: restorePause, Set: func(x *Wave) { x.Report = ev.Report }}
	case !ev.OK:
		return Decision{For: ForRollback, Wait: ev.Why, Command: "tandem wave resume " + w.ID, Set: func(x *Wave) { x.Report = ev.Report }}
	}
	return Decision{Over: RolledBack, Result: "taken back", Set: func(x *Wave) { x.Report = ev.Report }}
}
