package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// This file reads bbolt's pages (go.etcd.io/bbolt, internal/common: page.go, meta.go, bucket.go) without trusting them. bbolt itself maps the file
// and follows any numbers in it; some of its failures happen in goroutines of its own, where they cannot be recovered. A file that passes can be
// opened.

const (
	boltMagic       = 0xED0CDAED
	boltVersion     = 2
	boltPageHead    = 16
	boltElement     = 16
	boltMetaSize    = 64
	boltBranch      = 0x01
	boltLeaf        = 0x02
	boltBucketEntry = 0x01
	boltMaxPage     = 64 << 10
)

var native = binary.NativeEndian

// boltMeta is one of the file's two roots.
type boltMeta struct {
	pageSize int
	root     uint64
	pages    uint64 // number of pages in use
	txid     uint64
}

// pageWalk checks one file.
type pageWalk struct {
	name string
	f    io.ReaderAt
	meta boltMeta
	seen []uint64 // a bit per page

	spare [][]byte // unused buffers of one page each: a large file has many thousand pages
}

// checkPages walks the named bbolt file: both metas, and every page that the newer one reaches. It returns a *DamageError or *VersionError for files
// that bbolt must not open.
func checkPages(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	info, err := f.Stat()
	if err == nil {
		err = walkPages(path, f, info.Size())
	}
	return errors.Join(err, f.Close())
}

func walkPages(name string, f io.ReaderAt, size int64) error {
	w := &pageWalk{name: name, f: f}
	if err := w.readMetas(); err != nil {
		return err
	}
	// Compared by division: a damaged count must not overflow.
	if w.meta.pages > uint64(size)/uint64(w.meta.pageSize) {
		return w.damage(0, "the file of %d bytes is shorter than its %d pages", size, w.meta.pages)
	}
	w.seen = make([]uint64, w.meta.pages/64+1)
	return w.tree(w.meta.root, nil, nil, true)
}

func (w *pageWalk) damage(page uint64, why string, args ...any) error {
	return &DamageError{File: w.name, Offset: int64(page) * int64(w.meta.pageSize), Why: fmt.Sprintf(why, args...)}
}

// readMetas requires both metas. bbolt would continue with the older one if the newer is unreadable, and so silently lose the last commit; a meta
// fits into one disk sector, so a crash does not tear it.
func (w *pageWalk) readMetas() error {
	first, err := w.readMeta(0)
	if err != nil {
		return err
	}
	w.meta = first
	second, err := w.readMeta(int64(first.pageSize))
	if err != nil {
		return err
	}
	if second.pageSize != first.pageSize {
		return w.damage(1, "its two roots disagree about the page size")
	}
	if second.txid > first.txid {
		w.meta = second
	}
	return nil
}

func (w *pageWalk) readMeta(at int64) (boltMeta, error) {
	b := make([]byte, boltPageHead+boltMetaSize)
	if n, err := w.f.ReadAt(b, at); err != nil {
		return boltMeta{}, w.damage(0, "its root at byte %d is cut off after %d bytes", at, n)
	}
	b = b[boltPageHead:]
	if native.Uint32(b) != boltMagic {
		return boltMeta{}, &DamageError{File: w.name, Offset: at, Why: "not a bbolt file: wrong magic number"}
	}
	if v := native.Uint32(b[4:]); v != boltVersion {
		return boltMeta{}, &VersionError{File: w.name, Found: v, Known: boltVersion}
	}
	sum := fnv.New64a()
	sum.Write(b[:56])
	if sum.Sum64() != native.Uint64(b[56:]) {
		return boltMeta{}, &DamageError{File: w.name, Offset: at, Why: "the checksum of its root does not match"}
	}
	m := boltMeta{pageSize: int(native.Uint32(b[8:])), root: native.Uint64(b[16:]), pages: native.Uint64(b[40:]), txid: native.Uint64(b[48:])}
	if m.pageSize < 512 || m.pageSize > boltMaxPage || m.pageSize&(m.pageSize-1) != 0 {
		return boltMeta{}, &DamageError{File: w.name, Offset: at, Why: "impossible page size"}
	}
	return m, nil
}

// page reads a page with its overflow, once. The caller passes it to done after use.
func (w *pageWalk) page(id uint64) ([]byte, error) {
	if id < 2 || id >= w.meta.pages {
		return nil, w.damage(0, "a reference to page %d of %d", id, w.meta.pages)
	}
	b := w.room()
	if _, err := w.f.ReadAt(b, int64(id)*int64(w.meta.pageSize)); err != nil {
		return nil, w.damage(id, "reading it failed: %v", err)
	}
	over := uint64(native.Uint32(b[12:]))
	if found := native.Uint64(b); found != id {
		return nil, w.damage(id, "page %d stands in the place of page %d", found, id)
	}
	if over >= w.meta.pages-id {
		return nil, w.damage(id, "the page goes past the end")
	}
	for p := id; p <= id+over; p++ {
		if w.seen[p/64]&(1<<(p%64)) != 0 {
			return nil, w.damage(p, "the page is used twice")
		}
		w.seen[p/64] |= 1 << (p % 64)
	}
	if over == 0 {
		return b, nil
	}
	w.done(b)
	b = make([]byte, (over+1)*uint64(w.meta.pageSize))
	if _, err := w.f.ReadAt(b, int64(id)*int64(w.meta.pageSize)); err != nil {
		return nil, w.damage(id, "reading it failed: %v", err)
	}
	return b, nil
}

