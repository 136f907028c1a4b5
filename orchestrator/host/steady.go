package host

import (
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// Boots is what a clock implements that can tell how long the machine runs: boot names its last start, "" if it cannot be told.
type Boots interface {
	SinceBoot() (boot string, since time.Duration)
}

// steady is the time that no step of the wall clock moves, as control.Scale says.
type steady struct {
	clock  gate.Clock
	scale  control.Scale
	opened time.Time // with its monotonic reading
}

// newSteady takes over the scale of an earlier process of the same start of the machine, or begins one.
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

// keep keeps the scale for later processes.
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

// now returns the time on the scale, in ms. Without a machine's own account of its start it goes by the time since the host was opened.
func (s *steady) now() int64 {
	boot, since := s.sinceBoot()
	if boot == "" || boot != s.scale.Boot {
		since = s.clock.Now().Sub(s.opened)
	}
	return s.scale.At + since.Milliseconds()
}
