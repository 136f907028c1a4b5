package run

import (
	"context"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// ruled is an engine of which only description and settings count.
type ruled struct {
	Engines
	version, settings string
}

func (r *ruled) Describe(context.Context, string) (engine.Description, error) {
	return engine.Description{Kind: "connect", Version: r.version}, nil
}

func (r *ruled) Settings(string) []byte { return []byte(r.settings) }

type wristwatch struct {
	gate.Clock
	now time.Time
}

func (w *wristwatch) Now() time.Time { return w.now }

// Row A11 of the findings: a changed rule had no effect on unchanged objects until somebody made a full run, and no schedule did.
func TestAFullRunIsMadeWhenRulesChangedAndWeekly(t *testing.T) {
	const week = 7 * 24 * time.Hour
	e, w := &ruled{version: "1", settings: "{}"}, &wristwatch{now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)}
	none, err := census.Open(t.Context(), nil, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	door := gate.New(gate.Options{Cache: cloud.NewCache(0), Ledger: ledger.New(), Census: none, Clock: w})
	r := New(Options{Engines: e, Clock: w, Gate: door, View: objects.New(objects.Options{Gate: door, Census: none}), Sweep: func() {}, Notes: reach.New(t.Context(), nil, w.Now)})
	run := func(o SyncOptions, complete bool) string {
		t.Helper()
		rules, err := r.profile(t.Context(), "connect", engine.Objects, &o)
		if err != nil {
			t.Fatal(err)
		}
		r.noteFull("connect", rules, o, Report{Complete: complete})
		w.now = w.now.Add(time.Hour)
		return o.Profile
	}
	scheduled := SyncOptions{FullEvery: week}
	for _, step := range []struct {
		what     string
		before   func()
		o        SyncOptions
		complete bool
		want     string
	}{
		{"a command, when no full run is known", nil, SyncOptions{}, true, engine.ProfileDelta},
		{"a schedule, when no full run is known", nil, scheduled, false, engine.ProfileFull},
		{"again, since that was not complete", nil, scheduled, true, engine.ProfileFull},
		{"then", nil, scheduled, true, engine.ProfileDelta},
		{"a command", nil, SyncOptions{}, true, engine.ProfileDelta},
		{"settings changed, and only delta was asked for", func() { e.settings = `{"rules":1}` }, SyncOptions{Profile: engine.ProfileDelta}, true, engine.ProfileDelta},
		{"they are still changed, and a part was asked for", nil, SyncOptions{Under: "OU=Sales"}, true, engine.ProfileDelta},
		{"a command without a profile", nil, SyncOptions{}, false, engine.ProfileFull},
		{"a schedule, since that broke off", nil, scheduled, true, engine.ProfileFull},
		{"then", nil, scheduled, true, engine.ProfileDelta},
		{"another version of the engine", func() { e.version = "2" }, scheduled, true, engine.ProfileFull},
		{"another verified domain", func() {
			door.SetAuthority(gate.Authority{}, gate.Rules{Verified: map[string]bool{"contoso.test": true}})
		}, scheduled, true, engine.ProfileFull},
		{"almost a week later", func() { w.now = w.now.Add(week - 2*time.Hour) }, scheduled, true, engine.ProfileDelta},
		{"a week later", nil, scheduled, true, engine.ProfileFull},
	} {
		if step.before != nil {
			step.before()
		}
		if got := run(step.o, step.complete); got != step.want {
			t.Errorf("%s: the run is %s, want %s", step.what, got, step.want)
		}
	}
}
