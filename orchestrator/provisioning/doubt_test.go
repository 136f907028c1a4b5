package provisioning_test

import (
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// lose lets the next write that a world sends lose its answer, as given, and those after it arrive.
func (w *world) lose(how fault) {
	w.loses = func() fault {
		w.loses = func() fault { return none }
		return how
	}
}

// A controller that is gone for good leaves a doubt without an end, until a person says so: then another one tells, and nobody is made twice.
func TestADoubtWhoseControllerIsGoneEndsByAPersonsWord(t *testing.T) {
	for name, x := range map[string]struct {
		how        fault
		replicates bool // before it is gone
	}{"never arrived": {before, false}, "arrived and was passed on": {after, true}, "arrived and was lost with it": {after, false}} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.hire(1)
			w.lose(x.how)
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if x.replicates {
				w.replicate()
			}
			w.one.url, w.one.entries, w.reads = "ldaps://gone", map[scoping.GUID]*entry{}, w.two.url
			w.now = w.now.Add(time.Minute)
			if r, err := w.run(); err != nil || len(r.Held) != 0 || r.Complete {
				t.Fatalf("a controller that is away for a minute is a question: %v %+v", err, r)
			}
			w.now = w.now.Add(4 * time.Hour)
			r, err := w.run()
			if err != nil || len(r.Held) != 1 || r.Held[0].Class != ledger.LostControllers || len(w.two.entries) > 1 {
				t.Fatalf("%v %+v", err, r)
			}
			n := len(w.log)
			if _, err := w.run(); err != nil || len(w.log) != n {
				t.Errorf("asked, it writes %d records", len(w.log)-n)
			}
			w.open()
			w.answer(r.Held[0].ID, "approve")
			for range 3 {
				if _, err := w.run(); err != nil {
					t.Fatal(err)
				}
			}
			var there []*entry
			for _, e := range w.two.entries {
				there = append(there, e)
			}
			row, linked := w.led.ByCloud(cloudID(1))
			if len(there) != 1 || !linked || row.Object.GUID != there[0].guid || there[0].off || len(w.led.DoubtfulDeliveries()) != 0 {
				t.Errorf("%d accounts, linked %t, %d doubts", len(there), linked, len(w.led.DoubtfulDeliveries()))
			}
			for _, h := range w.led.SortedHolds() {
				if h.Now(w.now.UnixMilli()) != ledger.HoldDone {
					t.Errorf("the answer is %s", h.Now(w.now.UnixMilli()))
				}
			}
		})
	}
}

// That a controller is gone is the answer to one write, and what is rejected stays in doubt.
func TestThatAControllerIsNotGoneKeepsItsDoubt(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.lose(after)
	_, _ = w.run()
	w.one.url, w.reads = "ldaps://away", w.two.url
	w.now = w.now.Add(4 * time.Hour)
	r, err := w.run()
	if err != nil || len(r.Held) != 1 {
		t.Fatalf("%v %+v", err, r)
	}
	w.answer(r.Held[0].ID, "reject")
	for range 2 {
		if r, err := w.run(); err != nil || len(r.Held) != 0 || len(w.led.DoubtfulDeliveries()) != 1 || len(w.two.entries) != 0 {
			t.Fatalf("%v %+v", err, r)
		}
	}
	w.one.url, w.reads = "ldaps://one", "ldaps://one" // it comes back
	if w.rest(); w.one1(1).off || len(w.led.DoubtfulDeliveries()) != 0 {
		t.Error("a controller that came back is not asked")
	}
}

// Whom security disabled while nobody knew whether the enabling had arrived stays disabled, however the enabling ended; whom nobody touched is enabled.
func TestWhomSecurityDisabledDuringADoubtStaysDisabled(t *testing.T) {
	for name, x := range map[string]struct {
		again bool // it was agreed before that the account is enabled
		how   fault
		act   func(*world, *entry)
		off   bool
	}{
		"a new account, disabled":               {false, after, func(w *world, e *entry) { w.touch(e, func(e *entry) { e.off = true }) }, true},
		"a new account that nobody touched":     {false, before, func(*world, *entry) {}, false},
		"enabled again, disabled":               {true, after, func(w *world, e *entry) { w.touch(e, func(e *entry) { e.off = true }) }, true},
		"enabled again, and nobody touched it":  {true, before, func(*world, *entry) {}, false},
		"enabled again, and another value":      {true, after, func(w *world, e *entry) { w.touch(e, func(e *entry) { e.values["title"] = []string{"x"} }) }, false},
		"enabled again, with another value too": {true, after, func(w *world, e *entry) { w.touch(e, func(e *entry) { e.values["department"] = []string{"x"} }) }, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			p := w.hire(1)
			if x.again {
				w.rest()
				p.enabled = false
				w.answer(w.rest().Held[0].ID, "approve")
				w.rest()
				p.enabled = true
			}
			w.onEnabling = x.how
			for n := 0; w.onEnabling != none; n++ {
				if _, err := w.run(); err != nil || n > 5 {
					t.Fatalf("it is not enabled: %v", err)
				}
			}
			e := w.one1(1)
			x.act(w, e)
			if e.off != (x.off || x.how == before) {
				t.Fatalf("%+v", e)
			}
			w.now = w.now.Add(time.Hour)
			if w.rest(); e.off != x.off {
				t.Errorf("disabled: %t", e.off)
			}
			if x.off && w.told(1) != provisioning.CodeDisabledIn {
				t.Errorf("it is not told: %q", w.told(1))
			}
			p.enabled = false
			for _, h := range w.rest().Held {
				w.answer(h.ID, "approve")
			}
			w.rest()
			p.enabled = true
			if w.rest(); e.off {
				t.Error("what the tenant disables and enables is not enabled")
			}
		})
	}
}

