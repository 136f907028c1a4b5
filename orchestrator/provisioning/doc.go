// Package provisioning brings objects of the tenant into directories: the other direction (flows §4). The tenant is a directory of sources there; an
// object of it is scoping.Cloud of its id.
//
// A run of one engine's assignments goes in rounds, and each step compares what is there: the objects that assignments select and what changed about
// them (source.go), what the engine makes of that (engine.Map), what one named controller shows (a look), and what follows from it all ([Decide],
// which is pure). A round sends at most one write for each object, by permit, and the next one looks again, until nothing is owed.
//
// The ledger's links decide; links that the directory shows are evidence. There is no list of things to do: the ledger has what was agreed, which
// writes have no end, and what people answered.
package provisioning

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Engines map and write.
type Engines interface {
	// Map lets an engine tell what objects of the tenant should be in a directory.
	Map(ctx context.Context, name string, r engine.MapRequest, sources []engine.Source, take func([]engine.Mapping) error) (engine.MapBegin, error)
	// Deliver hands a write, or a look, to an engine: see engine.Deliver.
	Deliver(ctx context.Context, name string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (engine.DeliveryResult, bool, error)
}

// Census is what Desk needs of the host's own view of the directories.
type Census interface {
	gate.Census
	// AsOf returns what was seen of a directory, and the URL of the controller that is read.
	AsOf(name string) (p directory.AsOf, url string, known bool)
	// Resolve finds a container by name, or by "<GUID=…>".
	Resolve(ctx context.Context, name, dn string) (guid scoping.GUID, canonical string, ancestors []scoping.GUID, err error)
	// Root returns the directory's naming context.
	Root(ctx context.Context, name string) (root scoping.GUID, dn string, err error)
	// Linked returns the objects of a directory that show a link and are not deleted.
	Linked(name, link string) []scoping.GUID
	// Carried returns the number of the last reading that changed a container above an object.
	Carried(id scoping.ObjectID) uint64
	// Whole returns the number of the last reading of a directory that does not show which values changed before it, as one from the start.
	Whole(name string) uint64
}

// Tenant is what Desk needs of the tenant client.
type Tenant interface {
	// Find reads objects directly from the tenant, not from any cache.
	Find(ctx context.Context, k cloud.Key) ([]cloud.Object, error)
}

// Options are what a Desk is made of. All but Own and Log are required.
type Options struct {
	Gate    *gate.Gate
	Census  Census
	Cache   *cloud.Cache
	Engines Engines
	Tenant  Tenant
	Clock   gate.Clock
	Steady  func() int64 // ms on the scale that steps of the clock do not move
	NewID   func() string
	Look    func(context.Context) error // brings the census up to date
	// Flight is the most writes in flight at once; less than 1 means 1.
	Flight int
	// GhostLife is how long a write without an answer may still take effect after its time was over.
	GhostLife time.Duration
	Own       map[string][]string // sign-in names of Tandem's own accounts, by directory
	Log       func(msg string, args ...any)
	Without   gate.Safeguard // for simulations only
}

// Desk brings objects of the tenant into directories. It is safe for concurrent use; runs of one engine must follow each other.
type Desk struct {
	o       Options
	answers answers
}

// NewestReading returns the highest number of a reading in any agreement. A census that lost its index has to continue from there, or its new
// readings would look older than the agreements.
func (d *Desk) NewestReading() (n uint64) {
	d.o.Gate.Read(func(led *ledger.State) {
		for _, o := range led.CloudRows() {
			row := led.Rows.Get(o)
			if l := row.Features[scoping.ProvisioningOf(row.Kind)]; l != nil {
				n = max(n, l.Version)
			}
		}
	})
	return n
}

// New makes a desk.
func New(o Options) *Desk {
	if o.GhostLife == 0 {
		o.GhostLife = gate.DefaultGhostLife
	}
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	return &Desk{o: o, answers: answers{of: map[scoping.ObjectID]answer{}, refused: map[scoping.ObjectID]failure{}}}
}
