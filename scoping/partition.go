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
	owners      []Owner // [0] is outside
	parts       []*part // by name of directory
}

// Empty gives the partition that was before the first: it switches nothing on and owns nothing.
func Empty() *Partition {
	d := DefaultDefaults()
	return &Partition{defaults: d, owners: []Owner{{Engine: None, Leaving: d.Leaving}}}
}

// part is one directory's share of a partition.
type part struct {
	name  string
	tree  *tree
	marks []marks  // beside tree.nodes
	pins  pinTable // the nodes that have a mark
}

// marks says, per field, which of Partition.owners owns what lies under a node and under no deeper marked one; -1 leaves it
// to the nodes above.
type marks [numFields]int32

var noMarks = marks{-1, -1, -1, -1, -1, -1, -1, -1}

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
	d := p.part(place.Directory)
	if d == nil {
		return p.owners[outside]
	}
	for _, a := range place.Ancestors {
		if m := d.pins.find(a); m != nil && m[i] >= 0 {
			return p.owners[m[i]]
		}
	}
	return p.owners[outside]
}

// Cell is the answer for everything that lies directly in one container. Who asks often keeps it per container, for as long
// as the partition is in force and the container stays where it is. The zero Cell lies outside of every partition.
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
		m := d.pins.find(a)
		if m == nil {
			continue
		}
		for i, o := range m {
			if o >= 0 && left.has(field(i)) {
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

// at gives the owner's index of field f directly in node n.
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
	for _, m := range d.marks {
		if m != noMarks {
			count++
		}
	}
	d.pins = newPinTable(count)
	for n, m := range d.marks {
		if m != noMarks {
			d.pins.put(d.tree.nodes[n].guid, m)
		}
	}
}

// Engines names every engine that owns something, sorted, without [None].
func (p *Partition) Engines() []string {
	var names []string
	for _, o := range p.used() {
		if o.Engine != None {
			names = append(names, o.Engine)
		}
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
