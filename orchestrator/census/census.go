package census

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// ErrBehind means that the controller lacks changes that were already seen of the directory: its values are not taken, and an object missing on it
// does not count as deleted (rule V1).
var ErrBehind = errors.New("the controller is behind what was already seen")

// ErrUnknown means that no directory of that name is configured.
var ErrUnknown = errors.New("no such directory")

// Reader is one session with a directory's controller. *directory.Session is one.
type Reader interface {
	Controller() directory.Controller
	HighestUSN(ctx context.Context) (uint64, error)
	Sync(ctx context.Context, cookie []byte, q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error)
	ByGUID(ctx context.Context, guids []scoping.GUID, attrs []string, showDeleted bool) (map[scoping.GUID]directory.Entry, error)
	Resolve(ctx context.Context, dn string) (scoping.GUID, string, []scoping.GUID, error)
	Close() error
}

// Dialer opens a session with the named directory.
type Dialer func(ctx context.Context, name string) (Reader, error)

// Store is where a census keeps what it knows between processes; a *state.Index is one. Without one (nil) the directory is read from the start by
// each process.
type Store interface {
	View(context.Context, func(state.Tx) error) error
	Update(context.Context, func(state.Tx) error) error
}

// mark is a census's watermark in one directory.
type mark struct {
	Cookie     []byte       `json:"cookie"`
	Invocation scoping.GUID `json:"invocation"`
	USN        uint64       `json:"usn"`
	Seen       uint64       `json:"seen,omitempty"` // USN of the newest replicated change that was read; 0: unknown, at most USN
	Root       scoping.GUID `json:"root"`
	RootDN     string       `json:"rootDN"`
	Sum        *sum         `json:"sum,omitempty"` // what a glance needs about all objects at once; nil: stored by a version that did not keep it
	Reading    uint64       `json:"reading,omitempty"`
	Whole      uint64       `json:"whole,omitempty"`   // see Census.Whole
	Watched    string       `json:"watched,omitempty"` // the attributes of engines with which changes were read
	Links      []string     `json:"links,omitempty"`   // the link attributes (Census.Links) that the directory was read with
}

// Census holds the trees of all directories. It is safe for concurrent use.
type Census struct {
	dial  Dialer
	store Store

	mu    sync.Mutex
	names []string
	trees map[string]*Tree
	marks map[string]mark

	readings uint64 // the number of the newest reading of any directory

	links    []string // attributes that show links, in small letters, sorted
	watched  watches
	choosing map[string]*choosing
	stored   map[string]remembered      // of directories whose choices were not prepared by this process yet
	unjudged map[string]*pendingChanges // changes read but not judged yet, by directory
	history  func() map[scoping.ObjectID][]scoping.GUID
	without  gate.Safeguard // for simulations only

	compare bool              // a directory was read from the start, and Refresh has not reported it yet
	urls    map[string]string // of the controllers that were read last, by directory
	pending []Event           // of objects read singly, reported by the next Refresh

	down  map[string]error                           // directories that could not be read last, with the error
	lines map[string]*line                           // by directory; the map itself never changes
	admit func(name string, root scoping.GUID) error // nil: any directory

	glancing bool // see Glance
}

// line is the session with one directory. Each has a lock of its own, so that a controller that hangs does not delay other directories.
type line struct {
	io     sync.Mutex
	reader Reader // nil: not dialled, or broken
}

// Open loads what the store knows of the directories. Nothing is dialled yet.
func Open(ctx context.Context, names []string, dial Dialer, store Store) (*Census, error) {
	c := empty(names, dial, store)
	if store == nil {
		return c, nil
	}
	return c, store.View(ctx, func(tx state.Tx) error {
		if err := c.watched.load(tx); err != nil {
			return fmt.Errorf("loading what engines read: %w", err)
		}
		for _, n := range names {
			if err := c.load(tx, n); err != nil {
				return fmt.Errorf("loading the census of directory %s: %w", n, err)
			}
		}
		return nil
	})
}

