package provisioning_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// rest runs until a run writes nothing, and fails where that takes long.
func (w *world) rest() provisioning.Report {
	w.t.Helper()
	for range 6 {
		n := len(w.log)
		r, err := w.run()
		if err != nil {
			w.t.Fatal(err)
		}
		if len(w.log) == n {
			return r
		}
	}
	w.t.Fatal("it comes to no rest")
	return provisioning.Report{}
}

func (w *world) one1(n int) *entry {
	w.t.Helper()
	all := w.accountsOf(n)
	if len(all) != 1 {
		w.t.Fatalf("person %d has %d accounts", n, len(all))
	}
	return all[0]
}

func TestHiresGetAccountsOnce(t *testing.T) {
	w := newWorld(t, 1, "")
	for n := range 20 {
		w.hire(n + 1)
	}
	if r, err := w.run(); err != nil || !r.Complete {
		t.Fatalf("%v %+v", err, r)
	}
	for n := range 20 {
		if e := w.one1(n + 1); e.off || e.cn == e.values[link][0] || e.parent != hires {
			t.Errorf("%+v", e)
		}
	}
	n := len(w.log)
	if r, err := w.run(); err != nil || len(w.log) != n {
		t.Errorf("at rest it writes %d records: %v %+v", len(w.log)-n, err, r)
	}
	w.open() // and so in another process
	if _, err := w.run(); err != nil || len(w.log) != n {
		t.Errorf("at rest another process writes %d records: %v", len(w.log)-n, err)
	}
	w.title = "Boss" // other rules reach everybody
	if w.rest(); w.one1(7).values["title"] == nil {
		t.Error("other rules reach nobody")
	}
}

func TestWhoeverSecurityDisabledStaysDisabled(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	w.touch(w.one1(1), func(e *entry) { e.off = true })
	w.rest()
	p.dept = "b" // another change of the source enables nobody
	r := w.rest()
	if e := w.one1(1); !e.off || e.values["department"][0] != "b" {
		t.Errorf("%+v %+v", e, r)
	}
	p.enabled = false
	w.rest()
	p.enabled = true
	if w.rest(); w.one1(1).off {
		t.Error("what the tenant disables and enables is not enabled")
	}
}

// That a contract ends is the first disabling of an assignment as well as that somebody leaves: a mistake in a mapping disables nobody unasked, and nothing else of the person waits with it.
func TestTheFirstDisablingWaitsForAPersonWhateverItsCause(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.hire(2)
	w.rest()
	p.enabled, p.dept = false, "b"
	r := w.rest()
	if e := w.one1(1); len(r.Held) != 1 || r.Held[0].Class != ledger.Destructive || e.off || e.values["department"][0] != "b" {
		t.Fatalf("%+v %+v", r, e)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); !w.one1(1).off {
		t.Error("an approved disabling is not done")
	}
	w.people[2].enabled = false
	if r := w.rest(); len(r.Held) != 0 || !w.one1(2).off {
		t.Errorf("the second waits as well: %+v", r)
	}
}

