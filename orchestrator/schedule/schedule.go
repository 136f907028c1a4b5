// Package schedule runs the loops of `tandem serve`, each in a goroutine of its own: one for each engine, one for the passwords of each engine that has them, one that looks for
// waves, one for each wave under way, one that takes changed passwords from the tenant, and one that checks the accounts' rights once a day. No loop waits for another, so an
// engine or a wave that hangs delays no other.
//
// The orchestrator makes one [Scheduler] when it opens, with [New]. [Scheduler.Run] is called at most once: it starts the loops and returns when all have ended, which they do
// when its context ends, or when the work reports an error after which the state cannot be used. [Scheduler.Loops], [Scheduler.Standing] and [Scheduler.Beat] may be called
// at any time, from any goroutine.
package schedule

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"
)

// Look is the pause between two looks for waves to go on with.
const Look = 5 * time.Second

// Bounds of the pause after a step that failed. It doubles with each failure in a row; an engine's is never longer than its schedule.
const (
	RetryMin = 30 * time.Second
	RetryMax = 5 * time.Minute
)

// Stand is how long a step may take without a beat until its loop counts as stalled. A step beats with each page of a directory or of the tenant and with each batch of an engine;
// each of these has a deadline of its own far below Stand.
const Stand = 10 * time.Minute

// late is how long after its time a step may begin until its loop counts as stalled.
const late = time.Minute

// Clock is time as the loops see it.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Work is what the loops do. Its methods are called by several goroutines at once; Run and Passwords, however, once at a time for each engine.
type Work interface {
	// Run makes one run of an engine.
	Run(ctx context.Context, engine string) error
	// Passwords makes one run of an engine's password synchronization. It may overlap with Run.
	Passwords(ctx context.Context, engine string) error
	// Writeback carries out password changes of the tenant until none comes for a while. It returns at once where the tenant may not be asked for any.
	Writeback(ctx context.Context) error
	// Waves returns the waves that go on without a person. first is set until a look has succeeded.
	Waves(ctx context.Context, first bool) ([]string, error)
	// TakeUp drives a wave until it is over or waits. It does nothing if another caller drives the wave.
	TakeUp(ctx context.Context, wave string) error
	// Rights checks whether the accounts may read what they have to read. It is called at the start and once a day.
	Rights(ctx context.Context) error
	// Ends reports whether all loops have to end after an error: the state is closed or broken, or another process has it.
	Ends(err error) bool
}

// Engine is the timetable of one engine.
type Engine struct {
	Name      string
	Every     time.Duration // from the end of one run to the beginning of the next
	Passwords time.Duration // the same for its passwords; 0: it has none
}

// Loop is the state of one loop at one moment.
type Loop struct {
	Name     string    // "engine connect", "waves", "wave w1a2b3c-1"
	Began    time.Time // of the step under way; zero: it waits for the next
	Beat     time.Time // of the step under way: its last sign of progress
	Ended    time.Time // of the last step; zero: none has ended
	Next     time.Time // when the next step begins; zero: not known
	Failures int       // in a row
	Err      error     // of the last step
}

// Stands returns why the loop counts as stalled; empty: it does not.
func (l Loop) Stands(now time.Time) string {
	switch {
	case !l.Began.IsZero() && now.Sub(l.Beat) > Stand:
		return fmt.Sprintf("%s has shown no progress since %s", l.Name, l.Beat.UTC().Format(time.RFC3339))
	case l.Began.IsZero() && !l.Next.IsZero() && now.Sub(l.Next) > late:
		return fmt.Sprintf("%s should have gone on at %s", l.Name, l.Next.UTC().Format(time.RFC3339))
	}
	return ""
}

// Scheduler runs the loops.
type Scheduler struct {
	work  Work
	clock Clock

	mu    sync.Mutex
	loops map[string]*Loop
}

// New returns a scheduler that does not run yet. A nil clock is the system's.
func New(w Work, clock Clock) *Scheduler {
	if clock == nil {
		clock = system{}
	}
	return &Scheduler{work: w, clock: clock, loops: map[string]*Loop{}}
}

type system struct{}

func (system) Now() time.Time                         { return time.Now() }
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Run runs the loops and returns when every one has ended: nil after ctx ended, or the error for which Work.Ends reported true.
func (s *Scheduler) Run(ctx context.Context, engines []Engine) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fatal := make(chan error, 1)
	check := func(err error) {
		if err == nil || !s.work.Ends(err) {
			return
		}
		select {
		case fatal <- err:
		default:
		}
		cancel(err)
	}
	var loops sync.WaitGroup
	for _, e := range engines {
		loops.Go(func() {
			s.loop(ctx, EngineLoop(e.Name), e.Every, check, func(ctx context.Context) error { return s.work.Run(ctx, e.Name) })
		})
		if e.Passwords > 0 {
			loops.Go(func() {
				s.loop(ctx, PasswordsLoop(e.Name), e.Passwords, check, func(ctx context.Context) error { return s.work.Passwords(ctx, e.Name) })
			})
		}
	}
	loops.Go(func() { s.loop(ctx, "rights", 24*time.Hour, check, s.work.Rights) })
	loops.Go(func() { s.waves(ctx, check) })
	loops.Go(func() { s.writeback(ctx, check) })
	loops.Wait()
	select {
	case err := <-fatal:
		return err
	default:
		return nil
	}
}

// EngineLoop returns the name of an engine's loop.
func EngineLoop(name string) string { return "engine " + name }

// PasswordsLoop returns the name of the loop for an engine's passwords.
func PasswordsLoop(name string) string { return "passwords " + name }

// WaveLoop returns the name of a wave's loop.
func WaveLoop(id string) string { return "wave " + id }

// WritebackLoop is the name of the loop that takes changed passwords from the tenant.
const WritebackLoop = "writeback"

