package scoping

import (
	"slices"
)

// Partition is the compiled, total, overlap-free form of a policy: a pure function from (place, kind, feature) to the one
// engine that may write there, or to [None]. It is never changed after it was made, so it may be shared; what changes it
// gives a new one.
//
// It remembers for each pinned container who owns what lies directly in it, and an object belongs to the nearest pinned
// container on its way up. So a pinned container that is renamed or moved takes its owners along.
type Partition struct {
	revision    uint64
	on          fieldSet  // fields of the kinds that are switched on
	features    []Feature // as switched on, in the order of the feature table
	defaults    Defaults
	matches     string
	assignments []Assignment

	provisioning []Assignment // from the tenant into directories, the higher priority first
	owners       []Owner      // [0] is outside
	parts        []*part      // by name of directory
}

// Empty gives the partition that was before the first: it switches nothing on and owns nothing.
func Empty() *Partition {
	d := DefaultDefaults()
	return &Partition{defaults: d, owners: []Owner{{Engine: None, Leaving: d.Leaving}}}
}

// part is one directory's share of a partition.
type part struct {
	name    string
	tree    *tree
	marks   []marks   // beside tree.nodes
	layers  [][]layer // beside tree.nodes: nil of most
	choices map[GUID]Choice
	pins    pinTable // the nodes that have a mark or a layer
}

func newPart(name string, t *tree, nodes int) *part {
	d := &part{name: name, tree: t, marks: make([]marks, nodes), layers: make([][]layer, nodes), choices: map[GUID]Choice{}}
	for n := range d.marks {
		d.marks[n] = noMarks
	}
	return d
}

// marks says, per field, which of Partition.owners owns what lies under a node and under no deeper marked one; -1 leaves it
// to the nodes above.
type marks [numFields]int32

var noMarks = func() (m marks) {
	for i := range m {
		m[i] = -1
	}
	return m
}()

// layer lies over a node's mark: it says who owns one field of the objects that some choices take. Of a node's layers of one
// field the first that holds decides, and before the node's mark.
type layer struct {
	field field
	clause
}

// learn takes in a choice with the containers that it names. Where the part was made before, it makes room for them.
func (d *part) learn(c Choice) {
	d.choices[c.ID] = c
	for _, p := range append([]Pin{c.Under}, c.Except...) {
		d.tree.addKnown(p)
	}
	for len(d.marks) < len(d.tree.nodes) {
		d.marks, d.layers = append(d.marks, noMarks), append(d.layers, nil)
	}
}

// bordered says whether something of the field is decided at the node.
func (d *part) bordered(n int32, f field) bool {
	return d.marks[n][f] >= 0 || slices.ContainsFunc(d.layers[n], func(l layer) bool { return l.field == f })
}

// blank says that nothing is decided at the node.
func (d *part) blank(n int32) bool { return d.marks[n] == noMarks && len(d.layers[n]) == 0 }

// list gives the decision list of a field for what lies directly in node n.
func (d *part) list(n int32, f field) []clause {
	var out []clause
	for ; n >= 0; n = d.tree.nodes[n].parent {
		for i := range d.layers[n] {
			if l := &d.layers[n][i]; l.field == f {
				out = append(out, l.clause)
			}
		}
		if o := d.marks[n][f]; o >= 0 {
			return append(out, clause{owner: o})
		}
	}
	return append(out, clause{owner: outside})
}

// put writes a decision list down at a node. The last clause is the mark, which must hold for everybody.
func (d *part) put(n int32, f field, l []clause) {
	d.layers[n] = slices.DeleteFunc(slices.Clone(d.layers[n]), func(x layer) bool { return x.field == f })
	for _, c := range l[:len(l)-1] {
		d.layers[n] = append(d.layers[n], layer{f, c})
	}
	if len(d.layers[n]) == 0 {
		d.layers[n] = nil
	}
	d.marks[n][f] = l[len(l)-1].owner
}

// lay writes a decision list down at a node as short as can be: what it has in common with the list above is left to that.
func (d *part) lay(n int32, f field, l []clause) {
	d.put(n, f, l)
	above := d.list(d.tree.nodes[n].parent, f)
	if own := len(l) - len(above); own > 0 && slices.EqualFunc(l[own:], above, func(x, y clause) bool { return x.equal(&y) }) {
		d.layers[n] = slices.DeleteFunc(d.layers[n], func(x layer) bool { return x.field == f })
		for _, c := range l[:own] {
			d.layers[n] = append(d.layers[n], layer{f, c})
		}
		d.marks[n][f] = -1
	}
}

// outside is the index of the owner of everything outside of the managed roots.
const outside = 0

// Owner is who may write one feature of one object.
type Owner struct {
	Engine     string  `json:"engine"`     // [None]: nobody
	Assignment string  `json:"assignment"` // that gave it; empty outside of the managed roots
	Leaving    Leaving `json:"leaving"`    // for None: what happens to one who arrives there
	Epoch      Epoch   `json:"epoch"`      // when the owner of this region last changed
	Managed    bool    `json:"managed"`    // false: outside of the managed roots, or a feature that is not switched on or not of this kind
}

// Revision counts the partitions that were in force, from 1; 0 was never in force.
func (p *Partition) Revision() uint64 { return p.revision }

