package gate

import (
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// back answers for an object whose tenant object others deleted and a person wants back. The checks are those of a join (rule J2). A live object
// with the same anchor or sign-in name keeps it in the deleted items, because there would be two.
func back(c Case, p engine.Proposal, bin cloud.Object, want cloud.Values, claim ledger.Claim) Verdict {
	if len(c.Live) > 0 {
		return answer(engine.Failed, CodeAmbiguous, fmt.Sprintf("tenant object %s carries the source anchor by now, and %s in the deleted items did before it: delete one of them for good", c.Live[0].ID, bin.ID))
	}
	if p.Kind == scoping.User {
		if v, taken := nameTaken(c, want); taken {
			return v
		}
	}
	if why := refusal(c, p, bin, ledger.HardMatch); why != "" {
		return answer(engine.Failed, CodeJoinRefused, fmt.Sprintf("the deleted tenant object %s (%s) %s", bin.ID, bin.Values.First(cloud.DisplayName), why))
	}
	if c.Row == nil || c.Row.CloudID != bin.ID { // a deleted object that Tandem never had may hold roles
		power, asked := c.Power[bin.ID]
		if !asked {
			return Verdict{NeedPower: []string{bin.ID}}
		}
		if power != "" {
			return answer(engine.Failed, CodeJoinRefused, fmt.Sprintf("the deleted tenant object %s (%s) holds power: %s", bin.ID, bin.Values.First(cloud.DisplayName), power))
		}
	}
	return restore(c, p, bin, want, claim)
}
