package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/scoping"
)

const hiresPolicy = `version: 1
features: [users, groups, user-provisioning]
assignments:
  - {name: everything, under: %q, engine: connect, features: [users, groups]}
  - name: new hires
    under: "OU=New Hires,%s"
    from: {groups: ["Hired by HR"]}
    link: adminDescription
    engine: cloudsync
    features: [user-provisioning]
`

// hr is a world in which people are hired in the tenant.
type hr struct {
	*world
	group string
	sid   []byte // of the account that writes
}

// grant gives the account just what the documents name.
func (w *hr) grant(ou string) {
	w.t.Helper()
	for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link("adminDescription")} {
		w.must(delegation.Grant(w.conn, "OU="+ou+","+w.site.base, w.sid, slices.Collect(maps.Values(all))...))
	}
}

func newHR(t *testing.T, s site) *hr {
	w := &hr{world: emptyWorld(t, s)}
	w.add("OU=New Hires,"+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
	w.add("OU=Teams,"+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
	var err error
	_, w.sid, err = delegation.Account(w.conn, "CN=Users,"+s.base, "svc-prov", "Provisioning-Passw0rd!")
	w.must(err)
	w.grant("New Hires")
	w.grant("Teams")
	w.file("provision-password", "Provisioning-Passw0rd!\n")
	w.more = fmt.Sprintf("    provision: {user: svc-prov@%s, passwordFile: ./provision-password, under: [\"OU=New Hires,%[2]s\", \"OU=Teams,%[2]s\"]}\n", s.domain, s.base)
	w.extra = "      provisioning: {users: {base: hr}}\n"
	w.write()
	g, err := w.model.CreateGroup(map[string]any{"displayName": "Hired by HR", "mailNickname": "hired", "mailEnabled": false, "securityEnabled": true})
	w.must(err)
	w.group = g.ID
	return w
}

// hire makes somebody in the tenant, a member of the group.
func (w *hr) hire(n int, more map[string]any) string {
	w.t.Helper()
	body := map[string]any{"userPrincipalName": fmt.Sprintf("hire%d@%s", n, w.site.domain), "displayName": fmt.Sprintf("Hire Number%d", n), "givenName": "Hire", "surname": fmt.Sprintf("Number%d", n),
		"mailNickname": fmt.Sprintf("hire%d", n), "accountEnabled": true, "employeeId": strconv.Itoa(7000 + n), "department": "Research",
		"passwordProfile": map[string]any{"password": "Some-Passw0rd-" + strconv.Itoa(n)}}
	for k, v := range more {
		body[k] = v
	}
	u, err := w.model.CreateUser(body)
	w.must(err)
	w.must(w.model.AddMember(w.group, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+u.ID))
	return u.ID
}

// accounts are the users below the container, by link.
func (w *hr) accounts() map[string]*ldap.Entry {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest("OU=New Hires,"+w.site.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=user)",
		[]string{"cn", "sAMAccountName", "userPrincipalName", "displayName", "department", "employeeID", "userAccountControl", "manager", "adminDescription"}, nil))
	w.must(err)
	out := map[string]*ldap.Entry{}
	for _, e := range res.Entries {
		link := e.GetAttributeValue("adminDescription")
		if out[link] != nil {
			w.t.Errorf("two accounts with link %q", link)
		}
		out[link] = e
	}
	return out
}

func (w *hr) account(id string) *ldap.Entry {
	w.t.Helper()
	e := w.accounts()["User_"+id]
	if e == nil {
		w.t.Fatalf("no account was made of %s", id)
	}
	return e
}

func (w *hr) enabled(id string) bool {
	n, err := strconv.Atoi(w.account(id).GetAttributeValue("userAccountControl"))
	w.must(err)
	return n&2 == 0
}

// sync lets both engines run, and gives cloudsync's report.
func (w *hr) sync() run.Report {
	w.t.Helper()
	for _, e := range []string{"connect", "cloudsync"} {
		r, err := w.tandem.Host().SyncAll(w.t.Context(), e, run.SyncOptions{})
		if err != nil {
			w.t.Fatalf("%s: %v %+v", e, err, r)
		}
		if e == "cloudsync" {
			return r
		}
	}
	return run.Report{}
}

// brings lets cloudsync run alone.
func (w *hr) brings() run.Report {
	w.t.Helper()
	r, err := w.tandem.Host().SyncAll(w.t.Context(), "cloudsync", run.SyncOptions{})
	if err != nil {
		w.t.Fatalf("%v %+v", err, r)
	}
	return r
}

func (w *hr) count() (n int) {
	for _, o := range w.model.State(false).Objects {
		if !o.Deleted && o.Kind == tenant.User {
			n++
		}
	}
	return n
}

