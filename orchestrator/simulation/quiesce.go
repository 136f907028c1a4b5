package simulation

import (
	"context"
	"encoding/base64"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func anchorOf(g scoping.GUID) string { return base64.StdEncoding.EncodeToString(g[:]) }

// quiesce lets everything come to rest: no faults, time enough, delta runs of both engines. Then the tenant shows what the directory says.
func (w *world) quiesce() {
	ctx := context.Background()
	w.log("=== quiescence")
	w.flappers = nil
	w.thawGroups(true)
	w.replicate()
	if w.eyes[Domains] {
		w.verifyDomain() // delta runs alone have to find the users that waited for it
	}
	if len(w.book.stops) > 0 {
		if _, err := w.host.Start(ctx, host.StopOptions{All: true, Reason: "end", By: "simulation"}); err != nil {
			w.fail(nothingLost, "start: %v", err)
		}
	}
	w.pass(ghostLife + 2*delay)
	w.endWaves()
	for round := range 6 {
		w.pass(26 * time.Hour)
		w.bringAtRest()
		for _, e := range []string{connect, cloudsync} {
			if r, err := w.syncAs(e, engine.ProfileDelta); err != nil || !r.Complete {
				w.fail(nothingLost, "a run of %s without any fault fails: %v %v", e, err, r.Errors)
			}
		}
		if round == 1 {
			w.retryUnkept()
		}
		if round > 0 && round < 4 {
			for _, h := range w.host.Held() {
				if h.State == ledger.HoldRejected {
					w.answerAll(h, "forget")
				} else if h.State == ledger.HoldOpen {
					w.answerAll(h, "approve")
				}
			}
		}
	}
	w.comeToRest()
	w.endBacks()
	w.checkAll()
	w.checkRest()
	sent := w.counts["send"]
	for _, e := range []string{connect, cloudsync} {
		if r, err := w.syncAs(e, engine.ProfileFull); err != nil || !r.Complete {
			w.fail(nothingLost, "a full run of %s without any fault fails: %v %v", e, err, r.Errors)
		}
	}
	if n := w.counts["send"] - sent; n > 0 {
		w.failAbout(w.lastSent, nothingLost, restSends, n)
	}
	w.checkAll()
	w.checkRest()
	w.checkIdle()
}

// checkIdle: at rest an idle run asks nothing, sends nothing, logs nothing (standing S2a).
func (w *world) checkIdle() {
	for _, e := range []string{connect, cloudsync} {
		if _, err := w.syncAs(e, engine.ProfileDelta); err != nil { // whatever the time made due
			w.fail(nothingLost, "an idle run of %s fails: %v", e, err)
		}
	}
	w.bringAtRest()
	w.catchUp()
	asked, sent, logged := w.counts["asked"], w.counts["send"], w.book.scratch.Seq
	for _, e := range []string{connect, cloudsync} {
		if _, err := w.syncAs(e, engine.ProfileDelta); err != nil {
			w.fail(nothingLost, "an idle run of %s fails: %v", e, err)
		}
	}
	w.bringAtRest()
	w.catchUp()
	if a, s, l := w.counts["asked"]-asked, w.counts["send"]-sent, w.book.scratch.Seq-logged; a+s > 0 || l > 0 {
		w.fail(nothingLost, restAsks, a, s, l)
	}
}

// retryUnkept acts as a person who has stopped the foreign writers, and has what they changed written once more (standing S10).
func (w *world) retryUnkept() {
	for _, e := range []string{connect, cloudsync} {
		ids := w.host.Unkept(e)
		if len(ids) == 0 {
			continue
		}
		w.log("a person retries %d objects of %s", len(ids), e)
		w.counts["retry"]++
		if r, err := w.host.Settle(context.Background(), e, ids); err != nil || !r.Complete {
			w.fail(nothingLost, "asking %s for what was not kept fails: %v %v", e, err, r.Errors)
		}
	}
}

func (w *world) answerAll(h ledger.Hold, verb string) {
	w.log("held set %s: %s", h.ID, verb)
	if now, err := w.host.HeldSet(h.ID); err != nil || now.State == ledger.HoldVoid {
		return // the answer to another one settled it
	}
	if verb == "approve" {
		w.approve(h)
	}
	if _, err := w.host.Answer(context.Background(), h.ID, verb, "simulation", "end"); err != nil {
		w.fail(nothingLost, "held set %s: %s: %v", h.ID, verb, err)
	}
}

// endWaves lets rollbacks come to their end, and some waves go on; the others stay as they are.
func (w *world) endWaves() {
	ctx := context.Background()
	all, err := w.host.Waves(ctx)
	if err != nil {
		w.fail(wayBack, "%v", err)
	}
	for _, x := range all {
		back := strings.HasPrefix(string(x.Phase), "rollback")
		if x.State.Over() || (!back && w.r.IntN(2) == 0) {
			continue
		}
		if x.State == wave.Paused {
			y, err := w.host.DecideWave(ctx, x.ID, wave.Resume, "simulation", "end")
			if err != nil {
				w.fail(wayBack, "resume: %v", err)
			}
			w.book.decided(w, y, wave.Resume)
		}
		y, err := w.host.Drive(ctx, x.ID)
		w.catchUp()
		w.log("end of wave: %s %v", summary([]wave.Wave{y}), err)
		if err != nil {
			w.fail(wayBack, "wave %s without any fault fails: %v", x.ID, err)
		}
		if back && !y.State.Over() && y.State != wave.Waiting {
			w.fail(wayBack, "rollback of %s does not end: %s %s", x.ID, y.State, y.Wait)
		}
	}
}

// endBacks sees that rollbacks end once everything that they waited for is answered.
func (w *world) endBacks() {
	all, err := w.host.Waves(context.Background())
	if err != nil {
		w.fail(wayBack, "%v", err)
	}
	for _, x := range all {
		if x.State.Over() || !strings.HasPrefix(string(x.Phase), "rollback") {
			continue
		}
		if y, err := w.host.Drive(context.Background(), x.ID); err != nil || !y.State.Over() {
			w.fail(wayBack, "a rollback does not end: %s %v", summary([]wave.Wave{y}), err)
		}
	}
}

// checkRest compares the tenant with the directory (invariants 2, 3 and 4 at rest).
func (w *world) checkRest() {
	s := w.dir.now
	for _, e := range s.sorted() {
		if e.kind == directory.OU {
			continue
		}
		w.checkObject(e)
	}
	for _, d := range w.host.Debts() {
		if e := w.dir.now.objects[d.Key.Object.GUID]; d.Owed.To != standing.OtherKey && d.Owed.Code != standing.EndWaits && !w.excused(e) && !w.feeds(e) {
			w.failAbout(d.Key.Object.GUID, nothingLost, stillOwed, d.Name, d.Key.Feature, d, w.census.Sight(d.Key.Object))
		}
	}
	w.checkBrought()
	w.ledgerNow(func(led *ledger.State) {
		if len(led.Intents) > 0 {
			w.fail(nothingLost, "%d writes are still in doubt at rest", len(led.Intents))
		}
	})
}

// excused reports whether an object need not be as its engine wants it: others deleted it in the tenant, which a person has to decide about, or the engines'
// rules leave it out.
func (w *world) excused(e *entry) bool {
	if e == nil || (!e.deleted && exclusion(e) != "") {
		return true
	}
	for _, a := range w.tenant.sorted() {
		if a.foreign && a.truth().Deleted && (a.anchor == anchorOf(e.guid) || a.anchor == cloud.UniqueNameOf(e.guid[:])) {
			return true
		}
	}
	return false
}

func (w *world) checkObject(e *entry) {
	s := w.dir.now
	a := w.account(e)
	alive := a != nil && !a.truth().Deleted
	owner := w.owner(w.restPlace(e), e.kind, scoping.Base(e.kind))
	row := w.book.scratch.Rows.Get(e.id())
	switch {
	case w.excused(e), w.feeds(e):
	case e.deleted:
		record, _ := w.book.scratch.OwnerOfRecord(e.id(), scoping.Base(e.kind)) // by rule L1 the engine that wrote it last deletes it: by its last place and choices
		if alive && (row == nil || (row.State != ledger.ParkedRow && !w.book.parked[e.guid]) || record != scoping.None) {
			w.failAbout(e.guid, nothingLost, deletedLives, s.dn(e.guid), a.id, row, w.census.Sight(e.id()))
		}
	case owner.Engine == scoping.None:
		w.checkLeft(e, a, owner)
	case !alive:
		w.failAbout(e.guid, nothingLost, notThere, s.dn(e.guid), e.guid, owner.Engine)
	default:
		w.checkAdopted(e, owner.Engine)
		w.checkValues(e, a, owner.Engine)
		w.checkPassword(e, a)
		refs := w.owner(w.restPlace(e), e.kind, scoping.References)
		if refs.Engine != scoping.None {
			w.checkLinks(e, a)
		}
	}
}

// givenAway reports whether a policy left an object's place unmanaged while a write of it was in doubt: that changes nothing of the object (rule T4), and because
// of the doubt it was not parked.
func (w *world) givenAway(e *entry) bool {
	base := scoping.Base(e.kind)
	row := w.book.scratch.Rows.Get(e.id())
	record, known := w.book.scratch.OwnerOfRecord(e.id(), base)
	return row != nil && row.State == ledger.Live && known && record == scoping.None && w.history[e.guid][Doubted]
}

// checkLeft looks at an object that lives where no engine writes (rules T2, T4).
func (w *world) checkLeft(e *entry, a *account, owner scoping.Owner) {
	if a == nil || a.truth().Deleted || w.book.parked[e.guid] || w.givenAway(e) {
		return
	}
	switch owner.Leaving {
	case scoping.Remove:
		w.failAbout(e.guid, nothingLost, notRemoved, w.dir.now.dn(e.guid), a.id)
	case scoping.Disable:
		if e.kind == scoping.User && a.truth().Values.First(cloud.Enabled) != "false" && !w.touched(a) {
			w.failAbout(e.guid, nothingLost, notDisabled, w.dir.now.dn(e.guid), a.id)
		}
	}
}

// touched reports whether others enabled an account.
func (w *world) touched(a *account) bool { return a.enabledByOthers }

// checkAdopted: at rest the owner is also the owner of record, whatever was handed over meanwhile: else the engine that had the object would delete it (rules
// L1, S5).
func (w *world) checkAdopted(e *entry, owner string) {
	base := scoping.Base(e.kind)
	row := w.book.scratch.Rows.Get(e.id())
	record, known := w.book.scratch.OwnerOfRecord(e.id(), base)
	if row != nil && row.State == ledger.Live && known && record != owner && !w.leftAlone(e) {
		w.failAbout(e.guid, nothingLost, notAdopted, w.dir.now.dn(e.guid), owner, record)
	}
}

func (w *world) checkValues(e *entry, a *account, name string) {
	have := a.truth().Values
	for k, v := range w.engines[name].values(e) {
		if k == cloud.UPN {
			v = []string{w.signIn(v[0])}
		}
		if !slices.Equal(have[k], v) && !w.leftAlone(e) {
			w.failAbout(e.guid, nothingLost, valueDiffers, w.dir.now.dn(e.guid), a.id, name, k, have[k], v)
		}
	}
}

// leftAlone reports whether what an object's engine wrote did not last, so that it is not written again until it changes (rule S10).
func (w *world) leftAlone(e *entry) bool {
	t := w.book.scratch.TroubleOf(ledger.Key{Object: e.id(), Feature: scoping.Base(e.kind)})
	if t != nil && len(t.NotKept) > 0 {
		w.counts["left alone"]++
	}
	return t != nil && len(t.NotKept) > 0
}

func (w *world) cached(id string) []string {
	o, _ := w.cache.Get(id)
	return append(o.Members, o.Manager)
}

func (w *world) linkedTo(id string) string {
	if row, ok := w.book.scratch.ByCloud(id); ok {
		return row.Object.String() + " " + string(row.State)
	}
	return "nobody"
}

// deletedInDirectory reports whether an account's directory object is deleted: if such an account lives on, no engine owned it.
func (w *world) deletedInDirectory(a *account) bool {
	for _, e := range w.dir.now.objects {
		if e.deleted && (a.anchor == anchorOf(e.guid) || a.anchor == cloud.UniqueNameOf(e.guid[:])) {
			return true
		}
	}
	return false
}

func (w *world) checkLinks(e *entry, a *account) {
	s := w.dir.now
	want := map[string]bool{}
	ends := e.members
	if e.kind != scoping.Group {
		ends = map[scoping.GUID]bool{}
		if !e.manager.IsZero() {
			ends[e.manager] = true
		}
	}
	for g := range ends {
		o := s.objects[g]
		if x := w.account(o); !o.deleted && x != nil && !x.truth().Deleted && w.known(o) {
			want[x.id] = true
		}
	}
	have := a.truth().Members
	if e.kind != scoping.Group {
		have = nil
		if m := a.truth().Manager; m != "" {
			have = []string{m}
		}
	}
	for _, id := range have {
		if x := w.tenant.accounts[id]; !want[id] && x.mine && !w.deletedInDirectory(x) && !w.wroteOthers(a.id, id) {
			w.failAbout(e.guid, nothingLost, linkTooMuch, s.dn(e.guid), a.id, id, w.cached(a.id), w.linkedTo(id))
		}
		delete(want, id)
	}
	for g := range ends {
		if o := s.objects[g]; w.excused(o) && w.account(o) != nil { // of one that others deleted, what carries its anchor now is not the linked one
			delete(want, w.account(o).id)
		}
	}
	if len(want) > 0 {
		w.failAbout(e.guid, nothingLost, linkMissing, s.dn(e.guid), a.id, want, have)
	}
}
