// Package host makes the rooms of a running host and connects them, and does what none of them can do alone: it reads tenant and directories and
// draws the conclusions before each run, puts the first policy in force, stops writing, and takes people's answers to held sets. It works over
// interfaces, so that the simulation runs it unchanged; package orchestrator gives it real directories, a real tenant and engine processes.
//
// Open folds the ledger, makes the rooms from the lowest up, puts in force what control says, and puts requests without an answer in doubt. After
// that all methods may run at once. Save stores what is slow to compute again; a host that ends without it loses nothing.
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
	// Refresh brings the cache up to date and returns the ids that others changed.
	Refresh(ctx context.Context, c *cloud.Cache, now time.Time) (changed []string, err error)
	// Domains returns the verified domains and the initial one.
	Domains(ctx context.Context) (verified []string, initial string, err error)
}

// Options are what a host is made of. Store, Census, Tenant, Cache, Engines, Clock and NewID are required.
type Options struct {
	Store     *state.Store
	Census    *census.Census
	Tenant    Tenant
	Cache     *cloud.Cache
	Claims    *table.Claims // the claims of engines; nil: not kept for the next process
	Engines   run.Engines
	Deliverer writeback.Engines    // nil: nothing is written into directories
	Bringers  provisioning.Engines // nil: objects of the tenant are not brought into directories
	Flight    int                  // most writes into a directory that an engine may have in flight; 0: one
	Relay     writeback.Relay      // nil: the tenant hands out no changed passwords
	// Own are, by directory, the sign-in names of Tandem's own accounts: their passwords are never set.
	Own       map[string][]string
	Alive     func(context.Context) // called while a poll of the relay goes on; nil: not watched
	Clock     gate.Clock
	NewID     func() string
	GhostLife time.Duration
	// SaveCache stores the tenant's cache in its index file; nil: not kept.
	SaveCache func(context.Context) error
	// Checkpoints stores the ledger's checkpoint; nil: the log is folded from the start each time.
	Checkpoints Checkpoints
	// Unsaved is how many rows of the ledger may change before they are saved in the middle of a run; 0: see unsaved.
	Unsaved int
	// Beside runs f beside a run; Save waits for its end. nil: the run itself waits for it.
	Beside func(f func())
	// Glance opens a host for display, fast and without changes: see [ErrGlance]. Store, Census and Cache must be opened for display too.
	Glance  bool
	Without gate.Safeguard // for simulations only
	// Patience is how long a command waits inside a phase that ends by itself (a soak).
	Patience time.Duration
	// Survey reads the directories as a whole, for plans; nil: plans do not count references that cross engines.
	Survey func(context.Context) (*assess.Survey, error)
	// Refused returns the features that the tenant does not take, and why: engines that write through the gate cannot be given them (rule J4). nil:
	// it takes all.
	Refused func(context.Context) map[scoping.Feature]string
	// Unregistered returns the extensions of users that the tenant does not have; nil: it has all.
	Unregistered func(ctx context.Context, names []string) ([]string, error)
	// Progress receives progress for display; may be nil.
	Progress func(run.Progress)
	Trace    run.Trace // may be nil
	// Identity distinguishes this host from others that may write to the tenant. Renew gives the state folder a new identity at a take-over; nil: it
	// keeps its identity.
	Identity tenancy.Identity
	Renew    func() (tenancy.Identity, error)
	// Tenure is how long a host may go on writing after it last saw that the tenant's mark is its own; 0: tenancy.DefaultTenure.
	Tenure time.Duration
	// Configured is the configuration of tenant and directories.
	Configured tenancy.Configured
	// Log logs a message with key-value pairs; may be nil.
	Log func(msg string, args ...any)
}

// Checkpoints is where the ledger's checkpoint is kept.
type Checkpoints interface {
	// Shelf returns the stored checkpoint for reading.
	Shelf(ctx context.Context) ledger.Shelf
	// SaveCheckpoint stores all of a checkpoint in one step, or nothing.
	SaveCheckpoint(ctx context.Context, c *ledger.Checkpoint) error
}

