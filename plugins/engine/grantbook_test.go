package engine_test

import (
	"context"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func guid(n byte) scoping.GUID { return scoping.GUID{15: n, 0: 1} }

func TestCoveringTakesTheDeepestGrantOfTheSelector(t *testing.T) {
	users := []scoping.Feature{scoping.Users}
	in := func(under byte, selector string, except ...scoping.GUID) scoping.Scope {
		return scoping.Scope{Directory: "contoso", Under: guid(under), Selector: selector, Except: except, Features: users}
	}
	granted := engine.Granted{
		{ID: 1, Mode: engine.ModeOwn, Scope: in(1, "")},
		{ID: 2, Mode: engine.ModeShadow, Scope: in(2, "")},
		{ID: 3, Mode: engine.ModeOwn, Scope: in(2, "pilot")},
		{ID: 4, Mode: engine.ModeNone, Scope: in(3, "")},
		{ID: 5, Mode: engine.ModeOwn, Scope: in(7, "", guid(8))},
	}
	for name, test := range map[string]struct {
		under   scoping.Scope
		place   []scoping.GUID
		feature scoping.Feature
		want    uint32
	}{
		"the deepest":             {in(1, ""), []scoping.GUID{guid(2), guid(1)}, scoping.Users, 2},
		"the selector's":          {in(2, "pilot"), []scoping.GUID{guid(2), guid(1)}, scoping.Users, 3},
		"not one of mode none":    {in(1, ""), []scoping.GUID{guid(3), guid(1)}, scoping.Users, 1},
		"not for another feature": {in(1, ""), []scoping.GUID{guid(1)}, scoping.Groups, 0},
		"not where excepted":      {in(7, ""), []scoping.GUID{guid(8), guid(7)}, scoping.Users, 0},
		"none elsewhere":          {in(1, ""), []scoping.GUID{guid(9)}, scoping.Users, 0},
	} {
		got := granted.Covering(test.under, scoping.Place{Directory: "contoso", Ancestors: test.place}, test.feature)
		if got.ID != test.want {
			t.Errorf("%s: grant %d instead of %d", name, got.ID, test.want)
		}
	}
}

func TestAGrantBooksCopyDoesNotChange(t *testing.T) {
	var b engine.GrantBook
	in, out, ended := make(chan []engine.Grant), make(chan engine.Ack), make(chan error, 1)
	go func() { ended <- b.Grants(context.Background(), in, out) }()
	in <- []engine.Grant{{ID: 1, Epoch: scoping.Epoch{N: 1}}}
	<-out
	before := b.Now()
	in <- []engine.Grant{{ID: 1, Epoch: scoping.Epoch{N: 2}}}
	if a := <-out; a.Epoch.N != 2 || !a.InForce || !a.Idle {
		t.Errorf("%+v", a)
	}
	if before[0].Epoch.N != 1 || b.Now()[0].Epoch.N != 2 {
		t.Errorf("%v %v", before, b.Now())
	}
	close(in)
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
