// Package host makes the rooms of a running host and connects them, and does what none of them can do alone: it follows tenant and directories and draws the
// conclusions before each run, puts the first policy in force, stops writing, and takes people's answers to held sets. It works over interfaces, so that the
// simulation runs it as it is; package orchestrator gives it real directories, a real tenant and engine processes.
//
// Open folds the ledger, makes the rooms from the lowest up, puts in force what control says, and puts requests without an answer in doubt. From then on any
// number of calls may run at once. Save keeps what is slow to make again; a host that ends without it loses nothing.
package host

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/provisioning"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing/table"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Tenant is what the host needs of the tenant client, beside what the gate needs.
type Tenant interface {
	gate.Tenant
	// Refresh brings the cache up to date and gives the ids that somebody else changed.
	Refresh(ctx context.Context, c *cloud.Cache, now time.Time) (changed []string, err error)
	// Domains gives the verified domains and the initial one.
	Domains(ctx context.Context) (verified []string, initial string, err error)
}

// Options are what a host is made of. Store, Census, Tenant, Cache, Engines, Clock and NewID are needed.
type Options struct {
	Store     *state.Store
	Census    *census.Census
	Tenant    Tenant
	Cache     *cloud.Cache
	Claims    *table.Claims // what engines said last; nil: not kept from one process to the next
	Engines   run.Engines
	Deliverer writeback.Engines    // nil: nothing is written into directories
	Bringers  provisioning.Engines // nil: nothing is brought from the tenant into directories
	Flight    int                  // how many writes into a directory an engine may have under way at once; 0: one
	Relay     writeback.Relay      // nil: the tenant hands out no changed passwords
	// Own are, of each directory, the sign-in names of accounts that work for Tandem: nobody sets their passwords by it.
	Own       map[string][]string
	Alive     func(context.Context) // shows that a poll of the relay goes on; nil: nobody watches
	Clock     gate.Clock
	NewID     func() string
	GhostLife time.Duration
	// SaveCache keeps the tenant's cache in its index file; nil: not kept.
	SaveCache func(context.Context) error
	// Checkpoints keeps the ledger's checkpoint; nil: the log is folded from the start each time.
	Checkpoints Checkpoints
	// Unsaved is how many rows of the ledger may have changed before they are saved in the middle of a run; 0: see unsaved.
	Unsaved int
	// Beside runs what may go on beside a run, and whose end Save waits for; nil: a run waits for it.
	Beside func(f func())
	// Glance opens a host that shows what is stored, changes nothing and is opened fast: see [ErrGlance]. Store, Census and Cache are opened for that, too.
	Glance  bool
	Without gate.Safeguard // for simulations only
	// Patience is how long a command waits inside a phase that ends by itself (a soak).
	Patience time.Duration
	// Survey looks at the directories as a whole, for plans; nil: plans do not count references that cross engines.
	Survey func(context.Context) (*assess.Survey, error)
	// Refused returns what the tenant does not take, and why: no engine that writes through the gate can be given it (rule J4). nil: it takes everything.
	Refused func(context.Context) map[scoping.Feature]string
	// Unregistered returns which extensions of users the tenant does not have; nil: it has all.
	Unregistered func(ctx context.Context, names []string) ([]string, error)
	// Progress tells people what goes on; nil: nobody.
	Progress func(run.Progress)
	Trace    run.Trace // nil: nobody follows runs
	// Identity tells this host from others that may feed the tenant; Renew gives the state folder an identity of its own at a take-over, nil: it
	// keeps the one it has.
	Identity tenancy.Identity
	Renew    func() (tenancy.Identity, error)
	// Tenure is how long a host may go on writing after it saw that the tenant's mark is its own; 0: tenancy.DefaultTenure.
	Tenure time.Duration
	// Configured is what the configuration says of tenant and directories.
	Configured tenancy.Configured
	// Policies reads a policy file's text; for messages the name is kept.
	Log func(msg string, args ...any)
}

// Checkpoints is where the ledger's checkpoint is kept.
type Checkpoints interface {
	// Shelf is what was saved, for reading.
	Shelf(ctx context.Context) ledger.Shelf
	// SaveCheckpoint stores all of a checkpoint in one step, or nothing.
	SaveCheckpoint(ctx context.Context, c *ledger.Checkpoint) error
}

