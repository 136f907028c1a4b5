package provisioning_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/scoping"
)

// native puts somebody into the directory whom nobody of ours made.
func (w *world) native(n uint32, values map[string][]string) *entry {
	e := &entry{guid: guid(n), cn: "Native", parent: hires, native: true, values: values}
	w.one.entries[e.guid] = e
	w.look()
	return e
}

func TestALinkThatIsPlantedWhileAnAddIsInDoubtTakesNobodyOver(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.loses = func() fault { return before }
	if _, err := w.run(); err != nil {
		t.Fatal(err)
	}
	w.loses = func() fault { return none }
	victim := w.native(50, map[string][]string{link: {"User_" + cloudID(1)}, "displayName": {"Victim"}})
	for range 3 {
		if _, err := w.run(); err != nil {
			t.Fatal(err)
		}
		w.now = w.now.Add(24 * 3600e9)
	}
	if row := w.led.Rows.Get(scoping.ObjectID{Directory: "contoso", GUID: victim.guid}); row != nil || victim.values["displayName"][0] != "Victim" {
		t.Errorf("somebody is taken over: %+v %+v", row, victim)
	}
	if len(w.led.DoubtfulDeliveries()) > 0 {
		t.Error("the doubt has no end")
	}
}

// What security does between the write that enables and the agreement about it is not undone.
func TestWhoeverWasDisabledBeforeItWasAgreedThatHeIsEnabledStaysDisabled(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	p.enabled = false
	w.rest()
	p.enabled = true
	for n := 1; w.one1(1).off; n++ { // the process ends as soon as it is enabled
		w.dies = 2
		_, _ = w.run()
		if w.dies = 0; n > 20 {
			t.Fatal("it is not enabled")
		}
	}
	w.open()
	w.touch(w.one1(1), func(e *entry) { e.off = true })
	if w.rest(); !w.one1(1).off {
		t.Error("whom somebody disabled is enabled")
	}
}

func TestWhomSecurityDisabledStaysDisabledThroughLeavingAndComingBack(t *testing.T) {
	for _, when := range []string{"before", "after"} {
		w := newWorld(t, 1, "")
		w.hire(1)
		w.hire(2)
		w.rest()
		if when == "before" {
			w.touch(w.one1(1), func(e *entry) { e.off = true })
			w.rest()
		}
		w.members[1] = false
		if r := w.rest(); len(r.Held) > 0 {
			w.answer(r.Held[0].ID, "approve")
			w.rest()
		}
		w.members[1] = true
		w.rest()
		if off := w.one1(1).off; off != (when == "before") {
			t.Errorf("disabled %s leaving: disabled %v", when, off)
		}
	}
}

func TestWhomWeDisabledAndDidNotAgreeAboutYetIsEnabledWhenHeComesBack(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	w.members[1] = false
	r := w.rest()
	w.answer(r.Held[0].ID, "approve")
	w.dies = 2
	_, _ = w.run()
	w.dies = 0
	w.open()
	if !w.one1(1).off {
		t.Fatal("it is not disabled")
	}
	w.members[1] = true
	if w.rest(); w.one1(1).off {
		t.Error("who came back stays disabled")
	}
}

func TestAContainerThatIsRenamedOrMovedIsTheSame(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	w.renamed = "OU=Newer,OU=People,DC=contoso,DC=test"
	p.dept = "b"
	w.hire(2)
	r := w.rest()
	if !r.Complete || w.one1(1).values["department"][0] != "b" || w.one1(2).off {
		t.Errorf("%+v", r)
	}
}

// Renaming is destructive: rules that rename everybody wait for a person, and nothing else of the objects waits with them.
func TestRulesThatRenameEverybodyWaitForAPerson(t *testing.T) {
	w := newWorld(t, 1, "")
	for n := range 30 {
		w.hire(n + 1)
	}
	w.rest()
	for n := range 30 {
		w.people[n+1].name += "x"
		w.people[n+1].dept = "b"
	}
	r := w.rest()
	if len(r.Held) != 1 || r.Held[0].Class != ledger.Destructive {
		t.Fatalf("%d sets are held: %+v", len(r.Held), r.Judgements)
	}
	for n := range 30 {
		if e := w.one1(n + 1); strings.HasPrefix(e.cn, w.people[n+1].name) || e.values["department"][0] != "b" {
			t.Fatalf("%+v", e)
		}
	}
	w.answer(r.Held[0].ID, "approve")
	w.rest()
	for n := range 30 {
		if e := w.one1(n + 1); !strings.HasPrefix(e.cn, w.people[n+1].name) {
			t.Fatalf("%+v", e)
		}
	}
}

// Two objects of the tenant that are one person get one account, also where no controller shows the first one's yet.
func TestTwoObjectsOfOnePersonGetOneAccount(t *testing.T) {
	for name, how := range map[string]fault{"in one round": none, "while the first is in doubt": delayed} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.hire(1)
			w.hire(2).employee = 1
			w.lose(how)
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			if _, err := w.run(); err != nil {
				t.Fatal(err)
			}
			for _, arrives := range w.late {
				arrives()
			}
			w.now = w.now.Add(time.Hour)
			if w.rest(); len(w.accountsOf(1)) != 1 || len(w.accountsOf(2)) != 0 || w.told(2) != provisioning.CodeLinked {
				t.Errorf("%d and %d accounts, told %q", len(w.accountsOf(1)), len(w.accountsOf(2)), w.told(2))
			}
		})
	}
}

// An account that was enabled, and left before anything was agreed about it, stays disabled when it comes back if others disabled it meanwhile.
func TestAnAccountThatLeftBeforeItsFirstAgreementIsNotEnabledOverSecurity(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.onEnabling = after
	for n := 0; w.onEnabling != none; n++ {
		if _, err := w.run(); err != nil || n > 5 {
			t.Fatalf("it is not enabled: %v", err)
		}
	}
	var e *entry
	for _, n := range []int{1, 2} {
		if id := cloudID(n); len(w.led.Provisioning(id)) > 0 {
			e = w.one1(n)
			w.members[n] = false
			w.now, w.dies = w.now.Add(time.Hour), 1
			_, _ = w.run() // it ends when the doubt's end is written down
			w.touch(e, func(e *entry) { e.off = true })
			w.now = w.now.Add(4 * time.Hour)
			w.rest()
			w.members[n] = true
			break
		}
	}
	if w.rest(); e == nil || !e.off {
		t.Errorf("%+v", e)
	}
}
