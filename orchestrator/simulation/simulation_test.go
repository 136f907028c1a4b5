package simulation_test

import (
	"errors"
	"flag"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
	"github.com/tandem-sync/tandem/state"
)

var (
	seed  = flag.Uint64("seed", 0, "tell the whole story of one seed: go test -run TestOneSeed -seed=N")
	seeds = flag.Int("seeds", 300, "how many seeds")
)

// TestMain lets the heap grow further than usual: the simulation makes much garbage and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestOneSeed tells one seed's story.
func TestOneSeed(t *testing.T) {
	r, err := simulation.Simulate(max(1, *seed), simulation.Options{Trace: true})
	if *seed != 0 {
		t.Log(strings.Join(r.Trace, "\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestASeedIsReproducible(t *testing.T) {
	for s := range uint64(3) {
		a, err1 := simulation.Simulate(50+s, simulation.Options{Trace: true})
		b, err2 := simulation.Simulate(50+s, simulation.Options{Trace: true})
		if (err1 == nil) != (err2 == nil) || !slices.Equal(a.Trace, b.Trace) {
			t.Errorf("seed %d tells two stories", 50+s)
		}
	}
}

// notInMemory are failpoints that the simulated disk does not reach: it holds no index that is damaged, no folder, and never fills.
var notInMemory = map[string]bool{state.FailReserveRelease: true}

// TestInvariantsHold runs the seeds, and sees that they reach every failpoint and everything that a wave can end in.
func TestInvariantsHold(t *testing.T) {
	var mu sync.Mutex
	points, counts := map[string]int{}, map[string]int{}
	t.Run("seeds", func(t *testing.T) {
		const shares = 4
		for share := range shares {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for s := share; s < *seeds; s += shares {
					r, err := simulation.Simulate(uint64(1+s), simulation.Options{})
					if err != nil {
						t.Error(err)
					}
					mu.Lock()
					add(points, r.Points)
					add(counts, r.Counts)
					mu.Unlock()
				}
			})
		}
	})
	for _, p := range slices.Concat(state.Failpoints(), simulation.Seams()) {
		if points[p] == 0 && !notInMemory[p] {
			t.Errorf("failpoint %s was never reached", p)
		}
	}
	for _, what := range []string{"crash", "foreign", "sync", "wave completed", "wave rolled-back", "held approve", "held reject", "deleted", "unlinked", "chosen transfer", "chosen place", "owners held"} {
		if counts[what] == 0 {
			t.Errorf("%q never happened", what)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(counts)) {
		t.Logf("%-20s %d", k, counts[k])
	}
}

func add(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}

// within bounds the seeds in which each broken variant has to be caught.
const within = 150

// TestBrokenVariantsAreCaught sees that each safeguard is needed, and that the loss of each is noticed.
func TestBrokenVariantsAreCaught(t *testing.T) {
	for _, b := range simulation.Variants() {
		t.Run(strings.ReplaceAll(string(b), " ", "-"), func(t *testing.T) {
			t.Parallel()
			for s := range uint64(within) {
				err := simulation.Run(1+s, simulation.Options{Break: b})
				var v *simulation.Violation
				if errors.As(err, &v) {
					t.Logf("caught by seed %d: %s: %.160s", v.Seed, v.Invariant, v.What)
					return
				}
			}
			t.Errorf("not caught within %d seeds", within)
		})
	}
}
