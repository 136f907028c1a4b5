package gate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Defaults of the gate's times and numbers.
const (
	DefaultGhostLife   = 5 * time.Minute  // how long a request without an answer may still take effect (P6)
	DefaultRequestTime = 30 * time.Second // the longest that one attempt may take (H3)
	maxAttempts        = 6                // physical attempts of one write within one run, throttling included
	maxPause           = time.Minute      // the longest wait for a throttled write within a run
)

// ErrNotOpen is the kind of errors after log or control failed in a way that leaves unknown what is durable: nothing more is decided by this process.
var ErrNotOpen = errors.New("the gate is closed: the state failed")

// ErrUnread is the kind of errors of a census that could not read objects and knows of them what it knew before.
var ErrUnread = errors.New("the directory could not be read")

// Tenant is what the gate needs of the tenant client.
type Tenant interface {
	// Send makes ONE physical attempt of each write. The result at i answers the write at i.
	Send(ctx context.Context, w []cloud.Write) []cloud.Result
	// Find reads objects directly from the tenant, not from any cache.
	Find(ctx context.Context, k cloud.Key) ([]cloud.Object, error)
	// Powerful says which of the objects hold or may activate a directory role, and why; others have an empty text.
	Powerful(ctx context.Context, ids []string) (map[string]string, error)
	// Credential says which credential the tenant keeps of a user; false: none.
	Credential(ctx context.Context, id string) (cloud.CredentialState, bool, error)
}

// Census is what the gate needs of the host's own view of the directory.
type Census interface {
	// Sight gives what is known of an object now.
	Sight(scoping.ObjectID) Sight
	// Brief is Sight without name and anchor, for those who look at everything.
	Brief(scoping.ObjectID) Sight
	// Reread reads objects again from the directory, so that Sight is of now (rule V1). After an ErrUnread, Sight is what it was for those that could not be read.
	Reread(ctx context.Context, ids []scoping.ObjectID) error
	// Evidence reads objects with deleted ones shown, and the links of a reference attribute ("members", "manager") when it is not empty. After an
	// ErrUnread it holds what could be read: there is no evidence of the others.
	Evidence(ctx context.Context, ids []scoping.ObjectID, reference string) (map[scoping.ObjectID]Evidence, error)
	// Expected says whether some engine will bring an object that is not linked yet into the tenant: it lives, and its kind is synchronized.
	Expected(scoping.ObjectID) bool
	// Reading returns the number of the newest reading of any directory.
	Reading() uint64
	// Changed returns the objects of which the census says something else since it was asked last: all of them, or these.
	Changed() (ids map[scoping.ObjectID]struct{}, all bool)
}

// Journal is the log with what it owes: records are durable when Append returns.
type Journal interface {
	Append(ctx context.Context, records [][]byte) (last uint64, err error)
}

// Clock is time as the gate sees it.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Options are what a gate is made of. All but the times and Tenure are needed.
type Options struct {
	Ledger  *ledger.State
	Cache   *cloud.Cache
	Claims  *table.Claims // nil: they are not kept from one process to the next
	Glance  bool          // nothing is decided, and no claims were read: what is owed is told by the last answers
	Tenant  Tenant
	Census  Census
	Journal Journal
	Clock   Clock
	// Steady returns the time, in ms, on a scale that no step of a wall clock moves and that outlives the process: by it a request without an answer ends being
	// able to arrive (rule P6). nil: the wall clock.
	Steady      func() int64
	GhostLife   time.Duration
	RequestTime time.Duration
	Tenure      func() time.Duration            // what is left of the right to write; nil: unlimited
	Entitle     func(ctx context.Context) error // called before each physical attempt, outside the lock: makes sure of the right to write (rule H1); nil: nothing to do
	NewID       func() string                   // intent ids, unique for ever
	Without     Safeguard                       // for simulations only
}

