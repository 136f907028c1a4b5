package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// contact adds a mail-enabled contact and gives its DN.
func (w *world) contact(name, ou string, more map[string][]string) string {
	w.t.Helper()
	dn := "CN=" + name + "," + ou
	attrs := map[string][]string{"objectClass": {"contact"}, "displayName": {"Contact " + name}, "mail": {name + "@partner.test"}, "proxyAddresses": {"SMTP:" + name + "@partner.test"},
		"company": {"Partner"}}
	maps.Copy(attrs, more)
	w.add(dn, attrs)
	return dn
}

// contacts gives the tenant's contacts by anchor. Two under one anchor fail the test.
func (w *world) contacts() map[string]tenant.ContactRecord {
	w.t.Helper()
	out := map[string]tenant.ContactRecord{}
	for _, c := range w.model.Contacts("") {
		if _, twice := out[c.Anchor]; twice || c.Anchor == "" {
			w.t.Fatalf("two contacts under the anchor %q", c.Anchor)
		}
		out[c.Anchor] = c
	}
	return out
}

// contactOf gives the tenant's contact of a directory object.
func (w *world) contactOf(dn string) (tenant.ContactRecord, bool) {
	w.t.Helper()
	found, err := w.tandem.Host().Explain(w.t.Context(), dn, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c, ok := w.contacts()[found.Anchor]
	return c, ok
}

// reopened ends this Tandem and opens it anew, which finds everything as it should be.
func (w *world) reopened() {
	w.t.Helper()
	w.close()
	w.open()
	w.graph.ResetCounters()
	for _, e := range []string{"connect", "cloudsync"} {
		if r := w.sync(e, engine.ProfileFull); r.Applied != 0 || w.writes() != 0 {
			w.t.Fatalf("%s wrote after a restart: %+v, %d requests", e, r, w.writes())
		}
	}
}

// contactIDs gives the tenant's contacts: anchor → id.
func (w *world) contactIDs() map[string]string {
	out := map[string]string{}
	for a, c := range w.contacts() {
		out[a] = c.ID
	}
	return out
}

// differs compares what the owner of an OU would write there with the attributes that are expected to differ, and nothing else to: the tenant's, of any object.
func (w *world) differs(ou, dn string, names ...string) {
	w.t.Helper()
	_, _, js, err := w.tandem.Host().Diff(w.t.Context(), plan.DiffOptions{Under: ou})
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	named := false
	for _, j := range js {
		got = append(got, slices.Collect(maps.Keys(j.After))...)
		named = named || strings.HasPrefix(dn, "CN="+strings.TrimPrefix(j.Name, "Contact ")) || strings.EqualFold(j.Name, dn)
	}
	slices.Sort(got)
	slices.Sort(names)
	if !slices.Equal(got, names) || named != (len(names) > 0) {
		w.t.Errorf("differences: %v, want %v", got, names)
	}
}

const contactsPolicy = `version: 1
features: [users, groups, contacts]
assignments:
  - name: everything
    under: %[1]s
    engine: connect
    features: [users, groups, contacts]
  - name: marketing
    under: OU=Marketing,%[1]s
    engine: cloudsync
    features: [users, groups, contacts]
`

// Three hundred contacts, of both engines, in groups and as managers, go with their OU to the other engine and back: none is deleted, doubled or lost, and no
// membership and no manager either. What changes while the wave soaks arrives, by whoever owns it then.
func TestContactsMoveBetweenTwoEnginesAndBack(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		h := w.tandem.Host()
		if _, err := h.Import(t.Context(), "policy.yaml", fmt.Appendf(nil, contactsPolicy, s.base), "test"); err != nil {
			t.Fatal(err)
		}
		sales, marketing := "OU=Sales,"+s.base, "OU=Marketing,"+s.base
		var there, here []string
		for i := range 150 {
			there = append(there, w.contact(fmt.Sprintf("there%03d", i), sales, nil))
			here = append(here, w.contact(fmt.Sprintf("here%03d", i), marketing, nil))
		}
		ann, annUPN := w.person("ann", sales)
		bob, bobUPN := w.person("bob", marketing)
		w.modify(ann, "manager", here[0])
		w.modify(bob, "manager", there[0])
		w.modify(there[1], "manager", here[1])
		w.modify(here[2], "manager", ann)
		for name, members := range map[string][]string{"Partners": slices.Concat(there[:80], here[:40], []string{bob}), "Press": slices.Concat(here[20:100], there[10:20])} {
			ou := map[string]string{"Partners": sales, "Press": marketing}[name]
			w.add("CN="+name+","+ou, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {strings.ToLower(name)}, "groupType": {"-2147483646"}, "displayName": {name}, "member": members})
		}
		if s.name == "embedded" { // whose schema has Exchange
			w.contact("hidden", sales, map[string][]string{"displayName": {"Old (MSOL)"}, "msExchHideFromAddressLists": {"TRUE"}})
		}
		plain := "CN=plain," + sales
		w.add(plain, map[string][]string{"objectClass": {"contact"}, "displayName": {"Without an address"}})

		w.both("connect", "cloudsync", "connect", "cloudsync")
		contacts, ids := w.contactIDs(), w.ids()
		if len(contacts) != 300 {
			t.Fatalf("%d contacts in the tenant", len(contacts))
		}
		if _, made := w.contactOf(plain); made {
			t.Error("a contact without an address was made")
		}
		settled := func(what string) {
			t.Helper()
			if now := w.contactIDs(); !maps.Equal(now, contacts) {
				t.Fatalf("%s changed the contacts: %d before, %d after", what, len(contacts), len(now))
			}
			w.same(ids, what)
			for group, n := range map[string]int{"Partners": 121, "Press": 90} {
				if got := len(w.groupOf(group).Members); got != n {
					t.Errorf("after %s, %s has %d members, not %d", what, group, got, n)
				}
			}
			id := func(dn string) string { c, _ := w.contactOf(dn); return c.ID }
			for who, x := range map[string][2]string{"ann": {w.mustUser(annUPN).Manager, id(here[0])}, "bob": {w.mustUser(bobUPN).Manager, id(there[0])}} {
				if x[0] != x[1] || x[0] == "" {
					t.Errorf("after %s, %s has the manager %q, not %q", what, who, x[0], x[1])
				}
			}
			boss, _ := w.contactOf(there[1])
			of, _ := w.contactOf(here[2])
			if boss.Manager != id(here[1]) || of.Manager != w.mustUser(annUPN).ID {
				t.Errorf("after %s, contacts have the managers %q and %q", what, boss.Manager, of.Manager)
			}
		}
		settled("the first runs")
		w.graph.ResetCounters()
		for _, e := range []string{"connect", "cloudsync"} {
			if r := w.sync(e, engine.ProfileFull); r.Applied != 0 {
				t.Fatalf("%s wrote again: %+v", e, r)
			}
		}
		moved := w.migrate(sales, "cloudsync")
		settled("the migration")
		if n := w.writes(); n != 0 {
			t.Fatalf("the migration wrote %d times", n)
		}
		for dn, owner := range map[string]string{there[3]: "cloudsync", here[3]: "cloudsync"} {
			if e, err := h.Explain(t.Context(), dn, nil); err != nil || e.Kind != scoping.Contact || e.Features[0].Feature != scoping.Contacts || e.Features[0].Engine != owner {
				t.Errorf("%s: %+v %v", dn, e.Features, err)
			}
		}

		w.modify(there[4], "title", "Agent")
		w.modify(there[5], "company")
		w.differs(sales, there[4], "jobTitle", "companyName")
		w.both("connect", "cloudsync")
		w.differs(sales, there[4])
		o, err := h.Object(t.Context(), there[4])
		if err != nil || o.Kind != scoping.Contact || o.Cloud == nil || o.Cloud.Values.First("jobTitle") != "Agent" || o.Record[scoping.Contacts] != "cloudsync" || len(o.Foreign) > 0 ||
			!slices.Equal(o.Directory["proxyaddresses"], []string{"SMTP:there004@partner.test"}) || !slices.Equal(o.Directory["title"], []string{"Agent"}) {
			t.Errorf("known of a contact: %+v %v", o, err)
		}
		if c, _ := w.contactOf(there[4]); c.Properties["jobTitle"] != "Agent" {
			t.Errorf("a change while it soaks: %+v", c.Properties)
		}
		if c, _ := w.contactOf(there[5]); c.Properties["companyName"] != nil {
			t.Errorf("a value taken away while it soaks: %+v", c.Properties)
		}
		if _, err := h.DecideWave(t.Context(), moved.ID, wave.RollBack, "test", "because"); err != nil {
			t.Fatal(err)
		}
		back, err := h.Drive(t.Context(), moved.ID)
		if err != nil || back.State != wave.RolledBack {
			t.Fatalf("the rollback: %+v %v", back, err)
		}
		w.both("connect", "cloudsync", "connect")
		settled("the rollback")
		if c, _ := w.contactOf(there[4]); c.Properties["jobTitle"] != "Agent" {
			t.Errorf("after the rollback: %+v", c.Properties)
		}
		if e, err := h.Explain(t.Context(), there[3], nil); err != nil || e.Features[0].Engine != "connect" {
			t.Errorf("%+v %v", e.Features, err)
		}
		w.reopened()
		settled("a restart")
		h = w.tandem.Host()

		// No bin keeps contacts: of more than a few nothing is deleted before a person has said so, and a single one goes.
		w.remove(here[149])
		w.both("connect", "cloudsync")
		if n := len(w.contacts()); n != 299 {
			t.Fatalf("%d contacts after one was deleted", n)
		}
		for _, dn := range here[130:149] {
			w.remove(dn)
		}
		r, err := h.Sync(t.Context(), "cloudsync", run.SyncOptions{})
		if err != nil || r.Held != 19 {
			t.Fatalf("nineteen deletes: %+v %v", r, err)
		}
		if n := len(w.contacts()); n != 299 {
			t.Fatalf("%d contacts while their deletes are held", n)
		}
		sets := h.Held()
		if len(sets) != 1 || sets[0].Class != ledger.Irrevocable || len(sets[0].Entries) != 19 {
			t.Fatalf("held: %+v", sets)
		}
		if _, err := h.Answer(t.Context(), sets[0].ID, "approve", "test", "they left"); err != nil {
			t.Fatal(err)
		}
		w.both("cloudsync", "connect")
		if n := len(w.contacts()); n != 280 {
			t.Errorf("%d contacts after the approval", n)
		}
	})
}