// Host is one running host: its rooms, and what connects them. It is safe for concurrent use: runs of one engine follow each other, and so do changes
// of control.
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
	steady  *control.Steady

	lastSave uint64 // the last record in the last checkpoint

	missing map[scoping.ObjectID]bool // linked objects that the census does not know, and whether they were looked up; guarded by prep

	prep   sync.Mutex // serializes refreshes of tenant and census
	easing easing
	save   sync.Mutex // guards lastSave and serializes saves: runs of two engines may end at once

	mu      sync.Mutex
	domains time.Time // when the tenant's domains were read; zero: never
	swept   time.Time // when everything was compared
	fixed   int       // see Fixed
}

// inForce is the part of control that the host exports.
type inForce interface {
	Partition() (*scoping.Partition, error)
	Revision(ctx context.Context, n uint64) (*scoping.Partition, error)
}

// Open folds the ledger, puts in force what control says, and puts every unanswered write in doubt. It works on a full disk: stopping, looking and
// rolling back need an open host.
func Open(ctx context.Context, o Options) (*Host, error) {
	ctx = state.WithReserve(ctx)
	o.Tenure = cmp.Or(o.Tenure, tenancy.DefaultTenure)
	ctl := control.New(o.Store, o.NewID, o.Clock.Now)
	h := &Host{o: o, inForce: ctl, control: ctl, swept: o.Clock.Now()}
	before, err := h.control.View(ctx)
	if err != nil {
		return nil, err
	}
	h.steady = control.NewSteady(o.Clock, before.Head.Scale)
	if o.Glance {
		return h, h.glance(ctx)
	}
	if _, err := o.Store.AppendPending(ctx); err != nil {
		return nil, fmt.Errorf("appending what control owes to the log: %w", err)
	}
	led, err := h.loadLedger(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.furnish(ctx, led); err != nil {
		return nil, err
	}
	if err := h.control.Change(ctx, h.steady.Keep); err != nil {
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
	h.gate = gate.New(gate.Options{Ledger: led, Cache: o.Cache, Claims: o.Claims, Glance: o.Glance, Tenant: o.Tenant, Census: o.Census, Journal: o.Store.Log, Clock: o.Clock, Steady: h.steady.Now,
		GhostLife: o.GhostLife, RequestTime: min(gate.DefaultRequestTime, o.Tenure/4), Tenure: h.Left, Entitle: h.Entitle, NewID: o.NewID, Without: o.Without})
	h.View = objects.New(objects.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Control: h.control, Now: h.now, Without: o.Without})
	if o.Claims != nil {
		o.Census.ReadAfter(o.Claims.NewestReading())
	}
	o.Census.SelectionHistory(h.tookBefore)
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
		Engines: o.Engines, Log: o.Store.Log, Clock: o.Clock, Steady: h.steady.Now, Look: h.prepareDirectory, Save: h.Save, Room: o.Store.MakeRoom, Patience: o.Patience, Progress: o.Progress, Without: o.Without})
	h.Desk = answer.New(answer.Options{Gate: h.gate, Cache: o.Cache, Census: o.Census, Control: h.control, View: h.View, Run: h.Runner, Tenancy: h.Tenancy, Notes: h.Notes, Engines: o.Engines,
		Store: o.Store, Shelf: shelf, Look: h.ensureCensus})
	if o.Deliverer != nil {
		h.passwords = writeback.New(writeback.Options{Gate: h.gate, Census: o.Census, Engines: o.Deliverer, Tenant: o.Tenant, Relay: o.Relay, Clock: o.Clock, Entitle: h.Entitle, Own: o.Own,
			NewID: o.NewID, Alive: o.Alive, Log: h.say})
	}
	if o.Bringers != nil {
		h.brings = provisioning.New(provisioning.Options{Gate: h.gate, Census: o.Census, Cache: o.Cache, Engines: o.Bringers, Flight: o.Flight, Tenant: o.Tenant, Clock: o.Clock, Steady: h.steady.Now, NewID: o.NewID,
			Look: h.prepareDirectory, GhostLife: o.GhostLife, Own: o.Own, Log: h.say, Without: o.Without})
		if !o.Glance { // it looks through all rows, and a glance numbers no reading
			o.Census.ReadAfter(h.brings.NewestReading())
		}
	}
	return nil
}

