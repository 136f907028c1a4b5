package orchestrator_test

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Who comes into a group and leaves it, and whose manager goes, is counted by reports and diffs, and named by the directory's names: nobody has to look up ids.
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