func TestWhoLeavesIsDisabledAndWhoComesBackIsEnabled(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.members[1] = false
	r := w.rest()
	if len(r.Held) != 1 || w.one1(1).off {
		t.Fatalf("the first leaver: %+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); !w.one1(1).off {
		t.Error("a leaver is enabled")
	}
	w.members[1] = true
	if w.rest(); w.one1(1).off {
		t.Error("who came back is disabled")
	}
	w.people[2].gone = true
	if w.rest(); !w.one1(2).off {
		t.Error("who is in the deleted items is enabled")
	}
	w.people[2].gone, w.people[2].purged, w.people[2].told = false, true, true
	r = w.rest()
	if len(r.Held) != 1 || r.Held[0].Class != ledger.Deletes || len(w.accountsOf(2)) != 1 {
		t.Fatalf("who is gone for good: %+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); len(w.accountsOf(2)) != 0 {
		t.Error("an approved delete is not done")
	}
}

// An account that somebody deleted in the directory is not disabled when its person leaves; it is when somebody brings it back.
func TestALeaversAccountThatComesBackInTheDirectoryIsDisabled(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.hire(3)
	w.disablesFirst(2)
	e := w.one1(1)
	w.touch(e, func(e *entry) { e.deleted = true })
	w.rest()
	w.members[1] = false
	w.rest()
	records := len(w.log)
	if w.rest(); e.off || len(w.log) != records {
		t.Fatalf("a deleted account is written, or told of in each run: %d records", len(w.log)-records)
	}
	w.touch(e, func(e *entry) { e.deleted = false })
	if w.rest(); !e.off {
		t.Error("a leaver's account came back in the directory and stays enabled")
	}
	records = len(w.log)
	if w.rest(); len(w.log) != records {
		t.Errorf("a run with nothing to do writes %d records", len(w.log)-records)
	}
}

// disablesFirst lets a user leave whose account is the first to be disabled, which a person approves: those that follow are disabled without a question.
func (w *world) disablesFirst(n int) {
	w.rest()
	w.members[n] = false
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
}

func (w *world) answer(id, verb string) {
	w.t.Helper()
	if err := w.gate.Record(w.t.Context(), ledger.Record{Type: ledger.AnswerType, Engine: "cloudsync", Op: verb, By: "test", Outcome: engine.Applied, Code: id, Answer: &ledger.Answer{Hold: id, Verb: verb}}); err != nil {
		w.t.Fatal(err)
	}
}

func TestPersonsAreNotDoubledAndNamesTakeTheNext(t *testing.T) {
	w := newWorld(t, 1, "")
	native := func(n uint32, attribute, v string) {
		w.one.entries[guid(n)] = &entry{guid: guid(n), cn: "native" + v, parent: hires, native: true, usn: uint64(n), values: map[string][]string{attribute: {v}}}
	}
	native(501, "sAMAccountName", "p1")
	native(502, "employeeID", "2")
	native(503, link, provisioning.LinkValue(scoping.User, cloudID(3)))
	for n := range 3 {
		w.hire(n + 1)
	}
	r := w.rest()
	if e := w.one1(1); e.values["sAMAccountName"][0] != "p12" {
		t.Errorf("a taken name: %v", e.values)
	}
	codes := map[string]string{}
	for _, j := range r.Judgements {
		codes[j.CloudID] = j.Code
	}
	if codes[cloudID(2)] != string(provisioning.CodeJoin) || codes[cloudID(3)] != string(provisioning.CodePlanted) || len(w.accountsOf(2)) != 0 {
		t.Errorf("%v", codes)
	}
	if len(r.Held) != 1 || len(r.Held[0].Entries) != 2 {
		t.Errorf("%+v", r.Held)
	}
}

func TestAGroupThatIsEmptiedMovesNobody(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.rest()
	w.members[1] = false
	w.members = map[int]bool{}
	r := w.rest()
	if r.Complete || w.one1(1).off || !slices.ContainsFunc(r.Problems, func(p provisioning.Problem) bool { return p.Code == string(provisioning.CodeFrozenFrom) }) {
		t.Errorf("%+v", r)
	}
}

func TestSomebodyWhoIsThereIsJoinedOnAPersonsWord(t *testing.T) {
	w := newWorld(t, 1, "")
	e := &entry{guid: guid(501), cn: "native", parent: hires, native: true, off: true, usn: 1, values: map[string][]string{"employeeID": {"1"}, "displayName": {"Old"}}}
	w.one.entries[e.guid] = e
	w.hire(1)
	r := w.rest()
	if len(r.Held) != 1 {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	r = w.rest()
	if w.one1(1) != e || e.values["displayName"][0] != "p1" || !e.off {
		t.Errorf("%+v %+v", e, r)
	}
}

func TestSomebodyWhoIsHiredAgainGetsTheOldAccount(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	old := w.one1(1)
	w.people[1].gone = true
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.people[1].purged = true
	again := w.hire(3) // another object of the tenant, and the same person
	again.employee = 1
	r := w.rest()
	i := slices.IndexFunc(r.Held, func(h ledger.Hold) bool { return h.Class == ledger.Adoptions })
	if i < 0 || r.Held[i].Entries[0].Op != string(provisioning.CodeRelink) {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[i].ID, "approve")
	r = w.rest()
	if e := w.one1(3); e != old || e.off || len(w.accountsOf(1)) != 0 {
		t.Errorf("%+v %+v", e, r)
	}
}

// Whatever came back and leaves again before it was agreed about is seen off like any other: the write that enabled it ended that it counts as seen off.
func TestWhatComesBackAndLeavesAgainAtOnceIsDisabled(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.members[1] = false
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.members[1], w.dies = true, 3
	_, _ = w.run() // it ends when the enabling is written down
	if w.one1(1).off {
		t.Fatal("what came back is disabled")
	}
	w.members[1] = false
	if w.rest(); !w.one1(1).off {
		t.Error("what left again stays enabled")
	}
}

// It counts as seen off no more as soon as it is to be brought again, even if nothing can be written.
func TestWhatComesBackAndCannotBeBroughtIsDisabledWhenItLeavesAgain(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1).dept = onsite
	w.hire(2)
	w.rest()
	w.touch(w.one1(1), func(e *entry) { e.off = true })
	w.rest()
	w.members[1] = false
	w.rest()
	w.lay(away)
	w.members[1] = true
	if w.rest(); w.told(1) != provisioning.CodeMovedAway {
		t.Fatalf("told %q", w.told(1))
	}
	w.mayEverywhere = true
	w.touch(w.one1(1), func(e *entry) { e.off = false })
	w.members[1] = false
	r := w.rest()
	if len(r.Held) != 1 {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); !w.one1(1).off {
		t.Error("what left again stays enabled")
	}
	n := len(w.log)
	if _, err := w.run(); err != nil || len(w.log) != n {
		t.Errorf("at rest it writes %d records: %v", len(w.log)-n, err)
	}
}

// An account is a leaver's as long as no assignment takes its object of the tenant, whatever waits about it.
func TestTheAccountOfWhatCameBackIsOfferedToNobodyElse(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.members[1] = false
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.members[1] = true
	w.hire(3).employee = 1
	r := w.rest()
	if len(r.Held) != 0 || w.told(3) != provisioning.CodeLinked || w.one1(1).off || len(w.accountsOf(3)) != 0 {
		t.Errorf("%+v, told %q", r, w.told(3))
	}
}

// What a person approved and nobody did in time is asked again, under the same name.
func TestAnApprovalThatExpiredIsAskedForAgain(t *testing.T) {
	w := newWorld(t, 1, "")
	w.native(50, map[string][]string{"employeeID": {"1"}})
	w.hire(1)
	id := w.rest().Held[0].ID
	w.refuses = provision.NoRights
	w.answer(id, "approve")
	w.rest()
	w.now = w.now.Add(25 * time.Hour)
	w.rest()
	if h := w.led.Holds[id]; h == nil || h.State != ledger.HoldOpen {
		t.Fatalf("%+v", h)
	}
	w.refuses = ""
	w.answer(id, "approve")
	w.desk.Retry()
	if w.rest(); len(w.accountsOf(1)) != 1 {
		t.Error("it is not joined")
	}
}

// The account of a leaver that was deleted in the directory is not offered for a re-link, which could not be done: it is restored, or another one is made.
func TestALeaversAccountThatIsDeletedIsNotOfferedForARelink(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.members[1] = false
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.touch(w.one1(1), func(e *entry) { e.deleted = true })
	w.hire(3).employee = 1
	r := w.rest()
	if len(r.Held) != 1 || r.Held[0].Entries[0].Op != string(provisioning.CodeJoin) {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); len(w.accountsOf(3)) != 1 {
		t.Error("no account is made anew")
	}
}

// Whom somebody disabled before it left stays disabled for whoever gets its account.
func TestARelinkEnablesNobodyWhomSecurityDisabled(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.touch(w.one1(1), func(e *entry) { e.off = true })
	w.rest()
	w.members[1] = false
	w.rest()
	w.hire(3).employee = 1
	w.answer(w.rest().Held[0].ID, "approve")
	if w.rest(); !w.one1(3).off || w.told(3) != provisioning.CodeDisabledIn {
		t.Errorf("enabled, told %q", w.told(3))
	}
}

// What is gone for good and lies outside the container is not asked about, since an approval would come to nothing, and what was found of it does not begin anew meanwhile.
func TestWhatIsPurgedAndWasMovedAwayIsNamedOnce(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.people[1].gone = true
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	e := w.one1(1)
	w.touch(e, func(e *entry) { e.parent = away })
	w.people[1].gone, w.people[1].purged, w.people[1].told = false, true, true
	w.rest()
	n := len(w.log)
	for range 3 {
		w.now = w.now.Add(25 * time.Hour)
		if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeMovedAway {
			t.Fatalf("%+v, told %q", r, w.told(1))
		}
	}
	if len(w.log) != n {
		t.Errorf("it writes %d records", len(w.log)-n)
	}
	w.touch(e, func(e *entry) { e.parent = hires })
	w.rest()
	w.now = w.now.Add(25 * time.Hour)
	if r := w.rest(); len(r.Held) != 1 || r.Held[0].Class != ledger.Deletes {
		t.Errorf("%+v", r)
	}
}

// A reading of the directory from the start does not show what was changed before it: every account is looked at once more, and once only.
func TestAReadingFromTheStartLooksAtEveryAccountOnce(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.rest()
	e := w.one1(1)
	e.values["department"] = []string{"by hand"} // of which no reading tells
	if w.rest(); e.values["department"][0] != "by hand" {
		t.Fatal("it is seen without being told")
	}
	w.look()
	w.whole = w.reading
	if w.rest(); e.values["department"][0] != "a" {
		t.Error("it is not put back")
	}
	n := len(w.log)
	if _, err := w.run(); err != nil || len(w.log) != n {
		t.Errorf("it writes %d records once more: %v", len(w.log)-n, err)
	}
}

// A person's answer about an account, whatever it is about, does not end what else people are told of it.
func TestAnAnswerEndsNoFinding(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	w.touch(w.one1(1), func(e *entry) { e.off = true })
	w.rest()
	if w.told(1) != provisioning.CodeDisabledIn {
		t.Fatalf("told %q", w.told(1))
	}
	id, _ := scoping.Cloud(cloudID(p.n))
	h := ledger.Hold{Engine: "cloudsync", Assignment: "hires", Class: ledger.Destructive, Kind: scoping.User, State: ledger.HoldOpen, Entries: []ledger.HeldEntry{{Object: id, Kind: scoping.User, Feature: scoping.UserProvisioning}}}
	h.Name()
	if err := w.gate.Record(t.Context(), ledger.Record{Type: ledger.HoldType, Engine: "cloudsync", Outcome: engine.Held, Hold: &h}); err != nil {
		t.Fatal(err)
	}
	w.answer(h.ID, "approve")
	if w.rest(); w.told(1) != provisioning.CodeDisabledIn {
		t.Errorf("told %q", w.told(1))
	}
}

// What is asked about an account that is deleted would come to nothing beside one of the same person that lives elsewhere: people are told of that one.
func TestAPersonWhoLivesElsewhereIsToldOfBeforeADeletedOne(t *testing.T) {
	w := newWorld(t, 1, "")
	w.native(50, map[string][]string{"employeeID": {"1"}}).deleted = true
	w.native(51, map[string][]string{"employeeID": {"1"}}).parent = away
	w.look()
	w.hire(1)
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeJoinOutside {
		t.Errorf("%+v, told %q", r, w.told(1))
	}
}

// A container that is moved changes no entry below it. [It was moved with the accounts in it, and no finding said that they are outside.]
func TestAContainerThatIsMovedWithItsAccountsIsTold(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1).dept = onsite
	w.hire(2)
	w.rest()
	if e := w.one1(1); e.parent != site || w.told(1) != "" {
		t.Fatalf("%+v, told %q", e, w.told(1))
	}
	w.lay(away)
	if w.rest(); w.told(1) != provisioning.CodeMovedAway || w.told(2) != "" {
		t.Errorf("told %q and %q", w.told(1), w.told(2))
	}
	w.lay(hires)
	if w.rest(); w.told(1) != "" {
		t.Errorf("it is back, and told %q", w.told(1))
	}
	n := len(w.log)
	if _, err := w.run(); err != nil || len(w.log) != n {
		t.Errorf("at rest it writes %d records: %v", len(w.log)-n, err)
	}
}
