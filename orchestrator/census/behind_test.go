package census_test

import (
	"context"
	"errors"
	"testing"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// replicated gives the world a second controller, and lets its census read the one that is chosen.
func (w *world) replicated() (second *labdirectory.Model, choose func(second bool)) {
	w.Helper()
	m := w.srv.Model()
	second = m.Replica()
	srv, err := labdirectory.Serve(w.Context(), second, labdirectory.ServerOptions{})
	w.ok(err)
	w.Cleanup(func() { _ = srv.Close() })
	reads := w.srv
	w.dial = func(ctx context.Context, name string) (census.Reader, error) {
		s, err := directory.Dial(ctx, directory.Connection{Name: name, URLs: []string{reads.URL()}, Base: m.Base(), User: m.ReadOnlyUser(), Password: m.AdminPassword(), CA: reads.CAPEM()})
		if err != nil {
			return nil, err
		}
		return s, nil
	}
	w.open()
	return second, func(other bool) {
		w.ok(w.c.Close())
		reads = w.srv
		if other {
			reads = srv
		}
		w.open()
	}
}

func (w *world) idOf(dn string) scoping.ObjectID {
	w.Helper()
	guid, _, _, err := w.c.Resolve(w.Context(), "contoso", dn)
	w.ok(err)
	return scoping.ObjectID{Directory: "contoso", GUID: guid}
}

// read refreshes and keeps what was read.
func (w *world) read() int {
	w.Helper()
	evs, _, err := w.c.Refresh(w.Context())
	w.ok(err)
	w.ok(w.c.Keep(w.Context()))
	return len(evs)
}

// Rule V1: what a controller that is behind shows or lacks changes no place, and nothing is looked up on it.
func TestAControllerThatIsBehindIsRefused(t *testing.T) {
	w := newWorld(t)
	second, choose := w.replicated()
	ann, bob := w.user("ann"), w.user("bob")
	w.read()
	second.CatchUp()
	annID, bobID := w.idOf(ann), w.idOf(bob)
	w.remove(ann)
	cleo := w.user("cleo")
	bob = w.rename(bob, "CN=robert", w.ou)
	w.read()
	cleoID := w.idOf(cleo)
	point, _, known := w.c.AsOf("contoso")
	if !known || point.USN == 0 || point.Invocation.IsZero() {
		t.Fatalf("what was seen is not known: %+v %v", point, known)
	}
	unchanged := func(when string) {
		t.Helper()
		if s := w.c.Sight(annID); s.Known && !s.Deleted {
			t.Errorf("%s: a deleted object lives again: %+v", when, s)
		}
		if s := w.c.Sight(bobID); s.Name != bob {
			t.Errorf("%s: a renamed object is %s, want %s", when, s.Name, bob)
		}
		if s := w.c.Sight(cleoID); !s.Known || s.Deleted {
			t.Errorf("%s: a new object is gone: %+v", when, s)
		}
		if p, _, _ := w.c.AsOf("contoso"); p != point {
			t.Errorf("%s: what was seen is %+v, was %+v", when, p, point)
		}
	}
	choose(true)
	for range 2 {
		evs, full, err := w.c.Refresh(t.Context())
		var unread *census.UnreadError
		if !errors.As(err, &unread) || !errors.Is(err, census.ErrBehind) || !errors.Is(err, directory.ErrBehind) || len(evs) > 0 || full {
			t.Fatalf("a controller that is behind is read: %d events, full %v, %v", len(evs), full, err)
		}
		w.ok(w.c.Keep(t.Context()))
		unchanged("after a refused reading")
	}
	if _, _, _, err := w.c.Resolve(t.Context(), "contoso", cleo); !errors.Is(err, census.ErrBehind) {
		t.Errorf("a look-up over a controller that is behind: %v", err)
	}
	w.open()
	unchanged("in another process")

	second.CatchUp()
	w.read()
	if p, url, _ := w.c.AsOf("contoso"); p.Invocation == point.Invocation || url == "" {
		t.Errorf("after it caught up it is not the one that is read: %+v %q", p, url)
	}
	if s := w.c.Sight(bobID); s.Name != bob {
		t.Errorf("a renamed object is %s, want %s", s.Name, bob)
	}
	if s := w.c.Sight(cleoID); !s.Known || s.Deleted {
		t.Errorf("a new object is gone: %+v", s)
	}
	if s := w.c.Sight(annID); s.Known && !s.Deleted {
		t.Errorf("a deleted object lives again: %+v", s)
	}
}

// A controller that shows no vector is believed: a directory whose only controller was restored has no other. What is seen of it counts from then on.
func TestAControllerThatCannotProveWhatItHasIsReadAnew(t *testing.T) {
	w := newWorld(t)
	second, choose := w.replicated()
	ann := w.user("ann")
	second.CatchUp()
	choose(true)
	w.read()
	annID := w.idOf(ann)
	of, _, _ := w.c.AsOf("contoso")
	choose(false) // nobody ever replicated to the first one
	w.remove(ann)
	if _, full, err := w.c.Refresh(t.Context()); err != nil || !full {
		t.Fatalf("read from the start: %v, %v", full, err)
	}
	if s := w.c.Sight(annID); s.Known && !s.Deleted {
		t.Errorf("a deleted object lives: %+v", s)
	}
	if p, _, _ := w.c.AsOf("contoso"); p.Invocation == of.Invocation {
		t.Errorf("what was seen is still of the other controller: %+v", p)
	}
}
