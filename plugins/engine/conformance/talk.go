package conformance

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// patience bounds what has no limit of its own, such as an acknowledgement.
const patience = time.Minute

// talk is the host's side of one session.
type talk struct {
	engine.Engine
	cancel context.CancelFunc
	in     chan []engine.Grant
	out    chan engine.Ack
	ended  chan error
}

func newTalk(ctx context.Context, e engine.Engine) *talk {
	ctx, cancel := context.WithCancel(ctx)
	t := &talk{Engine: e, cancel: cancel, in: make(chan []engine.Grant), out: make(chan engine.Ack), ended: make(chan error, 1)}
	go func() { t.ended <- e.Grants(ctx, t.in, t.out) }()
	return t
}

// push gives the engine its grants and waits until each is acknowledged as in force and idle.
func (t *talk) push(ctx context.Context, grants []engine.Grant) error {
	return t.give(ctx, grants, true)
}

// give is push; in the middle of a run an engine may say that it is not idle.
func (t *talk) give(ctx context.Context, grants []engine.Grant, idle bool) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("not every grant was acknowledged within %s", patience))
	defer cancel()
	waits := make(map[uint32]scoping.Epoch)
	for _, g := range grants {
		waits[g.ID] = g.Epoch
	}
	in := t.in
	for in != nil || len(waits) > 0 {
		select {
		case in <- grants:
			in = nil
		case a := <-t.out:
			if a.Err != "" {
				return fmt.Errorf("grant %d: %s", a.Grant, a.Err)
			}
			if a.InForce && (a.Idle || !idle) && waits[a.Grant] == a.Epoch {
				delete(waits, a.Grant)
			}
		case err := <-t.ended:
			t.ended <- err
			return fmt.Errorf("the stream of grants ended: %w", orNone(err))
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

func orNone(err error) error {
	if err == nil {
		return errors.New("without an error")
	}
	return err
}

// end cancels the stream of grants and waits for it.
func (t *talk) end(limit time.Duration) error {
	t.cancel()
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		select {
		case <-t.out:
		case <-t.ended:
			return nil
		case <-timer.C:
			return fmt.Errorf("the call Grants did not end within %s of its context", limit)
		}
	}
}

// grants gives a grant per scope at the epoch.
func (b *bench) grants(mode engine.Mode, n uint64) []engine.Grant {
	var grants []engine.Grant
	for i, s := range b.Scopes {
		grants = append(grants, engine.Grant{ID: uint32(i + 1), Scope: s, Mode: mode, Epoch: scoping.Epoch{Incarnation: 1, N: n}})
	}
	return grants
}

// outcome is what one run gave.
type outcome struct {
	begins    []engine.RunBegin
	proposals []engine.Proposal
	reports   []engine.RunReport
	taken     int64 // decisions that the engine took
}

func applied(batch []engine.Proposal) ([]engine.Decision, error) {
	decisions := make([]engine.Decision, len(batch))
	for i, p := range batch {
		decisions[i] = engine.Decision{Seq: p.Seq, Outcome: engine.Applied}
	}
	return decisions, nil
}

// run makes one run to its end. each, which may be nil, sees every batch before it is decided.
func (b *bench) run(ctx context.Context, e engine.Engine, r engine.RunRequest, each func([]engine.Proposal) error) (outcome, error) {
	b.runs++
	r.Run = b.runs
	if r.Scopes == nil {
		r.Scopes = b.Scopes
	}
	r.Extensions = b.Extensions
	if r.Ceiling == engine.ModeNone {
		r.Ceiling = engine.ModeOwn
	}
	var o outcome
	counted := &counting{Engine: e}
	reports, err := engine.Drive(ctx, counted, r, engine.Conversation{Begin: func(b engine.RunBegin) error {
		o.begins = append(o.begins, b)
		return nil
	}, Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		o.proposals = append(o.proposals, batch...)
		if each != nil {
			if err := each(batch); err != nil {
				return nil, err
			}
		}
		return applied(batch)
	}})
	o.reports, o.taken = reports, counted.taken.Load()
	return o, err
}

// counting counts the decisions that an engine takes.
type counting struct {
	engine.Engine
	taken atomic.Int64
}

func (c *counting) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	ctx, cancel := context.WithCancel(ctx)
	counted, ended := make(chan []engine.Decision), make(chan struct{})
	go func() {
		defer close(ended)
		defer close(counted)
		for {
			select {
			case batch, more := <-in:
				if !more {
					return
				}
				select {
				case counted <- batch:
					c.taken.Add(int64(len(batch)))
				case <-ctx.Done():
					return
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	err := c.Engine.Run(ctx, r, counted, out)
	cancel()
	<-ended
	return err
}