// A tenant that is none of the lab's takes no contacts: a policy that gives them to an engine is refused where it stands, with the sentence that says who does it.
func TestContactsAreRefusedForATenantThatTakesNone(t *testing.T) {
	w := newWorld(t, embeddedSite(t), 3)
	w.shutTheDoor()
	h := w.tandem.Host()
	_, err := h.Import(t.Context(), "policy.yaml", fmt.Appendf(nil, contactsPolicy, w.site.base), "test")
	if err == nil || !strings.Contains(err.Error(), "policy.yaml:") || !strings.Contains(err.Error(), "Entra Connect Sync, Cloud Sync or Exchange Online") {
		t.Fatalf("imported: %v", err)
	}
	w.importPolicy()
	dn := w.contact("pat", "OU=Sales,"+w.site.base, nil)
	_, ann := w.person("ann", "OU=Sales,"+w.site.base)
	w.modify("CN=ann,OU=Sales,"+w.site.base, "manager", dn)
	w.both("connect")
	if w.mustUser(ann).Manager != "" || len(w.model.Contacts("")) > 0 {
		t.Error("a contact came into the tenant")
	}
}

// shutTheDoor lets the tenant answer as Microsoft's do where the lab's has its doors.
func (w *world) shutTheDoor() {
	w.t.Helper()
	if _, err := w.graph.AddFault(tenant.Fault{Kind: tenant.Status, Status: 400, Code: "BadRequest", Message: "Invalid version: lab", Path: "^/lab/$", Count: -1}); err != nil {
		w.t.Fatal(err)
	}
}