func TestAHireInTheTenantBecomesAnAccount(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.add("CN=Zoe Native,CN=Users,"+s.base, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"Hire.Number3"}, "userPrincipalName": {"hire.number3@" + s.domain}, "displayName": {"Zoe Native"}})
		boss := w.hire(1, nil)
		ann := w.hire(2, nil)
		w.must(w.model.SetManager(tenant.User, ann, w.graph.GraphEndpoint()+"/v1.0/users/"+boss))
		taken := w.hire(3, nil)
		w.open()
		w.importText(fmt.Sprintf(hiresPolicy, s.base, s.base))
		_, err := w.tandem.Host().SyncAll(t.Context(), "connect", run.SyncOptions{}) // so that the directory is known
		w.must(err)
		if js, err := w.tandem.Host().Bringing(t.Context(), "", s.base); err != nil || len(js) != 3 || js[0].Write.Op != "add" || len(w.accounts()) != 0 {
			t.Fatalf("what would be brought: %v %+v", err, js)
		}

		r := w.sync()
		if r.Creates != 3 || !r.Complete || r.Failed+r.Held+r.Refused > 0 {
			t.Fatalf("%+v", r)
		}
		if n := len(w.accounts()); n != 3 {
			t.Fatalf("%d accounts", n)
		}
		a := w.account(ann)
		if a.GetAttributeValue("department") != "Research" || a.GetAttributeValue("employeeID") != "7002" || a.GetAttributeValue("cn") != "Hire Number2" || !w.enabled(ann) {
			t.Errorf("%v", a.Attributes)
		}
		if m := a.GetAttributeValue("manager"); !strings.EqualFold(m, w.account(boss).DN) {
			t.Errorf("the manager is %q", m)
		}
		if sam := w.account(taken).GetAttributeValue("sAMAccountName"); sam != "H.Number3" {
			t.Errorf("in place of a taken name %q was given", sam)
		}

		// What is said of them says which way it goes.
		if e, err := w.tandem.Host().Explain(t.Context(), a.DN, nil); err != nil || !strings.HasPrefix(e.Way, "tenant → directory") || e.Features[0].Engine != "none" || !slices.ContainsFunc(e.Features, func(f scoping.Explanation) bool { return f.Feature == "user-provisioning" && f.Engine == "cloudsync" }) {
			t.Errorf("%v %+v", err, e)
		}

		// Somebody who is there already is found, and waits for a person; so it is said of it.
		w.add("CN=Otto Native,CN=Users,"+s.base, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"otto"}, "employeeID": {"7004"}})
		otto := w.hire(4, nil)
		r = w.brings() // before anybody brings him to the tenant
		errs := slices.DeleteFunc(w.tandem.Host().Debts(), func(d answer.Debt) bool { return !d.Key.Object.IsCloud() })
		if r.Held != 1 || len(errs) != 1 || errs[0].Name != "Hire Number4" || errs[0].Reason != "join-outside" || errs[0].Owner != "cloudsync" {
			t.Errorf("%+v %+v", errs, r)
		}
		if o, err := w.tandem.Host().Object(t.Context(), otto); err != nil || len(o.Waits) != 0 || o.Features[0].Assignment != "new hires" || len(o.Journal) == 0 {
			t.Errorf("%v %+v", err, o)
		}
		if r := w.sync(); r.Failed != 1 || !slices.ContainsFunc(r.Errors, func(p run.Problem) bool { return p.Code == "linked-elsewhere" }) {
			t.Errorf("who came to the tenant from the directory: %+v", r)
		}
		w.must(w.model.RemoveMember(w.group, otto))
		if r := w.sync(); r.Held != 0 || len(w.tandem.Host().Debts()) != 0 || len(w.tandem.Host().Held()) != 0 {
			t.Errorf("%+v %+v %+v", r, w.tandem.Host().Debts(), w.tandem.Host().Held())
		}

		// Again nothing is written, and nothing comes back into the tenant as somebody else.
		before := w.count()
		for range 2 {
			if r := w.sync(); r.Applied != 0 || r.Failed+r.Held+r.Deferred > 0 {
				t.Errorf("again: %+v", r)
			}
		}
		if w.count() != before {
			t.Errorf("%d users of the tenant became %d", before, w.count())
		}

		// A change flows; a leaver is disabled when a person says so the first time.
		w.must(w.model.UpdateUser(ann, map[string]any{"department": "Sales"}))
		if r := w.sync(); r.Updates != 1 || w.account(ann).GetAttributeValue("department") != "Sales" {
			t.Errorf("%+v", r)
		}
		w.must(w.model.RemoveMember(w.group, ann))
		r = w.sync()
		held := w.tandem.Host().Held()
		if len(held) != 1 || r.Held != 1 || !w.enabled(ann) {
			t.Fatalf("%+v %+v", held, r)
		}
		if _, err := w.tandem.Host().Answer(t.Context(), held[0].ID, "approve", "ann", "it is so"); err != nil {
			t.Fatal(err)
		}
		if w.enabled(ann) {
			t.Error("who left is enabled")
		}
		if r := w.sync(); r.Applied != 0 || len(r.Errors) > 0 {
			t.Errorf("after the leaver: %+v", r)
		}
	})
}

