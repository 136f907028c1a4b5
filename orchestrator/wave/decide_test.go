package wave_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

func named(name string) scoping.ObjectID {
	o := scoping.ObjectID{Directory: "contoso"}
	copy(o.GUID[:], name)
	return o
}

func valued(name, value string) wave.Difference {
	return wave.Difference{Object: named(name), Feature: scoping.Users, Name: "CN=" + name, Op: "update", Detail: "title: → " + value}
}

// updates are ordinary updates of n objects.
func updates(n int) (ds []wave.Difference) {
	for i := range n {
		ds = append(ds, valued(fmt.Sprintf("u%03d", i), "x"))
	}
	return ds
}

// grievous is an update that a person has to see.
func grievous(name string) wave.Difference {
	d := valued(name, "another sign-in name")
	d.Grave = true
	return d
}

func deletion(name string) wave.Difference {
	return wave.Difference{Object: named(name), Feature: scoping.Users, Name: "CN=" + name, Op: "delete", Grave: true}
}

// evidence is what a shadow run found.
func evidence(ds []wave.Difference) *wave.Evidence {
	return but(wave.ActShadowRun, func(e *wave.Evidence) {
		e.Differences, e.From = ds, 1
		for _, d := range ds {
			if d.Op == "delete" {
				e.Counts.Delete++
			} else {
				e.Counts.Update++
			}
		}
	})
}

// found lets verify have found differences.
func found(ds ...wave.Difference) func(*wave.Wave) {
	return func(w *wave.Wave) {
		x := *w
		x.Phase = wave.ShadowPhase
		x.Options.HoldBefore = ""
		wave.Next(x, evidence(ds), now).Set(w)
	}
}

func finds(ds ...wave.Difference) func(*wave.Evidence) {
	return func(e *wave.Evidence) { e.Differences = ds }
}

// waits lets a wave wait for something.
func waits(w wave.Wave, what wave.For) wave.Wave {
	w.State, w.For, w.Wait, w.Command = wave.Waiting, what, "something", "a command"
	return w
}

func decide(w wave.Wave, v wave.Verb) (wave.Wave, error) {
	return wave.Decide(w, wave.Order{Verb: v, By: "carol", At: now.UnixMilli(), Fingerprint: w.Fingerprint})
}

// refused wants a decision to be refused, to change nothing, and to say what would be possible.
func refused(t *testing.T, w wave.Wave, o wave.Order, says string) {
	t.Helper()
	got, err := wave.Decide(w, o)
	if !errors.Is(err, wave.ErrVerb) || got.State != w.State || got.For != w.For {
		t.Fatalf("%s of a wave that is %s for %q: %s, %v", o.Verb, w.State, w.For, got.State, err)
	}
	if !strings.Contains(err.Error(), says) {
		t.Errorf("%s of a wave that is %s for %q says %q, not %q", o.Verb, w.State, w.For, err, says)
	}
}

var everything = []wave.For{wave.ForDifferences, wave.ForHold, wave.ForBlocker, wave.ForRun, wave.ForFreeze, wave.ForUnsettled, wave.ForHeldSet, wave.ForSoak, wave.ForComplete,
	wave.ForUnclaimed, wave.ForRollback, wave.ForStop}

// Approve and resume answer what is waited for. Where nothing of the kind waits they are refused.
func TestDecisionsAnswerWhatIsWaitedFor(t *testing.T) {
	approvable := []wave.For{wave.ForDifferences, wave.ForHold, wave.ForFreeze, wave.ForUnsettled, wave.ForHeldSet}
	resumable := []wave.For{wave.ForBlocker, wave.ForRun, wave.ForUnsettled, wave.ForHeldSet, wave.ForRollback, wave.ForUnclaimed}
	for _, what := range everything {
		for v, fits := range map[wave.Verb][]wave.For{wave.Approve: approvable, wave.Resume: resumable} {
			w := waits(at(wave.Verify, found(updates(1)...)), what)
			if !slices.Contains(fits, what) {
				refused(t, w, wave.Order{Verb: v, Fingerprint: w.Fingerprint}, "waiting in verify")
				continue
			}
			if got, err := decide(w, v); err != nil || got.State != wave.Running || got.For != "" || got.AnsweredAt != now.UnixMilli() {
				t.Errorf("%s for %s: %+v, %v", v, what, got.State, err)
			}
		}
	}
	refused(t, at(wave.Verify), wave.Order{Verb: wave.Approve}, "running in verify")
	refused(t, at(wave.Verify), wave.Order{Verb: wave.Resume, Driven: true}, "running in verify")
	if w, err := decide(at(wave.Verify), wave.Resume); err != nil || w.State != wave.Running { // its process was killed
		t.Errorf("resuming a wave that nobody drives: %v", err)
	}
}

