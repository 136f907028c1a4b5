package simulation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Stories are what simulations found, told straight: the host's rules about waves, without faults and without chance.

// policyOfStories is what found says of a world where leavers are disabled and connect owns all of Sales and Alpha.
const policyOfStories = `policy: leaving disable, contractors "", chooses false`

// story founds a world with a user ann in Alpha/Inner whom both engines have seen, and lets f tell what happens.
func story(t *testing.T, f func(w *world, ann *entry)) {
	t.Helper()
	for seed := uint64(1); ; seed++ {
		w := newWorld(seed, Options{Trace: true})
		w.eyes[Deliveries] = false // the later policies of stories have no passwords
		w.guard(func() {
			w.found()
			w.faults = false
		})
		if w.violation == nil && !slices.ContainsFunc(w.events, func(e string) bool { return strings.Contains(e, policyOfStories) }) {
			continue
		}
		w.guard(func() {
			ann := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Inner"), kind: scoping.User, name: "ann", display: "Ann", upn: "ann@sim.test", enabled: true})
			w.both()
			w.both() // what waited for objects of the other engine
			f(w, ann)
			w.checkAll()
		})
		if w.violation != nil {
			t.Error(w.violation)
		}
		return
	}
}

// both lets both engines run and the tenant show it.
func (w *world) both() {
	for _, e := range []string{connect, cloudsync} {
		w.pass(2 * delay)
		if r, err := w.syncAs(e, engine.ProfileDelta); err != nil || !r.Complete {
			w.fail(nothingLost, "a run of %s: %v %v", e, err, r.Errors)
		}
	}
	w.pass(2 * delay)
}

// rest sees that the tenant shows what the directory says.
func (w *world) rest() {
	w.catchUp()
	w.checkRest()
}

// hand begins a wave that holds before its freeze.
func (w *world) hand(ou, to string) string {
	o := acts.ApplyOptions{By: "story", Options: wave.Options{AutoApprove: true, HoldBefore: wave.Freeze}}
	_, ws, err := w.host.Migrate(context.Background(), w.dir.now.dn(w.named(ou)), to, nil, nil, o)
	if err != nil || len(ws) != 1 || ws[0].State != wave.Waiting {
		w.fail(wayBack, "a wave for %s: %v %v", ou, summary(ws), err)
	}
	return ws[0].ID
}

// goOn approves of everything that a wave waits for, one thing after the other, and drives it as far as it goes.
func (w *world) goOn(id string) wave.Wave {
	ctx := context.Background()
	x, err := w.host.Wave(ctx, id)
	for range 4 {
		if err != nil {
			w.fail(wayBack, "wave %s: %v", id, err)
		}
		if f := x.WaitsFor(); f != wave.ForDifferences && f != wave.ForHold && f != wave.ForUnsettled {
			break
		}
		if _, err := w.host.ApproveWave(ctx, id, x.Fingerprint, "story", ""); err != nil {
			w.fail(wayBack, "approve: %v", err)
		}
		x = w.driven(id)
	}
	return x
}

func (w *world) driven(id string) wave.Wave {
	x, err := w.host.Drive(context.Background(), id)
	if err != nil {
		w.fail(wayBack, "drive: %v", err)
	}
	return x
}

func (w *world) expect(x wave.Wave, s wave.State) {
	if x.State != s {
		w.fail(wayBack, "%v, want %s", summary([]wave.Wave{x}), s)
	}
}

// Rules P2, P3: the run of another plan consumes what the target of a wave has to write after its cutover.
func TestStoryPlanBesideAWave(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.hand("Alpha", cloudsync)
		e := *ann
		e.title = "manager"
		w.dir.put(e)
		if _, _, err := w.host.Migrate(context.Background(), w.dir.now.dn(ann.parent), cloudsync, nil, nil, acts.ApplyOptions{}); !errors.Is(err, problem.ErrCheckpoint) {
			w.fail(wayBack, "a second wave on the same objects: %v", err)
		}
		w.both()
		w.expect(w.goOn(id), wave.Completed)
		w.rest()
	})
}

// Rule P2: the target judged the tenant as it was; what the source wrote since is asked of the target after the cutover.
func TestStorySourceWroteSinceVerify(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.hand("Alpha", cloudsync)
		a := w.account(ann)
		o := a.truth().Clone()
		o.Values[cloud.DisplayName] = []string{"somebody else's"}
		w.tenant.set(a, o)
		w.both() // connect writes it back
		before := len(w.events)
		w.expect(w.goOn(id), wave.Completed)
		if !slices.ContainsFunc(w.events[before:], func(e string) bool { return strings.Contains(e, "decided cloudsync CN=ann,") }) {
			w.fail(nothingLost, "cloudsync was not asked about ann")
		}
	})
}

