package objects

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/scoping"
)

// WeighChosen returns which staged membership changes of choices are applied, and the sets that are held: the changes of a choice with more of them than the threshold (rule T3).
func (v *View) WeighChosen(led *ledger.State, auth gate.Authority, staged []census.Staged) (take []census.Staged, holds []*ledger.Hold) {
	by := map[scoping.GUID][]census.Staged{}
	for _, s := range staged {
		by[s.Choice.ID] = append(by[s.Choice.ID], s)
	}
	for _, id := range slices.SortedFunc(maps.Keys(by), scoping.GUID.Compare) {
		t, hold := v.weighChoice(led, auth, by[id])
		take = append(take, t...)
		if hold != nil {
			holds = append(holds, hold)
		}
	}
	return take, holds
}

// weighChoice returns which of one choice's changes are applied, and which are held. Only changes of linked objects whose owner depends on the choice
// are held; others change nothing in the tenant.
func (v *View) weighChoice(led *ledger.State, auth gate.Authority, changes []census.Staged) (take []census.Staged, hold *ledger.Hold) {
	choice := changes[0].Choice
	var weighed []census.Staged
	hands := map[string]int{}
	for _, s := range changes {
		row := led.Rows.Get(s.Object)
		from, to := v.handed(auth, s)
		if row == nil || row.State != ledger.Live || from == to {
			take = append(take, s)
			continue
		}
		q := ledger.Question{Object: s.Object, Feature: scoping.Base(s.Kind), Grave: ChosenGrave(s, from, to)}
		switch state, _ := led.Answered(q, v.now().UnixMilli()); state {
		case ledger.HoldApproved:
			take = append(take, s)
		case ledger.HoldRejected:
		default:
			weighed = append(weighed, s)
			hands["from "+from+" to "+to]++
		}
	}
	limit := v.choiceLimit(led, auth, choice)
	if len(weighed) <= limit {
		return append(take, weighed...), nil
	}
	hold = &ledger.Hold{Class: ledger.OwnerChanges, Assignment: choice.String() + " under " + choice.Under.DN, Limit: limit, At: v.now().UnixMilli(),
		Epoch: auth.Epoch, State: ledger.HoldOpen,
		Why: fmt.Sprintf("%s at once: the directory changed who the %s under %s are, and more than %d are not handed over without asking", counted(hands), choice, choice.Under.DN, limit)}
	for _, s := range weighed {
		from, to := v.handed(auth, s)
		hold.Entries = append(hold.Entries, ledger.HeldEntry{Object: s.Object, Kind: s.Kind, Feature: scoping.Base(s.Kind), Grave: ChosenGrave(s, from, to), Name: v.Name(s.Object)})
	}
	hold.Name()
	if old := led.Holds[hold.ID]; old != nil && old.State == ledger.HoldOpen {
		return take, nil // the same set is held already
	}
	return take, hold
}

// counted describes how many objects change from which owner to which.
func counted(hands map[string]int) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(hands)) {
		out = append(out, scoping.Many(hands[k], "object", "objects")+" would go "+k)
	}
	return strings.Join(out, ", ")
}

// handed returns an object's owner before and after a change.
func (v *View) handed(auth gate.Authority, s census.Staged) (from, to string) {
	p := auth.Partition
	if p == nil {
		return "", ""
	}
	now := v.census.Sight(s.Object).Place(s.Object.Directory)
	then := now
	if s.Taken {
		then.Chosen = append(slices.Clone(now.Chosen), s.Choice.ID)
	} else {
		then.Chosen = slices.DeleteFunc(slices.Clone(now.Chosen), func(g scoping.GUID) bool { return g == s.Choice.ID })
	}
	f := scoping.Base(s.Kind)
	return p.Owner(now, s.Kind, f).Engine, p.Owner(then, s.Kind, f).Engine
}

// choiceLimit is how many objects may change owner at once by one choice: the delete threshold, over the linked objects below the choice's container.
func (v *View) choiceLimit(led *ledger.State, auth gate.Authority, choice scoping.Choice) int {
	d := scoping.DefaultDefaults()
	if p := auth.Partition; p != nil {
		d = p.Defaults()
	}
	n := 0
	for _, id := range led.Objects() {
		if row := led.Rows.Get(id); row.State == ledger.Live && id.Directory == choice.Directory && choice.Reaches(v.census.Sight(id).Chain) {
			n++
		}
	}
	return min(d.DeleteThreshold.Objects, max(5, n*d.DeleteThreshold.Percent/100))
}