// Two waits need two approvals: one of differences leaves the hold, one of the hold leaves the differences.
func TestAnApprovalAnswersOneThing(t *testing.T) {
	held := func(w *wave.Wave) { w.Options.HoldBefore = wave.Cutover }
	w := at(wave.Verify, found(updates(1)...), held)
	if got := shape(wave.Next(w, nil, now)); got != "wait differences" {
		t.Fatal(got)
	}
	w, err := decide(waits(w, wave.ForDifferences), wave.Approve)
	if got := shape(wave.Next(w, nil, now)); err != nil || w.Released || got != "wait hold" {
		t.Fatalf("after the approval of the differences: %s, released %v, %v", got, w.Released, err)
	}
	w, err = decide(waits(w, wave.ForHold), wave.Approve)
	if got := shape(wave.Next(w, nil, now)); err != nil || got != "to freeze" {
		t.Fatalf("after both: %s, %v", got, err)
	}
	w, err = decide(waits(at(wave.Verify, found(updates(1)...), held), wave.ForHold), wave.Approve)
	if got := shape(wave.Next(w, nil, now)); err != nil || got != "wait differences" {
		t.Fatalf("after the approval of the hold alone: %s, %v", got, err)
	}
}

// No approval ends a pause; resume, abort and rollback do. What was waited for before the pause still is.
func TestPausesEndByResume(t *testing.T) {
	for _, what := range append(everything, "") {
		w := at(wave.Soak, found(updates(1)...))
		if what != "" {
			w = waits(w, what)
		}
		p, err := decide(w, wave.Pause)
		if err != nil || p.State != wave.Paused || p.Paused.By != "carol" || p.WaitsFor() != wave.ForPause {
			t.Fatalf("%q: %s, %v", what, p.State, err)
		}
		if a, err := decide(p, wave.Approve); a.State != wave.Paused || a.Paused == nil || (err == nil && a.For != "") {
			t.Errorf("%q: approved while paused: %s for %q, %v", what, a.State, a.For, err)
		}
		refused(t, p, wave.Order{Verb: wave.CompleteNow}, "paused by carol")
		refused(t, p, wave.Order{Verb: wave.Pause}, "paused by carol")
		r, err := decide(p, wave.Resume)
		if err != nil || r.State == wave.Paused || r.Paused != nil {
			t.Errorf("%q: resumed: %s, %v", what, r.State, err)
		}
		if open := []wave.For{wave.ForDifferences, wave.ForHold, wave.ForFreeze, wave.ForComplete, wave.ForStop}; slices.Contains(open, what) != (r.State == wave.Waiting && r.For == what) {
			t.Errorf("%q: resumed, it is %s for %q", what, r.State, r.For)
		}
		if b, err := decide(p, wave.RollBack); err != nil || b.State != wave.Running || b.Paused != nil {
			t.Errorf("%q: rolled back: %s, %v", what, b.State, err)
		}
	}
	p, _ := decide(at(wave.Verify), wave.Pause)
	if a, err := decide(p, wave.Abort); err != nil || a.State != wave.Aborted {
		t.Errorf("abort: %s, %v", a.State, err)
	}
}

// An approval names what was shown. Fewer differences than shown are fine, other grave ones or more ordinary ones are not, and the refusal says what is new.
func TestApprovalsNameWhatWasShown(t *testing.T) {
	shown := at(wave.Verify, found(append(updates(3), deletion("bob"))...)).Fingerprint
	for name, x := range map[string]struct {
		now  []wave.Difference
		says string
	}{
		"the same":               {append(updates(3), deletion("bob")), ""},
		"fewer ordinary updates": {append(updates(2), deletion("bob")), ""},
		"other ordinary updates": {append(updates(4)[1:], deletion("bob")), ""},
		"more ordinary updates":  {append(updates(4), deletion("bob")), "4 objects have ordinary updates, 3 when it was shown; new: update CN=u003"},
		"another delete":         {append(updates(3), deletion("eve")), "new: delete CN=eve"},
		"one more delete":        {append(updates(3), deletion("bob"), deletion("eve")), "new: delete CN=eve"},
		"no delete":              {updates(3), "others than those shown"},
	} {
		w := waits(at(wave.Verify, found(append(updates(3), deletion("bob"))...), found(x.now...)), wave.ForDifferences)
		if x.says != "" {
			refused(t, w, wave.Order{Verb: wave.Approve, Fingerprint: shown}, x.says)
			continue
		}
		if got, err := wave.Decide(w, wave.Order{Verb: wave.Approve, By: "carol", Fingerprint: shown}); err != nil || got.Approval.Fingerprint != w.Fingerprint || got.Approval.By != "carol" {
			t.Errorf("%s: %v", name, err)
		}
	}
	w := waits(at(wave.Verify, found(updates(1)...)), wave.ForDifferences)
	refused(t, w, wave.Order{Verb: wave.Approve}, "does not say of what")
	refused(t, w, wave.Order{Verb: wave.Approve, Fingerprint: "lunch"}, "no fingerprint")
}

