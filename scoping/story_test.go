package scoping_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/scoping"
)

func TestExplainInWords(t *testing.T) {
	w := contoso()
	p := mustCompile(t, example(w))
	got := p.Explain(w.container(2), scoping.User)
	want := []scoping.Explanation{
		{Feature: scoping.Users, Engine: "connect", Assignment: "everything",
			Because: `it lies under OU=Contractors,OU=Sales,DC=contoso,DC=test, which assignment "sales" excepts; of what remains, DC=contoso,DC=test is the deepest subtree`,
			Lost:    []scoping.Lost{{Assignment: "sales", Engine: "cloudsync", Because: "it excepts OU=Contractors,OU=Sales,DC=contoso,DC=test, under which the object lies"}}},
		{Feature: scoping.References, Engine: "connect", Assignment: "everything",
			Because: `references follow users: it lies under OU=Contractors,OU=Sales,DC=contoso,DC=test, which assignment "sales" excepts; of what remains, DC=contoso,DC=test is the deepest subtree`,
			Lost:    []scoping.Lost{{Assignment: "sales", Engine: "cloudsync", Because: "it excepts OU=Contractors,OU=Sales,DC=contoso,DC=test, under which the object lies"}}},
	}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	got = p.Explain(w.container(1), scoping.Group)
	if d := cmp.Diff([]scoping.Lost{{Assignment: "everything", Engine: "connect",
		Because: "its subtree DC=contoso,DC=test is not as deep as OU=Sales,DC=contoso,DC=test"}}, got[0].Lost); d != "" {
		t.Error(d)
	}
	if o := p.Explain(scoping.Place{Directory: "contoso"}, scoping.User); !strings.Contains(o[0].Because, "outside of every assignment's subtree") {
		t.Error(o)
	}
}

func TestMigratingOneOU(t *testing.T) {
	w := contoso()
	before := plainPolicy([]rule{{world: w, engine: "connect", features: both}})
	old := mustCompile(t, before).Succeed(nil, scoping.Epoch{Incarnation: 1, N: 1})
	after := example(w)
	after.Assignments = after.Assignments[:2]
	all := scoping.Diff(old, mustCompile(t, after))
	want := []scoping.HandOver{{From: "connect", To: "cloudsync", Assignment: "sales", FromAssignment: "a0",
		Scope: scoping.Scope{Directory: "contoso", Under: w.guid(1), Except: []scoping.GUID{w.guid(2)},
			Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.References}},
		Pins: []scoping.Pin{w.pin(1), w.pin(2)}}}
	if d := cmp.Diff(want, all); d != "" {
		t.Fatal(d)
	}
	p, err := old.Apply(all[0], scoping.Epoch{Incarnation: 1, N: 2})
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, a := range p.Policy().Assignments {
		said = append(said, a.Name+" "+a.Engine+" "+a.Under.DN)
		for _, e := range a.Except {
			said = append(said, "except "+e.DN)
		}
	}
	if d := cmp.Diff([]string{"a0 connect DC=contoso,DC=test", "sales cloudsync OU=Sales,DC=contoso,DC=test",
		"except OU=Contractors,OU=Sales,DC=contoso,DC=test"}, said); d != "" {
		t.Error(d)
	}
	if _, err := p.Apply(all[0], scoping.Epoch{Incarnation: 1, N: 3}); !errors.Is(err, scoping.ErrHandOver) {
		t.Errorf("a second time: %v", err)
	}
	if got := p.Engines(); !reflect.DeepEqual(got, []string{"cloudsync", "connect"}) {
		t.Errorf("engines %v", got)
	}
}

func TestSwitchingGroupsOn(t *testing.T) {
	w := contoso()
	users := plainPolicy([]rule{{world: w, engine: "connect", features: []scoping.Feature{scoping.Users}}})
	users.Features = []scoping.Feature{scoping.Users}
	old, new := mustCompile(t, users), mustCompile(t, plainPolicy([]rule{{world: w, engine: "connect", features: both}}))
	all := scoping.Diff(old, new)
	if len(all) != 1 || all[0].From != scoping.None || all[0].To != "connect" {
		t.Fatalf("%v", all)
	}
	p, err := old.Apply(all[0], scoping.Epoch{})
	if err != nil {
		t.Fatal(err)
	}
	if o := p.Owner(w.container(2), scoping.Group, scoping.References); !p.On(scoping.Groups) || o.Engine != "connect" {
		t.Errorf("%v", o)
	}
	empty := scoping.Diff(nil, new)
	if len(empty) != 1 || empty[0].Scope.Under != w.guid(0) {
		t.Errorf("%v", empty)
	}
	if p, err = scoping.Empty().Apply(empty[0], scoping.Epoch{}); err != nil || p.Owner(w.container(2), scoping.User, scoping.Users).Engine != "connect" {
		t.Errorf("into the empty partition: %v", err)
	}
}

