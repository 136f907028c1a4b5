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

// ErrNotOpen means that log or control failed in a way that leaves unknown what is durable: this process decides nothing more.
var ErrNotOpen = errors.New("the gate is closed: the state failed")

// ErrUnread means that the census could not read objects and still has its former knowledge of them.
var ErrUnread = errors.New("the directory could not be read")

// Tenant is what the gate needs of the tenant client.
type Tenant interface {
	// Send makes exactly one physical attempt of each write. The result at i answers the write at i.
	Send(ctx context.Context, w []cloud.Write) []cloud.Result
	// Find reads objects directly from the tenant, not from any cache.
	Find(ctx context.Context, k cloud.Key) ([]cloud.Object, error)
	// Powerful returns why objects hold or may activate a directory role, by id; for others the text is empty.
	Powerful(ctx context.Context, ids []string) (map[string]string, error)
	// Credential returns which credential the tenant keeps of a user; false: none.
	Credential(ctx context.Context, id string) (cloud.CredentialState, bool, error)
}

// Census is what the gate needs of the host's own view of the directory.
type Census interface {
	// Sight returns what is known of an object now.
	Sight(scoping.ObjectID) Sight
	// Brief is Sight without name and anchor, for callers that look at everything.
	Brief(scoping.ObjectID) Sight
	// Reread reads objects again from the directory, so that Sight is current (rule V1). After an ErrUnread, Sight of those that could not be read is
	// as before.
	Reread(ctx context.Context, ids []scoping.ObjectID) error
	// Evidence reads objects with deleted ones shown, and the links of a reference attribute ("members", "manager") unless it is empty. After an
	// ErrUnread the result lacks the objects that could not be read.
	Evidence(ctx context.Context, ids []scoping.ObjectID, reference string) (map[scoping.ObjectID]Evidence, error)
	// Expected reports whether an unlinked object will come into the tenant if an engine owns it: it is not deleted, and its kind is synchronized.
	Expected(scoping.ObjectID) bool
	// Reading returns the number of the newest reading of any directory.
	Reading() uint64
	// Changed returns the objects that changed in the census since its last call; all means any of them may have.
	Changed() (ids map[scoping.ObjectID]struct{}, all bool)
}

// Journal is the log: records are durable when Append returns.
type Journal interface {
	Append(ctx context.Context, records [][]byte) (last uint64, err error)
}

// Clock is time as the gate sees it.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Options are what a gate is made of. All but the times and Tenure are required.
type Options struct {
	Ledger  *ledger.State
	Cache   *cloud.Cache
	Claims  *table.Claims // nil: they are not kept for the next process
	Glance  bool          // nothing is decided, and no claims are loaded: debts are told by the last answers
	Tenant  Tenant
	Census  Census
	Journal Journal
	Clock   Clock
	// Steady returns the time in ms on a scale that steps of the wall clock do not move and that outlives the process: it measures how long a request
	// without an answer may still arrive (rule P6). nil: the wall clock.
	Steady      func() int64
	GhostLife   time.Duration
	RequestTime time.Duration
	Tenure      func() time.Duration            // what is left of the right to write; nil: unlimited
	Entitle     func(ctx context.Context) error // called before each physical attempt, without g.mu held: makes sure of the right to write (rule H1); nil: nothing to do
	NewID       func() string                   // ids of intents, never used twice
	Without     Safeguard                       // for simulations only
}

// Gate is the shell around the core. It is safe for concurrent use; its lock is not held while the tenant or the directory is asked.
type Gate struct {
	o Options

	mu     sync.Mutex
	auth   Authority
	rules  Rules
	match  map[scoping.ObjectID]string // tenant ids from the file of matches
	frozen []*Frozen
	read   time.Time         // when the last reading of the tenant began
	flying map[string]flight // by intent id
	broken error

	claims    sync.Mutex         // serializes commits of claims; taken before mu
	cover     string             // the coverage of the authority in force
	uncovered []Authority        // authorities in force since claims were last checked for gaps
	ruled     map[ruledBy]uint64 // the rules that engines declared last (standing.RulesOf)

	index          table.Index                   // of debts
	unseen, follow changes.Set[scoping.ObjectID] // what changed since the index was brought up to date, and since Changed was called
}

type flight struct {
	object  scoping.ObjectID
	place   scoping.Place
	kind    scoping.Kind
	feature scoping.Feature
}