// An account is deleted on evidence: the tenant's own word and a look after its delay, or two looks a day apart; and never where its deleted items cannot be read.
func TestAnAccountIsDeletedOnEvidenceOnly(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.people[1].gone = true
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.people[1].gone, w.people[1].purged = false, true
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeNoPurge {
		t.Fatalf("one look: %+v %q", r, w.told(1))
	}
	w.now = w.now.Add(23 * time.Hour)
	w.open()
	if r := w.rest(); len(r.Held) != 0 {
		t.Errorf("less than a day later: %+v", r)
	}
	w.now, w.blind = w.now.Add(2*time.Hour), true
	if r := w.rest(); len(r.Held) != 0 {
		t.Errorf("its deleted items cannot be read: %+v", r)
	}
	w.blind = false
	if r := w.rest(); len(r.Held) != 0 {
		t.Errorf("since then it counts anew: %+v", r)
	}
	w.now = w.now.Add(25 * time.Hour)
	if r := w.rest(); len(r.Held) != 1 || r.Held[0].Class != ledger.Deletes {
		t.Errorf("a day later: %+v", r)
	}
	w.people[1].purged = false // it is there after all
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != "" {
		t.Errorf("%+v %q", r, w.told(1))
	}
}

// Whoever has the name that a hire would get, and is called alike, may be the same person, made by hand: it is asked, and no second account is made meanwhile.
func TestALookAlikeIsAQuestion(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	alike := w.native(50, map[string][]string{"sAMAccountName": {"p1"}, "displayName": {"P1"}})
	w.native(51, map[string][]string{"sAMAccountName": {"p2"}, "displayName": {"p2"}, "employeeID": {"77"}}) // somebody else, by its own word
	r := w.rest()
	if len(r.Held) != 1 || len(r.Held[0].Entries) != 1 || r.Held[0].Entries[0].Op != string(provisioning.CodeLookAlike) || len(w.accountsOf(1)) != 0 {
		t.Fatalf("%+v", r)
	}
	if e := w.one1(2); e.values["sAMAccountName"][0] != "p22" {
		t.Errorf("%v", e.values)
	}
	w.answer(r.Held[0].ID, "reject")
	if w.rest(); len(w.accountsOf(1)) != 0 {
		t.Error("what a person rejected is made")
	}
	w.answer(r.Held[0].ID, "forget")
	id := w.rest().Held[0].ID
	w.answer(id, "approve")
	if w.rest(); w.one1(1).values["sAMAccountName"][0] != "p12" || alike.values[link] != nil {
		t.Errorf("another person: %+v %+v", w.one1(1), alike)
	}
}

// An approval counts for a day. So a person is asked at once about all accounts beside which one would be made, and only if it can be made: else the first
// answer went by unused while the second was waited for, and both were asked for every day.
func TestAllAccountsBesideWhichOneIsMadeAreAskedAboutAtOnce(t *testing.T) {
	w := newWorld(t, 1, "")
	w.native(50, map[string][]string{"sAMAccountName": {"p1"}, "displayName": {"P1"}})
	w.native(51, map[string][]string{"employeeID": {"1"}}).deleted = true
	w.hire(1)
	r := w.rest()
	if len(r.Held) != 1 || len(r.Held[0].Entries) != 2 {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); len(w.accountsOf(1)) != 1 {
		t.Error("what was approved is not made")
	}
}