func TestDriftIsReported(t *testing.T) {
	w := contoso()
	p := mustCompile(t, example(w))
	if d := p.Drift(w.locate); len(d) != 0 {
		t.Fatalf("at rest: %v", d)
	}
	w.name[1], w.name[2] = "OU=Verkauf,DC=contoso,DC=test", "OU=Contractors,OU=Verkauf,DC=contoso,DC=test"
	w.move(3, 1)
	w.name[3] = "OU=Service,OU=Verkauf,DC=contoso,DC=test"
	var got []string
	for _, d := range p.Drift(w.locate) {
		got = append(got, d.What+" "+d.Now+" "+strings.Join(d.Assignments, ","))
	}
	want := []string{"renamed OU=Verkauf,DC=contoso,DC=test sales", "shifted OU=Contractors,OU=Verkauf,DC=contoso,DC=test sales",
		"moved OU=Service,OU=Verkauf,DC=contoso,DC=test service accounts"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	gone := func(id scoping.ObjectID) (scoping.Pin, bool) {
		if id.GUID == w.guid(3) {
			return scoping.Pin{}, false
		}
		return contoso().locate(id)
	}
	if d := p.Drift(gone); len(d) != 1 || d[0].What != scoping.Vanished || d[0].Was != contoso().name[3] {
		t.Errorf("vanished: %v", d)
	}
}

func TestUnreadablePartitionsAreRefused(t *testing.T) {
	p := mustCompile(t, example(contoso()))
	good, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	for what, change := range map[string][2]string{
		"newer version":  {`"version":2`, `"version":3`},
		"stray owner":    {`"marks":[1,`, `"marks":[99,`},
		"stray parent":   {`"parent":0`, `"parent":77`},
		"cycle":          {`"parent":-1`, `"parent":1`},
		"too many marks": {`"marks":[`, `"marks":[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,`},
		"not an object":  {`{"version"`, `["version"`},
		"no owners left": {`"owners":[`, `"owners":[],"x":[`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		q := *p
		if err := json.Unmarshal([]byte(bad), &q); err == nil || bad == string(good) {
			t.Errorf("%s is read, error %v", what, err)
		}
		if q.Owner(contoso().container(1), scoping.User, scoping.Users).Engine != "cloudsync" {
			t.Errorf("%s changed the partition", what)
		}
	}
}

// A partition that the first version of the format holds, with eight fields, is read as it was meant.
func TestPartitionsOfTheFirstFormatAreRead(t *testing.T) {
	p := mustCompile(t, example(contoso()))
	b, err := json.Marshal(p)
	if err != nil {
		t.Fatal(err)
	}
	var old map[string]any
	if err := json.Unmarshal(b, &old); err != nil {
		t.Fatal(err)
	}
	old["version"] = 1
	for _, d := range old["directories"].([]any) {
		for _, n := range d.(map[string]any)["nodes"].([]any) {
			if m, ok := n.(map[string]any)["marks"].([]any); ok {
				n.(map[string]any)["marks"] = m[:8]
			}
		}
	}
	if b, err = json.Marshal(old); err != nil {
		t.Fatal(err)
	}
	var q scoping.Partition
	if err := json.Unmarshal(b, &q); err != nil {
		t.Fatal(err)
	}
	w := contoso()
	for n := range w.parent {
		for _, x := range []question{{scoping.User, scoping.Users}, {scoping.Group, scoping.References}} {
			if p.Owner(w.container(n), x.k, x.f) != q.Owner(w.container(n), x.k, x.f) {
				t.Errorf("%s in %s: %v and %v", x.f, w.name[n], p.Owner(w.container(n), x.k, x.f), q.Owner(w.container(n), x.k, x.f))
			}
		}
	}
}
