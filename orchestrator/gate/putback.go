package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// putBack answers the host's own proposal of values from before a wave. Such writes have no class: a threshold would hold the way back, and the wave
// would end without it. The key stays as it is, since its owner did not propose.
func putBack(c Case, p engine.Proposal, want cloud.Values) Verdict {
	switch {
	case c.Row == nil || c.Row.CloudID == "":
		return quiet(answer(engine.Failed, CodeNotLinked, "the object is not linked to a tenant object any more"))
	case c.Cloud == nil:
		return quiet(vanished(c))
	case c.Cloud.Deleted:
		return quiet(answer(engine.Held, CodeDeleted, "tenant object "+c.Row.CloudID+" is deleted"))
	case c.Cloud.Synced:
		return quiet(answer(engine.Failed, CodeSynced, "Microsoft's engines own object "+c.Row.CloudID+": Graph refuses to write it"))
	}
	set, before := difference(c.Cloud.Values, want)
	if len(set) == 0 {
		v := quiet(answer(engine.Unchanged, "", ""))
		v.Nothing = true
		return v
	}
	v := quiet(answer(engine.Applied, "", "takes back what wave "+c.Standing.Restores+" wrote"))
	v.Op, v.Before, v.After = "update", before, set
	v.Claim = &ledger.Claim{CloudID: c.Row.CloudID, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version, Restores: c.Standing.Restores}
	v.Writes = []cloud.Write{{Op: cloud.Update, Kind: p.Kind, CloudID: c.Cloud.ID, Set: set}}
	return v
}

// quiet lets a verdict leave the key as it is, settled or not.
func quiet(v Verdict) Verdict {
	v.Closed, v.Quietly = false, true
	return v
}
