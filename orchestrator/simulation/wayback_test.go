package simulation

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// cutOver hands Alpha from connect, which does not manage jobTitle, to cloudsync, which does, and stops before the soak.
func (w *world) cutOver() string {
	id := w.hand("Alpha", cloudsync)
	ctx := context.Background()
	if _, err := w.host.DecideWave(ctx, id, wave.Approve, "story", ""); err != nil {
		w.fail(wayBack, "approve: %v", err)
	}
	x, err := w.host.DriveUntil(ctx, id, wave.Soak)
	if err != nil || x.Phase != wave.CatchUp {
		w.fail(wayBack, "cutover: %s %v", summary([]wave.Wave{x}), err)
	}
	return id
}

// takeBack rolls a wave back.
func (w *world) takeBack(id string) wave.Wave {
	if _, err := w.host.DecideWave(context.Background(), id, wave.RollBack, "story", ""); err != nil {
		w.fail(wayBack, "rollback: %v", err)
	}
	return w.driven(id)
}

// entitle gives a user a title in the directory, which cloudsync alone writes.
func (w *world) entitle(e *entry, title string) {
	c := *e
	c.title = title
	w.dir.put(c)
}

func (w *world) jobTitle(e *entry) string { return w.account(e).truth().Values.First("jobTitle") }

// ends gives a rollback's line about an attribute of an object.
func (w *world) ends(id string, e *entry, attr string) ledger.Restoration {
	lines, err := w.host.Restorations(context.Background(), id)
	if err != nil {
		w.fail(wayBack, "%v", err)
	}
	for _, l := range lines {
		if l.Object == e.id() && l.Attribute == attr {
			return l
		}
	}
	return ledger.Restoration{}
}

// Standing S8: what only the target wrote has the value from before the wave again, whatever became of the request and its answer.
func TestStoryWhatOnlyTheTargetWroteIsPutBack(t *testing.T) {
	for _, x := range []struct {
		name string
		how  func(w *world)
	}{
		{"answered", func(w *world) {
			_, _ = w.syncAs(cloudsync, engine.ProfileDelta)
		}},
		{"the answer was lost, and the tenant shows the write", func(w *world) {
			w.tenant.lose = 1
			_, _ = w.syncAs(cloudsync, engine.ProfileDelta)
			w.pass(2 * delay)
			_, _ = w.syncAs(cloudsync, engine.ProfileDelta)
		}},
		{"settled, and undecided when the host died", func(w *world) {
			w.diesAfter = ledger.SettleType
			w.guard(func() { _, _ = w.syncAs(cloudsync, engine.ProfileDelta) })
			if w.counts["crash"] == 0 {
				w.fail(wayBack, "the host did not die")
			}
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			story(t, func(w *world, ann *entry) {
				id := w.cutOver()
				w.entitle(ann, "manager")
				x.how(w)
				if w.jobTitle(ann) != "manager" {
					w.fail(wayBack, "cloudsync did not write: %q", w.jobTitle(ann))
				}
				y := w.takeBack(id)
				w.expect(y, wave.RolledBack)
				if w.jobTitle(ann) != "" || y.Report.Restored != 1 || w.ends(id, ann, "jobTitle").Outcome != ledger.PutBack {
					w.fail(wayBack, "jobTitle is %q; %+v; %+v", w.jobTitle(ann), *y.Report, w.ends(id, ann, "jobTitle"))
				}
				w.both()
				w.rest()
			})
		})
	}
}

// S8: a clock that is set back between cutover and rollback changes nothing.
func TestStoryRollbackAfterTheClockWasSetBack(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.cutOver()
		w.now = w.now.Add(-time.Hour)
		w.entitle(ann, "manager")
		_, _ = w.syncAs(cloudsync, engine.ProfileDelta)
		y := w.takeBack(id)
		w.expect(y, wave.RolledBack)
		if w.jobTitle(ann) != "" {
			w.fail(wayBack, "jobTitle is still %q; %+v", w.jobTitle(ann), *y.Report)
		}
	})
}

