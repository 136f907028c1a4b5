package ledger_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var deletion = ledger.Grave{Op: "delete"}

// disabling is the grave part of an update that disables ann's account.
func disabling() ledger.Grave {
	return ledger.Grave{Op: "update", Target: "c-ann", Changes: []ledger.Change{{Attribute: "accountEnabled", Old: []string{"true"}, New: []string{"false"}}}}
}

// setOf is a record of connect's held set at epoch 5, of objects in sales.
func setOf(gs map[scoping.ObjectID]ledger.Grave) ledger.Record {
	h := ledger.Hold{Engine: "connect", Assignment: "a", Class: ledger.Destructive, Kind: scoping.User, State: ledger.HoldOpen, Epoch: epoch(5)}
	for o, g := range gs {
		h.Entries = append(h.Entries, ledger.HeldEntry{Object: o, Kind: scoping.User, Feature: scoping.Users, Grave: g, Chain: []scoping.GUID{sales, root}})
	}
	h.Name()
	return ledger.Record{Type: ledger.HoldType, At: 1000, Hold: &h}
}

func answerAt(h ledger.Record, verb string, at int64) ledger.Record {
	r := answer(h, verb)
	r.At = at
	return r
}

// asks is connect's question about ann's account, in a region that changed hands at epoch 5.
func asks(g ledger.Grave) ledger.Question {
	return ledger.Question{Engine: "connect", Object: ann, Feature: scoping.Users, Grave: g, Since: epoch(5)}
}

// Standing S9: an answer is of one engine, one epoch and exactly one grave part.
func TestAnswersAreBound(t *testing.T) {
	set := setOf(map[scoping.ObjectID]ledger.Grave{ann: disabling(), bob: deletion})
	for verb, want := range map[string]ledger.HoldState{"approve": ledger.HoldApproved, "reject": ledger.HoldRejected, "forget": ledger.HoldOpen} {
		s := fold(t, set, answerAt(set, verb, 1000))
		if got, _ := s.Answered(asks(disabling()), 1001); got != want {
			t.Errorf("%s: %s", verb, got)
		}
		if len(s.UnsettledKeys()) != 2 {
			t.Errorf("%s: dirty %v, want both to be asked for again", verb, s.UnsettledKeys())
		}
		for name, change := range map[string]func(*ledger.Question){
			"another object":                     func(q *ledger.Question) { q.Object = object(99) },
			"another feature":                    func(q *ledger.Question) { q.Feature = scoping.References },
			"another engine":                     func(q *ledger.Question) { q.Engine = "cloudsync" },
			"after the region changed hands":     func(q *ledger.Question) { q.Since = epoch(6) },
			"another operation":                  func(q *ledger.Question) { q.Grave.Op = "delete" },
			"another account":                    func(q *ledger.Question) { q.Grave.Target = "c-2" },
			"another attribute":                  func(q *ledger.Question) { q.Grave.Changes[0].Attribute = "mail" },
			"another value now":                  func(q *ledger.Question) { q.Grave.Changes[0].Old = nil },
			"another value then":                 func(q *ledger.Question) { q.Grave.Changes[0].New = []string{"x"} },
			"another attribute as well":          func(q *ledger.Question) { q.Grave.Changes = append(q.Grave.Changes, ledger.Change{Attribute: "mail"}) },
			"another reason":                     func(q *ledger.Question) { q.Grave.Detail = "leaving" },
			"the other end of another reference": func(q *ledger.Question) { q.Grave.End = "c-bob" },
		} {
			q := asks(disabling())
			change(&q)
			if got, _ := s.Answered(q, 1001); got != ledger.HoldOpen {
				t.Errorf("%s, %s: %s", verb, name, got)
			}
		}
	}
}

// Of two answers about one write the later counts, whichever it is.
func TestTheLaterAnswerCounts(t *testing.T) {
	both, one := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion, bob: deletion}), setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion})
	for verb, want := range map[string]ledger.HoldState{"approve": ledger.HoldApproved, "reject": ledger.HoldRejected} {
		first := map[string]string{"approve": "reject", "reject": "approve"}[verb]
		s := fold(t, both, answerAt(both, first, 1000), one, answerAt(one, verb, 1000))
		if got, _ := s.Answered(asks(deletion), 1001); got != want {
			t.Errorf("%s after %s: %s", verb, first, got)
		}
	}
}

