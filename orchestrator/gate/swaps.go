package gate

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// askSwap is why rings are held (rule J6): between two of its writes one user has a name that only Tandem chose.
const askSwap = "users exchange their sign-in names, and the tenant gives no name twice: one of each ring has a temporary name until the others have theirs"

// judged is an item at the end of its run, with the case that it was judged by.
type judged struct {
	*item
	c     Case
	wakes bool    // it was refused before and is tried now only if it belongs to a ring
	swap  Verdict // the verdict if it is tried
}

// change returns the change of a sign-in name in a verdict.
func (v Verdict) change() (NameChange, bool) {
	if v.Op != "update" || len(v.Writes) != 1 || v.Before.First(cloud.UPN) == "" || v.Writes[0].Set.First(cloud.UPN) == "" {
		return NameChange{}, false
	}
	w := v.Writes[0]
	return NameChange{ID: w.CloudID, Old: v.Before.First(cloud.UPN), New: w.Set.First(cloud.UPN)}, true
}

// waitsForName reports whether a sign-in name was refused before and is not tried now.
func waitsForName(v Verdict) bool {
	return slices.ContainsFunc(v.Waits, func(p ledger.Part) bool { return p.What == cloud.UPN })
}

// retried returns the verdict of an item as if its sign-in name had not been refused before: that refusal did not consider the ring.
func retried(c Case, p engine.Proposal, e Evidence, v Verdict) Verdict {
	if p.Feature != scoping.Users || !waitsForName(v) {
		return v
	}
	c.Asked = true
	return Judge(c, p, e)
}

// swaps finds the rings among judged items and turns each into a question, unless all of it is approved. Items that were refused before are left out
// unless they belong to a ring.
func swaps(js []*judged, r Rules) []*judged {
	var changes []NameChange
	var of []*judged
	for _, j := range js {
		if c, changed := j.swap.change(); changed && len(j.swap.Graves) > 0 && (j.swap.Ask == "" || approvedAll(j.c, j.swap)) {
			changes, of = append(changes, c), append(of, j)
		}
	}
	for _, ring := range Rings(changes) {
		approved := !slices.ContainsFunc(ring, func(i int) bool { return !approvedAll(of[i].c, of[i].swap) })
		for n, i := range ring {
			j := of[i]
			j.v, j.wakes = j.swap, false
			j.v.Class = ledger.NameSwaps
			if !approved {
				before := of[ring[(n+len(ring)-1)%len(ring)]].p.Name
				j.v.Ask, j.v.Approved, j.v.Note = askSwap, nil, noteOf(changes[i], n, before, r)
			}
		}
	}
	return slices.DeleteFunc(js, func(j *judged) bool { return j.wakes })
}

// noteOf describes what happens to member n of a ring.
func noteOf(c NameChange, n int, before string, r Rules) string {
	if n > 0 {
		return "gets its name after " + before
	}
	return "parking step: signs in as " + ParkName(c.ID, r.InitialDomain, c.Old) + " until the others of its ring have their names, then gets its own"
}

// inTurn carries out what was judged: of each ring that may be written one user is parked first, then each name is written after it became free.
func (s *Session) inTurn(ctx context.Context, items []*item) error {
	var changes []NameChange
	var of []*item
	for _, it := range items {
		if c, changed := it.v.change(); changed {
			changes, of = append(changes, c), append(of, it)
		}
	}
	rings := Rings(changes)
	turns := map[*item]int{}
	last := 0
	for i, n := range Turns(changes, rings) {
		turns[of[i]], last = n, max(last, n)
	}
	if err := s.park(ctx, rings, of); err != nil {
		return err
	}
	for n := range last + 1 {
		if err := s.carryOut(ctx, slices.DeleteFunc(slices.Clone(items), func(it *item) bool { return turns[it] != n })); err != nil {
			return err
		}
	}
	return nil
}

// park writes the temporary name of the first of each ring. If that fails nothing of the ring is written: it stays owed.
func (s *Session) park(ctx context.Context, rings [][]int, of []*item) error {
	var parked []*item
	domain := s.g.Rules().InitialDomain
	for _, ring := range rings {
		parked = append(parked, parking(of[ring[0]], domain))
	}
	if len(parked) == 0 {
		return nil
	}
	if err := s.carryOut(ctx, parked); err != nil {
		return err
	}
	for n, it := range parked {
		first := of[rings[n][0]]
		if it.next > 0 && !it.done && len(it.parts) == 0 {
			first.v.Before = maps.Clone(first.v.Before)
			first.v.Before[cloud.UPN] = it.v.After[cloud.UPN]
			continue
		}
		for _, i := range rings[n] {
			of[i].v = answer(engine.Deferred, CodeSwapWaits, fmt.Sprintf("%s exchanges its sign-in name with others, and could not get its temporary name: %s", first.p.Name, it.v.Reason))
		}
		first.v = it.v
		first.v.Writes = nil
	}
	return nil
}

// parking returns the item that parks the first of a ring. It leaves the key as it is, settled or not: the user has been owed since its run proposed
// it, and a new debt would outlive the write of its own name.
func parking(first *item, domain string) *item {
	old := first.v.Before.First(cloud.UPN)
	name := []string{ParkName(first.v.Writes[0].CloudID, domain, old)}
	it := *first
	it.paired = true // not a value that has to last
	it.v.Outcome, it.v.Code, it.v.Closed, it.v.Quietly, it.v.Parts, it.v.Waits = engine.Partial, CodeParked, false, true, nil, nil
	it.v.Reason = "signs in as " + name[0] + " until the others of its ring have their names"
	it.v.Before, it.v.After = cloud.Values{cloud.UPN: {old}}, cloud.Values{cloud.UPN: name}
	w := first.v.Writes[0]
	w.Set = it.v.After
	it.v.Writes = []cloud.Write{w}
	return &it
}
