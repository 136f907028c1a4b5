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
		{scoping.Group, attribute.Members, 1 << 13}, {scoping.Contact, attribute.ProxyAddresses, 1 << 8},
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
	for f, kind := range map[scoping.Feature]scoping.Kind{scoping.Users: scoping.User, scoping.Groups: scoping.Group} {
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
	if got := attribute.OfFeature(scoping.Extensions); got != nil {
		t.Errorf("extensions are not written, yet have %v", got)
	}
	if _, found := attribute.Find(scoping.User, attribute.Manager); found {
		t.Error("a reference passes for a value")
	}
}

// A message that names mailNickname holds "mail" as well.
func TestKeysThatHoldOthersStandBeforeThem(t *testing.T) {
	got := attribute.Keys()
	if slices.Index(got, attribute.Nickname) > slices.Index(got, attribute.Mail) || len(got) != 6 {
		t.Errorf("%v", got)
	}
}
