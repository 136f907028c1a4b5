//go:build linux

package plugin_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/plugins/secret/secrettest"
)

// Deliver ends this process with the permit in its hands.
func (*inhabitant) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	p, err := engine.Ask(ctx, d.ID, in, out)
	if err != nil {
		return err
	}
	return p.New.Use(func(b []byte) error { return dies(p, b) })
}

//go:noinline
func dies(p engine.Permit, b []byte) error {
	panic(errors.New("an engine's mistake while it holds a permit: " + p.ID + string(b[:0])))
}

// said is all that is logged.
type said struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *said) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(b)
}

func TestAnEngineThatDiesWithAPermitShowsNothingOfItAndLeavesADoubt(t *testing.T) {
	var log said
	c := self("engine")
	c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	p := start(t, c)
	word := []byte("correct horse battery staple")
	r, permitted, err := engine.Deliver(t.Context(), p.Engine(), engine.Delivery{ID: "the-delivery", Object: object(1)}, func(context.Context) (engine.Permit, error) {
		return engine.Permit{Remaining: time.Minute, New: secret.Take(bytes.Clone(word)), Old: secret.Take(append([]byte("old "), word...))}, nil
	})
	if err == nil || !permitted || r.Code != "" {
		t.Fatalf("%+v %v %v", r, permitted, err)
	}
	<-p.Done()
	trace := p.Err().Error() + err.Error()
	if !bytes.Contains([]byte(trace), []byte("the-delivery")) {
		t.Errorf("the trace of its end is not told: %s", trace)
	}
	secrettest.Absent(t, []byte(trace), word)
	log.mu.Lock()
	defer log.mu.Unlock()
	secrettest.Absent(t, log.text.Bytes(), word)
}
