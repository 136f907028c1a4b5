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

// askSwap is why rings are held (rule J6): between two of their writes one user has a name that nobody gave it.
const askSwap = "users exchange their sign-in names, and the tenant gives no name twice: one of each ring has a temporary name until the others have theirs"

// judged is an item at the end of its run, with the case that it was judged from.
type judged struct {
	*item
	c     Case
	wakes bool    // it was refused before and is not tried now, unless it belongs to a ring
	swap  Verdict // what it would write, were it tried
}

// change returns the sign-in name that a verdict changes.
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

// retried is the verdict of an item as if its sign-in name had not been refused before: the refusal does not know of the ring.
func retried(c Case, p engine.Proposal, e Evidence, v Verdict) Verdict {
	if p.Feature != scoping.Users || !waitsForName(v) {
		return v
	}
	c.Asked = true
	return Judge(c, p, e)
}

// swaps finds the rings among judged items and makes a question of each, unless all of it is approved. Of the items that were refused before it
// leaves only those that belong to a ring.
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

// noteOf tells what happens to the member n of a ring.
func noteOf(c NameChange, n int, before string, r Rules) string {
	if n > 0 {
		return "gets its name after " + before
	}
	return "parking step: signs in as " + ParkName(c.ID, r.InitialDomain, c.Old) + " until the others of its ring have their names, then gets its own"
}

// inTurn carries out what was judged: of each ring that may be written one user is parked first, then each name is given after it became free.
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

// park gives the first of each ring its temporary name. Where that fails nothing of the ring is written: it stays owed.
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
			of[i].v = settle(engine.Deferred, CodeSwapWaits, fmt.Sprintf("%s exchanges its sign-in name with others, and could not get its temporary name: %s", first.p.Name, it.v.Reason))
		}
		first.v = it.v
		first.v.Writes = nil
	}
	return nil
}

// parking is the item that parks the first of a ring. It settles nothing and makes no new debt, which would outlive the write of its own name: the user is
// owed since its run proposed it, and is asked for again whatever happens after this.
func parking(first *item, domain string) *item {
	old := first.v.Before.First(cloud.UPN)
	name := []string{ParkName(first.v.Writes[0].CloudID, domain, old)}
	it := *first
	it.paired = true // not a write that has to last
	it.v.Outcome, it.v.Code, it.v.Closed, it.v.Quietly, it.v.Parts, it.v.Waits = engine.Partial, CodeParked, false, true, nil, nil
	it.v.Reason = "signs in as " + name[0] + " until the others of its ring have their names"
	it.v.Before, it.v.After = cloud.Values{cloud.UPN: {old}}, cloud.Values{cloud.UPN: name}
	w := first.v.Writes[0]
	w.Set = it.v.After
	it.v.Writes = []cloud.Write{w}
	return &it
}
