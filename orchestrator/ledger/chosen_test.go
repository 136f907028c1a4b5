package ledger_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

var pilots, others = guid(50), guid(51) // choices

// place tells where ann is and what takes her now, by her owner.
func place(owner string, n uint64, chosen ...scoping.GUID) ledger.Record {
	return ledger.Record{Type: ledger.PlaceType, Engine: owner, Object: &ann, Kind: scoping.User, Feature: scoping.Users, Epoch: epoch(n),
		Claim: &ledger.Claim{Place: sales, Chain: []scoping.GUID{sales, root}, Chosen: chosen}}
}

// narrowed is a transfer of those whom some choices take and others do not.
func narrowed(n uint64, from, to string, with, without []scoping.GUID) ledger.Record {
	r := transfer(n, from, to, scoping.Users)
	r.Transfer.Scope.With, r.Transfer.Scope.Without = with, without
	return r
}

// Rule L1: a transfer of chosen objects finds them by what the ledger heard last of what takes them.
func TestTransfersFindChosenObjects(t *testing.T) {
	p, o := []scoping.GUID{pilots}, []scoping.GUID{others}
	for name, x := range map[string]struct {
		records []ledger.Record
		owner   string
	}{
		"not chosen":                      {[]ledger.Record{narrowed(6, "connect", "cloudsync", p, nil)}, "connect"},
		"chosen":                          {[]ledger.Record{place("connect", 5, pilots), narrowed(6, "connect", "cloudsync", p, nil)}, "cloudsync"},
		"chosen, and back":                {[]ledger.Record{place("connect", 5, pilots), narrowed(6, "connect", "cloudsync", p, nil), narrowed(7, "cloudsync", "connect", p, nil)}, "connect"},
		"chosen by another as well":       {[]ledger.Record{place("connect", 5, pilots, others), narrowed(6, "connect", "cloudsync", p, o)}, "connect"},
		"the rest":                        {[]ledger.Record{narrowed(6, "connect", "cloudsync", nil, p)}, "cloudsync"},
		"not of the rest":                 {[]ledger.Record{place("connect", 5, pilots), narrowed(6, "connect", "cloudsync", nil, p)}, "connect"},
		"told too late":                   {[]ledger.Record{narrowed(6, "connect", "cloudsync", p, nil), place("connect", 6, pilots)}, "connect"},
		"told by whom the transfer names": {[]ledger.Record{place("connect", 5, pilots), narrowed(6, "connect", "cloudsync", p, nil), place("cloudsync", 6, others)}, "cloudsync"},
		"an older record keeps the epoch": {[]ledger.Record{place("connect", 3, pilots), narrowed(4, "connect", "cloudsync", p, nil)}, "connect"},
	} {
		s := fold(t, append(created(), x.records...)...)
		if o, known := s.OwnerOfRecord(ann, scoping.Users); o != x.owner || !known {
			t.Errorf("%s: %s, %v", name, o, known)
		}
	}
}

// A place is told of what is linked; of anybody else there is nothing to remember, and without a place nothing is told.
func TestPlacesAreToldOfLinkedObjects(t *testing.T) {
	s := fold(t, place("connect", 5, pilots))
	if s.Rows.Len() != 0 {
		t.Errorf("a place made a row: %+v", s.Rows)
	}
	bad := place("connect", 5)
	bad.Claim = nil
	if err := s.Fold(2, bad); err == nil {
		t.Error("a record without a place was taken in")
	}
}

// Rule T3: the approval of a change of owner is of one change. When it happened, the next is weighed anew.
func TestApprovalsOfOwnerChangesAreUsedUp(t *testing.T) {
	chosen := ledger.Grave{Op: "chosen", Detail: pilots.String()}
	set := func() *ledger.Hold {
		h := &ledger.Hold{Class: ledger.OwnerChanges, State: ledger.HoldOpen, Assignment: "pilot", Entries: []ledger.HeldEntry{{Object: ann, Feature: scoping.Users, Grave: chosen},
			{Object: bob, Feature: scoping.Users, Grave: chosen}}}
		h.Name()
		return h
	}
	held := set()
	answer := func(verb string) ledger.Record {
		return ledger.Record{Type: ledger.AnswerType, Op: verb, Answer: &ledger.Answer{Hold: held.ID, Verb: verb}}
	}
	hold := ledger.Record{Type: ledger.HoldType, Hold: set()}
	transit := ledger.Record{Type: ledger.TransitType, Engine: "connect", Object: &ann, Kind: scoping.User, Feature: scoping.Users, Transit: &ledger.Transit{From: "connect", To: "cloudsync"}}
	said := func(s *ledger.State, o scoping.ObjectID) ledger.HoldState {
		st, _ := s.Answered(ledger.Question{Object: o, Feature: scoping.Users, Grave: chosen}, 0)
		return st
	}
	s := fold(t, append(created(), hold, answer("approve"))...)
	if said(s, ann) != ledger.HoldApproved || said(s, bob) != ledger.HoldApproved {
		t.Fatal("the approval is not known")
	}
	s = fold(t, append(created(), hold, answer("approve"), transit)...)
	if said(s, ann) != ledger.HoldOpen || said(s, bob) != ledger.HoldApproved {
		t.Errorf("after ann went over: %s, %s", said(s, ann), said(s, bob))
	}
	s = fold(t, append(created(), hold, answer("approve"), transit, ledger.Record{Type: ledger.HoldType, Hold: set()})...)
	if h := s.Holds[held.ID]; h == nil || h.State != ledger.HoldOpen {
		t.Errorf("the same set, held again: %+v", h)
	}
	s = fold(t, append(created(), hold, answer("reject"), ledger.Record{Type: ledger.HoldType, Hold: set()})...)
	if said(s, ann) != ledger.HoldRejected {
		t.Error("a rejection did not outlive the same set")
	}
	s = fold(t, append(created(), hold, answer("reject"), answer("forget"))...)
	if said(s, ann) != ledger.HoldOpen || len(s.Holds) != 0 {
		t.Error("what was forgotten is remembered")
	}
}

// A claim says what takes the object: transfers of chosen objects go by it.
func TestClaimsSayWhatTakesTheObject(t *testing.T) {
	c := claim()
	c.Chosen = []scoping.GUID{pilots}
	s := fold(t, intent("i1", ann, cloud.Create, c), settle("i1", cloud.Done, "c-ann"), narrowed(6, "connect", "cloudsync", []scoping.GUID{pilots}, nil))
	if o, _ := s.OwnerOfRecord(ann, scoping.Users); o != "cloudsync" {
		t.Errorf("owner of record: %s", o)
	}
}
