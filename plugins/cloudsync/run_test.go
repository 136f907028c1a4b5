package cloudsync_test

import (
	"testing"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/scoping"
)

const embedded = `{"agents":{"listen":"127.0.0.1:0","embedded":1}}`

func TestFullRunProposesEveryObjectOfItsScopesOnceAndReferencesLast(t *testing.T) {
	w := newWorld(t, 20, cloudsync.Options{}, embedded)
	w.set("CN=sales1,OU=Sales", "manager", w.dn("CN=engineering3,OU=Engineering"))
	w.grant(w.scope("OU=Sales"))
	o := w.run(w.full(w.scope("OU=Sales")))
	mustComplete(t, o)
	if len(o.base()) != 21 || len(o.proposals) != 42 {
		t.Fatalf("%d base proposals of %d", len(o.base()), len(o.proposals))
	}
	references := false
	for i, p := range o.proposals {
		references = references || p.Feature == scoping.References
		if references && p.Feature != scoping.References {
			t.Fatalf("proposal %d is of a base feature, after references", i)
		}
		if p.Seq != uint64(i+1) || p.Grant != 1 || p.Epoch != (scoping.Epoch{Incarnation: 1, N: 10}) || p.Want != engine.Present || p.Version == 0 {
			t.Fatalf("proposal %d: %+v", i, p)
		}
	}
	members := o.of(w.id("CN=Sales all,OU=Sales"), scoping.References).Refs["members"]
	if !members.Whole || len(members.Targets) != 20 {
		t.Fatalf("members: %+v", members)
	}
	manager := o.of(w.id("CN=sales1,OU=Sales"), scoping.References).Refs["manager"]
	if !manager.Whole || len(manager.Targets) != 1 || manager.Targets[0] != w.id("CN=engineering3,OU=Engineering") {
		t.Fatalf("manager: %+v", manager)
	}
	r := o.report()
	if r.DC != w.model.InvocationID() || r.USN != w.model.HighestUSN() || r.Directory != "contoso" {
		t.Fatalf("report: %+v", r)
	}
}

func TestDeltaRunProposesOnlyWhatChanged(t *testing.T) {
	w := newWorld(t, 5, cloudsync.Options{}, embedded)
	all := w.everything()
	w.grant(all)
	mustComplete(t, w.run(w.full(all)))
	if o := w.run(w.delta(all)); len(o.proposals) != 0 || !o.report().Complete {
		t.Fatalf("nothing changed: %d proposals, %+v", len(o.proposals), o.reports)
	}
	w.set("CN=sales1,OU=Sales", "title", "Boss")
	w.set("CN=sales2,OU=Sales", "title")
	w.addUser("Sales", "newcomer")
	gone := w.id("CN=sales3,OU=Sales")
	check(t, w.model.Delete(w.dn("CN=sales3,OU=Sales")))
	o := w.run(w.delta(all))
	mustComplete(t, o)
	if p := o.of(w.id("CN=sales1,OU=Sales"), scoping.Users); p == nil || p.Desired["jobTitle"].Text[0] != "Boss" {
		t.Fatalf("changed: %+v", p)
	}
	if p := o.of(w.id("CN=newcomer,OU=Sales"), scoping.Users); p == nil || p.Want != engine.Present {
		t.Fatalf("added: %+v", p)
	}
	if p := o.of(gone, scoping.Users); p == nil || p.Want != engine.Gone || p.Parent != w.guid("OU=Sales") || p.Grant != 1 {
		t.Fatalf("deleted: %+v", p)
	}
	if n := len(o.base()); n != 3 {
		t.Fatalf("%d base proposals: %v", n, wants(o.base()))
	}
	if o := w.run(w.delta(all)); len(o.proposals) != 0 {
		t.Fatalf("again: %v", wants(o.proposals))
	}
}

func TestMovesAreToldByPlaceAndOutOfScopeOnce(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, embedded)
	sales := w.scope("OU=Sales")
	w.grant(sales)
	mustComplete(t, w.run(w.full(sales)))
	id := w.id("CN=sales1,OU=Sales")
	check(t, w.model.Move(w.dn("CN=sales1,OU=Sales"), w.dn("OU=Engineering")))
	check(t, w.model.Move(w.dn("CN=engineering1,OU=Engineering"), w.dn("OU=Sales")))
	o := w.run(w.delta(sales))
	mustComplete(t, o)
	if p := o.of(id, scoping.Users); p == nil || p.Want != engine.OutOfScope || p.Parent != w.guid("OU=Engineering") || p.Grant != 1 {
		t.Fatalf("moved out: %+v", p)
	}
	if p := o.of(w.id("CN=engineering1,OU=Sales"), scoping.Users); p == nil || p.Want != engine.Present {
		t.Fatalf("moved in: %+v", p)
	}
	if len(o.base()) != 2 {
		t.Fatalf("%v", wants(o.base()))
	}
	if o := w.run(w.delta(sales)); len(o.proposals) != 0 {
		t.Fatalf("again: %v", wants(o.proposals))
	}
}