// Features gives the features that are switched on.
func (p *Partition) Features() []Feature { return slices.Clone(p.features) }

// On says whether a feature is switched on. References always are: they follow the base features.
func (p *Partition) On(f Feature) bool { return f == References || slices.Contains(p.features, f) }

// Defaults gives the policy's defaults.
func (p *Partition) Defaults() Defaults { return p.defaults }

// Matches gives the policy's file of matches, as written.
func (p *Partition) Matches() string { return p.matches }

// Owner says who may write feature f of an object of kind k at a place. Its cost grows with the depth of the place alone,
// and it allocates nothing.
func (p *Partition) Owner(place Place, k Kind, f Feature) Owner {
	i, ok := fieldOf(k, f)
	if !ok || !p.on.has(i) {
		return p.owners[outside]
	}
	if f.Provisions() {
		return p.target(place, f)
	}
	d := p.part(place.Directory)
	if d == nil {
		return p.owners[outside]
	}
	for _, a := range place.Ancestors {
		s := d.pins.find(a)
		if s == nil {
			continue
		}
		if o := d.decided(s, i, place.Chosen); o >= 0 {
			return p.owners[o]
		}
	}
	return p.owners[outside]
}

// decided gives the index of the owner that is decided at a node, -1 where that is left to the nodes above.
func (d *part) decided(s *pinSlot, f field, chosen []GUID) int32 {
	if s.layered {
		for i := range d.layers[s.node] {
			if l := &d.layers[s.node][i]; l.field == f && l.holds(chosen) {
				return l.owner
			}
		}
	}
	return d.marks[s.node][f]
}

// Cell is the answer for everything that lies directly in one container and that the same choices take. Who asks often keeps
// it, for as long as the partition is in force and the container stays where it is. The zero Cell lies outside of every partition.
type Cell struct {
	p  *Partition
	at marks
}

// Cell computes the answers for the objects at a place, for all kinds and features at once.
func (p *Partition) Cell(place Place) Cell {
	c := Cell{p: p}
	d := p.part(place.Directory)
	if d == nil {
		return c
	}
	left := p.on
	for _, a := range place.Ancestors {
		if left == 0 {
			break
		}
		s := d.pins.find(a)
		if s == nil {
			continue
		}
		for i := range field(numFields) {
			if !left.has(i) {
				continue
			}
			if o := d.decided(s, i, place.Chosen); o >= 0 {
				c.at[i] = o
				left &^= 1 << i
			}
		}
	}
	return c
}

// Owner is [Partition.Owner] for an object in the cell.
func (c Cell) Owner(k Kind, f Feature) Owner {
	if c.p == nil {
		return Owner{Engine: None}
	}
	i, ok := fieldOf(k, f)
	if !ok {
		return c.p.owners[outside]
	}
	return c.p.owners[c.at[i]]
}

// Revision is the revision of the partition that gave the cell.
func (c Cell) Revision() uint64 {
	if c.p == nil {
		return 0
	}
	return c.p.revision
}

func (p *Partition) part(directory string) *part {
	for _, d := range p.parts {
		if d.name == directory {
			return d
		}
	}
	return nil
}

// at gives the index of the owner of field f directly in node n, where no choice takes the object.
func (d *part) at(n int32, f field) int32 {
	for ; n >= 0; n = d.tree.nodes[n].parent {
		if o := d.marks[n][f]; o >= 0 {
			return o
		}
	}
	return outside
}

// reindex makes d.pins from d.marks.
func (d *part) reindex() {
	count := 0
	for n := range d.marks {
		if !d.blank(int32(n)) {
			count++
		}
	}
	d.pins = newPinTable(count)
	for n := range d.marks {
		if !d.blank(int32(n)) {
			d.pins.put(d.tree.nodes[n].guid, int32(n), len(d.layers[n]) > 0)
		}
	}
}

// Choices gives the choices on which owners in a directory depend, by identity: what the census has to know of each object.
func (p *Partition) Choices(directory string) []Choice {
	d := p.part(directory)
	if d == nil {
		return nil
	}
	out := make([]Choice, 0, len(d.choices))
	for _, c := range d.choices {
		out = append(out, c)
	}
	slices.SortFunc(out, func(x, y Choice) int { return x.ID.Compare(y.ID) })
	return out
}

// Engines names every engine that owns something, sorted, without [None].
func (p *Partition) Engines() []string {
	var names []string
	for _, o := range p.used() {
		if o.Engine != None {
			names = append(names, o.Engine)
		}
	}
	for _, a := range p.provisioning {
		names = append(names, a.Engine)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *Partition) used() []Owner {
	seen := make([]bool, len(p.owners))
	for _, d := range p.parts {
		for _, m := range d.marks {
			for _, o := range m {
				if o >= 0 {
					seen[o] = true
				}
			}
		}
		for _, ls := range d.layers {
			for _, l := range ls {
				seen[l.owner] = true
			}
		}
	}
	var out []Owner
	for i, o := range p.owners {
		if seen[i] {
			out = append(out, o)
		}
	}
	return out
}

// ownerIndex finds or adds an owner.
func (p *Partition) ownerIndex(o Owner) int32 {
	for i := range p.owners {
		if p.owners[i] == o {
			return int32(i)
		}
	}
	p.owners = append(p.owners, o)
	return int32(len(p.owners) - 1)
}
