package orchestrator

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

func TestSomebodyElsesEngineMayHaveNoAccountThatIsNotNamed(t *testing.T) {
	for _, c := range []struct {
		engine EngineConfig
		want   []scoping.Purpose
	}{
		{EngineConfig{Kind: KindConnect}, scoping.Purposes()},
		{EngineConfig{Kind: KindCloudSync}, scoping.Purposes()},
		{EngineConfig{Kind: KindExternal}, nil},
		{EngineConfig{Kind: KindExternal, Accounts: []scoping.Purpose{scoping.Replicate}}, []scoping.Purpose{scoping.Replicate}},
		{EngineConfig{Kind: "another"}, nil},
	} {
		if got := accountsOf(c.engine); !slices.Equal(got, c.want) {
			t.Errorf("%+v: %v", c.engine, got)
		}
	}
}
