package simulation

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// next is one step: something happens.
func (w *world) next() {
	w.alive()
	w.pass(time.Duration(1+w.r.IntN(90)) * time.Second)
	switch w.r.IntN(16) {
	case 0:
		w.armed = 1 + w.r.IntN(60)
	case 1: // seldom reached ones meet a crash as often as the others
		w.mined, _ = pick(w, crashPoints)
	}
	if w.opens(FailingSteps, 20) {
		w.letFail()
	}
	if w.opens(ClockSteps, 6) {
		w.stepClock()
	}
	if w.opens(Flapping, 8) {
		w.beginFlapping()
	}
	if w.opens(Thaws, 10) && w.chooses {
		w.freezeGroup()
	}
	if w.opens(NewRules, 3) {
		w.changeRules()
	}
	if w.opens(Domains, 3) {
		w.verifyDomain()
	}
	w.flap()
	w.thawGroups(false)
	w.replicate()
	w.followOrphans()
	w.moreHosts()
	if w.eyes[Passwords] && w.r.IntN(3) == 0 {
		w.handPasswords()
	}
	if w.eyes[Deliveries] && w.r.IntN(3) == 0 {
		w.changeInTenant()
		w.maybe(30, w.setByCommand)
	}
	if len(w.flappers) > 0 && w.fault(25) {
		w.pass(2 * delay)
		w.sync([]string{connect, cloudsync}[w.r.IntN(2)])
	}
	if w.hireStep() {
		return
	}
	switch n := w.r.IntN(100); {
	case w.eyes[BigWorlds] && n < 12:
		w.mass()
	case w.eyes[BigWorlds] && n < 15:
		w.undo()
	case w.eyes[BigWorlds] && n < 20:
		w.answer([]string{"approve", "approve", "reject"}[w.r.IntN(3)])
	case n < 30:
		for range 1 + w.r.IntN(3) {
			w.changeDirectory()
		}
	case n < 58:
		w.sync([]string{connect, cloudsync}[w.r.IntN(2)])
	case n < 78:
		w.waves()
	case n < 84:
		w.foreignWrite()
	case n < 92:
		w.jump()
	case n < 93:
		w.dir.invocation[3]++
		w.log("the directory has another controller")
	default:
		w.person()
	}
}

// followOrphans wants something else of the objects about which requests may still take effect, and lets their engines run.
func (w *world) followOrphans() {
	ids := w.orphans
	w.orphans = nil
	for _, g := range ids {
		e := w.dir.now.objects[g]
		if e == nil || e.deleted || (w.r.IntN(3) == 0 && !w.eyes[ClockSteps]) {
			continue
		}
		c := *e
		c.display = "D " + w.newName("after")
		w.dir.put(c)
		w.log("directory: %s is called %s", c.name, c.display)
		w.sync(connect)
		w.sync(cloudsync)
	}
}

// interleave lets others act while the host waits for something.
func (w *world) interleave() { w.interleaveAt(14) }

// interleaveAt is interleave, so many times in a hundred.
func (w *world) interleaveAt(percent int) {
	w.alive()
	if !w.faults || w.depth > 3 || w.r.IntN(100) >= percent {
		return
	}
	w.depth++
	defer func() { w.depth-- }()
	w.flap()
	switch n := w.r.IntN(100); {
	case n < 40:
		w.changeDirectory()
	case n < 50:
		w.foreignWrite()
	case n < 58:
		w.pass(time.Duration(w.r.IntN(40)) * time.Second)
	case n < 70:
		w.person()
	case w.eyes[FromCloud] && n < 82 && w.r.IntN(2) == 0:
		w.meanwhile()
	case w.preparing:
	case w.eyes[Passwords] && n < 76:
		w.handPasswords()
	case w.eyes[Deliveries] && n < 80:
		w.changeInTenant()
	case n < 85:
		w.sync([]string{connect, cloudsync}[w.r.IntN(2)])
	default:
		w.waves()
	}
	w.alive()
}

// free reports whether no run of these engines is open on the stack; "" and scoping.None name no engine.
func (w *world) free(engines ...string) bool {
	return !slices.ContainsFunc(engines, func(e string) bool { return w.engines[e] != nil && (w.locked[e] > 0 || w.engines[e].busy) })
}

