package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// putBack answers the host's own proposal of values from before a wave. No class is given to such a write: a threshold would hold the
// way back, and the wave would end without it. It closes nothing, since the owner did not speak.
func putBack(c Case, p engine.Proposal, want cloud.Values) Verdict {
	switch {
	case c.Row == nil || c.Row.CloudID == "":
		return quiet(settle(engine.Failed, CodeNotLinked, "the object is not linked to a tenant object any more"))
	case c.Cloud == nil:
		return quiet(vanished(c))
	case c.Cloud.Deleted:
		return quiet(settle(engine.Held, CodeDeleted, "tenant object "+c.Row.CloudID+" is deleted"))
	case c.Cloud.Synced:
		return quiet(settle(engine.Failed, CodeSynced, "Microsoft's engines own object "+c.Row.CloudID+": Graph refuses to write it"))
	}
	set, before := difference(c.Cloud.Values, want)
	if len(set) == 0 {
		v := quiet(settle(engine.Unchanged, "", ""))
		v.Nothing = true
		return v
	}
	v := quiet(settle(engine.Applied, "", "takes back what wave "+c.Standing.Restores+" wrote"))
	v.Op, v.Before, v.After = "update", before, set
	v.Claim = &ledger.Claim{CloudID: c.Row.CloudID, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version, Restores: c.Standing.Restores}
	v.Writes = []cloud.Write{{Op: cloud.Update, Kind: p.Kind, CloudID: c.Cloud.ID, Set: set}}
	return v
}

// quiet lets a verdict settle nothing and leave nothing unsettled.
func quiet(v Verdict) Verdict {
	v.Closed, v.Quietly = false, true
	return v
}
