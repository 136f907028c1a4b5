package orchestrator

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/supervisor"
)

// supervisedBy returns engines with one, x, whose process start starts.
func supervisedBy(t *testing.T, start supervisor.Starter) *engines {
	e := &engines{names: []string{"x"}, all: map[string]*supervised{"x": {saved: t.TempDir() + "/none", Supervisor: supervisor.New(supervisor.Options{Name: "x", Start: start})}}}
	t.Cleanup(func() {
		if err := e.close(); err != nil {
			t.Error(err)
		}
	})
	return e
}

func TestWhoNeedsAnEngineFirstIsToldHowItsStartEnded(t *testing.T) {
	broken := errors.New("it cannot be started")
	e := supervisedBy(t, func(context.Context) (supervisor.Instance, error) { return nil, broken })
	leave := e.warm(t.Context(), "x")
	if _, err := e.get(t.Context(), "x"); !errors.Is(err, broken) {
		t.Errorf("the first is told %v", err)
	}
	leave()
	if _, err := e.get(t.Context(), "x"); err != nil {
		t.Errorf("the next is told %v again, while it is tried anew", err)
	}
	e.warm(t.Context(), "another")() // an unknown engine is refused by whoever asks it
}

func TestARunThatEndsDoesNotWaitForItsEngine(t *testing.T) {
	e := supervisedBy(t, func(ctx context.Context) (supervisor.Instance, error) {
		<-ctx.Done() // it never starts
		return nil, ctx.Err()
	})
	e.warm(t.Context(), "x")()
	if s := e.all["x"]; s.failed != nil {
		t.Errorf("the next one is told of a start that nobody waited for: %v", s.failed)
	}
}
