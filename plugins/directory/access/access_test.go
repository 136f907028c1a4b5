package access_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/scoping"
)

func sid(t testing.TB, s string) access.SID {
	t.Helper()
	out, err := access.ParseSID(s)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func guid(t testing.TB, s string) scoping.GUID {
	t.Helper()
	g, err := scoping.ParseGUID(s)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestSIDsAreWrittenAndReadAsWindowsDoes(t *testing.T) {
	for _, s := range []string{"S-1-1-0", "S-1-5-32-544", "S-1-5-21-4165470373-1149393814-3949185098-500", "S-1-5-21-1-2-3-4-5-6-7-8-9-10-11-12-13-4294967295", "S-1-281474976710655-1"} {
		got := sid(t, s)
		if got.String() != s {
			t.Errorf("%s became %s", s, got)
		}
		if again, err := access.SIDFromBytes([]byte(got)); err != nil || again != got {
			t.Errorf("%s: %v", s, err)
		}
	}
	if got := sid(t, "S-1-5-32-544"); string(got) != "\x01\x02\x00\x00\x00\x00\x00\x05\x20\x00\x00\x00\x20\x02\x00\x00" {
		t.Errorf("%x", string(got))
	}
	for _, s := range []string{"", "S-1", "S-2-5-1", "S-1-5-4294967296", "S-1-x", "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16", "S-1-5--1"} {
		if _, err := access.ParseSID(s); !errors.Is(err, access.ErrSID) {
			t.Errorf("%q: %v", s, err)
		}
	}
	domain, rid, ok := sid(t, "S-1-5-21-1-2-3-500").RID()
	if !ok || rid != 500 || domain != sid(t, "S-1-5-21-1-2-3") || domain.With(512) != sid(t, "S-1-5-21-1-2-3-512") {
		t.Errorf("%s %d %v", domain, rid, ok)
	}
	if _, _, ok := access.Everyone.RID(); ok {
		t.Error("Everyone has a domain")
	}
}

func TestPowerfulGroupsOfAnyDomainAreKnown(t *testing.T) {
	for _, s := range []string{"S-1-5-32-544", "S-1-5-32-548", "S-1-5-32-549", "S-1-5-32-550", "S-1-5-32-551", "S-1-5-9", "S-1-5-21-1-2-3-512", "S-1-5-21-9-9-9-512",
		"S-1-5-21-1-2-3-516", "S-1-5-21-1-2-3-517", "S-1-5-21-1-2-3-518", "S-1-5-21-1-2-3-519", "S-1-5-21-1-2-3-521", "S-1-5-21-1-2-3-526", "S-1-5-21-1-2-3-527"} {
		if g, ok := access.Protected(sid(t, s)); !ok || g.Name == "" {
			t.Errorf("%s is not powerful", s)
		}
	}
	for _, s := range []string{"S-1-5-32-545", "S-1-5-32-554", "S-1-1-0", "S-1-5-11", "S-1-5-21-1-2-3-513", "S-1-5-21-1-2-3-1512", "S-1-5-21-1-2-512", "S-1-5-32-512"} {
		if g, ok := access.Protected(sid(t, s)); ok {
			t.Errorf("%s is %s", s, g.Name)
		}
	}
	for s, want := range map[string]bool{"S-1-5-21-1-2-3-500": true, "S-1-5-21-1-2-3-502": true, "S-1-5-21-1-2-3-501": true, "S-1-5-21-1-2-3-1500": false, "S-1-5-32-500": false} {
		if name, ok := access.BuiltIn(sid(t, s)); ok != want {
			t.Errorf("%s: %q", s, name)
		}
	}
}

const (
	resetPassword  = "00299570-246d-11d0-a768-00aa006e0529"
	changePassword = "ab721a53-1e2f-11d0-9819-00aa0040529b"
	pwdLastSet     = "bf967a0a-0de6-11d0-a285-00aa003049e2"
	restrictions   = "4c164200-20c0-11d0-a768-00aa006e0529"
	lockoutTime    = "28630ebf-41d5-11d1-a9c1-0000f80367c1"
	users          = delegation.Users
	groups         = "bf967a9c-0de6-11d0-a285-00aa003049e2"
)

// empty is a descriptor with an empty access list, owned by nobody.
var empty = []byte{1, 0, 4, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, 0, 0, 0, 4, 0, 8, 0, 0, 0, 0, 0}

type given struct {
	to string
	delegation.Entry
}

// list makes a descriptor whose entries stand in the order in which they are given.
func list(t testing.TB, entries ...given) access.Descriptor {
	t.Helper()
	b := empty
	for _, e := range slices.Backward(entries) {
		next, err := delegation.With(b, []byte(sid(t, e.to)), e.Entry)
		if err != nil {
			t.Fatal(err)
		}
		b = next
	}
	d, err := access.ParseDescriptor(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestTheFirstEntryThatSpeaksOfARightDecides(t *testing.T) {
	const me, group, other = "S-1-5-21-1-2-3-1103", "S-1-5-21-1-2-3-1104", "S-1-5-21-1-2-3-1105"
	token := access.NewToken(sid(t, me), []access.SID{sid(t, group)})
	reset := access.Right{Mask: access.ControlAccess, Object: guid(t, resetPassword)}
	write := access.Right{Mask: access.WriteProperty, Object: guid(t, pwdLastSet), Set: guid(t, restrictions)}
	allow := func(to string, mask uint32, about string) given {
		return given{to, delegation.Entry{Mask: mask, About: about}}
	}
	deny := func(to string, mask uint32, about string) given {
		return given{to, delegation.Entry{Mask: mask, About: about, Deny: true}}
	}
	for name, c := range map[string]struct {
		d     access.Descriptor
		right access.Right
		want  bool
	}{
		"nothing is said":                       {list(t), reset, false},
		"to me":                                 {list(t, allow(me, 0x100, resetPassword)), reset, true},
		"to a group":                            {list(t, allow(group, 0x100, resetPassword)), reset, true},
		"to everyone":                           {list(t, allow("S-1-1-0", 0x100, resetPassword)), reset, true},
		"to who signed in":                      {list(t, allow("S-1-5-11", 0x100, resetPassword)), reset, true},
		"to another":                            {list(t, allow(other, 0x100, resetPassword)), reset, false},
		"another right":                         {list(t, allow(me, 0x100, changePassword)), reset, false},
		"another kind of right":                 {list(t, allow(me, 0x30, resetPassword)), reset, false},
		"all control access rights":             {list(t, allow(me, 0x100, "")), reset, true},
		"full control":                          {list(t, allow(me, 0xf01ff, "")), reset, true},
		"generic all":                           {list(t, allow(me, 0x10000000, "")), reset, true},
		"generic write gives properties":        {list(t, allow(me, 0x40000000, "")), write, true},
		"generic write gives no control access": {list(t, allow(me, 0x40000000, "")), reset, false},
		"denied before":                         {list(t, deny(group, 0x100, resetPassword), allow(me, 0x100, resetPassword)), reset, false},
		"denied after":                          {list(t, allow(me, 0x100, resetPassword), deny(me, 0x100, resetPassword)), reset, true},
		"all denied before":                     {list(t, deny("S-1-1-0", 0x100, ""), allow(me, 0x100, resetPassword)), reset, false},
		"another right denied before":           {list(t, deny(me, 0x100, changePassword), allow(me, 0x100, resetPassword)), reset, true},
		"the property":                          {list(t, allow(me, 0x20, pwdLastSet)), write, true},
		"its set":                               {list(t, allow(me, 0x20, restrictions)), write, true},
		"another property":                      {list(t, allow(me, 0x20, lockoutTime)), write, false},
		"its set denied before":                 {list(t, deny(me, 0x20, restrictions), allow(me, 0x20, pwdLastSet)), write, false},
		"all properties asked, one given":       {list(t, allow(me, 0x20, pwdLastSet)), access.Right{Mask: access.WriteProperty}, false},
		"for objects below only":                {list(t, given{me, delegation.Entry{Mask: 0x100, About: resetPassword, For: users}}), reset, false},
		"to itself":                             {list(t, allow("S-1-5-10", 0x100, resetPassword)), reset, true},
	} {
		if got := c.d.Allows(token, sid(t, me), c.right); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	if list(t, allow("S-1-5-10", 0x100, resetPassword)).Allows(token, sid(t, other), reset) {
		t.Error("what an object may do to itself another may")
	}
}

func TestOwnersMayChangeTheAccessListUnlessToldOtherwise(t *testing.T) {
	const me = "S-1-5-21-1-2-3-1103"
	token := access.NewToken(sid(t, me), nil)
	d := list(t)
	dac := access.Right{Mask: access.WriteDAC}
	if d.Allows(token, "", dac) {
		t.Error("without an owner")
	}
	d.Owner = sid(t, me)
	if !d.Allows(token, "", dac) || d.Allows(token, "", access.Right{Mask: access.WriteProperty}) {
		t.Error("the owner")
	}
	if len(d.Grants(token)) != 1 {
		t.Error("the owner is not named")
	}
	d = list(t, given{"S-1-3-4", delegation.Entry{Mask: delegation.ReadControl}})
	d.Owner = sid(t, me)
	if d.Allows(token, "", dac) || !d.Allows(token, "", access.Right{Mask: access.ReadControl}) {
		t.Error("an owner whose rights are said")
	}
	if (access.Descriptor{}).Allows(token, "", dac) || !(access.Descriptor{Open: true}).Allows(token, "", dac) {
		t.Error("no access list is not an empty one")
	}
}

func TestOnlyWhatIsForTheClassIsInherited(t *testing.T) {
	const me = "S-1-5-21-1-2-3-1103"
	token := access.NewToken(sid(t, me), nil)
	reset := access.Right{Mask: access.ControlAccess, Object: guid(t, resetPassword)}
	d := list(t, given{me, delegation.Entry{Mask: 0x100, About: resetPassword, For: users}})
	if !d.Inherits(token, guid(t, users), reset) || d.Inherits(token, guid(t, groups), reset) {
		t.Error("an entry for users")
	}
	here := list(t, given{me, delegation.Entry{Mask: 0x100, About: resetPassword}})
	if here.Inherits(token, guid(t, users), reset) {
		t.Error("an entry for the object itself")
	}
	if g := d.Grants(token, guid(t, resetPassword)); len(g) != 1 || !g[0].Below {
		t.Errorf("%+v", g)
	}
	if g := d.Grants(token, guid(t, changePassword)); len(g) != 0 {
		t.Errorf("%+v", g)
	}
}

func FuzzParseDescriptor(f *testing.F) {
	f.Add([]byte(empty))
	full := slices.Clone(empty)
	for _, e := range delegation.Reset {
		full, _ = delegation.With(full, []byte(access.Administrators), e)
	}
	f.Add(full)
	f.Add(append(slices.Clone(full), full...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := access.ParseDescriptor(b)
		if err != nil {
			if !errors.Is(err, access.ErrDescriptor) {
				t.Fatal(err)
			}
			return
		}
		if len(d.Entries) > len(b)/8 {
			t.Fatalf("%d entries of %d bytes", len(d.Entries), len(b))
		}
		token := access.NewToken(access.Administrators, nil)
		d.Allows(token, "", access.Right{Mask: access.WriteDAC})
		d.Grants(token)
	})
}

func FuzzSID(f *testing.F) {
	f.Add("S-1-5-21-1-2-3-500")
	f.Add(string(access.Administrators))
	f.Fuzz(func(t *testing.T, s string) {
		if v, err := access.ParseSID(s); err == nil {
			if again, err := access.ParseSID(v.String()); err != nil || again != v {
				t.Fatalf("%q: %v", s, err)
			}
		}
		if v, err := access.SIDFromBytes([]byte(s)); err == nil {
			if again, err := access.ParseSID(v.String()); err != nil || again != v {
				t.Fatalf("%x: %v", s, err)
			}
			access.Protected(v)
			access.BuiltIn(v)
		}
	})
}
