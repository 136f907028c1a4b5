package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Rule P2: an engine that took ann for gone says nothing of her manager by itself any more, and the run that asks it for her may break off before it comes
// to him.
func TestWhoIsTakenForGoneAndLivesIsAskedForHerReferencesToo(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.propose(managerOf(ann))
	var row *ledger.Row
	w.g.Read(func(s *ledger.State) { row = s.Rows.Get(ann) })
	if row.Features[scoping.References] == nil {
		t.Fatal("nothing is known of her references")
	}
	gone := propose()
	gone.Want, gone.Desired = engine.Gone, nil
	want(t, w.propose(gone)[0], engine.Deferred, "not-gone")
	w.ran()
	for _, f := range []scoping.Feature{scoping.Users, scoping.References} {
		if d := w.debt(ann, f); d.Code != standing.Unasked || d.Engine != mine {
			t.Errorf("of her %s %+v is owed", f, d)
		}
	}
}
