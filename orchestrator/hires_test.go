package orchestrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
)

// hires is how many people the story hires.
const hires = 300

// season is a year of HR's: people are hired, change, leave and come back.
type season struct {
	*hr
	ids    []string
	people int // of the tenant
}

func (s *season) manager(n, boss int) {
	s.must(s.model.SetManager(tenant.User, s.ids[n], s.graph.GraphEndpoint()+"/v1.0/users/"+s.ids[boss]))
}

// wants lets both engines run and compares what cloudsync did.
func (s *season) wants(what string, is func(run.Report) int, n int) run.Report {
	s.t.Helper()
	r := s.sync()
	if got := is(r); got != n || r.Failed+r.Deferred > 0 || !r.Complete {
		s.t.Errorf("%s: %d, want %d: %+v", what, got, n, r)
	}
	return r
}

func creates(r run.Report) int { return r.Creates }
func updates(r run.Report) int { return r.Updates }
func held(r run.Report) int    { return r.Held }

// rests is that everything is as it was agreed: nothing is written again, and nobody came into the tenant from the directory.
func (s *season) rests(what string) {
	s.t.Helper()
	if r := s.wants(what+", again", updates, 0); r.Applied != 0 {
		s.t.Errorf("%s, again: %+v", what, r)
	}
	if s.count() != s.people {
		s.t.Errorf("%s: %d people of the tenant became %d", what, s.people, s.count())
	}
}

// approve answers the only open set of a class, which has so many entries.
func (s *season) approve(class ledger.Class, entries int) {
	s.t.Helper()
	for _, h := range s.tandem.Host().Held() {
		if h.State == ledger.HoldOpen && h.Class == class {
			if len(h.Entries) != entries {
				s.t.Errorf("%d are held as %s: %+v", len(h.Entries), class, h)
			}
			if _, err := s.tandem.Host().Answer(s.t.Context(), h.ID, "approve", "ann", "it is so"); err != nil {
				s.t.Fatal(err)
			}
			return
		}
	}
	s.t.Fatalf("nothing is held as %s: %+v", class, s.tandem.Host().Held())
}

// Three hundred people are hired, each with a manager who may be hired after them, and a few who share their names; one is there already. They change, leave, are purged, and one is hired again.
// At any time each has one account.
func TestHundredsAreHiredChangeLeaveAndComeBack(t *testing.T) {
	sites(t, func(t *testing.T, at site) {
		s := &season{hr: newHR(t, at)}
		s.open()
		s.importText(fmt.Sprintf(hiresPolicy, at.base, at.base))
		s.sync() // nobody is hired yet, and the directory is known
		s.hireAll()
		s.arrive()
		s.rests("everybody is hired")
		s.change()
		s.leave()
		s.comeBack()
		s.rests("in the end")
		if n := len(s.accounts()); n != hires {
			t.Errorf("%d accounts of %d people", n, hires)
		}
	})
}

// hireAll makes the people in the tenant, but for the manager of the first. Somebody has the account name that the fourth would get, and the fifth is in the directory.
func (s *season) hireAll() {
	s.add("CN=Zoe Native,CN=Users,"+s.site.base, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"Hire.Number3"}, "displayName": {"Zoe Native"}})
	s.add("CN=Otto Native,OU=New Hires,"+s.site.base, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"otto"}, "employeeID": {"7004"}})
	s.ids = make([]string, hires)
	for n := range hires - 1 {
		name := fmt.Sprintf("Number%d", n%(hires-10)) // some share their names
		s.ids[n] = s.hire(n, map[string]any{"surname": name, "displayName": "Hire " + name})
	}
	for n := range hires - 2 {
		s.manager(n, n+1)
	}
	s.people = s.count()
}

