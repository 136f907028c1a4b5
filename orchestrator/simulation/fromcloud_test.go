package simulation_test

import (
	"flag"
	"maps"
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
)

var hires = flag.Bool("hires", false, "TestOneSeed tells of the other direction, too")

// seedsFromCloud is how many seeds of the other direction are run where no flag says otherwise.
const seedsFromCloud = 120

// TestInvariantsHoldFromTheCloud runs seeds in which objects of the tenant are brought into the directory, beside everything else. All 5,000:
// go test ./orchestrator/simulation -run InvariantsHoldFromTheCloud -timeout 3h -seeds 5000
func TestInvariantsHoldFromTheCloud(t *testing.T) {
	n := seedsFromCloud
	flag.Visit(func(f *flag.Flag) {
		if f.Name == "seeds" {
			n = *seeds
		}
	})
	s := lookAt(t, n, simulation.Options{Eyes: []simulation.Eye{simulation.FromCloud}})
	for _, what := range []string{"brought: add", "brought: join", "brought: modify", "brought: rename", "brought: move", "permit of a write"} {
		if s.counts[what] < n/30 {
			t.Errorf("%q happened %d times", what, s.counts[what])
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.counts)) {
		t.Logf("%-60s %d", k, s.counts[k])
	}
}
