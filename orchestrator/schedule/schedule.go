// Package schedule keeps the loops of a Tandem that serves: one goroutine for each engine, one that looks for waves, one for each wave
// that it takes up, and one that looks daily at the accounts' rights. No loop waits for another, so an engine or a wave that hangs delays nobody else.
//
// A Scheduler is made by New and lives for one Run, which begins the loops and waits for all of them: they end when its context ends, or when
// the work reports an error after which the state can no longer be used. Loops may be read at any time, from any goroutine.
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

// Look is how often the waves are looked at.
const Look = 5 * time.Second

// Bounds of the pause before a loop whose last step failed tries again. It doubles with each failure in a row; an engine's is never longer than
// its schedule.
const (
	RetryMin = 30 * time.Second
	RetryMax = 5 * time.Minute
)

// Stand is how long a step may go on without a beat before its loop counts as standing still. A step beats with each page that directory or
// tenant answer and each batch of an engine; each of these has a deadline of its own far below Stand.
const Stand = 10 * time.Minute

// late is how long after its time a step may begin before its loop counts as standing still.
const late = time.Minute

// Clock is time as the loops see it.
type Clock interface {
	Now() time.Time
	After(time.Duration) <-chan time.Time
}

// Work is what the loops cause. Its methods are called by several goroutines, Run and Passwords each by one at a time for each engine.
type Work interface {
	// Run lets an engine run once.
	Run(ctx context.Context, engine string) error
	// Passwords lets an engine hand passwords over, beside its run.
	Passwords(ctx context.Context, engine string) error
	// Writeback takes what changed of passwords in the tenant, and waits for more. It returns at once where there is nothing to take.
	Writeback(ctx context.Context) error
	// Waves returns the waves that are to go on by themselves. first is set for the first look after the start.
	Waves(ctx context.Context, first bool) ([]string, error)
	// TakeUp goes on with a wave until it is over or waits; one that somebody else drives is left alone.
	TakeUp(ctx context.Context, wave string) error
	// Rights looks whether the accounts may see what they have to see. It is asked at the start and daily.
	Rights(ctx context.Context) error
	// Ends reports whether nothing more can be done after an error: the state is closed, broken, or held by another.
	Ends(err error) bool
}

// Engine is the timetable of one engine.
type Engine struct {
	Name  string
	Every time.Duration // from the end of one run to the beginning of the next
	// Passwords is Every for passwords; 0: it has none.
	Passwords time.Duration
}

// Loop is one loop as it is at a moment.
type Loop struct {
	Name     string    // "engine connect", "waves", "wave w1a2b3c-1"
	Began    time.Time // of the step under way; zero: it waits for the next
	Beat     time.Time // when the step under way last showed life
	Ended    time.Time // of the last step; zero: none has ended
	Next     time.Time // when the next step begins; zero: not known
	Failures int       // in a row
	Err      error     // of the last step
}

// Stands says why a loop counts as standing still; empty: it does not.
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

// New returns a scheduler that does not run yet. clock may be nil: the system's.
func New(w Work, clock Clock) *Scheduler {
	if clock == nil {
		clock = system{}
	}
	return &Scheduler{work: w, clock: clock, loops: map[string]*Loop{}}
}

type system struct{}

func (system) Now() time.Time                         { return time.Now() }
func (system) After(d time.Duration) <-chan time.Time { return time.After(d) }

// Run runs the loops until ctx ends, which is no error, or until the work reports an error that ends everything, which it returns. It returns
// when every loop has ended.
func (s *Scheduler) Run(ctx context.Context, engines []Engine) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	fatal := make(chan error, 1)
	over := func(err error) {
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
			s.loop(ctx, EngineLoop(e.Name), e.Every, over, func(ctx context.Context) error { return s.work.Run(ctx, e.Name) })
		})
		if e.Passwords > 0 {
			loops.Go(func() {
				s.loop(ctx, PasswordsLoop(e.Name), e.Passwords, over, func(ctx context.Context) error { return s.work.Passwords(ctx, e.Name) })
			})
		}
	}
	loops.Go(func() { s.loop(ctx, "rights", 24*time.Hour, over, s.work.Rights) })
	loops.Go(func() { s.waves(ctx, over) })
	loops.Go(func() { s.writeback(ctx, over) })
	loops.Wait()
	select {
	case err := <-fatal:
		return err
	default:
		return nil
	}
}

