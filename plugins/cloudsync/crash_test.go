package cloudsync_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// frail is a store whose n-th Update from now fails, before or after it took place, and every one after it: a crash.
type frail struct {
	cloudsync.Store
	left  *atomic.Int64
	after bool
}

func (f frail) Update(ctx context.Context, do func(state.Tx) error) error {
	n := f.left.Add(-1)
	if n < 0 || (n == 0 && !f.after) {
		return errPulled
	}
	err := f.Store.Update(ctx, do)
	if n == 0 && err == nil {
		return errPulled
	}
	return err
}

// openStore opens the engine's real store, as the engine itself does.
func openStore(path string) (cloudsync.Store, error) {
	home, err := state.Open(path, state.Options{Reserve: -1})
	if err != nil {
		return nil, err
	}
	x, err := home.Index("directories", "tandem-cloudsync-directories", 1)
	return closing{x, home}, err
}

type closing struct {
	*state.Index
	home *state.Store
}

func (c closing) Close() error {
	c.Index.Close()
	return c.home.Close()
}

// TestNothingIsLostWhereverTheStoreFails runs against a store that fails at its n-th transaction, then restarts: whatever was
// changed must have been decided by the host, or be proposed again.
func TestNothingIsLostWhereverTheStoreFails(t *testing.T) {
	for _, after := range []bool{false, true} {
		for n := int64(1); n <= 3; n++ {
			t.Run(fmt.Sprintf("%d after=%v", n, after), func(t *testing.T) { crashAt(t, n, after) })
		}
	}
}

func crashAt(t *testing.T, n int64, after bool) {
	var left atomic.Int64
	left.Store(1 << 40)
	w := newWorld(t, 3, cloudsync.Options{Open: func(_ context.Context, path string) (cloudsync.Store, error) {
		s, err := openStore(path)
		return frail{s, &left, after}, err
	}}, embedded)
	all := w.everything()
	w.grant(all)
	mustComplete(t, w.run(w.full(all)))
	w.set("CN=sales1,OU=Sales", "title", "Boss")
	gone := w.id("CN=sales2,OU=Sales")
	check(t, w.model.Delete(w.dn("CN=sales2,OU=Sales")))

	left.Store(n)
	broken := w.run(w.delta(all))
	check(t, w.engine.Close())
	left.Store(1 << 40)
	w.start(cloudsync.Options{})
	w.grant(all)
	w.addUser("Sales", "late")
	next := w.run(w.delta(all))
	mustComplete(t, next)
	for name, o := range map[string][2]*engine.Proposal{
		"changed": {broken.of(w.id("CN=sales1,OU=Sales"), scoping.Users), next.of(w.id("CN=sales1,OU=Sales"), scoping.Users)},
		"deleted": {broken.of(gone, scoping.Users), next.of(gone, scoping.Users)},
		"late":    {nil, next.of(w.id("CN=late,OU=Sales"), scoping.Users)},
	} {
		if o[0] == nil && o[1] == nil {
			t.Errorf("%s: lost", name)
		}
	}
	if o := w.run(w.delta(all)); len(o.proposals) != 0 {
		t.Errorf("at rest: %v", wants(o.proposals))
	}
}

func TestWhatTheHostDidNotDecideIsProposedAgain(t *testing.T) {
	w := newWorld(t, 5, cloudsync.Options{}, embedded)
	all := w.everything()
	w.grant(all)
	ctx, cancel := context.WithCancel(t.Context())
	undecided := w.id("CN=sales3,OU=Sales")
	o := w.runAs(ctx, w.full(all), host{
		decide: func(p engine.Proposal) engine.Outcome {
			if p.Object == undecided {
				return ""
			}
			return engine.Shadowed // does not settle, but the debt is the host's
		},
		seen: func(e engine.RunEvent) {
			if e.Report != nil {
				cancel() // the host dies with one proposal undecided
			}
		}})
	if o.err == nil {
		t.Fatal("the run ended well without its host")
	}
	check(t, w.engine.Close())
	w.start(cloudsync.Options{})
	w.grant(all)
	next := w.run(w.delta(all))
	mustComplete(t, next)
	if next.of(undecided, scoping.Users) == nil || next.of(undecided, scoping.References) == nil {
		t.Fatalf("lost: %v", wants(next.proposals))
	}
	if o := w.run(w.delta(all)); len(o.proposals) != 0 {
		t.Fatalf("at rest: %v", wants(o.proposals))
	}
}

