package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
)

type reserveKey struct{}

// WithReserve marks work that must not fail for lack of space: opening, recording answers to requests in flight, stopping, and rolling back. Update
// and Append under it may use up the reserved space; all others get ErrFull as long as the reserve is not complete. Index files under it use the
// reserve as well, and leave the last quarter to control and log. The space is kept as a file with real blocks and released to the file system when
// needed, so another program that fills the disk at that moment can still take it.
func WithReserve(ctx context.Context) context.Context {
	return context.WithValue(ctx, reserveKey{}, true)
}

// Reserved reports whether work was marked by WithReserve.
func Reserved(ctx context.Context) bool {
	ok, _ := ctx.Value(reserveKey{}).(bool)
	return ok
}

// reserve is space kept for WithReserve.
type reserve interface {
	refill() error // completes it again; ErrFull when there is no space
	// release frees at least n bytes and keeps the last keep bytes; ErrFull when there is no more than that.
	release(n, keep int64) error
	size() int64 // its complete size
	// fits reports whether n bytes are free beside the reserve.
	fits(n int64) (bool, error)
}

// space is the reserve as shared by control and log.
type space struct {
	mu   sync.Mutex
	res  reserve
	full bool // the reserve is not known to be complete
	hook Hook
}

// admit refuses ordinary work while the reserve is not complete and cannot be completed.
func (s *space) admit(reserved bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.full || reserved {
		return nil
	}
	if err := s.res.refill(); err != nil {
		return err
	}
	s.full = false
	return nil
}

// exhausted notes that a write did not fit.
func (s *space) exhausted() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = true
}

// check completes the reserve at opening, or notes that it is not complete.
func (s *space) check() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = s.res.refill() != nil
}

// release frees n bytes of the reserve for control and log.
func (s *space) release(n int64) error { return s.giveBack(n, 0) }

// lend frees n bytes of the reserve for everything else: control and log keep a quarter.
func (s *space) lend(n int64) error { return s.giveBack(n, s.res.size()/4) }

func (s *space) giveBack(n, keep int64) error {
	if err := s.hook.reach(FailReserveRelease); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.full = true
	return s.res.release(n, keep)
}

// othersRoom is how much space MakeRoom wants to be free for other processes.
const othersRoom = 16 << 20

// MakeRoom frees a part of the reserve if the disk is full, for processes that write beside this store without a reserve, such as the engines that a
// rollback asks. If nothing is left it does nothing: the process that lacks the space reports it.
func (s *Store) MakeRoom() error {
	free, err := s.space.res.fits(othersRoom)
	if err != nil || free {
		return err
	}
	if err := s.space.lend(othersRoom); !errors.Is(err, ErrFull) {
		return err
	}
	return nil
}

// room lets f, which writes an index file, try again after it did not fit, as long as reserved work may use the reserve.
func (s *space) room(reserved bool, f func() error) error {
	for {
		err := f()
		if err == nil || !isFull(err) {
			return err
		}
		s.exhausted()
		if !reserved || s.lend(releaseStep) != nil {
			return err
		}
	}
}

// releaseStep is the least that is released at once.
const releaseStep = 1 << 20

// diskReserve is a file whose blocks are the reserve.
type diskReserve struct {
	path string
	want int64
}

func (r diskReserve) refill() error {
	if r.want <= 0 {
		return nil
	}
	if info, err := os.Stat(r.path); err == nil && info.Size() >= r.want {
		return nil
	}
	f, err := os.OpenFile(r.path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return r.failed(err)
	}
	if err := allocate(f, r.want); err != nil {
		return r.failed(errors.Join(err, f.Close()))
	}
	if err := f.Close(); err != nil {
		return r.failed(err)
	}
	return nil
}

func (r diskReserve) failed(err error) error {
	if isFull(err) {
		return fmt.Errorf("keep %d bytes in reserve in %s: %w", r.want, r.path, ErrFull)
	}
	return fmt.Errorf("keep space in reserve in %s: %w", r.path, err)
}

func (r diskReserve) size() int64 { return max(0, r.want) }

// fits allocates n bytes for a moment: what a file system reports as free may be kept for others, or end at a quota.
func (r diskReserve) fits(n int64) (free bool, err error) {
	probe := r.path + ".probe"
	f, err := os.OpenFile(probe, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err == nil {
		err = errors.Join(allocate(f, n), f.Close(), os.Remove(probe))
	}
	if err == nil {
		return true, nil
	}
	if isFull(err) {
		return false, nil
	}
	return false, fmt.Errorf("look for free space beside %s: %w", r.path, err)
}

func (r diskReserve) release(n, keep int64) error {
	info, err := os.Stat(r.path)
	if err != nil || info.Size() <= keep {
		return fmt.Errorf("reserve %s is used up: %w", r.path, ErrFull)
	}
	left := max(keep, info.Size()-max(n, releaseStep))
	if err := os.Truncate(r.path, left); err != nil {
		return fmt.Errorf("release reserve: %w", err)
	}
	return nil
}

// fill writes zeros where the file system cannot allocate.
func fill(f *os.File, size int64) error {
	zeros := make([]byte, 1<<20)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		n := min(int64(len(zeros)), size-at)
		if _, err := f.WriteAt(zeros[:n], at); err != nil {
			return err
		}
	}
	return f.Sync()
}

// Full reports whether ordinary work is refused for lack of space. It tries to complete the reserve, so that it returns false as soon as there is
// space again.
func (s *Store) Full() bool { return s.space.admit(false) != nil }
