package scoping

import (
	"cmp"
	"slices"
	"strings"
)

// Region is a scope whose objects have one and the same owner.
type Region struct {
	Scope Scope
	Owner Owner
}

// component is a part of one directory in which a field has one colour: the subtree of its top without the subtrees of the
// components beneath it, and of that the objects of one cell.
type component struct {
	top    int32
	parent int32 // index of the first component around it, -1 if there is none
	colour int32
	except []int32 // tops of the components directly beneath it
	cell
}

// hue is the colour of the objects of one cell.
type hue struct {
	cell
	colour int32
}

func plainHue(colour int32) []hue { return []hue{{colour: colour}} }

// components splits a directory by colours. hues says how what lies directly in a container is coloured, and is asked only
// where that may differ from the container above. Colour 0 is not reported, but its components stand as exceptions.
func components(t *tree, order []int32, marked func(n int32) bool, hues func(n int32) []hue) []component {
	type location struct {
		top    int32
		around int32
		hues   []hue
		except []int32
		first  int32 // of its components
	}
	var found []location
	inside := make([]int32, len(t.nodes)) // the location in which the objects of a node lie
	for _, n := range order {
		around := int32(-1)
		if a := t.nodes[n].parent; a >= 0 {
			around = inside[a]
		}
		inside[n] = around
		if !marked(n) {
			continue
		}
		h := hues(n)
		if around < 0 && len(h) == 1 && h[0].colour == 0 || around >= 0 && sameHues(found[around].hues, h) {
			continue
		}
		inside[n] = int32(len(found))
		found = append(found, location{top: n, around: around, hues: h})
		if around >= 0 {
			found[around].except = append(found[around].except, n)
		}
	}
	var out []component
	for i := range found {
		l := &found[i]
		l.first = int32(len(out))
		parent := int32(-1)
		if l.around >= 0 {
			parent = found[l.around].first
		}
		for _, h := range l.hues {
			out = append(out, component{top: l.top, parent: parent, colour: h.colour, except: l.except, cell: h.cell})
		}
	}
	return out
}

func sameHues(a, b []hue) bool {
	return slices.EqualFunc(a, b, func(x, y hue) bool {
		return x.colour == y.colour && slices.Equal(x.with, y.with) && slices.Equal(x.without, y.without)
	})
}

// hues colours what lies directly in a node by owners.
func (d *part) hues(n int32, f field, colours []int32) []hue {
	l := d.list(n, f)
	if len(l) == 1 {
		return plainHue(colours[l[0].owner])
	}
	dec := decider{lists: [][]clause{l}, choices: d.choices, spans: d.tree.spans(n), same: func(a, b []int32) bool { return colours[a[0]] == colours[b[0]] }}
	var out []hue
	for _, x := range dec.leaves(cell{}) {
		out = append(out, hue{x.cell, colours[x.owners[0]]})
	}
	return out
}

// shape is a component that several fields may share.
type shape struct {
	fields fieldSet
	c      component
}

// shapes merges the components of all fields that have the same extent and colour.
func shapes(t *tree, all fieldSet, split func(f field, order []int32) []component) []shape {
	order := t.outermostFirst()
	var out []shape
	found := map[string]int{}
	for f := range field(numFields) {
		if !all.has(f) {
			continue
		}
		for _, c := range split(f, order) {
			if c.colour == 0 {
				continue
			}
			c.except = slices.Clone(c.except)
			slices.SortFunc(c.except, func(x, y int32) int { return t.nodes[x].guid.Compare(t.nodes[y].guid) })
			k := extent(c)
			i, ok := found[k]
			if !ok {
				i = len(out)
				found[k] = i
				out = append(out, shape{c: c})
			}
			out[i].fields |= 1 << f
		}
	}
	sortShapes(t, out)
	return out
}

func extent(c component) string {
	var b strings.Builder
	put := func(n int32) { b.Write([]byte{byte(n), byte(n >> 8), byte(n >> 16), byte(n >> 24)}) }
	put(c.colour)
	put(c.top)
	for _, e := range c.except {
		put(e)
	}
	for _, g := range c.with {
		b.WriteString("+" + string(g[:]))
	}
	for _, g := range c.without {
		b.WriteString("-" + string(g[:]))
	}
	return b.String()
}

