package provisioning_test

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// last is what a run without anything to do says of a person.
func (w *world) last(n int) provisioning.Judgement {
	w.t.Helper()
	r := w.rest()
	i := slices.IndexFunc(r.Judgements, func(j provisioning.Judgement) bool { return j.CloudID == cloudID(n) })
	if i < 0 {
		w.t.Fatalf("nothing is said of person %d: %+v", n, r)
	}
	return r.Judgements[i]
}

// told is the code of what is remembered about a person, for errors and status.
func (w *world) told(n int) gate.Code {
	id, _ := scoping.Cloud(cloudID(n))
	return gate.Code(w.led.Unsettled[id][scoping.UserProvisioning].Reason)
}

// Whoever may write the link attribute takes nobody over and keeps nobody from being written or disabled: the ledger decides, and what others wrote is a finding that stays until it is put right.
func TestTheLedgersLinkDecidesWhateverOthersWriteIntoTheAttribute(t *testing.T) {
	mine, others := provisioning.LinkValue(scoping.User, cloudID(1)), provisioning.LinkValue(scoping.User, cloudID(2))
	for name, x := range map[string]struct {
		change func(*world, *entry)
		code   gate.Code
	}{
		"taken away":     {func(w *world, e *entry) { w.touch(e, func(e *entry) { delete(e.values, link) }) }, provisioning.CodeLinkChanged},
		"another's":      {func(w *world, e *entry) { w.touch(e, func(e *entry) { e.values[link] = []string{others} }) }, provisioning.CodeLinkChanged},
		"nobody's":       {func(w *world, e *entry) { w.touch(e, func(e *entry) { e.values[link] = []string{"x"} }) }, provisioning.CodeLinkChanged},
		"copied":         {func(w *world, e *entry) { w.native(50, map[string][]string{link: {mine}}) }, provisioning.CodeDoubled},
		"copied outside": {func(w *world, e *entry) { w.native(50, map[string][]string{link: {mine}}).parent = away; w.look() }, provisioning.CodeDoubled},
		"copied onto an administrator": {func(w *world, e *entry) {
			w.native(50, map[string][]string{link: {mine}}).protected = "it is an administrator"
		}, provisioning.CodeDoubled},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			p := w.hire(1)
			w.hire(2)
			w.hire(3)
			w.disablesFirst(3)
			e := w.one1(1)
			x.change(w, e)
			if j := w.last(1); len(j.Findings) != 1 || j.Findings[0].Code != x.code || w.told(1) != x.code {
				t.Fatalf("what somebody did is not told: %+v, remembered %q", j, w.told(1))
			}
			p.dept, p.name = "b", "called"
			if w.rest(); e.values["department"][0] != "b" || e.values["displayName"][0] != "called" {
				t.Errorf("it is out of synchronization: %+v", e)
			}
			w.open()
			if j := w.last(1); len(j.Findings) != 1 || w.told(1) != x.code {
				t.Errorf("the finding does not outlive the process: %+v", j)
			}
			w.members[1] = false
			if w.rest(); !e.off {
				t.Errorf("who left stays enabled: %+v", w.last(1))
			}
			for g, o := range w.one.entries { // the copy is nobody's
				if o.native && (o.off || w.led.Rows.Get(scoping.ObjectID{Directory: "contoso", GUID: g}) != nil) {
					t.Errorf("a copy is taken over: %+v", o)
				}
			}
			delete(w.one.entries, guid(50))
			w.touch(e, func(e *entry) { e.values[link] = []string{mine} })
			w.members[1] = true
			if w.rest(); e.off || w.told(1) != "" {
				t.Errorf("put right, it is not as before: %+v %q", e, w.told(1))
			}
		})
	}
}

// An account that is deleted is deleted on the evidence of its link, too: what cannot be taken back waits until the value is put right.
func TestNothingIsDeletedWhileItsLinkIsAnothers(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.hire(2)
	w.rest()
	e := w.one1(1)
	w.people[1].gone = true
	w.answer(w.rest().Held[0].ID, "approve")
	w.rest()
	w.people[1].gone, w.people[1].purged, w.people[1].told = false, true, true
	w.touch(e, func(e *entry) { delete(e.values, link) })
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodeLinkChanged {
		t.Errorf("%+v %q", r, w.told(1))
	}
	w.touch(e, func(e *entry) { e.values[link] = []string{provisioning.LinkValue(scoping.User, cloudID(1))} })
	if r := w.rest(); len(r.Held) != 1 || r.Held[0].Class != ledger.Deletes {
		t.Errorf("%+v", r)
	}
}

