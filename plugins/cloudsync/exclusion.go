package cloudsync

import (
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
)

// exclusion returns the code that leaves a living object out, or "". The codes are those of the other engine, so that handing
// an object over changes nothing.
func exclusion(e directory.Entry) string {
	return expression.Excluded(e, len(e.Links["member"].Targets), expression.MostMembersCloudSync)
}
