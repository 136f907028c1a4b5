// Package simulation runs the real gate, ledger, census, waves, scoping, host and state code with simulated time, directory, tenant and engines, and
// checks the promises of the design after each step.
//
// Everything is single-threaded and a function of the seed. What happens at the same time in the world happens here by re-entrancy: while the tenant
// answers, while an engine runs, while the host sleeps, the simulator lets others act: the directory changes, the other engine runs, a wave is driven
// on, a person decides. Crashes lose everything but what state promises to keep. The invariants are checked against the simulator's own record of
// what happened, not against the program's opinion of it.
//
// Beside what every simulation sees, each has some eyes open, by its seed: see Eye. A violation says what was found and what had happened to the object before,
// so that kinds of failures can be told apart: see Violation and Fact.
//
// What is not simulated: real engines (their own packages test them against the same contract), several directories, requests of people to the API.
package simulation

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Options adjust a simulation. The zero value is ready to use.
type Options struct {
	Steps   int    // 0: 30 to 120, by the seed
	Trouble int    // percent of requests to the tenant that meet a fault; 0: by the seed
	Break   Broken // a safeguard that is taken out, to see that its loss is noticed
	Eyes    []Eye  // opened whatever the seed
	Plain   bool   // no eye is opened by the seed
	Trace   bool   // keep all events, not only the last ones
}

// Broken names a deliberately broken variant.
type Broken string

// ErrInvariant is the kind of every error that says that a promise was broken.
var ErrInvariant = errors.New("an invariant does not hold")

// Violation is the error of a seed that breaks an invariant: which one, what was found, and what led to it.
type Violation struct {
	Seed      uint64
	Step      int
	Invariant string
	Shape     string // what was found, without the names
	Facts     []Fact // what had happened before, to the world and to the object
	What      string
	Events    []string // the last ones
}

// Error returns the whole story.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d, step %d: %s: %s\n  [%s]\n  %s", v.Seed, v.Step, v.Invariant, v.What, v.Facts, strings.Join(v.Events, "\n  "))
}

// Is matches ErrInvariant.
func (v *Violation) Is(target error) bool { return target == ErrInvariant }

// Result is what a simulation saw, for tests of the simulation itself.
type Result struct {
	Points map[string]int // failpoints reached, and how often
	Counts map[string]int // what happened, and how often
	Trace  []string       // with Options.Trace
}

// Run simulates one seed. An error matches ErrInvariant unless the simulation itself failed.
func Run(seed uint64, o Options) error {
	_, err := Simulate(seed, o)
	return err
}

// Simulate is Run, and returns what happened.
func Simulate(seed uint64, o Options) (Result, error) {
	w := newWorld(seed, o)
	err := w.run()
	return Result{Points: w.points, Counts: w.counts, Trace: w.events}, err
}

// run is the whole story of one seed.
func (w *world) run() (err error) {
	w.guard(w.found)
	if w.violation == nil {
		steps := w.o.Steps
		if steps == 0 {
			steps = 30 + w.r.IntN(91)
		}
		for w.step = 1; w.step <= steps && w.violation == nil; w.step++ {
			w.said = 0
			w.guard(w.next)
			w.guard(w.checkAll)
		}
	}
	if w.violation == nil {
		w.faults, w.armed, w.mined, w.failing = false, 0, "", ""
		w.said = 0
		if w.double != nil && w.double.what == restoredBackup && w.r.IntN(5) > 0 {
			w.guard(w.handOver)
		} else {
			w.guard(w.quiesce)
		}
	}
	if w.violation != nil {
		return w.violation
	}
	return nil
}

// crash is the panic of a dying host, broken that of a violated invariant.
type (
	crash  struct{}
	broken struct{}
)

// guard runs f; a crash in it ends the host and starts another.
func (w *world) guard(f func()) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case crash:
			w.guard(w.restart) // while it is down, what was in flight arrives
		case broken:
		default:
			panic(fmt.Sprintf("seed %d, step %d: %v\n  %s", w.seed, w.step, p, strings.Join(w.last(), "\n  ")))
		}
	}()
	f()
	if w.crashed || w.unusable {
		panic(crash{}) // an operator ends a host whose state has to be opened anew
	}
}

// fail reports a violated invariant and ends the simulation.
func (w *world) fail(invariant, format string, args ...any) {
	w.failAbout(scoping.GUID{}, invariant, format, args...)
}

// failAbout is fail about one object of the directory.
func (w *world) failAbout(g scoping.GUID, invariant, format string, args ...any) {
	if w.violation == nil {
		w.violation = &Violation{Seed: w.seed, Step: w.step, Invariant: invariant, Shape: format, Facts: w.facts(g), What: fmt.Sprintf(format, args...), Events: w.last()}
	}
	panic(broken{})
}

// endless is how many events of one step, or of coming to rest, are a loop.
const endless = 20_000

// log notes an event.
func (w *world) log(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf("[%d] %s %s%s", w.step, w.now.Format("02 15:04:05.000"), strings.Repeat("  ", w.depth), fmt.Sprintf(format, args...)))
	if w.said++; w.said == endless && !w.o.Trace {
		w.fail("everything comes to an end", "%d events in one step", w.said)
	}
	if n := len(w.events); n > 400 && !w.o.Trace {
		w.events = append(w.events[:0], w.events[n-200:]...)
	}
}

func (w *world) last() []string {
	return append([]string(nil), w.events[max(0, len(w.events)-30):]...)
}

// start is when every simulation begins.
var start = time.Date(2030, 1, 7, 8, 0, 0, 0, time.UTC)
