package orchestrator_test

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Members that come into a group or leave it, and managers that go, are counted by reports and diffs and named as the directory names them, not by ids.
func TestMembersAndManagersThatComeAndGoAreCountedAndNamed(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		ou := "OU=Engineering," + s.base
		ann, _ := w.person("ann", ou)
		bob, _ := w.person("bob", ou)
		cleo, _ := w.person("cleo", ou)
		team := w.group("Team", ou, ann, bob)
		w.modify(ann, "manager", cleo)
		first := w.sync("connect", engine.ProfileFull)
		if first.Links.MembersAdded < 2 || first.Links.ManagersSet < 1 || first.Links.MembersRemoved+first.Links.ManagersCleared+len(first.Removals) > 0 {
			t.Fatalf("first: %+v, %+v", first.Links, first.Removals)
		}
		w.leave(team, bob)
		w.join(team, cleo)
		w.modify(ann, "manager")

		host := w.tandem.Host()
		_, _, js, err := host.Diff(t.Context(), plan.DiffOptions{Under: ou})
		if err != nil {
			t.Fatal(err)
		}
		c := plan.Count(js)
		if l := c.Links; l.MembersAdded != 1 || l.MembersRemoved != 1 || l.ManagersCleared != 1 || c.Update != 2 || c.Differ() != 2 {
			t.Errorf("counted: %+v", c)
		}
		for _, j := range js {
			if j.Key.Feature != scoping.References {
				continue
			}
			r := host.References(j, 5)
			switch {
			case r == nil:
				t.Errorf("nothing is told of %+v", j)
			case r.Of == cloud.Members && !(slices.Equal(r.AddedNames, []string{cleo}) && slices.Equal(r.RemovedNames, []string{bob})),
				r.Of == cloud.Manager && !(r.Added == 0 && slices.Equal(r.RemovedNames, []string{cleo})):
				t.Errorf("told: %s", r)
			}
		}

		second := w.sync("connect", engine.ProfileDelta)
		if l := second.Links; l.MembersAdded != 1 || l.MembersRemoved != 1 || l.ManagersCleared != 1 || l.ManagersSet != 0 {
			t.Errorf("written: %+v", l)
		}
		if len(second.Removals) != 2 {
			t.Fatalf("removals: %+v", second.Removals)
		}
		for _, x := range second.Removals {
			if want := map[string]string{team: bob, ann: cleo}[x.Object]; x.Count != 1 || !slices.Equal(x.Names, []string{want}) {
				t.Errorf("removed: %+v", x)
			}
		}
	})
}

// A plan says what becomes of what the tenant has: the values that differ with both of them, and the memberships of others that stay.
func TestAPlanShowsWhatATakeOverChangesAndKeeps(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		ou := "OU=Engineering," + s.base
		ann, upn := w.person("ann", ou)
		guest, guestUPN := w.person("visitor", "OU=Sales,"+s.base)
		w.modify(ann, "title", "Clerk")
		w.group("Team", ou, ann)
		w.sync("connect", engine.ProfileFull)
		if err := w.model.AddMember(w.groupOf("Team").ID, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+w.mustUser(guestUPN).ID); err != nil {
			t.Fatal(err)
		}
		w.modify(ann, "title", "Chief")
		p := w.plan(w.policyOf(assign("service accounts", "OU=Service,"+s.base, "none"), assign("engineers", ou, "cloudsync")))
		if len(p.Waves) != 1 || p.Waves[0].TakeOver == nil {
			t.Fatalf("planned: %+v", p.Waves)
		}
		x := p.Waves[0].TakeOver
		if len(x.Values) != 1 || x.Values[0].Attribute != "jobTitle" || x.Values[0].Objects != 1 || !slices.Equal(x.Values[0].Examples[0].Tenant, []string{"Clerk"}) || !slices.Equal(x.Values[0].Examples[0].Wanted, []string{"Chief"}) {
			t.Errorf("values of %s: %+v", upn, x.Values)
		}
		if x.Kept.References != 1 || x.Kept.Objects != 1 || !slices.Equal(x.Kept.Examples, []string{"CN=Team," + ou + ": " + guest}) {
			t.Errorf("kept: %+v", x.Kept)
		}
	})
}