func TestMovedContainerCarriesItsObjects(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, embedded)
	w.add("OU=Team,OU=Engineering", "organizationalUnit", nil)
	w.add("OU=Inner,OU=Team,OU=Engineering", "organizationalUnit", nil)
	w.addUser("Inner,OU=Team,OU=Engineering", "deep")
	sales := w.scope("OU=Sales")
	w.grant(sales)
	mustComplete(t, w.run(w.full(sales)))
	check(t, w.model.Move(w.dn("OU=Team,OU=Engineering"), w.dn("OU=Sales")))
	o := w.run(w.delta(sales))
	if p := o.of(w.id("CN=deep,OU=Inner,OU=Team,OU=Sales"), scoping.Users); p == nil || p.Want != engine.Present {
		t.Fatalf("carried in: %v %+v", wants(o.proposals), o.reports)
	}
	check(t, w.model.Move(w.dn("OU=Team,OU=Sales"), w.dn("OU=Engineering")))
	o = w.run(w.delta(sales))
	if p := o.of(w.id("CN=deep,OU=Inner,OU=Team,OU=Engineering"), scoping.Users); p == nil || p.Want != engine.OutOfScope || p.Grant != 1 {
		t.Fatalf("carried out: %v", wants(o.proposals))
	}
}

func TestObjectsRunAnswersForEachObjectAsked(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, embedded)
	sales := w.scope("OU=Sales")
	w.grant(sales)
	gone := w.id("CN=sales2,OU=Sales")
	check(t, w.model.Delete(w.dn("CN=sales2,OU=Sales")))
	ask := []scoping.ObjectID{w.id("CN=sales1,OU=Sales"), gone, w.id("CN=engineering1,OU=Engineering"), w.id("CN=Sales all,OU=Sales")}
	o := w.run(engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{sales}, Objects: ask})
	mustComplete(t, o)
	for i, want := range []engine.Want{engine.Present, engine.Gone, engine.OutOfScope} {
		if p := o.of(ask[i], scoping.Users); p == nil || p.Want != want {
			t.Errorf("object %d: %+v", i, p)
		}
	}
	if o.of(ask[3], scoping.Groups) == nil || o.of(ask[3], scoping.References) == nil {
		t.Error("the group was not proposed with its members")
	}
	unknown := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{1, 2, 3}}
	o = w.run(engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{sales}, Objects: []scoping.ObjectID{unknown}})
	if p := o.of(unknown, ""); len(o.proposals) != 1 || p == nil || p.Want != engine.Unknown || p.Reason != engine.NotFound || p.Kind != "" {
		t.Fatalf("absence was taken for evidence: %+v", o.proposals)
	}
	mustComplete(t, o)
}

func TestExcludedObjectsAreProposedAsSuch(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	w.set("CN=sales0,OU=Sales", "adminDescription", "User_1234")
	w.add("CN=List,OU=Sales", "group", map[string][]string{"sAMAccountName": {"List"}, "groupType": {"2"}})
	sales := w.scope("OU=Sales")
	w.grant(sales)
	o := w.run(w.full(sales))
	mustComplete(t, o)
	if p := o.of(w.id("CN=sales0,OU=Sales"), scoping.Users); p.Want != engine.Excluded || p.Reason != "written-back" || o.of(p.Object, scoping.References) != nil {
		t.Errorf("written back: %+v", p)
	}
	if p := o.of(w.id("CN=List,OU=Sales"), scoping.Groups); p.Want != engine.Excluded || p.Reason != "distribution-group" {
		t.Errorf("distribution list: %+v", p)
	}
}

func TestChangesOutsideTheRunsScopesWaitForTheirRun(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, embedded)
	sales, engineering := w.scope("OU=Sales"), w.scope("OU=Engineering")
	w.grant(sales, engineering)
	mustComplete(t, w.run(w.full(sales, engineering)))
	w.set("CN=engineering1,OU=Engineering", "title", "Boss")
	w.set("CN=sales1,OU=Sales", "title", "Boss")
	if o := w.run(w.delta(sales)); len(o.base()) != 1 {
		t.Fatalf("first: %v", wants(o.proposals))
	}
	mustComplete(t, w.run(w.full(sales)))
	o := w.run(w.delta(engineering))
	if p := o.of(w.id("CN=engineering1,OU=Engineering"), scoping.Users); p == nil || p.Grant != 2 || len(o.base()) != 1 {
		t.Fatalf("second: %v", wants(o.proposals))
	}
}

