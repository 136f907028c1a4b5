package simulation

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// sightOf is what the census was told last of an object.
type sightOf struct {
	parent  scoping.GUID
	deleted bool
	usn     uint64
}

// world is everything of one simulation.
type world struct {
	others map[othersLink]byHand // memberships that others wrote

	seed uint64
	o    Options
	r    *rand.Rand
	eyes map[Eye]bool
	step int
	now  time.Time // elapsed; see Now

	dir     *domain
	near    *controller // that is read for passwords; nil: any
	apart   bool        // the host reads the second one
	tenant  *tenant
	engines map[string]*simEngine
	names   int
	chooses bool   // policies choose objects one by one
	leaving string // what policies do with objects that come to where no engine writes

	disk        *state.MemoryDisk
	store       *state.Store
	host        *host.Host
	census      *census.Census
	cache       *cloud.Cache
	savedCache  []byte
	checkpoints bool // of a story: the ledger's checkpoint is used, whatever the seed
	unkept      int  // how often the census cannot be stored, without a crash
	keepsCache  bool // of a story: the file on disk stays as it is
	savesCache  bool // of a story: each save reaches the disk
	checkpoint  shelf
	ids         int

	faults    bool
	crashed   bool               // the host crashed; guard has not started another one yet
	armed     int                // the host crashes at this failpoint from now; 0: not
	mined     string             // it crashes at the next failpoint of this name; "": at none
	diesAfter ledger.Type        // it crashes when a record of this type is durable; "": after none
	at        func(point string) // of a story: something happens at a failpoint
	failing   string             // a step fails at the next failpoint of this name; "": at none
	failsWith error
	unusable  bool          // a step failed after which state has to be opened anew
	running   bool          // a host is open
	stepped   time.Duration // by how much the wall clock was set
	preparing bool          // the host may hold its lock of refreshes
	locked    map[string]int
	driving   map[string]bool
	noticed   map[scoping.GUID]uint64 // the newest change of an object of which the host was told as of a change, as a USN
	depth     int
	throttled scoping.ObjectID // whose write has to be tried again

	passwords deliveries
	cloud     cloudWorld // of the other direction

	flappers []*flapper
	thaws    []thaw
	verified []string              // the tenant's domains
	answered map[question]bool     // what a person was shown and approved
	approved map[scoping.GUID]bool // objects that a person's approval of a held set concerned

	told     map[scoping.GUID]sightOf
	evidence map[scoping.GUID]*entry
	book     book

	points    map[string]int
	counts    map[string]int
	events    []string
	tapped    []state.LogEntry
	history   map[scoping.GUID]map[Fact]bool // of objects; of none: of the world
	spared    int                            // how often a crash kept the log from counting a write
	backup    *state.MemoryDisk
	double    *double // another host, if there is one
	doubles   int
	said      int // events of this step
	lastSent  scoping.GUID
	orphans   []scoping.GUID           // about which requests were in flight when the host crashed
	unstored  map[scoping.GUID]sightOf // of each object that the census read since it was stored last: what it had been told before
	heard     map[scoping.GUID]sightOf // of each object that the reading under way told of: what was told before it
	violation *Violation
}

func newWorld(seed uint64, o Options) *world {
	w := &world{seed: seed, o: o, r: rand.New(rand.NewPCG(seed, 0x7a4de)), now: start, dir: newDomain(), engines: map[string]*simEngine{}, locked: map[string]int{},
		driving: map[string]bool{}, noticed: map[scoping.GUID]uint64{}, told: map[scoping.GUID]sightOf{}, evidence: map[scoping.GUID]*entry{}, approved: map[scoping.GUID]bool{}, answered: map[question]bool{}, history: map[scoping.GUID]map[Fact]bool{}, unstored: map[scoping.GUID]sightOf{}, heard: map[scoping.GUID]sightOf{}, verified: []string{"sim.test"}, points: map[string]int{}, counts: map[string]int{}}
	w.eyes = opened(seed, o)
	w.tenant = newTenant(w)
	w.book = newBook()
	w.cloud = newCloudWorld()
	w.passwords = deliveries{byID: map[string]*delivery{}, set: map[scoping.GUID]int{}}
	if w.o.Trouble == 0 {
		w.o.Trouble = []int{0, 5, 15, 30}[w.r.IntN(4)]
	}
	for _, n := range []string{connect, cloudsync} {
		w.engines[n] = newEngine(w, n)
	}
	w.disk = state.Memory(state.Options{Command: "simulation", Now: w.Now, SegmentSize: 16 << 10, Hook: w.hook})
	return w
}

