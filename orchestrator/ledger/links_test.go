package ledger_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The ledger's account of references is what a set of names says that follows the same writes, also after it was kept and read.
func TestReferencesThatTandemWroteOrTookOverAreKnown(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.New()
		o := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{15: 1}}
		seq := uint64(0)
		fold := func(r ledger.Record) {
			seq++
			r.Object, r.Kind, r.Engine = &o, scoping.Group, "connect"
			if err := s.Fold(seq, r); err != nil {
				t.Fatal(err)
			}
		}
		fold(ledger.Record{Type: ledger.DecisionType, Feature: scoping.Groups, Outcome: engine.Unchanged, Closed: true,
			Claim: &ledger.Claim{CloudID: "g", Tracks: true, State: ledger.Live}})
		var want []string
		for i := range rapid.IntRange(0, 20).Draw(t, "steps") {
			who := rapid.SliceOfNDistinct(rapid.IntRange(0, 9), 1, 4, rapid.ID).Draw(t, "who")
			var ids []string
			for _, n := range who {
				ids = append(ids, fmt.Sprint("c-", n))
			}
			claim := ledger.Claim{Tracks: true}
			switch op := rapid.SampledFrom([]cloud.Op{cloud.AddMembers, cloud.RemoveMember, ""}).Draw(t, "op"); op {
			case "":
				claim.Took = ids
				fold(ledger.Record{Type: ledger.DecisionType, Feature: scoping.References, Outcome: engine.Unchanged, Closed: true, Claim: &claim})
				want = append(want, ids...)
			default:
				id := fmt.Sprint("i", i)
				fold(ledger.Record{Type: ledger.IntentType, Feature: scoping.References, Intent: &ledger.Intent{Write: cloud.Write{ID: id, Op: op, CloudID: "g", Refs: ids}, Claim: claim}})
				status := rapid.SampledFrom([]cloud.Status{cloud.Done, cloud.Rejected, cloud.InDoubt}).Draw(t, "status")
				fold(ledger.Record{Type: ledger.SettleType, Feature: scoping.References, Settle: &ledger.Settlement{Intent: id, Result: cloud.Result{Status: status}}})
				there := ids // of what was asked for, when it is known what became of it
				switch {
				case status == cloud.InDoubt: // it took effect in part, or others changed something of it
					there = rapid.SliceOfNDistinct(rapid.SampledFrom(ids), 0, len(ids), rapid.ID).Draw(t, "shown")
					fold(ledger.Record{Type: ledger.DoubtType, Feature: scoping.References, Doubt: &ledger.DoubtEnd{Intent: id, How: "expired", Shown: there}})
				case op == cloud.RemoveMember && status == cloud.Done, op == cloud.AddMembers && status == cloud.Rejected:
					there = nil
				}
				if op == cloud.AddMembers {
					want = append(want, there...)
				} else {
					want = slices.DeleteFunc(want, func(x string) bool { return slices.Contains(ids, x) && !slices.Contains(there, x) })
				}
			}
		}
		b, err := json.Marshal(s.Rows.Get(o))
		if err != nil {
			t.Fatal(err)
		}
		var kept ledger.Row
		if err := json.Unmarshal(b, &kept); err != nil {
			t.Fatal(err)
		}
		for _, l := range []*ledger.Links{s.Rows.Get(o).Links, kept.Links} {
			for n := range 10 {
				if id := fmt.Sprint("c-", n); l.Has(id) != slices.Contains(want, id) {
					t.Fatalf("%s: %v, wanted %v", id, l.Has(id), want)
				}
			}
		}
	})
}

// A row of before has no account: it begins with the first decision about its references.
func TestAnAccountOfReferencesBeginsWithTheFirstDecision(t *testing.T) {
	s := ledger.New()
	o := scoping.ObjectID{Directory: "contoso", GUID: scoping.GUID{15: 1}}
	for i, c := range []ledger.Claim{{CloudID: "g", State: ledger.Live}, {}, {Tracks: true, Took: []string{"c-1"}}} {
		f := scoping.Groups
		if i > 0 {
			f = scoping.References
		}
		if err := s.Fold(uint64(i+1), ledger.Record{Type: ledger.DecisionType, Object: &o, Kind: scoping.Group, Engine: "connect", Feature: f, Outcome: engine.Unchanged, Closed: true, Claim: &c}); err != nil {
			t.Fatal(err)
		}
		if l := s.Rows.Get(o).Links; (l != nil) != (i == 2) {
			t.Fatalf("after record %d: %v", i+1, l)
		}
	}
	if l := s.Rows.Get(o).Links; !l.Has("c-1") || l.Len() != 1 {
		t.Errorf("%v", l)
	}
}
