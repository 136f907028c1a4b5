package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Options adjust a store. The zero value is ready to use.
type Options struct {
	Command     string           // what the holder is; the program's name if empty
	Now         func() time.Time // for the holder's Since; time.Now if nil
	Hook        Hook             // called at failpoints; nil for none
	SegmentSize int64            // a log segment of this many bytes is followed by a new one; 64 MiB if 0
	Reserve     int64            // bytes kept for WithReserve; 64 MiB if 0, none if negative
}

func (o Options) segmentSize() int64 {
	if o.SegmentSize <= 0 {
		return 64 << 20
	}
	return o.SegmentSize
}

func (o Options) reserve() int64 {
	if o.Reserve == 0 {
		return 64 << 20
	}
	return max(0, o.Reserve)
}

func (o Options) command() string {
	if o.Command == "" {
		return filepath.Base(os.Args[0])
	}
	return o.Command
}

func (o Options) now() time.Time {
	if o.Now == nil {
		return time.Now()
	}
	return o.Now()
}

// Store is an open state folder. Close it once; do not close Control and Log separately.
type Store struct {
	Control Control
	Log     Log

	control   *controlStore
	log       *segmentLog
	home      home
	space     *space
	hook      Hook
	pendingMu sync.Mutex // serializes AppendPending
	pruneMu   sync.Mutex // serializes Prune

	mu      sync.Mutex // guards the fields below
	indexes map[string]*Index
	closed  bool
}

// home is where a store's files are: a folder, or a Memory.
type home interface {
	openIndex(name, format string, version uint32) (k kv, dirty bool, err error) // made when absent
	removeIndex(name string) error
	markDirty(name string) error // durable before it returns
	markClean(name string) error
	close() error
}

// Open opens the state folder, making it if it is absent, and holds it until Close. It cuts a torn tail of the log (see Torn), compares the log with
// the head stored in control, and appends control's pending records. Kinds of error: ErrHeld, ErrDamaged, ErrVersion; a folder that is refused is
// left as it is.
func Open(dir string, o Options) (*Store, error) {
	if err := makeDir(dir); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	lock, err := lockDir(dir, false, o.command(), o.now())
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	s, err := openDisk(dir, o, lock, false)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", dir, err), lock.release())
	}
	return s, nil
}

// OpenReadOnly opens an existing state folder beside other readers and changes nothing in it: a torn tail is skipped, pending records stay pending,
// writing is ErrReadOnly. While another process holds the folder it is ErrHeld: ask the holder.
func OpenReadOnly(dir string, o Options) (*Store, error) {
	if _, err := os.Stat(dir); err != nil {
		return nil, fmt.Errorf("open state: %w", err)
	}
	lock, err := lockDir(dir, true, o.command(), o.now())
	if err != nil {
		return nil, fmt.Errorf("open state %s: %w", dir, err)
	}
	s, err := openDisk(dir, o, lock, true)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open state %s: %w", dir, err), lock.release())
	}
	return s, nil
}

const (
	controlFile = "control.db"
	logDir      = "log"
	indexDir    = "index"
	reserveFile = "reserve"
)

func openDisk(dir string, o Options, lock *dirLock, readOnly bool) (*Store, error) {
	k, err := openControl(dir, readOnly)
	if err != nil {
		return nil, err
	}
	sp := &space{res: diskReserve{path: filepath.Join(dir, reserveFile), want: o.reserve()}, hook: o.Hook}
	holds := lock.tenure
	if readOnly {
		holds = nil
	} else {
		sp.check()
	}
	fs := diskFiles{dir: filepath.Join(dir, logDir), readOnly: readOnly}
	return assemble(k, fs, sp, &diskHome{dir: dir, lock: lock, readOnly: readOnly}, holds, o)
}

// openControl opens the control file, or makes it in an empty folder.
func openControl(dir string, readOnly bool) (*boltKV, error) {
	path := filepath.Join(dir, controlFile)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		if err := newFolder(dir, path, readOnly); err != nil {
			return nil, err
		}
	} else if err != nil {
		return nil, fmt.Errorf("open control: %w", err)
	}
	k, err := openBolt(path, true, readOnly)
	if err != nil {
		return nil, fmt.Errorf("open control: %w", err)
	}
	err = k.view(context.Background(), func(tx Tx) error { return checkFormat(tx, path, controlFormat, controlVersion) })
	if err == nil {
		err = k.checkSums()
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open control: %w", err), k.close())
	}
	return k, nil
}

