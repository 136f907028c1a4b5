package schedule_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/schedule"
)

// work is what the loops cause in these tests: it counts, and hangs or fails where it is told to.
type work struct {
	mu    sync.Mutex
	runs  map[string][]time.Time
	takes map[string]int
	first []bool
	hang  map[string]bool
	fail  map[string]error
	waves []string
	beat  bool
}

func newWork() *work {
	return &work{runs: map[string][]time.Time{}, takes: map[string]int{}, hang: map[string]bool{}, fail: map[string]error{}}
}

func (w *work) do(ctx context.Context, name string) error {
	w.mu.Lock()
	hang, err, beat := w.hang[name], w.fail[name], w.beat
	w.mu.Unlock()
	if !hang {
		return err
	}
	if beat {
		for ctx.Err() == nil {
			schedule.Alive(ctx)
			select {
			case <-time.After(time.Minute):
			case <-ctx.Done():
			}
		}
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

func (w *work) Run(ctx context.Context, name string) error {
	w.mu.Lock()
	w.runs[name] = append(w.runs[name], time.Now())
	w.mu.Unlock()
	return w.do(ctx, name)
}

func (w *work) Writeback(ctx context.Context) error { return w.Run(ctx, "writeback") }

func (w *work) Passwords(ctx context.Context, name string) error {
	return w.Run(ctx, "passwords of "+name)
}

func (w *work) Rights(context.Context) error { return nil }

func (w *work) Waves(_ context.Context, first bool) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.first = append(w.first, first)
	return slices.Clone(w.waves), w.fail["waves"]
}

func (w *work) TakeUp(ctx context.Context, id string) error {
	w.mu.Lock()
	w.takes[id]++
	w.mu.Unlock()
	return w.do(ctx, id)
}

var errClosed = errors.New("the state is closed")

func (w *work) Ends(err error) bool { return errors.Is(err, errClosed) }

func (w *work) set(f func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	f()
}

func (w *work) count(name string) (runs, takes int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.runs[name]), w.takes[name]
}

var both = []schedule.Engine{{Name: "connect", Every: 30 * time.Minute}, {Name: "cloudsync", Every: 2 * time.Minute}}

// serve runs the loops for a while of the bubble's time, and gives what Run returned.
func serve(t *testing.T, s *schedule.Scheduler, during func()) error {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, both) }()
	during()
	cancel()
	return <-ended
}

func TestChangedPasswordsAreAskedForAtOnceAndSlowerWhileThatFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		s := schedule.New(w, nil)
		if err := serve(t, s, func() {
			time.Sleep(time.Minute)
			if n, _ := w.count("writeback"); n < 59 || n > 61 {
				t.Errorf("%d questions in a minute", n)
			}
			w.set(func() { w.fail["writeback"] = errors.New("502") })
			time.Sleep(10 * time.Minute)
			if n, _ := w.count("writeback"); n < 70 || n > 90 {
				t.Errorf("%d questions after ten minutes of an outage", n)
			}
			var loop schedule.Loop
			for _, l := range s.Loops() {
				if l.Name == schedule.WritebackLoop {
					loop = l
				}
			}
			if loop.Failures < 10 || loop.Err == nil || len(s.Standing()) > 0 {
				t.Errorf("%+v, standing still: %v", loop, s.Standing())
			}
			w.set(func() { delete(w.fail, "writeback") })
			time.Sleep(31 * time.Second)
			before, _ := w.count("writeback")
			time.Sleep(10 * time.Second)
			if n, _ := w.count("writeback"); n-before < 9 {
				t.Errorf("%d questions in ten seconds after the outage", n-before)
			}
		}); err != nil {
			t.Error(err)
		}
	})
}

func TestARunThatHangsDelaysNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		w.hang["connect"], w.hang["w1"] = true, true
		w.waves = []string{"w1", "w2"}
		s := schedule.New(w, nil)
		err := serve(t, s, func() { time.Sleep(61 * time.Minute) })
		if err != nil {
			t.Errorf("Run returned %v", err)
		}
		if n, _ := w.count("connect"); n != 1 {
			t.Errorf("connect hangs in its first run, and ran %d times", n)
		}
		if n, _ := w.count("cloudsync"); n != 31 {
			t.Errorf("cloudsync ran %d times in 61 minutes, want 31", n)
		}
		if _, n := w.count("w1"); n != 1 {
			t.Errorf("wave w1 hangs, and was taken up %d times", n)
		}
		if _, n := w.count("w2"); n < 700 {
			t.Errorf("wave w2 was looked at %d times in 61 minutes, want every five seconds", n)
		}
	})
}

func TestOnlyTheFirstLookIsTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		w.fail["waves"] = errors.New("the state cannot be read")
		s := schedule.New(w, nil)
		_ = serve(t, s, func() {
			time.Sleep(8 * time.Second)
			w.set(func() { delete(w.fail, "waves") })
			time.Sleep(8 * time.Second)
		})
		if want := []bool{true, true, true, false}; !slices.Equal(w.first, want) {
			t.Errorf("looks were first: %v, want %v (a look that failed found nothing)", w.first, want)
		}
	})
}

func TestAnEngineWhoseRunFailsIsTriedAgainSoonerAndSaysSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		w.fail["connect"] = errors.New("the tenant is down")
		s := schedule.New(w, nil)
		begin := time.Now()
		_ = serve(t, s, func() {
			time.Sleep(4 * time.Minute)
			l := loop(s, "engine connect")
			if l.Failures != 4 || l.Err == nil || l.Next.Sub(begin) != 7*time.Minute+30*time.Second {
				t.Errorf("after four minutes: %+v", l)
			}
			w.set(func() { delete(w.fail, "connect") })
			time.Sleep(4 * time.Minute)
			if l := loop(s, "engine connect"); l.Failures != 0 || l.Err != nil || l.Next.Sub(l.Ended) != 30*time.Minute {
				t.Errorf("when it succeeded: %+v", l)
			}
		})
		var at []time.Duration
		for _, r := range w.runs["connect"] {
			at = append(at, r.Sub(begin))
		}
		if got := fmt.Sprint(at); got != "[0s 30s 1m30s 3m30s 7m30s]" {
			t.Errorf("tries at %s", got)
		}
	})
}

func TestAWaveThatFailsIsTakenUpAgainAfterAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		w.waves, w.fail["w1"] = []string{"w1"}, errors.New("the directory is down")
		s := schedule.New(w, nil)
		_ = serve(t, s, func() {
			time.Sleep(10 * time.Minute)
			if _, n := w.count("w1"); n != 5 { // at 0, 30 s, 90 s, 210 s, 450 s, each with the next look
				t.Errorf("taken up %d times in ten minutes", n)
			}
			if l := loop(s, "wave w1"); l.Failures != 5 || l.Err == nil {
				t.Errorf("its loop says %+v", l)
			}
			w.set(func() { w.waves = nil })
			time.Sleep(10 * time.Second)
			if l := loop(s, "wave w1"); l.Name != "" {
				t.Errorf("a person ended the wave, and its loop is still there: %+v", l)
			}
		})
	})
}

func TestAStateThatIsClosedEndsEveryLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWork()
		w.hang["connect"] = true
		s := schedule.New(w, nil)
		ended := make(chan error, 1)
		go func() { ended <- s.Run(t.Context(), both) }()
		time.Sleep(5 * time.Minute)
		w.set(func() { w.fail["cloudsync"] = fmt.Errorf("writing the log: %w", errClosed) })
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		select {
		case err := <-ended:
			if !errors.Is(err, errClosed) {
				t.Errorf("Run returned %v", err)
			}
		default:
			t.Error("the state is closed, and the loops go on")
		}
	})
}

func TestAStepWithoutABeatStandsStill(t *testing.T) {
	for _, beat := range []bool{false, true} {
		t.Run(fmt.Sprintf("beats %v", beat), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWork()
				w.hang["connect"], w.beat = true, beat
				s := schedule.New(w, nil)
				_ = serve(t, s, func() {
					time.Sleep(schedule.Stand - time.Second)
					if got := s.Standing(); len(got) > 0 {
						t.Errorf("before its limit: %v", got)
					}
					time.Sleep(time.Minute)
					got := strings.Join(s.Standing(), "; ")
					if beat && got != "" {
						t.Errorf("a step that beats each minute stands still: %s", got)
					}
					if !beat && !strings.HasPrefix(got, "engine connect has shown no progress since ") {
						t.Errorf("a step that hangs for %s: %q", schedule.Stand, got)
					}
				})
			})
		})
	}
}

func loop(s *schedule.Scheduler, name string) schedule.Loop {
	for _, l := range s.Loops() {
		if l.Name == name {
			return l
		}
	}
	return schedule.Loop{}
}