// Gate is the shell around the core. It is safe for concurrent use; nothing that waits for the tenant or the directory holds its lock.
type Gate struct {
	o Options

	mu     sync.Mutex
	auth   Authority
	rules  Rules
	match  map[scoping.ObjectID]string // by hand: the tenant's ids
	frozen []*Frozen
	read   time.Time         // when the tenant was read last
	wire   map[string]onWire // by intent id
	broken error

	claims    sync.Mutex         // one commit of claims after the other; taken before mu
	cover     string             // what the authority in force grants
	uncovered []Authority        // those in force since claims were last looked through for gaps
	ruled     map[ruledBy]uint64 // the rules of engines as they said last (standing.RulesOf)

	index          table.Index                   // of debts
	unseen, follow changes.Set[scoping.ObjectID] // what changed since the index was brought up to date, and since Changed was called
}

type onWire struct {
	object  scoping.ObjectID
	place   scoping.Place
	kind    scoping.Kind
	feature scoping.Feature
}

// New makes a gate. Whatever the ledger shows as sent and unanswered is in doubt from now on (rule X3): call Recover before the first
// session.
func New(o Options) *Gate {
	if o.GhostLife == 0 {
		o.GhostLife = DefaultGhostLife
	}
	if o.RequestTime == 0 {
		o.RequestTime = DefaultRequestTime
	}
	if o.Tenure == nil {
		o.Tenure = func() time.Duration { return time.Duration(1<<63 - 1) }
	}
	if o.Claims == nil {
		o.Claims = table.New(nil)
	}
	g := &Gate{o: o, wire: map[string]onWire{}, ruled: map[ruledBy]uint64{}}
	g.follow.NoteAll()
	return g
}

// SetAuthority puts a committed authority and the policy's rules in force. It is called after control's transaction, before anybody is told.
func (g *Gate) SetAuthority(a Authority, r Rules) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rule(a, r)
	g.auth, g.rules = a, r
	g.took(a)
}

// Close ends all writing of this process, for good: what is in force is not known any more, so nothing may be sent under what was. Requests in flight are
// in doubt when the state is opened again.
func (g *Gate) Close(why error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken == nil {
		g.broken = fmt.Errorf("%w: %w", ErrNotOpen, why)
	}
}

// SetMatches puts a file of matches in force (rule J5).
func (g *Gate) SetMatches(ms []scoping.Match) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.match = make(map[scoping.ObjectID]string, len(ms))
	for _, m := range ms {
		g.match[m.Object] = m.Tenant
	}
}

// Matches gives the matches in force, in order of their objects.
func (g *Gate) Matches() []scoping.Match {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out []scoping.Match
	for id, t := range g.match {
		out = append(out, scoping.Match{Object: id, Tenant: t})
	}
	slices.SortFunc(out, func(a, b scoping.Match) int { return a.Object.Compare(b.Object) })
	return out
}

// Refreshed tells the gate that the cache shows the tenant as a reading found it that began at a steady time.
func (g *Gate) Refreshed(began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.read = began
}

// Authority gives what is in force.
func (g *Gate) Authority() Authority {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.auth
}

// Rules gives the rules in force.
func (g *Gate) Rules() Rules {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rules
}

// Read lets f look at the ledger. f must not keep what it is given, nor call the gate.
func (g *Gate) Read(f func(*ledger.State)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	f(g.o.Ledger)
}

// Record appends records to the log and folds them.
func (g *Gate) Record(ctx context.Context, rs ...ledger.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.record(ctx, rs)
}

// Snapshot appends the whole ledger to the log, and returns the number of the first record that holds it: from there on the log can be folded without what is before.
func (g *Gate) Snapshot(ctx context.Context) (first uint64, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return 0, g.broken
	}
	rs, err := g.o.Ledger.Snapshot()
	if err != nil {
		return 0, err
	}
	if err := g.record(ctx, rs); err != nil {
		return 0, err
	}
	return g.o.Ledger.Seq - uint64(len(rs)) + 1, nil
}