func TestRefusedCookieAndNewControllerMeanReadingEverything(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, embedded)
	all := w.everything()
	w.grant(all)
	first := w.run(w.full(all))
	mustComplete(t, first)
	w.model.RefuseCookies()
	if o := w.run(w.delta(all)); !o.report().Complete || len(o.proposals) != len(first.proposals) {
		t.Fatalf("after a refused cookie: %d of %d proposals, %+v", len(o.proposals), len(first.proposals), o.reports)
	}
	w.model.NewInvocation()
	w.server.DropConnections()
	if o := w.run(w.delta(all)); !o.report().Complete || len(o.proposals) != len(first.proposals) || o.report().DC != w.model.InvocationID() {
		t.Fatalf("after a new controller: %d of %d proposals, %+v", len(o.proposals), len(first.proposals), o.reports)
	}
}

func TestUnusableIndexIsReadAnew(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	all := w.everything()
	w.grant(all)
	first := w.run(w.full(all))
	check(t, w.engine.Close())
	spoil(t, filepath.Join(w.config.DataDir, "directories"))
	w.start(cloudsync.Options{})
	w.grant(all)
	if o := w.run(w.delta(all)); !o.report().Complete || len(o.proposals) != len(first.proposals) {
		t.Fatalf("%d of %d proposals, %+v", len(o.proposals), len(first.proposals), o.reports)
	}
}

func TestRepeatedFailureIsQuarantineUntilARunSucceeds(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, `{"agents":{"listen":"127.0.0.1:0","grace":"0s"},"quarantine":{"failures":2}}`)
	all := w.everything()
	w.grant(all)
	w.run(w.delta(all))
	w.run(w.delta(all))
	h := w.waitHealth(func(h engine.Health) bool { return h.Details["state.contoso"] == "quarantine" })
	if h.OK || h.Details["nextAttempt.contoso"] == "" {
		t.Errorf("health: %+v", h)
	}
	o := w.run(w.delta(all))
	if r := o.report(); o.err != nil || r.Complete || len(r.Errors) != 1 || r.Errors[0].Code != cloudsync.CodeQuarantine || !strings.Contains(r.Errors[0].Message, "--profile full") {
		t.Errorf("a run in quarantine does not say so, with the way out: %v %+v", o.err, r)
	}
	if next := w.waitHealth(func(engine.Health) bool { return true }); next.Details["nextAttempt.contoso"] != h.Details["nextAttempt.contoso"] {
		t.Errorf("a run that rested made the rest longer: %+v", next)
	}
	w.attend(w.enrol()) // what was missing is there: no need to rest
	w.waitAgents(1)
	mustComplete(t, w.run(w.delta(all)))
	w.waitHealth(func(h engine.Health) bool { return h.OK && h.Details["state.contoso"] == "active" })
}

func TestQuarantineRestsUntilItsNextAttemptUnlessAPersonTries(t *testing.T) {
	var clock days
	w := newWorld(t, 2, cloudsync.Options{Now: clock.now}, `{"agents":{"listen":"127.0.0.1:0","embedded":1},"quarantine":{"errors":1}}`)
	all := w.everything()
	w.grant(all)
	mustComplete(t, w.run(w.full(all)))
	failing := host{decide: func(engine.Proposal) engine.Outcome { return engine.Failed }}
	w.set("CN=sales1,OU=Sales", "title", "One")
	w.runAs(t.Context(), w.delta(all), failing)
	h := w.waitHealth(func(h engine.Health) bool { return h.Details["state.contoso"] == "quarantine" })
	if !strings.Contains(h.Message, "tandem sync cloudsync --profile full") || !strings.Contains(h.Message, h.Details["nextAttempt.contoso"]) {
		t.Errorf("health: %s", h.Message)
	}
	w.set("CN=sales1,OU=Sales", "title", "Two")
	if o := w.run(w.delta(all)); len(o.proposals) != 0 || o.report().Complete || o.report().Read != 0 {
		t.Errorf("a run that should rest: %+v", o.reports)
	}
	if o := w.run(engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{all}, Objects: []scoping.ObjectID{w.id("CN=sales1,OU=Sales")}}); len(o.proposals) == 0 {
		t.Errorf("a question about an object is not answered: %+v", o.reports)
	}
	w.runAs(t.Context(), w.full(all), failing)
	w.set("CN=sales1,OU=Sales", "title", "Three")
	clock.set(2)
	w.titled(w.run(w.delta(all)), "Three")
	w.runAs(t.Context(), w.full(all), failing)
	mustComplete(t, w.run(w.full(all)))
	w.waitHealth(func(h engine.Health) bool { return h.OK && h.Details["state.contoso"] == "active" })
	if o := w.run(w.delta(all)); !o.report().Complete {
		t.Errorf("after the quarantine: %+v", o.reports)
	}
}