func TestNoQuestionIsAskedAboutAnAccountWhoseContainerIsNotThere(t *testing.T) {
	w := newWorld(t, 1, "")
	w.native(50, map[string][]string{"sAMAccountName": {"p1"}, "displayName": {"P1"}})
	w.native(51, map[string][]string{"employeeID": {"1"}}).deleted = true
	w.hire(1).dept = nowhere
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeNoContainer || len(w.last(1).Findings) != 2 {
		t.Errorf("%+v %q", r, w.told(1))
	}
}

// Who approves that another account is made beside a deleted one does not approve that the deleted one, restored meanwhile, is joined.
func TestAnAccountThatIsRestoredAfterAnotherOneWasApprovedIsAskedAbout(t *testing.T) {
	w := newWorld(t, 1, "")
	e := w.native(51, map[string][]string{"employeeID": {"1"}})
	e.deleted = true
	w.hire(1)
	w.answer(w.rest().Held[0].ID, "approve")
	w.touch(e, func(e *entry) { e.deleted = false })
	if r := w.rest(); len(r.Held) != 1 || len(e.values[link]) != 0 {
		t.Errorf("%+v %+v", r, e)
	}
}

// An object that was deleted while its add was in doubt is asked about, also if only its link shows whose it was, as with groups: another one is made
// only after a person approved. If that one is deleted too and the first is restored, the answer names the first.
func TestWhatIsDeletedDuringTheDoubtAboutItIsMadeAgainByAPersonsWord(t *testing.T) {
	for name, numbered := range map[string]bool{"a person": true, "a group has no number": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.hire(1)
			w.loses = func() fault { return after }
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			w.loses = func() fault { return none }
			one := w.one1(1)
			w.touch(one, func(e *entry) {
				if e.deleted = true; !numbered {
					delete(e.values, "employeeID")
				}
			})
			w.now = w.now.Add(24 * time.Hour)
			r := w.rest()
			if len(w.led.DoubtfulDeliveries()) != 0 || len(r.Held) != 1 || len(r.Held[0].Entries) != 1 || len(w.accountsOf(1)) != 0 {
				t.Fatalf("%+v", r)
			}
			w.answer(r.Held[0].ID, "approve")
			w.rest()
			two := w.one1(1)
			if two == one || w.stateOf(two) != ledger.Live {
				t.Fatalf("%+v", two)
			}
			w.touch(two, func(e *entry) { e.deleted = true })
			if w.rest(); w.told(1) != provisioning.CodeDeletedIn {
				t.Errorf("%q", w.told(1))
			}
			w.touch(one, func(e *entry) { e.deleted = false })
			writes := w.written[one.guid]
			if x := w.last(1); x.Code != string(provisioning.CodeDeletedIn) || len(x.Findings) != 1 || x.Findings[0].Code != provisioning.CodeDoubled || w.written[one.guid] != writes || len(w.accountsOf(1)) != 1 {
				t.Errorf("%+v", x)
			}
		})
	}
}