// alive ends the caller by a panic if the host has crashed or an invariant is violated.
func (w *world) alive() {
	if w.crashed {
		panic(crash{})
	}
	if w.violation != nil {
		panic(broken{})
	}
}

var errCrashed = errors.New("simulated: the host crashes here")

// hook is at state's failpoints: from the crash on nothing gets through.
func (w *world) hook(point string) error {
	w.points[point]++
	if w.at != nil && !w.crashed {
		w.at(point)
	}
	if w.crashed || w.ticks(point) {
		if !w.crashed {
			w.log("CRASH at %s", point)
		}
		w.crashed = true
		return errCrashed
	}
	return w.fails(point)
}

// ticks counts failpoints down to the crash.
func (w *world) ticks(point string) bool {
	if point == w.mined {
		w.mined = ""
		return true
	}
	if w.armed == 0 {
		return false
	}
	w.armed--
	return w.armed == 0
}

// arm lets the host crash at one of the next failpoints: close to a moment of which that is worth seeing.
func (w *world) arm(within int) {
	if w.armed == 0 {
		w.armed = 1 + w.r.IntN(within)
	}
}

// crashAt is a failpoint of the simulator's own seams.
func (w *world) crashAt(point string) {
	w.alive()
	w.points[point]++
	if w.ticks(point) {
		w.log("CRASH at %s", point)
		w.crashed = true
		panic(crash{})
	}
}

// fault reports whether something goes wrong now: so many times in a hundred, and never while faults are off.
func (w *world) fault(percent int) bool { return w.faults && w.r.IntN(100) < percent }

// maybe lets something happen, so many times in a hundred, and never while faults are off.
func (w *world) maybe(percent int, f func()) {
	if w.faults && w.r.IntN(100) < percent {
		w.depth++
		defer func() { w.depth-- }()
		f()
	}
}

// unsaved is how much may change before a run saves it: worlds are small, so that with many seeds it is little.
func (w *world) unsaved() int { return []int{1, 5, 0}[w.seed/2%3] }

// Seams lists the failpoints of the simulator's own seams, beside state.Failpoints.
func Seams() []string {
	return []string{"tenant.send.before", "tenant.send.after", "engine.import.before-commit", "engine.import.after-commit", "engine.decided", "census.keep", "cache.save", "checkpoint.save", "claims.commit"}
}

// crashPoints are all failpoints.
var crashPoints = slices.Concat(state.Failpoints(), Seams(), []string{between})

// between is a failpoint that only a broken variant reaches: half of what belongs together is stored.
const between = "engine.import.between"

// restart is what an operator does: start the host again, until it runs.
func (w *world) restart() {
	for {
		w.counts["crash"]++
		w.killed()
		w.depth, w.preparing = 0, false
		w.locked, w.driving = map[string]int{}, map[string]bool{}
		w.book.forget()
		w.tenant.orphan()
		w.orphanDeliveries()
		w.orphanWrites()
		for _, e := range w.engines {
			e.busy, e.grants = false, nil
		}
		w.disk.Crash(w.r)
		w.crashed, w.armed, w.mined, w.failing, w.unusable = false, 0, "", "", false
		if w.faults && w.r.IntN(10) == 0 {
			w.armed = 1 + w.r.IntN(6)
		}
		w.pass(time.Duration(w.r.IntN(200)) * time.Second)
		if w.open() == nil {
			w.forgets()
			w.armed = 0
			return
		}
		if !w.crashed {
			return // a violation was noted
		}
	}
}

