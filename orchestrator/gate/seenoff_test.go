package gate_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// One who leaves to where no engine writes ends as `leaving` says, also if the rules of the engine that sees it off leave it out: an account whose sign-in name was
// taken away on the way does not stay enabled (rule T4; simulation, seed 23).
func TestLeaversThatRulesLeaveOutAreSeenOff(t *testing.T) {
	p := propose()
	p.Want, p.Reason, p.Desired = engine.Excluded, "no-upn", nil
	leaving := func(l string) gate.Case {
		c := linked()
		c.Standing.Owner, c.Standing.Farewell, c.Standing.Leaving = scoping.None, true, l
		return c
	}
	v := gate.Decide(leaving("disable"), p)
	check(t, v, engine.Applied, "")
	if w := only(t, v); w.Op != cloud.Update || len(w.Set) != 1 || w.Set.First(cloud.Enabled) != "false" {
		t.Errorf("%+v", w)
	}
	check(t, gate.Decide(leaving("remove"), p), engine.Parked, gate.CodeLeaving)
	v = gate.Judge(leaving("remove"), p, gate.Evidence{Life: gate.Living})
	check(t, v, engine.Applied, "")
	if w := only(t, v); w.Op != cloud.Delete {
		t.Errorf("%+v", w)
	}
	v = gate.Decide(leaving("keep"), p)
	check(t, v, engine.Unchanged, "")
	if len(v.Writes) > 0 || !v.Closed {
		t.Errorf("%+v", v)
	}
}