// New makes a gate. Writes that the ledger shows as sent and unanswered are in doubt (rule X3): call Recover before the first session.
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
	g := &Gate{o: o, flying: map[string]flight{}, ruled: map[ruledBy]uint64{}}
	g.follow.NoteAll()
	return g
}

// SetAuthority puts a committed authority and the policy's rules in force. It is called after control's transaction, before grants are announced.
func (g *Gate) SetAuthority(a Authority, r Rules) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.rule(a, r)
	g.auth, g.rules = a, r
	g.took(a)
}

// Close ends all writing of this process for good: what is in force is unknown, so nothing may be sent. Requests in flight are in doubt when the
// state is opened again.
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

// Matches returns the matches in force, in order of their objects.
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

// Refreshed notes that the cache shows the tenant as of a reading that began at a time on the steady scale.
func (g *Gate) Refreshed(began time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.read = began
}

// Authority returns what is in force.
func (g *Gate) Authority() Authority {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.auth
}

// Rules returns the rules in force.
func (g *Gate) Rules() Rules {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.rules
}

// Read calls f with the ledger, under the gate's lock. f must not keep it, nor call the gate.
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

// Snapshot appends the whole ledger to the log and returns the number of its first record: from there the log can be folded without what is before.
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

// Fold takes in a record that was made durable elsewhere: a pending record of control.
func (g *Gate) Fold(seq uint64, r ledger.Record) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.o.Ledger.Fold(seq, r)
}

// encodedAlone is the number of records that one processor encodes sooner than two.
const encodedAlone = 16

// encoded returns the bytes of records for the log. Of many, half are encoded on another processor, since the gate is locked meanwhile.
func encoded(rs []ledger.Record) [][]byte {
	out := make([][]byte, len(rs))
	encode := func(from, to int) {
		for i := from; i < to; i++ {
			out[i] = ledger.Encode(rs[i])
		}
	}
	half := len(rs) / 2
	if len(rs) < encodedAlone {
		half = 0
	}
	var beside sync.WaitGroup
	if half > 0 {
		beside.Go(func() { encode(0, half) })
	}
	encode(half, len(rs))
	beside.Wait()
	return out
}

