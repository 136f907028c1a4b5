package orchestrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// withDefaults puts defaults into a policy's text.
func withDefaults(text, defaults string) string {
	return strings.Replace(text, "assignments:\n", "defaults: {"+defaults+"}\nassignments:\n", 1)
}

// journaled gives the journal's records of what people did to the policy.
func (w *world) journaled(op string) (out []answer.AuditEntry) {
	w.t.Helper()
	if err := w.tandem.Host().Audit(w.t.Context(), answer.AuditFilter{}, func(e answer.AuditEntry) error {
		if e.Record.Op == op {
			out = append(out, e)
		}
		return nil
	}); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// embedded starts a world over the embedded directory.
func embedded(t *testing.T, users int) *world {
	t.Helper()
	return newWorld(t, embeddedSite(t), users)
}

func (w *world) applied(p *plan.Plan) []wave.Wave {
	w.t.Helper()
	ws, err := w.tandem.Host().Apply(w.t.Context(), p, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "ann"})
	if err != nil {
		w.t.Fatal(err)
	}
	return ws
}

func TestChangedDefaultsAloneArePlannedAndPutInForce(t *testing.T) {
	w := embedded(t, 20)
	text := w.policyOf(assign("service accounts", "OU=Service,"+w.site.base, scoping.None))
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
		t.Fatal(err)
	}
	w.sync("connect", engine.ProfileFull)
	later := withDefaults(text, "deleteThreshold: {objects: 3, percent: 1}, leaving: keep, softMatch: true, members: exclusive, conflicts: quarantine, upn: {unverifiedSuffix: refuse, changes: hold}")
	p := w.plan(later)
	if len(p.Waves) != 0 || p.Settings == nil || p.Settings.Defaults == nil || p.Settings.Defaults.From.DeleteThreshold.Objects != 500 || p.Settings.Defaults.To.DeleteThreshold.Objects != 3 {
		t.Fatalf("the plan: %+v, %+v", p.Waves, p.Settings)
	}
	if d := w.partition().Defaults(); !d.Equal(scoping.DefaultDefaults()) {
		t.Fatalf("planning alone changed the policy: %+v", d)
	}
	for range 2 { // repeated it is done already
		w.applied(p)
		cur := w.partition()
		if d := cur.Defaults(); !d.Equal(p.Target.Defaults()) || cur.Revision() != 2 {
			t.Fatalf("in force: %+v, revision %d", d, cur.Revision())
		}
	}
	if r := w.tandem.Host().Gate().Rules(); !r.SoftMatch || !r.UPNHold || !r.UPNRefuse || !r.Exclusive || !r.Quarantine || r.Objects != 3 || r.Percent != 1 {
		t.Errorf("the gate's rules: %+v", r)
	}
	if es := w.journaled("policy"); len(es) != 1 || es[0].Record.By != "ann" || !strings.Contains(es[0].Record.Reason, "defaults: leaving: disable → keep") {
		t.Errorf("the journal: %+v", es)
	}
	if again := w.plan(later); again.Settings != nil || len(again.Waves) > 0 {
		t.Errorf("the same policy planned again: %+v", again.Settings)
	}
	dn, upn := w.person("keeper", "OU=Sales,"+w.site.base)
	w.sync("connect", engine.ProfileDelta)
	w.move(dn, "OU=Service,"+w.site.base)
	w.both("connect")
	if w.mustUser(upn).Properties["accountEnabled"] != true {
		t.Error("a leaver is disabled as the old default says")
	}
}

func TestAHandOverCarriesDefaultsNamesAndWhatHappensToLeavers(t *testing.T) {
	w := embedded(t, 20)
	sales, interns := "OU=Sales,"+w.site.base, "OU=Interns,"+w.site.base
	w.add(interns, map[string][]string{"objectClass": {"organizationalUnit"}})
	text := w.policyOf(assign("interns", interns, "cloudsync"))
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
		t.Fatal(err)
	}
	dn, upn := w.person("keeper", sales)
	w.sync("connect", engine.ProfileFull)
	later := withDefaults(w.policyOf(assign("interns", interns, scoping.None)+"    leaving: keep\n"), "deleteThreshold: {objects: 7, percent: 10}")
	p := w.plan(later)
	if len(p.Waves) != 1 || p.Settings == nil || len(p.Settings.Changes) != 1 {
		t.Fatalf("the plan: %+v, %+v", p.Waves, p.Settings)
	}
	if ws := w.applied(p); len(ws) != 1 || ws[0].Phase != wave.Soak {
		t.Fatalf("waves: %+v", ws)
	}
	if d := w.partition().Defaults().DeleteThreshold.Objects; d != 7 {
		t.Errorf("the threshold in force beside the hand-over: %d", d)
	}
	if again := w.plan(later); again.Settings != nil || len(again.Waves) > 0 {
		t.Errorf("the same policy planned again: %+v, %+v", again.Settings, again.Waves)
	}
	w.move(dn, interns)
	w.both("connect", "cloudsync")
	if w.mustUser(upn).Properties["accountEnabled"] != true || w.owner(upn) != scoping.None {
		t.Errorf("one who arrives where `leaving: keep` is in force by a wave: enabled %v, owner %s", w.mustUser(upn).Properties["accountEnabled"], w.owner(upn))
	}
}