// Standing S9: an approval that is not used within 24 h lifts nothing any more, nor does one that the clock makes younger than it can be.
func TestApprovalsExpire(t *testing.T) {
	set := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion})
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	s := fold(t, set, answerAt(set, "approve", at.UnixMilli()))
	for later, want := range map[time.Duration]ledger.HoldState{0: ledger.HoldApproved, 24*time.Hour - time.Second: ledger.HoldApproved, 24 * time.Hour: ledger.HoldOpen,
		-time.Minute: ledger.HoldApproved, -time.Hour: ledger.HoldOpen} {
		if got, _ := s.Answered(asks(deletion), at.Add(later).UnixMilli()); got != want {
			t.Errorf("%s later: %s, want %s", later, got, want)
		}
	}
	day := at.Add(24 * time.Hour).UnixMilli()
	if got := s.Holds[set.Hold.ID].Now(day); got != ledger.HoldExpired {
		t.Errorf("a day later the set is %s", got)
	}
	again := set
	again.At = day
	if s = fold(t, set, answerAt(set, "approve", at.UnixMilli()), again); s.Holds[set.Hold.ID].State != ledger.HoldOpen {
		t.Error("the same writes, held again after their approval expired, are no open set")
	}
	s = fold(t, set, answerAt(set, "reject", at.UnixMilli()))
	if got, _ := s.Answered(asks(deletion), at.AddDate(1, 0, 0).UnixMilli()); got != ledger.HoldRejected {
		t.Errorf("a rejection is %s after a year", got)
	}
}

// done are the records of a write of ann's account that uses up an approval of g.
func done(g ledger.Grave, approved bool) []ledger.Record {
	in := intent("i2", ann, cloud.Update, ledger.Claim{})
	in.Intent.Class, in.Intent.Grave, in.Intent.Approved = ledger.Destructive, g.Digest(), approved
	return []ledger.Record{in, settle("i2", cloud.Done, "")}
}

// Standing S9, rule D2: an approval is used up by the write it is of, and that write does not count against others.
func TestApprovalsAreSpent(t *testing.T) {
	set := setOf(map[scoping.ObjectID]ledger.Grave{ann: disabling(), bob: deletion})
	approved := append(created(), set, answerAt(set, "approve", 1000))
	s := fold(t, append(approved, done(disabling(), true)...)...)
	if got, _ := s.Answered(asks(disabling()), 1001); got != ledger.HoldOpen || s.Holds[set.Hold.ID].Now(1001) != ledger.HoldApproved {
		t.Errorf("after the write: %s, the set is %s", got, s.Holds[set.Hold.ID].Now(1001))
	}
	if len(s.History) != 0 {
		t.Errorf("an approved write counts: %+v", s.History)
	}
	if s = fold(t, append(approved, done(disabling(), false)...)...); len(s.History) != 1 {
		t.Errorf("a write that nobody approved does not count: %+v", s.History)
	}
	if s = fold(t, append(approved, done(deletion, true)...)...); s != nil {
		if got, _ := s.Answered(asks(disabling()), 1001); got != ledger.HoldApproved {
			t.Errorf("another write of the object used it up: %s", got)
		}
	}
	s = fold(t, append(approved, decision(engine.Unchanged, true, false))...)
	if got, _ := s.Answered(asks(disabling()), 1001); got != ledger.HoldOpen {
		t.Errorf("it settled without a write: %s", got)
	}
	one := setOf(map[scoping.ObjectID]ledger.Grave{ann: disabling()})
	s = fold(t, append(append(created(), one, answerAt(one, "approve", 1000)), done(disabling(), true)...)...)
	if got := s.Holds[one.Hold.ID].Now(1001); got != ledger.HoldDone {
		t.Errorf("all of it is written, and it is %s", got)
	}
}

