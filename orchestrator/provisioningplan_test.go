package orchestrator_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// plans computes a plan of a policy and returns what it says of the other direction.
func (w *hr) plans(policy string) (*plan.Plan, []plan.Bringing) {
	w.t.Helper()
	p, err := w.tandem.Host().Plan(w.t.Context(), plan.PlanOptions{File: "policy.yaml", Text: []byte(policy)})
	w.must(err)
	return p, p.Bringing
}

func (w *hr) begin(p *plan.Plan) {
	w.t.Helper()
	w.must(w.tandem.Host().Begin(w.t.Context(), p, "ann", wave.Options{}))
}

// one is what is named of one kind of what would be done.
func one(b plan.Bringing, op string) plan.Brought {
	i := slices.IndexFunc(b.Examples, func(x plan.Brought) bool { return x.Op == op })
	if i < 0 {
		return plan.Brought{}
	}
	return b.Examples[i]
}

// What a plan says of the direction from the tenant into the directory is what then happens, and planning writes nothing.
func TestAPlanSaysWhatWouldBeBrought(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newHR(t, s)
		w.add("OU=Contractors,OU=New Hires,"+s.base, map[string][]string{"objectClass": {"organizationalUnit"}})
		w.add("CN=Otto Native,OU=New Hires,"+s.base, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {"otto"}, "employeeID": {"7003"}})
		ann, bob := w.hire(1, nil), w.hire(2, nil)
		w.hire(3, nil)
		w.open()
		directoryOnly := fmt.Sprintf("version: 1\nfeatures: [users, groups]\nassignments:\n  - {name: everything, under: %q, engine: connect, features: [users, groups]}\n", s.base)
		w.importText(directoryOnly)
		if _, bs := w.plans(directoryOnly); len(bs) != 0 {
			t.Errorf("%+v", bs)
		}
		hires := fmt.Sprintf(hiresPolicy, s.base, s.base)
		p, bs := w.plans(hires)
		if len(bs) != 1 || *bs[0].Predicted != (plan.Brings{Create: 2, Join: 1}) || bs[0].Objects[scoping.User] != 3 || bs[0].Basis != "shadow-run" || bs[0].Way != "tenant → directory" {
			t.Fatalf("%+v %+v", bs, bs[0].Predicted)
		}
		if c := one(bs[0], "create"); c.Object != "Hire Number1" && c.Object != "Hire Number2" || !strings.EqualFold(c.Container, "OU=New Hires,"+s.base) {
			t.Errorf("%+v", c)
		}
		if j := one(bs[0], "join"); j.Object != "Hire Number3" || !j.Waits || !strings.Contains(j.Reason, "Otto Native") {
			t.Errorf("%+v", j)
		}
		if n := len(w.accounts()); n != 1 {
			t.Errorf("planning made %d accounts", n-1)
		}
		w.begin(p)
		if r := w.brings(); r.Creates != 2 || r.Held != 1 {
			t.Errorf("%+v", r)
		}

		// Somebody changes, and somebody leaves.
		w.must(w.model.UpdateUser(ann, map[string]any{"department": "Sales"}))
		w.must(w.model.RemoveMember(w.group, bob))
		_, bs = w.plans(hires)
		if *bs[0].Predicted != (plan.Brings{Update: 1, Disable: 1, Join: 1}) || one(bs[0], "update").Object != "Hire Number1" || one(bs[0], "disable").DN != w.account(bob).DN || !one(bs[0], "disable").Waits {
			t.Errorf("%+v %+v", bs[0], bs[0].Predicted)
		}

		// Below another container nobody is joined who lies outside it, and who was brought stays where it is until somebody moves it.
		below := strings.Replace(hires, `under: "OU=New Hires`, `under: "OU=Contractors,OU=New Hires`, 1)
		_, bs = w.plans(below)
		codes := map[string]string{}
		for _, x := range bs[0].Examples {
			codes[x.Object] = x.Op + " " + x.Code
		}
		if bs[0].Predicted.Failed != 2 || codes["Hire Number1"] != "failed outside" || codes["Hire Number3"] != "failed join-outside" {
			t.Errorf("%+v %+v", bs[0], bs[0].Predicted)
		}
		teams, err := w.model.CreateGroup(map[string]any{"displayName": "Movers", "mailNickname": "movers", "mailEnabled": false, "securityEnabled": true})
		w.must(err)
		w.must(w.model.AddMember(teams.ID, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+ann))
		both := hires + fmt.Sprintf("  - {name: movers, priority: 5, under: \"OU=Teams,%s\", from: {groups: [Movers]}, link: adminDescription, engine: cloudsync, features: [user-provisioning]}\n", s.base)
		p, bs = w.plans(both)
		i := slices.IndexFunc(bs, func(b plan.Bringing) bool { return b.Assignment == "movers" })
		if *bs[i].Predicted != (plan.Brings{Update: 1, Move: 1}) || one(bs[i], "move").DN != w.account(ann).DN || !strings.EqualFold(one(bs[i], "move").Container, "OU=Teams,"+s.base) {
			t.Fatalf("%+v %+v", bs[i], bs[i].Predicted)
		}
		w.begin(p)
		if r := w.brings(); r.Failed > 0 || w.accounts()["User_"+ann] != nil {
			t.Errorf("whoever another assignment takes now is not in its container: %+v", r)
		}
		if r := w.brings(); r.Applied != 0 || r.Failed > 0 {
			t.Errorf("%+v", r)
		}
	})
}
