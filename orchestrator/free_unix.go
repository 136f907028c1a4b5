//go:build unix

package orchestrator

import "golang.org/x/sys/unix"

// freeBytes gives the free space of the file system that holds a folder.
func freeBytes(dir string) (uint64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return st.Bavail * uint64(st.Bsize), nil
}
