package control

import "time"

// WallClock is a clock that may be set.
type WallClock interface{ Now() time.Time }

// Boots is implemented by clocks that know how long the machine has run: boot names its last start, "" if unknown.
type Boots interface {
	SinceBoot() (boot string, since time.Duration)
}

// Steady is the scale that steps of the wall clock do not move: see Scale.
type Steady struct {
	clock  WallClock
	scale  Scale
	opened time.Time // with its monotonic reading
}

// NewSteady continues the scale of an earlier process since the same start of the machine, or begins one.
func NewSteady(clock WallClock, kept *Scale) *Steady {
	s := &Steady{clock: clock}
	boot, since := s.sinceBoot()
	s.opened = clock.Now()
	s.scale = Scale{Boot: boot, At: s.opened.Add(-since).UnixMilli()}
	if boot != "" && kept != nil && kept.Boot == boot {
		s.scale = *kept
	}
	return s
}

// Keep stores the scale for later processes.
func (s *Steady) Keep(c *Content) error {
	if x := s.scale; x.Boot != "" {
		c.Head.Scale = &x
	}
	return nil
}

func (s *Steady) sinceBoot() (string, time.Duration) {
	if b, ok := s.clock.(Boots); ok {
		return b.SinceBoot()
	}
	return "", 0
}

// Now returns the time on the scale, in ms. If the machine's start is unknown it counts from the its opening.
func (s *Steady) Now() int64 {
	boot, since := s.sinceBoot()
	if boot == "" || boot != s.scale.Boot {
		since = s.clock.Now().Sub(s.opened)
	}
	return s.scale.At + since.Milliseconds()
}
