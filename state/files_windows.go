package state

import (
	"errors"
	"os"

	"golang.org/x/sys/windows"
)

// syncDir has nothing to do: NTFS journals names, and a folder cannot be flushed.
func syncDir(string) error { return nil }

// tryLock takes the file lock, shared or exclusive, and says at once whether it could.
func tryLock(f *os.File, shared bool) (bool, error) {
	flags := uint32(windows.LOCKFILE_FAIL_IMMEDIATELY)
	if !shared {
		flags |= windows.LOCKFILE_EXCLUSIVE_LOCK
	}
	err := windows.LockFileEx(windows.Handle(f.Fd()), flags, 0, 1, 0, &windows.Overlapped{})
	if errors.Is(err, windows.ERROR_LOCK_VIOLATION) {
		return false, nil
	}
	return err == nil, err
}

// alive tells whether a process exists.
func alive(pid int) bool {
	h, err := windows.OpenProcess(windows.PROCESS_QUERY_LIMITED_INFORMATION, false, uint32(pid))
	if err != nil {
		return false
	}
	return windows.CloseHandle(h) == nil
}

// otherOwner has nothing to find: on Windows, folders hand their access on to what is made in them.
func otherOwner(string) string { return "" }

// isFull tells whether err means that there is no space.
func isFull(err error) bool {
	return errors.Is(err, windows.ERROR_DISK_FULL) || errors.Is(err, windows.ERROR_HANDLE_DISK_FULL) || errors.Is(err, ErrFull)
}