// Of a policy that is in force already, check says it, a plan of another one does not begin, and no wave takes contacts to another engine.
func TestContactsInForceAreToldOfATenantThatTakesNone(t *testing.T) {
	w := newWorld(t, embeddedSite(t), 3)
	const who = "Entra Connect Sync, Cloud Sync or Exchange Online"
	text := fmt.Appendf(nil, contactsPolicy, w.site.base)
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", text, "test"); err != nil {
		t.Fatal(err)
	}
	told := func() bool {
		return slices.ContainsFunc(w.tandem.Check(t.Context()), func(f orchestrator.Finding) bool {
			return f.Name == "feature contacts" && f.Severity == "failure" && strings.Contains(f.Message, who)
		})
	}
	if told() {
		t.Error("the lab's tenant takes contacts")
	}
	w.close()
	w.shutTheDoor()
	w.open()
	if !told() {
		t.Errorf("check says nothing of contacts: %+v", w.tandem.Check(t.Context()))
	}
	if _, err := w.tandem.Host().Plan(t.Context(), plan.PlanOptions{File: "policy.yaml", Text: text}); err == nil || !strings.Contains(err.Error(), who) {
		t.Errorf("planned: %v", err)
	}
	p, _, err := w.tandem.Host().Migrate(t.Context(), "OU=Sales,"+w.site.base, "cloudsync", nil, nil, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
	if err == nil || !strings.Contains(err.Error()+fmt.Sprintf("%+v", p), who) {
		t.Errorf("migrated: %v", err)
	}
}