// SetPasswords returns the desk that writes changed passwords into the directories; nil if this host does not.
func (h *Host) SetPasswords() *writeback.Desk { return h.passwords }

// SetPassword carries out an administrator's order: see writeback.Desk.Set.
func (h *Host) SetPassword(ctx context.Context, o writeback.Order) (writeback.Outcome, error) {
	if err := h.ensureCensus(ctx); err != nil {
		return writeback.Outcome{}, err
	}
	return h.passwords.Set(ctx, o)
}

// waiting shows how long a command has waited for another host to stop writing.
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

// loadLedger folds the log, from the checkpoint if that is of this log.
func (h *Host) loadLedger(ctx context.Context) (*ledger.State, error) {
	led, err := h.fromCheckpoint(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: folding the log: %w", problem.ErrState, err)
	}
	if led.Seq > h.o.Cache.UpTo() { // the checkpoint includes answers that the cache may lack
		if err := h.layOverOlder(ctx, led.Seq); err != nil {
			return nil, fmt.Errorf("%w: reading the log: %w", problem.ErrState, err)
		}
	}
	err = h.o.Store.Log.Read(ctx, led.Seq+1, func(seq uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return fmt.Errorf("record %d: %w", seq, err)
		}
		if id, ended := r.Ends(); ended && led.Intents[id] != nil {
			h.layOver(seq, r, led.Intents[id].Record.Intent.Write)
		}
		return led.Fold(seq, r)
	})
	if err != nil {
		return nil, fmt.Errorf("%w: folding the log: %w", problem.ErrState, err)
	}
	h.o.Cache.Reached(led.Seq)
	if led.Unsaved() == 0 { // otherwise the next save stores what was folded, or converted from an older form
		h.lastSave = led.Seq
	}
	return led, nil
}

// fromCheckpoint returns the ledger to fold the rest of the log into: the checkpoint's if it is of this log, else the one that the log begins with.
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
	if last, hash := h.o.Store.Log.Head(); last == seq { // almost always; other records are looked up in their segment
		return hex.EncodeToString(hash[:])
	}
	var out string
	_ = h.o.Store.Log.ReadChained(ctx, seq, func(e state.LogEntry) error {
		out = hex.EncodeToString(e.Hash[:])
		return errEnough
	})
	return out
}

// Save stores what is slow to compute again: the ledger's checkpoint and the tenant's cache. The stored cache includes every answer that the
// checkpoint has folded, so that opening finds the others in the part of the log that it reads anyway. Cancelling ctx does not stop it: an
// interrupted command saves too. With the disk's reserve (state.WithReserve) a full disk is no error.
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
		h.o.Cache.Reached(h.seq()) // an answer is in the cache before it is in the log
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

// checkpoint encodes what changed in the ledger since the last save, if checkpoints are kept and anything did. h.save is held.
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

// unsaved is how many rows may change before a run saves them: no step keeps a whole run's changes in memory (standing S11). In a large ledger it is
// a 24th of the rows: changes are spread over nearly as many pages of the store, so larger steps save little and need more memory.
const unsaved = 8192

// ease saves in the middle of a run if enough has changed.
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

// easing is a save that goes on beside a run, one at a time.
type easing struct {
	mu    sync.Mutex
	ended chan error // receives the last one's error; nil: there is none
}

// wait waits for the last save. Its error is dropped: the next save meets the same one, or succeeds.
func (x *easing) wait() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.ended != nil {
		<-x.ended
		x.ended = nil
	}
}

// begin waits for the last save, whose error ends the run, and begins the next one.
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

// ReadOnly returns why this host may not write at all, as far as is known; "" if it may.
func (h *Host) ReadOnly() string { return h.gate.Authority().ReadOnly }

// Gate returns the gate, for reports and tests.
func (h *Host) Gate() *gate.Gate { return h.gate }

// seq returns the number of the last record in the ledger.
func (h *Host) seq() (n uint64) {
	h.gate.Read(func(s *ledger.State) { n = s.Seq })
	return n
}
