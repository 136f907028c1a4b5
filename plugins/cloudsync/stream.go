package cloudsync

import (
	"context"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// maxBatchTargets bounds the references in one batch, so that no message grows beyond a few megabytes. A single group may
// hold more.
const maxBatchTargets = 50000

// stream is the host's side of a run: proposals go out in batches, decisions come in at the same time.
type stream struct {
	ctx context.Context
	out chan<- engine.RunEvent
	seq uint64

	batch   []engine.Proposal
	targets int

	mu      sync.Mutex
	waiting map[uint64]scoping.ObjectID      // proposals sent and not decided
	open    map[scoping.ObjectID]*settlement // objects of which something is not decided
	decided []settlement                     // objects of which everything is, since the last call of settled
	failed  int                              // decisions that say failed
	closed  bool                             // the host decides no more
	wake    chan struct{}                    // has one value when waiting got shorter or closed came
	intake  sync.WaitGroup
}

// settlement is what follows for an object once everything that was proposed of it is decided.
type settlement struct {
	object scoping.ObjectID
	want   engine.Want
	partly bool // the run was not about all features that are granted: the object stays to be proposed
	due    int  // decisions still to come, or proposals still to be sent
}

func newStream(ctx context.Context, in <-chan []engine.Decision, out chan<- engine.RunEvent) *stream {
	s := &stream{ctx: ctx, out: out, waiting: map[uint64]scoping.ObjectID{}, open: map[scoping.ObjectID]*settlement{}, wake: make(chan struct{}, 1)}
	s.intake.Go(func() { s.takeIn(in) })
	return s
}

func (s *stream) takeIn(in <-chan []engine.Decision) {
	for {
		select {
		case <-s.ctx.Done():
			return
		case decisions, ok := <-in:
			s.mu.Lock()
			if !ok {
				s.closed = true
			}
			for _, d := range decisions {
				s.decide(d)
			}
			s.mu.Unlock()
			select {
			case s.wake <- struct{}{}:
			default:
			}
			if !ok {
				return
			}
		}
	}
}

// decide takes one decision. Whatever it says, the debt is the host's now (rule P1). The caller holds mu.
func (s *stream) decide(d engine.Decision) {
	id, ok := s.waiting[d.Seq]
	if !ok {
		return
	}
	delete(s.waiting, d.Seq)
	if d.Outcome == engine.Failed {
		s.failed++
	}
	s.done(id)
}

func (s *stream) done(id scoping.ObjectID) {
	o := s.open[id]
	o.due--
	if o.due == 0 {
		delete(s.open, id)
		s.decided = append(s.decided, *o)
	}
}

// owe says that n proposals of the object will be sent. want is what its base proposal wants.
func (s *stream) owe(id scoping.ObjectID, want engine.Want, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[id]; o != nil {
		o.due += n
		return
	}
	s.open[id] = &settlement{object: id, want: want, due: n}
}

// leave notes of an object of which something is owed that the run is not about all of it.
func (s *stream) leave(id scoping.ObjectID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if o := s.open[id]; o != nil {
		o.partly = true
	}
}

// propose numbers a proposal that was owed, and sends it when a batch is full.
func (s *stream) propose(p engine.Proposal) error {
	n := 0
	for _, r := range p.Refs {
		n += len(r.Targets)
	}
	if len(s.batch) > 0 && s.targets+n > maxBatchTargets {
		if err := s.flush(); err != nil {
			return err
		}
	}
	s.seq++
	p.Seq = s.seq
	s.batch = append(s.batch, p)
	s.targets += n
	if len(s.batch) < engine.MaxBatch {
		return nil
	}
	return s.flush()
}

func (s *stream) flush() error {
	if len(s.batch) == 0 {
		return nil
	}
	s.mu.Lock()
	for _, p := range s.batch {
		s.waiting[p.Seq] = p.Object
	}
	s.mu.Unlock()
	batch := s.batch
	s.batch, s.targets = nil, 0
	return s.send(engine.RunEvent{Proposals: batch})
}

func (s *stream) send(e engine.RunEvent) error {
	select {
	case s.out <- e:
		return nil
	case <-s.ctx.Done():
		return context.Cause(s.ctx)
	}
}

// settled gives the objects of which everything was decided since it was called last.
func (s *stream) settled() []settlement {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.decided
	s.decided = nil
	return out
}

// await waits until every proposal that was sent is decided, the host decides no more, or the run's context ends.
func (s *stream) await() error {
	for {
		s.mu.Lock()
		over := len(s.waiting) == 0 || s.closed
		s.mu.Unlock()
		if over {
			return nil
		}
		select {
		case <-s.wake:
		case <-s.ctx.Done():
			return context.Cause(s.ctx)
		}
	}
}

func (s *stream) failures() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.failed
}

// spool keeps proposals of references on disk until all base proposals of the run are sent. Its file has no name any more
// while it is used (where the system allows that), so a crash leaves nothing behind.
type spool struct {
	file  *os.File
	write *gob.Encoder
	count int
}

func newSpool(dir string) (*spool, error) {
	f, err := os.CreateTemp(dir, "references-*")
	if err != nil {
		return nil, fmt.Errorf("keep references until the end of the run: %w", err)
	}
	os.Remove(f.Name())
	return &spool{file: f, write: gob.NewEncoder(f)}, nil
}

func (s *spool) add(p engine.Proposal) error {
	s.count++
	if err := s.write.Encode(p); err != nil {
		return fmt.Errorf("keep references until the end of the run: %w", err)
	}
	return nil
}

// each gives the proposals back in the order in which they were added.
func (s *spool) each(f func(engine.Proposal) error) error {
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	read := gob.NewDecoder(s.file)
	for range s.count {
		var p engine.Proposal
		if err := read.Decode(&p); err != nil {
			return fmt.Errorf("read the references kept: %w", err)
		}
		if err := f(p); err != nil {
			return err
		}
	}
	return nil
}

func (s *spool) close() error {
	return errors.Join(s.file.Close(), removeIfThere(s.file.Name()))
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}
