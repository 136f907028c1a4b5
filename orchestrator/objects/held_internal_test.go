package objects

import (
	"slices"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// An open set that is shown in part has the name of that part, so that whoever answers it by that name answers nothing else; an answered one keeps its name.
func TestASetShownInPartIsNamedForThatPart(t *testing.T) {
	stored := ledger.Hold{Engine: "connect", Class: ledger.Memberships, State: ledger.HoldOpen}
	for n := range byte(3) {
		stored.Entries = append(stored.Entries, ledger.HeldEntry{Object: scoping.ObjectID{Directory: "d", GUID: guid(n)}, Feature: scoping.References, Grave: ledger.Grave{Op: "members", End: "c-1"}})
	}
	stored.Name()
	part := stored
	part.Entries = slices.Clone(stored.Entries[:2])
	got := shownOf(&stored, part)
	if want := stored.Only(slices.Clone(part.Entries)); got.ID != want.ID || got.ID == stored.ID || !slices.Equal(got.Was, []string{stored.ID}) || got.of != stored.ID {
		t.Errorf("%+v", got)
	}
	if !slices.Equal(got.unseen, []ledger.HeldKey{stored.Entries[2].Key()}) {
		t.Errorf("left out: %+v", got.unseen)
	}
	if whole := shownOf(&stored, stored); whole.ID != stored.ID || whole.of != stored.ID || len(whole.unseen) > 0 {
		t.Errorf("as a whole: %+v", whole)
	}
	if part.State = ledger.HoldApproved; shownOf(&stored, part).ID != stored.ID || len(shownOf(&stored, part).unseen) > 0 {
		t.Errorf("approved: %+v", shownOf(&stored, part))
	}
}
