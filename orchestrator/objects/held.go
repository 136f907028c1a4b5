package objects

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/scoping"
)

// Held returns the held sets in the order of their beginning, each in its state of now. Of an open one only what still waits is in it; without that it is
// left out. What belongs to another engine by now is not in it either, and a set without anything else is void: an answer would be about nobody's write.
func (v *View) Held() []ledger.Hold {
	var out []ledger.Hold
	now := v.now().UnixMilli()
	waits := map[string]bool{} // changes of owners that are held by whom choices take
	for _, s := range v.census.Staged() {
		waits[ChosenOp(s)+s.Choice.ID.String()+s.Object.String()] = true
	}
	auth := v.gate.Authority()
	debts := v.Owed()
	v.gate.Read(func(s *ledger.State) {
		for _, x := range s.SortedHolds() {
			hd := *x
			hd.State, hd.Entries = x.Now(now), slices.Clone(x.Entries)
			switch {
			case over(hd.State):
			case hd.Class == ledger.OwnerChanges:
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool { return !waits[e.Op+e.Detail+e.Object.String()] })
			case hd.State == ledger.HoldOpen:
				hd.Entries = slices.DeleteFunc(hd.Entries, func(e ledger.HeldEntry) bool {
					_, owed := debts[ledger.Key{Object: e.Object, Feature: e.Feature}]
					return !owed && !e.Object.IsCloud() // of the other direction no index is kept: its runs take away what is not asked any more
				})
			}
			if len(hd.Entries) > 0 {
				v.withoutStrangers(s, auth, &hd)
				out = append(out, hd)
			}
		}
	})
	return out
}

// withoutStrangers takes from a set what its engine may not write any more because the object belongs to another engine now: a transfer voids that in the
// ledger, an object that moved by itself is seen here. Without anything left the set is void, and keeps its entries for whoever asks what became of it.
func (v *View) withoutStrangers(s *ledger.State, auth gate.Authority, hd *ledger.Hold) {
	if hd.Engine == "" || hd.State != ledger.HoldOpen && hd.State != ledger.HoldApproved {
		return
	}
	kept := slices.DeleteFunc(slices.Clone(hd.Entries), func(e ledger.HeldEntry) bool {
		owner := v.Addressee(s, auth, ledger.Key{Object: e.Object, Feature: e.Feature})
		return !e.Spent && owner != "" && owner != scoping.None && owner != hd.Engine
	})
	if len(kept) == len(hd.Entries) {
		return
	}
	hd.Voided += len(hd.Entries) - len(kept)
	if len(kept) == 0 {
		hd.State = ledger.HoldVoid
		return
	}
	hd.Entries = kept
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
func (v *View) HeldSet(id string) (ledger.Hold, error) {
	all := v.Held()
	for _, x := range all {
		if x.ID == id {
			return x, nil
		}
	}
	for _, x := range all {
		if slices.Contains(x.Was, id) {
			return ledger.Hold{}, problem.Refuse("held set %s is not what it was: writes joined or left it, and it is %s now, with %d: `tandem held show %s`", id, x.ID, len(x.Entries), x.ID)
		}
	}
	return ledger.Hold{}, fmt.Errorf("%w: held set %q", problem.ErrNotFound, id)
}

// ChosenOp returns how held sets name a change of what a choice takes.
func ChosenOp(s census.Staged) string {
	if s.Taken {
		return "chosen"
	}
	return "no-longer-chosen"
}

// ChosenGrave is what a person answers about a change of what a choice takes: the object's engine before and after.
func ChosenGrave(s census.Staged, from, to string) ledger.Grave {
	return ledger.Grave{Op: ChosenOp(s), Detail: s.Choice.ID.String(), Changes: []ledger.Change{{Attribute: "engine", Old: []string{from}, New: []string{to}}}}
}