// Rule P4: what a target was silent about, and a person approved of, is asked of it after the cutover.
func TestStorySilenceApproved(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		e := *ann
		e.title = "clerk" // which connect does not write
		w.dir.put(e)
		w.engines[cloudsync].silent = ann.guid
		id := w.hand("Alpha", cloudsync)
		w.catchUp()
		if d := w.book.waves[id].Differences; d.Unclaimed != 1 {
			w.fail(noSurprise, "the target was silent about ann: %+v", d)
		}
		w.goOn(id)
		w.engines[cloudsync].silent = scoping.GUID{}
		w.expect(w.goOn(id), wave.Completed)
		w.both()
		w.rest()
	})
}

// A hand-over is of what the source owns at the cutover: what administrators moved to where no engine writes is not taken from there.
func TestStoryScopeMovedBeforeItsCutover(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.hand("Alpha", cloudsync)
		e := *w.dir.now.objects[w.named("Alpha")]
		e.parent = w.named("Gone")
		w.dir.put(e)
		w.both()
		x := w.goOn(id)
		w.catchUp()
		if o := w.owner(w.dir.now.place(ann.guid), scoping.User, scoping.Users); o.Engine != scoping.None || x.State.Over() {
			w.fail(noSurprise, "%v; ann belongs to %s", summary([]wave.Wave{x}), o.Engine)
		}
	})
}

// Invariant 4: a rollback gives back what its wave's target still owns, and ends.
func TestStoryRollbackOfWhatMovedAway(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		o := acts.ApplyOptions{Options: wave.Options{AutoApprove: true, HoldBefore: wave.Soak}}
		_, ws, err := w.host.Migrate(context.Background(), w.dir.now.dn(w.named("Beta")), connect, nil, nil, o)
		if err != nil {
			w.fail(wayBack, "%v", err)
		}
		other := w.hand("Alpha", cloudsync)
		if _, err := w.host.DecideWave(context.Background(), ws[0].ID, wave.RollBack, "story", ""); err != nil {
			w.fail(wayBack, "%v", err)
		}
		e := *w.dir.now.objects[w.named("Beta")]
		e.parent = w.named("Alpha")
		w.dir.put(e)
		w.both()
		w.expect(w.goOn(other), wave.Completed)
		w.expect(w.driven(ws[0].ID), wave.RolledBack)
		w.both()
		w.rest()
	})
}

// Invariant 5 and rule P4: who died while he belonged to nobody is shown as a delete by a wave that takes over from nobody, and is deleted by it.
func TestStoryDeadAmongNobodys(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		e := *ann
		e.parent = w.named("Gone")
		w.dir.put(e)
		w.both()
		w.dir.kill(ann.guid)
		w.both()
		text := "version: 1\nfeatures: [users, groups]\nassignments:\n" + assignment("everything", rootDN, connect) + assignment("beta", "OU=Beta,"+rootDN, cloudsync) +
			assignment("gone", "OU=Gone,"+rootDN, connect)
		o := plan.PlanOptions{File: "policy.yaml", Text: []byte(text)}
		if _, err := w.host.Plan(context.Background(), o); err != nil { // its run consumes the tombstone
			w.fail(noSurprise, "%v", err)
		}
		p, err := w.host.Plan(context.Background(), o)
		if err != nil || len(p.Waves) != 1 || p.Waves[0].Predicted == nil || p.Waves[0].Predicted.Delete != 1 {
			w.fail(noSurprise, "the plan: %+v %v", p, err)
		}
		ws, err := w.host.Apply(context.Background(), p, acts.ApplyOptions{By: "story"})
		if err != nil || len(ws) != 1 {
			w.fail(wayBack, "%v %v", summary(ws), err)
		}
		w.goOn(ws[0].ID)
		if a := w.account(w.dir.now.objects[ann.guid]); !a.truth().Deleted {
			w.fail(nothingLost, "ann lives on, and belongs to connect")
		}
	})
}

// Rule P6 and P2: one who comes back while nobody can know that he was deleted is restored.
func TestStoryBackBeforeTheDeleteIsKnown(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		w.dir.kill(ann.guid)
		w.o.Trouble, w.tenant.lose = 0, 1
		if _, err := w.syncAs(connect, engine.ProfileDelta); err != nil {
			w.fail(nothingLost, "%v", err)
		}
		w.dir.put(*ann)
		if _, err := w.syncAs(connect, engine.ProfileDelta); err != nil { // she is proposed, and nobody knows yet
			w.fail(nothingLost, "%v", err)
		}
		w.both()
		w.pass(ghostLife)
		w.both()
		w.both()
		w.rest()
		if w.counts["deleted"] != 1 {
			w.fail(nothingLost, "deleted %d times", w.counts["deleted"])
		}
	})
}

// Rule P2: what somebody else changed in the tenant is undone although the log could not be told of it at once.
func TestStoryForeignWriteWhileTheDiskIsFull(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		a := w.account(ann)
		o := a.truth().Clone()
		o.Values[cloud.DisplayName] = []string{"somebody else's"}
		w.tenant.set(a, o)
		w.pass(2 * delay)
		w.faults, w.failing, w.failsWith = true, state.FailAppendBeforeWrite, state.ErrFull
		_, err := w.syncAs(connect, engine.ProfileDelta)
		if w.faults = false; !errors.Is(err, state.ErrFull) {
			w.fail(nothingLost, "the disk is full, and the run: %v", err)
		}
		w.both()
		w.rest()
	})
}