// freeAll is free, of passwords as well.
func (w *world) freeAll(engines ...string) bool {
	return w.free(engines...) && !slices.ContainsFunc(engines, func(e string) bool { return w.locked[passwordsOf(e)] > 0 })
}

// sync lets an engine run.
func (w *world) sync(name string) {
	if w.preparing || !w.free(name) {
		return
	}
	profile := engine.ProfileDelta
	if w.r.IntN(4) == 0 {
		profile = engine.ProfileFull
	}
	w.syncAs(name, profile)
}

func (w *world) syncAs(name, profile string) (r run.Report, err error) {
	w.counts["sync"]++
	w.log("sync %s %s {", name, profile)
	w.call([]string{name}, func() {
		r, err = w.host.Sync(context.Background(), name, run.SyncOptions{Profile: profile})
	})
	if w.eyes[Passwords] && !w.faults && err == nil {
		r, err = w.handPasswordsOf(name, profile, r)
	}
	w.log("} sync %s: complete %v applied %d deferred %d held %d failed %d unclaimed %d: %v %v", name, r.Complete, r.Applied, r.Deferred, r.Held, r.Failed, r.Unclaimed, r.Errors, err)
	if w.o.Trace {
		w.log("  staged %v, pinned %v", w.census.Staged(), w.census.Pinned())
	}
	return r, err
}

// waves begins, drives or decides.
func (w *world) waves() {
	if w.preparing {
		return
	}
	all, err := w.host.Waves(context.Background())
	w.alive()
	if err != nil {
		w.fail("control can be read", "%v", err)
	}
	open := slices.DeleteFunc(all, func(x wave.Wave) bool { return x.State.Over() || w.driving[x.ID] })
	x, ok := pick(w, open)
	switch {
	case (!ok || w.r.IntN(8) == 0) && w.chooses && w.r.IntN(2) == 0:
		w.replan()
	case !ok || w.r.IntN(8) == 0:
		w.migrate()
	case w.r.IntN(3) == 0:
		w.decideWave(x)
	case w.depth == 0 && w.r.IntN(2) == 0: // what happens meanwhile drives waves too
		w.attend(x.ID)
	default:
		w.drive(x)
	}
}

// attend acts as a person who wants a wave to end: the wave is driven on, and what it waits for is decided.
func (w *world) attend(id string) {
	for range 9 {
		x, err := w.host.Wave(context.Background(), id)
		w.alive()
		if err != nil || x.State.Over() || w.driving[id] {
			return
		}
		if x.Phase == wave.Soak && w.opens(ClockSteps, 40) {
			w.stepClock()
		}
		if x.Phase == wave.Soak && w.r.IntN(3) == 0 {
			w.pass(x.Options.Soak)
		}
		v := fitting(x)
		if w.opens(Deciders, 15) { // one person pauses it, and another one answers what it waited for
			w.decideAs(x, wave.Pause)
			x.State, v = wave.Paused, wave.Approve
		}
		if v != "" && w.r.IntN(8) > 0 {
			w.decideAs(x, v)
		}
		w.pass(time.Duration(1+w.r.IntN(40)) * time.Second)
		w.drive(x)
	}
}

// migrate plans and begins a wave.
func (w *world) migrate() {
	to := []string{connect, cloudsync}[w.r.IntN(2)]
	if !w.freeAll(to, other(to)) || len(w.driving) > 1 {
		return
	}
	at := []string{"Sales", "Sales", "Alpha", "Inner", "North", "Contractors", "Beta"}[w.r.IntN(7)]
	dn := w.dir.now.dn(w.named(at))
	var except []string
	if at == "Sales" && w.r.IntN(2) == 0 {
		if g := w.named("Contractors"); slices.Contains(w.dir.now.chain(g), w.named("Sales")) {
			except = []string{w.dir.now.dn(g)}
		}
	}
	var features []scoping.Feature
	if w.r.IntN(6) == 0 {
		features = []scoping.Feature{scoping.Users}
	}
	o := w.applyOptions()
	w.counts["migrate"]++
	w.log("migrate %s to %s except %v {", dn, to, except)
	w.call(withPasswordsOf(to, other(to)), func() {
		_, ws, err := w.host.Migrate(context.Background(), dn, to, features, except, o)
		for _, x := range ws {
			delete(w.book.frozen, x.ID)
		}
		w.log("} migrate: %s %v", summary(ws), err)
	})
}