// newFolder makes control and the folders beside it. A log without control is not new: control was lost.
func newFolder(dir, path string, readOnly bool) error {
	segments, err := diskFiles{dir: filepath.Join(dir, logDir)}.list()
	if err != nil {
		return fmt.Errorf("open control: %w", err)
	}
	if len(segments) > 0 {
		return &DamageError{File: path, Why: "the control file is missing beside a log that has records"}
	}
	if !missing(filepath.Join(dir, stageDir)) {
		return &DamageError{File: path, Why: "a restore into the folder was cut off: repeat it"}
	}
	if readOnly {
		return fmt.Errorf("open control %s: %w", path, os.ErrNotExist)
	}
	for _, sub := range []string{logDir, indexDir} {
		if err := makeDir(filepath.Join(dir, sub)); err != nil {
			return err
		}
	}
	return createBolt(path, controlFormat, controlVersion)
}

// assemble joins the parts; a store without holds is for reading. It closes the parts when it fails.
func assemble(k kv, fs files, sp *space, h home, holds func() Tenure, o Options) (*Store, error) {
	s := &Store{home: h, space: sp, hook: o.Hook, indexes: map[string]*Index{}}
	s.control = &controlStore{kv: k, hook: o.Hook, space: sp, holds: holds, prepare: s.bookkeep}
	begins, err := beginningOf(context.Background(), k)
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	log, err := openLog(fs, sp, o, begins, holds == nil)
	if err != nil {
		return nil, errors.Join(err, k.close())
	}
	s.log = log
	s.Control, s.Log = s.control, log
	if err := s.reconcile(context.Background(), holds == nil); err != nil {
		return nil, errors.Join(err, log.Close(), k.close())
	}
	return s, nil
}

// beginningOf reads where the log of a control store begins.
func beginningOf(ctx context.Context, k kv) (b beginning, err error) {
	err = k.view(ctx, func(tx Tx) error {
		b, err = keptBeginning(tx)
		return err
	})
	return b, err
}

// reconcile brings control and log together at opening.
func (s *Store) reconcile(ctx context.Context, readOnly bool) error {
	var seq uint64
	var hash [32]byte
	err := s.control.kv.view(ctx, func(tx Tx) (err error) {
		seq, hash, err = keptHead(tx)
		return err
	})
	if err != nil {
		return err
	}
	if err := s.log.CheckHead(ctx, seq, hash); err != nil {
		return fmt.Errorf("compare the log with the head kept in control: %w", err)
	}
	if readOnly {
		return nil
	}
	if err := errors.Join(s.log.removeLeftover(), s.skipAppended(ctx)); err != nil {
		return err
	}
	_, err = s.AppendPending(ctx)
	return err
}

// Torn returns what opening cut from the log's end; nil when it was whole.
func (s *Store) Torn() *TornTail { return s.log.torn }

// Index opens an index file, making an empty one if it is absent. Format and version are the user's own; ErrIndexUnusable means that the file is
// damaged, was not synced before the machine crashed, or has another format: RemoveIndex and rebuild. Names are lower-case letters, digits and
// hyphens.
func (s *Store) Index(name string, format string, version int) (*Index, error) {
	if err := checkIndexName(name); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if s.indexes[name] != nil {
		return nil, fmt.Errorf("index %s is open already", name)
	}
	var k kv
	var dirty bool
	err := s.space.room(true, func() (err error) { // opening must not fail for lack of space
		k, dirty, err = s.home.openIndex(name, format, uint32(version))
		return err
	})
	if errors.Is(err, ErrDamaged) || errors.Is(err, ErrVersion) {
		return nil, unusable(name, err)
	}
	if err != nil {
		return nil, fmt.Errorf("index %s: %w", name, err)
	}
	x := &Index{name: name, kv: k, home: s.home, space: s.space, hook: s.hook, dirty: dirty}
	x.onClose = func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.indexes, name)
	}
	s.indexes[name] = x
	return x, nil
}

func checkIndexName(name string) error {
	for _, r := range name {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' {
			return fmt.Errorf("index name %q: only lower-case letters, digits and hyphens", name)
		}
	}
	if name == "" {
		return errors.New("index without a name")
	}
	return nil
}

// RemoveIndex removes an index file that is not open; an absent one is no error.
func (s *Store) RemoveIndex(name string) error {
	if err := checkIndexName(name); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.closed:
		return ErrClosed
	case s.control.holds == nil:
		return ErrReadOnly
	case s.indexes[name] != nil:
		return fmt.Errorf("remove index %s: it is open", name)
	}
	if err := s.home.removeIndex(name); err != nil {
		return fmt.Errorf("remove index %s: %w", name, err)
	}
	return nil
}

// Close closes the indexes, the log and control, and releases the folder.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	open := make([]*Index, 0, len(s.indexes))
	for _, x := range s.indexes {
		open = append(open, x)
	}
	s.mu.Unlock()
	var errs []error
	for _, x := range open {
		errs = append(errs, x.Close())
	}
	return errors.Join(append(errs, s.log.Close(), s.control.Close(), s.home.close())...)
}