// Fold takes in a record that somebody else made durable: one that a control commit owed.
func (g *Gate) Fold(seq uint64, r ledger.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.o.Ledger.Fold(seq, r)
}

func (g *Gate) record(ctx context.Context, rs []ledger.Record) error {
	if g.broken != nil {
		return g.broken
	}
	if len(rs) == 0 {
		return nil
	}
	now, steady := g.o.Clock.Now().UnixMilli(), g.steady()
	batch := make([][]byte, len(rs))
	for i := range rs {
		if rs[i].At == 0 {
			rs[i].At = now
		}
		switch rs[i].Type {
		case ledger.IntentType, ledger.SettleType, ledger.DoubtType, ledger.DeliveryType:
			rs[i].Steady = steady
		}
		if g.auth.Partition != nil && rs[i].Revision == 0 {
			rs[i].Revision = g.auth.Partition.Revision()
		}
		rs[i].V = ledger.Version // as it will be when the log is folded again
		batch[i] = ledger.Encode(rs[i])
	}
	last, err := g.o.Journal.Append(context.WithoutCancel(ctx), batch)
	if errors.Is(err, state.ErrFull) {
		return fmt.Errorf("writing the log: %w", err) // nothing was written, and nothing was sent: it can be tried again when there is room
	}
	if err != nil {
		g.broken = fmt.Errorf("%w: %w", ErrNotOpen, err)
		return g.broken
	}
	for i := range rs {
		if err := g.o.Ledger.Fold(last-uint64(len(rs)-1-i), rs[i]); err != nil {
			g.broken = fmt.Errorf("%w: %w", ErrNotOpen, err)
			return g.broken
		}
	}
	return nil
}

// PlaceOf returns the place of an object, or, if it is gone, its place when it was last written.
func PlaceOf(o scoping.ObjectID, s Sight, row *ledger.Row) scoping.Place {
	p := s.Place(o.Directory)
	if !s.Known || s.Gone {
		if row != nil {
			if l := row.Features[scoping.Base(row.Kind)]; l != nil && (l.Engine != scoping.None || !s.Known) {
				p.Ancestors, p.Chosen = l.Chain, l.Chosen // who nobody owned died where the census saw him last
			}
		}
	}
	return p
}

// caseOf snapshots everything that a decision depends on. The lock is held.
func (g *Gate) caseOf(s *Session, p engine.Proposal) Case {
	led := g.o.Ledger
	row := led.Rows.Get(p.Object)
	sight := g.o.Census.Sight(p.Object)
	c := Case{Without: g.o.Without, Now: g.o.Clock.Now().UnixMilli(), Steady: g.steady(), Sight: sight, Rules: g.rules, Row: row, Standing: g.standing(s, p, sight, row)}
	if o, ok := led.Pending(p.Object); ok {
		c.Pending = o
	}
	c.TooNew = row != nil && row.Wrote > g.read.Add(-g.o.Cache.Delay()).UnixMilli()
	if g.auth.Partition != nil && row == nil {
		if a, brings := g.auth.Partition.Target(sight.Place(p.Object.Directory), scoping.ProvisioningOf(p.Kind)); brings {
			c.Brought = a.Name
		}
	}
	c.Returns = s.o.Returns[p.Object]
	if row == nil || row.CloudID == "" {
		c.Shows = g.shown(sight)
	}
	g.candidates(&c, p, row)
	c.LinkedTo = led.ByCloud
	c.Dead = func(id scoping.ObjectID) bool { x := g.o.Census.Sight(id); return x.Known && x.Gone }
	c.Alive = func(id scoping.ObjectID) bool { x := g.o.Census.Sight(id); return x.Known && !x.Gone }
	c.HeldDelete = led.DeleteHeld
	c.Binned = func(id string) bool { o, known := g.o.Cache.Get(id); return known && o.Deleted }
	c.Resolve = g.resolve
	c.Power = s.power
	c.Excluded = led.Excluded[p.Object]
	c.Refused = s.refused[ledger.Key{Object: p.Object, Feature: p.Feature}]
	c.Trouble = led.TroubleOf(ledger.Key{Object: p.Object, Feature: p.Feature})
	c.Asked = s.o.Asked || g.freed(c.Trouble)
	c.Answered = func(x ledger.Grave) (ledger.HoldState, string) {
		return led.Answered(ledger.Question{Engine: s.engine, Object: p.Object, Feature: p.Feature, Grave: x, Since: c.Standing.Epoch}, c.Now)
	}
	return c
}

