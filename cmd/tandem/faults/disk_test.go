package faults_test

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// On a file system of its own that is nearly full the run stops with the reason, and goes on when there is room. The file system lives in a mount
// namespace of the command's own, so the scenario is one shell script; where this user may not mount, the test says so and fails.
func TestFullDiskLosesNothingAndTheRunGoesOnWhenThereIsRoom(t *testing.T) {
	t.Parallel()
	w := alone(t, 40)
	w.write("scenario", `set -e
mkdir -p "$1/small"
mount -t tmpfs -o size=80m tmpfs "$1/small"
t() { code=0; "$tandem" --no-progress --state "$dir/small/state" "$@" || code=$?; }
dir=$1 tandem=$2
t import policy.yaml; [ $code = 0 ]
dd if=/dev/zero of="$dir/small/filler" bs=1k 2>/dev/null || true
echo "FULL: $(df --output=avail -k "$dir/small" | tail -1)k free"
t sync connect --profile full
echo "RUN ended with $code"
rm "$dir/small/filler"
t sync connect --profile full; [ $code = 0 ]
t state check; [ $code = 0 ]
t diff --under DC=contoso,DC=test; [ $code = 0 ]
t errors list
dd if=/dev/zero of="$dir/small/filler" bs=1k 2>/dev/null || true
t check; [ $code = 1 ]
rm "$dir/small/filler"
t check; [ $code = 0 ]
echo "ALL IS WELL"
`)
	c := exec.Command("unshare", "--mount", "--map-root-user", "sh", w.path("scenario"), w.dir, binary)
	if os.Getuid() == 0 {
		c = exec.Command("unshare", "--mount", "sh", w.path("scenario"), w.dir, binary)
	}
	c.Dir = w.dir
	c.Env = append(os.Environ(), "TANDEM_CONFIG="+w.path("tandem.yaml"), "NO_COLOR=1")
	r := w.end(c, []string{"on a full disk"})
	t.Logf("%s%s", r.out, r.err)
	if r.code != 0 || !strings.Contains(r.out, "ALL IS WELL") {
		t.Fatalf("the scenario ended with %d (it needs the right to mount)", r.code)
	}
	if !strings.Contains(r.out, "RUN ended with 1") {
		t.Error("the run on a full disk did not fail")
	}
	for _, x := range []string{"no space", "→ make room on the disk that holds the state folder"} {
		if !strings.Contains(r.err, x) {
			t.Errorf("it does not say %q", x)
		}
	}
	if !strings.Contains(r.out, "→ make room on the disk that holds the state folder") || strings.Contains(r.out, "see the engine's settings") {
		t.Error("check does not say what to do about engines that have no room")
	}
	if _, err := w.lab.Objects(); err != nil {
		t.Error(err)
	}
}
