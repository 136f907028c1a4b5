package simulation

import (
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// flapper is a foreign writer that gives an attribute the same value again whenever it has another.
type flapper struct {
	account string
	name    string
	value   []string
	times   int // how often it will do so yet
}

// beginFlapping sends a flapper to an account that Tandem made.
func (w *world) beginFlapping() {
	a, ok := pick(w, slices.DeleteFunc(w.tenant.sorted(), func(a *account) bool { return a.purged() || a.truth().Deleted || !a.mine }))
	if !ok {
		return
	}
	f := &flapper{account: a.id, name: cloud.DisplayName, value: []string{w.newName("flap")}, times: 3 + w.r.IntN(9)}
	if a.truth().Kind == scoping.User && w.r.IntN(2) == 0 {
		f.name = []string{"department", "jobTitle"}[w.r.IntN(2)]
	}
	w.flappers = append(w.flappers, f)
	w.log("a foreign writer of %s to %s begins: %v", f.name, f.account, f.value)
}

// flap lets the flappers write.
func (w *world) flap() {
	for _, f := range w.flappers {
		a := w.tenant.accounts[f.account]
		if f.times == 0 || a.purged() || a.truth().Deleted || slices.Equal(a.truth().Values[f.name], f.value) {
			continue
		}
		f.times--
		w.saw(Flapping)
		w.note(w.dir.anchors[a.anchor], ByHand)
		o := a.truth().Clone()
		o.Values[f.name] = slices.Clone(f.value)
		w.tenant.set(a, o)
		w.log("foreign write to %s again: %s %v", a.id, f.name, f.value)
	}
	w.flappers = slices.DeleteFunc(w.flappers, func(f *flapper) bool { return f.times == 0 })
}

// try names one wish of one run.
type try struct {
	run    uint64
	life   int // of the host: numbers of runs follow the wall clock
	object scoping.GUID
	what   string
}

// maxTries is how often a run may write the same to the same object: it is done, and a doubt's end may do it once more.
const maxTries = 2

// checkTries: a run does not fight with others over an attribute, what was changed again meanwhile is the next run's; and what others take back each time is
// left alone after some times (rule S10).
func (w *world) checkTries(x cloud.Write, r ledger.Record) {
	if x.Op == cloud.Delete || x.Op == cloud.Restore { // what was deleted in between is counted anew
		w.book.lastWish[r.Object.GUID] = wish{}
	}
	if x.Op != cloud.Update || r.Run == 0 {
		return
	}
	t := try{r.Run, w.counts["crash"], r.Object.GUID, fmt.Sprint(x.Set)}
	if w.book.tries[t]++; w.book.tries[t] > maxTries {
		w.failAbout(t.object, noSurprise, "run %d writes %v to %s for the %d. time", r.Run, x.Set, w.dir.now.dn(t.object), w.book.tries[t])
	}
	if w.eyes[ClockSteps] || w.history[t.object][Doubted] {
		return // what is within 24 hours depends on the clock; and what was written in doubt is not counted
	}
	again := wish{t.object, t.what, fmt.Sprint(r.Before)}
	if w.book.lastWish[t.object] != again { // what is wanted or shown changed: it is counted anew
		w.book.lastWish[t.object], w.book.wishes[again] = again, nil
	}
	times := slices.DeleteFunc(w.book.wishes[again], func(at time.Time) bool { return w.now.Sub(at) >= ledger.Window-time.Minute })
	w.book.wishes[again] = append(times, w.now)
	if n := len(times) + 1; n > 2*ledger.MaxWrites+w.spared { // the ledger counts settled writes of one owner
		w.failAbout(t.object, noSurprise, notLeftAlone, t.what, w.dir.now.dn(t.object), n, again.over)
	}
}

// wish is what is written over something.
type wish struct {
	object scoping.GUID
	what   string
	over   string
}
