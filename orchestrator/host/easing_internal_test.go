package host

import (
	"errors"
	"testing"
)

// A save beside a run is one at a time; what goes wrong with it ends the run at the next one, and who closes waits for it.
func TestSavesBesideARunAreOneAtATime(t *testing.T) {
	var x easing
	beside := func(f func()) { go f() }
	going, let := 0, make(chan error)
	save := func() error {
		if going++; going > 1 { // the race detector sees two at once as well
			t.Error("two saves at once")
		}
		err := <-let
		going--
		return err
	}
	if err := x.begin(beside, save); err != nil {
		t.Fatal(err)
	}
	full := errors.New("no space left")
	go func() { let <- full }()
	if err := x.begin(beside, save); !errors.Is(err, full) {
		t.Errorf("the run goes on: %v", err)
	}
	if err := x.begin(beside, save); err != nil {
		t.Errorf("it is told once: %v", err)
	}
	go func() { let <- nil }()
	x.wait()
	x.wait()
	if going != 0 {
		t.Error("it was not waited for")
	}
}