// S8: more values than a threshold allows to be cleared are put back all the same, and none of it counts against later runs.
func TestStoryManyValuesArePutBackAtOnce(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		many := []*entry{ann}
		for i := range 30 {
			n := fmt.Sprintf("many%02d", i)
			many = append(many, w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Inner"), kind: scoping.User, name: n, display: n, upn: n + "@sim.test", enabled: true}))
		}
		w.both()
		id := w.cutOver()
		for _, e := range many {
			w.entitle(e, "manager")
		}
		w.both()
		y := w.takeBack(id)
		w.expect(y, wave.RolledBack)
		for _, e := range many {
			if w.jobTitle(e) != "" {
				w.fail(wayBack, "%s is still %q; %+v", e.name, w.jobTitle(e), *y.Report)
			}
		}
		w.ledgerNow(func(s *ledger.State) {
			if len(s.History) > 0 || len(s.Holds) > 0 {
				w.fail(wayBack, "the way back was counted: %v %v", s.History, s.Holds)
			}
			l := s.Rows.Get(ann.id()).Features[scoping.Users]
			if owner, _ := s.OwnerOfRecord(ann.id(), scoping.Users); l.Restores != id || owner != connect {
				w.fail(wayBack, "the last write of ann is %s's: %+v", owner, *l)
			}
		})
		w.both()
		w.rest()
	})
}

// S8: what somebody else changed since is left, and said; a value that the wave wrote earlier and a late request brought back is the wave's.
func TestStoryOthersValuesAreLeft(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		bob := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Inner"), kind: scoping.User, name: "bob", display: "Bob", upn: "bob@sim.test", enabled: true})
		w.both()
		id := w.cutOver()
		for _, title := range []string{"first", "second"} {
			w.entitle(ann, title)
			w.entitle(bob, title)
			w.both()
		}
		w.write(ann, "jobTitle", "somebody else's")
		w.write(bob, "jobTitle", "first")
		w.pass(2 * delay)
		y := w.takeBack(id)
		w.expect(y, wave.RolledBack)
		if w.jobTitle(ann) != "somebody else's" || w.ends(id, ann, "jobTitle").Outcome != ledger.ByOthers {
			w.fail(wayBack, "ann's is %q; %+v", w.jobTitle(ann), *y.Report)
		}
		if w.jobTitle(bob) != "" || w.ends(id, bob, "jobTitle").Outcome != ledger.PutBack {
			w.fail(wayBack, "bob's is %q; %+v", w.jobTitle(bob), *y.Report)
		}
	})
}

// write is somebody else's hand in the tenant.
func (w *world) write(e *entry, attr string, v ...string) {
	a := w.account(e)
	o := a.truth().Clone()
	o.Values[attr] = v
	w.tenant.set(a, o)
}

// S8: a rollback waits for the word of the engine that has the scopes again, and ends when a person has let it write.
func TestStoryRollbackWaitsForWhatIsHeld(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		many := []*entry{ann}
		for i := range 12 {
			n := fmt.Sprintf("many%02d", i)
			many = append(many, w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Inner"), kind: scoping.User, name: n, display: n, upn: n + "@sim.test", enabled: true}))
		}
		w.both()
		id := w.cutOver()
		for _, e := range many {
			w.entitle(e, "manager")
		}
		w.both()
		for _, e := range many { // what connect will want to write is held: a sign-in name each
			c := *w.dir.now.objects[e.guid]
			c.upn = "new-" + c.upn
			w.dir.put(c)
		}
		y := w.takeBack(id)
		if y.State != wave.Waiting || !strings.Contains(y.Wait, "held") || y.Report.Waiting == 0 {
			w.fail(wayBack, "%s", summary([]wave.Wave{y}))
		}
		for _, h := range w.host.Held() {
			w.answerAll(h, "approve")
		}
		y = w.driven(id)
		w.expect(y, wave.RolledBack)
		for _, e := range many {
			if w.jobTitle(e) != "" {
				w.fail(wayBack, "%s is still %q; %+v", e.name, w.jobTitle(e), *y.Report)
			}
		}
		w.both()
		w.rest()
	})
}

// The command that takes a wave back goes on with a rollback that was killed in the middle, and abort is not offered in it.
func TestStoryRollbackRepeatedGoesOn(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.cutOver()
		w.entitle(ann, "manager")
		w.both()
		ctx := context.Background()
		if _, err := w.host.DecideWave(ctx, id, wave.RollBack, "story", ""); err != nil {
			w.fail(wayBack, "%v", err)
		}
		if x, err := w.host.DriveUntil(ctx, id, wave.RollbackRestore); err != nil || x.Phase != wave.RollbackEvaluate {
			w.fail(wayBack, "%s %v", summary([]wave.Wave{x}), err)
		}
		w.restart()
		if _, err := w.host.DecideWave(ctx, id, wave.Abort, "story", ""); err == nil || !strings.Contains(err.Error(), "tandem wave rollback "+id) {
			w.fail(wayBack, "abort in a rollback: %v", err)
		}
		w.expect(w.takeBack(id), wave.RolledBack)
		if w.jobTitle(ann) != "" {
			w.fail(wayBack, "jobTitle is still %q", w.jobTitle(ann))
		}
		if _, err := w.host.DecideWave(ctx, id, wave.RollBack, "story", ""); err == nil || strings.Contains(err.Error(), "abort") {
			w.fail(wayBack, "the third time: %v", err)
		}
	})
}