func TestARenamedOUIsTakenInFromTheFile(t *testing.T) {
	w := embedded(t, 20)
	sales, sold := "OU=Sales,"+w.site.base, "OU=Vertrieb,"+w.site.base
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(w.policyOf(assign("sales", sales, "cloudsync"))), "test"); err != nil {
		t.Fatal(err)
	}
	w.sync("cloudsync", engine.ProfileFull)
	w.sync("connect", engine.ProfileFull)
	if err := w.conn.ModifyDN(ldap.NewModifyDNRequest(sales, "OU=Vertrieb", true, "")); err != nil {
		t.Fatal(err)
	}
	w.both("connect", "cloudsync")
	if ds := w.drift(); len(ds) != 1 || ds[0].What != scoping.Renamed {
		t.Fatalf("drift: %+v", ds)
	}
	w.graph.ResetCounters()
	p := w.plan(w.policyOf(assign("sales", sold, "cloudsync")))
	if len(p.Waves) > 0 || p.Settings == nil || !slices.Equal(p.Settings.Changes, []scoping.Change{{What: "name in the directory", From: sales, To: sold}}) {
		t.Fatalf("the plan: %+v, %+v", p.Waves, p.Settings)
	}
	w.applied(p)
	if ds := w.drift(); len(ds) > 0 {
		t.Errorf("drift: %+v", ds)
	}
	i := slices.IndexFunc(w.partition().Policy().Assignments, func(a scoping.Assignment) bool { return a.Name == "sales" })
	if a := w.partition().Policy().Assignments[i]; a.Under.DN != sold {
		t.Errorf("the policy shows %s", a.Under.DN)
	}
	w.both("connect", "cloudsync")
	if w.writes() > 0 {
		t.Errorf("taking in a name wrote %d times", w.writes())
	}
}

func (w *world) partition() *scoping.Partition {
	w.t.Helper()
	p, err := w.tandem.Host().Partition()
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *world) drift() []scoping.Drift {
	w.t.Helper()
	s, err := w.tandem.Host().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return s.Drift
}

func TestAFileOfMatchesIsCheckedAndJoinsGroupsMadeByHand(t *testing.T) {
	w := embedded(t, 10)
	dn := "CN=Fans,OU=Sales," + w.site.base
	w.add(dn, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"fans"}, "groupType": {"-2147483646"}, "displayName": {"Fans of Contoso"}})
	hand := w.cloudGroup("Fans", "fans-by-hand")
	text := strings.Replace(w.policyOf(), "assignments:", "matches: ./m.csv\nassignments:", 1)
	put := func(lines string) error {
		_, err := w.tandem.Host().ImportFile(t.Context(), plan.PolicyFile{Name: "policy.yaml", Text: []byte(text), Matches: []byte(lines)}, "test")
		return err
	}
	err := put(fmt.Sprintf("%q,%s\n\"CN=Nobody,%s\",2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a10\n%s,%s\n%q,2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a11\n", w.seed.Users[0].DN, hand, w.site.base, w.guid(dn), "2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a12", dn))
	for _, want := range []string{"m.csv:1:1: tenant object " + hand + " is a group", "m.csv:2:1: CN=Nobody", "m.csv:3:1: the tenant has no object 2f0e7a4c-51f3-4f0e-9c57-3b1f5f6f2a12", "m.csv:4:1: " + dn + " is the object of line 3"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("no word of %q: %v", want, err)
		}
	}
	if err := put(fmt.Sprintf("object,tenantObject\n%q,%s\n", dn, hand)); err != nil {
		t.Fatal(err)
	}
	w.settleAdoption("connect")
	o := w.groupOf("Fans of Contoso")
	if o.ID != hand || !strings.HasPrefix(fmt.Sprint(o.Properties["uniqueName"]), "tandem-") {
		t.Errorf("the group in the tenant: %s, made by hand %s: %v", o.ID, hand, o.Properties)
	}
	if r, err := w.tandem.Host().Object(t.Context(), dn); err != nil || r.Row == nil || r.Row.Origin != "by-file" {
		t.Errorf("the link: %+v, %v", r.Row, err)
	}
}

// cloudGroup makes a security group by hand in the tenant.
func (w *world) cloudGroup(name, nick string) string {
	w.t.Helper()
	o, err := w.model.CreateGroup(map[string]any{"displayName": name, "mailNickname": nick, "mailEnabled": false, "securityEnabled": true})
	if err != nil {
		w.t.Fatal(err)
	}
	return o.ID
}

