package state

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryDisk is a state folder in memory, for simulations: the same log code over files that lose what was not synced. It is safe for concurrent use.
type MemoryDisk struct {
	mu      sync.Mutex
	o       Options
	control *memKV
	indexes map[string]*memIndex
	files   *memFiles
	open    *memHome // of the present holder; nil: none
}

type memIndex struct {
	kv    *memKV
	dirty bool
	lost  bool // it was dirty when the machine crashed
}

// Memory returns an empty state folder in memory. Space is unlimited until SetSpace.
func Memory(o Options) *MemoryDisk {
	k := &memKV{}
	tx := &memTx{write: true}
	if err := putFormat(tx, controlFormat, controlVersion); err != nil {
		panic(err) // the names are constants
	}
	k.now = tx.root
	return &MemoryDisk{o: o, control: k, indexes: map[string]*memIndex{}, files: newMemFiles(o.reserve())}
}

// Open opens it as Open does a folder. ErrHeld while a store is open that neither closed nor crashed.
func (m *MemoryDisk) Open() (*Store, error) {
	m.mu.Lock()
	if m.open != nil {
		h := m.open.holder
		m.mu.Unlock()
		return nil, fmt.Errorf("open state: %w", &HeldError{Dir: "memory", PID: h.PID, Command: h.Command, Since: h.Since})
	}
	h := &memHome{m: m, holder: Holder{PID: os.Getpid(), Command: m.o.command(), Since: m.o.now()}}
	h.held.Store(true)
	m.open = h
	control, files := m.control, m.files
	m.mu.Unlock()
	sp := &space{res: files, hook: m.o.Hook}
	sp.check()
	s, err := assemble(control, files, sp, h, h.tenure, m.o)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state: %w", err), h.close())
	}
	return s, nil
}

// Reopen is Open, after a Crash.
func (m *MemoryDisk) Reopen() (*Store, error) { return m.Open() }

// Crash ends the open store at once: all its calls return ErrCrashed from now on. r decides what is left of what was not synced: everything, as when
// only the process crashed; or, as when the machine crashed, any part of it, with the log's last group torn or full of holes, and indexes that were
// not synced unusable.
func (m *MemoryDisk) Crash(r *rand.Rand) {
	m.mu.Lock()
	defer m.mu.Unlock()
	machine := r.IntN(2) == 0
	if m.open != nil {
		m.open.held.Store(false)
		m.open = nil
	}
	m.control = m.control.end(ErrCrashed)
	for _, x := range m.indexes {
		x.kv = x.kv.end(ErrCrashed)
		x.lost = x.lost || x.dirty && machine
	}
	m.files = m.files.crash(r, machine)
}

// Copy returns another disk with this one's present content, as when the folder of a running host is copied or an old backup restored. Later writes
// to one are not on the other. o is the copy's own: its hook and its clock.
func (m *MemoryDisk) Copy(o Options) *MemoryDisk {
	m.mu.Lock()
	defer m.mu.Unlock()
	c := &MemoryDisk{o: o, control: m.control.copy(), indexes: map[string]*memIndex{}, files: m.files.copy()}
	for name, x := range m.indexes {
		c.indexes[name] = &memIndex{kv: x.kv.copy(), dirty: x.dirty, lost: x.lost}
	}
	return c
}

// LoseTenure makes the open store's control refuse to write, as when a lease ran out.
func (m *MemoryDisk) LoseTenure() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open != nil {
		m.open.held.Store(false)
	}
}

// SetSpace sets by how many bytes the log may still grow beside the reserve; negative for no limit.
func (m *MemoryDisk) SetSpace(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.files.setSpace(bytes)
}

// memHome is one holding of a MemoryDisk.
type memHome struct {
	m      *MemoryDisk
	holder Holder
	held   atomic.Bool
}

func (h *memHome) tenure() Tenure {
	return Tenure{Holder: h.holder, remaining: func() time.Duration {
		if h.held.Load() {
			return Unlimited
		}
		return 0
	}}
}

// index calls f with an index while h holds the disk; f gets nil for an absent one.
func (h *memHome) index(name string, f func(x *memIndex) error) error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	if h.m.open != h {
		return ErrCrashed
	}
	return f(h.m.indexes[name])
}

func (h *memHome) openIndex(name, format string, version uint32) (k kv, dirty bool, err error) {
	err = h.index(name, func(x *memIndex) error {
		if x == nil {
			tx := &memTx{write: true}
			if err := putFormat(tx, format, version); err != nil {
				return err
			}
			x = &memIndex{kv: &memKV{now: tx.root}}
			h.m.indexes[name] = x
		}
		if x.lost {
			return &DamageError{File: name, Why: "the machine went down before the index was synced"}
		}
		x.kv = x.kv.end(ErrClosed)
		k, dirty = x.kv, x.dirty
		return x.kv.view(context.Background(), func(tx Tx) error { return checkFormat(tx, name, format, version) })
	})
	return k, dirty, err
}

func (h *memHome) removeIndex(name string) error {
	return h.index(name, func(*memIndex) error {
		delete(h.m.indexes, name)
		return nil
	})
}

func (h *memHome) markDirty(name string) error { return h.mark(name, true) }
func (h *memHome) markClean(name string) error { return h.mark(name, false) }

func (h *memHome) mark(name string, dirty bool) error {
	return h.index(name, func(x *memIndex) error {
		if x != nil {
			x.dirty = dirty
		}
		return nil
	})
}

// close releases the disk for the next holder; after a crash there is nothing to release.
func (h *memHome) close() error {
	h.m.mu.Lock()
	defer h.m.mu.Unlock()
	h.held.Store(false)
	if h.m.open != h {
		return nil
	}
	h.m.open = nil
	h.m.control = h.m.control.end(ErrClosed)
	h.m.files = h.m.files.next()
	return nil
}
