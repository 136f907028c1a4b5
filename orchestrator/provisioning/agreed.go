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

// agreed is the fingerprint of a provisioning feature's last agreement in the ledger: enough to tell what changed since, and on which side.
type agreed struct {
	Source    uint64       // digest of the source
	Rules     uint64       // of the engine and of the assignment
	Disabled  string       // what was wanted of the account: "true", "false", or "" for nothing; of a leaver's also byWhoever
	Container scoping.GUID // where it was wanted
	Deleted   bool         // it was deleted in the directory when its person left, and therefore not disabled: it may be restored as it was
}

// byWhoever is agreed about the account of a leaver that is disabled by Tandem or by others: the answer to its disabling was lost.
const byWhoever = "whoever"

// deletedSuffix ends the fingerprint of an object that left while it was deleted.
const deletedSuffix = ".gone"

func (a agreed) text() string {
	text := fmt.Sprintf("%016x.%016x.%s.%s", a.Source, a.Rules, a.Disabled, a.Container)
	if a.Deleted {
		text += deletedSuffix
	}
	return text
}

// agreedOf returns the agreement about a row's feature; false: there is none yet.
func agreedOf(row *ledger.Row, f scoping.Feature) (a agreed, ok bool) {
	if row == nil || row.Features[f] == nil {
		return a, false
	}
	text, deleted := strings.CutSuffix(row.Features[f].Hash, deletedSuffix)
	a.Deleted = deleted
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

// facts returns the facts of one source for standing: its claim is the last agreement, its target the object in the directory by the census's last
// reading of it.
func facts(now int64, kind scoping.Kind, owner string, row *ledger.Row, source, rules uint64, reading uint64, deleted, inFlight bool) standing.Facts {
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
	if deleted || reading > last.Version {
		out.Target = 2 // it changed in the directory since
	}
	return out
}