// Host is one running host: its rooms, and what connects them. It is safe for concurrent use: runs of one engine go one after the other, and so do changes of control.
type Host struct {
	inForce
	*tenancy.Tenancy
	*reach.Notes
	*objects.View
	*run.Runner
	*plan.Planner
	*acts.Driver
	*answer.Desk

	passwords *writeback.Desk    // nil where nothing is written into directories
	brings    *provisioning.Desk // nil where no engine can write there

	o       Options
	gate    *gate.Gate
	control *control.Control
	steady  *steady

	lastSave uint64 // sequence number that the last checkpoint covers

	missing map[scoping.ObjectID]bool // linked objects that the census does not know, and whether they were looked up; under prep

	prep   sync.Mutex // refreshes of tenant and census
	easing easing
	save   sync.Mutex // guards lastSave, and lets one Save go on at a time: runs of two engines end at once

	mu      sync.Mutex
	domains time.Time // when the tenant's domains were read; zero: never
	swept   time.Time // when everything was compared
	mended  int       // see Mended
}

// inForce is what outsiders may know of control.
type inForce interface {
	Partition() (*scoping.Partition, error)
	Revision(ctx context.Context, n uint64) (*scoping.Partition, error)
}

// Open folds the ledger, puts what control says in force, and puts every unanswered write in doubt. It works on a full disk: who stops, looks or rolls back has
// to open the host first.
func Open(ctx context.Context, o Options) (*Host, error) {
	ctx = state.WithReserve(ctx)
	o.Tenure = cmp.Or(o.Tenure, tenancy.DefaultTenure)
	ctl := control.New(o.Store, o.NewID, o.Clock.Now)
	h := &Host{o: o, inForce: ctl, control: ctl, swept: o.Clock.Now()}
	before, err := h.control.View(ctx)
	if err != nil {
		return nil, err
	}
	h.steady = newSteady(o.Clock, before.Head.Scale)
	if o.Glance {
		return h, h.glance(ctx)
	}
	if _, err := o.Store.AppendOwed(ctx); err != nil {
		return nil, fmt.Errorf("appending what control owes to the log: %w", err)
	}
	led, err := h.loadLedger(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.furnish(ctx, led); err != nil {
		return nil, err
	}
	if err := h.control.Change(ctx, h.steady.keep); err != nil {
		return nil, err
	}
	n, err := h.gate.Recover(ctx)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		h.say("writes without an answer from an earlier process are in doubt", "writes", n)
	}
	return h, nil
}

// furnish makes the rooms, from the lowest up.
func (h *Host) furnish(ctx context.Context, led *ledger.State) error {
	o := h.o
	keeper, _ := o.Checkpoints.(reach.Keeper)
	var shelf func(context.Context) ledger.Shelf
	if o.Checkpoints != nil {
		shelf = o.Checkpoints.Shelf
	}
	h.Notes = reach.New(ctx, keeper, h.now)
	h.Tenancy = tenancy.New(tenancy.Options{Control: h.control, Census: o.Census, Tenant: o.Tenant, Engines: o.Engines.Names, Identity: o.Identity, Renew: o.Renew,
		Configured: o.Configured, Tenure: o.Tenure, GhostLife: o.GhostLife, Delay: o.Cache.Delay, Remaining: func() time.Duration { return o.Store.Control.Tenure().Remaining() },
		Clock: o.Clock, NewID: o.NewID, Grant: func(ctx context.Context) error { return h.Grant(ctx) }, Waiting: h.waiting})
	h.gate = gate.New(gate.Options{Ledger: led, Cache: o.Cache, Claims: o.Claims, Glance: o.Glance, Tenant: o.Tenant, Census: o.Census, Journal: o.Store.Log, Clock: o.Clock, Steady: h.steady.now,
		GhostLife: o.GhostLife, RequestTime: min(gate.DefaultRequestTime, o.Tenure/4), Tenure: h.Left, Entitle: h.Entitle, NewID: o.NewID, Without: o.Without})
	h.View = objects.New(objects.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Control: h.control, Now: h.now, Without: o.Without})
	if o.Claims != nil {
		o.Census.ReadAfter(o.Claims.NewestReading())
	}
	o.Census.Recall(h.tookBefore)
	o.Census.WatchOnly(o.Engines.Names())
	if err := h.control.Enforce(ctx, h.gate, h.Barred); err != nil {
		return err
	}
	o.Census.Admit(h.Admits)
	h.Runner = run.New(run.Options{Gate: h.gate, Census: o.Census, View: h.View, Control: h.control, Notes: h.Notes, Engines: o.Engines, Clock: o.Clock, Prepare: h.prepare,
		Seen: h.Seen, Sweep: func() { h.Sweep() }, Save: h.Save, Ease: h.ease, Refused: o.Refused, Bin: h.lookInBin, Progress: o.Progress, Trace: o.Trace, Log: o.Log})
	h.Planner = plan.New(plan.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Control: h.control, View: h.View, Run: h.Runner, Engines: o.Engines, Clock: o.Clock,
		Look: h.ensureCensus, LookAtTenant: h.lookAtTenant, Unregistered: o.Unregistered, Survey: o.Survey, Foresee: h.foresee, Without: o.Without})
	h.Driver = acts.New(acts.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Control: h.control, View: h.View, Run: h.Runner, Plan: h.Planner, Tenancy: h.Tenancy,
		Engines: o.Engines, Log: o.Store.Log, Clock: o.Clock, Steady: h.steady.now, Look: h.prepareDirectory, Save: h.Save, Room: o.Store.MakeRoom, Patience: o.Patience, Progress: o.Progress, Without: o.Without})
	h.Desk = answer.New(answer.Options{Gate: h.gate, Cache: o.Cache, Census: o.Census, Control: h.control, View: h.View, Run: h.Runner, Tenancy: h.Tenancy, Notes: h.Notes, Engines: o.Engines,
		Store: o.Store, Shelf: shelf, Look: h.ensureCensus})
	if o.Deliverer != nil {
		h.passwords = writeback.New(writeback.Options{Gate: h.gate, Census: o.Census, Engines: o.Deliverer, Tenant: o.Tenant, Relay: o.Relay, Clock: o.Clock, Entitle: h.Entitle, Own: o.Own,
			NewID: o.NewID, Alive: o.Alive, Log: h.say})
	}
	if o.Bringers != nil {
		h.brings = provisioning.New(provisioning.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Engines: o.Bringers, Flight: o.Flight, Tenant: o.Tenant, Clock: o.Clock, Steady: h.steady.now, NewID: o.NewID,
			Look: h.prepareDirectory, GhostLife: o.GhostLife, Own: o.Own, Log: h.say})
	}
	return nil
}

