package provisioning

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// agreed is what the ledger keeps of a provisioning feature as the fingerprint of its last agreement: enough to tell what changed since, and on which side.
type agreed struct {
	Source    uint64       // digest of the source
	Rules     uint64       // of the engine and of the assignment
	Disabled  string       // what was wanted of the account: "true", "false", or "" for nothing
	Container scoping.GUID // where it was wanted
	Gone      bool         // it was deleted in the directory when its person left, and so not disabled: it can come back there as it was
}

// goneSuffix ends the fingerprint of what was seen off while it was deleted.
const goneSuffix = ".gone"

func (a agreed) text() string {
	text := fmt.Sprintf("%016x.%016x.%s.%s", a.Source, a.Rules, a.Disabled, a.Container)
	if a.Gone {
		text += goneSuffix
	}
	return text
}

// agreedOf reads what was agreed about a row's feature; false: nothing was yet.
func agreedOf(row *ledger.Row, f scoping.Feature) (a agreed, ok bool) {
	if row == nil || row.Features[f] == nil {
		return a, false
	}
	text, gone := strings.CutSuffix(row.Features[f].Hash, goneSuffix)
	a.Gone = gone
	parts := strings.Split(text, ".")
	if len(parts) != 4 {
		return a, false
	}
	var err1, err2, err3 error
	a.Source, err1 = strconv.ParseUint(parts[0], 16, 64)
	a.Rules, err2 = strconv.ParseUint(parts[1], 16, 64)
	a.Disabled = parts[2]
	a.Container, err3 = scoping.ParseGUID(parts[3])
	return a, err1 == nil && err2 == nil && err3 == nil
}

// facts are what standing is to compare of one source: its claim is what was agreed last, its target the object in the directory as of the census's reading.
func facts(now int64, kind scoping.Kind, owner string, row *ledger.Row, source, rules uint64, reading uint64, gone, inFlight bool) standing.Facts {
	f := scoping.ProvisioningOf(kind)
	out := standing.Facts{Kind: kind, Feature: f, Now: now, Known: true, Expected: true, Changed: 1, Owner: owner, Ran: true, Row: row, InFlight: inFlight, Rules: rules, Target: 1,
		End: func(scoping.ObjectID) standing.End { return standing.Left }}
	was, ok := agreedOf(row, f)
	if row == nil || row.Features[f] == nil {
		return out
	}
	last := row.Features[f]
	out.Record, out.Recorded = last.Engine, true
	if !ok {
		return out
	}
	c := &standing.Claim{Want: engine.Present, Agrees: true, Target: 1, Attrs: []string{string(f)}, Rules: was.Rules}
	if was.Source == source {
		c.Reading = 1
	}
	out.Claim = c
	if gone || reading > last.Version {
		out.Target = 2 // it changed in the directory since
	}
	return out
}