const wavesLoop = "waves"

// The pauses of the writeback loop, which double with each failure in a row. They are short because a person waits for each password change, and because each request
// itself waits for changes.
const (
	writebackPause = time.Second
	writebackMost  = 30 * time.Second
)

// writeback is the loop over Work.Writeback.
func (s *Scheduler) writeback(ctx context.Context, check func(error)) {
	for ctx.Err() == nil {
		failures := s.step(ctx, WritebackLoop, check, s.work.Writeback)
		s.rest(ctx, WritebackLoop, min(writebackPause<<min(failures, 10), writebackMost))
	}
}

// loop repeats a step after a pause: every, or a shorter one after a failure.
func (s *Scheduler) loop(ctx context.Context, name string, every time.Duration, check func(error), f func(context.Context) error) {
	for ctx.Err() == nil {
		failures := s.step(ctx, name, check, f)
		pause := every
		if failures > 0 {
			pause = min(every, backoff(failures))
		}
		s.rest(ctx, name, pause)
	}
}

func backoff(failures int) time.Duration {
	return min(RetryMin<<min(failures-1, 10), RetryMax)
}

// waves is the loop that looks for waves. It drives each in a goroutine of its own, and none twice at once.
func (s *Scheduler) waves(ctx context.Context, check func(error)) {
	var driving sync.WaitGroup
	defer driving.Wait()
	busy := map[string]bool{} // guarded by mu
	var mu sync.Mutex
	for first := true; ctx.Err() == nil; {
		var ids []string
		failures := s.step(ctx, wavesLoop, check, func(ctx context.Context) (err error) {
			ids, err = s.work.Waves(ctx, first)
			return err
		})
		first = first && failures > 0 // after a failure the next look is the first one again
		if failures == 0 {
			s.forget(ids)
		}
		for _, id := range ids {
			mu.Lock()
			free := !busy[id] && s.due(WaveLoop(id))
			busy[id] = busy[id] || free
			mu.Unlock()
			if !free {
				continue
			}
			driving.Go(func() {
				s.wave(ctx, id, check)
				mu.Lock()
				delete(busy, id)
				mu.Unlock()
			})
		}
		s.rest(ctx, wavesLoop, Look)
	}
}

// wave drives a wave once. After a failure a later look drives it again, when its pause is over.
func (s *Scheduler) wave(ctx context.Context, id string, check func(error)) {
	name := WaveLoop(id)
	failures := s.step(ctx, name, check, func(ctx context.Context) error { return s.work.TakeUp(ctx, id) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if failures == 0 {
		delete(s.loops, name) // it waits or is over; the loop of all waves finds it when it may go on
		return
	}
	s.loops[name].Next = s.clock.Now().Add(backoff(failures))
}

// forget drops the loops of waves that failed and may no longer go on by themselves, since a person decided about them. Otherwise they would be shown as failing for ever.
func (s *Scheduler) forget(goOn []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, l := range s.loops {
		id, isWave := strings.CutPrefix(name, WaveLoop(""))
		if isWave && l.Began.IsZero() && !slices.Contains(goOn, id) {
			delete(s.loops, name)
		}
	}
}

// due reports whether the pause of a wave's loop is over.
func (s *Scheduler) due(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loops[name]
	return l == nil || !s.clock.Now().Before(l.Next)
}

// step does one step of a loop and returns the number of failures in a row.
func (s *Scheduler) step(ctx context.Context, name string, check func(error), f func(context.Context) error) int {
	s.change(name, func(l *Loop) { l.Began, l.Beat, l.Next = s.clock.Now(), s.clock.Now(), time.Time{} })
	err := f(withBeat(ctx, func() { s.Beat(name) }))
	if ctx.Err() != nil && err != nil && !s.work.Ends(err) {
		err = nil // it was canceled because all loops end
	}
	failures := 0
	s.change(name, func(l *Loop) {
		l.Began, l.Ended, l.Err = time.Time{}, s.clock.Now(), err
		l.Failures++
		if err == nil {
			l.Failures = 0
		}
		failures = l.Failures
	})
	check(err)
	return failures
}

// rest waits for d, or until ctx ends.
func (s *Scheduler) rest(ctx context.Context, name string, d time.Duration) {
	next := s.clock.After(d)
	s.change(name, func(l *Loop) { l.Next = s.clock.Now().Add(d) })
	select {
	case <-ctx.Done():
	case <-next:
	}
}

func (s *Scheduler) change(name string, f func(*Loop)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loops[name]
	if l == nil {
		l = &Loop{Name: name}
		s.loops[name] = l
	}
	f(l)
}

// Beat notes progress of a loop's step. It does nothing while no step of that loop is under way.
func (s *Scheduler) Beat(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.loops[name]; l != nil && !l.Began.IsZero() {
		l.Beat = s.clock.Now()
	}
}

// Loops returns the present state of every loop, ordered by name.
func (s *Scheduler) Loops() []Loop {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]Loop, 0, len(s.loops))
	for _, l := range s.loops {
		out = append(out, *l)
	}
	slices.SortFunc(out, func(a, b Loop) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Standing returns a sentence for each stalled loop.
func (s *Scheduler) Standing() []string {
	now := s.clock.Now()
	var out []string
	for _, l := range s.Loops() {
		if why := l.Stands(now); why != "" {
			out = append(out, why)
		}
	}
	return out
}

type beatKey struct{}

func withBeat(ctx context.Context, beat func()) context.Context {
	return context.WithValue(ctx, beatKey{}, beat)
}

// Alive notes progress of the step that ctx belongs to. Outside of a step it does nothing.
func Alive(ctx context.Context) {
	if beat, ok := ctx.Value(beatKey{}).(func()); ok {
		beat()
	}
}
