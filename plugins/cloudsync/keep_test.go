package cloudsync_test

import (
	"encoding/json"
	"fmt"
	"net"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// TestAgentsAttendAServiceThatWasGivenBackWhatABackupHeld: after the loss of the engine's folder agents need not enrol again.
func TestAgentsAttendAServiceThatWasGivenBackWhatABackupHeld(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	settings := fmt.Sprintf(`{"agents":{"listen":%q,"grace":"0s"}}`, l.Addr().String())
	check(t, l.Close())
	w := newWorld(t, 1, cloudsync.Options{}, settings)
	id := w.enrol()
	token := w.invite().Token // not used yet
	kept := answer[json.RawMessage](w, "save", nil)
	check(t, w.engine.Close())

	fresh := newWorld(t, 1, cloudsync.Options{}, settings)
	made, err := line.ParseToken(fresh.invite().Token)
	check(t, err)
	before, err := line.ParseToken(token)
	check(t, err)
	if made.Pin == before.Pin {
		t.Fatal("a new folder has the key of the lost one")
	}
	for name, bad := range map[string]string{
		"a newer format": `{"version":9,"files":{}}`, "a file of another name": `{"version":1,"files":{"../x":"eA=="}}`, "a key that is none": `{"version":1,"files":{"server.key":"eA=="}}`,
	} {
		if _, err := fresh.call("load", json.RawMessage(bad)); err == nil {
			t.Errorf("%s is loaded", name)
		}
	}
	if _, err := fresh.call("load", kept); err != nil {
		t.Fatal(err)
	}
	after, err := line.ParseToken(fresh.invite().Token)
	check(t, err)
	if after.Pin != before.Pin {
		t.Error("agents would not know the service any more")
	}
	fresh.attend(id)
	fresh.waitHealth(func(h engine.Health) bool { return h.Agents == 1 })
	agents := answer[[]cloudsync.AgentInfo](fresh, "agents", nil)
	if len(agents) != 1 || agents[0].Enrolled.IsZero() || !agents[0].Live {
		t.Errorf("the agents: %+v", agents)
	}
	if !strings.Contains(string(kept), "authority.key") {
		t.Errorf("what is saved lacks the authority: %d bytes", len(kept))
	}
}
