package directory_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

func genGUID(t *rapid.T, label string) (g scoping.GUID) {
	copy(g[:], rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, label))
	return g
}

func genLinks(t *rapid.T, label string) []directory.Link {
	n := rapid.IntRange(0, 4).Draw(t, label)
	var out []directory.Link
	for range n {
		l := directory.Link{GUID: genGUID(t, label), DN: rapid.String().Draw(t, label)}
		if rapid.Bool().Draw(t, label) {
			l.SID = rapid.SliceOfN(rapid.Byte(), 1, 30).Draw(t, label)
		}
		out = append(out, l)
	}
	return out
}

func genEntry(t *rapid.T) directory.Entry {
	e := directory.Entry{GUID: genGUID(t, "guid"), Parent: genGUID(t, "parent"), LastParent: genGUID(t, "last"),
		DN: rapid.String().Draw(t, "dn"), Deleted: rapid.Bool().Draw(t, "deleted"), Version: rapid.Uint64().Draw(t, "version"),
		LastKnownParent: rapid.String().Draw(t, "lkp")}
	if n := rapid.IntRange(0, 4).Draw(t, "attrs"); n > 0 {
		e.Attrs = map[string][][]byte{}
		for range n {
			values := make([][]byte, rapid.IntRange(0, 3).Draw(t, "values"))
			for i := range values {
				values[i] = append([]byte{}, rapid.SliceOf(rapid.Byte()).Draw(t, "value")...)
			}
			e.Attrs[rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "name")] = values
		}
	}
	if n := rapid.IntRange(0, 2).Draw(t, "links"); n > 0 {
		e.Links = map[string]directory.LinkChange{}
		for range n {
			e.Links[rapid.StringMatching(`[a-z]{1,8}`).Draw(t, "link")] = directory.LinkChange{Whole: rapid.Bool().Draw(t, "whole"),
				Targets: genLinks(t, "targets"), Added: genLinks(t, "added"), Removed: genLinks(t, "removed")}
		}
	}
	return e
}

func TestEncodingGivesBackTheEntryAndEveryCutIsRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := genEntry(t)
		b := e.Encode()
		got, err := directory.DecodeEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		if d := cmp.Diff(e, got); d != "" {
			t.Fatal(d)
		}
		cut := rapid.IntRange(0, len(b)-1).Draw(t, "cut")
		if _, err := directory.DecodeEntry(b[:cut]); !errors.Is(err, directory.ErrEncoding) {
			t.Fatalf("cut at %d of %d: %v", cut, len(b), err)
		}
		if _, err := directory.DecodeEntry(append(bytes.Clone(b), 0)); !errors.Is(err, directory.ErrEncoding) {
			t.Fatalf("a byte too many: %v", err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{1, 0})
	f.Add(directory.Entry{DN: "CN=a", Attrs: map[string][][]byte{"cn": {[]byte("a")}, "sn": {}},
		Links: map[string]directory.LinkChange{"member": {Added: []directory.Link{{DN: "x", SID: []byte{1}}}}}}.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := directory.DecodeEntry(b)
		if err != nil {
			if !errors.Is(err, directory.ErrEncoding) {
				t.Fatalf("%v", err)
			}
			return
		}
		again, err := directory.DecodeEntry(e.Encode())
		if err != nil || !again.Equal(e) {
			t.Fatalf("not stable: %+v %v", e, err)
		}
	})
}

func TestKindFollowsTheMostSpecificClass(t *testing.T) {
	for want, classes := range map[scoping.Kind][][]string{
		scoping.User: {{"top", "person", "organizationalPerson", "user"}, {"top", "person", "organizationalPerson", "user", "inetOrgPerson"}},
		scoping.Device: {{"top", "person", "organizationalPerson", "user", "computer"},
			{"top", "person", "organizationalPerson", "user", "computer", "msDS-GroupManagedServiceAccount"}},
		scoping.Group:   {{"top", "group"}},
		scoping.Contact: {{"top", "person", "organizationalPerson", "contact"}},
		directory.OU:    {{"top", "organizationalUnit"}, {"top", "container"}, {"top", "domain", "domainDNS"}, {"top", "builtinDomain"}},
		directory.Other: {{"top", "leaf", "trustedDomain"}, {}},
	} {
		for _, list := range classes {
			e := directory.Entry{Attrs: map[string][][]byte{"objectclass": nil}}
			for _, c := range list {
				e.Attrs["objectclass"] = append(e.Attrs["objectclass"], []byte(c))
			}
			if got := e.Kind(); got != want {
				t.Errorf("%v: %s, want %s", list, got, want)
			}
		}
	}
}

func TestApplyPutsAChangeOntoWhatWasKnown(t *testing.T) {
	a, b, c := scoping.GUID{1}, scoping.GUID{2}, scoping.GUID{3}
	link := func(gs ...scoping.GUID) (out []directory.Link) {
		for _, g := range gs {
			out = append(out, directory.Link{GUID: g})
		}
		return out
	}
	before := directory.Entry{GUID: scoping.GUID{9}, Parent: a, DN: "CN=x,OU=a", Version: 5,
		Attrs: map[string][][]byte{"sn": {[]byte("old")}, "title": {[]byte("kept")}, "mail": {[]byte("m")}},
		Links: map[string]directory.LinkChange{"member": {Whole: true, Targets: link(a, b)}, "manager": {Whole: true, Targets: link(a)}}}
	change := directory.Entry{GUID: scoping.GUID{9}, Parent: b, DN: "CN=x,OU=b",
		Attrs: map[string][][]byte{"sn": {[]byte("new")}, "mail": {}},
		Links: map[string]directory.LinkChange{"member": {Added: link(c), Removed: link(a)}}}
	kept := before.Encode()
	want := directory.Entry{GUID: scoping.GUID{9}, Parent: b, DN: "CN=x,OU=b", Version: 5,
		Attrs: map[string][][]byte{"sn": {[]byte("new")}, "title": {[]byte("kept")}},
		Links: map[string]directory.LinkChange{"member": {Whole: true, Targets: link(b, c)}, "manager": {Whole: true, Targets: link(a)}}}
	got := before.Apply(change)
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(want, got.Apply(change)); d != "" {
		t.Errorf("a change told twice: %s", d)
	}
	if !bytes.Equal(kept, before.Encode()) {
		t.Error("Apply modified what it was given")
	}
	dead := got.Apply(directory.Entry{GUID: scoping.GUID{9}, DN: "CN=x\\0ADEL", Deleted: true, LastParent: b, LastKnownParent: "OU=b",
		Attrs: map[string][][]byte{"isdeleted": {[]byte("TRUE")}}})
	if !dead.Deleted || dead.LastParent != b {
		t.Errorf("%+v", dead)
	}
	back := directory.Entry{GUID: scoping.GUID{9}, DN: "CN=x,OU=b", Parent: b, Attrs: map[string][][]byte{"isdeleted": {}}}
	if !back.Restored() || dead.Apply(back).Deleted {
		t.Error("a restored object is still deleted")
	}
}
