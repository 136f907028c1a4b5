// Package objects is the view of objects through all memories at once: where an object is (census), what was agreed about it (ledger), what the
// tenant shows of it (cache) and who owns it (the authority in force). It resolves names, finds owners and the engine to ask, lists what is in
// scopes, held sets and findings. It changes nothing except the choices that the census watches.
package objects

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Options are what a View is made of.
type Options struct {
	Gate    *gate.Gate
	Census  *census.Census
	Cache   *cloud.Cache
	Control *control.Control
	Now     func() time.Time
	Without gate.Safeguard // for simulations only
}

// View is the view of objects. It is safe for concurrent use. Results are of the moment: two calls may see different versions of a memory.
type View struct {
	gate    *gate.Gate
	census  *census.Census
	cache   *cloud.Cache
	control *control.Control
	now     func() time.Time
	without gate.Safeguard

	mu      sync.Mutex
	planned []scoping.Choice   // choices of a plan that are not in force
	plans   int                // how often planned was replaced
	told    *scoping.Partition // the partition of planned once the census has its choices, or nil
}

// New makes a view.
func New(o Options) *View {
	return &View{gate: o.Gate, census: o.Census, cache: o.Cache, control: o.Control, now: o.Now, without: o.Without}
}

// Name returns an object's distinguished name, or its id if the census does not know it; "" for no object.
func (v *View) Name(id scoping.ObjectID) string {
	if id.GUID.IsZero() {
		return ""
	}
	if s := v.census.Sight(id); s.Known {
		return s.Name
	}
	return id.String()
}

// Owner returns the engine that owns an object's base feature at its place.
func (v *View) Owner(auth gate.Authority, id scoping.ObjectID, k scoping.Kind) string {
	return v.OwnerOf(auth, id, k, scoping.Base(k))
}

// OwnerOf returns the engine that owns a feature of an object at its place.
func (v *View) OwnerOf(auth gate.Authority, id scoping.ObjectID, k scoping.Kind, f scoping.Feature) string {
	return auth.Owner(v.census.Brief(id).Place(id.Directory), k, f).Engine
}

// Cloud returns the cloud object of a row, which may be nil.
func (v *View) Cloud(row *ledger.Row) (cloud.Object, bool) {
	if row == nil || row.CloudID == "" {
		return cloud.Object{}, false
	}
	return v.cache.Get(row.CloudID)
}

// Addressee returns the engine to ask for a feature of an object now; "" if the object is not known.
func (v *View) Addressee(led *ledger.State, auth gate.Authority, k ledger.Key) string {
	sight := v.census.Sight(k.Object)
	if !sight.Known {
		return ""
	}
	if sight.Deleted {
		if row := led.Rows.Get(k.Object); row != nil {
			return v.OwnerOfGone(led, auth, row)
		}
		return ""
	}
	return auth.Owner(sight.Place(k.Object.Directory), sight.Kind, k.Feature).Engine
}

// OwnerOfGone returns the engine that may delete an object which is deleted in the directory.
func (v *View) OwnerOfGone(led *ledger.State, auth gate.Authority, row *ledger.Row) string {
	return gate.OwnerOfGone(led, auth, row, v.census.Sight(row.Object))
}

// CloudName returns a cloud object's name for display: its directory object's name, or its own with its id.
func (v *View) CloudName(id string) string {
	name := ""
	v.gate.Read(func(s *ledger.State) {
		if row, ok := s.ByCloud(id); ok {
			name = row.Name
		}
	})
	if o, ok := v.cache.Get(id); ok && name == "" {
		name = strings.TrimSpace(o.Values.First(cloud.DisplayName) + " (" + id + ")")
	}
	if name == "" {
		return id
	}
	return name
}

// Placing returns the records of where an object was seen now and which choices take it, for the features whose owner is unchanged: later transfers go by
// them (rule L1).
func (v *View) Placing(s *ledger.State, auth gate.Authority, row *ledger.Row, sight gate.Sight) (out []ledger.Record) {
	if !sight.Known || sight.Deleted || row.Transit != nil || row.State == ledger.DeletedByTandem {
		return nil
	}
	if _, pending := s.Pending(row.Object); pending {
		return nil
	}
	for _, f := range slices.Sorted(maps.Keys(row.Features)) {
		l := row.Features[f]
		if slices.Equal(l.Chain, sight.Chain) && (slices.Equal(l.Chosen, sight.Chosen) || !v.without.RecordsChoices()) {
			continue
		}
		record, known := s.OwnerOfRow(row, f)
		if f.Provisions() && record == scoping.None {
			continue // the place of a leaver's account says which assignment brought it, and so who disables it when it comes back
		}
		if !known || auth.Owner(sight.Place(row.Object.Directory), row.Kind, f).Engine != record {
			continue
		}
		id := row.Object
		out = append(out, ledger.Record{Type: ledger.PlaceType, Engine: record, Object: &id, Kind: row.Kind, Name: v.Name(row.Object), Feature: f, Op: "place", Epoch: auth.Epoch,
			Claim: &ledger.Claim{Place: sight.Parent, Chain: sight.Chain, Chosen: sight.Chosen}})
	}
	return out
}
