package scoping

import "slices"

// mark writes down, for each container that an assignment names, who owns what lies directly in it, and finds what nobody
// owns.
func (c *compiler) mark(t *territory) {
	tr := t.part.tree
	more := newPart(t.part.name, tr, len(tr.nodes))
	t.part.marks, t.part.layers = more.marks, more.layers
	for n := range tr.nodes {
		n := int32(n)
		named := t.named(n, c.policy.Assignments)
		if named == 0 && len(t.chosen[n]) == 0 {
			continue
		}
		won, from := t.resolve(n, c.on)
		c.markWhole(t, n, named, won)
		c.layer(t, n, won, from)
		c.checkTotal(t, n, named, won)
	}
}

// markWhole writes down who owns what no choice takes.
func (c *compiler) markWhole(t *territory, n int32, named fieldSet, won marks) {
	chosen := t.chosenAbove(n)
	for f := range field(numFields) {
		if !c.on.has(f) {
			continue
		}
		owner := won[f]
		follows := f.follows() && owner < 0
		if follows {
			owner = won[f.base()]
		}
		// What an assignment says of a base feature here ends what choices above say of features that follow it; and an
		// exception ends that again.
		ends := f.follows() && named.has(f.base()) && chosen
		if owner >= 0 && (named.has(f) || follows && named.has(f.base()) || ends) {
			t.part.marks[n][f] = owner + 1
		}
	}
}

// chosenAbove says whether an object-level assignment looks into node n from above.
func (t *territory) chosenAbove(n int32) bool {
	for a := t.part.tree.nodes[n].parent; a >= 0; a = t.part.tree.nodes[a].parent {
		if len(t.chosen[a]) > 0 {
			return true
		}
	}
	return false
}

// layer writes down the object-level assignments that decide at node n: its own, and those of containers above that a mark
// here would hide, though the mark stands for an assignment from farther away than they are.
func (c *compiler) layer(t *territory, n int32, won marks, from origins) {
	claimed := t.claimed(n)
	for f := range field(numFields) {
		if !c.on.has(f) || f.base() != f && !f.follows() {
			continue
		}
		hides := t.part.marks[n][f] >= 0 && !claimed.has(f.base()) && !claimed.has(f)
		for a := n; a >= 0; a = t.part.tree.nodes[a].parent {
			if a != n && !hides {
				break
			}
			for _, x := range t.chosen[a] {
				if owner, ok := c.choiceOwner(t, x, a, f, won, from); ok && t.reaches(x.choice, n) {
					t.part.layers[n] = append(t.part.layers[n], layer{f, clause{with: []GUID{x.choice}, owner: owner + 1}})
				}
			}
			if a == from[f.base()] {
				break
			}
		}
	}
}

// reaches says whether a choice can take an object directly in node n.
func (t *territory) reaches(choice GUID, n int32) bool {
	return t.part.choices[choice].Reaches(append([]GUID{t.part.tree.nodes[n].guid}, t.part.tree.pin(n).Ancestors...))
}

// choiceOwner says which assignment owns field f of objects whose base feature an object-level claim at node a owns. Features
// that follow are the claim's as well, unless an assignment of a whole subtree names them: the deeper of that and of an
// object-level assignment of the same choice wins, the latter where they are equally deep.
func (c *compiler) choiceOwner(t *territory, x claim, a int32, f field, won marks, from origins) (int32, bool) {
	if !x.fields.has(f.base()) {
		return 0, false
	}
	if f.base() == f {
		return x.assignment, true
	}
	apart := from[f] >= 0
	for _, y := range t.chosen[a] {
		if y.choice == x.choice && y.fields.has(f) && (!apart || t.part.tree.depth(from[f]) <= t.part.tree.depth(a)) {
			return y.assignment, true
		}
	}
	if apart {
		return won[f], true
	}
	return x.assignment, true
}

// prune drops choices that decide nothing.
func (d *part) prune() {
	for g := range d.choices {
		if !slices.ContainsFunc(d.layers, func(ls []layer) bool {
			return slices.ContainsFunc(ls, func(l layer) bool { return slices.Contains(l.with, g) || slices.Contains(l.without, g) })
		}) {
			delete(d.choices, g)
		}
	}
}