func empty(names []string, dial Dialer, store Store) *Census {
	c := &Census{links: slices.Sorted(slices.Values(lower(linkAttributes))), dial: dial, store: store, names: names, trees: map[string]*Tree{}, marks: map[string]mark{}, lines: map[string]*line{}, down: map[string]error{},
		choosing: map[string]*choosing{}, stored: map[string]remembered{}, unjudged: map[string]*pendingChanges{}}
	for _, n := range names {
		c.lines[n] = &line{}
	}
	return c
}

// open makes sure that there is a session with a directory. fresh reports whether it was dialled now. The line's lock is held.
func (c *Census) open(ctx context.Context, name string, l *line) (fresh bool, err error) {
	if l.reader != nil {
		return false, nil
	}
	if l.reader, err = c.dial(ctx, name); err != nil {
		l.reader = nil
		return true, err // names the directory
	}
	if c.admit != nil {
		err = c.admit(name, l.reader.Controller().Root)
	}
	if err == nil {
		err = c.current(ctx, name, l.reader)
	}
	if err != nil {
		l.drop() // so that the next call tries the other controllers
	}
	return true, err
}

// Admit sets a function that may refuse a directory by its root's objectGUID before anything else is read of it. It is called before the first
// reading.
func (c *Census) Admit(f func(name string, root scoping.GUID) error) { c.admit = f }

// Root returns the objectGUID and the DN of a directory's root, as its controller answers.
func (c *Census) Root(ctx context.Context, name string) (root scoping.GUID, dn string, err error) {
	err = c.with(ctx, name, func(r Reader) error {
		root, dn = r.Controller().Root, r.Controller().RootDN
		return nil
	})
	return root, dn, err
}

// drop closes a session that failed, so that the next call dials anew. The line's lock is held.
func (l *line) drop() {
	if l.reader != nil {
		_ = l.reader.Close()
		l.reader = nil
	}
}

