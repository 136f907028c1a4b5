package reach_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// file keeps notes between two processes.
type file struct {
	b    []byte
	runs []reach.Ran
	full bool
}

func (f *file) LoadReach(context.Context) ([]byte, error) { return f.b, nil }

func (f *file) SaveReach(_ context.Context, b []byte, ended []reach.Ran) error {
	if f.full {
		return errors.New("disk full")
	}
	f.b, f.runs = b, append(f.runs, ended...)
	return nil
}

func (f *file) LoadRuns(context.Context) ([]reach.Ran, error) { return f.runs, nil }

// A run is told once, whether it was kept, could not be kept, or was kept twice.
func TestRunsAreToldNewestFirstAndOnce(t *testing.T) {
	f := &file{}
	n := reach.New(t.Context(), f, time.Now)
	n.NoteRun(reach.Ran{Began: 1, What: "connect"})
	if err := n.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	f.full = true
	n.NoteRun(reach.Ran{Began: 2, What: "connect"})
	n.NoteRun(reach.Ran{Began: 2, What: "cloudsync"})
	if err := n.Keep(t.Context()); err == nil {
		t.Fatal("a full disk kept something")
	}
	f.full, f.runs = false, append(f.runs, f.runs...)
	for range 2 {
		got, err := n.Runs(t.Context())
		if err != nil || len(got) != 3 || got[0].What != "cloudsync" || got[2].Began != 1 {
			t.Fatalf("%+v, %v", got, err)
		}
		if err := n.Keep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A command that failed ends, and `status` is another process.
func TestLaterProcessesKnowWhatWasNotReached(t *testing.T) {
	now := time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	f := &file{}
	n := reach.New(t.Context(), f, clock)
	n.Note(reach.Tenant, now, nil)
	n.NoteFull("connect", "rules")
	for range 2 {
		began := now
		now = now.Add(time.Second)
		n.Note(reach.Tenant, began, errors.New("no route"))
	}
	n.Note(reach.Engine("connect"), now, context.Canceled) // broken off: it says nothing
	if err := n.Keep(t.Context()); err != nil {
		t.Fatal(err)
	}
	later := reach.New(t.Context(), f, clock)
	r := later.Of(reach.Tenant)
	if r == nil || r.Failures != 2 || r.Millis != 1000 || r.LastSuccess != now.Add(-2*time.Second).UnixMilli() {
		t.Fatalf("%+v", r)
	}
	for _, word := range []string{"last 2 tries", "2026-11-28T12:00:00Z", "no route"} {
		if !strings.Contains(r.Failed(), word) {
			t.Errorf("%q does not say %q", r.Failed(), word)
		}
	}
	if full := later.LastFull("connect"); full == nil || full.Rules != "rules" {
		t.Errorf("%+v", full)
	}
	if later.Of(reach.Engine("connect")) != nil {
		t.Error("a run that was broken off is a try")
	}
}

// What cannot be read was not known.
func TestDamagedNotesAreNone(t *testing.T) {
	n := reach.New(t.Context(), &file{b: []byte("{")}, time.Now)
	if n.Of(reach.Tenant) != nil || n.LastFull("connect") != nil {
		t.Error("something was read of it")
	}
}

func TestSightOfDeletedObjectsIsToldInAWord(t *testing.T) {
	n := reach.New(t.Context(), nil, time.Now)
	for _, x := range []struct {
		err  error
		want string
	}{{nil, "seen"}, {directory.ErrUnproven, "unproven"}, {errors.New("no right"), "hidden"}} {
		if n.SawDeleted("contoso", x.err); x.want != first(n.Deleted("contoso")) {
			t.Errorf("%v is %q, want %q", x.err, first(n.Deleted("contoso")), x.want)
		}
	}
	if sees, _ := n.Deleted("fabrikam"); sees != "" {
		t.Errorf("of a directory that was never asked: %q", sees)
	}
}

func first(s, _ string) string { return s }
