package attribute_test

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

var kinds = []scoping.Kind{scoping.User, scoping.Group, scoping.Contact}

// Masks are stored: a row that is put in between would change what they say.
func TestBitsOfAttributesStayAsTheyAre(t *testing.T) {
	for _, x := range []struct {
		kind scoping.Kind
		name string
		mask attribute.Mask
	}{
		{scoping.User, attribute.UPN, 1}, {scoping.User, attribute.Nickname, 1 << 5}, {scoping.User, "ageGroup", 1 << 26}, {scoping.User, "extensionAttribute15", 1 << 44},
		{scoping.User, attribute.Manager, 1 << 45}, {scoping.Group, attribute.DisplayName, 1}, {scoping.Group, "onPremisesSamAccountName", 1 << 12},
		{scoping.Group, attribute.Members, 1 << 13}, {scoping.Contact, attribute.ProxyAddresses, 1 << 8}, {scoping.Contact, attribute.Manager, 1 << 10},
	} {
		m := attribute.MaskOf(x.kind, []string{x.name, "nothing"})
		if m != x.mask || !slices.Equal(m.Names(x.kind), []string{x.name}) {
			t.Errorf("%s of a %s is mask %b with %v", x.name, x.kind, m, m.Names(x.kind))
		}
	}
}

func TestNoRowIsThereTwiceAndTheMaskHoldsThemAll(t *testing.T) {
	for _, kind := range kinds {
		seen := map[string]bool{}
		for _, a := range attribute.Values(kind) {
			if seen[a.Name] || a.Kind != kind || a.Bit > 62 {
				t.Errorf("%+v", a)
			}
			seen[a.Name] = true
		}
	}
}

// Rule F2: every attribute belongs to one feature, and what engines propose can be written.
func TestWhatEnginesProposeCanBeWritten(t *testing.T) {
	for f, kind := range map[scoping.Feature]scoping.Kind{scoping.Users: scoping.User, scoping.Groups: scoping.Group, scoping.Contacts: scoping.Contact} {
		names := attribute.OfFeature(f)
		if len(names) == 0 || !slices.IsSorted(names) {
			t.Errorf("%s: %v", f, names)
		}
		for _, n := range names {
			a, ok := attribute.Find(kind, n)
			if !ok || a.Feature != f || !a.Is(attribute.Writable) {
				t.Errorf("%s: %+v", n, a)
			}
		}
		for _, n := range attribute.With(kind, attribute.Required) {
			if !slices.Contains(names, n) {
				t.Errorf("no engine proposes %s, without which no %s is created", n, kind)
			}
		}
	}
	if got := attribute.OfFeature(scoping.References); !slices.Equal(got, []string{attribute.Manager, attribute.Members}) {
		t.Errorf("references: %v", got)
	}
	if got := attribute.OfFeature(scoping.Extensions); len(got) != 15 || got[0] != "extensionAttribute1" {
		t.Errorf("extensions: %v", got)
	}
	if _, found := attribute.Find(scoping.User, attribute.Manager); found {
		t.Error("a reference passes for a value")
	}
}

// A message that names mailNickname holds "mail" as well.
func TestKeysThatHoldOthersStandBeforeThem(t *testing.T) {
	got := attribute.Keys()
	if slices.Index(got, attribute.Nickname) > slices.Index(got, attribute.Mail) || len(got) != 7 {
		t.Errorf("%v", got)
	}
}

func TestRegisteredExtensionsAreKnownByTheirNames(t *testing.T) {
	const name = "extension_0123456789abcdef0123456789abcdef_employeeNumber"
	a, known := attribute.Find(scoping.User, name)
	if !known || a.Feature != scoping.Extensions || a.Check([]string{"7"}) != nil || a.Check([]string{"7", "8"}) == nil || attribute.Source(name) != "employeeNumber" {
		t.Errorf("%+v %v, made of %q", a, known, attribute.Source(name))
	}
	for _, other := range []string{"extension_", "extension_0123_x", "extension_0123456789abcdef0123456789abcdef_", "extensionattribute16", "x"} {
		if _, known := attribute.Find(scoping.User, other); known || attribute.Registered(other) {
			t.Errorf("%q is taken for an extension", other)
		}
	}
	if _, known := attribute.Find(scoping.Contact, name); known {
		t.Error("public Graph extends no contacts")
	}
}

func TestNamesOfEitherSideAreUnderstood(t *testing.T) {
	for name, want := range map[string][]string{"mobile": {"mobilePhone"}, "mobilePhone": {"mobilePhone"}, "MOBILE": {"mobilePhone"}, "title": {"jobTitle"}, "description": {"description"},
		"userAccountControl": {attribute.Enabled}, "extensionAttribute1": nil, attribute.Manager: nil, attribute.ImmutableID: nil, "nothing": nil} {
		if got := attribute.Named(name); !slices.Equal(got, want) {
			t.Errorf("%s stands for %v", name, got)
		}
	}
}
