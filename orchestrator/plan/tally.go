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

// tally counts a shadow session and lists what differs. Linked objects that nobody proposed are unclaimed (rule P4), and those that died while they belonged to
// nobody are deleted by whoever takes them over.
func (r *Planner) tally(js []gate.Judgement, behind map[ledger.Key]bool, silent, dead []ledger.Key) (wave.Counts, []wave.Difference) {
	js = slices.Clone(js)
	if r.o.Without.CountsSilence() {
		js = append(js, r.unspoken(silent, gate.OpUnclaimed)...)
	}
	js = append(js, r.unspoken(dead, string(cloud.Delete))...)
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

// mostNamed is how many members a difference names.
const mostNamed = 5

// unspoken are judgements about keys that no proposal was about.
func (r *Planner) unspoken(ks []ledger.Key, op string) (js []gate.Judgement) {
	for _, k := range ks {
		js = append(js, gate.Judgement{Key: k, Name: r.o.View.Name(k.Object), Op: op})
	}
	return js
}

// Count counts objects by the greatest effect of what was judged of them, and the references that would change.
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

// isGrave reports whether a person has to see a difference whatever was planned: everything but an update, sign-in changes, disabled accounts, and what
// would be held or fail.
func isGrave(e gate.Effect, j gate.Judgement) bool {
	switch {
	case e != gate.EffectUpdate, j.Outcome == engine.Held, j.Outcome == engine.Failed, j.Outcome == engine.Refused:
		return true
	case len(j.After[cloud.UPN]) > 0 && len(j.Before[cloud.UPN]) > 0:
		return true
	}
	return j.After.First(cloud.Enabled) == "false"
}

// detailOf says what would be written, for people: references by name.
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

// bindingOf says the same by what does not change while nothing else is to be written: references by their cloud ids.
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
