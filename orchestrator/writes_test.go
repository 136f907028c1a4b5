package orchestrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// reports makes people report to a manager, by their DNs.
func (w *world) reports(manager string, people ...string) {
	w.t.Helper()
	for _, p := range people {
		w.modify(p, "manager", manager)
	}
}

// wantManager checks whom the tenant shows as somebody's manager; "" for nobody.
func (w *world) wantManager(upn, manager string) {
	w.t.Helper()
	want := ""
	if manager != "" {
		want = w.mustUser(manager).ID
	}
	if got := w.mustUser(upn).Manager; got != want {
		w.t.Errorf("manager of %s is %q, want %q", upn, got, want)
	}
}

// A manager who is taken away in the directory, or is deleted there, is taken away in the tenant, by either engine, and a second run finds nothing to do.
func TestAManagerWhoIsTakenAwayIsCleared(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales, marketing := "OU=Sales,"+s.base, "OU=Marketing,"+s.base
		type team struct{ boss, bossUPN, ann, annUPN, bob, bobUPN string }
		teams := map[string]*team{"connect": {}, "cloudsync": {}}
		for name, x := range teams {
			ou := map[string]string{"connect": marketing, "cloudsync": sales}[name]
			x.boss, x.bossUPN = w.person("boss-"+name, ou)
			x.ann, x.annUPN = w.person("ann-"+name, ou)
			x.bob, x.bobUPN = w.person("bob-"+name, ou)
			w.reports(x.boss, x.ann, x.bob)
		}
		w.sync("connect", engine.ProfileFull)
		w.migrate(sales, "cloudsync")
		for name, x := range teams {
			w.wantManager(x.annUPN, x.bossUPN)
			w.modify(x.ann, "manager")
			w.sync(name, engine.ProfileDelta)
			w.wantManager(x.annUPN, "")
			w.wantManager(x.bobUPN, x.bossUPN)
			w.remove(x.boss)
			w.both(name) // the manager's own delete waits for the end of the run, and the reference for the delete
			w.sync(name, engine.ProfileDelta)
			w.wantManager(x.bobUPN, "")
			if _, alive := w.user(x.bossUPN); alive {
				t.Errorf("%s does not delete the manager", name)
			}
			w.graph.ResetCounters()
			if r := w.sync(name, engine.ProfileFull); r.Applied != 0 || w.writes() != 0 {
				t.Errorf("a second run of %s writes: %+v", name, r)
			}
		}
	})
}

// What a wave's target has to clear in its catch-up does not strand it.
func TestAManagerWhoIsTakenAwayIsClearedByAWavesCatchUp(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		sales := "OU=Sales," + s.base
		boss, bossUPN := w.person("boss", sales)
		ann, annUPN := w.person("ann", sales)
		w.reports(boss, ann)
		w.sync("connect", engine.ProfileFull)
		w.wantManager(annUPN, bossUPN)
		got := w.heldBefore(wave.Freeze, sales)
		w.modify(ann, "manager")
		for _, what := range []wave.For{wave.ForHold, wave.ForDifferences} { // what came while it was held is shown before it goes
			w.approve(got, what)
			got = w.drive(got.ID)
		}
		if got.Phase != wave.Soak {
			t.Fatalf("the wave: %+v", got)
		}
		w.sync("cloudsync", engine.ProfileDelta)
		w.wantManager(annUPN, "")
	})
}

// securityGroup adds a security group with members.
func (w *world) securityGroup(name, ou string, members ...string) string {
	w.t.Helper()
	dn := "CN=" + name + "," + ou
	w.add(dn, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {name}, "groupType": {"-2147483646"}, "displayName": {name}, "member": members})
	return dn
}

// tenantMembers gives the display names of a group's members in the tenant, false if there is no such group.
func (w *world) tenantMembers(name string) ([]string, bool) {
	names := map[string]string{}
	var out []string
	there := false
	all := w.model.State(false).Objects
	for _, o := range all {
		names[o.ID], _ = o.Properties["displayName"].(string)
	}
	for _, o := range all {
		if o.Properties["displayName"] == name && !o.Deleted && o.Kind == tenant.Group {
			there = true
			for _, m := range o.Members {
				out = append(out, names[m])
			}
		}
	}
	slices.Sort(out)
	return out, there
}

func (w *world) wantMembers(group string, want ...string) {
	w.t.Helper()
	slices.Sort(want)
	if got, there := w.tenantMembers(group); !there || !slices.Equal(got, want) {
		w.t.Errorf("%s has %v (there: %v), want %v", group, got, there, want)
	}
}

