package simulation

import (
	"context"
	"time"
	"unsafe"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/scoping"
)

// The world's own time (world.now) is elapsed time: the directory, the tenant and requests in flight go by it. The host gets what time.Now gives a process: a
// wall clock, which an administrator or a time service may set, and beside it a monotonic reading, by which package time subtracts and compares. Package
// time has no function that makes such a value, so it is laid out here as its source says; TestTheClockIsGos sees that this is still so.

// reading is the layout of a time.Time: a flag, 33 bits of seconds since 1885 and 30 bits of nanoseconds; the monotonic reading; the location.
type reading struct {
	wall uint64
	ext  int64
	loc  *time.Location
}

var since1885 = time.Date(1885, 1, 1, 0, 0, 0, 0, time.UTC).Unix()

// clockReading returns what time.Now would, at a wall clock and a monotonic reading.
func clockReading(wall time.Time, elapsed time.Duration) time.Time {
	r := reading{wall: 1<<63 | uint64(wall.Unix()-since1885)<<30 | uint64(wall.Nanosecond()), ext: int64(elapsed) + 1}
	return *(*time.Time)(unsafe.Pointer(&r)) // without a location: UTC
}

// Now implements gate.Clock.
func (w *world) Now() time.Time {
	wall := w.now.Add(w.stepped)
	if w.o.Break == ClockBelieved {
		return wall
	}
	return clockReading(wall, w.now.Sub(start))
}

// SinceBoot implements control.Boots: the machine never starts again.
func (w *world) SinceBoot() (string, time.Duration) {
	now := w.now
	if w.o.Break == StepsEndDoubts {
		now = now.Add(w.stepped)
	}
	return "the only one", now.Sub(start)
}

// Sleep implements gate.Clock: time passes, and others act.
func (w *world) Sleep(_ context.Context, d time.Duration) error {
	w.alive()
	w.now = w.now.Add(d)
	if d < 100*time.Millisecond {
		w.interleaveAt(4) // a freeze waits in many small steps for the requests in flight
		return nil
	}
	if id := w.throttled; id != (scoping.ObjectID{}) {
		w.throttled = scoping.ObjectID{}
		w.waylay(id)
	}
	for range 3 {
		w.interleaveAt(40)
	}
	return nil
}

// stepClock sets the wall clock.
func (w *world) stepClock() {
	by := []time.Duration{time.Hour, -time.Hour, 3 * time.Hour, -2 * time.Hour, 26 * time.Hour, -26 * time.Hour}[w.r.IntN(6)]
	w.stepped += by
	w.saw(ClockSteps)
	w.note(scoping.GUID{}, ClockStepped)
	w.log("the wall clock steps by %s", by)
}

// pass lets time pass outside of the host.
func (w *world) pass(d time.Duration) {
	w.now = w.now.Add(d)
	w.tenant.settle()
	w.settleDeliveries()
	w.settleWrites()
}

var _ gate.Clock = (*world)(nil)