// arrive brings them.
func (s *season) arrive() {
	s.t.Helper()
	began := time.Now()
	r := s.brings()
	s.t.Logf("%s: %d accounts in %s", s.site.name, r.Creates, time.Since(began).Round(time.Millisecond))
	if r.Creates != hires-2 || r.Held != 1 || r.Failed > 0 || !r.Complete {
		s.t.Fatalf("%+v", r)
	}
	s.approve(ledger.Adoptions, 1)
	s.ids[hires-1] = s.hire(hires-1, nil) // who is the manager of somebody who is there
	s.manager(hires-2, hires-1)
	s.people = s.count() + 1 // Zoe comes from the directory
	s.wants("the last one is hired", creates, 1)
	accounts := s.accounts()
	names := map[string]bool{}
	for n, id := range s.ids {
		a := accounts["User_"+id]
		if a == nil {
			s.t.Fatalf("%d has no account", n)
		}
		for _, attribute := range []string{"sAMAccountName", "userPrincipalName", "cn"} {
			key := attribute + strings.ToLower(a.GetAttributeValue(attribute))
			if names[key] {
				s.t.Errorf("two have %s %q", attribute, a.GetAttributeValue(attribute))
			}
			names[key] = true
		}
		if m := a.GetAttributeValue("manager"); n < hires-1 && !strings.EqualFold(m, accounts["User_"+s.ids[n+1]].DN) {
			s.t.Errorf("the manager of %d is %q", n, m)
		}
		if was := n == 4; s.isEnabled(a) == was { // who was there had no password, and stays as it is
			s.t.Errorf("%d is enabled: %t", n, !was)
		}
	}
	if sam := accounts["User_"+s.ids[3]].GetAttributeValue("sAMAccountName"); sam != "H.Number3" && sam != "Hi.Number3" { // somebody shares it
		s.t.Errorf("in place of a taken name %q was given", sam)
	}
	if sam := accounts["User_"+s.ids[4]].GetAttributeValue("sAMAccountName"); sam != "otto" {
		s.t.Errorf("who was there is %q", sam)
	}
}

func (s *season) isEnabled(e *ldap.Entry) bool {
	return !slices.Contains(disabledWords, e.GetAttributeValue("userAccountControl"))
}

var disabledWords = []string{"514", "546"} // with and without a password that is needed

// change moves twenty to another department.
func (s *season) change() {
	s.t.Helper()
	for n := 10; n < 30; n++ {
		s.must(s.model.UpdateUser(s.ids[n], map[string]any{"department": "Sales"}))
	}
	s.wants("twenty change", updates, 20)
	for _, n := range []int{10, 29} {
		if d := s.account(s.ids[n]).GetAttributeValue("department"); d != "Sales" {
			s.t.Errorf("%d is in department %q", n, d)
		}
	}
}

// leave ends contracts: HR disables one, takes another out of the group, and a third is deleted and purged.
func (s *season) leave() {
	s.t.Helper()
	ended, left, purged := s.ids[40], s.ids[41], s.ids[42]
	s.must(s.model.UpdateUser(ended, map[string]any{"accountEnabled": false}))
	s.wants("the first contract ends", held, 1)
	if !s.enabled(ended) {
		s.t.Error("whose contract ended is disabled without a person's word, as the first one")
	}
	s.approve(ledger.Destructive, 1)
	s.must(s.model.RemoveMember(s.group, left))
	s.wants("one leaves", updates, 1)
	if s.enabled(ended) || s.enabled(left) {
		s.t.Error("whose contract ended, or who left, is enabled")
	}
	s.must(s.model.Delete(tenant.User, purged))
	s.wants("one is deleted in the tenant", updates, 1)
	s.must(s.model.Purge(purged))
	s.people--
	if r := s.sync(); r.Held != 0 || !slices.ContainsFunc(r.Errors, func(p run.Problem) bool { return p.Code == "purging" }) {
		s.t.Errorf("one is purged, as the tenant says: %+v", r)
	}
	s.clock.jump(3 * time.Minute) // the tenant's delay
	s.wants("one is purged", held, 1)
	if s.enabled(purged) {
		s.t.Error("who was purged is enabled")
	}
}

// comeBack hires who left again, as another object of the tenant.
func (s *season) comeBack() {
	s.t.Helper()
	left := s.ids[41]
	again := s.hire(41+hires, map[string]any{"employeeId": "7041", "displayName": "Hire Number41", "surname": "Number41"})
	s.people++
	s.wants("somebody is hired again", held, 2) // and who was purged
	s.approve(ledger.Adoptions, 1)
	accounts := s.accounts()
	if a := accounts["User_"+again]; a == nil || accounts["User_"+left] != nil || !s.isEnabled(a) {
		s.t.Errorf("who was hired again: %v", a)
	}
	s.ids[41] = again
}
