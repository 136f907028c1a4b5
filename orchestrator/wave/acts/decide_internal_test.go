package acts

import (
	"context"
	"errors"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

func guid(n byte) (g scoping.GUID) { g[15] = n; return g }

// Which of two waves came later is a matter of revisions: the clock may have been set back between them.
func TestALaterWaveIsKnownByItsEpoch(t *testing.T) {
	c, err := census.Open(t.Context(), []string{"contoso"}, func(context.Context, string) (census.Reader, error) { return bare{}, nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	d := New(Options{View: objects.New(objects.Options{Census: c})})
	over := []scoping.HandOver{{From: "connect", To: "cloudsync", Scope: scoping.Scope{Directory: "contoso", Under: guid(1), Features: []scoping.Feature{scoping.Users}}}}
	first := wave.Wave{ID: "first", Phase: wave.Soak, State: wave.Waiting, HandOvers: over, CutoverAt: 2_000, CutoverEpoch: scoping.Epoch{Incarnation: 1, N: 5}}
	second := wave.Wave{ID: "second", Phase: wave.Soak, State: wave.Waiting, HandOvers: over, CutoverAt: 1_000, CutoverEpoch: scoping.Epoch{Incarnation: 1, N: 9}}
	all := &control.Content{Waves: map[string]wave.Wave{"first": first, "second": second}}
	if _, err := d.decided(all, first, wave.Order{Verb: wave.RollBack, By: "test"}); !errors.Is(err, problem.ErrUsage) {
		t.Errorf("the first is taken back under the second: %v", err)
	}
	if _, err := d.decided(all, second, wave.Order{Verb: wave.RollBack, By: "test"}); err != nil {
		t.Errorf("the second: %v", err)
	}
}

// bare is a directory with nothing in it but its root.
type bare struct{}

func (bare) Controller() directory.Controller {
	return directory.Controller{InvocationID: guid(9), Root: guid(1), RootDN: "DC=contoso,DC=test"}
}
func (bare) HighestUSN(context.Context) (uint64, error) { return 1, nil }
func (bare) Sync(context.Context, []byte, directory.SyncQuery, func(directory.Entry) error) ([]byte, error) {
	return []byte("c"), nil
}
func (bare) ByGUID(context.Context, []scoping.GUID, []string, bool) (map[scoping.GUID]directory.Entry, error) {
	return nil, nil
}
func (bare) Resolve(context.Context, string) (scoping.GUID, string, []scoping.GUID, error) {
	return scoping.GUID{}, "", nil, directory.ErrNoSuchObject
}
func (bare) Close() error { return nil }
