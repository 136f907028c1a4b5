package scoping_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/scoping"
)

// hires is a policy whose second assignment's OU gets the members of a group of the tenant.
func hires(w *world) scoping.Policy {
	p := example(w)
	p.Features = []scoping.Feature{scoping.Users, scoping.Groups, scoping.UserProvisioning}
	p.Assignments = append(p.Assignments[:1:1], scoping.Assignment{Name: "hires", Directory: "contoso", Under: w.pin(1), Engine: "cloudsync", Priority: 3,
		Features: []scoping.Feature{scoping.UserProvisioning}, From: scoping.From{Groups: []scoping.TenantGroup{{Name: "Hired", ID: "id"}}}})
	return p
}

func TestAContainerBelongsToWhoeverBringsObjectsToIt(t *testing.T) {
	w := contoso()
	p := hires(w)
	part, err := scoping.Compile(p, provisioners())
	if err != nil {
		t.Fatal(err)
	}
	under := p.Assignments[1].Under
	inside := scoping.Place{Directory: "contoso", Ancestors: append([]scoping.GUID{{77}, under.GUID}, under.Ancestors...)}
	outside := scoping.Place{Directory: "contoso", Ancestors: under.Ancestors}
	b, err := json.Marshal(part)
	if err != nil {
		t.Fatal(err)
	}
	var again scoping.Partition
	if err := json.Unmarshal(b, &again); err != nil {
		t.Fatal(err)
	}
	for _, x := range []*scoping.Partition{part, &again, part.Succeed(nil, scoping.Epoch{N: 1})} {
		if o := x.Owner(inside, scoping.User, scoping.UserProvisioning); o.Engine != "cloudsync" || o.Assignment != "hires" || !o.Managed {
			t.Errorf("inside: %+v", o)
		}
		if o := x.Owner(outside, scoping.User, scoping.UserProvisioning); o.Engine != scoping.None || o.Managed {
			t.Errorf("outside: %+v", o)
		}
		if o := x.Owner(inside, scoping.User, scoping.Users); o.Assignment != p.Assignments[0].Name {
			t.Errorf("the other direction: %+v", o)
		}
		if got := x.Provisioning(); len(got) != 1 || got[0].From.Groups[0].ID != "id" {
			t.Errorf("%+v", got)
		}
		if diff := cmp.Diff(p.Assignments[1].Name, x.Policy().Assignments[len(x.Policy().Assignments)-1].Name); diff != "" {
			t.Error(diff)
		}
	}
}

func TestWhatIsBroughtChangesWithoutAHandOver(t *testing.T) {
	w := contoso()
	p := hires(w)
	was, err := scoping.Compile(p, provisioners())
	if err != nil {
		t.Fatal(err)
	}
	p.Assignments = slices.Clone(p.Assignments)
	p.Assignments[1].From.Groups = []scoping.TenantGroup{{Name: "Others", ID: "id2"}}
	is, err := scoping.Compile(p, provisioners())
	if err != nil {
		t.Fatal(err)
	}
	if d := scoping.Diff(was, is); len(d) > 0 {
		t.Errorf("it hands over %v", d)
	}
	next, changes := was.Restate(is)
	if len(changes) != 1 || !strings.Contains(changes[0].To, "Others") || next.Provisioning()[0].From.Groups[0].ID != "id2" || next.Revision() != was.Revision()+1 {
		t.Errorf("%v", changes)
	}
	if same, none := next.Restate(is); len(none) > 0 || same != next {
		t.Errorf("again: %v", none)
	}
}

func provisioners() map[string]scoping.EngineCaps {
	caps := engineCaps()
	c := caps["cloudsync"]
	c.Features = append(slices.Clone(c.Features), scoping.UserProvisioning)
	caps["cloudsync"] = c
	return caps
}