// restartNow is a restart of a story: no time passes.
func (w *world) restartNow() {
	w.book.forget()
	for _, e := range w.engines {
		e.busy, e.grants = false, nil
	}
	w.disk.Crash(w.r)
	if err := w.open(); err != nil {
		w.fail("a crash damages nothing", "%v", err)
	}
}

// hash returns the hash of a log record, as the chain has it; "" if there is no such record.
func (w *world) hash(seq uint64) (out string) {
	_ = w.store.Log.ReadChained(context.Background(), seq, func(e state.LogEntry) error {
		if e.Seq == seq {
			out = hex.EncodeToString(e.Hash[:])
		}
		return nil
	})
	return out
}

// open starts a host over what the disk holds.
func (w *world) open() error {
	ctx := context.Background()
	var err error
	w.running = false
	if w.store, err = w.disk.Reopen(); err != nil {
		return w.opening("state", err)
	}
	w.tapped = nil
	w.store.Log = tap{w.store.Log, w}
	index, err := w.openIndex("census")
	if err != nil {
		return w.opening("the census's index", err)
	}
	if w.census, err = census.Open(ctx, []string{dirName}, w.dial, keeping{w, index}); err != nil {
		return w.opening("the census", err)
	}
	w.census.Without(without[w.o.Break])
	claims, err := w.openClaims()
	if err != nil {
		return w.opening("the engines' claims", err)
	}
	w.cache = cloud.NewCache(delay)
	if w.savedCache != nil && (w.keepsCache || w.savesCache || w.r.IntN(3) > 0) {
		if err := w.cache.Decode(bytes.NewReader(w.savedCache)); err != nil {
			return w.opening("the cache", err)
		}
	}
	var checkpoints host.Checkpoints
	if w.seed%2 == 0 || w.checkpoints {
		checkpoints = w
	}
	var t host.Tenant = w.tenant
	if w.eyes[OtherHosts] {
		t = marked{w.tenant}
	}
	var deliver writeback.Engines
	if w.eyes[Deliveries] {
		deliver = deliverer{engines{w}}
	}
	var bring provisioning.Engines
	if w.eyes[FromCloud] {
		bring = bringer{w}
	}
	w.host, err = host.Open(ctx, host.Options{Deliverer: deliver, Bringers: bring, Relay: relay{w}, Store: w.store, Census: w.census, Tenant: t, Identity: firstHost, Cache: w.cache, Claims: claims, Engines: engines{w}, Clock: w, NewID: w.newID,
		GhostLife: ghostLife, SaveCache: w.saveCache, Checkpoints: checkpoints, Unsaved: w.unsaved(), Patience: ghostLife + 2*delay, Progress: w.progress, Without: without[w.o.Break]})
	if err != nil {
		return w.opening("the host", err)
	}
	w.running = true
	w.log("the host is open")
	return nil
}

// openIndex opens an index file, or makes it anew when it cannot be used.
func (w *world) openIndex(name string) (*state.Index, error) {
	index, err := w.store.Index(name, "tandem "+name, 1)
	if errors.Is(err, state.ErrIndexUnusable) {
		if err = w.store.RemoveIndex(name); err == nil {
			index, err = w.store.Index(name, "tandem "+name, 1)
		}
	}
	return index, err
}

// openClaims loads what engines said last. Now and then the file is lost.
func (w *world) openClaims() (*table.Claims, error) {
	if w.faults && w.r.IntN(8) == 0 {
		w.log("the engines' claims are lost")
		if err := w.store.RemoveIndex("claims"); err != nil {
			return nil, err
		}
	}
	index, err := w.openIndex("claims")
	if err != nil {
		return nil, err
	}
	return table.Load(context.Background(), stepping{w, index})
}

// stepping is the store of claims: a failpoint stands before each commit.
type stepping struct {
	w *world
	x *state.Index
}

func (s stepping) View(ctx context.Context, f func(state.Tx) error) error { return s.x.View(ctx, f) }

func (s stepping) Update(ctx context.Context, f func(state.Tx) error) error {
	if err := s.w.stepAt("claims.commit"); err != nil {
		return err
	}
	return s.x.Update(ctx, f)
}

