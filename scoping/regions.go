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

// component is a connected part of one directory in which a field has one colour: the subtree of its top without the
// subtrees of the components beneath it.
type component struct {
	top    int32
	parent int32 // index of the component around it, -1 if there is none
	colour int32
	except []int32 // tops of the components directly beneath it
}

// components splits a directory by the colours of its containers. colour says the colour of what lies directly in a
// container, and is asked only where it may differ from the container above. Colour 0 is not reported, but its components
// stand as exceptions.
func components(t *tree, order []int32, marked func(n int32) bool, colour func(n int32) int32) []component {
	var out []component
	inside := make([]int32, len(t.nodes)) // the component in which the objects of a node lie
	for _, n := range order {
		around := int32(-1)
		if a := t.nodes[n].parent; a >= 0 {
			around = inside[a]
		}
		inside[n] = around
		if !marked(n) {
			continue
		}
		c := colour(n)
		if around < 0 && c == 0 || around >= 0 && out[around].colour == c {
			continue
		}
		inside[n] = int32(len(out))
		out = append(out, component{top: n, parent: around, colour: c})
		if around >= 0 {
			out[around].except = append(out[around].except, n)
		}
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
			cmp.Compare(lowest(x.fields), lowest(y.fields)), cmp.Compare(x.c.colour, y.c.colour), cmp.Compare(x.fields, y.fields))
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

// scope makes the public form of a shape, where the fields of on are switched on.
func (d *part) scope(s shape, on fieldSet) Scope {
	sc := Scope{Directory: d.name, Under: d.tree.nodes[s.c.top].guid}
	for _, e := range s.c.except {
		sc.Except = append(sc.Except, d.tree.nodes[e].guid)
	}
	sc.Features, sc.Kinds = featuresOf(s.fields, on)
	return sc
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
	p.eachShape(colours, func(d *part, s shape) { out = append(out, d.scope(s, p.on)) })
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
		f := lowest(s.fields)
		out = append(out, Region{Scope: d.scope(s, p.on), Owner: p.owners[d.at(s.c.top, f)]})
	})
	return out
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
				func(n int32) bool { return d.marks[n][f] >= 0 },
				func(n int32) int32 { return colours[d.marks[n][f]] })
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

// Pins gives every pinned container with its name as it was pinned, by directory: those that assignments name, and those that hand-overs named.
func (p *Partition) Pins() []Pin {
	var out []Pin
	for _, d := range p.parts {
		for n, node := range d.tree.nodes {
			if node.dn != "" {
				out = append(out, d.tree.pin(int32(n)))
			}
		}
	}
	return out
}