// with runs f over a session. A session that broke since its last use is dialled once more; a session dialled for this very call is not, so that a
// controller that accepts connections and never answers costs one timeout only.
func (c *Census) with(ctx context.Context, name string, f func(Reader) error) error {
	l := c.lines[name]
	if l == nil {
		return fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	l.io.Lock()
	defer l.io.Unlock()
	for {
		fresh, err := c.open(ctx, name, l)
		if err != nil {
			return err
		}
		err = f(l.reader)
		if err == nil || errors.Is(err, directory.ErrNoSuchObject) || errors.Is(err, directory.ErrCookie) || errors.Is(err, directory.ErrNotPermitted) {
			return err
		}
		if errors.Is(err, ErrBehind) {
			l.drop()
			return err
		}
		l.drop()
		if fresh || ctx.Err() != nil {
			return fmt.Errorf("reading directory %s: %w", name, err)
		}
	}
}

// Close closes the sessions.
func (c *Census) Close() error {
	for _, n := range c.names {
		l := c.lines[n]
		l.io.Lock()
		l.drop()
		l.io.Unlock()
	}
	return nil
}

// Refresh reads what changed in all directories since the last Refresh and returns the events. full reports that a directory was read from the start,
// so that events do not cover everything and the caller has to compare. With an *UnreadError, which names the directories that could not be read, the
// events of the others are returned; with any other error none are.
func (c *Census) Refresh(ctx context.Context) (events []Event, full bool, err error) {
	if err := c.refuse(); err != nil {
		return nil, false, err
	}
	unread := map[string]error{}
	for _, n := range c.names {
		es, err := c.refresh(ctx, n)
		c.reached(ctx, n, err)
		if err != nil && (ctx.Err() != nil || c.half(n)) {
			c.Again(events, false) // the directories before this one do not report their changes again
			return nil, false, err
		}
		if err != nil {
			unread[n] = err
		}
		events = append(events, es...)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	events, full = append(c.pending, events...), c.compare
	c.pending, c.compare = nil, false
	if len(unread) > 0 {
		return events, full, &UnreadError{unread}
	}
	return events, full, nil
}

// Again takes back what a Refresh returned and the caller could not act on: the next Refresh returns it again, and nothing is stored until then.
func (c *Census) Again(events []Event, full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending, c.compare = append(events, c.pending...), c.compare || full
}

func (c *Census) refresh(ctx context.Context, name string) (events []Event, err error) {
	err = c.with(ctx, name, func(r Reader) error {
		events = nil
		c.mu.Lock()
		m := c.marks[name]
		asks, links := append(c.attributes(), c.choosing[name].asks()...), slices.Clone(c.links)
		changes, watched := c.watched.with(asks), strings.Join(c.watched.with(nil), " ")
		c.mu.Unlock()
		usn, err := r.HighestUSN(ctx)
		if err != nil {
			return err
		}
		ctl := r.Controller()
		if m.Invocation == ctl.InvocationID && usn < m.USN {
			return fmt.Errorf("%w: directory %s is at USN %d, seen was %d: was the controller restored from a backup?", ErrBehind, name, usn, m.USN)
		}
		if m.Invocation != ctl.InvocationID {
			m.Cookie = nil // cookies and USNs mean nothing at another controller
		}
		if !slices.Equal(m.Links, links) {
			m.Cookie = nil // earlier readings did not ask for these link attributes
		}
		old, full := m, len(m.Cookie) == 0
		if full {
			changes = asks
		}
		entries, next, err := syncAll(ctx, r, m.Cookie, changes)
		if errors.Is(err, directory.ErrCookie) && !full {
			full = true
			entries, next, err = syncAll(ctx, r, nil, asks)
		}
		if err != nil {
			return err
		}
		m = mark{Cookie: next, Invocation: ctl.InvocationID, USN: usn, Root: ctl.Root, RootDN: ctl.RootDN, Seen: newest(ctx, r, old, usn, entries, full), Links: links, Whole: old.Whole, Watched: watched}
		c.at(name, ctl.URL)
		was := c.selectionHistory(name)
		if events, err = c.take(ctx, r, name, m, entries, full); err != nil {
			return err
		}
		c.restoreSelections(name, was)
		n := c.pendingOf(name, entries, events, full)
		more, err := c.judge(ctx, r, name, n)
		if err != nil { // the tree has these changes and the directory will not report them again
			c.keepPending(name, n, events)
			return err
		}
		events = append(events, more...)
		c.judgedAll(name)
		return nil
	})
	return events, err
}

func syncAll(ctx context.Context, r Reader, cookie []byte, attrs []string) (entries []directory.Entry, next []byte, err error) {
	next, err = r.Sync(ctx, cookie, directory.SyncQuery{Attrs: attrs}, func(e directory.Entry) error {
		entries = append(entries, e)
		return nil
	})
	return entries, next, err
}

// take puts what was read into the tree. After a full reading, each known object that was not read is looked up: absence is no proof of deletion.
func (c *Census) take(ctx context.Context, r Reader, name string, m mark, entries []directory.Entry, full bool) ([]Event, error) {
	lost, err := c.missing(ctx, r, name, entries, full)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.trees[name]
	if t == nil {
		t = NewTree(name, m.Root, m.RootDN)
		c.trees[name] = t
	}
	if t.Root != m.Root {
		t.changed.NoteAll()
	}
	t.Root, t.RootDN, t.chains, t.watched, t.links = m.Root, m.RootDN, nil, c.watched.union, m.Links
	if m.Reading = c.reads(t); full || m.Watched != c.marks[name].Watched {
		m.Whole = m.Reading
	}
	c.marks[name], c.compare = m, c.compare || full
	var events []Event
	for _, e := range entries {
		events = append(events, t.Apply(e, full)...)
	}
	for _, e := range lost {
		events = append(events, t.Apply(e, true)...)
	}
	return events, nil
}

func (c *Census) missing(ctx context.Context, r Reader, name string, entries []directory.Entry, full bool) ([]directory.Entry, error) {
	c.mu.Lock()
	t := c.trees[name]
	var ids []scoping.GUID
	if t != nil && full {
		read := map[scoping.GUID]bool{}
		for _, e := range entries {
			read[e.GUID] = true
		}
		for _, id := range t.All() {
			if !read[id.GUID] {
				ids = append(ids, id.GUID)
			}
		}
	}
	c.mu.Unlock()
	if len(ids) == 0 {
		return nil, nil
	}
	c.mu.Lock()
	attrs := c.attributes()
	c.mu.Unlock()
	found, err := r.ByGUID(ctx, ids, attrs, true)
	if err != nil {
		return nil, err
	}
	var out []directory.Entry
	for _, g := range ids {
		if e, ok := found[g]; ok {
			out = append(out, e)
		}
	}
	return out, nil
}

// reads numbers a reading that is being taken into a tree. Census.mu is held.
func (c *Census) reads(t *Tree) uint64 {
	c.readings++
	t.Reading = c.readings
	return c.readings
}

// Reading returns the number of the newest reading of any directory. An engine's run that began before a reading cannot know what that reading
// changed.
func (c *Census) Reading() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.readings
}

// ReadAfter makes the next reading's number greater than n, the highest that an earlier process used: what that process read may not all be stored.
func (c *Census) ReadAfter(n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readings = max(c.readings, n)
}

// Sight implements gate.Census.
func (c *Census) Sight(id scoping.ObjectID) gate.Sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, o := c.known(id)
	if o == nil {
		return gate.Sight{}
	}
	s := t.brief(o)
	s.Name = t.DN(id.GUID)
	s.Anchor, s.AnchorBad = t.Anchor(id.GUID)
	return s
}

