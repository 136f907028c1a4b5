//go:build unix

package orchestrator

import "golang.org/x/sys/unix"

// spaceOf returns the free space and the size of a folder's file system, in bytes.
func spaceOf(dir string) (free, total uint64, err error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, 0, err
	}
	return st.Bavail * uint64(st.Bsize), st.Blocks * uint64(st.Bsize), nil
}
