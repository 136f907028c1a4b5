package orchestrator_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/scoping"
)

// What a first policy brings is said when it is put in force, before any engine runs.
func TestAnImportSaysWhatWillBeBrought(t *testing.T) {
	w := newHR(t, embeddedSite(t))
	w.hire(1, nil)
	w.hire(2, nil)
	w.open()
	w.importText(fmt.Sprintf(hiresPolicy, w.site.base, w.site.base))
	bs, err := w.tandem.Host().Foreseen(t.Context())
	if err != nil || len(bs) != 1 || bs[0].Objects[scoping.User] != 2 || bs[0].Predicted == nil || bs[0].Predicted.Create != 2 || len(w.accounts()) != 0 {
		t.Errorf("%v %+v", err, bs)
	}
}

// The lab's tenant takes a deleted group out of the groups that it was in, as Entra does. Its members' accounts are disabled only after a person approved.
func TestANestedGroupThatIsDeletedInTheTenantDisablesNobody(t *testing.T) {
	w := newHR(t, embeddedSite(t))
	outer := w.group
	inner, err := w.model.CreateGroup(map[string]any{"displayName": "Hired in Oslo", "mailNickname": "oslo", "mailEnabled": false, "securityEnabled": true})
	w.must(err)
	w.must(w.model.AddMember(outer, w.graph.GraphEndpoint()+"/v1.0/directoryObjects/"+inner.ID))
	left := w.hire(1, nil)
	direct := w.hire(2, nil)
	w.group = inner.ID
	ann, bob := w.hire(3, nil), w.hire(4, nil)
	w.open()
	w.importText(fmt.Sprintf(hiresPolicy, w.site.base, w.site.base))
	if r := w.sync(); r.Creates != 4 || !r.Complete {
		t.Fatalf("%+v", r)
	}
	w.must(w.model.RemoveMember(outer, left)) // the first one to be disabled is asked about
	w.sync()
	for _, h := range w.tandem.Host().Held() {
		_, err := w.tandem.Host().Answer(t.Context(), h.ID, "approve", "ann", "it is so")
		w.must(err)
	}
	if w.sync(); w.enabled(left) {
		t.Fatal("a leaver is enabled")
	}
	w.must(w.model.Delete(tenant.Group, inner.ID))
	frozen := func(r run.Report) bool {
		return slices.ContainsFunc(r.Errors, func(p run.Problem) bool { return p.Code == "from-frozen" })
	}
	for range 2 {
		if r := w.sync(); !frozen(r) || r.Complete || !w.enabled(ann) || !w.enabled(bob) || !w.enabled(direct) {
			t.Fatalf("%+v", r)
		}
		w.clock.jump(3 * time.Minute)
	}
	held := slices.DeleteFunc(w.tandem.Host().Held(), func(h ledger.Hold) bool { return h.State != ledger.HoldOpen })
	if len(held) != 1 || held[0].Class != ledger.GoneGroups || held[0].Entries[0].Name != "Hired in Oslo" {
		t.Fatalf("%+v", held)
	}
	if _, err := w.tandem.Host().Answer(t.Context(), held[0].ID, "approve", "ann", "Oslo is closed"); err != nil {
		t.Fatal(err)
	}
	if r := w.sync(); frozen(r) || w.enabled(ann) || w.enabled(bob) || !w.enabled(direct) {
		t.Errorf("approved: %+v", r)
	}
}
