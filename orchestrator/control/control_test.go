package control_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

var noon = time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)

type clock struct{}

func (clock) Now() time.Time                             { return noon }
func (clock) Sleep(context.Context, time.Duration) error { return nil }

// world is a control over a store in memory, with the gate that it is pushed to.
type world struct {
	*control.Control
	store  *state.Store
	gate   *gate.Gate
	ledger *ledger.State
	why    string // why nothing may be written
	fails  string // the failpoint at which a step fails
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{ledger: ledger.New()}
	hook := func(point string) error {
		if point == w.fails {
			return errors.New("the disk fails")
		}
		return nil
	}
	disk := state.Memory(state.Options{Command: "test", Now: clock{}.Now, Hook: hook})
	var err error
	if w.store, err = disk.Open(); err != nil {
		t.Fatal(err)
	}
	w.gate = gate.New(gate.Options{Ledger: w.ledger, Journal: w.store.Log, Clock: clock{}})
	ids := 0
	w.Control = control.New(w.store, func() string { ids++; return fmt.Sprint("installation ", ids) }, clock{}.Now)
	if err := w.Enforce(t.Context(), w.gate, func(*control.Content) string { return w.why }); err != nil {
		t.Fatal(err)
	}
	return w
}

func stop(c *control.Content) error {
	c.Stops["all"] = gate.Stop{ID: "all", By: "test", Reason: "a test"}
	c.Next()
	c.Append(ledger.Record{Type: ledger.ControlType, Op: "stop", Epoch: c.Head.Epoch})
	return nil
}

// Rule X2: a change, what follows from it and what it owes to the log come together.
func TestAChangeIsInForceAndInTheLogWhenItReturns(t *testing.T) {
	w := newWorld(t)
	if err := w.Change(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	a := w.InForce()
	if a.Stopped("connect", scoping.Place{}) == "" || a.Epoch.N != 1 {
		t.Errorf("in force is %+v", a)
	}
	if w.ledger.Seq != 1 {
		t.Errorf("the ledger has folded %d records", w.ledger.Seq)
	}
	if c, err := w.View(t.Context()); err != nil || len(c.Stops) != 1 || c.Head.Installation != "installation 1" {
		t.Errorf("%+v %v", c, err)
	}
}

func TestAChangeThatFailsLeavesEverythingAsItWas(t *testing.T) {
	for name, f := range map[string]func(*control.Content) error{
		"it is refused":  func(c *control.Content) error { return errors.Join(stop(c), problem.Refuse("not now")) },
		"the disk fails": stop,
	} {
		w := newWorld(t)
		w.fails = map[string]string{"the disk fails": "control.update.before-commit"}[name]
		if err := w.Change(t.Context(), f); err == nil {
			t.Fatalf("%s: no error", name)
		}
		w.fails = ""
		if a := w.InForce(); a.Stopped("connect", scoping.Place{}) != "" || w.ledger.Seq != 0 {
			t.Errorf("%s: in force is %+v", name, a)
		}
		if c, err := w.View(t.Context()); err != nil || len(c.Stops) != 0 {
			t.Errorf("%s: %+v %v", name, c, err)
		}
	}
}

// What forbids to write counts from the change on that brought it.
func TestWhoMayNotWriteIsReadOnly(t *testing.T) {
	w := newWorld(t)
	w.why = "another Tandem feeds this tenant"
	if err := w.Change(t.Context(), stop); err != nil {
		t.Fatal(err)
	}
	if got := w.InForce().ReadOnly; got != w.why {
		t.Errorf("%q", got)
	}
}

func TestTheRulesFollowTheTenantsDomains(t *testing.T) {
	w := newWorld(t)
	if err := w.SetDomains(t.Context(), []string{"Contoso.test"}, "contoso.onmicrosoft.com"); err != nil {
		t.Fatal(err)
	}
	if r := w.gate.Rules(); !r.Verified["contoso.test"] || r.InitialDomain != "contoso.onmicrosoft.com" {
		t.Errorf("%+v", r)
	}
}

func TestWithoutAPolicyThatIsSaid(t *testing.T) {
	w := newWorld(t)
	if _, err := w.Partition(); !errors.Is(err, problem.ErrNoPolicy) {
		t.Error(err)
	}
	if _, err := w.Revision(t.Context(), 7); !errors.Is(err, problem.ErrNotFound) {
		t.Error(err)
	}
}

// Waves are shown in the order of their beginning, and choose objects as long as they are not over.
func TestWavesChooseUntilTheyAreOver(t *testing.T) {
	of := func(n byte) []scoping.HandOver {
		return []scoping.HandOver{{Choices: []scoping.Choice{{ID: scoping.GUID{n}}}}}
	}
	c := &control.Content{Waves: map[string]wave.Wave{
		"b": {ID: "b", CreatedAt: 1, State: wave.Running, HandOvers: of(1)},
		"a": {ID: "a", CreatedAt: 2, State: wave.Completed, HandOvers: of(2)},
	}}
	if ws := c.SortedWaves(); len(ws) != 2 || ws[0].ID != "b" {
		t.Errorf("%+v", ws)
	}
	if cs := c.Choices(nil); len(cs) != 1 || cs[0].ID != (scoping.GUID{1}) {
		t.Errorf("%+v", cs)
	}
}
