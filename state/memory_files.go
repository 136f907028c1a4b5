package state

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"sort"
	"sync"
)

// memFiles is the folder of a log in memory, with its reserve. A crash makes a new one of what is left.
type memFiles struct {
	mu       sync.Mutex
	files    map[string]*memInode
	space    int64 // bytes still free; negative for no limit
	reserved int64 // bytes in reserve
	want     int64 // bytes that should be in reserve
	ended    error
}

// memInode is a file's content.
type memInode struct {
	data   []byte
	synced int  // bytes that survive a crash
	named  bool // the folder was synced since the file was made
}

func newMemFiles(reserve int64) *memFiles {
	return &memFiles{files: map[string]*memInode{}, space: -1, reserved: reserve, want: reserve}
}

func (m *memFiles) setSpace(n int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.space = n
}

// take uses n free bytes.
func (m *memFiles) take(n int64) error {
	if m.space < 0 {
		return nil
	}
	if n > m.space {
		return fmt.Errorf("simulated disk: %w", ErrFull)
	}
	m.space -= n
	return nil
}

func (m *memFiles) give(n int64) {
	if m.space >= 0 {
		m.space += n
	}
}

func (m *memFiles) refill() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.take(m.want - m.reserved); err != nil {
		return err
	}
	m.reserved = m.want
	return nil
}

func (m *memFiles) size() int64 { return max(0, m.want) }

func (m *memFiles) fits(n int64) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.space < 0 || n <= m.space, nil
}

func (m *memFiles) release(n, keep int64) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.reserved <= keep {
		return fmt.Errorf("reserve is used up: %w", ErrFull)
	}
	n = min(max(n, releaseStep), m.reserved-keep)
	m.reserved -= n
	m.give(n)
	return nil
}

func (m *memFiles) path(name string) string { return "memory/" + name }

func (m *memFiles) alive() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if errors.Is(m.ended, ErrCrashed) {
		return m.ended
	}
	return nil
}

func (m *memFiles) list() ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	names := make([]string, 0, len(m.files))
	for name := range m.files {
		names = append(names, name)
	}
	sort.Strings(names)
	return names, m.ended
}

func (m *memFiles) open(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	in := m.files[name]
	switch {
	case m.ended != nil:
		return nil, m.ended
	case in == nil:
		return nil, fmt.Errorf("%s: %w", name, os.ErrNotExist)
	}
	return &memFile{m: m, in: in}, nil
}

func (m *memFiles) create(name string) (file, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	switch {
	case m.ended != nil:
		return nil, m.ended
	case m.files[name] != nil:
		return nil, fmt.Errorf("%s: %w", name, os.ErrExist)
	}
	m.files[name] = &memInode{}
	return &memFile{m: m, in: m.files[name]}, nil
}

func (m *memFiles) remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if in := m.files[name]; in != nil && m.ended == nil {
		m.give(int64(len(in.data)))
		delete(m.files, name)
	}
	return m.ended
}

func (m *memFiles) syncDir() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.ended == nil {
		for _, in := range m.files {
			in.named = true
		}
	}
	return m.ended
}

// copy returns another folder with the same content; of a write in progress, what is synced.
func (m *memFiles) copy() *memFiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := &memFiles{files: map[string]*memInode{}, space: -1, reserved: m.reserved, want: m.want}
	for name, in := range m.files {
		n.files[name] = &memInode{data: append([]byte{}, in.data[:in.synced]...), synced: in.synced, named: true}
	}
	return n
}

// next returns the content for the next holder.
func (m *memFiles) next() *memFiles { return m.end(ErrClosed) }

// end makes this holder's handles fail and returns the content, unsynced parts included.
func (m *memFiles) end(why error) *memFiles {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = why
	return &memFiles{files: m.files, space: m.space, reserved: m.reserved, want: m.want}
}

// crash keeps everything if only the process crashed. If the machine crashed, a file whose name was not synced may be missing, and any blocks of
// unsynced bytes: a file system may write them in any order.
func (m *memFiles) crash(r *rand.Rand, machine bool) *memFiles {
	n := m.end(ErrCrashed)
	if !machine {
		return n
	}
	names, _ := n.list() // in order, so that r alone decides
	for _, name := range names {
		in := n.files[name]
		if !in.named && r.IntN(2) == 0 {
			delete(n.files, name)
			continue
		}
		in.named = true
		in.tear(r)
	}
	return n
}

// tear loses blocks of what was not synced, or all from some point on.
func (in *memInode) tear(r *rand.Rand) {
	const block = 64
	in.data = in.data[:in.synced+r.IntN(len(in.data)-in.synced+1)]
	holes := r.IntN(3) == 0
	for at := in.synced; holes && at < len(in.data); at += block {
		if r.IntN(2) == 0 {
			clear(in.data[at:min(at+block, len(in.data))])
		}
	}
	in.synced = len(in.data)
}

// memFile is an open file.
type memFile struct {
	m  *memFiles
	in *memInode
}

func (f *memFile) ReadAt(b []byte, at int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.ended != nil {
		return 0, f.m.ended
	}
	if at >= int64(len(f.in.data)) {
		return 0, io.EOF
	}
	n := copy(b, f.in.data[at:])
	if n < len(b) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memFile) WriteAt(b []byte, at int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.ended != nil {
		return 0, f.m.ended
	}
	end := int(at) + len(b)
	if grow := end - len(f.in.data); grow > 0 {
		if err := f.m.take(int64(grow)); err != nil {
			return 0, err
		}
		f.in.data = append(f.in.data, make([]byte, grow)...)
	}
	f.in.synced = min(f.in.synced, int(at))
	return copy(f.in.data[at:end], b), nil
}

func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.ended == nil {
		f.in.synced = len(f.in.data)
	}
	return f.m.ended
}

// Truncate cuts. The cut itself counts as durable at once, which is kinder than a disk; opening cuts again.
func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.m.ended != nil {
		return f.m.ended
	}
	f.m.give(int64(len(f.in.data)) - size)
	f.in.data = f.in.data[:size]
	f.in.synced = min(f.in.synced, int(size))
	return nil
}

func (f *memFile) size() (int64, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return int64(len(f.in.data)), f.m.ended
}

func (f *memFile) Close() error { return nil }
