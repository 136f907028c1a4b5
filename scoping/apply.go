package scoping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
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
	to := Owner{Engine: h.To, Assignment: h.Assignment, Leaving: cmp.Or(h.Leaving, p.leavingOf(h.Assignment)), Epoch: at, Managed: true}
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
	if len(s.Kinds) == 0 && fields&baseFields == 0 && fields&p.on != 0 {
		return fields & p.on // what follows every kind that is switched on
	}
	features := slices.Clone(p.features)
	for f := range field(numFields) {
		if fields.has(f) && !p.on.has(f) {
			features = append(features, f.feature())
			if f.follows() {
				features = append(features, Base(f.kind()))
			}
		}
	}
	p.features = slices.DeleteFunc(inTableOrder(features), func(f Feature) bool { return f == References && !slices.Contains(p.features, f) })
	p.on |= fieldsOn(p.features)
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
	for _, c := range h.Choices {
		d.learn(c)
	}
	for _, g := range slices.Concat(h.Scope.With, h.Scope.Without) {
		if _, ok := d.choices[g]; !ok {
			return nil, fmt.Errorf("%w: it does not say whom choice %s takes", ErrHandOver, g)
		}
	}
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
	now := make([][]clause, len(t.nodes))
	border := map[int32]bool{}
	for _, g := range append([]GUID{a.h.Scope.Under}, a.h.Scope.Except...) {
		if n := t.index[g]; a.d.marks[n][f] < 0 {
			border[n] = true
		}
	}
	for n := range now {
		if n := int32(n); border[n] || a.d.bordered(n, f) {
			now[n] = a.d.list(n, f)
		}
	}
	from := func(o int32) bool { return a.out.owners[o].Engine == a.h.From }
	for _, n := range t.outermostFirst() {
		want := now[n]
		if want == nil {
			continue
		}
		if a.h.Scope.holds(t, n) {
			next, changed := handed(want, cell{a.h.Scope.With, a.h.Scope.Without}, from, a.to)
			if changed {
				want, a.changed = tidied(next, a.d.choices, t.spans(n)), true
			}
		}
		if border[n] && slices.EqualFunc(a.d.list(t.nodes[n].parent, f), want, func(x, y clause) bool { return x.equal(&y) }) {
			continue
		}
		a.d.lay(n, f, want)
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
	var names []string
	for _, d := range p.parts {
		names = append(names, d.name)
	}
	out.overlay(old, p, p.on, names, func(is, was Owner) Owner { return is.since(was, at) })
	return out
}

// overlay gives p the owners that merge makes of what two partitions say of each object, in the given directories.
func (p *Partition) overlay(old, new *Partition, on fieldSet, directories []string, merge func(is, was Owner) Owner) {
	p.owners = []Owner{new.owners[outside]}
	index := map[Owner]int32{new.owners[outside]: outside}
	number := func(o Owner) int32 {
		n, ok := index[o]
		if !ok {
			n = int32(len(p.owners))
			index[o] = n
			p.owners = append(p.owners, o)
		}
		return n
	}
	p.parts = nil
	for _, name := range directories {
		o := overlap(old, new, name)
		merged := (*part)(nil).onTree(name, o.tree)
		maps.Copy(merged.choices, o.old.choices)
		maps.Copy(merged.choices, o.new.choices)
		for _, n := range o.tree.outermostFirst() {
			for f := range field(numFields) {
				if !on.has(f) || !o.new.bordered(n, f) && !o.old.bordered(n, f) {
					continue
				}
				dated := datedList(o.new.list(n, f), o.old.list(n, f), merged.choices, o.tree.spans(n), func(is, was int32) int32 {
					return number(merge(new.owners[is], old.owners[was]))
				})
				above := merged.list(o.tree.nodes[n].parent, f)
				if o.new.bordered(n, f) || !slices.EqualFunc(above, dated, func(x, y clause) bool { return x.equal(&y) }) {
					merged.lay(n, f, dated) // a pin of old alone stays only where it divides epochs
				}
			}
		}
		merged.reindex()
		p.parts = append(p.parts, merged)
	}
}

// datedList dates a decision list by what was: where an owner's objects were not all one owner's before, it is split.
func datedList(is, was []clause, choices map[GUID]Choice, spans func(Choice) bool, date func(is, was int32) int32) []clause {
	if len(is) == 1 && len(was) == 1 {
		return []clause{{owner: date(is[0].owner, was[0].owner)}}
	}
	dec := decider{lists: [][]clause{is, was}, choices: choices, spans: spans, same: func(a, b []int32) bool { return date(a[0], a[1]) == date(b[0], b[1]) }}
	var out []clause
	for _, x := range dec.leaves(cell{}) {
		out = append(out, clause{with: x.with, without: x.without, owner: date(x.owners[0], x.owners[1])})
	}
	out[len(out)-1].with, out[len(out)-1].without = nil, nil // the rest
	return tidied(out, choices, spans)
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
