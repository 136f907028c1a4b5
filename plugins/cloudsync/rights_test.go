package cloudsync_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// TestAccountThatSeesNoTombstonesIsNamedAndBlocksNothing has an agent whose account may not see tombstones. It is told at enrolment, in the
// list of agents and in health; a deletion that it cannot prove is named, and the run is complete for everything else.
func TestAccountThatSeesNoTombstonesIsNamedAndBlocksNothing(t *testing.T) {
	w := newWorld(t, 3, cloudsync.Options{}, noEmbedded)
	all := w.everything()
	w.grant(all)
	stop := w.attend(w.enrol())
	w.waitAgents(1)
	mustComplete(t, w.run(w.full(all)))
	check(t, stop())
	w.waitAgents(0)

	plain := w.addUser("Engineering", "plain")
	check(t, w.model.SetPassword(plain, "Plain-Passw0rd!"))
	gone := w.id("CN=sales0,OU=Sales")
	check(t, w.model.Delete(w.dn("CN=sales0,OU=Sales")))
	w.set("CN=sales1,OU=Sales", "title", "One")
	d := &w.config.Directories[0]
	d.User, d.Password = plain, "Plain-Passw0rd!"
	dir, out, err := w.enrolProcess()
	if err != nil || !strings.Contains(out, "warning: no delete of this directory can be proved") || !strings.Contains(out, "dsacls") {
		t.Fatalf("enrolment: %v\n%s", err, out)
	}
	w.startProcess(dir)
	w.waitAgents(1)
	h := w.waitHealth(func(h engine.Health) bool { return h.OK })
	if !strings.Contains(h.Message, "no delete of this directory can be proved") {
		t.Errorf("health: %s", h.Message)
	}
	for _, a := range answer[[]cloudsync.AgentInfo](w, "agents", nil) {
		if a.Live && (a.State != "good" || !strings.Contains(a.Trouble, "sees no tombstones")) {
			t.Errorf("agent list: %+v", a)
		}
	}
	w.titled(w.run(w.delta(all)), "One") // and complete
	o := w.run(engine.RunRequest{Profile: engine.ProfileObjects, Scopes: []scoping.Scope{all}, Objects: []scoping.ObjectID{gone, w.id("CN=sales1,OU=Sales")}})
	w.titled(o, "One")
	if p := o.of(gone, scoping.Users); p == nil || p.Want != engine.Unknown || p.Reason != engine.NotFound {
		t.Errorf("what cannot be answered is not named: %+v", o.proposals)
	}
}