// SetPasswords returns what carries changes of passwords into the directories; nil where this host does not.
func (h *Host) SetPasswords() *writeback.Desk { return h.passwords }

// SetPassword carries out what an administrator asks for: see writeback.Desk.Set.
func (h *Host) SetPassword(ctx context.Context, o writeback.Order) (writeback.Outcome, error) {
	if err := h.ensureCensus(ctx); err != nil {
		return writeback.Outcome{}, err
	}
	return h.passwords.Set(ctx, o)
}

// waiting tells people how long a command has waited for another host's silence.
func (h *Host) waiting(phase string, done, whole time.Duration) {
	h.progress(run.Progress{Phase: phase, Done: int(done.Seconds()), Total: int(whole.Seconds()),
		Note: "waiting until the other host can write no more: " + (whole - done).Round(time.Second).String()})
}

func (h *Host) say(msg string, args ...any) {
	if h.o.Log != nil {
		h.o.Log(msg, args...)
	}
}

func (h *Host) progress(p run.Progress) {
	if h.o.Progress != nil {
		h.o.Progress(p)
	}
}

func (h *Host) now() time.Time { return h.o.Clock.Now() }

// loadLedger folds the log, from the checkpoint where that is of this log.
func (h *Host) loadLedger(ctx context.Context) (*ledger.State, error) {
	led, err := h.fromCheckpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: folding the log: %w", problem.ErrState, err)
	}
	if led.Seq > h.o.Cache.UpTo() { // the checkpoint has folded settlements that the cache may lack
		if err := h.layOverOlder(ctx, led.Seq); err != nil {
			return nil, fmt.Errorf("%w: reading the log: %w", problem.ErrState, err)
		}
	}
	err = h.o.Store.Log.Read(ctx, led.Seq+1, func(seq uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if id, ended := endOf(r); ended && led.Intents[id] != nil {
			h.layOver(seq, r, led.Intents[id].Record.Intent.Write)
		}
		return led.Fold(seq, r)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: folding the log: %w", problem.ErrState, err)
	}
	h.o.Cache.Reached(led.Seq)
	if led.Unsaved() == 0 { // else what was folded anew, or kept in an older form, is stored with the next save
		h.lastSave = led.Seq
	}
	return led, nil
}

// fromCheckpoint returns the ledger to fold the rest of the log into: the checkpoint's, where that is of this log, else the one with which the log begins.
func (h *Host) fromCheckpoint(ctx context.Context) (*ledger.State, error) {
	if h.o.Checkpoints == nil {
		return h.fromBase(ctx)
	}
	led, hash, err := ledger.Load(h.o.Checkpoints.Shelf(ctx))
	first, _ := h.o.Store.Beginning()
	if err != nil || led == nil || led.Seq == 0 || led.Seq+1 < first || h.hashAt(ctx, led.Seq) != hash {
		return h.fromBase(ctx)
	}
	return led, nil
}

var errEnough = errors.New("enough")

