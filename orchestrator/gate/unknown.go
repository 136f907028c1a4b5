package gate

import (
	"fmt"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// unknowns are the sentences for people about why an engine cannot say.
var unknowns = map[string]string{
	engine.NotFound:        "the directory shows its engine neither the object nor a tombstone of it: may the account see deleted objects?",
	engine.NotSynchronized: "it is of a kind that its engine does not synchronize",
	engine.PlaceUnknown:    "its engine cannot read a container above it, so it cannot tell whether it lies in its scopes",
}

// unknown answers an engine that cannot say what it wants. That says nothing about the object: keys keep their state, and it does not count as a
// claim.
func unknown(p engine.Proposal) Verdict {
	why, told := unknowns[p.Reason]
	if !told {
		why = fmt.Sprintf("its engine cannot say what it wants of it: %q", p.Reason)
	}
	v := answer(engine.Deferred, CodeUnknown, why)
	v.Nothing = true
	return v
}