// Invariant 1: a stop of which nobody knows whether it was put down lets nothing more out of this process. It may be in force for whoever opens the state next.
func TestStoryStopOfWhichNobodyKnowsWhetherItIsKept(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		next := *ann
		next.display = "Ann B"
		w.dir.put(next)
		w.faults, w.failing, w.failsWith = true, state.FailControlAfterCommit, state.ErrFull
		_, err := w.host.Stop(context.Background(), host.StopOptions{All: true, Reason: "story", By: "story"})
		if w.faults = false; !errors.Is(err, state.ErrBroken) || errors.Is(err, state.ErrFull) {
			w.fail(nothingLost, "the commit has an unknown end, and the stop says: %v", err)
		}
		before := w.counts["send"]
		_, err = w.syncAs(connect, engine.ProfileDelta)
		if sent := w.counts["send"] - before; sent > 0 || !errors.Is(err, gate.ErrNotOpen) {
			w.fail(singleWriter, "%d requests are sent although it may be stopped: %v", sent, err)
		}
		w.unusable = false
		w.restartNow()
		if _, err := w.syncAs(connect, engine.ProfileDelta); err != nil || w.counts["send"] > before {
			w.fail(singleWriter, "opened again, the stop that was kept does not stop: %v", err)
		}
		if _, err := w.host.Start(context.Background(), host.StopOptions{All: true, Reason: "story", By: "story"}); err != nil {
			w.fail(nothingLost, "starting again: %v", err)
		}
		w.both()
		w.rest()
	})
}

// Rule J6: who signs in with a domain that the tenant verifies only later gets the name that the directory says, without a change in the directory.
func TestStoryDomainBecomesVerified(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		e := *ann
		e.upn = "ann@" + lateDomain
		w.dir.put(e)
		w.both()
		if upn := w.account(ann).truth().Values.First(cloud.UPN); upn != "ann@"+initialDomain {
			w.fail(nothingLost, "ann signs in as %s", upn)
		}
		w.verifyDomain()
		w.pass(time.Hour)
		w.both()
		w.rest()
	})
}

// A clock that is set back after a person's answer does not make every verify too old: the wave is judged once more, and goes on.
func TestStoryClockSetBackAfterAnAnswer(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.hand("Alpha", cloudsync)
		for _, v := range []wave.Verb{wave.Pause, wave.Resume} {
			if _, err := w.host.DecideWave(context.Background(), id, v, "story", ""); err != nil {
				w.fail(wayBack, "%s: %v", v, err)
			}
		}
		w.stepped = -time.Hour
		w.driven(id)
		shadows := 0
		for _, e := range w.events {
			if strings.Contains(e, "shadow: shadow-run") {
				shadows++
			}
		}
		if shadows != 2 {
			w.fail(wayBack, "the wave was judged %d times", shadows)
		}
	})
}

// Standing S5: a difference that may be no more than what the source did not write yet is told as that, and is a difference all the same.
func TestStoryTheSourcesBacklogIsTold(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		ctx := context.Background()
		o := acts.ApplyOptions{By: "story", Options: wave.Options{HoldBefore: wave.Freeze}}
		_, ws, err := w.host.Migrate(ctx, w.dir.now.dn(w.named("Alpha")), cloudsync, nil, nil, o)
		if err != nil || len(ws) != 1 || ws[0].WaitsFor() != wave.ForHold {
			w.fail(wayBack, "the wave: %v %v", summary(ws), err)
		}
		e := *ann
		e.display = "Ann B"
		w.dir.put(e)
		if _, err := w.host.ApproveWave(ctx, ws[0].ID, ws[0].Fingerprint, "story", ""); err != nil {
			w.fail(wayBack, "approve: %v", err)
		}
		x := w.driven(ws[0].ID)
		if x.WaitsFor() != wave.ForDifferences || len(x.Examples) != 1 || !x.Examples[0].Behind {
			t.Errorf("%v: %+v", summary([]wave.Wave{x}), x.Examples)
		}
		w.both()
		if x = w.driven(x.ID); x.WaitsFor() == wave.ForDifferences {
			x = w.goOn(x.ID)
		}
		w.both()
		w.rest()
	})
}

// Rule S5: what the target of a wave judged in shadow is owed after the cutover, also where a part of it waits for an end that is still to be deleted.
func TestStoryAGroupWithADyingMemberIsCaughtUp(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		bob := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Beta"), kind: scoping.User, name: "bob", display: "Bob", upn: "bob@sim.test", enabled: true})
		pals := w.dir.put(entry{guid: w.dir.nextGUID(), parent: ann.parent, kind: scoping.Group, name: "pals", display: "Pals", members: map[scoping.GUID]bool{ann.guid: true, bob.guid: true}})
		w.both()
		w.both()
		e := *pals
		e.members = map[scoping.GUID]bool{}
		w.dir.put(e)
		w.dir.kill(bob.guid)
		w.goOn(w.hand("Alpha", cloudsync))
		w.both()
		w.both()
		w.rest()
	})
}
