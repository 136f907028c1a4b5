package run

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tandem-sync/tandem/scoping"
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

// Engines are asked for subtrees, once each, however many choices part them.
func TestWholeScopesAreAskedForOnce(t *testing.T) {
	users := []scoping.Feature{scoping.Users}
	plain := scoping.Scope{Directory: "contoso", Under: guid(1), Features: users}
	with, without, elsewhere, groups := plain, plain, plain, plain
	with.With, without.Without = []scoping.GUID{guid(9)}, []scoping.GUID{guid(9)}
	elsewhere.Under, elsewhere.With = guid(2), []scoping.GUID{guid(9)}
	groups.Features, groups.With = []scoping.Feature{scoping.Groups}, []scoping.GUID{guid(9)}
	in := []scoping.Scope{with, without, elsewhere, groups, plain}
	before := slices.Clone(in)
	elsewhere.With, groups.With = nil, nil
	if d := cmp.Diff([]scoping.Scope{plain, elsewhere, groups}, whole(in)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff(before, in); d != "" {
		t.Errorf("what was asked changed: %s", d)
	}
	if got := whole([]scoping.Scope{plain, plain}); len(got) != 2 {
		t.Errorf("scopes without choices were touched: %v", got)
	}
}
