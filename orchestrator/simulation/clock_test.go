package simulation

import (
	"testing"
	"time"
)

// A clock's reading is laid out as package time lays out what time.Now gives: subtracted and compared by elapsed time, told by the wall clock.
func TestTheClockIsGos(t *testing.T) {
	wall := time.Date(2030, 1, 7, 8, 0, 0, 5, time.UTC)
	a, b := clockReading(wall, time.Minute), clockReading(wall.Add(-time.Hour), 2*time.Minute)
	switch {
	case b.Sub(a) != time.Minute || !a.Before(b):
		t.Errorf("a minute has passed: %s", b.Sub(a))
	case a.UnixNano()-b.UnixNano() != int64(time.Hour) || !a.Round(0).Equal(wall):
		t.Errorf("the wall clock went back an hour: %s, %s", a, b)
	case a.Add(time.Second).Sub(b) != -59*time.Second || a.Add(time.Second).UnixNano() != wall.Add(time.Second).UnixNano():
		t.Errorf("adding adds to both")
	case !a.Round(0).Add(time.Minute).After(wall):
		t.Errorf("without its elapsed time a reading is a time like any other")
	}
	now := time.Now()
	if d := time.Since(now); d < 0 || d > time.Minute {
		t.Errorf("time.Since: %s", d)
	}
}
