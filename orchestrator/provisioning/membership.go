package provisioning

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Membership of the groups that assignments name counts through nested groups too. A group that is deleted or emptied, whether the policy names it or
// it is nested, freezes its assignments: no user joins or leaves by them. [A nested group was deleted by mistake; the tenant took it out of the group
// that the policy names, which looked as if an administrator had taken its members out one by one, and all were disabled.] So the ledger keeps which
// nested groups have members, and a person answers whether one is gone for good. Taking a nested group out of its group is a decision about its
// members and freezes nothing, except for the tenant's delay: it is also what a delete shows first.

// selection are the sources that the assignments of the other direction select, each with the one of the highest priority.
type selection struct {
	by     map[scoping.ObjectID]*scoping.Assignment
	frozen map[string]frozen // by assignment
	nested []ledger.NestedIn // by groups of user-provisioning assignments: what is different from what the ledger has
}

// frozen is why no user joins or leaves by an assignment.
type frozen struct {
	why   string
	until string      // when that ends, as the end of a sentence
	gone  []goneGroup // the nested groups because of which it is frozen; none: it is frozen for another reason
}

// goneGroup is a nested group that was deleted or emptied.
type goneGroup struct {
	in scoping.TenantGroup
	ledger.NestedGroup
	how string
}

// selects evaluates the assignments in order of their priority.
func selects(cache *cloud.Cache, led *ledger.State, assignments []scoping.Assignment, now time.Time) selection {
	s := selection{by: map[scoping.ObjectID]*scoping.Assignment{}, frozen: map[string]frozen{}}
	named := map[string]bool{}
	gone := func(group, nested string) bool {
		return slices.ContainsFunc(assignments, func(a scoping.Assignment) bool {
			return answeredGone(led, a.Engine, group, nested, now) == ledger.HoldApproved
		})
	}
	compared := map[string]nestedNow{}
	for i := range assignments {
		a := &assignments[i]
		ids, why := members(cache, a)
		f := frozen{why: why, until: " until it is there again"}
		if slices.Contains(a.Features, scoping.UserProvisioning) {
			for _, g := range a.From.Groups {
				named[g.ID] = true
				if why != "" {
					continue
				}
				x, done := compared[g.ID]
				if !done {
					x = compareNested(cache, g, led.Nested[g.ID], now, func(nested string) bool { return gone(g.ID, nested) })
					if compared[g.ID] = x; !slices.Equal(x.groups, led.Nested[g.ID]) {
						s.nested = append(s.nested, ledger.NestedIn{Group: g.ID, Groups: x.groups, Gone: x.answered})
					}
				}
				if f.gone = append(f.gone, x.gone...); x.waits != "" {
					f.why, f.until = x.waits, " until then"
				}
			}
			if len(f.gone) > 0 {
				f.why = describe(f.gone)
			}
		}
		if f.why != "" {
			s.frozen[a.Name] = f
		}
		for _, id := range ids {
			if o, err := scoping.Cloud(id); err == nil && s.by[o] == nil {
				s.by[o] = a
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(led.Nested)) { // the policy names it no more
		if !named[id] {
			s.nested = append(s.nested, ledger.NestedIn{Group: id, Groups: []ledger.NestedGroup{}})
		}
	}
	return s
}

func describe(gone []goneGroup) string {
	var out []string
	for _, g := range gone {
		out = append(out, fmt.Sprintf("group %q in group %q of the tenant %s", g.Name, g.in.Name, g.how))
	}
	return strings.Join(out, ", and ")
}

// members returns the objects that an assignment selects, sorted, and why that may be fewer than it should be.
func members(cache *cloud.Cache, a *scoping.Assignment) (ids []string, why string) {
	users, groups := slices.Contains(a.Features, scoping.UserProvisioning), slices.Contains(a.Features, scoping.GroupProvisioning)
	if !cache.Loaded(scoping.Group) || !cache.Loaded(scoping.User) {
		return nil, "the tenant was not read wholly yet"
	}
	found := map[string]bool{}
	for _, g := range a.From.Groups {
		o, there := cache.Get(g.ID)
		switch {
		case !there || o.Deleted:
			why = fmt.Sprintf("group %q of the tenant is not there any more", g.Name)
			continue
		case users && len(o.Members) == 0:
			why = fmt.Sprintf("group %q of the tenant has no members", g.Name)
		}
		if groups {
			found[o.ID] = true
		}
		if users {
			maps.Copy(found, below(cache, o).users)
		}
	}
	return slices.Sorted(maps.Keys(found)), why
}

// inside are the users and groups in a group, through others too.
type inside struct {
	users  map[string]bool
	groups map[string]cloud.Object
}

func below(cache *cloud.Cache, top cloud.Object) inside {
	in := inside{users: map[string]bool{}, groups: map[string]cloud.Object{}}
	var add func(g cloud.Object)
	add = func(g cloud.Object) {
		for _, id := range g.Members {
			switch o, there := cache.Get(id); {
			case !there || o.Deleted:
			case o.Kind == scoping.Group && in.groups[id].ID == "" && id != top.ID:
				in.groups[id] = o
				add(o)
			case o.Kind == scoping.User:
				in.users[id] = true
			}
		}
	}
	add(top)
	return in
}

// nestedNow compares the nested groups of a group with those that the ledger knows.
type nestedNow struct {
	groups   []ledger.NestedGroup // to be known from now on
	gone     []goneGroup
	answered []string // those that a person answered are gone
	waits    string   // why no user joins or leaves until the tenant's delay has passed
}

func compareNested(cache *cloud.Cache, g scoping.TenantGroup, known []ledger.NestedGroup, now time.Time, answered func(nested string) bool) (x nestedNow) {
	top, _ := cache.Get(g.ID)
	in := below(cache, top).groups
	next := map[string]ledger.NestedGroup{}
	for id, o := range in {
		if len(o.Members) > 0 {
			next[id] = ledger.NestedGroup{ID: id, Name: o.Values.First(cloud.DisplayName)}
		}
	}
	for _, k := range known {
		if _, whole := next[k.ID]; whole {
			continue
		}
		o, there := cache.Get(k.ID)
		how := "is not there any more"
		switch _, nested := in[k.ID]; {
		case nested:
			how, k.Out = "has no members any more", 0
		case there && !o.Deleted:
			if k.Out == 0 {
				k.Out = now.UnixMilli()
			}
			if now.Before(time.UnixMilli(k.Out).Add(cache.Delay())) {
				next[k.ID], x.waits = k, fmt.Sprintf("group %q is not in group %q of the tenant any more, and whether it was taken out or deleted shows within %s", k.Name, g.Name, cache.Delay())
			}
			continue
		}
		if answered(k.ID) {
			x.answered = append(x.answered, k.ID)
			continue
		}
		next[k.ID] = k
		x.gone = append(x.gone, goneGroup{g, k, how})
	}
	for _, id := range slices.Sorted(maps.Keys(next)) {
		x.groups = append(x.groups, next[id])
	}
	return x
}

// selectNow evaluates the assignments of the run's partition. An account that a frozen assignment brought is left to it, whatever others select: its
// user may be in their groups only because it is shown in the frozen one's no more.
func (r *run) selectNow(all []scoping.Assignment) selection {
	now := r.o.Clock.Now()
	var s selection
	r.o.Gate.Read(func(led *ledger.State) {
		s = selects(r.o.Cache, led, all, now)
		if len(s.frozen) == 0 {
			return
		}
		for _, o := range led.CloudRows() {
			row := led.Rows.Get(o)
			id, err := scoping.Cloud(row.CloudID)
			f := scoping.ProvisioningOf(row.Kind)
			if err != nil || row.State != ledger.Live {
				continue
			}
			at, owned := r.partition.Target(r.o.Census.Brief(o).Place(o.Directory), f)
			for i := range all {
				a := &all[i]
				if by := s.by[id]; by != nil && (by.Name == a.Name || by.Priority > a.Priority) {
					break
				}
				if _, is := s.frozen[a.Name]; is && a.Directory == o.Directory && slices.Contains(a.Features, f) && (owned && at.Name == a.Name || !owned && brought(row, f, *a)) {
					s.by[id] = a
					break
				}
			}
		}
	})
	return s
}

// answeredGone returns a person's answer about a nested group that was deleted or emptied.
func answeredGone(led *ledger.State, engineName, group, nested string, now time.Time) ledger.HoldState {
	id, err := scoping.Cloud(nested)
	if err != nil {
		return ledger.HoldOpen
	}
	said, _ := led.Answered(ledger.Question{Engine: engineName, Object: id, Feature: scoping.UserProvisioning, Grave: ledger.GoneGroup(group, nested)}, now.UnixMilli())
	return said
}

// keepNested records which nested groups bring users. It comes before any write: a group of which nothing is known yet may vanish unnoticed.
func (r *run) keepNested(ctx context.Context, s selection) error {
	var rs []ledger.Record
	for i := range s.nested {
		n := s.nested[i]
		var names []string
		for _, g := range n.Groups {
			names = append(names, fmt.Sprintf("%q", g.Name))
		}
		why := "no group with members is in it"
		if len(names) > 0 {
			why = "groups with members in it: " + strings.Join(names, ", ")
		}
		name := n.Group
		if o, there := r.o.Cache.Get(n.Group); there {
			name = cmp.Or(o.Values.First(cloud.DisplayName), name)
		}
		rs = append(rs, ledger.Record{Type: ledger.NestedType, Engine: r.engine, Kind: scoping.Group, Name: name, Feature: scoping.UserProvisioning, Outcome: engine.Applied, Reason: why, Epoch: r.o.Gate.Authority().Epoch, Nested: &n})
	}
	return r.o.Gate.Record(ctx, rs...)
}

// freeze reports why no user joins or leaves by an assignment, and asks a person whether nested groups are gone for good.
func (r *run) freeze(a scoping.Assignment, f frozen) {
	r.report.Complete = false
	if len(f.gone) == 0 {
		r.problem(a, CodeFrozenFrom, f.why+": nobody joins or leaves by assignment "+a.Name+f.until)
		return
	}
	rejected := false
	for _, g := range f.gone {
		id, err := scoping.Cloud(g.ID)
		if err != nil {
			continue
		}
		var said ledger.HoldState
		r.o.Gate.Read(func(led *ledger.State) { said = answeredGone(led, r.engine, g.in.ID, g.ID, r.o.Clock.Now()) })
		if said == ledger.HoldRejected {
			rejected = true
			continue
		}
		r.hold(bin{a.Name, ledger.GoneGroups, scoping.Group}, "a group by which users are brought was deleted or emptied; approve if they are to leave: tenant → directory",
			ledger.HeldEntry{Object: id, Kind: scoping.Group, Feature: scoping.UserProvisioning, Name: g.Name, Grave: ledger.GoneGroup(g.in.ID, g.ID),
				Note: fmt.Sprintf("it is in group %q and %s. Approved, who was brought through it leaves; until then nobody joins or leaves by assignment %s", g.in.Name, g.how, a.Name)})
	}
	text := ": nobody joins or leaves by assignment " + a.Name + " until it is there again, or a person approves in `tandem held list` that its members leave"
	if rejected {
		text = ": nobody joins or leaves by assignment " + a.Name + " until it is there again, since a person rejected that its members leave"
	}
	r.problem(a, CodeFrozenFrom, f.why+text)
}
