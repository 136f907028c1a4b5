package simulation_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
	"github.com/tandem-sync/tandem/state"
)

var (
	seed  = flag.Uint64("seed", 0, "tell the whole story of one seed: go test -run TestOneSeed -seed=N")
	seeds = flag.Int("seeds", 300, "how many seeds")
	from  = flag.Uint64("from", 1, "the first seed")
	list  = flag.Bool("update", false, "write down which seed catches each broken variant, in testdata/caught.txt")
)

// TestMain lets the heap grow further than usual: the simulation makes much garbage and keeps little.
func TestMain(m *testing.M) {
	debug.SetGCPercent(400)
	os.Exit(m.Run())
}

// TestOneSeed tells one seed's story.
func TestOneSeed(t *testing.T) {
	o := simulation.Options{Trace: true}
	if *hires {
		o.Eyes = []simulation.Eye{simulation.FromCloud}
	}
	r, err := simulation.Simulate(max(1, *seed), o)
	if *seed != 0 {
		t.Log(strings.Join(r.Trace, "\n"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestASeedIsReproducible(t *testing.T) {
	for s := range uint64(6) {
		o := simulation.Options{Trace: true}
		if s%2 == 1 {
			o.Eyes = []simulation.Eye{simulation.FromCloud}
		}
		a, err1 := simulation.Simulate(50+s, o)
		b, err2 := simulation.Simulate(50+s, o)
		if (err1 == nil) != (err2 == nil) || !slices.Equal(a.Trace, b.Trace) {
			t.Errorf("seed %d tells two stories", 50+s)
		}
	}
}

// notInMemory are failpoints that the simulated disk does not reach.
var notInMemory = map[string]bool{}

// survey is what many seeds showed.
type survey struct {
	points, counts map[string]int
}

// look runs the seeds that the flags name.
func look(t *testing.T) *survey { return lookAt(t, *seeds, simulation.Options{}) }

// lookAt runs n seeds, beginning with the one that a flag names.
func lookAt(t *testing.T, n int, o simulation.Options) *survey {
	s := &survey{points: map[string]int{}, counts: map[string]int{}}
	var mu sync.Mutex
	t.Run("seeds", func(t *testing.T) {
		const shares = 4
		for share := range shares {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := share; i < n; i += shares {
					began := time.Now()
					r, err := simulation.Simulate(*from+uint64(i), o)
					mu.Lock()
					if took := time.Since(began); took > 20*time.Second {
						t.Logf("seed %d took %s", *from+uint64(i), took.Round(time.Second))
					}
					var v *simulation.Violation
					if errors.As(err, &v) {
						t.Error(v)
					} else if err != nil {
						t.Error(err)
					}
					add(s.points, r.Points)
					add(s.counts, r.Counts)
					mu.Unlock()
				}
			})
		}
	})
	return s
}

// TestInvariantsHold runs the seeds, and sees that they reach every failpoint, everything that a wave can end in, and what each eye looks for.
func TestInvariantsHold(t *testing.T) {
	s := look(t)
	for _, p := range slices.Concat(state.Failpoints(), simulation.Seams()) {
		if s.points[p] == 0 && !notInMemory[p] {
			t.Errorf("failpoint %s was never reached", p)
		}
	}
	for _, what := range []string{"crash", "foreign", "sync", "soaked", "wave completed", "wave rolled-back", "held approve", "held reject", "deleted", "unlinked", "chosen transfer", "chosen place",
		"owners held", "activated elsewhere"} {
		if s.counts[what] == 0 {
			t.Errorf("%q never happened", what)
		}
	}
	for _, e := range simulation.Eyes() {
		if n, want := s.counts["eye: "+string(e)], seen[e]**seeds/300; n < want {
			t.Errorf("%s: seen %d times in %d seeds, and has to be seen %d times", e, n, *seeds, want)
		}
	}
	for _, k := range slices.Sorted(maps.Keys(s.counts)) {
		t.Logf("%-60s %d", k, s.counts[k])
	}
}

// seen says how often the usual 300 seeds have to see what an eye looks for: about half as often as they did when it was made.
var seen = map[simulation.Eye]int{simulation.InFlight: 30, simulation.FailingSteps: 300, simulation.ClockSteps: 150, simulation.Flapping: 300, simulation.BigWorlds: 20, simulation.Laggards: 150,
	simulation.Deciders: 50, simulation.Thaws: 150, simulation.Domains: 30, simulation.BeforeImages: 5, simulation.OtherHosts: 60, simulation.NewRules: 60, simulation.Losses: 100, simulation.Passwords: 1000, simulation.Deliveries: 800}

func add(to, from map[string]int) {
	for k, n := range from {
		to[k] += n
	}
}

// within bounds the seeds in which each broken variant has to be caught.
const within = 300

// caughtFile holds, by variant, the seed that caught it last, which is tried first. A seed is a function of the code: where that one shows nothing any more, all are
// tried, which takes minutes for all variants together.
const caughtFile = "testdata/caught.txt"

// TestBrokenVariantsAreCaught sees that each safeguard is needed, and that the loss of each is noticed: by a seed that shows nothing while it is there.
func TestBrokenVariantsAreCaught(t *testing.T) {
	last, now := readCaught(t), map[string]uint64{}
	var mu sync.Mutex
	t.Run("variants", func(t *testing.T) {
		for _, b := range simulation.Variants() {
			name := strings.ReplaceAll(string(b), " ", "-")
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				for s := range uint64(within + 1) {
					if s == 0 {
						s = last[name]
					}
					if v := catches(b, s); v != nil {
						t.Logf("caught by seed %d: %s: %.160s", v.Seed, v.Invariant, v.What)
						mu.Lock()
						now[name] = s
						mu.Unlock()
						return
					}
				}
				t.Errorf("not caught within %d seeds", within)
			})
		}
	})
	if *list && !t.Failed() {
		writeCaught(t, now)
	}
}

// catches returns what a seed shows of a broken variant, or nil: the seed has to be one of those within, and to show nothing while the safeguard is there.
func catches(b simulation.Broken, seed uint64) *simulation.Violation {
	if seed < 1 || seed > within {
		return nil
	}
	var v *simulation.Violation
	err := simulation.Run(seed, simulation.Options{Break: b, Plain: true})
	if errors.As(err, &v) && b.Notices(v) && simulation.Run(seed, simulation.Options{Eyes: b.Needs(), Plain: true}) == nil {
		return v
	}
	return nil
}

func readCaught(t *testing.T) map[string]uint64 {
	b, err := os.ReadFile(caughtFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	out := map[string]uint64{}
	for line := range strings.Lines(string(b)) {
		var seed uint64
		var name string
		if _, err := fmt.Sscan(line, &seed, &name); err != nil {
			t.Fatalf("%s: %q: %v", caughtFile, line, err)
		}
		out[name] = seed
	}
	return out
}

func writeCaught(t *testing.T, caught map[string]uint64) {
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(caught)) {
		fmt.Fprintf(&b, "%d %s\n", caught[name], name)
	}
	if err := os.WriteFile(caughtFile, []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
}