func (g *Gate) record(ctx context.Context, rs []ledger.Record) error {
	if g.broken != nil {
		return g.broken
	}
	if len(rs) == 0 {
		return nil
	}
	now, steady := g.o.Clock.Now().UnixMilli(), g.steady()
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
	}
	last, err := g.o.Journal.Append(context.WithoutCancel(ctx), encoded(rs))
	if errors.Is(err, state.ErrFull) {
		return fmt.Errorf("writing the log: %w", err) // nothing was written, and nothing was sent: it can be tried again when there is space
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

// PlaceOf returns the place of an object, or, if it is deleted, its place when it was last written.
func PlaceOf(o scoping.ObjectID, s Sight, row *ledger.Row) scoping.Place {
	p := s.Place(o.Directory)
	if !s.Known || s.Deleted {
		if row != nil {
			if l := row.Features[scoping.Base(row.Kind)]; l != nil && (l.Engine != scoping.None || !s.Known) {
				p.Ancestors, p.Chosen = l.Chain, l.Chosen // for an unowned deleted object the last known location counts
			}
		}
	}
	return p
}

// caseOf snapshots everything that a decision depends on. g.mu is held.
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
	c.Deleted = func(id scoping.ObjectID) bool { x := g.o.Census.Sight(id); return x.Known && x.Deleted }
	c.Alive = func(id scoping.ObjectID) bool { x := g.o.Census.Sight(id); return x.Known && !x.Deleted }
	c.HeldDelete = led.DeleteHeld
	c.Binned = func(id string) bool { o, known := g.o.Cache.Get(id); return known && o.Deleted }
	c.Resolve = g.resolver()
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

// shown returns a link that an object shows to an object of this tenant that no directory feeds: evidence that it was made of that. Microsoft's
// engines write such values for objects that a directory feeds, and those of other tenants mean nothing here.
// The name under which the other direction makes objects counts like a link [an account whose add had no answer was moved away and lost its link: it
// was made in the tenant a second time]. g.mu is held.
func (g *Gate) shown(s Sight) string {
	rdn, _, _ := strings.Cut(s.Name, ",")
	_, name, _ := strings.Cut(rdn, "=")
	for _, v := range append([]string{name}, s.Links...) {
		kind, id, _ := strings.Cut(v, "_")
		if kind != "User" && kind != "Group" {
			continue
		}
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

// candidates looks up the linked cloud object, or those that could be joined. g.mu is held.
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

// rivals looks up the live objects of the tenant that have the anchor or sign-in name of an object that is to come back. g.mu is held.
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

// resolve returns what can be done about a reference's other end, and its cloud id if it is in the tenant. g.mu is held.
func (g *Gate) resolve(id scoping.ObjectID) (string, RefState) {
	led := g.o.Ledger
	if cid, ok := led.Linked(id); ok {
		if o, there := g.o.Cache.Get(cid); there && !o.Deleted {
			return cid, RefLinked
		}
		return "", RefWaits
	}
	sight := g.o.Census.Sight(id)
	if _, excluded := led.Excluded[id]; excluded || !sight.Known || sight.Deleted || led.CreateRejected(id) {
		return "", RefLater // deleted objects too: if one comes back its links do, without being reported
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

// resolver returns resolve for one decision, which asks for each end several times: for the writes, and for what it saw. g.mu is held as long as it is used.
func (g *Gate) resolver() func(scoping.ObjectID) (string, RefState) {
	type end struct {
		cloudID string
		state   RefState
	}
	var known map[scoping.ObjectID]end
	return func(id scoping.ObjectID) (string, RefState) {
		if e, ok := known[id]; ok {
			return e.cloudID, e.state
		}
		var e end
		e.cloudID, e.state = g.resolve(id)
		if known == nil {
			known = map[scoping.ObjectID]end{}
		}
		known[id] = e
		return e.cloudID, e.state
	}
}

// brings reports whether the policy switches on the base feature of a kind. Users and groups always count, since a policy that leaves them out may be
// followed by one that does not. g.mu is held.
func (g *Gate) brings(k scoping.Kind) bool {
	return k == scoping.User || k == scoping.Group || g.auth.Partition != nil && g.auth.Partition.On(scoping.Base(k))
}

// standing works out what the proposer may do. g.mu is held.
func (g *Gate) standing(s *Session, p engine.Proposal, sight Sight, row *ledger.Row) Standing {
	place := PlaceOf(p.Object, sight, row)
	owner := g.auth.Owner(place, p.Kind, p.Feature)
	st := Standing{Engine: s.engine, Owner: owner.Engine, Assignment: owner.Assignment, Epoch: owner.Epoch, Leaving: string(owner.Leaving),
		Log: g.auth.Installation, Ceiling: s.ceiling, Farewell: s.seesOff(p), Restores: s.o.Restores}
	if st.Owner == "" {
		st.Owner = scoping.None
	}
	if st.Leaving == "" && g.auth.Partition != nil {
		st.Leaving = string(g.auth.Partition.Defaults().Leaving)
	}
	st.Granted = s.granted(p, place)
	st.Shadow = g.auth.Shadowed(s.engine, place, p.Kind, p.Feature)
	st.Near = st.Owner != s.engine && !s.o.Silent && g.auth.Near(s.engine, place, p.Kind, p.Feature)
	if st.Near && !g.o.Without.checksChoices() {
		st.Owner = s.engine
	}
	st.Record, st.Recorded = g.o.Ledger.OwnerOfRecord(p.Object, p.Feature)
	if g.o.Without.stops() {
		st.Stopped = g.auth.Stopped(s.engine, place)
	}
	if since, adopting := g.auth.Adopting[s.engine]; adopting && st.Owner == s.engine && s.ceiling == engine.ModeOwn {
		st.Adopting, st.AdoptingSince = true, since
	}
	seen := sight.Place(p.Object.Directory) // an object that moved and was then deleted is frozen by either place: where it was written, and where it was deleted
	st.Frozen = g.isFrozen(place, p.Kind, p.Feature) || g.isFrozen(seen, p.Kind, p.Feature)
	return st
}

// steadyTime is steady as a time.Time, as the cache takes it.
func (g *Gate) steadyTime() time.Time { return time.UnixMilli(g.steady()) }

func (g *Gate) steady() int64 {
	if g.o.Steady == nil {
		return g.o.Clock.Now().UnixMilli()
	}
	return g.o.Steady()
}

// Store is the source of control's pending records for the log.
type Store interface {
	AppendPending(ctx context.Context) (last uint64, err error)
}

// AppendPending lets the store append the pending records of control's commits (rule X2), and folds them.
func (g *Gate) AppendPending(ctx context.Context, s Store, read func(from uint64, f func(seq uint64, b []byte) error) error) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.broken != nil {
		return g.broken
	}
	if _, err := s.AppendPending(ctx); err != nil {
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
