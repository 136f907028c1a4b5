package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Each judgement is counted in exactly one class, and what comes back from the deleted items is no create.
func TestJudgementsAreSortedByWhatTheyDo(t *testing.T) {
	for name, x := range map[string]struct {
		j    gate.Judgement
		want gate.Effect
		word string
	}{
		"a create":                        {gate.Judgement{Op: "create", Want: engine.Present}, gate.EffectCreate, "create"},
		"a restore":                       {gate.Judgement{Op: "restore", Want: engine.Present}, gate.EffectRestore, "restore"},
		"a delete":                        {gate.Judgement{Op: "delete", Want: engine.Gone}, gate.EffectDelete, "delete"},
		"a delete that waits":             {gate.Judgement{Outcome: engine.Held, Want: engine.Gone}, gate.EffectDelete, "delete"},
		"linked and left out":             {gate.Judgement{Op: "orphan", Want: engine.Excluded}, gate.EffectOrphan, "orphan"},
		"not spoken of":                   {gate.Judgement{Op: gate.OpUnclaimed}, gate.EffectUnclaimed, "unclaimed"},
		"a value":                         {gate.Judgement{Op: "update", Want: engine.Present}, gate.EffectUpdate, "update"},
		"members":                         {gate.Judgement{Op: "members", Want: engine.Present}, gate.EffectUpdate, "update"},
		"a join with other values":        {gate.Judgement{Op: "join", Want: engine.Present, After: cloud.Values{"title": {"x"}}}, gate.EffectUpdate, "update"},
		"a join of what agrees":           {gate.Judgement{Op: "join", Want: engine.Present}, gate.EffectUnchanged, ""},
		"what failed":                     {gate.Judgement{Outcome: engine.Failed, Want: engine.Present}, gate.EffectUpdate, "update"},
		"what agrees":                     {gate.Judgement{Outcome: engine.Unchanged, Want: engine.Present}, gate.EffectUnchanged, ""},
		"left out, and not in the tenant": {gate.Judgement{Outcome: engine.Unchanged, Want: engine.Excluded}, gate.EffectNone, ""},
	} {
		if got := x.j.Effect(); got != x.want || got.String() != x.word || got.Differs() != (x.word != "") {
			t.Errorf("%s: %d %q", name, got, got)
		}
	}
}

// A shadow session counts the references that would come and go, by both ends.
func TestReferencesThatWouldComeAndGoAreCounted(t *testing.T) {
	w := newWorld(t)
	w.account(ann, "ann")
	w.account(bob, "bob")
	s := w.g.Begin(gate.SessionOptions{Engine: mine, Run: 1, Ceiling: engine.ModeShadow})
	p := engine.Proposal{Seq: 1, Grant: 1, Object: ann, Kind: scoping.User, Feature: scoping.References, Want: engine.Present, Parent: sales, Epoch: epoch(5),
		Refs: map[string]engine.Refs{cloud.Manager: {Whole: true, Targets: []scoping.ObjectID{bob}}}}
	if _, err := s.Propose(t.Context(), []engine.Proposal{p}); err != nil {
		t.Fatal(err)
	}
	sum, err := s.End(t.Context(), true)
	if err != nil || len(sum.Judgements) != 1 || sum.Judgements[0].Links != (gate.Links{ManagersSet: 1}) {
		t.Fatalf("%+v, %v", sum.Judgements, err)
	}
}