// opening returns the error with which an open failed. If the host did not crash meanwhile it notes a violation: a crash never damages anything.
func (w *world) opening(what string, err error) error {
	if !w.crashed && w.violation == nil {
		w.violation = &Violation{Seed: w.seed, Step: w.step, Invariant: "a crash damages nothing", What: fmt.Sprintf("opening %s: %v", what, err), Events: w.last()}
	}
	return err
}

var errUnkept = errors.New("simulated: the census cannot be stored now")

// keeping is the census's index: now and then it is only synced later.
type keeping struct {
	w *world
	x *state.Index
}

func (k keeping) View(ctx context.Context, f func(state.Tx) error) error { return k.x.View(ctx, f) }

func (k keeping) Update(ctx context.Context, f func(state.Tx) error) error {
	if k.w.unkept > 0 {
		k.w.unkept--
		return errUnkept
	}
	if err := k.w.stepAt("census.keep"); err != nil {
		return k.w.keeps(err)
	}
	if k.w.r.IntN(4) > 0 {
		return k.w.keeps(k.x.Update(ctx, f))
	}
	if err := k.x.UpdateNoSync(ctx, f); err != nil {
		return k.w.keeps(err)
	}
	return k.w.keeps(k.x.Sync(ctx))
}

func (w *world) newID() string {
	w.ids++
	return fmt.Sprintf("id%05d", w.ids)
}

func (w *world) saveCache(context.Context) error {
	w.alive()
	if w.keepsCache || (!w.savesCache && w.r.IntN(3) > 0) {
		return nil // the file on disk lags
	}
	if err := w.stepAt("cache.save"); err != nil {
		return err
	}
	var b bytes.Buffer
	if err := w.cache.Encode(&b); err != nil {
		return err
	}
	w.savedCache = b.Bytes()
	return nil
}

// shelf is a stored ledger.
type shelf map[string]map[string]string

// Get implements ledger.Shelf.
func (f shelf) Get(section, key string) ([]byte, error) {
	v, ok := f[section][key]
	if !ok {
		return nil, nil
	}
	return []byte(v), nil
}

// Each implements ledger.Shelf.
func (f shelf) Each(section string, each func(string, []byte) error) error {
	for k, v := range f[section] {
		if err := each(k, []byte(v)); err != nil {
			return err
		}
	}
	return nil
}

func (f shelf) put(c *ledger.Checkpoint) {
	for _, section := range ledger.Sections() {
		if f[section] == nil || c.Anew {
			f[section] = map[string]string{}
		}
	}
	for _, e := range c.Entries {
		switch {
		case e.Append:
			f[e.Section][e.Key] += string(e.Value)
		case e.Value == nil:
			delete(f[e.Section], e.Key)
		default:
			f[e.Section][e.Key] = string(e.Value)
		}
	}
}

// Shelf implements host.Checkpoints.
func (w *world) Shelf(context.Context) ledger.Shelf { return w.checkpoint }

// SaveCheckpoint implements host.Checkpoints.
func (w *world) SaveCheckpoint(_ context.Context, c *ledger.Checkpoint) error {
	w.alive()
	if err := w.stepAt("checkpoint.save"); err != nil {
		return err
	}
	if w.checkpoint == nil {
		w.checkpoint = shelf{}
	}
	w.checkpoint.put(c)
	return nil
}

// call runs f as an actor's call of the host, with the bookkeeping of locks around it.
func (w *world) call(engines []string, f func()) {
	before := w.preparing
	locked, driving := w.locked, w.driving
	w.locked, w.driving = maps.Clone(locked), maps.Clone(driving)
	for _, e := range engines {
		w.locked[e]++
	}
	w.depth++
	defer func() {
		w.depth--
		w.locked, w.driving, w.preparing = locked, driving, before
	}()
	f()
	w.alive()
}

// ledgerNow lets f look at the host's ledger.
func (w *world) ledgerNow(f func(*ledger.State)) { w.host.Gate().Read(f) }
