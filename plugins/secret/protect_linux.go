package secret

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Protect lets no core of this process and its children be dumped, and keeps this process's memory from debuggers and other
// processes of the same user (prctl(2), PR_SET_DUMPABLE). root can read it all the same. It is called before the first secret
// is read, and a failure means that none should be.
func Protect() error {
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core dumps of this process: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("keep this process's memory from others: %w", err)
	}
	return nil
}
