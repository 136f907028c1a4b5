package ledger_test

import (
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// brought are the records of a write for the object c-ann of the tenant that was done.
func brought(id string, op provision.Op) []ledger.Record {
	o := ann
	if op == provision.Add {
		o.GUID = scoping.GUID{}
	}
	w := ledger.Provisioned{Write: provision.Write{Target: provision.Target{Op: op, Kind: scoping.User, Object: o.GUID}}, Origin: ledger.Created}
	r := ledger.Record{V: ledger.Version, Type: ledger.DeliveryType, At: 1000, Engine: "cloudsync", Object: &o, Kind: scoping.User, Feature: scoping.UserProvisioning, Op: string(op),
		Delivery: &ledger.Delivery{ID: id, Step: ledger.Permitted, CloudID: "c-ann", Until: 30_000, Provisioned: &w}}
	done := r
	done.Code = engine.DeliveryOK
	done.Delivery = &ledger.Delivery{ID: id, Step: ledger.Ended, Result: &provision.Result{Object: ann.GUID}}
	return []ledger.Record{r, done}
}

// The password that an account was made with is known from its making, or from the join of one whose making is not known any more.
func TestAJoinTellsTheFirstPasswordOfAnAccountWhoseMakingIsLost(t *testing.T) {
	join := func(was, stamp string) []ledger.Record {
		rs := brought("2", provision.Join)
		w := rs[0].Delivery.Provisioned
		w.Link, w.WasLink = provision.Link{Attribute: "link", Value: "User_ann"}, was
		rs[1].Delivery.Result.Stamp = stamp
		return rs
	}
	made := brought("1", provision.Add)
	made[1].Delivery.Result.Stamp = "first"
	for name, x := range map[string]struct {
		rs   []ledger.Record
		want string
	}{
		"made":                        {made, "first"},
		"joined, and its link shows":  {join("User_ann", "first"), "first"},
		"joined, of another's making": {join("", "first"), ""},
		"joined, with a later one":    {join("User_ann", ""), ""},
		"of a leaver":                 {append(made, join("User_bob", "")...), "first"},
	} {
		if got := fold(t, x.rs...).Rows.Get(ann).Stamp; got != x.want {
			t.Errorf("%s: %q, want %q", name, got, x.want)
		}
	}
}

// An account of an object of the tenant that was deleted in the directory may be undeleted there: the tenant's object is what it stands for as before,
// and once it is written again it is brought like any other.
func TestAnAccountThatIsUndeletedStandsForTheObjectOfTheTenant(t *testing.T) {
	rs := append(brought("1", provision.Add), brought("2", provision.Delete)...)
	s := fold(t, rs...)
	if id, linked := s.Linked(ann); !linked || id != "c-ann" || s.Rows.Get(ann).State != ledger.DeletedByTandem {
		t.Errorf("%q %v %+v", id, linked, s.Rows.Get(ann))
	}
	if s = fold(t, append(rs, brought("3", provision.Rename)...)...); s.Rows.Get(ann).State != ledger.Live {
		t.Errorf("%+v", s.Rows.Get(ann))
	}
	deleted := claim()
	deleted.State = ledger.DeletedByTandem
	s = fold(t, append(created(), intent("i2", ann, cloud.Delete, deleted), settle("i2", cloud.Done, ""))...)
	if _, linked := s.Linked(ann); linked {
		t.Error("an object that Tandem deleted in the tenant is still linked")
	}
}
