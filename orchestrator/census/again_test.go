package census_test

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// A directory that was read from the start is told as such once everything that follows from it was found out, however often that failed; so is what
// somebody could not conclude anything from.
func TestAFullReadingIsToldAsOneAfterAFailure(t *testing.T) {
	w := newWorld(t)
	w.add("CN=ann,"+w.ou, "user")
	w.choose(w.choice(100, scoping.Choice{Filter: "(title=chief)"}))
	w.fails = 1
	if _, _, err := w.c.Refresh(t.Context()); !errors.Is(err, errBroken) {
		t.Fatalf("it did not fail: %v", err)
	}
	w.fails = 0
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

// full is a store whose disk is full for a moment.
type full struct {
	census.Store
	fails bool
}

func (f *full) Update(ctx context.Context, do func(state.Tx) error) error {
	if f.fails {
		_ = f.Store.Update(ctx, func(tx state.Tx) error { return errors.Join(do(tx), state.ErrFull) })
		return state.ErrFull
	}
	return f.Store.Update(ctx, do)
}

// What could not be stored is stored by the next commit, which moves the watermark past it: else a process that starts later would take an object for where
// it was before.
func TestWhatCouldNotBeStoredIsStoredLater(t *testing.T) {
	w := newWorld(t)
	store := &full{Store: w.store}
	w.store = store
	w.open()
	ann := w.add("CN=ann,"+w.ou, "user")
	w.refresh()
	to := w.add("OU=Other,"+w.ou, "organizationalUnit")
	w.refresh()
	ann = w.rename(ann, "CN=ann", to)
	if _, _, err := w.c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	store.fails = true
	if err := w.c.Keep(t.Context()); !errors.Is(err, state.ErrFull) {
		t.Fatalf("the disk is full: %v", err)
	}
	store.fails = false
	w.ok(w.c.Keep(t.Context()))
	guid, dn, _, err := w.c.Resolve(t.Context(), "contoso", ann)
	w.ok(err)
	w.open()
	if s := w.c.Sight(scoping.ObjectID{Directory: "contoso", GUID: guid}); s.Name != dn {
		t.Errorf("after a restart it is taken for %s, and is %s", s.Name, dn)
	}
}
