package plan

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// tally counts a shadow session: each object once, under the gravest of what would happen to it; linked objects that nobody proposed are unclaimed
// (rule P4), and those that died while they belonged to nobody are deleted by whoever takes them over.
func (r *Planner) tally(js []gate.Judgement, behind map[ledger.Key]bool, silent, dead []ledger.Key) (wave.Counts, []wave.Difference) {
	var ds []wave.Difference
	worst := map[scoping.ObjectID]int{}
	for _, j := range js {
		op, rank := opOf(j)
		if rank == 0 {
			continue
		}
		worst[j.Key.Object] = max(worst[j.Key.Object], rank)
		if rank > rankUnchanged {
			ds = append(ds, wave.Difference{Object: j.Key.Object, Feature: j.Key.Feature, Name: j.Name, Op: op, Detail: detailOf(j), Grave: isGrave(op, j), Behind: op == "update" && behind[j.Key]})
		}
	}
	for _, k := range silent {
		if !r.o.Without.CountsSilence() {
			break
		}
		worst[k.Object] = rankUnclaimed
		ds = append(ds, wave.Difference{Object: k.Object, Feature: k.Feature, Name: r.o.View.Name(k.Object), Op: "unclaimed", Grave: true})
	}
	for _, k := range dead {
		worst[k.Object] = rankDelete
		ds = append(ds, wave.Difference{Object: k.Object, Feature: k.Feature, Name: r.o.View.Name(k.Object), Op: "delete", Grave: true})
	}
	slices.SortFunc(ds, func(a, b wave.Difference) int {
		return ledger.Key{Object: a.Object, Feature: a.Feature}.Compare(ledger.Key{Object: b.Object, Feature: b.Feature})
	})
	return counts(worst), ds
}

const (
	rankUnchanged = iota + 1
	rankUpdate
	rankCreate
	rankUnclaimed
	rankOrphan
	rankDelete
)

// opOf returns what a judgement would do, with its rank; rank 0 for what does not count (excluded and not linked).
func opOf(j gate.Judgement) (string, int) {
	switch {
	case j.Op == "delete":
		return "delete", rankDelete
	case j.Op == "orphan":
		return "orphan", rankOrphan
	case j.Op == "create", j.Op == "restore":
		return "create", rankCreate
	case j.Op == "join" && len(j.After) == 0:
		return "", rankUnchanged
	case j.Op != "":
		return "update", rankUpdate
	case j.Outcome == engine.Held || j.Outcome == engine.Failed || j.Outcome == engine.Refused:
		return "update", rankUpdate
	case j.Want != engine.Present:
		return "", 0
	}
	return "", rankUnchanged
}

// isGrave reports whether a person has to see a difference whatever was planned: everything but an update, sign-in changes, disabled accounts, and what
// would be held or fail.
func isGrave(op string, j gate.Judgement) bool {
	switch {
	case op != "update", j.Outcome == engine.Held, j.Outcome == engine.Failed, j.Outcome == engine.Refused:
		return true
	case len(j.After[cloud.UPN]) > 0 && len(j.Before[cloud.UPN]) > 0:
		return true
	}
	return j.After.First(cloud.Enabled) == "false"
}

func detailOf(j gate.Judgement) string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(j.After)) {
		out = append(out, fmt.Sprintf("%s: %q → %q", k, j.Before[k], j.After[k]))
	}
	if len(out) == 0 && j.Reason != "" {
		out = append(out, string(j.Code)+": "+j.Reason)
	}
	return strings.Join(out, ", ")
}

func counts(worst map[scoping.ObjectID]int) wave.Counts {
	var c wave.Counts
	for _, r := range worst {
		switch r {
		case rankUnchanged:
			c.Unchanged++
		case rankUpdate:
			c.Update++
		case rankCreate:
			c.Create++
		case rankUnclaimed:
			c.Unclaimed++
		case rankOrphan:
			c.Orphan++
		case rankDelete:
			c.Delete++
		}
	}
	return c
}
