package census_test

import (
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// A directory that was read from the start is told as such once everything that follows from it was found out, however often that failed; so is what
// somebody could not conclude anything from.
func TestAFullReadingIsToldAsOneAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.add("CN=ann,"+w.ou, "user")
	w.choose(w.choice(100, scoping.Choice{Filter: "(title=chief)"}))
	w.fails = true
	if _, _, err := w.c.Refresh(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("it did not fail: %v", err)
	}
	w.fails = false
	full := func(want bool) int {
		t.Helper()
		evs, full, err := w.c.Refresh(t.Context())
		w.ok(err)
		if full != want {
			t.Errorf("read from the start: %v, want %v", full, want)
		}
		return len(evs)
	}
	n := full(true)
	if n == 0 || full(false) != 0 {
		t.Errorf("told %d events, and again some", n)
	}
	w.c.Again(nil, true)
	w.ok(w.c.Keep(t.Context()))
	w.open() // nothing was kept: it is all news again
	if full(true) < n {
		t.Error("what was not concluded was kept as old")
	}
}