// S8: memberships that the wave added are listed, with what became of them.
func TestStoryMembershipsOfAWaveAreListed(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		team := w.dir.put(entry{guid: w.dir.nextGUID(), parent: w.named("Inner"), kind: scoping.Group, name: "team", display: "Team", members: map[scoping.GUID]bool{}})
		w.both()
		id := w.cutOver()
		c := *team
		c.members = map[scoping.GUID]bool{ann.guid: true}
		w.dir.put(c)
		w.both()
		y := w.takeBack(id)
		w.expect(y, wave.RolledBack)
		l := w.ends(id, team, cloud.Members)
		if y.Report.Members != 1 || l.Outcome != ledger.MemberStays || !slices.Equal(l.Value, []string{w.account(ann).id}) {
			w.fail(wayBack, "%+v; %+v", *y.Report, l)
		}
	})
}

// Objects that the wave did not make, and that nobody owned before it, get their values back too.
func TestStoryBackToNobody(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		e := *ann
		e.parent = w.named("Gone")
		w.dir.put(e)
		w.both()
		text := "version: 1\nfeatures: [users, groups]\nassignments:\n" + assignment("everything", rootDN, connect) + assignment("beta", "OU=Beta,"+rootDN, cloudsync) +
			assignment("gone", "OU=Gone,"+rootDN, cloudsync)
		ctx := context.Background()
		e.title = "manager"
		w.dir.put(e)
		p, err := w.host.Plan(ctx, plan.PlanOptions{File: "policy.yaml", Text: []byte(text)})
		if err != nil || len(p.Waves) != 1 {
			w.fail(wayBack, "%+v %v", p, err)
		}
		ws, err := w.host.Apply(ctx, p, acts.ApplyOptions{By: "story", Options: wave.Options{HoldBefore: wave.Soak}})
		if err != nil || len(ws) != 1 {
			w.fail(wayBack, "%s %v", summary(ws), err)
		}
		id := ws[0].ID
		for range 3 {
			if w.jobTitle(ann) == "manager" {
				break
			}
			w.goOnUntil(id, wave.Soak)
		}
		if w.jobTitle(ann) != "manager" {
			w.fail(wayBack, "cloudsync did not write")
		}
		y := w.takeBack(id)
		w.expect(y, wave.RolledBack)
		if w.jobTitle(ann) != "" {
			w.fail(wayBack, "jobTitle is still %q; %+v", w.jobTitle(ann), *y.Report)
		}
	})
}

func (w *world) goOnUntil(id string, p wave.Phase) {
	x, err := w.host.Wave(context.Background(), id)
	if err == nil {
		_, err = w.host.ApproveWave(context.Background(), id, x.Fingerprint, "story", "")
	}
	if err != nil {
		w.fail(wayBack, "approve: %v", err)
	}
	if _, err := w.host.DriveUntil(context.Background(), id, p); err != nil {
		w.fail(wayBack, "drive: %v", err)
	}
}

// While the commit of a cutover stalls, its freeze does not run out: the source would write what the target was not asked about.
func TestStoryFreezeOutlastsAStalledCommit(t *testing.T) {
	story(t, func(w *world, ann *entry) {
		id := w.hand("Alpha", cloudsync)
		stalled, sent := false, 0
		w.at = func(point string) {
			if point != state.FailControlBeforeCommit || len(w.book.places) == 0 || stalled { // its cutover has not begun
				return
			}
			stalled = true
			w.now = w.now.Add(2 * wave.FreezeLimit)
			c := *ann
			c.display = "in the stall"
			w.dir.put(c)
			before := w.counts["send"]
			_, _ = w.syncAs(connect, engine.ProfileDelta)
			sent = w.counts["send"] - before
		}
		w.goOn(id)
		w.at = nil
		if !stalled || sent > 0 {
			w.fail(singleWriter, "stalled %v, and connect sent %d writes meanwhile", stalled, sent)
		}
		w.both()
		w.rest()
	})
}