// settleAdoption lets an engine run fully, and a person approve what is held.
func (w *world) settleAdoption(name string) {
	w.t.Helper()
	h := w.tandem.Host()
	if _, err := h.Sync(w.t.Context(), name, run.SyncOptions{Profile: engine.ProfileFull}); err != nil {
		w.t.Fatal(err)
	}
	for _, x := range h.Held() {
		if _, err := h.Answer(w.t.Context(), x.ID, "approve", "test", "adopted"); err != nil {
			w.t.Fatal(err)
		}
	}
	w.sync(name, engine.ProfileFull)
}

func TestMembershipsOfOthersAreKeptAndTold(t *testing.T) {
	w := embedded(t, 10)
	text := w.policyOf()
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
		t.Fatal(err)
	}
	sales := "OU=Sales," + w.site.base
	annDN, ann := w.person("ann", sales)
	bobDN, bob := w.person("bob", sales)
	_, cleo := w.person("cleo", sales)
	group := "CN=Team," + sales
	w.add(group, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"team"}, "groupType": {"-2147483646"}, "displayName": {"Team"}, "member": {annDN}})
	w.sync("connect", engine.ProfileFull)
	team := w.groupOf("Team").ID
	members := func(want ...string) {
		t.Helper()
		var ids []string
		for _, upn := range want {
			ids = append(ids, w.mustUser(upn).ID)
		}
		slices.Sort(ids)
		if got := slices.Sorted(slices.Values(w.groupOf("Team").Members)); !slices.Equal(got, ids) {
			t.Errorf("members %v, wanted %v", got, ids)
		}
	}
	if err := w.model.AddMember(team, w.mustUser(bob).ID); err != nil {
		t.Fatal(err)
	}
	w.graph.ResetCounters()
	r := w.sync("connect", engine.ProfileFull)
	members(ann, bob)
	if w.writes() > 0 || !slices.ContainsFunc(r.Findings, func(p run.Problem) bool {
		return p.Code == "references-kept" && strings.Contains(p.Message, bobDN)
	}) {
		t.Errorf("%d writes; told: %+v", w.writes(), r.Findings)
	}
	if o, err := w.tandem.Host().Object(t.Context(), group); err != nil || !slices.Equal(o.Foreign, []string{bobDN}) {
		t.Errorf("of others in the group: %v, %v", o.Foreign, err)
	}
	w.modify(group, "member", annDN, bobDN) // the directory has it too: from now on it is Tandem's
	if r := w.sync("connect", engine.ProfileDelta); len(r.Findings) > 0 {
		t.Errorf("still told: %+v", r.Findings)
	}
	w.modify(group, "member", annDN)
	w.sync("connect", engine.ProfileDelta)
	members(ann)
	if err := w.model.AddMember(team, w.mustUser(cleo).ID); err != nil {
		t.Fatal(err)
	}
	w.sync("connect", engine.ProfileFull)
	members(ann, cleo)
	w.applied(w.plan(withDefaults(text, "members: exclusive")))
	w.sync("connect", engine.ProfileFull)
	members(ann)
}

func TestAManagerOfOthersIsKept(t *testing.T) {
	w := embedded(t, 10)
	w.importPolicy()
	sales := "OU=Sales," + w.site.base
	annDN, ann := w.person("ann", sales)
	_, bob := w.person("bob", sales)
	w.sync("connect", engine.ProfileFull)
	if err := w.model.SetManager(tenant.User, w.mustUser(ann).ID, w.mustUser(bob).ID); err != nil {
		t.Fatal(err)
	}
	w.modify(annDN, "title", "Chief")
	w.sync("connect", engine.ProfileFull)
	if got := w.mustUser(ann).Manager; got != w.mustUser(bob).ID {
		t.Errorf("manager %q", got)
	}
}

func TestAnAddressThatSomebodyElseHasIsQuarantined(t *testing.T) {
	w := embedded(t, 10)
	text := withDefaults(w.policyOf(), "conflicts: quarantine")
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
		t.Fatal(err)
	}
	sales := "OU=Sales," + w.site.base
	annDN, _ := w.person("ann", sales)
	w.modify(annDN, "mail", "shared@"+w.site.domain)
	w.sync("connect", engine.ProfileFull)
	bobDN, bob := w.person("bob", sales)
	w.modify(bobDN, "mail", "shared@"+w.site.domain)
	for range 2 {
		r, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if err != nil || r.Failed > 0 {
			t.Fatalf("%v, %+v", err, r.Errors)
		}
		if o := w.mustUser(bob); o.Properties["mail"] != nil {
			t.Errorf("bob has the address %v", o.Properties["mail"])
		}
		if !slices.ContainsFunc(r.Findings, func(p run.Problem) bool {
			return p.Code == "address-quarantined" && p.Object == bobDN && strings.Contains(p.Message, annDN)
		}) {
			t.Errorf("told: %+v", r.Findings)
		}
	}
	w.remove(annDN)
	for range 2 {
		if _, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if o := w.mustUser(bob); o.Properties["mail"] != "shared@"+w.site.domain {
		t.Errorf("the address is free, and bob has %v", o.Properties["mail"])
	}
}