// hashAt returns the log's hash at a record; "" if there is no such record.
func (h *Host) hashAt(ctx context.Context, seq uint64) string {
	if last, hash := h.o.Store.Log.Head(); last == seq { // almost always; any other is looked for in its segment
		return hex.EncodeToString(hash[:])
	}
	var out string
	_ = h.o.Store.Log.ReadChained(ctx, seq, func(e state.LogEntry) error {
		out = hex.EncodeToString(e.Hash[:])
		return errEnough
	})
	return out
}

// Save keeps what may be lost but is slow to make again: the ledger's checkpoint and the tenant's cache. The cache that is kept knows every
// settlement that the checkpoint has folded, so that opening finds the others in the part of the log that it reads anyway.
// Whoever is interrupted keeps what it has as well: ctx does not end it. Work that may use the reserve does not fail for it.
func (h *Host) Save(ctx context.Context) error {
	h.easing.wait()
	err := h.saveNow(ctx)
	if errors.Is(err, state.ErrFull) && state.Reserved(ctx) {
		h.say("the disk is full: what can be read again is not kept", "error", err)
		return nil
	}
	return err
}

func (h *Host) saveNow(ctx context.Context) error {
	ctx = context.WithoutCancel(ctx)
	h.save.Lock()
	defer h.save.Unlock()
	if err := h.Keep(ctx); err != nil {
		return err
	}
	if err := h.gate.Cover(ctx); err != nil {
		return err
	}
	c, err := h.checkpoint(ctx)
	if err != nil {
		return err
	}
	if h.o.SaveCache != nil {
		h.o.Cache.Reached(h.seq()) // the gate gives a settlement to the cache before it is in the log
		if err = h.o.SaveCache(ctx); err != nil {
			err = fmt.Errorf("keeping the tenant's cache: %w", err)
		}
	}
	if c == nil {
		return err
	}
	if err == nil {
		if err = h.o.Checkpoints.SaveCheckpoint(ctx, c); err != nil {
			err = fmt.Errorf("keeping the ledger's checkpoint: %w", err)
		}
	}
	h.gate.Read(func(s *ledger.State) { s.Stored(c, err == nil) })
	if err == nil {
		h.lastSave = c.Seq
	}
	return err
}

// checkpoint encodes what changed of the ledger since it was saved last, if there is a place for it and something did. The lock of saving is held.
func (h *Host) checkpoint(ctx context.Context) (c *ledger.Checkpoint, err error) {
	if h.o.Checkpoints == nil {
		return nil, nil
	}
	h.gate.Read(func(s *ledger.State) {
		if s.Seq != h.lastSave && s.Seq != 0 {
			c, err = s.Checkpoint(h.hashAt(ctx, s.Seq))
		}
	})
	return c, err
}

// unsaved is how much of the ledger may change before a run saves it: no step holds a whole run's changes in memory (standing S11). Of a big ledger it is a 24th: what
// changed lies on nearly as many pages of the store as there are changes, so bigger steps save little, and hold more.
const unsaved = 4096

// ease saves in the middle of a run what became much.
func (h *Host) ease(ctx context.Context) error {
	n, all := 0, 0
	h.gate.Read(func(s *ledger.State) { n, all = s.Unsaved(), s.Rows.Len() })
	if n < cmp.Or(h.o.Unsaved, max(unsaved, all/24)) {
		return nil
	}
	save := func() error { return h.saveNow(ctx) }
	if h.o.Beside == nil {
		return save()
	}
	return h.easing.begin(h.o.Beside, save)
}

// easing is a save that goes on beside a run: one at a time.
type easing struct {
	mu    sync.Mutex
	ended chan error // has the last one's end; nil: there is none
}

// wait lets the last save end. What was wrong with it is wrong with the next one too, or was mended by it.
func (x *easing) wait() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended != nil {
		<-x.ended
		x.ended = nil
	}
}

// begin waits for the end of the last save, and begins the next one. What was wrong with the last one ends the run.
func (x *easing) begin(beside func(func()), save func() error) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended != nil {
		err := <-x.ended
		x.ended = nil
		if err != nil {
			return err
		}
	}
	ended := make(chan error, 1)
	x.ended = ended
	beside(func() { ended <- save() })
	return nil
}

// ReadOnly returns why this host may not write at all, as far as that is known; "" if it may.
func (h *Host) ReadOnly() string { return h.gate.Authority().ReadOnly }

// Gate returns the gate, for reports and tests.
func (h *Host) Gate() *gate.Gate { return h.gate }

// seq returns the number of the last record that the ledger holds.
func (h *Host) seq() (n uint64) {
	h.gate.Read(func(s *ledger.State) { n = s.Seq })
	return n
}
