package secret_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/tandem-sync/tandem/plugins/secret"
)

// The child protects itself, since what it sets cannot be taken back.
func TestAProtectedProcessDumpsNoCore(t *testing.T) {
	const inChild = "TANDEM_TEST_PROTECT"
	if os.Getenv(inChild) != "" {
		if err := secret.Protect(); err != nil {
			t.Fatal(err)
		}
		var limit unix.Rlimit
		if err := unix.Getrlimit(unix.RLIMIT_CORE, &limit); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Printf("cores of %d and %d bytes, dumpable %d\n", limit.Cur, limit.Max, dumpable)
		return
	}
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), inChild+"=1")
	out, err := child.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("cores of 0 and 0 bytes, dumpable 0\n")) {
		t.Errorf("%v\n%s", err, out)
	}
}
