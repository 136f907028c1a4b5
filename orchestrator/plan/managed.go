package plan

import (
	"cmp"
	"context"
	"fmt"
	"reflect"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Effect is what another list of managed attributes does to one attribute of the objects of one scope. If it is not managed any more, the tenant's
// values stay; if it becomes managed, the owner of the scope writes the directory's values, and clears those that the directory does not have.
type Effect struct {
	Engine    string   `json:"engine"`
	Directory string   `json:"directory"`
	Under     string   `json:"under"`
	Attribute string   `json:"attribute"`
	Kept      int      `json:"kept,omitempty"` // objects whose value in the tenant stays unmanaged from now on
	Written   int      `json:"written,omitempty"`
	Cleared   int      `json:"cleared,omitempty"`
	Examples  []string `json:"examples,omitempty"`
	Basis     string   `json:"basis,omitempty"` // "not-run": the owner could not be asked, so nothing is counted
}

// managing compares the managed attributes of two policies' defaults.
type managing struct {
	is    gate.Managed
	left  []string // managed until now
	taken []string // managed from now on
}

func compareManaged(was, is gate.Managed) managing {
	out := managing{is: is}
	for _, x := range []struct{ gone, come map[string]bool }{{was.Extensions, is.Extensions}, {is.LeaveOut, was.LeaveOut}} {
		for n := range x.gone {
			if !x.come[n] {
				out.left = append(out.left, n)
			}
		}
		for n := range x.come {
			if !x.gone[n] {
				out.taken = append(out.taken, n)
			}
		}
	}
	slices.Sort(out.left)
	slices.Sort(out.taken)
	return out
}

// managed returns the managed attributes that a plan's target is judged by; nil if they are those in force.
func (r *Planner) managed(target *scoping.Partition) *gate.Managed {
	if target == nil {
		return nil
	}
	is := gate.ManagedBy(target.Defaults())
	if reflect.DeepEqual(is, r.o.Gate.Rules().Managed) {
		return nil
	}
	return &is
}

// track makes sure that the tenant is read with the registered extensions of a plan, so that existing values are no difference.
func (r *Planner) track(ctx context.Context, m *gate.Managed) error {
	if m == nil {
		return nil
	}
	var fresh []string
	for n := range m.Extensions {
		if attribute.Registered(n) && !slices.Contains(r.o.Cache.Tracked(), n) {
			fresh = append(fresh, n)
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	r.o.Cache.Track(fresh...)
	return r.o.Run.Prepare(ctx)
}

// effects returns, for each scope with an engine, what another list of managed attributes does. With run, owners are asked what they would write.
func (r *Planner) effects(ctx context.Context, cur *scoping.Partition, m managing, run bool) ([]Effect, error) {
	if len(m.left)+len(m.taken) == 0 {
		return nil, nil
	}
	regions := slices.DeleteFunc(cur.Regions(), func(x scoping.Region) bool { return x.Owner.Engine == scoping.None })
	found := effects{planner: r, of: map[effectKey]*Effect{}}
	found.leftAlone(regions, m)
	for _, name := range cur.Engines() {
		if err := found.takenUp(ctx, name, regions, m, run); err != nil {
			return nil, err
		}
	}
	out := make([]Effect, 0, len(found.of))
	for _, e := range found.of {
		out = append(out, *e)
	}
	slices.SortFunc(out, func(a, b Effect) int {
		return cmp.Or(cmp.Compare(a.Attribute, b.Attribute), cmp.Compare(a.Directory, b.Directory), cmp.Compare(a.Under, b.Under), cmp.Compare(a.Engine, b.Engine))
	})
	return out, nil
}

// effects gathers results by scope and attribute.
type effects struct {
	planner *Planner
	of      map[effectKey]*Effect
}

type effectKey struct {
	engine, attribute string
	under             scoping.ObjectID
}

func (f effects) at(x scoping.Region, name string) *Effect {
	k := effectKey{x.Owner.Engine, name, scoping.ObjectID{Directory: x.Scope.Directory, GUID: x.Scope.Under}}
	if f.of[k] == nil {
		e := &Effect{Engine: k.engine, Directory: x.Scope.Directory, Attribute: name}
		if pin, ok := f.planner.o.View.Pin(k.under); ok {
			e.Under = pin.DN
		}
		f.of[k] = e
	}
	return f.of[k]
}

// example adds an object's name, among the first few.
func (e *Effect) example(name string) {
	if len(e.Examples) < maxExamples {
		e.Examples = append(e.Examples, name)
	}
}

// regionOf returns the region of a feature of an object, if there is one.
func (f effects) regionOf(regions []scoping.Region, id scoping.ObjectID, k scoping.Kind, of scoping.Feature) (scoping.Region, bool) {
	place := f.planner.o.Census.Sight(id).Place(id.Directory)
	i := slices.IndexFunc(regions, func(x scoping.Region) bool { return x.Scope.Writes(k, of) && x.Scope.Covers(place) })
	if i < 0 {
		return scoping.Region{}, false
	}
	return regions[i], true
}

// leftAlone counts the values that stay in the tenant unmanaged.
func (f effects) leftAlone(regions []scoping.Region, m managing) {
	f.planner.o.Gate.Read(func(led *ledger.State) {
		for _, id := range led.Objects() {
			row := led.Rows.Get(id)
			o, shown := f.planner.o.View.Cloud(row)
			if row.State != ledger.Live || !shown || o.Deleted {
				continue
			}
			for _, n := range m.left {
				of := attribute.FeatureOf(row.Kind, n)
				if len(o.Values[n]) == 0 || of == "" || !m.is.Leaves(row.Kind, n) {
					continue
				}
				if x, ok := f.regionOf(regions, id, row.Kind, of); ok {
					e := f.at(x, n)
					e.Kept++
					e.example(row.Name)
				}
			}
		}
	})
}

// takenUp lets an engine propose by the new rules where it owns objects, and counts the result.
func (f effects) takenUp(ctx context.Context, name string, regions []scoping.Region, m managing, ask bool) error {
	own := slices.DeleteFunc(slices.Clone(regions), func(x scoping.Region) bool { return x.Owner.Engine != name })
	if len(m.taken) == 0 || len(own) == 0 {
		return nil
	}
	var scopes []scoping.Scope
	for _, x := range own {
		scopes = append(scopes, x.Scope)
	}
	var h *run.Heard
	var err error
	if ask {
		h, err = f.planner.o.Run.Run(ctx, run.Request{Engine: name, Profile: engine.ProfileFull, Scopes: scopes, Ceiling: engine.ModeShadow, Silent: true, Managed: &m.is, Phase: "shadow"})
		if err != nil {
			return fmt.Errorf("asking engine %s what it would write of %v: %w", name, m.taken, err)
		}
	}
	if h == nil || !h.Complete {
		for _, x := range own {
			for _, n := range m.taken {
				f.at(x, n).Basis = "not-run"
			}
		}
		return nil
	}
	for j := range h.Summary.All() {
		if j.Op != "update" {
			continue
		}
		x, owned := f.regionOf(own, j.Key.Object, j.Kind, j.Key.Feature)
		for _, n := range m.taken {
			after, written := j.After[n]
			switch {
			case !written || !owned:
				continue
			case len(after) == 0:
				f.at(x, n).Cleared++
			default:
				f.at(x, n).Written++
			}
			f.at(x, n).example(j.Name)
		}
	}
	return nil
}
