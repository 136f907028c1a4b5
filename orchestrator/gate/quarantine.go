package gate

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// quarantine removes the mail address from a user's desired values if the policy says so and another object of the tenant has it, which it returns.
func quarantine(c Case, p engine.Proposal, want cloud.Values) (holder *cloud.Object, address string) {
	address = want.First(cloud.Mail)
	if !c.Rules.Quarantine || p.Kind != scoping.User || address == "" || len(c.Addressed) == 0 {
		return nil, ""
	}
	if c.Cloud != nil && strings.EqualFold(c.Cloud.Values.First(cloud.Mail), address) {
		return nil, ""
	}
	mine := func(o cloud.Object) bool {
		return c.Cloud != nil && o.ID == c.Cloud.ID || c.Match == o.ID || slices.ContainsFunc(c.Live, func(x cloud.Object) bool { return x.ID == o.ID })
	}
	i := slices.IndexFunc(c.Addressed, func(o cloud.Object) bool { return !mine(o) })
	if i < 0 {
		return nil, ""
	}
	delete(want, cloud.Mail)
	return &c.Addressed[i], address
}

// withoutAddress marks a user that goes without its address. It stays owed: each run looks whether the address is free.
func withoutAddress(c Case, v Verdict, holder *cloud.Object, address string) Verdict {
	if holder == nil || (v.Outcome != engine.Applied && v.Outcome != engine.Unchanged) {
		return v
	}
	who := holder.ID + " (" + holder.Values.First(cloud.DisplayName) + ")"
	if r, ok := c.LinkedTo(holder.ID); ok {
		who = r.Name
	}
	v.Nothing = v.Outcome == engine.Unchanged && c.Row != nil && c.Row.CloudID != "" // it is owed already
	v.Outcome, v.Code, v.Closed = engine.Partial, CodeAddressQuarantined, false
	v.Reason = fmt.Sprintf("without its address %s, which %s has", address, who)
	return v
}