func TestShadowRunNeedsNoGrant(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, embedded)
	r := w.full(w.scope("OU=Sales"))
	r.Ceiling = engine.ModeShadow
	o := w.run(r)
	mustComplete(t, o)
	for _, p := range o.proposals {
		if p.Grant != 0 || p.Epoch != (scoping.Epoch{}) {
			t.Fatalf("stamped without a grant: %+v", p)
		}
	}
	if len(o.base()) != 4 {
		t.Fatalf("%v", wants(o.proposals))
	}
}

func TestRunsCrossTheContractsWire(t *testing.T) {
	w := newWorld(t, 300, cloudsync.Options{}, embedded)
	w.via = enginetest.Wire(t, w.engine)
	all := w.everything()
	w.grant(all)
	o := w.run(w.full(all))
	mustComplete(t, o)
	if len(o.base()) < 600 {
		t.Fatalf("%d base proposals", len(o.base()))
	}
	if o := w.run(w.delta(all)); len(o.proposals) != 0 || !o.report().Complete {
		t.Fatalf("at rest: %v", wants(o.proposals))
	}
}

func TestContainerMovedIntoAnotherGrantIsNotForgottenByALimitedFullRun(t *testing.T) {
	w := newWorld(t, 1, cloudsync.Options{}, embedded)
	w.add("OU=Lobby", "organizationalUnit", nil)
	w.addUser("Lobby", "visitor")
	sales, engineering := w.scope("OU=Sales"), w.scope("OU=Engineering")
	w.grant(sales, engineering)
	mustComplete(t, w.run(w.full(sales, engineering)))
	check(t, w.model.Move(w.dn("OU=Lobby"), w.dn("OU=Engineering")))
	mustComplete(t, w.run(w.full(sales)))
	o := w.run(w.delta(engineering))
	if p := o.of(w.id("CN=visitor,OU=Lobby,OU=Engineering"), scoping.Users); p == nil || p.Want != engine.Present || p.Grant != 2 {
		t.Fatalf("lost: %v", wants(o.proposals))
	}
}

func TestEachDirectoryIsReportedAndTheLastOneSaysSo(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	m := lab.New(lab.Options{Domain: "fabrikam.test", AdminPassword: password})
	s, err := lab.Serve(t.Context(), m, lab.ServerOptions{})
	check(t, err)
	defer s.Close()
	w.config.Directories = append(w.config.Directories, engine.Directory{Name: "fabrikam", URLs: []string{s.URL()}, Base: m.Base(),
		User: m.AdminUser(), Password: password, CA: s.CAPEM()})
	check(t, w.engine.Configure(t.Context(), w.config))
	root, err := m.Lookup(m.Base())
	check(t, err)
	both := []scoping.Scope{w.everything(), {Directory: "fabrikam", Under: root.GUID, Features: []scoping.Feature{scoping.Users}}}
	w.grant(both...)
	o := w.run(w.full(both...))
	mustComplete(t, o)
	if len(o.reports) != 2 || !o.reports[0].Complete || !o.reports[0].More || o.reports[1].More || o.reports[0].Directory == o.reports[1].Directory {
		t.Fatalf("%+v", o.reports)
	}
	for _, p := range o.proposals {
		if (p.Object.Directory == "fabrikam") != (p.Grant == 2) {
			t.Fatalf("%+v", p)
		}
	}
}

// One answer for each feature that is asked for, also where the base feature belongs to another engine.
func TestAskedForReferencesAloneItAnswersForThem(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	w.set("CN=sales0,OU=Sales", "adminDescription", "User_1234")
	only := w.scope("OU=Sales")
	only.Features = []scoping.Feature{scoping.References}
	w.grant(only)
	leftOut, ann := w.id("CN=sales0,OU=Sales"), w.id("CN=sales1,OU=Sales")
	o := w.run(engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{only}, Objects: []scoping.ObjectID{leftOut, ann}})
	mustComplete(t, o)
	if p := o.of(leftOut, scoping.References); p == nil || p.Want != engine.Unknown || p.Reason != "written-back" {
		t.Errorf("left out: %+v", p)
	}
	if p := o.of(ann, scoping.References); p == nil || p.Want != engine.Present || len(o.proposals) != 2 {
		t.Errorf("%+v", o.proposals)
	}
}