// shown returns a link that an object shows of an object of this tenant which no directory feeds: evidence that it was made of it. Of what a directory feeds Microsoft's engines write such values
// themselves, and those of other tenants say nothing here. The lock is held.
func (g *Gate) shown(s Sight) string {
	for _, v := range s.Links {
		_, id, _ := strings.Cut(v, "_")
		id = strings.ToLower(id)
		o, known := g.o.Cache.Get(id)
		row, linked := g.o.Ledger.ByCloud(id)
		switch {
		case linked && row.Cloud == 0, known && (o.Synced || o.Anchor() != "" || strings.HasPrefix(o.Values.First(cloud.UniqueName), "tandem-")):
		case known, linked, g.o.Cache.Purged(id):
			return v
		}
	}
	return ""
}

// candidates looks up the cloud object of the link, or those that could be joined. The lock is held.
func (g *Gate) candidates(c *Case, p engine.Proposal, row *ledger.Row) {
	if g.rules.Quarantine && p.Kind == scoping.User && p.Feature == scoping.Users {
		c.Addressed = g.o.Cache.ByMail(desired(p).First(cloud.Mail))
	}
	if row != nil && row.CloudID != "" {
		if o, ok := g.o.Cache.Get(row.CloudID); ok {
			c.Cloud = &o
		}
		if c.Returns != "" {
			g.rivals(c, p)
		}
		return
	}
	if p.Feature != scoping.Base(p.Kind) || c.Sight.Anchor == "" {
		return
	}
	c.Live, c.Bin = g.byAnchor(p.Kind, c.Sight.Anchor)
	if c.Returns != "" {
		c.Bin = g.o.Cache.DeletedByAnchor(p.Kind, c.Sight.Anchor)
	}
	c.Tried = g.o.Ledger.Tried[p.Object]
	if c.Standing.Adopting && len(c.Live) == 0 {
		c.Alike = g.alike(p, desired(p))
	}
	if id := g.match[p.Object]; id != "" {
		c.Match = id
		if o, ok := g.o.Cache.Get(id); ok {
			c.Matched = &o
		}
	}
	if v := p.Desired[cloud.UPN]; p.Kind == scoping.User && len(v.Text) > 0 && len(c.Live) == 0 {
		want := desired(p)
		if _, bad := signIn(*c, want); !bad {
			if o, ok := g.o.Cache.ByUPN(want.First(cloud.UPN)); ok {
				c.Soft = []cloud.Object{o}
			}
		}
	}
}

// rivals looks up living objects of the tenant that are what a returning one would be: by its anchor, and by its sign-in name. The lock is held.
func (g *Gate) rivals(c *Case, p engine.Proposal) {
	if p.Feature != scoping.Base(p.Kind) {
		return
	}
	c.Live, _ = g.byAnchor(p.Kind, c.Sight.Anchor)
	want := desired(p)
	if _, bad := signIn(*c, want); p.Kind == scoping.User && !bad {
		if o, ok := g.o.Cache.ByUPN(want.First(cloud.UPN)); ok {
			c.Soft = []cloud.Object{o}
		}
	}
}

