package provisioning_test

import (
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// A name that a person has is not taken as a name if the policy looks for persons by it: whoever has it may be who is brought.
func TestATakenNameTakesTheNextAndATakenPersonNever(t *testing.T) {
	const account, upn, mail = scoping.MatchAccount, scoping.MatchUPN, scoping.MatchMail
	for name, x := range map[string]struct {
		match []string
		there []entry
		joins int    // which of them the question is about; 0: an account is made
		gets  string // its account name then
	}{
		"a name, by number":                 {nil, []entry{{values: map[string][]string{account: {"p1"}}}}, 0, "p12"},
		"an account name":                   {[]string{account}, []entry{{values: map[string][]string{account: {"p1"}}}}, 1, ""},
		"an account name, after a number":   {[]string{scoping.MatchEmployee, account}, []entry{{values: map[string][]string{account: {"P1"}, scoping.MatchEmployee: {"9"}}}}, 1, ""},
		"an address":                        {[]string{mail}, []entry{{values: map[string][]string{mail: {"BOX"}}}}, 1, ""},
		"a sign-in name":                    {[]string{upn}, []entry{{values: map[string][]string{upn: {"p1@contoso.test"}}}}, 1, ""},
		"a sign-in name without the value":  {[]string{upn}, []entry{{values: map[string][]string{account: {"p1"}}}}, 1, ""},
		"the account name of somebody else": {[]string{upn}, []entry{{values: map[string][]string{account: {"p1"}, upn: {"jo@contoso.test"}}}}, 0, "p12"},
		"a group":                           {[]string{account}, []entry{{class: "group", values: map[string][]string{account: {"p1"}}}}, 0, "p12"},
		"a contact":                         {[]string{mail}, []entry{{class: "contact", values: map[string][]string{mail: {"box"}}}}, 0, "p1"},
		"a later name, the first is free":   {[]string{account}, []entry{{values: map[string][]string{account: {"p12"}}}}, 0, "p1"},
		"a later name, the first is taken": {[]string{account}, []entry{{values: map[string][]string{account: {"jo"}, upn: {"p1@contoso.test"}}},
			{values: map[string][]string{account: {"p12"}}}}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, "")
			w.match, w.upn = x.match, len(x.match) == 1 && x.match[0] == upn
			w.open()
			for i, e := range x.there {
				n := w.native(uint32(50+i), e.values)
				n.class = e.class
			}
			w.hire(1)
			r := w.rest()
			if x.joins == 0 {
				if len(r.Held) != 0 || w.one1(1).values[account][0] != x.gets {
					t.Errorf("%+v, told %q", w.one1(1).values, w.told(1))
				}
				return
			}
			if len(r.Held) != 1 || r.Held[0].Class != ledger.Adoptions || w.told(1) != provisioning.CodeJoin || len(w.accountsOf(1)) != 0 {
				t.Fatalf("%+v, told %q", r, w.told(1))
			}
			w.answer(r.Held[0].ID, "approve")
			if w.rest(); w.one1(1).guid != guid(uint32(49+x.joins)) {
				t.Errorf("%+v", w.one1(1))
			}
		})
	}
}

// The other order: the name was free when it was chosen, and the person is there when the account is made.
func TestAPersonWhoComesAfterTheNameWasChosenIsAskedAbout(t *testing.T) {
	w := newWorld(t, 1, "")
	w.match = []string{scoping.MatchAccount}
	w.open()
	w.hire(1)
	w.loses = func() fault {
		w.loses = func() fault { return none }
		w.one.entries[guid(50)] = &entry{guid: guid(50), cn: "Native", parent: hires, native: true, values: map[string][]string{scoping.MatchAccount: {"p1"}}}
		return none
	}
	w.rest() // the census sees where it is in the next one
	if r := w.rest(); len(r.Held) != 1 || w.told(1) != provisioning.CodeJoin || len(w.accountsOf(1)) != 0 {
		t.Errorf("%+v, told %q", r, w.told(1))
	}
}

// Of two users hired at once that the policy cannot tell apart, the second does not get the next candidate.
func TestTwoWhoAreThePersonByTheirNameGetOneAccount(t *testing.T) {
	w := newWorld(t, 1, "")
	w.match = []string{scoping.MatchAccount}
	w.open()
	w.hire(1)
	w.hire(2).name = "p1"
	w.rest()
	if n := len(w.accountsOf(1)) + len(w.accountsOf(2)); n != 1 {
		t.Errorf("%d accounts; told %q and %q", n, w.told(1), w.told(2))
	}
	if a, b := w.told(1), w.told(2); a != provisioning.CodeLinked && b != provisioning.CodeLinked {
		t.Errorf("told %q and %q", a, b)
	}
}

// A policy that looks for persons by what its engine does not write would find none, and make everybody twice.
func TestNobodyIsMadeWhereNobodyCouldBeFound(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.rest()
	w.match = []string{scoping.MatchEmployee, scoping.MatchUPN}
	w.open()
	w.hire(2)
	w.people[1].dept = "b"
	if w.rest(); len(w.accountsOf(2)) != 0 || w.told(2) != provisioning.CodeUnmatched || w.one1(1).values["department"][0] != "b" {
		t.Errorf("told %q", w.told(2))
	}
	w.upn = true
	w.open()
	if w.rest(); len(w.accountsOf(2)) != 1 {
		t.Errorf("told %q", w.told(2))
	}
}

// A controller may refuse a name without showing which object has it, such as one of another domain: the write is not tried again in each run.
func TestANameThatIsTakenUnseenIsNotTriedInEachRun(t *testing.T) {
	w := newWorld(t, 1, "")
	w.hire(1)
	w.refuses = provision.TakenName
	w.rest()
	n := len(w.log)
	if r := w.rest(); len(w.log) != n || string(w.told(1)) != string(provision.TakenName) {
		t.Errorf("%d records, told %q: %+v", len(w.log)-n, w.told(1), r)
	}
	w.refuses = ""
	w.now = w.now.Add(2 * time.Hour)
	if w.rest(); len(w.accountsOf(1)) != 1 {
		t.Error("it is not tried again")
	}
}
