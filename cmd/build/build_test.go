package build_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/tandem-sync/tandem/cmd/build"
)

// agentLimit is the most that a stripped agent may have: it is carried to every site.
const agentLimit = 20 << 20

// The agent, built as releases are, is small, and says of what it was built.
func TestAReleasedAgentIsSmallAndKnowsItself(t *testing.T) {
	out := t.TempDir()
	cmd := exec.CommandContext(t.Context(), "../../.ci/build", out, "tandem-agent")
	cmd.Env = append(os.Environ(), "VERSION=1.2.3", "SOURCE_DATE_EPOCH=1700000000")
	if said, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	program := filepath.Join(out, "tandem-agent")
	info, err := os.Stat(program)
	if err != nil {
		t.Fatal(err)
	}
	if info.Size() >= agentLimit {
		t.Errorf("the agent has %d bytes, and may have %d", info.Size(), agentLimit)
	}
	t.Logf("the agent has %d bytes", info.Size())
	text, err := exec.CommandContext(t.Context(), program, "version", "--output", "json").Output()
	if err != nil {
		t.Fatal(err)
	}
	var is build.Info
	if err := json.Unmarshal(text, &is); err != nil {
		t.Fatal(err)
	}
	if is.Version != "1.2.3" || is.Date != "2023-11-14T22:13:20Z" {
		t.Errorf("built of %+v", is)
	}
	if head, err := exec.Command("git", "-c", "safe.directory=*", "rev-parse", "HEAD").Output(); err == nil && is.Commit+"\n" != string(head) {
		t.Errorf("commit %q, want %s", is.Commit, head)
	}
}
