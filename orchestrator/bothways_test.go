package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/seed"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
)

// brought are the update numbers of everything that the other direction made.
func (w *hr) brought() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, ou := range []string{"New Hires", "Teams"} {
		res, err := w.conn.Search(ldap.NewSearchRequest("OU="+ou+","+w.site.base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"uSNChanged"}, nil))
		w.must(err)
		for _, e := range res.Entries {
			out[e.DN] = e.GetAttributeValue("uSNChanged")
		}
	}
	return out
}

// everybody is what the tenant has, by id; an anchor has one object.
func (w *hr) everybody() map[string]string {
	w.t.Helper()
	out, anchors := map[string]string{}, map[string]bool{}
	for _, o := range w.model.State(false).Objects {
		if o.Deleted || o.Kind != tenant.User && o.Kind != tenant.Group {
			continue
		}
		anchor, _ := o.Properties["onPremisesImmutableId"].(string)
		if anchor != "" && anchors[anchor] {
			w.t.Errorf("two objects of the tenant have the anchor %s", anchor)
		}
		out[o.ID], anchors[anchor] = anchor, true
	}
	return out
}

// again lets the engines read everything anew, in an order, and wants that nothing is written on either side.
func (w *hr) again(order ...string) {
	w.t.Helper()
	was, accounts := w.everybody(), w.brought()
	w.graph.ResetCounters()
	for _, e := range order {
		r, err := w.tandem.Host().SyncAll(w.t.Context(), e, run.SyncOptions{Profile: "full"})
		if err != nil || r.Applied != 0 || r.Failed+r.Held+r.Refused+r.Deferred > 0 || !r.Complete {
			w.t.Errorf("%s of %v: %v %+v", e, order, err, r)
		}
	}
	if n := w.writes(); n != 0 {
		w.t.Errorf("%v: %d needless writes into the tenant", order, n)
	}
	if is := w.everybody(); !maps.Equal(is, was) {
		w.t.Errorf("%v: the tenant has other objects: %d, and %d before", order, len(is), len(was))
	}
	if is := w.brought(); !maps.Equal(is, accounts) {
		w.t.Errorf("%v: needless writes into the directory:\n%v\n%v", order, accounts, is)
	}
}

// Issue 10, it works when 3: the whole company goes to the tenant, hires and their team come from it, three times in any order, with a wave of the directory's users in between.
func TestTheWholeCompanyAndItsHiresGoBothWays(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.seed = seed.Plan(60, 1, s.domain)
		w.must(w.seed.Apply(t.Context(), w.conn))
		team, err := w.model.CreateGroup(map[string]any{"displayName": "Research", "mailNickname": "research", "mailEnabled": false, "securityEnabled": true})
		w.must(err)
		for n := range 10 {
			w.must(w.model.AddMember(team.ID, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+w.hire(n, nil)))
		}
		w.open()
		w.importText(fmt.Sprintf(bothPolicy, s.base))
		w.sync()
		for _, id := range slices.Sorted(maps.Keys(w.everybody()))[:3] { // people of the directory, too, perhaps
			_ = w.model.AddMember(team.ID, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+id) // a member already, or the group itself
		}
		for range 2 {
			w.sync()
		}
		if n := len(w.accounts()); n != 10 {
			t.Fatalf("%d accounts of 10 hires", n)
		}
		w.again("connect", "cloudsync", "connect")
		w.again("cloudsync", "cloudsync", "connect")
		if _, _, err := w.tandem.Host().Migrate(t.Context(), "OU=Sales,"+s.base, "cloudsync", nil, nil, acts.ApplyOptions{Options: wave.Options{AutoComplete: true}, By: "test"}); err != nil {
			t.Fatal(err)
		}
		w.again("cloudsync", "connect", "cloudsync")
		w.again("connect", "connect", "cloudsync")
	})
}
