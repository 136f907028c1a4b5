package objects

import (
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

// Two scopes that want opposite things of one choice hold no object in common.
func TestScopesApartByAChoice(t *testing.T) {
	pilots, others := []scoping.GUID{guid(9)}, []scoping.GUID{guid(8)}
	for _, x := range []struct {
		a, b scoping.Scope
		want bool
	}{
		{scoping.Scope{With: pilots}, scoping.Scope{Without: pilots}, true},
		{scoping.Scope{Without: pilots}, scoping.Scope{With: pilots}, true},
		{scoping.Scope{With: pilots}, scoping.Scope{With: pilots}, false},
		{scoping.Scope{With: pilots}, scoping.Scope{With: others}, false},
		{scoping.Scope{With: pilots}, scoping.Scope{}, false},
	} {
		if got := disjoint(x.a, x.b); got != x.want {
			t.Errorf("%+v and %+v: %v", x.a, x.b, got)
		}
	}
}