// EngineLoop names the loop of an engine.
func EngineLoop(name string) string { return "engine " + name }

// PasswordsLoop names the loop of an engine's passwords.
func PasswordsLoop(name string) string { return "passwords " + name }

// WaveLoop names the loop of a wave.
func WaveLoop(id string) string { return "wave " + id }

// WritebackLoop names the loop that takes changed passwords from the tenant.
const WritebackLoop = "writeback"

const wavesLoop = "waves"

// The pauses of the loop of writeback: each question waits by itself, and a person waits for each answer. After failures it doubles.
const (
	writebackPause = time.Second
	writebackMost  = 30 * time.Second
)

// writeback is the loop that takes changed passwords from the tenant.
func (s *Scheduler) writeback(ctx context.Context, over func(error)) {
	for ctx.Err() == nil {
		failures := s.step(ctx, WritebackLoop, over, s.work.Writeback)
		s.rest(ctx, WritebackLoop, min(writebackPause<<min(failures, 10), writebackMost))
	}
}

// loop does a step again and again, sooner after one that failed.
func (s *Scheduler) loop(ctx context.Context, name string, every time.Duration, over func(error), f func(context.Context) error) {
	for ctx.Err() == nil {
		failures := s.step(ctx, name, over, f)
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

// waves is the loop that looks for waves to take up, each in a goroutine of its own.
func (s *Scheduler) waves(ctx context.Context, over func(error)) {
	var driving sync.WaitGroup
	defer driving.Wait()
	busy := map[string]bool{} // guarded by mu
	var mu sync.Mutex
	for first := true; ctx.Err() == nil; {
		var ids []string
		failures := s.step(ctx, wavesLoop, over, func(ctx context.Context) (err error) {
			ids, err = s.work.Waves(ctx, first)
			return err
		})
		first = first && failures > 0 // what a first look should have found, the next one finds
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
				s.wave(ctx, id, over)
				mu.Lock()
				delete(busy, id)
				mu.Unlock()
			})
		}
		s.rest(ctx, wavesLoop, Look)
	}
}

// wave takes a wave up once. One that failed is taken up again by a later look, after a growing pause.
func (s *Scheduler) wave(ctx context.Context, id string, over func(error)) {
	name := WaveLoop(id)
	failures := s.step(ctx, name, over, func(ctx context.Context) error { return s.work.TakeUp(ctx, id) })
	s.mu.Lock()
	defer s.mu.Unlock()
	if failures == 0 {
		delete(s.loops, name) // it waits, or is over: the waves' own loop looks again
		return
	}
	s.loops[name].Next = s.clock.Now().Add(backoff(failures))
}

// forget drops the loops of waves whose last step failed and that are not to go on any more: a person decided about them.
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

// due reports whether a wave's loop may go on.
func (s *Scheduler) due(name string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.loops[name]
	return l == nil || !s.clock.Now().Before(l.Next)
}

// step does one step of a loop and returns how many have failed in a row.
func (s *Scheduler) step(ctx context.Context, name string, over func(error), f func(context.Context) error) int {
	s.change(name, func(l *Loop) { l.Began, l.Beat, l.Next = s.clock.Now(), s.clock.Now(), time.Time{} })
	err := f(withBeat(ctx, func() { s.Beat(name) }))
	if ctx.Err() != nil && err != nil && !s.work.Ends(err) {
		err = nil // it ended because everything ends
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
	over(err)
	return failures
}

// rest waits for the next step.
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

// Beat notes that the step under way of a loop shows life. A loop that does not run is left alone.
func (s *Scheduler) Beat(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if l := s.loops[name]; l != nil && !l.Began.IsZero() {
		l.Beat = s.clock.Now()
	}
}

// Loops returns every loop as it is now, ordered by name.
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

// Standing says which loops stand still, and since when.
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

// Alive tells the loop whose step ctx belongs to that the step shows life. Outside a step it does nothing.
func Alive(ctx context.Context) {
	if beat, ok := ctx.Value(beatKey{}).(func()); ok {
		beat()
	}
}
