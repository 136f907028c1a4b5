package host

import (
	"context"
	"testing"
	"time"
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
	c := &control{}
	open := func() *Host {
		h := &Host{o: Options{Clock: m}}
		h.takeScale(c.head.Scale)
		if err := h.keepScale(c); err != nil {
			t.Fatal(err)
		}
		return h
	}
	h := open()
	if h.steady() != m.wall.UnixMilli() {
		t.Fatalf("the scale begins at %d", h.steady())
	}
	began := h.steady()
	m.since, m.wall = m.since+time.Minute, m.wall.Add(26*time.Hour)
	if got := h.steady() - began; got != time.Minute.Milliseconds() {
		t.Errorf("a minute, in which the clock was set, is %d ms", got)
	}
	m.since = m.since + time.Minute
	if got := open().steady() - began; got != 2*time.Minute.Milliseconds() {
		t.Errorf("two minutes, by another process, are %d ms", got)
	}
	m.boot, m.since = "b", time.Second
	if h := open(); h.steady() != m.wall.UnixMilli() || c.head.Scale.Boot != "b" {
		t.Errorf("after another start of the machine the scale is at %d, of %q", h.steady(), c.head.Scale.Boot)
	}
}