const bothPolicy = `version: 1
features: [users, groups, user-provisioning, group-provisioning]
assignments:
  - {name: everything, under: %q, engine: connect, features: [users, groups]}
  - {name: new hires, under: "OU=New Hires,%[1]s", from: {groups: ["Hired by HR"]}, link: adminDescription, engine: cloudsync, features: [user-provisioning]}
  - {name: teams, under: "OU=Teams,%[1]s", from: {groups: [Research]}, link: adminDescription, engine: cloudsync, features: [group-provisioning]}
`

// group reads the members of the only group below the container of teams, by common name.
func (w *hr) team() []string {
	w.t.Helper()
	res, err := w.conn.Search(ldap.NewSearchRequest("OU=Teams,"+w.site.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=group)", []string{"member", "groupType"}, nil))
	w.must(err)
	if len(res.Entries) != 1 || res.Entries[0].GetAttributeValue("groupType") != "-2147483640" {
		w.t.Fatalf("%d groups %v", len(res.Entries), res.Entries)
	}
	var out []string
	for _, m := range res.Entries[0].GetAttributeValues("member") {
		first, _, _ := strings.Cut(m, ",")
		out = append(out, strings.TrimPrefix(strings.ToUpper(first[:3])+first[3:], "CN="))
	}
	slices.Sort(out)
	return out
}

// A group of the tenant has members of both origins, and both directions go on at once, without anybody becoming two.
func TestBothDirectionsAtOnce(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.add("OU=Sales,"+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
		w.person("Ann", "OU=Sales,"+s.base)
		team, err := w.model.CreateGroup(map[string]any{"displayName": "Research", "mailNickname": "research", "mailEnabled": false, "securityEnabled": true, "description": "who finds out"})
		w.must(err)
		hired := w.hire(1, nil)
		join := func(id string) {
			w.must(w.model.AddMember(team.ID, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+id))
		}
		join(hired)
		w.open()
		w.importText(fmt.Sprintf(bothPolicy, s.base))
		w.sync()
		ann := w.mustUser("Ann@" + s.domain)
		join(ann.ID)
		if r := w.sync(); r.Failed+r.Held > 0 || !r.Complete {
			t.Fatalf("%+v", r)
		}
		if got := w.team(); !slices.Equal(got, []string{"Ann", "Hire Number1"}) {
			t.Errorf("members %q", got)
		}
		w.must(w.model.RemoveMember(team.ID, ann.ID))
		if r := w.sync(); r.Failed > 0 || len(w.team()) != 1 {
			t.Errorf("%q %+v", w.team(), r)
		}

		// Everything anew, by both engines, with the directory's users in a wave between them.
		people, groups := w.count(), len(w.model.State(false).Objects)
		for _, e := range []string{"connect", "cloudsync", "connect"} {
			if r, err := w.tandem.Host().SyncAll(t.Context(), e, run.SyncOptions{Profile: "full"}); err != nil || r.Applied != 0 || r.Failed+r.Held+r.Refused > 0 {
				t.Errorf("%s: %v %+v", e, err, r)
			}
		}
		if _, _, err := w.tandem.Host().Migrate(t.Context(), "OU=Sales,"+s.base, "cloudsync", nil, nil, acts.ApplyOptions{Options: wave.Options{AutoComplete: true}, By: "test"}); err != nil {
			t.Fatal(err)
		}
		for _, e := range []string{"cloudsync", "connect", "cloudsync"} {
			if r, err := w.tandem.Host().SyncAll(t.Context(), e, run.SyncOptions{Profile: "full"}); err != nil || r.Applied != 0 || r.Failed+r.Held+r.Refused > 0 {
				t.Errorf("after the wave, %s: %v %+v", e, err, r)
			}
		}
		if w.count() != people || len(w.model.State(false).Objects) != groups || len(w.accounts()) != 1 {
			t.Errorf("%d users became %d, %d objects %d, %d accounts", people, w.count(), groups, len(w.model.State(false).Objects), len(w.accounts()))
		}

		// Somebody deletes the account in the directory: the person stays in the tenant, and a person hears of it.
		w.must(w.conn.Del(ldap.NewDelRequest(w.account(hired).DN, nil)))
		for range 2 {
			r := w.sync()
			if !slices.ContainsFunc(r.Errors, func(p run.Problem) bool { return p.Code == "deleted-in-directory" }) || w.count() != people {
				t.Errorf("%d people: %+v", w.count(), r)
			}
		}
	})
}
