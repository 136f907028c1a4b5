package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// Kinds of errors of engines whose process runs and does nothing.
var (
	ErrSilent  = errors.New("the engine's process does not answer")
	ErrStalled = errors.New("the engine's run stands still")
)

// Pinger is an Instance that can be pinged. *plugin.Process is one; an engine in this process is not.
type Pinger interface {
	Ping(context.Context) error
}

// pingLoop pings the process every PingEvery. It returns nil when ctx ends, and an error if the process does not answer.
func (s *Supervisor) pingLoop(ctx context.Context, i Instance) error {
	p, ok := i.(Pinger)
	if !ok {
		return nil
	}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.o.Clock.After(s.o.PingEvery):
		}
		if err := s.ping(ctx, p); err != nil {
			return err
		}
	}
}

// ping pings once. An error that the process answers counts as an answer: the callers of the engine get such errors themselves.
func (s *Supervisor) ping(ctx context.Context, p Pinger) error {
	ctx, cancel := context.WithCancel(ctx)
	answer := make(chan error, 1)
	var pinging sync.WaitGroup
	defer pinging.Wait()
	defer cancel()
	pinging.Go(func() { answer <- p.Ping(ctx) })
	select {
	case <-answer:
		return nil
	case <-ctx.Done():
		return nil
	case <-s.o.Clock.After(s.o.PingLimit):
		return fmt.Errorf("%w: it was asked whether it lives and said nothing for %s; it is killed and started again", ErrSilent, s.o.PingLimit)
	}
}

// runWatch measures how long the engine has been silent in one run. While the host decides on a batch, the engine waits and the time does not count.
type runWatch struct {
	s *Supervisor

	mu       sync.Mutex
	deciding bool
	last     time.Time
}

// watchRun returns a context for a run, which ends, with the session, when the engine is silent for StallLimit. The returned function ends the watch and waits for its goroutine.
func (s *Supervisor) watchRun(ctx context.Context, session uint64) (context.Context, *runWatch, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &runWatch{s: s, last: s.o.Clock.Now()}
	var watching sync.WaitGroup
	watching.Go(func() {
		if w.stalls(ctx) {
			err := fmt.Errorf("%w: it has said nothing for %s; its process is killed and started again", ErrStalled, s.o.StallLimit)
			s.condemn(session, err)
			cancel(err)
		}
	})
	return ctx, w, func() {
		cancel(nil)
		watching.Wait()
	}
}

// stalls waits until the engine has been silent for StallLimit, and reports whether it was before ctx ended.
func (w *runWatch) stalls(ctx context.Context) bool {
	for {
		left := w.left()
		if left <= 0 {
			return true
		}
		select {
		case <-ctx.Done():
			return false
		case <-w.s.o.Clock.After(left):
		}
	}
}

// left returns how long the engine may still be silent.
func (w *runWatch) left() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.deciding {
		return w.s.o.StallLimit
	}
	return w.s.o.StallLimit - w.s.o.Clock.Now().Sub(w.last)
}

func (w *runWatch) heard(deciding bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deciding, w.last = deciding, w.s.o.Clock.Now()
}

// overhear returns c with callbacks that also note when the engine sends something.
func (w *runWatch) overhear(c engine.Conversation) engine.Conversation {
	return engine.Conversation{
		Begin: func(b engine.RunBegin) error {
			w.heard(false)
			if c.Begin == nil {
				return nil
			}
			return c.Begin(b)
		},
		Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
			w.heard(true)
			defer w.heard(false)
			return c.Decide(batch)
		},
		Progress: func(p engine.Progress) {
			w.heard(false)
			if c.Progress != nil {
				c.Progress(p)
			}
		},
	}
}

// condemn ends a session if it is still the present one.
func (s *Supervisor) condemn(session uint64, why error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.end != nil && s.status.Session == session {
		s.end(fmt.Errorf("engine %s: %w", s.o.Name, why))
	}
}
