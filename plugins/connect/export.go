package connect

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// maxBatchReferences bounds the references in one batch, since a batch is one message on the wire.
const maxBatchReferences = 20000

// exporter sends a run's proposals and takes their decisions, each in its own goroutine.
type exporter struct {
	store Store
	out   chan<- engine.RunEvent

	seq        uint64
	batch      []engine.Proposal
	references int

	mu       sync.Mutex
	waiting  map[uint64]debt // sent, not decided
	sent     bool            // nothing more is sent
	over     bool            // the host decides nothing more
	complete chan struct{}   // closed when nothing more is to be waited for
}

// debt is what a decision takes off the engine's shoulders: whatever it says, the host asks again for what did not settle.
type debt struct {
	object scoping.ObjectID
	bits   byte
}

func newExporter(store Store, out chan<- engine.RunEvent) *exporter {
	return &exporter{store: store, out: out, waiting: map[uint64]debt{}, complete: make(chan struct{})}
}

func (x *exporter) event(ctx context.Context, e engine.RunEvent) error {
	select {
	case x.out <- e:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// propose puts a proposal into the batch and sends the batch when it is full.
func (x *exporter) propose(ctx context.Context, p engine.Proposal, bits byte) error {
	x.seq++
	p.Seq = x.seq
	x.mu.Lock()
	if p.Want == engine.Unknown && p.Reason == engine.PlaceUnknown { // no word about it: what is still to be proposed stays so
		bits = 0
	}
	x.waiting[p.Seq] = debt{p.Object, bits}
	x.mu.Unlock()
	x.batch = append(x.batch, p)
	for _, r := range p.Refs {
		x.references += len(r.Targets)
	}
	if len(x.batch) < engine.MaxBatch && x.references < maxBatchReferences {
		return nil
	}
	return x.flush(ctx)
}

func (x *exporter) flush(ctx context.Context) error {
	if len(x.batch) == 0 {
		return nil
	}
	batch := x.batch
	x.batch, x.references = nil, 0
	return x.event(ctx, engine.RunEvent{Proposals: batch})
}

// page sends a page. First it marks what carries no mark yet: until it is decided, a proposal is the engine's debt, whether
// the object changed or not. In the same transaction it takes off the marks that nothing is proposed of.
func (x *exporter) page(ctx context.Context, directory string, p page, bits byte) error {
	if len(p.owe)+len(p.settled) > 0 {
		err := x.store.Update(ctx, func(tx state.Tx) error {
			s := space{directory, tx}
			for _, made := range p.owe {
				if err := s.owe(made.Object.GUID, bits, made.Parent); err != nil {
					return err
				}
			}
			for _, g := range p.settled {
				if err := s.clear(g, bits); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	for _, made := range p.proposals {
		if err := x.propose(ctx, made, bits); err != nil {
			return err
		}
	}
	return nil
}

// allSent says that nothing more comes, so that takeDecisions can tell when it is done.
func (x *exporter) allSent() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.sent = true
	x.check()
}

// check closes complete when everything was sent and nothing more is to come. The caller holds mu.
func (x *exporter) check() {
	if !x.sent || (len(x.waiting) > 0 && !x.over) {
		return
	}
	select {
	case <-x.complete:
	default:
		close(x.complete)
	}
}

// errUndecided is a run whose host stopped answering; what was not decided is proposed again by the next run.
var errUndecided = errors.New("the host ended the run without deciding every proposal")

// takeDecisions ends when everything sent is decided, when in is closed with something undecided, or with ctx.
func (x *exporter) takeDecisions(ctx context.Context, in <-chan []engine.Decision) error {
	for {
		select {
		case <-x.complete:
			return x.undecided()
		case <-ctx.Done():
			return context.Cause(ctx)
		case decisions, open := <-in:
			if !open {
				in = nil
				if err := x.ended(); err != nil {
					return err
				}
				continue
			}
			if err := x.decided(ctx, decisions); err != nil {
				return fmt.Errorf("store decisions: %w", err)
			}
		}
	}
}

// ended notes that the host closed the decisions. It may do so as soon as the last report was sent, which can be before
// allSent was called.
func (x *exporter) ended() error {
	x.mu.Lock()
	x.over = true
	x.check()
	x.mu.Unlock()
	return x.undecided()
}

func (x *exporter) undecided() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if n := len(x.waiting); n > 0 {
		return fmt.Errorf("%w (%d left)", errUndecided, n)
	}
	return nil
}

// decided takes what was decided off the pending marks, in one transaction.
func (x *exporter) decided(ctx context.Context, decisions []engine.Decision) error {
	x.mu.Lock()
	var debts []debt
	for _, d := range decisions {
		if b, ok := x.waiting[d.Seq]; ok {
			debts = append(debts, b)
		}
	}
	x.mu.Unlock()
	err := x.store.Update(ctx, func(tx state.Tx) error {
		for _, b := range debts {
			if err := (space{b.object.Directory, tx}).clear(b.object.GUID, b.bits); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, d := range decisions {
		delete(x.waiting, d.Seq)
	}
	x.check()
	return nil
}