func other(name string) string {
	if name == connect {
		return cloudsync
	}
	return connect
}

func summary(ws []wave.Wave) (out []string) {
	for _, x := range ws {
		out = append(out, x.ID+" "+string(x.State)+" in "+string(x.Phase)+": "+x.Wait)
	}
	return out
}

// drive lets a wave go on.
func (w *world) drive(x wave.Wave) {
	if !w.freeAll(x.To) {
		return
	}
	stop := wave.Phase("")
	locks := []string{x.To, x.From}
	if !w.free(x.From) {
		stop = wave.RollbackEvaluate
	}
	if x.Phase == wave.RollbackRestore && !w.free(x.From) {
		return // restoring asks the source for the objects about which its run said nothing
	}
	if x.Phase != wave.RollbackEvaluate && x.Phase != wave.RollbackFreeze && x.Phase != wave.RollbackRestore && w.r.IntN(2) == 0 {
		stop, locks = wave.RollbackEvaluate, []string{x.To} // the source may run meanwhile
	}
	if x.Phase == stop {
		return
	}
	w.counts["drive"]++
	w.driving[x.ID] = true
	defer delete(w.driving, x.ID)
	w.log("drive %s from %s {", x.ID, x.Phase)
	w.call(withPasswordsOf(locks...), func() {
		y, err := w.host.DriveUntil(context.Background(), x.ID, stop)
		delete(w.book.frozen, x.ID) // a freeze ends with the call that drives its wave
		w.log("} drive: %s %v", summary([]wave.Wave{y}), err)
		if err == nil && y.State.Over() {
			w.counts["wave "+string(y.State)]++
		}
	})
}

// fitting returns the decision that a wave waits for, "" if it waits for none.
func fitting(x wave.Wave) wave.Verb {
	switch x.WaitsFor() {
	case wave.ForDifferences, wave.ForHold, wave.ForFreeze, wave.ForUnsettled:
		return wave.Approve
	case wave.ForBlocker, wave.ForRun, wave.ForHeldSet, wave.ForRollback, wave.ForPause:
		return wave.Resume
	case wave.ForComplete, wave.ForUnclaimed:
		return wave.CompleteNow
	}
	return ""
}

func (w *world) decideWave(x wave.Wave) {
	v := []wave.Verb{wave.Approve, wave.Approve, wave.Approve, wave.Pause, wave.Resume, wave.Resume, wave.Abort, wave.RollBack, wave.CompleteNow}[w.r.IntN(9)]
	switch fits := fitting(x); {
	case x.CutOver() && w.r.IntN(3) == 0:
		v = wave.RollBack
	case fits != "" && w.r.IntN(3) > 0:
		v = fits
	}
	w.decideAs(x, v)
}

func (w *world) decideAs(x wave.Wave, v wave.Verb) {
	w.call(nil, func() {
		asked := v
		if w.o.Break == ApprovalResumes && v == wave.Approve && x.State == wave.Paused {
			asked = wave.Resume
		}
		var y wave.Wave
		var err error
		if asked == wave.Approve { // of what was looked at a moment ago, in some cases of something older
			y, err = w.host.ApproveWave(context.Background(), x.ID, []string{x.Fingerprint, x.Fingerprint, x.Fingerprint, "none-0"}[w.r.IntN(4)], "simulation", "because")
		} else {
			y, err = w.host.DecideWave(context.Background(), x.ID, asked, "simulation", "because")
		}
		w.log("wave %s: %s -> %s in %s %v", x.ID, v, y.State, y.Phase, err)
		if err == nil {
			w.book.decided(w, y, v)
		} else if !errors.Is(err, problem.ErrUsage) {
			w.book.standing(x.ID).paused = false // the decision may be stored or not
		}
	})
}

