package scoping

import (
	"slices"
)

// HandOver is one change of ownership: what an engine owns of a scope goes to another. [None] stands for nobody on either
// side, the outside of the managed roots included.
type HandOver struct {
	From           string `json:"from"`
	To             string `json:"to"`
	Scope          Scope  `json:"scope"`
	Assignment     string `json:"assignment,omitempty"`     // that gives it to To
	FromAssignment string `json:"fromAssignment,omitempty"` // that gave it to From
	Pins           []Pin  `json:"pins,omitempty"`           // the containers of the scope: Under, then Except
}

// Inverse gives the way back.
func (h HandOver) Inverse() HandOver {
	h.From, h.To = h.To, h.From
	h.Assignment, h.FromAssignment = h.FromAssignment, h.Assignment
	return h
}

// Diff gives the hand-overs that lead from one partition's owners to another's: as few as can be, non-overlapping, the
// outer before the inner, base features before references. old may be nil, which owns nothing. Where the two know a
// different tree, the newer one holds; see [Partition.Follow].
func Diff(old, new *Partition) []HandOver {
	if old == nil {
		old = Empty()
	}
	u := union{on: old.on | new.on}
	if old.on != new.on {
		u.scopeOn = 1<<numFields - 1 // what is switched on differs, so scopes spell their kinds out
	} else {
		u.scopeOn = u.on
	}
	var out []HandOver
	for _, name := range directoriesOf(old, new) {
		out = append(out, diffPart(u, old, new, name)...)
	}
	return out
}

func directoriesOf(ps ...*Partition) []string {
	var names []string
	for _, p := range ps {
		for _, d := range p.parts {
			names = append(names, d.name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// union is what is switched on in either of two partitions, and what scopes may take for granted.
type union struct{ on, scopeOn fieldSet }

// overlay is one directory of two partitions on a common tree.
type overlay struct {
	tree     *tree
	old, new *part
}

// overlap puts two partitions' shares of a directory on one tree, the newer where they differ.
func overlap(old, new *Partition, name string) overlay {
	o := overlay{tree: newTree()}
	for _, d := range []*part{new.part(name), old.part(name)} {
		if d == nil {
			continue
		}
		for n := range d.tree.nodes {
			if d.marks[n] != noMarks {
				o.tree.addKnown(d.tree.pin(int32(n)))
			}
		}
	}
	o.old, o.new = old.part(name).onTree(name, o.tree), new.part(name).onTree(name, o.tree)
	return o
}

// onTree gives the same marks on another tree that has all the marked containers.
func (d *part) onTree(name string, t *tree) *part {
	out := &part{name: name, tree: t, marks: make([]marks, len(t.nodes))}
	for n := range out.marks {
		out.marks[n] = noMarks
	}
	if d != nil {
		for n, m := range d.marks {
			if m != noMarks {
				out.marks[t.index[d.tree.nodes[n].guid]] = m
			}
		}
	}
	out.reindex()
	return out
}

func diffPart(u union, old, new *Partition, name string) []HandOver {
	o := overlap(old, new, name)
	pairs := pairing{numbers: map[[2]string]int32{}}
	split := func(f field, order []int32) []component {
		return components(o.tree, order,
			func(n int32) bool { return o.old.marks[n][f] >= 0 || o.new.marks[n][f] >= 0 },
			func(n int32) int32 {
				return pairs.number(old.owners[o.old.at(n, f)].Engine, new.owners[o.new.at(n, f)].Engine)
			})
	}
	d := &part{name: name, tree: o.tree}
	var out []HandOver
	for _, s := range shapes(o.tree, u.on, split) {
		f := lowest(s.fields)
		from, to := old.owners[o.old.at(s.c.top, f)], new.owners[o.new.at(s.c.top, f)]
		h := HandOver{From: from.Engine, To: to.Engine, Scope: d.scope(s, u.scopeOn), Assignment: to.Assignment, FromAssignment: from.Assignment}
		h.Pins = append(h.Pins, o.tree.pin(s.c.top))
		for _, e := range s.c.except {
			h.Pins = append(h.Pins, o.tree.pin(e))
		}
		out = append(out, h)
	}
	return out
}

// pairing numbers pairs of engines; a pair of equals has number 0, since nothing changes there.
type pairing struct{ numbers map[[2]string]int32 }

func (p *pairing) number(from, to string) int32 {
	if from == to {
		return 0
	}
	n, ok := p.numbers[[2]string{from, to}]
	if !ok {
		n = int32(len(p.numbers) + 1)
		p.numbers[[2]string{from, to}] = n
	}
	return n
}
