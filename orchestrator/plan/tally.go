package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// tally counts a shadow session and lists what differs. Linked objects that were not proposed are unclaimed (rule P4), and those that were deleted
// while no engine owned them are deleted by the engine that takes over.
func (r *Planner) tally(js []gate.Judgement, behind map[ledger.Key]bool, silent, deleted []ledger.Key) (wave.Counts, []wave.Difference) {
	js = slices.Clone(js)
	if r.o.Without.CountsSilence() {
		js = append(js, r.unspoken(silent, gate.OpUnclaimed)...)
	}
	js = append(js, r.unspoken(deleted, string(cloud.Delete))...)
	var ds []wave.Difference
	for _, j := range js {
		if e := j.Effect(); e.Differs() {
			refs := r.o.View.References(j, mostNamed)
			ds = append(ds, wave.Difference{Object: j.Key.Object, Feature: j.Key.Feature, Name: j.Name, Op: e.String(), Detail: detailOf(j, refs), Binding: bindingOf(j), Grave: isGrave(e, j),
				Behind: e == gate.EffectUpdate && behind[j.Key]})
		}
	}
	slices.SortFunc(ds, func(a, b wave.Difference) int {
		return ledger.Key{Object: a.Object, Feature: a.Feature}.Compare(ledger.Key{Object: b.Object, Feature: b.Feature})
	})
	return Count(js), ds
}

// mostNamed is the most members that a difference names.
const mostNamed = 5

// unspoken returns judgements about keys without a proposal.
func (r *Planner) unspoken(ks []ledger.Key, op string) (js []gate.Judgement) {
	for _, k := range ks {
		js = append(js, gate.Judgement{Key: k, Name: r.o.View.Name(k.Object), Op: op})
	}
	return js
}

// Count returns the numbers of objects by the greatest effect of their judgements, and of references that would change.
func Count(js []gate.Judgement) wave.Counts {
	var c wave.Counts
	greatest := map[scoping.ObjectID]gate.Effect{}
	var links gate.Links
	for _, j := range js {
		greatest[j.Key.Object] = max(greatest[j.Key.Object], j.Effect())
		links = links.Plus(j.Links)
	}
	c.Links = wave.Links(links)
	for _, e := range greatest {
		switch e {
		case gate.EffectUnchanged:
			c.Unchanged++
		case gate.EffectUpdate:
			c.Update++
		case gate.EffectCreate:
			c.Create++
		case gate.EffectRestore:
			c.Restore++
		case gate.EffectUnclaimed:
			c.Unclaimed++
		case gate.EffectOrphan:
			c.Orphan++
		case gate.EffectDelete:
			c.Delete++
		}
	}
	return c
}

// isGrave reports whether a person has to see a difference whatever was planned: everything but an update, sign-in changes, disabled accounts, and
// what would be held or fail.
func isGrave(e gate.Effect, j gate.Judgement) bool {
	switch {
	case e != gate.EffectUpdate, j.Outcome == engine.Held, j.Outcome == engine.Failed, j.Outcome == engine.Refused:
		return true
	case len(j.After[cloud.UPN]) > 0 && len(j.Before[cloud.UPN]) > 0:
		return true
	}
	return j.After.First(cloud.Enabled) == "false"
}

// detailOf describes what would be written, for people: references by name.
func detailOf(j gate.Judgement, refs *objects.References) string {
	var out []string
	if refs != nil {
		out = append(out, refs.String())
	} else {
		out = valuesOf(j)
	}
	if len(out) == 0 && j.Reason != "" {
		out = append(out, string(j.Code)+": "+j.Reason)
	}
	return strings.Join(out, ", ")
}

// bindingOf is detailOf with cloud ids for references, so that it changes only if the writes do.
func bindingOf(j gate.Judgement) string {
	out := valuesOf(j)
	if removed := j.Before[gate.MembersRemoved]; len(removed) > 0 {
		out = append(out, fmt.Sprintf("%s: %q", gate.MembersRemoved, removed))
	}
	if boss := j.Before[cloud.Manager]; len(boss) > 0 && len(j.After) == 0 {
		out = append(out, fmt.Sprintf("%s: %q → []", cloud.Manager, boss))
	}
	if len(out) == 0 && j.Reason != "" {
		out = append(out, string(j.Code)+": "+j.Reason)
	}
	return strings.Join(out, ", ")
}

func valuesOf(j gate.Judgement) (out []string) {
	for _, k := range slices.Sorted(maps.Keys(j.After)) {
		out = append(out, fmt.Sprintf("%s: %q → %q", k, j.Before[k], j.After[k]))
	}
	return out
}