// person decides something.
func (w *world) person() {
	ctx := context.Background()
	switch n := w.r.IntN(10); {
	case n < 4:
		all, err := w.host.Waves(ctx)
		w.alive()
		if x, ok := pick(w, slices.DeleteFunc(all, func(x wave.Wave) bool { return x.State.Over() })); ok && err == nil {
			w.decideWave(x)
		}
	case n < 6:
		o := host.StopOptions{Reason: "simulation", By: "simulation", All: true}
		if w.r.IntN(2) == 0 {
			o.All, o.Engine = false, []string{connect, cloudsync}[w.r.IntN(2)]
		}
		w.call(nil, func() {
			_, err := w.host.Stop(ctx, o)
			w.log("stop %q %v", o.Engine, err)
		})
	case n < 9:
		w.call(nil, func() {
			_, err := w.host.Start(ctx, host.StopOptions{All: true, Reason: "simulation", By: "simulation"})
			w.log("start %v", err)
		})
	default:
		w.answer([]string{"approve", "approve", "reject", "forget"}[w.r.IntN(4)])
	}
}

// answer answers a held set.
func (w *world) answer(verb string) {
	h, ok := pick(w, w.host.Held())
	if !ok || w.preparing || !w.free(h.Engine) || w.locked[hiresOf(h.Engine)] > 0 {
		return
	}
	if h.State != ledger.HoldOpen {
		verb = "forget"
	}
	w.counts["held "+verb]++
	if h.Class == ledger.OwnerChanges {
		w.counts["owners "+verb]++
	}
	w.log("held set %s: %s {", h.ID, verb)
	w.call([]string{h.Engine, hiresOf(h.Engine)}, func() {
		if verb == "approve" {
			w.approve(h)
		}
		_, err := w.host.Answer(context.Background(), h.ID, verb, "simulation", "because")
		w.log("} held set: %v", err)
	})
}

// progress is host.Options.Progress: the host reports which act of a wave begins.
func (w *world) progress(p run.Progress) {
	if p.Wave != "" && p.Phase != "" {
		w.driving[p.Wave] = true // a plan drives its waves too: driving one from within would wait for itself
		w.log("wave %s %s: %s", p.Wave, p.Phase, p.Note)
		w.book.act(w, p.Wave, wave.Act(p.Note))
	}
	switch wave.Act(p.Note) {
	case wave.ActVerifyNew, wave.ActCutover, wave.ActFlipBack, wave.ActCatchUp, wave.ActBaseline: // an act begins: the host holds no lock
		w.preparing = false
		if w.fault(8) {
			w.arm(12)
		}
		if w.faults && w.depth < 4 && w.r.IntN(2) == 0 {
			w.hurry(p.Wave)
		}
		if w.depth < 4 && w.opens(Deciders, 20) {
			w.decideInTheMiddle(p.Wave)
		}
		w.interleaveAt(25)
	}
}

// hurry changes something in a wave's scopes and lets the source run: what a freeze has to keep out.
func (w *world) hurry(id string) {
	x := w.book.waves[id]
	users := slices.DeleteFunc(w.living(scoping.User), func(e *entry) bool {
		return !w.coversWave(id, w.placeNow(e.guid), scoping.User, scoping.Users)
	})
	if u, ok := pick(w, users); ok {
		e := *u
		e.display = "D " + w.newName("hurry")
		w.dir.put(e)
		w.log("directory: %s is called %s", e.name, e.display)
		w.sync(x.From)
	}
}

// waylay moves an object whose write waits for its next attempt, and lets the other engine run, so that the host sees it.
func (w *world) waylay(id scoping.ObjectID) {
	e := w.dir.now.objects[id.GUID]
	if !w.faults || w.depth > 3 || e == nil || e.deleted || w.r.IntN(2) > 0 {
		return
	}
	c := *e
	c.parent = w.anOU()
	w.dir.put(c)
	w.log("directory: %s moved to %s", c.name, w.dir.now.dn(c.parent))
	w.depth++
	defer func() { w.depth-- }()
	if !w.preparing {
		w.sync([]string{connect, cloudsync}[w.r.IntN(2)])
	}
}
