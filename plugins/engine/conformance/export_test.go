package conformance

import (
	"context"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// Check asks every rule and gives those that are broken, by name: a test of the kit cannot let subtests fail.
func Check(ctx context.Context, t testing.TB, o Options) map[string]error {
	o.Promptly = DefaultPromptly
	broken := make(map[string]error)
	for _, r := range rules {
		if r.asked != nil && !r.asked(o) {
			continue
		}
		b := &bench{TB: t, Options: o, lives: func(f func(engine.Engine) error) error { return f(o.Start(t)) }}
		if err := b.ask(ctx, r); err != nil {
			broken[r.name] = err
		}
	}
	return broken
}