// What the verify before did not find is marked, and grave differences come first.
func TestNewDifferencesAreMarked(t *testing.T) {
	w := at(wave.Verify, found(updates(1)...), found(append(updates(26), deletion("bob"))...))
	if d := w.Examples[0]; d.Op != "delete" || !d.New {
		t.Errorf("first comes %+v", d)
	}
	n := 0
	for _, d := range w.Examples {
		if d.New {
			n++
		}
	}
	if n != 26 {
		t.Errorf("%d of %d are new, want 26", n, len(w.Examples))
	}
	many := at(wave.Verify, found(updates(6000)...))
	if len(many.Examples) != 50 || len(many.Found.Others) != 0 || many.Found.Updates != 6000 {
		t.Errorf("a record keeps %d examples and %d marks of 6000", len(many.Examples), len(many.Found.Others))
	}
}

// Decisions that are not about a wait fit the phase, or are refused and change nothing.
func TestDecisionsFitThePhase(t *testing.T) {
	before := []wave.Phase{wave.Preflight, wave.Baseline, wave.ShadowPhase, wave.Verify, wave.Freeze, wave.Cutover}
	after := []wave.Phase{wave.CatchUp, wave.Soak, wave.Complete}
	for verb, fits := range map[wave.Verb][]wave.Phase{wave.Abort: before, wave.RollBack: after, wave.CompleteNow: {wave.Soak, wave.Complete}, wave.Pause: wave.Phases(), "sing": nil} {
		for _, p := range wave.Phases() {
			w, err := decide(at(p), verb)
			if ok := slices.Contains(fits, p); ok != (err == nil) || (!ok && !errors.Is(err, wave.ErrVerb)) {
				t.Errorf("%s in %s: %v", verb, p, err)
			}
			if err != nil && w.State != wave.Running {
				t.Errorf("%s in %s was refused, and the wave is %s", verb, p, w.State)
			}
		}
	}
	for _, s := range []wave.State{wave.Completed, wave.RolledBack, wave.Aborted} {
		for _, v := range []wave.Verb{wave.Approve, wave.Pause, wave.Resume, wave.Abort, wave.RollBack, wave.CompleteNow} {
			if _, err := decide(at(wave.Soak, func(w *wave.Wave) { w.State = s }), v); !errors.Is(err, wave.ErrVerb) {
				t.Errorf("%s of a wave that is %s: %v", v, s, err)
			}
		}
	}
	for _, p := range []wave.Phase{wave.RollbackFreeze, wave.RollbackEvaluate, wave.RollbackRestore} {
		if _, err := decide(at(p), wave.Abort); !errors.Is(err, wave.ErrVerb) {
			t.Errorf("abort in %s: %v", p, err)
		}
		for _, s := range []wave.State{wave.Running, wave.Waiting, wave.Paused} {
			w, err := decide(at(p, func(w *wave.Wave) { w.State, w.Wait = s, "something" }), wave.RollBack)
			if err != nil || w.State != wave.Running || w.Phase != p || w.Wait != "" {
				t.Errorf("rollback repeated in %s, %s: %+v %v", p, s, w, err)
			}
		}
	}
	w := at(wave.Soak, func(w *wave.Wave) { w.SoakMillis = 15 * time.Minute.Milliseconds() })
	if left := w.SoakLeft(); left != 45*time.Minute {
		t.Errorf("%s of the soak are left", left)
	}
}

// Plan files are sealed with their counts: those of versions that did not count restores and references stay as they were written.
func TestCountsOfEarlierPlansStayAsTheyWereWritten(t *testing.T) {
	old := `{"create":1,"update":2,"delete":0,"orphan":0,"unclaimed":0,"unchanged":3}`
	var c wave.Counts
	if err := json.Unmarshal([]byte(old), &c); err != nil {
		t.Fatal(err)
	}
	if b, err := json.Marshal(c); err != nil || string(b) != old {
		t.Errorf("written again: %s, %v", b, err)
	}
}

// What people approve is bound to ids: another name of a member is the same difference, another member is another one.
func TestAnApprovalIsBoundToIDsAndNotToNames(t *testing.T) {
	d := valued("ann", "x")
	d.Detail, d.Binding = "members: 1 fewer (CN=Bob)", "members-: c-bob"
	renamed, other := d, d
	renamed.Detail, other.Binding = "members: 1 fewer (CN=Robert)", "members-: c-cleo"
	if d.Mark() != renamed.Mark() || d.Mark() == other.Mark() {
		t.Errorf("marks: %s %s %s", d.Mark(), renamed.Mark(), other.Mark())
	}
}
