package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"
)

const (
	lockFile   = "lock"
	holderFile = "holder.json"
)

// dirLock is the file lock of a state folder. The operating system ends it with the process, so it is never stale.
type dirLock struct {
	dir    string
	f      *os.File
	shared bool
	holder Holder
	held   atomic.Bool
}

// lockDir takes the lock at once or returns a *HeldError. Readers share it and leave no signature. Root does not write in another user's folder: the
// service, which runs as that user, could not read the files.
func lockDir(dir string, shared bool, command string, now time.Time) (*dirLock, error) {
	flags := os.O_RDWR | os.O_CREATE
	owner := otherOwner(dir)
	if owner != "" {
		flags = os.O_RDONLY
	}
	f, err := os.OpenFile(filepath.Join(dir, lockFile), flags, 0o600)
	if owner != "" && !shared && errors.Is(err, os.ErrNotExist) {
		return nil, &OwnerError{Dir: dir, Owner: owner}
	}
	if err != nil {
		return nil, fmt.Errorf("open lock: %w", err)
	}
	ok, err := tryLock(f, shared)
	if err == nil && !ok {
		err = heldBy(dir)
	}
	if err == nil && owner != "" && !shared {
		err = &OwnerError{Dir: dir, Owner: owner}
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	l := &dirLock{dir: dir, f: f, shared: shared, holder: Holder{PID: os.Getpid(), Command: command, Since: now}}
	l.held.Store(true)
	if shared {
		return l, nil
	}
	if err := l.sign(); err != nil {
		return nil, errors.Join(err, l.release())
	}
	return l, nil
}

// sign stores which process holds the folder, for the errors of others.
func (l *dirLock) sign() error {
	b, err := json.Marshal(l.holder)
	if err != nil {
		return fmt.Errorf("encode holder: %w", err)
	}
	name := filepath.Join(l.dir, holderFile)
	if err := os.WriteFile(name+".new", b, 0o600); err != nil {
		// A full disk must not keep an administrator from stopping or rolling back: the lock counts, the signature is for display.
		if isFull(err) {
			return nil
		}
		return fmt.Errorf("write holder: %w", err)
	}
	if err := os.Rename(name+".new", name); err != nil {
		return fmt.Errorf("write holder: %w", err)
	}
	return nil
}

// heldBy reads the signature; that of a process that has ended is of no use.
func heldBy(dir string) *HeldError {
	e := &HeldError{Dir: dir}
	b, err := os.ReadFile(filepath.Join(dir, holderFile))
	if err != nil {
		return e
	}
	var h Holder
	if json.Unmarshal(b, &h) != nil || h.PID <= 0 || !alive(h.PID) {
		return e
	}
	e.PID, e.Command, e.Since = h.PID, h.Command, h.Since
	return e
}

func (l *dirLock) tenure() Tenure {
	return Tenure{Holder: l.holder, remaining: func() time.Duration {
		if l.held.Load() {
			return Unlimited
		}
		return 0
	}}
}

func (l *dirLock) release() error {
	if !l.held.Swap(false) {
		return nil
	}
	if !l.shared {
		if err := os.Remove(filepath.Join(l.dir, holderFile)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return errors.Join(fmt.Errorf("remove holder: %w", err), l.f.Close())
		}
	}
	return l.f.Close()
}
