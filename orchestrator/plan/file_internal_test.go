package plan

import (
	"bytes"
	"encoding/json"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/scoping"
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

// Names of waves do not meet by chance, and plan files that name them in the old way are still read.
func TestWaveNamesAreLongAndOldPlansAreRead(t *testing.T) {
	all := scoping.Assignment{Name: "all", Directory: "contoso", Under: scoping.Pin{GUID: guid(1), DN: "DC=contoso,DC=test"}, Engine: "connect", Features: []scoping.Feature{scoping.Users}}
	target, err := scoping.Compile(scoping.Policy{Features: all.Features, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{all}},
		map[string]scoping.EngineCaps{"connect": {Kind: "connect", Features: all.Features}})
	if err != nil {
		t.Fatal(err)
	}
	p := &Plan{Version: PlanVersion, Target: target, Waves: []PlannedWave{{From: "connect", To: "cloudsync"}}}
	p.seal()
	if id := p.Waves[0].ID; len(id) != len("w")+16+len("-1") {
		t.Errorf("%q does not hold 64 bits", id)
	}
	for _, id := range []string{p.Waves[0].ID, "w" + p.Fingerprint[:6] + "-1"} {
		p.Waves[0].ID = id
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadPlan(b)
		if err != nil || got.Waves[0].ID != id {
			t.Errorf("%s: %+v %v", id, got, err)
		}
		if _, err := ReadPlan(bytes.Replace(b, []byte(id), []byte("wffffff-1"), 1)); !errors.Is(err, problem.ErrUsage) {
			t.Errorf("a wave was renamed by hand: %v", err)
		}
	}
}