// room returns a buffer for one page.
func (w *pageWalk) room() []byte {
	if n := len(w.spare); n > 0 {
		b := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return b
	}
	return make([]byte, w.meta.pageSize)
}

// done takes back a page's buffer.
func (w *pageWalk) done(b []byte) {
	if len(b) == w.meta.pageSize {
		w.spare = append(w.spare, b)
	}
}

// tree walks the pages below id, whose keys are in [low, high); nil is no bound. top is the tree of the buckets.
func (w *pageWalk) tree(id uint64, low, high []byte, top bool) error {
	b, err := w.page(id)
	if err != nil {
		return err
	}
	defer w.done(b)
	switch native.Uint16(b[8:]) {
	case boltLeaf:
		return w.leaf(id, b, low, high, top)
	case boltBranch:
		return w.branch(id, b, low, high, top)
	}
	return w.damage(id, "page type %#x where keys are expected", native.Uint16(b[8:]))
}

func (w *pageWalk) branch(id uint64, b, low, high []byte, top bool) error {
	n := int(native.Uint16(b[10:]))
	if n == 0 || boltPageHead+n*boltElement > len(b) {
		return w.damage(id, "a branch of %d entries", n)
	}
	keys, pages := make([][]byte, n+1), make([]uint64, n)
	for i := range n {
		at := boltPageHead + i*boltElement
		pos, size := native.Uint32(b[at:]), native.Uint32(b[at+4:])
		key, ok := cutOut(b, at, uint64(pos), uint64(size))
		if !ok || !within(key, low, high) || i > 0 && bytes.Compare(keys[i-1], key) >= 0 {
			return w.damage(id, "entry %d of a branch is out of place", i)
		}
		keys[i], pages[i] = key, native.Uint64(b[at+8:])
	}
	keys[n] = high
	for i, p := range pages {
		if err := w.tree(p, keys[i], keys[i+1], top); err != nil {
			return err
		}
	}
	return nil
}

func (w *pageWalk) leaf(id uint64, b, low, high []byte, top bool) error {
	n := int(native.Uint16(b[10:]))
	if boltPageHead+n*boltElement > len(b) {
		return w.damage(id, "a leaf of %d entries", n)
	}
	var previous []byte
	for i := range n {
		at := boltPageHead + i*boltElement
		flags, pos := native.Uint32(b[at:]), uint64(native.Uint32(b[at+4:]))
		ksize, vsize := uint64(native.Uint32(b[at+8:])), uint64(native.Uint32(b[at+12:]))
		both, ok := cutOut(b, at, pos, ksize+vsize)
		if !ok || ksize == 0 {
			return w.damage(id, "entry %d of a leaf goes past its page", i)
		}
		key, value := both[:ksize], both[ksize:]
		if !within(key, low, high) || i > 0 && bytes.Compare(previous, key) >= 0 {
			return w.damage(id, "entry %d of a leaf is out of order", i)
		}
		previous = key
		// This package nests no buckets: the top has buckets only, buckets have values only.
		if isBucket := flags == boltBucketEntry; isBucket != top || flags > boltBucketEntry {
			return w.damage(id, "entry %d has flags %#x", i, flags)
		}
		if top {
			if err := w.bucket(id, value); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket walks a bucket: its own tree, or a page inside the entry while it is small.
func (w *pageWalk) bucket(id uint64, value []byte) error {
	if len(value) < boltPageHead {
		return w.damage(id, "a bucket's entry is too short")
	}
	if root := native.Uint64(value); root != 0 {
		return w.tree(root, nil, nil, false)
	}
	inline := value[16:]
	if len(inline) < boltPageHead || native.Uint16(inline[8:]) != boltLeaf {
		return w.damage(id, "a bucket's inline page is none")
	}
	return w.leaf(id, inline, nil, nil, false)
}

// cutOut returns size bytes that begin pos after the element at at.
func cutOut(b []byte, at int, pos, size uint64) ([]byte, bool) {
	from := uint64(at) + pos
	if from > uint64(len(b)) || size > uint64(len(b))-from {
		return nil, false
	}
	return b[from : from+size], true
}

func within(key, low, high []byte) bool {
	return (low == nil || bytes.Compare(key, low) >= 0) && (high == nil || bytes.Compare(key, high) < 0)
}
