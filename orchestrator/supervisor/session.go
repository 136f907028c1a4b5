package supervisor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// loop runs sessions, one after the other, until life ends.
func (s *Supervisor) loop(life context.Context, ended chan<- struct{}) {
	defer close(ended)
	defer s.change(func(st *Status) { st.State, st.PID = Closed, 0 })
	pause := s.o.PauseMin
	for life.Err() == nil {
		configs := s.begin()
		began := s.o.Clock.Now()
		err := s.session(life)
		if life.Err() != nil {
			return
		}
		s.change(func(st *Status) {
			st.Restarts++
			st.LastErr, st.LastEnd = err, s.o.Clock.Now()
		})
		if s.o.Clock.Now().Sub(began) >= s.o.Steady {
			pause = s.o.PauseMin
			s.change(func(st *Status) { st.Failures = 0 })
		}
		if s.rest(life, err, pause, configs) {
			pause = s.o.PauseMin
		} else {
			pause = min(2*pause, s.o.PauseMax)
		}
	}
}

// begin starts the next session's status and returns the number of configurations so far.
func (s *Supervisor) begin() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acks = make(map[uint32]engine.Ack)
	s.changeLocked(func(st *Status) {
		st.State, st.PID, st.Next = Starting, 0, time.Time{}
		st.Session++
		st.Health, st.HealthKnown = engine.Health{}, false
	})
	return s.configs
}

// rest waits before the next session until the pause is over or there is another configuration, and reports whether there is. An engine that refused its configuration
// waits for another one without end.
func (s *Supervisor) rest(life context.Context, err error, pause time.Duration, configs int) (reconfigured bool) {
	var refused *engine.ConfigError
	state := Pausing
	var over <-chan time.Time
	if errors.As(err, &refused) {
		state = Refusing
	} else {
		over = s.o.Clock.After(pause)
	}
	s.mu.Lock()
	if s.configs == configs {
		s.changeLocked(func(st *Status) {
			st.State, st.PID, st.Err, st.Next = state, 0, err, s.o.Clock.Now().Add(pause)
			st.Failures++
		})
	}
	s.mu.Unlock()
	for {
		s.mu.Lock()
		changed, other := s.changed, s.configs != configs
		s.mu.Unlock()
		if other {
			return true
		}
		select {
		case <-over:
			return false
		case <-life.Done():
			return false
		case <-changed:
		}
	}
}

// session starts the engine and returns why it ended.
func (s *Supervisor) session(life context.Context) error {
	instance, err := s.o.Start(life)
	if err != nil {
		return fmt.Errorf("engine %s: %w", s.o.Name, err)
	}
	defer func() {
		// life may be over. Stop has bounds of its own, and returns at once if the instance has ended.
		if err := instance.Stop(context.WithoutCancel(life)); err != nil {
			s.mu.Lock()
			s.unstopped = err
			s.mu.Unlock()
		}
	}()
	s.change(func(st *Status) { st.PID = instance.PID() })
	ctx, cancel := context.WithCancelCause(life)
	defer cancel(nil)
	if err := s.prepare(life, instance, cancel); err != nil {
		return fmt.Errorf("engine %s: %w", s.o.Name, err)
	}
	defer s.leave()
	var streams sync.WaitGroup
	defer streams.Wait()
	defer cancel(nil)
	streams.Go(func() {
		if err := s.pingLoop(ctx, instance); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("engine %s: %w", s.o.Name, err))
		}
	})
	streams.Go(func() {
		if err := s.pushGrants(ctx, instance.Engine()); err != nil && ctx.Err() == nil {
			cancel(fmt.Errorf("engine %s stopped taking grants: %w", s.o.Name, err))
		}
	})
	streams.Go(func() { s.watchHealth(ctx, instance.Engine()) })
	select {
	case <-instance.Done():
		return instance.Err()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// enter makes the session the one that callers get, unless there is another configuration by now. end ends the session.
func (s *Supervisor) enter(i Instance, configs int, end context.CancelCauseFunc) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.configs != configs {
		return false
	}
	s.live, s.end = i, end
	s.changeLocked(func(st *Status) { st.State, st.Err = Ready, nil })
	return true
}

func (s *Supervisor) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.live, s.end = nil, nil
	s.changeLocked(func(st *Status) { st.State = Starting })
}

// prepare asks the engine for its description, configures it and makes the session ready. If another configuration comes meanwhile, it configures the engine again.
func (s *Supervisor) prepare(life context.Context, i Instance, end context.CancelCauseFunc) error {
	e := i.Engine()
	ctx, cancel := context.WithTimeout(life, describeLimit)
	defer cancel()
	d, err := e.Describe(ctx)
	if err != nil {
		return err
	}
	if d.Contract != engine.ContractVersion {
		return &engine.VersionError{Engine: fmt.Sprint(d.Contract), Host: engine.ContractVersion}
	}
	s.mu.Lock()
	s.changeLocked(func(st *Status) { st.Description = d })
	s.mu.Unlock()
	ctx, cancel = context.WithTimeout(life, configureLimit)
	defer cancel()
	for {
		s.mu.Lock()
		config, configs := s.config, s.configs
		s.mu.Unlock()
		if err := e.Configure(ctx, config.For(d, s.o.Accounts)); err != nil || s.enter(i, configs, end) {
			return err
		}
	}
}

// pushGrants sends the engine its grants whenever they change, and records its acknowledgements. It returns when the engine ends the stream or ctx ends.
func (s *Supervisor) pushGrants(ctx context.Context, e engine.Engine) error {
	ctx, cancel := context.WithCancel(ctx)
	in, out, ended := make(chan []engine.Grant), make(chan engine.Ack), make(chan error, 1)
	var feeding sync.WaitGroup
	defer feeding.Wait()
	defer cancel()
	feeding.Go(func() { s.feedGrants(ctx, in) })
	go func() { ended <- e.Grants(ctx, in, out) }()
	for {
		select {
		case a := <-out:
			s.mu.Lock()
			s.acks[a.Grant] = a
			s.changeLocked(func(*Status) {})
			s.mu.Unlock()
		case err := <-ended:
			if err == nil {
				return errors.New("it ended the stream")
			}
			return err
		}
	}
}

// feedGrants sends the present grants into the channel after each change, and closes it when ctx ends. Sets that were replaced before the engine took them are skipped.
func (s *Supervisor) feedGrants(ctx context.Context, in chan<- []engine.Grant) {
	defer close(in)
	pushed := 0
	for {
		s.mu.Lock()
		grants, pushes, changed := s.grants, s.pushes, s.changed
		s.mu.Unlock()
		if pushes == pushed {
			select {
			case <-changed:
				continue
			case <-ctx.Done():
				return
			}
		}
		select {
		case in <- grants:
			pushed = pushes
		case <-ctx.Done():
			return
		}
	}
}

// watchHealth records the engine's health. An engine need not report any.
func (s *Supervisor) watchHealth(ctx context.Context, e engine.Engine) {
	out, ended := make(chan engine.Health), make(chan struct{})
	go func() {
		defer close(ended)
		_ = e.Health(ctx, out) // if the process ends, session returns why
	}()
	for {
		select {
		case h := <-out:
			s.change(func(st *Status) { st.Health, st.HealthKnown = h, true })
		case <-ended:
			return
		}
	}
}