// Knows reports whether an object was read, as a living one or as a tombstone.
func (c *Census) Knows(id scoping.ObjectID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, o := c.known(id)
	return o != nil
}

// known returns an object and its tree, or nil. Census.mu is held.
func (c *Census) known(id scoping.ObjectID) (*Tree, *Object) {
	t := c.trees[id.Directory]
	if t == nil {
		return nil, nil
	}
	return t, t.object(id.GUID)
}

// Brief implements gate.Census.
func (c *Census) Brief(id scoping.ObjectID) gate.Sight {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, o := c.known(id)
	if o == nil {
		return gate.Sight{}
	}
	return t.brief(o)
}

// Expected implements gate.Census: users, groups and contacts that are not critical system objects belong in the tenant if the policy assigns them to
// an engine; computers and others do not (rule J4).
func (c *Census) Expected(id scoping.ObjectID) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	_, o := c.known(id)
	return o != nil && !o.Deleted && !o.Critical && (o.Kind == scoping.User || o.Kind == scoping.Group || o.Kind == scoping.Contact)
}

// Tree calls f with a directory's tree, under the census's lock; f must not keep it.
func (c *Census) Tree(name string, f func(*Tree)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t := c.trees[name]; t != nil {
		f(t)
	}
}

// Carried returns the number of the last reading that changed a container above an object: where the container lies, or its name. The object's own
// reading does not tell of that.
func (c *Census) Carried(id scoping.ObjectID) (n uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, o := c.known(id)
	if o == nil {
		return 0
	}
	for _, up := range t.above(o) {
		if container := t.object(up); container != nil {
			n = max(n, container.Reading)
		}
	}
	return n
}

// Names returns the configured directories in order.
func (c *Census) Names() []string { return c.names }

// Whole returns the number of the last reading of a directory that does not show which values changed before it: from the start, or with other
// attributes of engines than the one before [a process ended before it stored them, and the next one read changes without them]. What was agreed by an
// earlier reading has to be looked at again.
func (c *Census) Whole(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks[name].Whole
}

// USN returns the newest USN seen of a directory.
func (c *Census) USN(name string) uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.marks[name].USN
}

func equalFold(a, b string) bool { return strings.EqualFold(a, b) }