// A link that is planted on somebody whom the ledger knows, or that two show, makes nobody anew and joins nobody, whatever a person answers.
func TestAPlantedLinkOnSomebodyElsesAccountIsNoQuestion(t *testing.T) {
	for name, plant := range map[string]func(*world){
		"of another person": func(w *world) {
			w.touch(w.one1(1), func(e *entry) { e.values[link] = []string{provisioning.LinkValue(scoping.User, cloudID(2))} })
		},
		"outside the container": func(w *world) {
			w.native(50, map[string][]string{link: {provisioning.LinkValue(scoping.User, cloudID(2))}}).parent = away
			w.look()
		},
		"of two": func(w *world) {
			for n := range uint32(2) {
				w.native(50+n, map[string][]string{link: {provisioning.LinkValue(scoping.User, cloudID(2))}})
			}
		},
	} {
		w := newWorld(t, 1, "")
		w.hire(1)
		w.rest()
		plant(w)
		w.hire(2)
		n := len(w.one.entries)
		if r := w.rest(); len(r.Held) != 0 || len(w.one.entries) != n || w.told(2) != provisioning.CodePlanted && w.told(2) != provisioning.CodeDoubled {
			t.Errorf("%s: %q %+v", name, w.told(2), r)
		}
	}
}

// Whoever left is disabled where somebody moved the account to, as far as rights reach; else it is told which right is missing, for as long as it is so.
func TestALeaverWhoWasMovedAwayIsDisabledOrNamed(t *testing.T) {
	for _, may := range []bool{true, false} {
		w := newWorld(t, 1, "")
		w.hire(1)
		w.hire(2)
		w.hire(3)
		w.disablesFirst(2)
		w.mayEverywhere = may
		e := w.one1(1)
		w.touch(e, func(e *entry) { e.parent = away })
		if w.rest(); w.told(1) != provisioning.CodeMovedAway || e.off {
			t.Fatalf("that it was moved is not told: %q", w.told(1))
		}
		w.people[1].dept = "b"
		if w.rest(); e.values["department"][0] != "a" {
			t.Error("what lies outside the container is written")
		}
		w.members[1] = false
		w.rest()
		if e.off != may || may && w.told(1) != "" || !may && w.told(1) != gate.Code(provision.NoRights) {
			t.Errorf("may %t: %+v, told %q", may, e, w.told(1))
		}
	}
}

// A contract that ends disables an account that was moved away, too.
func TestAContractThatEndsDisablesWhoeverWasMovedAway(t *testing.T) {
	w := newWorld(t, 1, "")
	p := w.hire(1)
	w.rest()
	w.mayEverywhere = true
	w.touch(w.one1(1), func(e *entry) { e.parent = away; delete(e.values, link) })
	p.enabled = false
	r := w.rest()
	if len(r.Held) != 1 {
		t.Fatalf("%+v", r)
	}
	w.answer(r.Held[0].ID, "approve")
	w.rest()
	for _, e := range w.one.entries {
		if !e.off {
			t.Errorf("%+v", e)
		}
	}
}

// A link planted on an account that is never written is no question: no answer would have an effect.
func TestAPlantedLinkOnAProtectedAccountIsNoQuestion(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	e := w.native(50, map[string][]string{link: {provisioning.LinkValue(scoping.User, cloudID(1))}})
	e.protected = "an administrator's account"
	if r := w.rest(); len(r.Held) != 0 || w.told(1) != provisioning.CodePlanted || len(w.accountsOf(1)) != 1 {
		t.Errorf("%+v %q", r, w.told(1))
	}
	w.touch(e, func(e *entry) { delete(e.values, link) })
	if w.rest(); w.one1(1) == e {
		t.Error("a protected account is written")
	}
}