// Whoever is there and lies outside the container is neither joined nor doubled, whatever is answered; moved into it, it is asked.
func TestWhoeverIsThereOutsideTheContainerIsAFinding(t *testing.T) {
	w := newWorld(t, 1, "")
	e := w.native(50, map[string][]string{"employeeID": {"1"}})
	e.parent = away
	w.look()
	w.hire(1)
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeJoinOutside || len(w.accountsOf(1)) != 0 {
		t.Fatalf("%+v %q", r, w.told(1))
	}
	w.touch(e, func(e *entry) { e.parent = hires })
	r := w.rest()
	if len(r.Held) != 1 || r.Held[0].Entries[0].Op != string(provisioning.CodeJoin) {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	if w.rest(); w.one1(1) != e {
		t.Error("it is not joined")
	}
}

// A write that the directory refuses is tried again when something changed, when time passed, or when a person asks, and fills no log meanwhile.
func TestWhatTheDirectoryRefusesIsNotTriedInEachRun(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	w.refuses = provision.NoRights
	p.dept = "b"
	w.rest()
	n := len(w.log)
	for range 5 {
		w.now = w.now.Add(time.Minute)
		_, _ = w.run()
	}
	if len(w.log) != n || w.told(1) != gate.Code(provision.NoRights) {
		t.Fatalf("%d records, told %q", len(w.log)-n, w.told(1))
	}
	w.refuses = ""
	w.desk.Retry()
	if w.rest(); !slices.Equal(w.one1(1).values["department"], []string{"b"}) {
		t.Error("it is not tried again when a person asks")
	}
}

// An enabling that is still on its way does not count as done because somebody else enabled the account: it would arrive over security's disabling.
func TestADoubtAboutEnablingIsNotEndedByOthers(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.onEnabling = delayed
	for n := 0; w.onEnabling != none; n++ {
		if _, err := w.run(); err != nil || n > 5 {
			t.Fatalf("it is not enabled: %v", err)
		}
	}
	e := w.one1(1)
	w.touch(e, func(e *entry) { e.off = false })
	w.rest()
	if n := len(w.led.DoubtfulDeliveries()); n != 1 {
		t.Fatalf("%d doubts", n)
	}
	w.now = w.now.Add(time.Hour)
	if w.rest(); len(w.led.DoubtfulDeliveries()) != 0 || e.off {
		t.Errorf("%d doubts, disabled %t", len(w.led.DoubtfulDeliveries()), e.off)
	}
}

// A password that is set meanwhile says nothing of an enabling in doubt.
func TestAPasswordEndsNoDoubtOfAnEnabling(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.onEnabling = delayed
	for n := 0; w.onEnabling != none; n++ {
		if _, err := w.run(); err != nil || n > 5 {
			t.Fatalf("it is not enabled: %v", err)
		}
	}
	d := w.led.DoubtfulDeliveries()[0]
	set := func(step ledger.Step, code string) ledger.Record {
		return ledger.Record{V: ledger.Version, Type: ledger.DeliveryType, At: w.now.UnixMilli(), Engine: "connect", Object: &d.Object, Kind: scoping.User, Feature: scoping.PasswordWriteback, Op: "reset", Code: code,
			Delivery: &ledger.Delivery{ID: "password", Step: step, Until: d.Until}}
	}
	if err := w.gate.Record(t.Context(), set(ledger.Permitted, ""), set(ledger.Ended, engine.DeliveryOK)); err != nil {
		t.Fatal(err)
	}
	if len(w.led.DoubtfulDeliveries()) != 1 {
		t.Error("the doubt ended")
	}
}

// A census that lost its index counts on from where agreements were made.
func TestReadingsGoOnAfterTheNewestAgreement(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.rest()
	if n := w.desk.NewestReading(); n == 0 || n > w.reading {
		t.Errorf("%d of %d", n, w.reading)
	}
}

// disablesInDoubt lets user 1 leave, and the answer to the disabling of its account, which a person approves, be lost. It returns the account.
func (w *world) disablesInDoubt(how fault) *entry {
	w.members[1] = false
	w.answer(w.rest().Held[0].ID, "approve")
	w.lose(how)
	_, _ = w.run()
	return w.one1(1)
}

// An account that is shown disabled after the answer to its disabling was lost may have been disabled by security: the next one is still the first that
// its assignment disables, about which a person is asked.
func TestADisablingWhoseAnswerWasLostIsNotTheFirst(t *testing.T) {
	for name, how := range map[string]fault{"it never arrived": before, "it arrived": after} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.hire(1)
			w.hire(2)
			w.hire(3)
			w.rest()
			e := w.disablesInDoubt(how)
			if n := len(w.led.DoubtfulDeliveries()); n != 1 || e.off != (how == after) {
				t.Fatalf("%d doubts, disabled %t", n, e.off)
			}
			w.touch(e, func(e *entry) { e.off = true })
			w.now = w.now.Add(time.Hour)
			if r := w.rest(); len(w.led.DoubtfulDeliveries()) != 0 || len(r.Held) != 0 {
				t.Fatalf("%d doubts, %+v", len(w.led.DoubtfulDeliveries()), r)
			}
			w.members[2] = false
			r := w.rest()
			if len(r.Held) != 1 || w.one1(2).off {
				t.Fatalf("nobody is asked about the first disabling: %+v", r)
			}
			w.answer(r.Held[0].ID, "approve")
			if w.rest(); !w.one1(2).off {
				t.Error("an approved disabling is not done")
			}
			w.people[3].enabled = false
			if r := w.rest(); len(r.Held) != 0 || !w.one1(3).off {
				t.Errorf("a person is asked about the second one: %+v", r)
			}
		})
	}
}

// Whether security or Tandem disabled a leaver's account is unknown if the answer was lost. Who comes back is enabled by that; whoever else gets the
// account is not.
func TestARelinkEnablesNobodyWhomSecurityMayHaveDisabled(t *testing.T) {
	for _, back := range []bool{false, true} {
		w := newWorld(t, 1, "")
		w.hire(1)
		w.hire(2)
		w.rest()
		e := w.disablesInDoubt(before)
		w.touch(e, func(e *entry) { e.off = true })
		w.now = w.now.Add(time.Hour)
		w.rest()
		if w.members[1] = back; !back {
			w.hire(3).employee = 1
			w.answer(w.rest().Held[0].ID, "approve")
		}
		w.rest()
		if off, told := e.off, w.told(3); off == back || !back && told != provisioning.CodeDisabledIn {
			t.Errorf("who had it comes back %t: disabled %t, told %q", back, off, told)
		}
	}
}