// Rule P7: at a transfer, the giver's sets are void for what lies in the scope, and only there.
func TestTransfersVoidWhatIsHeld(t *testing.T) {
	set := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion, bob: deletion})
	for i := range set.Hold.Entries {
		if set.Hold.Entries[i].Object == bob {
			set.Hold.Entries[i].Chain = []scoping.GUID{guid(3), root}
		}
	}
	cut := transfer(6, "connect", "cloudsync", scoping.Users)
	said := func(s *ledger.State, o scoping.ObjectID) ledger.HoldState {
		q := asks(deletion)
		q.Object = o
		got, _ := s.Answered(q, 1001)
		return got
	}
	s := fold(t, set, answerAt(set, "approve", 1000), cut)
	if said(s, ann) != ledger.HoldOpen || said(s, bob) != ledger.HoldApproved || s.Holds[set.Hold.ID].Voided != 1 {
		t.Errorf("approved: ann %s, bob %s, %+v", said(s, ann), said(s, bob), s.Holds[set.Hold.ID])
	}
	s = fold(t, set, answerAt(set, "reject", 1000), decision(engine.Refused, true, false), cut)
	if _, owed := s.Unsettled[ann][scoping.Users]; said(s, ann) != ledger.HoldOpen || !owed || said(s, bob) != ledger.HoldRejected {
		t.Errorf("rejected: ann %s, owed %v, bob %s", said(s, ann), owed, said(s, bob))
	}
	s = fold(t, set, cut)
	if hs := s.SortedHolds(); len(hs) != 1 || len(hs[0].Entries) != 1 || hs[0].ID == set.Hold.ID || !cmp.Equal(hs[0].Was, []string{set.Hold.ID}) || s.DeleteHeld(ann) || !s.DeleteHeld(bob) {
		t.Errorf("open: %+v", hs)
	}
	whole := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion})
	s = fold(t, whole, cut)
	if h := s.Holds[whole.Hold.ID]; h == nil || h.State != ledger.HoldVoid || s.DeleteHeld(ann) {
		t.Errorf("all of it: %+v", h)
	}
	for name, r := range map[string]ledger.Record{"another engine's": transfer(6, "cloudsync", "connect", scoping.Users), "of groups": transfer(6, "connect", "cloudsync", scoping.Groups)} {
		if s := fold(t, set, answerAt(set, "approve", 1000), r); said(s, ann) != ledger.HoldApproved {
			t.Errorf("a transfer, %s: %s", name, said(s, ann))
		}
	}
}

// Standing S9: an answer is about what the person was shown. A membership did not wait while its group was deleted; the group came back after the answer,
// and its removal went out as approved.
func TestAnAnswerIsAboutWhatWasShown(t *testing.T) {
	one, both := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion}), setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion, bob: deletion})
	rest := setOf(map[scoping.ObjectID]ledger.Grave{bob: deletion})
	for verb, want := range map[string]ledger.HoldState{"approve": ledger.HoldApproved, "reject": ledger.HoldRejected} {
		r := answerAt(both, verb, 1000)
		r.Answer.Unseen = []ledger.HeldKey{rest.Hold.Entries[0].Key()}
		s := fold(t, both, r)
		unseen := asks(deletion)
		unseen.Object = bob
		if got, id := s.Answered(asks(deletion), 1001); got != want || id != one.Hold.ID {
			t.Errorf("%s: what was shown is %s in %s, want %s in %s", verb, got, id, want, one.Hold.ID)
		}
		if got, id := s.Answered(unseen, 1001); got != ledger.HoldOpen {
			t.Errorf("%s: what was not shown is %s in %s", verb, got, id)
		}
		open, answered := s.Holds[rest.Hold.ID], s.Holds[one.Hold.ID]
		if len(s.Holds) != 2 || open == nil || open.State != ledger.HoldOpen || open.By != "" || !s.DeleteHeld(bob) || answered == nil || !cmp.Equal(answered.Was, []string{both.Hold.ID}) {
			t.Errorf("%s: %+v", verb, s.SortedHolds())
		}
		if _, owed := s.Unsettled[bob][scoping.Users]; owed {
			t.Errorf("%s: what was not shown is asked for again", verb)
		}
		if s = fold(t, both, r, rest); len(s.Holds) != 2 || s.Holds[rest.Hold.ID].State != ledger.HoldOpen {
			t.Errorf("%s, and the rest waits again: %+v", verb, s.SortedHolds())
		}
	}
}

// Rule D2: a set that writes joined or left has another name, and says which names it had.
func TestSetsRememberTheirNames(t *testing.T) {
	one, two := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion}), setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion, bob: deletion})
	s := fold(t, one, two, one)
	if h := s.Holds[one.Hold.ID]; len(s.Holds) != 1 || h == nil || !cmp.Equal(h.Was, []string{one.Hold.ID, two.Hold.ID}) {
		t.Errorf("%+v", s.SortedHolds())
	}
}

// Sets that are over are forgotten after a month; what was rejected is not.
func TestOldSetsAreForgotten(t *testing.T) {
	set, other := setOf(map[scoping.ObjectID]ledger.Grave{ann: deletion}), hold(2)
	for verb, left := range map[string]int{"approve": 1, "reject": 2} {
		other.At = 1000 + (31 * 24 * time.Hour).Milliseconds()
		if s := fold(t, set, answerAt(set, verb, 1000), other); len(s.Holds) != left {
			t.Errorf("%s: %d sets, want %d", verb, len(s.Holds), left)
		}
	}
}
