package simulation_test

import (
	"flag"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
)

var seed = flag.Uint64("seed", 0, "one seed, with its whole story")

// TestSeed tells one seed's story: go test -run Seed -seed=N
func TestSeed(t *testing.T) {
	r, err := simulation.Simulate(*seed, simulation.Options{Trace: true})
	if *seed != 0 {
		t.Log(strings.Join(r.Trace, "\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

var seeds = flag.Int("seeds", 300, "how many seeds")

// TestSeeds runs many seeds; each failure names its seed.
func TestSeeds(t *testing.T) {
	const shares = 8
	for share := range shares {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for s := share; s < *seeds; s += shares {
				if err := simulation.Run(uint64(1+s), simulation.Options{}); err != nil {
					t.Error(err)
				}
			}
		})
	}
}