// sortShapes orders by depth, then name, then identity, then fields: the outer before the inner.
func sortShapes(t *tree, s []shape) {
	depth := make(map[int32]int, len(s))
	for _, x := range s {
		depth[x.c.top] = t.depth(x.c.top)
	}
	slices.SortFunc(s, func(x, y shape) int {
		a, b := t.nodes[x.c.top], t.nodes[y.c.top]
		return cmp.Or(cmp.Compare(depth[x.c.top], depth[y.c.top]), cmp.Compare(a.dn, b.dn), a.guid.Compare(b.guid),
			cmp.Compare(lowest(x.fields), lowest(y.fields)), slices.CompareFunc(x.c.with, y.c.with, GUID.Compare),
			slices.CompareFunc(x.c.without, y.c.without, GUID.Compare), cmp.Compare(x.c.colour, y.c.colour), cmp.Compare(x.fields, y.fields))
	})
}

func lowest(s fieldSet) field {
	for f := range field(numFields) {
		if s.has(f) {
			return f
		}
	}
	return field(numFields)
}

// scopes makes the public form of a shape, where the fields of on are switched on: one scope, unless features that follow
// stand for different kinds.
func (d *part) scopes(s shape, on fieldSet) []Scope {
	var out []Scope
	for _, names := range namesOf(s.fields, on) {
		sc := Scope{Directory: d.name, Under: d.tree.nodes[s.c.top].guid, Features: names.features, Kinds: names.kinds,
			With: s.c.with, Without: s.c.without}
		for _, e := range s.c.except {
			sc.Except = append(sc.Except, d.tree.nodes[e].guid)
		}
		out = append(out, sc)
	}
	return out
}

// Scopes gives what an engine owns, as scopes that do not overlap and that together are exactly it. Features with the same
// extent share a scope. The order is fixed: by directory, the outer before the inner, then by name.
//
// Scopes are stated against the tree as the partition knows it. After a pinned container was moved, [Partition.Follow]
// gives a partition with the same owners that knows the new tree.
func (p *Partition) Scopes(engine string) []Scope {
	var out []Scope
	colours := p.colours(func(o Owner) string {
		if o.Engine == engine && o.Managed {
			return "\x00"
		}
		return ""
	})
	p.eachShape(colours, func(d *part, s shape) { out = append(out, d.scopes(s, p.on)...) })
	return out
}

// Regions gives every part of the partition with its owner, [None] included: for grants, which have an epoch each. They do
// not overlap and are in the order of [Partition.Scopes]. Only the engine and the epoch of owners are told apart; the
// assignment is that of the outermost container.
func (p *Partition) Regions() []Region {
	var out []Region
	colours := p.colours(func(o Owner) string {
		if !o.Managed {
			return ""
		}
		return o.Engine + "\x00" + o.Epoch.String() + "\x00" + string(noneLeaving(o))
	})
	p.eachShape(colours, func(d *part, s shape) {
		owner := p.owners[d.ownerIn(s.c.top, lowest(s.fields), s.c.cell)]
		for _, sc := range d.scopes(s, p.on) {
			out = append(out, Region{Scope: sc, Owner: owner})
		}
	})
	return out
}

// ownerIn gives the index of the owner of the objects of a cell that lie directly in a node; of several alike, the first.
func (d *part) ownerIn(n int32, f field, at cell) int32 {
	dec := decider{lists: [][]clause{d.list(n, f)}, choices: d.choices, spans: d.tree.spans(n), same: func(a, b []int32) bool { return a[0] == b[0] }}
	return dec.leaves(at)[0].owners[0]
}