// resolve says what can be done about a reference's other end. The lock is held.
func (g *Gate) resolve(id scoping.ObjectID) (string, RefState) {
	led := g.o.Ledger
	if cid, ok := led.Linked(id); ok {
		if o, there := g.o.Cache.Get(cid); there && !o.Deleted {
			return cid, RefLinked
		}
		return "", RefWaits
	}
	sight := g.o.Census.Sight(id)
	if _, excluded := led.Excluded[id]; excluded || !sight.Known || sight.Gone || led.CreateRejected(id) {
		return "", RefLater // also the dead: with one who returns his links return, and nobody is told of them
	}
	switch {
	case !g.o.Census.Expected(id):
		return "", RefNever
	case !g.brings(sight.Kind):
		return "", RefOff
	}
	o := g.auth.Owner(sight.Place(id.Directory), sight.Kind, scoping.Base(sight.Kind))
	if o.Engine == scoping.None {
		return "", RefLater
	}
	return "", RefWaits
}

// brings reports whether objects of a kind come into the tenant at all: the policy switches their base feature on. Users and groups always may, since a policy
// that leaves them out can be followed by one that does not. The lock is held.
func (g *Gate) brings(k scoping.Kind) bool {
	return k == scoping.User || k == scoping.Group || g.auth.Partition != nil && g.auth.Partition.On(scoping.Base(k))
}

// standing works out what the proposer may do. The lock is held.
func (g *Gate) standing(s *Session, p engine.Proposal, sight Sight, row *ledger.Row) Standing {
	place := PlaceOf(p.Object, sight, row)
	owner := g.auth.Owner(place, p.Kind, p.Feature)
	st := Standing{Engine: s.engine, Owner: owner.Engine, Assignment: owner.Assignment, Epoch: owner.Epoch, Leaving: string(owner.Leaving),
		Log: g.auth.Installation, Ceiling: s.ceiling, Farewell: s.farewell[p.Object], Restores: s.o.Restores}
	if st.Owner == "" {
		st.Owner = scoping.None
	}
	if st.Leaving == "" && g.auth.Partition != nil {
		st.Leaving = string(g.auth.Partition.Defaults().Leaving)
	}
	st.Granted = s.granted(p, place)
	st.Shadow = g.auth.Shadowed(s.engine, place, p.Kind, p.Feature)
	st.Near = st.Owner != s.engine && !s.o.Silent && g.auth.Near(s.engine, place, p.Kind, p.Feature)
	if st.Near && !g.o.Without.heedsChoices() {
		st.Owner = s.engine
	}
	st.Record, st.Recorded = g.o.Ledger.OwnerOfRecord(p.Object, p.Feature)
	if g.o.Without.stops() {
		st.Stopped = g.auth.Stopped(s.engine, place)
	}
	if since, adopting := g.auth.Adopting[s.engine]; adopting && st.Owner == s.engine && s.ceiling == engine.ModeOwn {
		st.Adopting, st.AdoptingSince = true, since
	}
	seen := sight.Place(p.Object.Directory) // who moved and died is frozen where he was written and where he died
	st.Frozen = g.isFrozen(place, p.Kind, p.Feature) || g.isFrozen(seen, p.Kind, p.Feature)
	return st
}

// steadyTime is steady as a time, as the cache of the tenant takes it.
func (g *Gate) steadyTime() time.Time { return time.UnixMilli(g.steady()) }

func (g *Gate) steady() int64 {
	if g.o.Steady == nil {
		return g.o.Clock.Now().UnixMilli()
	}
	return g.o.Steady()
}

// Store is where records that control owes to the log come from.
type Store interface {
	AppendOwed(ctx context.Context) (last uint64, err error)
}

// Owed lets the store append what control commits owe (rule X2), and folds it.
func (g *Gate) Owed(ctx context.Context, s Store, read func(from uint64, f func(seq uint64, b []byte) error) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	if _, err := s.AppendOwed(ctx); err != nil {
		g.broken = fmt.Errorf("%w: %w", ErrNotOpen, err)
		return g.broken
	}
	return read(g.o.Ledger.Seq+1, func(seq uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return err
		}
		return g.o.Ledger.Fold(seq, r)
	})
}
