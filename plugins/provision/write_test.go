package provision_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

func target(op provision.Op) provision.Target {
	t := provision.Target{Op: op, Kind: scoping.User, Controller: "ldaps://dc1", Invocation: scoping.GUID{1}, Root: scoping.GUID{2},
		Link: provision.Link{Attribute: "msDS-ExternalDirectoryObjectId", Value: "User_1"}}
	if op != provision.Add {
		t.Object = scoping.GUID{3}
	}
	if op == provision.Add || op == provision.Move {
		t.Container = scoping.GUID{4}
	}
	return t
}

func writes() map[provision.Op]provision.Write {
	set := []provision.Set{{Attribute: "displayName", To: []string{"Ann"}}}
	return map[provision.Op]provision.Write{
		provision.Add:    {Target: target(provision.Add), Values: provision.Values{Set: set}},
		provision.Modify: {Target: target(provision.Modify), Values: provision.Values{Set: set, Disabled: &provision.Switch{To: true}}},
		provision.Rename: {Target: target(provision.Rename), Values: provision.Values{Name: "Ann", WasName: "User_1"}},
		provision.Move:   {Target: target(provision.Move), Values: provision.Values{From: scoping.GUID{5}}},
		provision.Delete: {Target: target(provision.Delete)},
	}
}

func TestWhatIsAWrite(t *testing.T) {
	for op, w := range writes() {
		if err := w.Valid(); err != nil {
			t.Errorf("%s: %v", op, err)
		}
	}
	refs := provision.Write{Target: target(provision.Modify), Values: provision.Values{Refs: []provision.Ref{{Attribute: "member", Add: []scoping.GUID{{9}}}}}}
	if err := refs.Valid(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoWrite(t *testing.T) {
	for name, spoil := range map[string]func(*provision.Write){
		"no controller":          func(w *provision.Write) { w.Controller = "" },
		"no invocation":          func(w *provision.Write) { w.Invocation = scoping.GUID{} },
		"no root":                func(w *provision.Write) { w.Root = scoping.GUID{} },
		"no link":                func(w *provision.Write) { w.Link.Value = "" },
		"a link that is no name": func(w *provision.Write) { w.Link.Attribute = "a=b" },
		"a contact":              func(w *provision.Write) { w.Kind = scoping.Contact },
		"no operation":           func(w *provision.Write) { w.Op = "overwrite" },
		"a password": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: "unicodePwd", To: []string{"x"}})
		},
		"who may sign in as it": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: "altSecurityIdentities", To: []string{"x"}})
		},
		"the anchor of the other direction": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: "mS-DS-ConsistencyGuid", To: []string{"x"}})
		},
		"all bits": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: "userAccountControl", To: []string{"512"}})
		},
		"the link as a value": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: strings.ToLower(w.Link.Attribute), To: []string{"x"}})
		},
		"one attribute twice": func(w *provision.Write) {
			w.Set = append(w.Set, provision.Set{Attribute: "x", To: []string{"x"}}, provision.Set{Attribute: "X", To: []string{"y"}})
		},
		"no value":                  func(w *provision.Write) { w.Set = append(w.Set, provision.Set{Attribute: "x", To: []string{""}}) },
		"nothing to nothing":        func(w *provision.Write) { w.Set = append(w.Set, provision.Set{Attribute: "x"}) },
		"an object that is no name": func(w *provision.Write) { w.Object, w.Container = scoping.GUID{}, scoping.GUID{} },
		"references and values": func(w *provision.Write) {
			w.Set, w.Refs = []provision.Set{{Attribute: "x", To: []string{"y"}}}, []provision.Ref{{Attribute: "member", Add: []scoping.GUID{{9}}}}
		},
		"a long name": func(w *provision.Write) { w.Name, w.WasName = strings.Repeat("n", 65), "n" },
	} {
		for op, w := range writes() {
			spoil(&w)
			if err := w.Valid(); !errors.Is(err, provision.ErrShape) {
				t.Errorf("%s of %s: %v", name, op, err)
			}
		}
	}
}

func TestEveryCodeIsKnownOnce(t *testing.T) {
	codes := provision.Codes()
	if slices.Sort(codes); len(slices.Compact(codes)) != len(provision.Codes()) || provision.Code("never").Known() || !provision.Done.Known() {
		t.Error("the codes are not a set")
	}
}

func TestWhatIsALook(t *testing.T) {
	good := provision.Look{Controller: "ldaps://dc1", Terms: []provision.Term{{Attribute: "cn", Value: "Ann"}, {Attribute: "objectGUID", Value: scoping.GUID{1}.String()}}}
	if err := good.Valid(); err != nil {
		t.Error(err)
	}
	for _, bad := range []provision.Look{
		{Terms: good.Terms}, {Controller: "x"}, {Controller: "x", Terms: []provision.Term{{Attribute: "objectGUID", Value: "Ann"}}},
		{Controller: "x", Terms: []provision.Term{{Attribute: "cn)(x", Value: "Ann"}}}, {Controller: "x", Terms: good.Terms, Attributes: []string{"*"}},
		{Controller: "x", Terms: make([]provision.Term, provision.MaxTerms+1)},
	} {
		if err := bad.Valid(); !errors.Is(err, provision.ErrShape) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
