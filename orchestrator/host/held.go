package host

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Answer records a person's answer to a held set: approve, reject or forget. Its objects are then asked for again and decided anew, so that entries
// that no longer apply are dropped. It returns the run that followed, if there was one.
func (h *Host) Answer(ctx context.Context, id, verb, by, reason string) (*run.Report, error) {
	hd, answer, err := h.AnswerTo(id, verb)
	if err != nil {
		return nil, err
	}
	open := hd.State == ledger.HoldOpen || hd.State == ledger.HoldExpired
	switch {
	case verb != "forget" && hd.State == ledger.HoldVoid:
		return nil, problem.Refuse("held set %s is void: what is in it belongs to another engine by now, which is asked for it; what that one may not write by itself is in `tandem held list`", id)
	case verb != "forget" && hd.State == ledger.HoldDone:
		return nil, problem.Refuse("held set %s is done: everything in it was written", id)
	case verb != "forget" && !open:
		return nil, problem.Refuse("held set %s is %s: `tandem held forget %s` takes the answer back", id, hd.State, id)
	case verb == "forget" && open:
		return nil, problem.Refuse("held set %s is %s: there is no answer to forget; `tandem held approve %s` or `tandem held reject %s` answers it", id, hd.State, id, id)
	}
	if err := h.gate.Record(ctx, ledger.Record{Type: ledger.AnswerType, Engine: hd.Engine, Op: verb, By: by, Reason: reason, Outcome: engine.Applied, Code: id, Answer: &answer}); err != nil {
		return nil, err
	}
	switch {
	case verb == "forget", hd.Class == ledger.OwnerChanges && verb == "reject":
		return nil, h.Save(ctx)
	case hd.Class == ledger.OwnerChanges:
		if err := h.Prepare(ctx); err != nil { // their new owners are asked for them at their next runs
			return nil, err
		}
		return nil, h.Save(ctx)
	}
	if hd.Entries[0].Object.IsCloud() {
		r, err := h.Provision(ctx, hd.Engine, run.SyncOptions{By: by})
		return &r, err
	}
	r, err := h.Settle(ctx, hd.Engine, objectsOf(hd))
	return &r, err
}

func objectsOf(hd ledger.Hold) []scoping.ObjectID {
	var ids []scoping.ObjectID
	for _, e := range hd.Entries {
		ids = append(ids, e.Object)
	}
	slices.SortFunc(ids, scoping.ObjectID.Compare)
	return slices.Compact(ids)
}
