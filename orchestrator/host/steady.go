package host

import (
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// Boots is implemented by clocks that know how long the machine has run: boot names its last start, "" if unknown.
type Boots interface {
	SinceBoot() (boot string, since time.Duration)
}

// steady is the scale that steps of the wall clock do not move: see control.Scale.
type steady struct {
	clock  gate.Clock
	scale  control.Scale
	opened time.Time // with its monotonic reading
}

// newSteady continues the scale of an earlier process since the same start of the machine, or begins one.
func newSteady(clock gate.Clock, kept *control.Scale) *steady {
	s := &steady{clock: clock}
	boot, since := s.sinceBoot()
	s.opened = clock.Now()
	s.scale = control.Scale{Boot: boot, At: s.opened.Add(-since).UnixMilli()}
	if boot != "" && kept != nil && kept.Boot == boot {
		s.scale = *kept
	}
	return s
}

// keep stores the scale for later processes.
func (s *steady) keep(c *control.Content) error {
	if x := s.scale; x.Boot != "" {
		c.Head.Scale = &x
	}
	return nil
}

func (s *steady) sinceBoot() (string, time.Duration) {
	if b, ok := s.clock.(Boots); ok {
		return b.SinceBoot()
	}
	return "", 0
}

// now returns the time on the scale, in ms. If the machine's start is unknown it counts from the opening of the host.
func (s *steady) now() int64 {
	boot, since := s.sinceBoot()
	if boot == "" || boot != s.scale.Boot {
		since = s.clock.Now().Sub(s.opened)
	}
	return s.scale.At + since.Milliseconds()
}