// findings gives what is found of an object, by code.
func (w *world) findings(ref string) map[gate.Code]objects.Finding {
	w.t.Helper()
	r, err := w.tandem.Host().Object(w.t.Context(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	out := map[gate.Code]objects.Finding{}
	for _, f := range r.Findings {
		out[f.Code] = f
	}
	return out
}

// Members of other kinds are left out, counted and named; the group is settled all the same, with either engine.
func TestMembersOfOtherKindsAreFindings(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 10)
		w.importPolicy()
		sales := "OU=Sales," + s.base
		ann, annUPN := w.person("ann", sales)
		contact := "CN=Partner," + sales
		w.add(contact, map[string][]string{"objectClass": {"contact"}, "displayName": {"Partner"}})
		computer := "CN=PC1," + sales
		w.add(computer, map[string][]string{"objectClass": {"computer"}, "sAMAccountName": {"PC1$"}, "userAccountControl": {"4096"}})
		group := w.securityGroup("mixed", sales, ann, contact, computer)
		w.modify(ann, "manager", contact)
		check := func(engineName string) {
			t.Helper()
			if r := w.sync(engineName, engine.ProfileFull); len(r.Errors) > 0 {
				t.Errorf("%s: %+v", engineName, r.Errors)
			}
			w.wantMembers("mixed", "Person ann")
			f := w.findings(group)[objects.CodeUnreachable]
			if f.Count != 2 || !slices.Contains(f.Examples, contact) || !slices.Contains(f.Examples, computer) || !strings.Contains(f.Message, "1 contact") {
				t.Errorf("%s: %+v", engineName, f)
			}
			if f := w.findings(ann)[objects.CodeUnreachable]; f.Count != 1 || !strings.Contains(f.Message, "manager") {
				t.Errorf("%s: %+v", engineName, f)
			}
		}
		check("connect")
		w.wantManager(annUPN, "")
		w.migrate(sales, "cloudsync")
		check("cloudsync")
		w.modify(group, "member", ann)
		w.sync("cloudsync", engine.ProfileDelta)
		if f, still := w.findings(group)[objects.CodeUnreachable]; still {
			t.Errorf("no other kinds any more: %+v", f)
		}
	})
}

// A linked group that gets an address stays linked: nobody's access goes with it, who leaves it leaves it, and it is said. Without the address it is as before.
func TestALinkedGroupThatGetsAnAddressGoesOnWithItsMembers(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		for _, engineName := range []string{"connect", "cloudsync"} {
			t.Run(engineName, func(t *testing.T) {
				w := emptyWorld(t, s)
				ou := "OU=Mail-" + engineName + "," + s.base
				w.add(ou, map[string][]string{"objectClass": {"organizationalUnit"}})
				w.write()
				w.open()
				text := fmt.Sprintf("version: 1\nfeatures: [users, groups]\nassignments:\n  - name: it\n    under: %s\n    engine: %s\n    features: [users, groups]\n", ou, engineName)
				if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(text), "test"); err != nil {
					t.Fatal(err)
				}
				ann, _ := w.person("ann-"+engineName, ou)
				bob, _ := w.person("bob-"+engineName, ou)
				group := w.securityGroup("crew-"+engineName, ou, ann, bob)
				w.securityGroup("mailed-"+engineName, ou, ann)
				w.modify("CN=mailed-"+engineName+","+ou, "mail", "mailed@"+s.domain)
				w.sync(engineName, engine.ProfileFull)
				w.wantMembers("crew-"+engineName, "Person ann-"+engineName, "Person bob-"+engineName)
				if _, there := w.tenantMembers("mailed-" + engineName); there {
					t.Error("a mail-enabled group was made as a security group")
				}
				w.modify(group, "proxyAddresses", "SMTP:crew@"+s.domain)
				w.modify(group, "member", ann)
				w.sync(engineName, engine.ProfileDelta)
				w.wantMembers("crew-"+engineName, "Person ann-"+engineName)
				if _, said := w.findings(group)[gate.CodeStaysLinked]; !said {
					t.Errorf("it is not said: %+v", w.findings(group))
				}
				w.graph.ResetCounters()
				if r := w.sync(engineName, engine.ProfileFull); r.Applied != 0 || w.writes() != 0 {
					t.Errorf("a second run writes: %+v", r.Errors)
				}
				w.modify(group, "proxyAddresses")
				w.modify(group, "displayName", "crew-"+engineName+"2")
				w.sync(engineName, engine.ProfileDelta)
				w.wantMembers("crew-"+engineName+"2", "Person ann-"+engineName)
				if f := w.findings(group); len(f) > 0 {
					t.Errorf("an ordinary group again: %+v", f)
				}
			})
		}
	})
}
