package gate

import (
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// extensions answers a proposal about the extension attributes of a user. The feature makes, joins and deletes nothing (rule F1): it waits for the
// object, and then its values are written, held and weighed like those of a base feature.
func extensions(c Case, p engine.Proposal) Verdict {
	want := desired(p)
	if c.Standing.Restores != "" {
		return putBack(c, p, want)
	}
	if v, waits := besideBase(c); waits {
		return v
	}
	if c.Cloud.Synced {
		return answer(engine.Failed, CodeSynced, "Microsoft's engines own object "+c.Row.CloudID+": Graph refuses to write it")
	}
	claim := claimOf(c, p, want)
	claim.CloudID = c.Row.CloudID
	return firstAdoption(c, update(c, p, *c.Cloud, want, claim))
}

// besideBase answers a feature other than the base one while the object is not in the tenant.
func besideBase(c Case) (Verdict, bool) {
	if c.Row != nil && c.Row.CloudID != "" && c.Cloud != nil && !c.Cloud.Deleted {
		return Verdict{}, false
	}
	switch {
	case c.Standing.Ceiling == engine.ModeShadow:
		v := answer(engine.Unchanged, CodeWaitsForBase, "")
		v.Nothing = true
		return v, true // in a plan the base feature's create says enough
	case c.Standing.Farewell && c.Standing.Owner == scoping.None:
		return answer(engine.Unchanged, CodeLeft, ""), true
	case c.Excluded != "":
		v := answer(engine.Unchanged, CodeExcluded, c.Excluded)
		v.Nothing = true
		return v, true
	}
	return answer(engine.Partial, CodeWaitsForBase, "the object itself is not in the tenant yet"), true
}