// A first policy that is suggested switches on what is in use and the tenant takes, and is taken as it is.
func TestASuggestedPolicyCarriesContactsAndExtensions(t *testing.T) {
	for _, takes := range []bool{true, false} {
		w := newWorld(t, embeddedSite(t), 5)
		if !takes {
			w.shutTheDoor()
		}
		sales := "OU=Sales," + w.site.base
		dn, upn := w.person("ann", sales)
		w.modify(dn, "extensionAttribute2", "two")
		w.contact("pat", sales, nil)
		g, err := w.tandem.Suggest(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(g.Policy.Features, scoping.Contacts); got != takes || !slices.Equal(g.Policy.Defaults.Extensions, []string{"extensionAttribute2"}) {
			t.Fatalf("suggested: %+v", g.Policy)
		}
		text, err := policy.FormatWith(g.Policy, "suggested", g.About)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", text, "test"); err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
		w.sync("connect", engine.ProfileFull)
		at, _ := w.mustUser(upn).Properties["onPremisesExtensionAttributes"].(map[string]any)
		if n := len(w.contacts()); (n == 1) != takes || at["extensionAttribute2"] != "two" {
			t.Errorf("%d contacts, %v", n, at)
		}
	}
}

const carried = "extension_0123456789abcdef0123456789abcdef_employeeNumber"

const extensionsPolicy = `version: 1
features: [users, groups, extensions]
defaults:
  extensions: [%[2]s]
  attributes:
    leaveOut: [%[3]s]
assignments:
  - name: everything
    under: %[1]s
    engine: connect
    features: [users, groups, extensions]
`

// Extensions go with their users to the other engine and back, and attributes that the policy leaves alone stay as the tenant has them, whoever owns their users.
func TestExtensionsAndLeftOutAttributesGoThroughAWave(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 10)
		h := w.tandem.Host()
		sales := "OU=Sales," + s.base
		text := func(extensions, leaveOut string) []byte {
			return fmt.Appendf(nil, extensionsPolicy, s.base, extensions, leaveOut)
		}
		if _, err := h.Import(t.Context(), "policy.yaml", text(carried, "mobile"), "test"); err == nil || !strings.Contains(err.Error(), "policy.yaml:4:16") {
			t.Fatalf("an extension that the tenant does not have: %v", err)
		}
		w.model.RegisterExtension("0123456789abcdef0123456789abcdef", "employeeNumber")
		names, schemaHas := carried, s.name == "embedded"
		if _, err := h.Import(t.Context(), "policy.yaml", text(carried+", extensionAttribute1", "mobile"), "test"); (err == nil) != schemaHas {
			t.Fatalf("extensionAttribute1: %v", err)
		} else if err != nil && (!strings.Contains(err.Error(), "policy.yaml:4:") || !strings.Contains(err.Error(), "extensionAttribute1")) {
			t.Fatalf("the schema lacks extensionAttribute1: %v", err)
		}
		if schemaHas {
			names += ", extensionAttribute1"
		} else if _, err := h.Import(t.Context(), "policy.yaml", text(names, "mobile"), "test"); err != nil {
			t.Fatal(err)
		}
		dn, upn := w.person("ann", sales)
		w.modify(dn, "employeeNumber", "17")
		w.modify(dn, "mobile", "+420 1")
		if schemaHas {
			w.modify(dn, "extensionAttribute1", "one")
		}
		w.both("connect")
		shows := func(what, number, one, mobile string) {
			t.Helper()
			o := w.mustUser(upn)
			at, _ := o.Properties["onPremisesExtensionAttributes"].(map[string]any)
			if got, _ := o.Properties[carried].(string); got != number {
				t.Errorf("%s: employee number %q, not %q", what, got, number)
			}
			if got, _ := at["extensionAttribute1"].(string); schemaHas && got != one {
				t.Errorf("%s: extensionAttribute1 %q, not %q", what, got, one)
			}
			if got, _ := o.Properties["mobilePhone"].(string); got != mobile {
				t.Errorf("%s: mobile %q, not %q", what, got, mobile)
			}
		}
		shows("the first run", "17", "one", "")
		if err := w.model.UpdateUser(upn, map[string]any{"mobilePhone": "+49 set in the portal"}); err != nil {
			t.Fatal(err)
		}
		w.graph.ResetCounters()
		if r := w.sync("connect", engine.ProfileFull); r.Applied != 0 {
			t.Fatalf("written again: %+v", r)
		}
		moved := w.migrate(sales, "cloudsync")
		if n := w.writes(); n != 0 {
			t.Fatalf("the migration wrote %d times", n)
		}
		e, err := h.Explain(t.Context(), upn, nil)
		i := slices.IndexFunc(e.Features, func(x scoping.Explanation) bool { return x.Feature == scoping.Extensions })
		if err != nil || i < 0 || e.Features[i].Engine != "cloudsync" || !slices.Contains(e.Extensions, carried) || !slices.Equal(e.LeftOut, []string{"mobilePhone"}) {
			t.Errorf("explained: %+v %v", e, err)
		}
		w.modify(dn, "employeeNumber", "18")
		w.modify(dn, "mobile", "+420 2")
		w.differs(sales, dn, carried)
		if o, err := h.Object(t.Context(), upn); err != nil || !slices.Equal(o.Directory["employeenumber"], []string{"18"}) || o.Cloud.Values.First(carried) != "17" || o.Record[scoping.Extensions] != "cloudsync" {
			t.Errorf("known of ann: %+v %v", o, err)
		}
		w.both("connect", "cloudsync")
		shows("while it soaks", "18", "one", "+49 set in the portal")
		w.reopened()
		h = w.tandem.Host()
		if schemaHas {
			w.modify(dn, "extensionAttribute1")
			w.both("cloudsync")
			shows("taken away", "18", "", "+49 set in the portal")
		}
		if _, err := h.DecideWave(t.Context(), moved.ID, wave.RollBack, "test", "because"); err != nil {
			t.Fatal(err)
		}
		if back, err := h.Drive(t.Context(), moved.ID); err != nil || back.State != wave.RolledBack {
			t.Fatalf("the rollback: %+v %v", back, err)
		}
		w.both("connect", "cloudsync")
		shows("the rollback", "18", "", "+49 set in the portal")

		// Another list of what is managed is told before it is in force, and takes effect then.
		p := w.plan(string(text(names, "city")))
		at := func(name string) (out []plan.Effect) {
			return slices.DeleteFunc(slices.Clone(p.Settings.Effects), func(x plan.Effect) bool { return x.Attribute != name })
		}
		if p.Settings == nil || len(at("mobilePhone")) != 1 || at("mobilePhone")[0].Written == 0 || len(at("city")) == 0 || at("city")[0].Written+at("city")[0].Cleared != 0 {
			t.Fatalf("the plan: %+v", p.Settings)
		}
		shows("the plan", "18", "", "+49 set in the portal")
		w.applied(p)
		w.sync("connect", engine.ProfileFull)
		shows("managed again", "18", "", "+420 2")
	})
}
