package host

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Held returns the held sets in the order of their beginning, each in its state of now. Of an open one only what still waits is in it; without that it is
// left out.
func (h *Host) Held() []ledger.Hold {
	var out []ledger.Hold
	now := h.now().UnixMilli()
	waits := map[string]bool{} // changes of owners that are held by whom choices take
	for _, s := range h.o.Census.Staged() {
		waits[chosenOp(s)+s.Choice.ID.String()+s.Object.String()] = true
	}
	h.gate.Read(func(s *ledger.State) {
		for _, x := range s.SortedHolds() {
			hd := *x
			hd.State, hd.Entries = x.Now(now), slices.Clone(x.Entries)
			switch {
			case over(hd.State):
			case hd.Class == ledger.OwnerChanges:
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool { return !waits[e.Op+e.Detail+e.Object.String()] })
			case hd.State == ledger.HoldOpen:
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool {
					_, dirty := s.Dirt[e.Object][e.Feature]
					return !dirty
				})
			}
			if len(hd.Entries) > 0 {
				out = append(out, hd)
			}
		}
	})
	return out
}

// over reports whether nobody waits for a set in a state, and nothing follows from it any more.
func over(s ledger.HoldState) bool {
	return s == ledger.HoldDone || s == ledger.HoldVoid || s == ledger.HoldExpired
}

// Waiting leaves of held sets those about which something is still to happen: a person's answer, or the writes that one allowed.
func Waiting(hs []ledger.Hold) []ledger.Hold {
	return slices.DeleteFunc(slices.Clone(hs), func(x ledger.Hold) bool { return x.State != ledger.HoldOpen && x.State != ledger.HoldApproved })
}

// HeldSet returns one held set. Of one that has another name by now, because writes joined or left it, the error says which.
func (h *Host) HeldSet(id string) (ledger.Hold, error) {
	all := h.Held()
	for _, x := range all {
		if x.ID == id {
			return x, nil
		}
	}
	for _, x := range all {
		if slices.Contains(x.Was, id) {
			return ledger.Hold{}, Refuse("held set %s is not what it was: writes joined or left it, and it is %s now, with %d: `tandem held show %s`", id, x.ID, len(x.Entries), x.ID)
		}
	}
	return ledger.Hold{}, fmt.Errorf("%w: held set %q", ErrNotFound, id)
}

// Answer records a person's answer to a held set: approve, reject or forget. What it is about is asked for again at once and decided anew; what is no
// longer true is dropped. It returns the run that followed, if one did.
func (h *Host) Answer(ctx context.Context, id, verb, by, reason string) (*SyncReport, error) {
	hd, err := h.HeldSet(id)
	if err != nil {
		return nil, err
	}
	open := hd.State == ledger.HoldOpen || hd.State == ledger.HoldExpired
	switch {
	case verb != "forget" && !open:
		return nil, Refuse("held set %s is %s: `tandem held forget %s` takes the answer back", id, hd.State, id)
	case verb == "forget" && open:
		return nil, Refuse("held set %s is %s: there is no answer to forget; `tandem held approve %s` or `tandem held reject %s` answers it", id, hd.State, id, id)
	}
	if err := h.gate.Record(ctx, ledger.Record{Type: ledger.AnswerType, Engine: hd.Engine, Op: verb, By: by, Reason: reason, Outcome: engine.Applied, Code: id, Answer: &ledger.Answer{Hold: id, Verb: verb}}); err != nil {
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
