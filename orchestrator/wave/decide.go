package wave

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// For is the kind of thing that a wave waits for.
type For string

// What waves wait for, and what ends the wait.
const (
	ForDifferences For = "differences" // a person approves the writes that would follow
	ForHold        For = "hold"        // a person approves: the administrator asked for a stop before the phase
	ForBlocker     For = "blocker"     // an administrator removes the cause, then resumes
	ForRun         For = "run"         // a run was not complete: resume tries again
	ForFreeze      For = "freeze"      // several freezes expired: approve allows more
	ForUnsettled   For = "unsettled"   // catch-up left keys unsettled: resume tries again, approve accepts them
	ForHeldSet     For = "held-set"    // catch-up left held sets: answer them, then resume; approve accepts them
	ForSoak        For = "soak"        // time alone
	ForComplete    For = "complete"    // a person completes it
	ForUnclaimed   For = "unclaimed"   // objects are unclaimed: complete tries again
	ForRollback    For = "rollback"    // the rollback cannot continue: resume tries again
	ForStop        For = "stop"        // writing is stopped: start ends that
	ForPause       For = "pause"       // a person paused it: resume
)

// PausedBy is the person who paused a wave, and when.
type PausedBy struct {
	By string `json:"by"`
	At int64  `json:"at"` // Unix ms
}

// WaitsFor returns what the wave waits for, or "".
func (w Wave) WaitsFor() For {
	switch w.State {
	case Paused:
		return ForPause
	case Waiting:
		return w.For
	}
	return ""
}

// ErrVerb means that a decision does not fit the wave's present state.
var ErrVerb = errors.New("that cannot be decided now")

// unfit returns an error that matches ErrVerb and whose text is only the reason.
func unfit(format string, args ...any) error { return &verbError{fmt.Sprintf(format, args...)} }

type verbError struct{ text string }

func (e *verbError) Error() string        { return e.text }
func (e *verbError) Is(target error) bool { return target == ErrVerb }

// Verb is a person's decision about a wave.
type Verb string

// The decisions.
const (
	Approve     Verb = "approve"
	Pause       Verb = "pause"
	Resume      Verb = "resume"
	Abort       Verb = "abort"
	RollBack    Verb = "rollback"
	CompleteNow Verb = "complete"
)

// Order is a person's decision with what it depends on.
type Order struct {
	Verb        Verb
	By          string
	At          int64  // Unix ms
	Fingerprint string // approve: of the differences that the person was shown
	Driven      bool   // a process is driving the wave
}

// Decide applies a person's decision to a wave's record. Errors match ErrVerb and name what is possible instead.
func Decide(w Wave, o Order) (Wave, error) {
	if w.State.Over() {
		return w, unfit("wave %s %s", w.ID, w.ended())
	}
	switch o.Verb {
	case Approve:
		return approve(w, o)
	case Pause:
		return pause(w, o)
	case Resume:
		return resume(w, o)
	case Abort:
		if w.isRollback() {
			return w, unfit("wave %s is being taken back; `tandem wave rollback %s` goes on with it", w.ID, w.ID)
		}
		if w.CutOver() {
			return w, unfit("wave %s has cut over; `tandem wave rollback %s` takes it back", w.ID, w.ID)
		}
		w.State = Aborted
		return w.unwait(), nil
	case RollBack:
		if w.isRollback() {
			w.State, w.Error = Running, "" // it continues
			return w.unwait(), nil
		}
		if !w.CutOver() {
			return w, unfit("wave %s has not cut over; `tandem wave abort %s` ends it", w.ID, w.ID)
		}
		w.Phase, w.State, w.Freezes = RollbackFreeze, Running, 0
		return w.unwait(), nil
	case CompleteNow:
		return completeNow(w)
	}
	return w, unfit("unknown decision %q", o.Verb)
}

// ended describes how a wave ended, and what can be done instead.
func (w Wave) ended() string {
	switch w.State {
	case Completed:
		return fmt.Sprintf("is completed; its way back is a new wave: `tandem migrate --under DN --to %s`", w.From)
	case RolledBack:
		return "was taken back; `tandem wave show " + w.ID + "` says what was restored"
	}
	return "was ended before its cutover"
}

// unwait clears what the wave waits for, and a pause.
func (w Wave) unwait() Wave {
	w.For, w.Wait, w.Command, w.Since, w.Paused = "", "", "", 0, nil
	return w
}

