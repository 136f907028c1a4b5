// Package conformance is the kit that tells whether an engine keeps the contract. An author of an engine points it at a
// directory with known objects and gets one subtest for each rule:
//
//	func TestContract(t *testing.T) {
//		conformance.Run(t, conformance.Options{
//			Start:  func(t testing.TB) engine.Engine { return enginetest.Wire(t, myengine.New()) },
//			Config: engine.Config{Directories: []engine.Directory{…}},
//			Scopes: []scoping.Scope{…},
//			Expect: []conformance.Expected{…},
//		})
//	}
//
// An engine in another language is started as a process, by plugin.Start of plugins/engine/plugin. The kit does not judge what an engine wants of an
// object beyond what Expect says; the host's gate does that.
package conformance

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// DefaultPromptly is the default of Options.Promptly.
const DefaultPromptly = 2 * time.Second

// Options say what is tested and against what. The directory must not change in the meantime but by Change.
type Options struct {
	// Start gives a new engine, not yet configured, which ends with the test (by Cleanup). It is called several times; when
	// one engine has ended, the next may get the same Config.DataDir, as after a restart of the process.
	Start func(testing.TB) engine.Engine

	// Config is accepted by the engine. DataDir may be empty: then each rule has a new folder.
	Config engine.Config

	// Mistaken holds at least two mistakes and is refused with that many problems. Without Mistakes the rule is not asked.
	Mistaken engine.Config
	Mistakes int

	// Scopes are what the engine is granted, and Expect ALL that it proposes for them in a full run.
	Scopes []scoping.Scope
	Expect []Expected

	// Extensions are what every run asks of the feature of that name, if the scopes have it.
	Extensions []string

	// Change changes values of objects of the scopes in the directory, and returns those that a delta run then has to propose
	// for their base features. Without it the rules about news are not asked.
	Change func(testing.TB) []scoping.ObjectID

	// Deliver says whose password is set to ask the rules about deliveries; nil: they are not asked.
	Deliver *Delivering

	// Provision says what is added to a directory to ask the rules about provisioning; nil: they are not asked.
	Provision *Provisioning

	// Map says what is mapped to ask the rules about mappings; nil: they are not asked.
	Map *Mapped

	// Promptly bounds how long an engine may take to end a cancelled run. Zero: DefaultPromptly.
	Promptly time.Duration
}

// Expected is one proposal of a full run.
type Expected struct {
	Object  scoping.ObjectID
	Feature scoping.Feature
	Want    engine.Want // zero: whatever the engine wants
}

// Run tests every rule, each in a subtest of its name. Tests that start goroutines must not run in parallel with it.
func Run(t *testing.T, o Options) {
	t.Helper()
	if o.Start == nil || len(o.Scopes) == 0 || len(o.Expect) < 2 {
		t.Fatal("conformance: Options need Start, Scopes and at least two expected proposals")
	}
	if o.Promptly == 0 {
		o.Promptly = DefaultPromptly
	}
	for _, r := range rules {
		if r.asked != nil && !r.asked(o) {
			continue
		}
		t.Run(r.name, func(t *testing.T) {
			b := &bench{TB: t, Options: o, lives: func(f func(engine.Engine) error) error {
				var err error
				t.Run("engine", func(t *testing.T) { err = f(o.Start(t)) })
				return err
			}}
			if err := b.ask(t.Context(), r); err != nil {
				t.Errorf("%v\nThe rule: %s", err, r.why)
			}
		})
	}
}

// rule is one rule of the contract.
type rule struct {
	name, why string
	asked     func(Options) bool // nil: always
	check     func(context.Context, *bench) error
}

// bench is where one rule is checked.
type bench struct {
	testing.TB
	Options
	lives func(func(engine.Engine) error) error // runs f with a new engine, which has ended when lives returns
	runs  uint64
}

func (b *bench) ask(ctx context.Context, r rule) error {
	if b.Config.DataDir == "" {
		b.Config.DataDir = b.TempDir()
	}
	return r.check(ctx, b)
}

// configured runs f with a new, configured engine and a stream of grants.
func (b *bench) configured(ctx context.Context, f func(context.Context, *talk) error) error {
	return b.lives(func(e engine.Engine) error {
		if err := e.Configure(ctx, b.Config); err != nil {
			return fmt.Errorf("the good configuration is refused: %w", err)
		}
		t := newTalk(ctx, e)
		err := f(ctx, t)
		if ended := t.end(b.Promptly); err == nil {
			err = ended
		}
		return err
	})
}

// steady waits until goroutines that earlier rules began have ended, which nobody else can tell: until their number stays the same for a while. It
// gives that number.
func steady(limit time.Duration) int {
	deadline, tick := time.NewTimer(limit), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	n := runtime.NumGoroutine()
	for same := 0; same < 10; {
		select {
		case <-tick.C:
			now := runtime.NumGoroutine()
			same++
			if now != n {
				n, same = now, 0
			}
		case <-deadline.C:
			return n
		}
	}
	return n
}

// settled waits until no more goroutines run than before.
func settled(before int, limit time.Duration) error {
	deadline, tick := time.NewTimer(limit), time.NewTicker(10*time.Millisecond)
	defer deadline.Stop()
	defer tick.Stop()
	for runtime.NumGoroutine() > before {
		select {
		case <-tick.C:
		case <-deadline.C:
			stacks := make([]byte, 1<<20)
			stacks = stacks[:runtime.Stack(stacks, true)]
			return fmt.Errorf("%d goroutines before the engine, %d after it:\n%s", before, runtime.NumGoroutine(), stacks)
		}
	}
	return nil
}
