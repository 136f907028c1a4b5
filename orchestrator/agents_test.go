package orchestrator_test

import (
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// An agent's enrolment takes place between it and the engine; the journal has it once, with its host, and no secret.
func TestEnrolmentsAreJournaledOnce(t *testing.T) {
	exe := built(t, "github.com/tandem-sync/tandem/cmd/tandem-agent")
	w := newWorld(t, embeddedSite(t), 20)
	w.importPolicy()
	w.sync("connect", engine.ProfileFull)
	w.close()
	w.agents = 0
	w.write()
	w.open()
	w.enroll(exe)
	for range 2 {
		if err := w.tandem.JournalAgents(t.Context(), "cloudsync"); err != nil {
			t.Fatal(err)
		}
	}
	w.close()
	w.open() // it is remembered by the next process
	if err := w.tandem.JournalAgents(t.Context(), "cloudsync"); err != nil {
		t.Fatal(err)
	}
	if err := w.tandem.JournalAgents(t.Context(), "connect"); err != nil { // it has none
		t.Fatal(err)
	}
	found := w.journaled("enroll-agent")
	if len(found) != 1 {
		t.Fatalf("the journal has %d enrolments: %+v", len(found), found)
	}
	if r := found[0].Record; r.Engine != "cloudsync" || r.Code == "" || !strings.Contains(r.Reason, "group default, for DC=") {
		t.Errorf("the enrolment is told as %+v", r)
	}
}
