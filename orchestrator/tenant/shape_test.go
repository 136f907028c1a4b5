package tenant_test

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// samples are values of attributes that do not take any text.
var samples = cloud.Values{cloud.UPN: {"another@contoso.test"}, cloud.Mail: {"another@contoso.test"}, cloud.ImmutableID: {anchorOf("another")}, "userType": {"Guest"},
	"usageLocation": {"CZ"}, "preferredLanguage": {"cs-CZ"}, "ageGroup": {"Adult"}, "otherMails": {"a@x.test", "b@x.test"}, "visibility": {"Private"}, cloud.Nickname: {"nick"}}

func sample(p attribute.Attribute) []string {
	if v, ok := samples[p.Name]; ok {
		return v
	}
	if p.Form == attribute.Boolean {
		return []string{fmt.Sprint(p.Name == "securityEnabled")}
	}
	return []string{"some " + p.Name}
}

// takes sends a valid write and checks that the lab's tenant shows what it says.
func (w *world) takes(x cloud.Write) cloud.Object {
	w.Helper()
	if err := x.Valid(); err != nil {
		w.Fatal(err)
	}
	r := w.send(x)
	if r.Status != cloud.Done {
		w.Fatalf("%s %s %v %v: %+v", x.Op, x.Kind, x.Set, x.Refs, r)
	}
	o := w.one(cloud.Key{Kind: x.Kind, ID: r.CloudID, Deleted: x.Op == cloud.Delete})
	if !x.Shows(&o) {
		w.Errorf("%s %s %v %v has no effect: %+v", x.Op, x.Kind, x.Set, x.Refs, o)
	}
	return o
}

// The lab may not import the shape of a write; it is held to it instead: what is valid is taken, through the tenant client, and takes effect.
func TestTheLabTakesEveryValidShape(t *testing.T) {
	sent := map[string]bool{}
	w := newWorld(t)
	taken := func(x cloud.Write) cloud.Object {
		w.Helper()
		sent[fmt.Sprintf("%s %s", x.Op, x.Kind)] = true
		return w.takes(x)
	}
	whole := createUser("ann")
	for _, p := range attribute.Values(scoping.User) {
		if _, given := whole.Set[p.Name]; !given && p.Is(attribute.Writable) && p.Name != cloud.ImmutableID {
			whole.Set[p.Name] = sample(p)
		}
	}
	ann, bob, staff, board := taken(whole).ID, taken(createUser("bob")).ID, taken(createGroup("staff")).ID, taken(createGroup("board")).ID
	pat := taken(createContact("pat")).ID
	for kind, id := range map[scoping.Kind]string{scoping.User: bob, scoping.Group: staff, scoping.Contact: pat} {
		for _, name := range attribute.With(kind, attribute.Writable) {
			p, _ := attribute.Find(kind, name)
			update := cloud.Write{Op: cloud.Update, Kind: kind, CloudID: id, Set: cloud.Values{name: sample(p)}}
			if name == cloud.UniqueName || name == cloud.Mail || name == cloud.UPN {
				continue // unique, and ann has it; a uniqueName is set once
			}
			taken(update)
			update.Set[name] = nil
			if update.Valid() == nil {
				taken(update)
			}
		}
	}
	for _, name := range []string{cloud.UPN, cloud.Mail} {
		taken(cloud.Write{Op: cloud.Update, Kind: scoping.User, CloudID: bob, Set: cloud.Values{name: {"bob2@contoso.test"}}})
	}
	for _, refs := range [][]string{{ann}, {bob, board, pat}} {
		taken(cloud.Write{Op: cloud.AddMembers, Kind: scoping.Group, CloudID: staff, Refs: refs})
	}
	taken(cloud.Write{Op: cloud.RemoveMember, Kind: scoping.Group, CloudID: staff, Refs: []string{ann}})
	taken(cloud.Write{Op: cloud.SetManager, Kind: scoping.User, CloudID: ann, Refs: []string{bob}})
	taken(cloud.Write{Op: cloud.SetManager, Kind: scoping.User, CloudID: ann, Refs: []string{pat}})
	taken(cloud.Write{Op: cloud.ClearManager, Kind: scoping.User, CloudID: ann})
	taken(cloud.Write{Op: cloud.SetManager, Kind: scoping.Contact, CloudID: pat, Refs: []string{bob}})
	taken(cloud.Write{Op: cloud.ClearManager, Kind: scoping.Contact, CloudID: pat})
	for _, again := range []cloud.Values{nil, {cloud.UPN: {"ann3@contoso.test"}}} {
		taken(cloud.Write{Op: cloud.Delete, Kind: scoping.User, CloudID: ann})
		taken(cloud.Write{Op: cloud.Restore, Kind: scoping.User, CloudID: ann, Set: again})
	}
	taken(cloud.Write{Op: cloud.Delete, Kind: scoping.Group, CloudID: board})
	taken(cloud.Write{Op: cloud.Restore, Kind: scoping.Group, CloudID: board})
	if r := w.send(cloud.Write{Op: cloud.Delete, Kind: scoping.Contact, CloudID: pat}); r.Status != cloud.Done || len(w.find(cloud.Key{Kind: scoping.Contact, ID: pat})) > 0 {
		t.Errorf("delete of a contact: %+v", r)
	}
	sent["delete contact"] = true
	for _, op := range cloud.Ops() {
		for _, kind := range []scoping.Kind{scoping.User, scoping.Group, scoping.Contact} {
			if op.Takes(kind) && op != cloud.SetPassword && !sent[fmt.Sprintf("%s %s", op, kind)] {
				t.Errorf("%s of a %s is not tried", op, kind)
			}
		}
	}
}

// What has no valid shape never leaves the host.
func TestWritesWithoutAValidShapeAreNotSent(t *testing.T) {
	w := newWorld(t)
	s := w.scene()
	w.server.ResetCounters()
	for _, x := range []cloud.Write{
		{Op: cloud.ClearManager, Kind: scoping.User, CloudID: s.boss, Refs: []string{s.user}},
		{Op: cloud.Update, Kind: scoping.User, CloudID: s.boss, Set: cloud.Values{cloud.UPN: nil}},
		{Op: cloud.Restore, Kind: scoping.Contact, CloudID: s.boss},
	} {
		if r := w.send(x); r.Status != cloud.Rejected || r.Code != cloud.CodeImpossible {
			t.Errorf("%s: %+v", x.Op, r)
		}
	}
	if log, _ := w.server.Requests(); len(log) > 0 {
		t.Errorf("%d requests were sent", len(log))
	}
}
