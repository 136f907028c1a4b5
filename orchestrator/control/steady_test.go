package control_test

import (
	"context"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
)

// machine is a clock whose machine tells its start.
type machine struct {
	wall  time.Time
	boot  string
	since time.Duration
}

func (m *machine) Now() time.Time                             { return m.wall }
func (m *machine) Sleep(context.Context, time.Duration) error { return nil }
func (m *machine) SinceBoot() (string, time.Duration)         { return m.boot, m.since }

// Rule P6: what is waited for lasts as long as it lasts, whatever the wall clock says, in one process and over several of one start of the machine.
func TestTheSteadyScaleOutlivesProcessesAndClockSteps(t *testing.T) {
	m := &machine{wall: time.UnixMilli(1_000_000_000), boot: "a", since: time.Hour}
	c := &control.Content{}
	open := func() *control.Steady {
		s := control.NewSteady(m, c.Head.Scale)
		if err := s.Keep(c); err != nil {
			t.Fatal(err)
		}
		return s
	}
	s := open()
	if s.Now() != m.wall.UnixMilli() {
		t.Fatalf("the scale begins at %d", s.Now())
	}
	began := s.Now()
	m.since, m.wall = m.since+time.Minute, m.wall.Add(26*time.Hour)
	if got := s.Now() - began; got != time.Minute.Milliseconds() {
		t.Errorf("a minute, in which the clock was set, is %d ms", got)
	}
	m.since = m.since + time.Minute
	if got := open().Now() - began; got != 2*time.Minute.Milliseconds() {
		t.Errorf("two minutes, by another process, are %d ms", got)
	}
	m.boot, m.since = "b", time.Second
	if s := open(); s.Now() != m.wall.UnixMilli() || c.Head.Scale.Boot != "b" {
		t.Errorf("after another start of the machine the scale is at %d, of %q", s.Now(), c.Head.Scale.Boot)
	}
}
