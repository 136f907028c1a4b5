package gate

import (
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// back answers for an object whose tenant object lies in the deleted items, where somebody else put it, and that a person wants back. It is what the engine would join
// if it lived, so the same keeps it out (rule J2), and a living one that is it already, or has its name, keeps it where it is: there would be two.
func back(c Case, p engine.Proposal, bin cloud.Object, want cloud.Values, claim ledger.Claim) Verdict {
	if len(c.Live) > 0 {
		return settle(engine.Failed, CodeAmbiguous, fmt.Sprintf("tenant object %s carries the source anchor by now, and %s in the deleted items did before it: delete one of them for good", c.Live[0].ID, bin.ID))
	}
	if p.Kind == scoping.User {
		if v, taken := nameTaken(c, want); taken {
			return v
		}
	}
	if why := refusal(c, p, bin, ledger.HardMatch); why != "" {
		return settle(engine.Failed, CodeJoinRefused, fmt.Sprintf("the deleted tenant object %s (%s) %s", bin.ID, bin.Values.First(cloud.DisplayName), why))
	}
	if c.Row == nil || c.Row.CloudID != bin.ID { // one that was never Tandem's comes with whatever it may do
		power, asked := c.Power[bin.ID]
		if !asked {
			return Verdict{NeedPower: []string{bin.ID}}
		}
		if power != "" {
			return settle(engine.Failed, CodeJoinRefused, fmt.Sprintf("the deleted tenant object %s (%s) holds power: %s", bin.ID, bin.Values.First(cloud.DisplayName), power))
		}
	}
	return restore(c, p, bin, want, claim)
}
