package gate_test

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// drawValues draws what an engine may say of a feature's attributes: sensible, cleared, too many, empty, or of the wrong form.
func drawValues(t *rapid.T, f scoping.Feature) map[string]engine.Value {
	out := map[string]engine.Value{}
	names := attribute.OfFeature(f)
	sane := rapid.Bool().Draw(t, "sane")
	for _, n := range names {
		if boolean := n == cloud.Enabled || n == "mailEnabled" || n == "securityEnabled"; sane {
			if out[n] = text("some"); boolean {
				out[n] = text(fmt.Sprint(n != "mailEnabled"))
			}
			continue
		}
		switch rapid.IntRange(0, 6).Draw(t, n) {
		case 0:
		case 1:
			out[n] = text()
		case 2:
			out[n] = text("a", "b")
		case 3:
			out[n] = text("", "true")
		case 4:
			out[n] = text("true")
		case 5:
			out[n] = text("false")
		default:
			out[n] = text("some@contoso.test")
		}
	}
	return out
}

// drawEnds draws references: linked ends, waiting ones, those that never come, and the object itself.
func drawEnds(t *rapid.T, itself scoping.ObjectID, label string) []scoping.ObjectID {
	var out []scoping.ObjectID
	for n := range rapid.IntRange(0, 30).Draw(t, label) {
		out = append(out, object(byte(100+n)))
	}
	if rapid.Bool().Draw(t, label+" itself") {
		out = append(out, itself)
	}
	return out
}

// drawCase draws what is known of an object: not in the tenant, linked, in the deleted items, or there under its anchor.
func drawCase(t *rapid.T, k scoping.Kind) gate.Case {
	c := newcomer()
	c.Sight.Kind = k
	o := cloud.Object{ID: "c-it", Kind: k, Values: cloud.Values{cloud.DisplayName: {"It"}, "city": {"Brno"}, cloud.Enabled: {"true"}}, Manager: rapid.SampledFrom([]string{"", "c-100", "c-130"}).Draw(t, "manager")}
	for n := range rapid.IntRange(0, 30).Draw(t, "members") {
		o.Members = append(o.Members, fmt.Sprintf("c-%03d", 110+n))
	}
	c.Resolve = func(id scoping.ObjectID) (string, gate.RefState) {
		n := int(id.GUID[15])
		if id == ann {
			return "c-it", gate.RefLinked
		}
		return fmt.Sprintf("c-%03d", n), gate.RefState(1 + n%4)
	}
	c.LinkedTo = func(id string) (*ledger.Row, bool) {
		if id == "c-it" {
			return nil, false
		}
		return rowOf(object(200), scoping.User, id), true
	}
	switch rapid.SampledFrom([]string{"new", "linked", "linked too", "binned", "there", "in the bin"}).Draw(t, "state") {
	case "linked", "linked too":
		c.Row, c.Cloud = rowOf(ann, k, o.ID), &o
	case "binned":
		o.Deleted = true
		c.Row, c.Cloud = rowOf(ann, k, o.ID), &o
		c.Row.State = ledger.DeletedByTandem
	case "there":
		c.Live, c.Power = []cloud.Object{o}, map[string]string{o.ID: ""}
	case "in the bin":
		o.Deleted = true
		c.Bin = []cloud.Object{o}
		c.LinkedTo = func(string) (*ledger.Row, bool) {
			r := rowOf(ann, k, o.ID)
			r.State = ledger.DeletedByTandem
			return r, true
		}
	}
	c.Sight.Deleted = rapid.Bool().Draw(t, "gone")
	c.Rules.Exclusive = rapid.Bool().Draw(t, "exclusive")
	return c
}

// Whatever is proposed and whatever is known, the gate makes no write that the tenant client would refuse to send: such a write is tried for ever.
func TestTheGateMakesOnlyValidWrites(t *testing.T) {
	made := map[string]int{}
	check := func(t *rapid.T) {
		k := rapid.SampledFrom([]scoping.Kind{scoping.User, scoping.Group, scoping.Contact}).Draw(t, "kind")
		features := []scoping.Feature{scoping.Base(k), scoping.References, scoping.PasswordHash}
		if k == scoping.User {
			features = append(features, scoping.Extensions)
		}
		c, p := drawCase(t, k), propose()
		c.Standing.Log = "home"
		p.Kind, p.Feature = k, rapid.SampledFrom(features).Draw(t, "feature")
		p.Want = rapid.SampledFrom([]engine.Want{engine.Present, engine.Present, engine.Present, engine.Gone, engine.Excluded}).Draw(t, "want")
		p.Desired, p.Refs = nil, nil
		switch {
		case p.Feature == scoping.PasswordHash:
			c.Sight.Deleted = false
			p.Password = hash(uint32(rapid.IntRange(0, 3).Draw(t, "version")), true).Password
			p.Password.MustChange = rapid.Bool().Draw(t, "must change")
		case p.Want == engine.Gone:
			p.Feature = scoping.Base(k)
		case p.Want == engine.Excluded:
			c.Sight.Deleted, p.Feature = false, scoping.Base(k)
		case p.Feature == scoping.References:
			c.Sight.Deleted = false
			name := map[scoping.Kind]string{scoping.User: cloud.Manager, scoping.Group: cloud.Members, scoping.Contact: cloud.Manager}[k]
			refs := engine.Refs{Whole: k != scoping.Group || rapid.Bool().Draw(t, "whole")}
			if refs.Whole {
				refs.Targets = drawEnds(t, p.Object, "targets")
				if k != scoping.Group {
					refs.Targets = refs.Targets[:min(rapid.IntRange(0, 1).Draw(t, "managers"), len(refs.Targets))]
				}
			} else {
				refs.Added, refs.Removed = drawEnds(t, p.Object, "added"), drawEnds(t, p.Object, "removed")
			}
			p.Refs = map[string]engine.Refs{name: refs}
		default:
			c.Sight.Deleted = false
			p.Desired = drawValues(t, p.Feature)
		}
		e := gate.Evidence{Life: gate.Tombstone, LinksRead: true}
		if !c.Sight.Deleted {
			e.Life = gate.Living
		}
		for _, v := range []gate.Verdict{gate.Decide(c, p), gate.Judge(c, p, e)} {
			if v.Code == cloud.CodeImpossible {
				t.Fatalf("impossible: %s", v.Reason)
			}
			for _, w := range v.Writes {
				made[fmt.Sprintf("%s %s", w.Op, w.Kind)]++
				if err := w.Valid(); err != nil {
					t.Fatalf("%s %q: %+v: %v", v.Outcome, v.Code, w, err)
				}
			}
		}
	}
	for range 10 {
		rapid.Check(t, check)
	}
	for _, op := range cloud.Ops() {
		for _, k := range []scoping.Kind{scoping.User, scoping.Group} {
			if op.Takes(k) && made[fmt.Sprintf("%s %s", op, k)] == 0 && testing.CoverMode() == "" {
				t.Errorf("no %s of a %s was made", op, k)
			}
		}
	}
}
