package scoping

import (
	"errors"
	"fmt"
	"slices"
)

// ErrHandOver is the kind of every error of [Partition.Apply].
var ErrHandOver = errors.New("the hand-over cannot be applied")

// Apply gives the next partition, in which exactly this hand-over happened at the epoch: what From owns in the scope, To
// owns; everything else is as before. Its revision is one higher. A hand-over in whose scope From owns nothing is an error
// of kind [ErrHandOver].
func (p *Partition) Apply(h HandOver, at Epoch) (*Partition, error) {
	if h.From == h.To || h.To == "" || len(h.Scope.Features) == 0 {
		return nil, fmt.Errorf("%w: %v from %q to %q", ErrHandOver, h.Scope.Features, h.From, h.To)
	}
	out := p.shallow()
	out.revision++
	d, err := out.ownPart(h)
	if err != nil {
		return nil, err
	}
	to := Owner{Engine: h.To, Assignment: h.Assignment, Leaving: p.leavingOf(h.Assignment), Epoch: at, Managed: true}
	a := application{h: h, out: out, d: d, to: out.ownerIndex(to)}
	fields := out.switchOn(h.Scope)
	for f := range field(numFields) {
		if fields.has(f) {
			a.field(f)
		}
	}
	if !a.changed {
		return nil, fmt.Errorf("%w: %s owns nothing of the scope under %s", ErrHandOver, h.From, d.tree.name(d.tree.index[h.Scope.Under]))
	}
	d.reindex()
	out.assignments = out.derive()
	return out, nil
}

// switchOn switches on what a scope names, and gives its fields.
func (p *Partition) switchOn(s Scope) fieldSet {
	fields := fieldsOf(s.Features, s.Kinds)
	if len(s.Kinds) == 0 && fields&(1<<numKinds-1) == 0 {
		return fields & p.on // references of every kind that is switched on
	}
	features := slices.Clone(p.features)
	for f := range field(numFields) {
		if fields.has(f) && !p.on.has(f) {
			p.on |= 1<<f.base() | 1<<(f.base()+field(numKinds))
			features = append(features, Base(f.kind()))
		}
	}
	p.features = inTableOrder(features)
	return fields
}

// shallow copies p so that owners, parts and assignments can be replaced.
func (p *Partition) shallow() *Partition {
	c := *p
	c.owners = slices.Clone(p.owners)
	c.parts = slices.Clone(p.parts)
	return &c
}

// leavingOf gives the leaving rule of an assignment, the default if there is none of the name.
func (p *Partition) leavingOf(assignment string) Leaving {
	for _, a := range p.assignments {
		if a.Name == assignment && a.Leaving != "" {
			return a.Leaving
		}
	}
	return p.defaults.Leaving
}

// ownPart replaces the hand-over's directory by a copy that knows all its containers.
func (p *Partition) ownPart(h HandOver) (*part, error) {
	t, old := newTree(), p.part(h.Scope.Directory)
	if old != nil {
		t = old.tree.clone()
	}
	for _, pin := range h.Pins {
		t.addKnown(pin)
	}
	for _, g := range append([]GUID{h.Scope.Under}, h.Scope.Except...) {
		if _, ok := t.index[g]; !ok {
			return nil, fmt.Errorf("%w: it does not say where container %s lies", ErrHandOver, g)
		}
	}
	d := old.onTree(h.Scope.Directory, t)
	if i := slices.Index(p.parts, old); old != nil {
		p.parts[i] = d
		return d, nil
	}
	p.parts = append(p.parts, d)
	slices.SortFunc(p.parts, func(x, y *part) int {
		if x.name < y.name {
			return -1
		}
		return 1
	})
	return d, nil
}

// application is one hand-over on its way into a partition.
type application struct {
	h       HandOver
	out     *Partition
	d       *part
	to      int32
	changed bool
}

// field hands over one field: it freezes what the borders of the scope have now, gives To what From has inside, and drops
// the borders that turned out to divide nothing.
func (a *application) field(f field) {
	t := a.d.tree
	now := make([]int32, len(t.nodes))
	for n := range now {
		now[n] = a.d.at(int32(n), f)
	}
	border := map[int32]bool{}
	for _, g := range append([]GUID{a.h.Scope.Under}, a.h.Scope.Except...) {
		if n := t.index[g]; a.d.marks[n][f] < 0 {
			border[n] = true
		}
	}
	for _, n := range t.outermostFirst() {
		if a.d.marks[n][f] < 0 && !border[n] {
			continue
		}
		want := now[n]
		if a.out.owners[want].Engine == a.h.From && a.h.Scope.holds(t, n) {
			want, a.changed = a.to, true
		}
		if border[n] && a.d.at(t.nodes[n].parent, f) == want {
			continue
		}
		a.d.marks[n][f] = want
	}
}

// holds is Covers for what lies directly in node n.
func (s Scope) holds(t *tree, n int32) bool {
	for ; n >= 0; n = t.nodes[n].parent {
		g := t.nodes[n].guid
		if g == s.Under {
			return true
		}
		if slices.Contains(s.Except, g) {
			return false
		}
	}
	return false
}

// Succeed gives the partition that follows old when p's policy is put in force at the epoch: p's owners and names, old's
// epochs wherever the engine has not changed, and the next revision. A nil old makes the first one in force, revision 1.
func (p *Partition) Succeed(old *Partition, at Epoch) *Partition {
	if old == nil {
		old = Empty()
	}
	out := p.shallow()
	out.revision = old.revision + 1
	out.owners = []Owner{p.owners[outside]}
	index := map[Owner]int32{p.owners[outside]: outside}
	number := func(o Owner) int32 {
		n, ok := index[o]
		if !ok {
			n = int32(len(out.owners))
			index[o] = n
			out.owners = append(out.owners, o)
		}
		return n
	}
	out.parts = nil
	for _, d := range p.parts {
		o := overlap(old, p, d.name)
		merged := (*part)(nil).onTree(d.name, o.tree)
		for _, n := range o.tree.outermostFirst() {
			for f := range field(numFields) {
				if !p.on.has(f) || o.new.marks[n][f] < 0 && o.old.marks[n][f] < 0 {
					continue
				}
				was, is := old.owners[o.old.at(n, f)], p.owners[o.new.at(n, f)]
				dated := number(is.since(was, at))
				if o.new.marks[n][f] >= 0 || merged.at(o.tree.nodes[n].parent, f) != dated {
					merged.marks[n][f] = dated // a pin of old alone stays only where it divides epochs
				}
			}
		}
		merged.reindex()
		out.parts = append(out.parts, merged)
	}
	return out
}

// since dates an owner: by what was, if the engine is the same and was managed, else by the epoch.
func (o Owner) since(was Owner, at Epoch) Owner {
	if !o.Managed {
		return o
	}
	o.Epoch = at
	if was.Engine == o.Engine && was.Managed {
		o.Epoch = was.Epoch
	}
	return o
}
