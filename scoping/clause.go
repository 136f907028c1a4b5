package scoping

import (
	"slices"
)

// clause is one step of a decision list: it holds for objects that all choices of with take and none of without. The first
// clause that holds decides; the last of a list holds for everybody.
type clause struct {
	with, without []GUID // sorted
	owner         int32
}

// holds says whether the clause is about an object that exactly these choices take.
func (c *clause) holds(chosen []GUID) bool {
	for _, g := range c.with {
		if !slices.Contains(chosen, g) {
			return false
		}
	}
	for _, g := range c.without {
		if slices.Contains(chosen, g) {
			return false
		}
	}
	return true
}

func (c *clause) plain() bool { return len(c.with) == 0 && len(c.without) == 0 }

func (c *clause) equal(o *clause) bool {
	return c.owner == o.owner && slices.Equal(c.with, o.with) && slices.Equal(c.without, o.without)
}

// cell is what is known so far of an object's choices: one leaf of a decision tree when everything is decided.
type cell struct{ with, without []GUID }

// leaf is a cell whose objects have the same owners in all lists.
type leaf struct {
	cell
	owners []int32 // one per list
}

// decider splits objects by their choices. What is certain of two choices (one within the other, nobody in both) it uses, so
// that it makes no cells that must be empty.
type decider struct {
	lists   [][]clause
	choices map[GUID]Choice
	same    func(a, b []int32) bool // whether two rows of owners need not be told apart
	spans   func(Choice) bool       // whether a choice looks at everybody here; nil: not known of any
}

// leaves gives cells that do not overlap and hold every object.
func (d *decider) leaves(at cell) []leaf {
	owners := make([]int32, len(d.lists))
	for i, l := range d.lists {
		owner, open, decided := d.decide(l, at)
		if decided {
			owners[i] = owner
			continue
		}
		yes := d.leaves(cell{with: added(at.with, open), without: at.without})
		no := d.leaves(cell{with: at.with, without: added(at.without, open)})
		if len(yes) == 1 && len(no) == 1 && d.same(yes[0].owners, no[0].owners) {
			return []leaf{{cell: at, owners: no[0].owners}}
		}
		return append(yes, no...)
	}
	return []leaf{{cell: at, owners: owners}}
}

// agree says whether all lists give every object of a cell the same owner.
func (d *decider) agree(at cell) bool {
	first := int32(-1)
	for _, l := range d.lists {
		owner, open, decided := d.decide(l, at)
		if !decided {
			return d.agree(cell{with: added(at.with, open), without: at.without}) && d.agree(cell{with: at.with, without: added(at.without, open)})
		}
		if first >= 0 && owner != first {
			return false
		}
		first = owner
	}
	return true
}

func added(s []GUID, g GUID) []GUID {
	i, _ := slices.BinarySearchFunc(s, g, GUID.Compare)
	return slices.Insert(slices.Clone(s), i, g)
}

// decide gives the owner in a list of the objects of a cell, or the first choice on which it depends.
func (d *decider) decide(l []clause, at cell) (owner int32, open GUID, decided bool) {
	for i := range l {
		refuted := false
		var unknown GUID
		for j, g := range append(slices.Clip(l[i].with), l[i].without...) {
			in, known := d.known(g, at)
			wanted := j < len(l[i].with)
			switch {
			case known && in != wanted:
				refuted = true
			case !known && unknown.IsZero():
				unknown = g
			}
		}
		switch {
		case refuted:
			continue
		case unknown.IsZero():
			return l[i].owner, GUID{}, true
		}
		return 0, unknown, false
	}
	return outside, GUID{}, true
}

// known says whether the objects of a cell are taken by a choice, if that is certain.
func (d *decider) known(g GUID, at cell) (in, known bool) {
	switch {
	case slices.Contains(at.with, g):
		return true, true
	case slices.Contains(at.without, g):
		return false, true
	}
	c, ok := d.choices[g]
	if !ok {
		return false, false
	}
	for _, w := range at.with {
		x, ok := d.choices[w]
		switch {
		case ok && d.within(x, c):
			return true, true
		case ok && x.apart(c):
			return false, true
		}
	}
	for _, w := range at.without {
		if x, ok := d.choices[w]; ok && d.within(c, x) {
			return false, true
		}
	}
	return false, false
}

func (d *decider) within(c, o Choice) bool {
	return c.within(o) && (c.sameRegion(o) || d.spans != nil && d.spans(o))
}

// handed gives the list after what from owns in a cell became to's.
func handed(l []clause, at cell, from func(owner int32) bool, to int32) ([]clause, bool) {
	var out []clause
	changed := false
	for _, c := range l {
		if !from(c.owner) {
			out = append(out, c)
			continue
		}
		refined := clause{with: merged(c.with, at.with), without: merged(c.without, at.without), owner: to}
		if slices.ContainsFunc(refined.with, func(g GUID) bool { return slices.Contains(refined.without, g) }) {
			out = append(out, c) // nobody is in both
			continue
		}
		changed = true
		out = append(out, refined)
		if len(refined.with) > len(c.with) || len(refined.without) > len(c.without) {
			out = append(out, c)
		}
	}
	return out, changed
}

func merged(a, b []GUID) []GUID {
	out := slices.Concat(a, b)
	slices.SortFunc(out, GUID.Compare)
	return slices.Compact(out)
}

// tidied gives a list that decides alike with fewer clauses and conditions. Owners that are the same are told by number.
func tidied(l []clause, choices map[GUID]Choice, spans func(Choice) bool) []clause {
	if len(l) <= 1 {
		return l
	}
	alike := func(x []clause) bool {
		d := decider{lists: [][]clause{l, x}, choices: choices, spans: spans}
		return d.agree(cell{})
	}
	for {
		shorter, changed := less(l, alike)
		if !changed {
			return l
		}
		l = shorter
	}
}

// less gives a list that decides alike with one clause or one condition less, if there is one. Nothing comes after a clause
// that holds for everybody.
func less(l []clause, alike func([]clause) bool) ([]clause, bool) {
	for i := range l[:len(l)-1] {
		if l[i].plain() {
			return l[:i+1], true
		}
		if x := slices.Delete(slices.Clone(l), i, i+1); alike(x) {
			return x, true
		}
	}
	for i := range l {
		for j := range l[i].without {
			x := slices.Clone(l)
			x[i].without = slices.Delete(slices.Clone(l[i].without), j, j+1)
			if alike(x) {
				return x, true
			}
		}
		for j := range l[i].with {
			x := slices.Clone(l)
			x[i].with = slices.Delete(slices.Clone(l[i].with), j, j+1)
			if alike(x) {
				return x, true
			}
		}
	}
	return l, false
}
