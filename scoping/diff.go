package scoping

import (
	"maps"
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
	// Leaving is what happens to an object that arrives in the scope when To is [None], and FromLeaving what happened when From was;
	// both are empty for engines. Hand-overs of before they were kept have neither: then the assignment of the partition in force counts.
	Leaving     Leaving `json:"leaving,omitempty"`
	FromLeaving Leaving `json:"fromLeaving,omitempty"`
	Pins        []Pin   `json:"pins,omitempty"` // the containers of the scope: Under, then Except

	Choices []Choice `json:"choices,omitempty"` // those that the scope names
}

// Inverse gives the way back.
func (h HandOver) Inverse() HandOver {
	h.From, h.To = h.To, h.From
	h.Assignment, h.FromAssignment = h.FromAssignment, h.Assignment
	h.Leaving, h.FromLeaving = h.FromLeaving, h.Leaving
	return h
}

// Diff gives the hand-overs that lead from one partition's owners to another's: as few as can be for each
// assignment that takes something, non-overlapping, the outer before the inner, base features before references. old may be nil, which owns nothing. Where the two know a
// different tree, the newer one holds; see [Partition.Follow].
func Diff(old, new *Partition) []HandOver {
	if old == nil {
		old = Empty()
	}
	u := union{on: old.on | new.on}
	if old.on != new.on {
		u.scopeOn = allFields // what is switched on differs, so scopes spell their kinds out
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
			if !d.blank(int32(n)) || d.names(d.tree.nodes[n].guid) {
				o.tree.addKnown(d.tree.pin(int32(n)))
			}
		}
	}
	o.old, o.new = old.part(name).onTree(name, o.tree), new.part(name).onTree(name, o.tree)
	return o
}

// names says whether a choice names a container.
func (d *part) names(g GUID) bool {
	for _, c := range d.choices {
		if c.Under.GUID == g || slices.ContainsFunc(c.Except, func(e Pin) bool { return e.GUID == g }) {
			return true
		}
	}
	return false
}

// onTree gives the same marks on another tree that has all the marked containers.
func (d *part) onTree(name string, t *tree) *part {
	out := newPart(name, t, len(t.nodes))
	if d != nil {
		for n, m := range d.marks {
			if !d.blank(int32(n)) {
				to := t.index[d.tree.nodes[n].guid]
				out.marks[to], out.layers[to] = m, d.layers[n]
			}
		}
		maps.Copy(out.choices, d.choices)
	}
	out.reindex()
	return out
}

func diffPart(u union, old, new *Partition, name string) []HandOver {
	o := overlap(old, new, name)
	pairs := pairing{old: old.owners, new: new.owners, numbers: map[pair]int32{}}
	choices := maps.Clone(o.old.choices)
	maps.Copy(choices, o.new.choices)
	o.old.choices, o.new.choices = choices, choices
	split := func(f field, order []int32) []component {
		return components(o.tree, order,
			func(n int32) bool { return o.old.bordered(n, f) || o.new.bordered(n, f) },
			func(n int32) []hue { return pairs.hues(o.old.list(n, f), o.new.list(n, f), choices, o.tree.spans(n)) })
	}
	d := &part{name: name, tree: o.tree}
	var out []HandOver
	for _, s := range shapes(o.tree, u.on, split) {
		f := lowest(s.fields)
		from, to := old.owners[o.old.ownerIn(s.c.top, f, s.c.cell)], new.owners[o.new.ownerIn(s.c.top, f, s.c.cell)]
		for _, sc := range d.scopes(s, u.scopeOn) {
			h := HandOver{From: from.Engine, To: to.Engine, Scope: sc, Assignment: to.Assignment, FromAssignment: from.Assignment,
				Leaving: noneLeaving(to), FromLeaving: noneLeaving(from)}
			h.Pins = append(h.Pins, o.tree.pin(s.c.top))
			for _, e := range s.c.except {
				h.Pins = append(h.Pins, o.tree.pin(e))
			}
			for _, g := range slices.Concat(sc.With, sc.Without) {
				h.Choices = append(h.Choices, choices[g])
			}
			out = append(out, h)
		}
	}
	return out
}

// pairing numbers what a hand-over says of its objects; where the engine stays the same the number is 0, since nothing changes there.
type pairing struct {
	old, new []Owner
	numbers  map[pair]int32
}

// pair is what one hand-over says of all its objects. The assignment that takes them is part of it, so that its name and its leaving
// rule are in force for each of them afterwards.
type pair struct {
	from, to, assignment string
	fromLeaving, leaving Leaving
}

// hues colours by what an object's engine is before and after.
func (p *pairing) hues(old, new []clause, choices map[GUID]Choice, spans func(Choice) bool) []hue {
	colour := func(owners []int32) int32 { return p.number(p.old[owners[0]], p.new[owners[1]]) }
	if len(old) == 1 && len(new) == 1 {
		return plainHue(colour([]int32{old[0].owner, new[0].owner}))
	}
	dec := decider{lists: [][]clause{old, new}, choices: choices, spans: spans, same: func(a, b []int32) bool { return colour(a) == colour(b) }}
	var out []hue
	for _, x := range dec.leaves(cell{}) {
		out = append(out, hue{x.cell, colour(x.owners)})
	}
	return out
}

func (p *pairing) number(from, to Owner) int32 {
	if from.Engine == to.Engine {
		return 0
	}
	k := pair{from.Engine, to.Engine, to.Assignment, noneLeaving(from), noneLeaving(to)}
	n, ok := p.numbers[k]
	if !ok {
		n = int32(len(p.numbers) + 1)
		p.numbers[k] = n
	}
	return n
}