// Reach gives the whole subtrees in which an engine owns something, choices aside, each with the newest epoch of what it
// owns there: what the engine has to read to own it, and what it is granted. They do not overlap. Where no choice decides
// they are exactly what it owns.
func (p *Partition) Reach(engine string) []Region {
	epochs := []Owner{{}}
	number := func(o Owner) int32 {
		for i, x := range epochs {
			if x == o {
				return int32(i)
			}
		}
		epochs = append(epochs, o)
		return int32(len(epochs) - 1)
	}
	var out []Region
	for _, d := range p.parts {
		split := func(f field, order []int32) []component {
			return components(d.tree, order, func(n int32) bool { return d.bordered(n, f) },
				func(n int32) []hue { return plainHue(number(p.newest(d.list(n, f), engine))) })
		}
		for _, s := range shapes(d.tree, p.on, split) {
			for _, sc := range d.scopes(s, p.on) {
				out = append(out, Region{Scope: sc, Owner: epochs[s.c.colour]})
			}
		}
	}
	return out
}

// newest gives, for the clauses that give something to an engine, one owner with the newest epoch, the zero Owner if there are none.
func (p *Partition) newest(l []clause, engine string) (out Owner) {
	for _, c := range l {
		if o := p.owners[c.owner]; o.Engine == engine && o.Managed && (!out.Managed || o.Epoch.Compare(out.Epoch) > 0) {
			out = Owner{Engine: engine, Epoch: o.Epoch, Managed: true}
		}
	}
	return out
}

// Reaches says whether an engine owns the feature of some objects of the kind at a place, whichever choices take them.
func (p *Partition) Reaches(engine string, place Place, k Kind, f Feature) bool {
	i, ok := fieldOf(k, f)
	d := p.part(place.Directory)
	if !ok || d == nil || !p.on.has(i) {
		return false
	}
	for _, a := range place.Ancestors {
		s := d.pins.find(a)
		if s == nil {
			continue
		}
		for _, l := range d.layers[s.node] {
			if l.field == i && p.owners[l.owner].Engine == engine {
				return true
			}
		}
		if o := d.marks[s.node][i]; o >= 0 {
			return p.owners[o].Engine == engine
		}
	}
	return false
}

func noneLeaving(o Owner) Leaving {
	if o.Engine == None {
		return o.Leaving
	}
	return ""
}

// colours gives each owner the number of its key; the empty key has number 0.
func (p *Partition) colours(key func(Owner) string) []int32 {
	numbers := map[string]int32{"": 0}
	out := make([]int32, len(p.owners))
	for i, o := range p.owners {
		k := key(o)
		n, ok := numbers[k]
		if !ok {
			n = int32(len(numbers))
			numbers[k] = n
		}
		out[i] = n
	}
	return out
}

func (p *Partition) eachShape(colours []int32, visit func(*part, shape)) {
	for _, d := range p.parts {
		split := func(f field, order []int32) []component {
			return components(d.tree, order,
				func(n int32) bool { return d.bordered(n, f) },
				func(n int32) []hue { return d.hues(n, f, colours) })
		}
		for _, s := range shapes(d.tree, p.on, split) {
			visit(d, s)
		}
	}
}

// Root is one managed root.
type Root struct {
	Directory string
	Pin       Pin
}

// Roots gives the managed roots: the outermost containers that have an owner, by directory, then name.
func (p *Partition) Roots() []Root {
	var out []Root
	managed := p.colours(func(o Owner) string {
		if o.Managed {
			return "\x00"
		}
		return ""
	})
	p.eachShape(managed, func(d *part, s shape) {
		for _, r := range out {
			if r.Directory == d.name && (r.Pin.GUID == d.tree.nodes[s.c.top].guid || slices.Contains(d.tree.pin(s.c.top).Ancestors, r.Pin.GUID)) {
				return
			}
		}
		out = append(out, Root{Directory: d.name, Pin: d.tree.pin(s.c.top)})
	})
	return out
}

// Pins gives every pinned container, and every group by which objects are chosen, with its name as it was pinned, by directory: those that
// assignments name, and those that hand-overs named.
func (p *Partition) Pins() []Pin {
	var out []Pin
	for _, d := range p.parts {
		for n, node := range d.tree.nodes {
			if node.dn != "" {
				out = append(out, d.tree.pin(int32(n)))
			}
		}
		for _, c := range p.Choices(d.name) {
			if !c.MemberOf.GUID.IsZero() {
				out = append(out, c.MemberOf)
			}
		}
	}
	return out
}
