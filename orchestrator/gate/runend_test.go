package gate_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// A directory shows no links of what is deleted: an end is read itself, after the links, before a reference to it is removed, so that the host knows of its death;
// and if it cannot be read, the reference stays (rule D3; simulation, seed 2312).
func TestEndsAreReadBeforeReferencesAreRemoved(t *testing.T) {
	for _, readable := range []bool{true, false} {
		t.Run(fmt.Sprint("readable: ", readable), func(t *testing.T) {
			w := newWorld(t)
			w.account(ann, "ann")
			w.account(bob, "bob")
			w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-ann", Kind: scoping.User, Manager: pointer("c-bob")}}}, time.Time{})
			if err := w.g.Record(t.Context(), ledger.Record{Type: ledger.DecisionType, Engine: mine, Object: &ann, Kind: scoping.User, Feature: scoping.References, Outcome: engine.Unchanged,
				Closed: true, Epoch: epoch(5), Claim: &ledger.Claim{CloudID: "c-ann", Place: sales, Chain: []scoping.GUID{sales, root}, Tracks: true, Took: []string{"c-bob"}}}); err != nil {
				t.Fatal(err)
			}
			w.evidence = gate.Evidence{Life: gate.Living, LinksRead: true}
			read := map[scoping.ObjectID]bool{}
			w.reread = func(id scoping.ObjectID) error {
				if read[id] = true; !readable {
					return fmt.Errorf("the controller is away: %w", gate.ErrUnread)
				}
				return nil
			}
			w.during = func(x cloud.Write) {
				if x.Op == cloud.ClearManager && !read[bob] {
					t.Error("the manager was cleared, and nobody read whether he lives")
				}
			}
			s := w.begin()
			if _, err := s.Propose(t.Context(), []engine.Proposal{{Seq: 1, Grant: 1, Object: ann, Kind: scoping.User, Feature: scoping.References, Want: engine.Present, Parent: sales, Epoch: epoch(5), Refs: map[string]engine.Refs{cloud.Manager: {Whole: true}}}}); err != nil {
				t.Fatal(err)
			}
			read = map[scoping.ObjectID]bool{}
			sum, err := s.End(t.Context(), true)
			if err != nil {
				t.Fatal(err)
			}
			cleared := len(w.sent) == 1 && w.sent[0].Op == cloud.ClearManager
			if cleared != readable {
				t.Errorf("sent: %+v", w.sent)
			}
			for j := range sum.All() { // a report names the ends that were removed, and does not count those that stay
				if got := j.Links.ManagersCleared == 1 && slices.Equal(j.Parted, []string{"c-bob"}); got != cleared || !cleared && j.Links != (gate.Links{}) {
					t.Errorf("told: %+v %v", j.Links, j.Parted)
				}
			}
			if d := w.led.Unsettled[ann][scoping.References]; !readable && d == (ledger.Unsettled{}) {
				t.Error("what waits for the directory is not told")
			}
		})
	}
}

func pointer(s string) *string { return &s }

// What waits for a person is asked for once, and again when the tenant shows something else (standing S2a).
func TestWhatWaitsForAPersonIsNotAskedForAgain(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.ran()
	w.propose(propose())
	if d := w.debt(ann, scoping.Users); d.Code != standing.Settled {
		t.Fatalf("%+v", d)
	}
	w.cache.Apply(cloud.Page{Removed: []cloud.Removal{{ID: "c-ann", Kind: scoping.User}}}, time.Time{})
	if d := w.debt(ann, scoping.Users); d.To != standing.Owner {
		t.Fatalf("deleted by somebody else: %+v", d)
	}
	if got := w.propose(propose())[0]; got.Outcome != engine.Held || got.Code != string(gate.CodeDeletedByOthers) {
		t.Fatalf("%+v", got)
	}
	if d := w.debt(ann, scoping.Users); d.Code != standing.Differs || d.To != standing.Person {
		t.Errorf("it waits for a person: %+v", d)
	}
	w.cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: "c-ann", Kind: scoping.User, Values: values()}}}, time.Time{})
	if d := w.debt(ann, scoping.Users); d.To != standing.Owner {
		t.Errorf("it was restored: %+v", d)
	}
}

// Rule S2: what an engine said holds while its grants, own or shadow, cover the object without a gap.
func TestAClaimEndsWithAGapOfItsGrants(t *testing.T) {
	shadow := gate.Shadow{Engine: mine, Epoch: epoch(5), Scope: scoping.Scope{Directory: "contoso", Under: root, Features: []scoping.Feature{scoping.Users}}}
	for name, c := range map[string]struct {
		between gate.Authority
		want    standing.Code
	}{
		"another epoch": {gate.Authority{Partition: partition(t, theirs), Epoch: epoch(6)}, standing.Settled},
		"a shadow":      {gate.Authority{Epoch: epoch(6), Shadows: []gate.Shadow{shadow}}, standing.Settled},
		"nothing":       {gate.Authority{Epoch: epoch(6)}, standing.Unasked},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.account(ann, "ann")
			w.ran()
			w.propose(propose())
			back := w.g.Authority()
			back.Epoch = epoch(7)
			w.g.SetAuthority(c.between, usual)
			w.g.SetAuthority(back, usual)
			if err := w.g.Cover(t.Context()); err != nil {
				t.Fatal(err)
			}
			if d := w.debt(ann, scoping.Users); d.Code != c.want {
				t.Errorf("%+v, want %q", d, c.want)
			}
		})
	}
}