// approve answers the one thing that is waited for. A pause stays.
func approve(w Wave, o Order) (Wave, error) {
	if (w.State != Waiting && w.State != Paused) || !slices.Contains([]For{ForDifferences, ForHold, ForFreeze, ForUnsettled, ForHeldSet}, w.For) {
		return w, unfit("wave %s waits for nothing that can be approved: %s", w.ID, w.doing())
	}
	if w.For == ForDifferences {
		if err := w.shown(o.Fingerprint); err != nil {
			return w, err
		}
		w.Approval = &Approval{By: o.By, At: o.At, Fingerprint: w.Fingerprint, Grave: w.Found.Grave, Hash: w.Found.Hash, Updates: w.Found.Updates}
	} else if o.Fingerprint != "" {
		if err := w.shown(o.Fingerprint); err != nil {
			return w, err
		}
	}
	switch w.For {
	case ForHold:
		w.Released = true
	case ForFreeze:
		w.Freezes = 0
	case ForUnsettled, ForHeldSet:
		w.Rounds = -1
	}
	w.AnsweredAt = o.At
	paused := w.Paused
	w = w.unwait()
	if w.Paused = paused; w.State != Paused {
		w.State = Running
	}
	return w, nil
}

// shown returns an error if the approved differences are not the present ones: other grave differences, or more ordinary ones.
func (w Wave) shown(fingerprint string) error {
	if fingerprint == "" {
		return unfit("the approval does not say of what: name the fingerprint that `tandem wave show %s` shows (%s)", w.ID, w.Fingerprint)
	}
	hash, n, _ := strings.Cut(fingerprint, "-")
	updates, err := strconv.Atoi(n)
	if err != nil {
		return unfit("%q is no fingerprint of a wave's differences (that of now is %s)", fingerprint, w.Fingerprint)
	}
	nowHash, _, _ := strings.Cut(w.Fingerprint, "-")
	if hash == nowHash && w.Found.Updates <= updates {
		return nil
	}
	what := fmt.Sprintf("%s ordinary updates, %d when it was shown", scoping.Many(w.Found.Updates, "object has", "objects have"), updates)
	if hash != nowHash {
		what = "the creates, deletes, orphans, unclaimed objects, sign-in changes or disabled accounts are others than those shown"
	}
	for _, d := range w.Examples {
		if d.New {
			what += fmt.Sprintf("; new: %s %s", d.Op, d.Name)
			break
		}
	}
	return unfit("wave %s changed since it was shown: %s. `tandem wave show %s` shows what it is now (%s)", w.ID, what, w.ID, w.Fingerprint)
}

func pause(w Wave, o Order) (Wave, error) {
	if w.State == Paused {
		return w, unfit("wave %s is %s", w.ID, w.doing())
	}
	if w.State != Waiting {
		w = w.unwait()
	}
	w.State, w.Paused = Paused, &PausedBy{By: o.By, At: o.At}
	return w, nil
}

// resume ends a pause, or lets a wave try again what failed. What a person has to approve stays open.
func resume(w Wave, o Order) (Wave, error) {
	again := []For{ForBlocker, ForRun, ForUnsettled, ForHeldSet, ForRollback, ForUnclaimed, ""}
	switch {
	case w.State == Paused:
		if w.For == ForSoak || slices.Contains(again, w.For) {
			w = w.unwait()
		}
		if w.Paused, w.State = nil, Running; w.For != "" {
			w.State = Waiting
		}
	case w.State == Waiting && slices.Contains(again, w.For), (w.State == Running || w.State == NotStarted || w.State == Failed) && !o.Driven:
		w.State = Running
		w = w.unwait()
	default:
		return w, unfit("there is nothing to resume: wave %s is %s", w.ID, w.doing())
	}
	w.Error, w.AnsweredAt = "", o.At
	return w, nil
}

func completeNow(w Wave) (Wave, error) {
	switch {
	case w.Phase != Soak && w.Phase != Complete:
		return w, unfit("wave %s is in %s; only a wave in soak can be completed", w.ID, w.Phase)
	case w.State == Paused:
		return w, unfit("wave %s is %s", w.ID, w.doing())
	}
	w.SoakOver, w.State = true, Running
	w.Released = w.Released || w.Options.HoldBefore == Complete
	return w.unwait(), nil
}

// doing describes what a wave is doing, and which command would change that.
func (w Wave) doing() string {
	switch {
	case w.State == Paused && w.Paused != nil:
		return fmt.Sprintf("paused by %s: `tandem wave resume %s`", w.Paused.By, w.ID)
	case w.State == Paused:
		return fmt.Sprintf("paused: `tandem wave resume %s`", w.ID)
	case w.State == Waiting:
		return fmt.Sprintf("waiting in %s: %s: `%s`", w.Phase, w.Wait, w.Command)
	}
	return fmt.Sprintf("%s in %s", w.State, w.Phase)
}

// SoakLeft returns how much of the soak is left.
func (w Wave) SoakLeft() time.Duration {
	return max(0, w.Options.Soak-time.Duration(w.SoakMillis)*time.Millisecond)
}
