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

// Held returns the held sets, the oldest first, in their present state. An open set has only entries that still wait, and is left out without any.
// Entries that belong to another engine by now are removed from both open and approved sets; a set with nothing else is void, as an answer would have
// no effect. An open set that is shown in part has the name of that part, so that an answer is about what was shown (standing S9).
func (v *View) Held() []ledger.Hold {
	var out []ledger.Hold
	for _, x := range v.shown() {
		out = append(out, x.Hold)
	}
	return out
}

// shown is a held set as it is shown.
type shown struct {
	ledger.Hold
	of     string           // its name in the ledger
	unseen []ledger.HeldKey // of an open set, the entries that are left out
}

func (v *View) shown() []shown {
	var out []shown
	now := v.now().UnixMilli()
	waits := map[string]bool{} // staged changes of choices, by operation, choice and object
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
					return !owed && !e.Object.IsCloud() // the other direction has no index of debts: its runs remove entries that no longer apply
				})
			}
			if len(hd.Entries) > 0 {
				v.withoutOthers(s, auth, &hd)
				out = append(out, shownOf(x, hd))
			}
		}
	})
	return out
}

// shownOf names what is shown of a set.
func shownOf(of *ledger.Hold, hd ledger.Hold) shown {
	out := shown{Hold: hd, of: of.ID}
	if hd.State != ledger.HoldOpen || len(hd.Entries) == len(of.Entries) {
		return out
	}
	seen := map[ledger.HeldKey]bool{}
	for _, e := range hd.Entries {
		seen[e.Key()] = true
	}
	for _, e := range of.Entries {
		if k := e.Key(); !seen[k] {
			out.unseen = append(out.unseen, k)
		}
	}
	out.Hold = hd.Only(hd.Entries)
	return out
}

// withoutOthers removes entries that the set's engine may not write because the object belongs to another engine now. Transfers do that in the
// ledger; objects that moved by themselves are noticed here. A set with nothing else is void and keeps its entries for display.
func (v *View) withoutOthers(s *ledger.State, auth gate.Authority, hd *ledger.Hold) {
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

// over reports whether a set in a state waits for nothing, and has no further effect.
func over(s ledger.HoldState) bool {
	return s == ledger.HoldDone || s == ledger.HoldVoid || s == ledger.HoldExpired
}

// Waiting returns the held sets that still wait: for an answer, or for the approved writes.
func Waiting(hs []ledger.Hold) []ledger.Hold {
	return slices.DeleteFunc(slices.Clone(hs), func(x ledger.Hold) bool { return x.State != ledger.HoldOpen && x.State != ledger.HoldApproved })
}

// HeldSet returns one held set. If it has another name by now, because writes were added or removed, the error names it.
func (v *View) HeldSet(id string) (ledger.Hold, error) {
	hd, err := v.heldSet(id)
	return hd.Hold, err
}

// AnswerTo returns a held set and the record of an answer to what is shown of it.
func (v *View) AnswerTo(id, verb string) (ledger.Hold, ledger.Answer, error) {
	hd, err := v.heldSet(id)
	return hd.Hold, ledger.Answer{Hold: hd.of, Verb: verb, Unseen: hd.unseen}, err
}

func (v *View) heldSet(id string) (shown, error) {
	all := v.shown()
	for _, x := range all {
		if x.ID == id {
			return x, nil
		}
	}
	for _, x := range all {
		if slices.Contains(x.Was, id) {
			return shown{}, problem.Refuse("held set %s is not what it was: writes joined or left it, and it is %s now, with %d: `tandem held show %s`", id, x.ID, len(x.Entries), x.ID)
		}
	}
	return shown{}, fmt.Errorf("%w: held set %q", problem.ErrNotFound, id)
}

// ChosenOp returns the operation of a staged change in held sets.
func ChosenOp(s census.Staged) string {
	if s.Taken {
		return "chosen"
	}
	return "no-longer-chosen"
}

// ChosenGrave returns the grave part of a staged change: the object's engine before and after.
func ChosenGrave(s census.Staged, from, to string) ledger.Grave {
	return ledger.Grave{Op: ChosenOp(s), Detail: s.Choice.ID.String(), Changes: []ledger.Change{{Attribute: "engine", Old: []string{from}, New: []string{to}}}}
}
