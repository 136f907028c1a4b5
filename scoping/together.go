package scoping

import (
	"fmt"
	"slices"
)

// checkOwners judges what can only be judged when owners are known: whether whoever gets a feature because it follows another
// can write it, and whether features that belong together have one owner (rule F3).
func (c *compiler) checkOwners(t *territory) {
	said := map[string]bool{}
	once := func(i int32, what, hint string) {
		a := &c.policy.Assignments[i]
		if key := a.Name + "\x00" + what; !said[key] {
			said[key] = true
			c.mistakes.Add(a.Pos, what, hint)
		}
	}
	for n := range t.part.tree.nodes {
		for f := range field(numFields) {
			if n := int32(n); c.on.has(f) && f.follows() && (t.part.bordered(n, f) || t.part.bordered(n, f.base())) {
				c.checkFollower(t, n, f, once)
			}
		}
	}
	c.checkChosen(t)
}

// checkFollower judges one field that follows, at one node.
func (c *compiler) checkFollower(t *territory, n int32, f field, say func(assignment int32, what, hint string)) {
	r, _ := Row(f.feature())
	name := t.part.tree.name(n)
	for _, x := range t.part.list(n, f) {
		if x.owner == outside {
			continue
		}
		a := &c.policy.Assignments[x.owner-1]
		caps, configured := c.engines[a.Engine]
		if !configured || slices.Contains(a.Features, f.feature()) || f.feature() == References {
			continue
		}
		if why := caps.lacks(r); why != "" {
			say(x.owner-1, fmt.Sprintf("assignment %q has %s, so feature %q (%s) goes to engine %q as well, %s", a.Name, f.base().feature(), f.feature(), r, a.Engine, why),
				fmt.Sprintf("give %q of that subtree to another engine or to none by an assignment of its own", f.feature()))
		}
	}
	if f.feature() != PasswordHash && f.feature() != PasswordWriteback {
		return
	}
	dec := decider{lists: [][]clause{t.part.list(n, f), t.part.list(n, f.base())}, choices: t.part.choices, spans: t.part.tree.spans(n),
		same: func(a, b []int32) bool { return slices.Equal(a, b) }}
	for _, x := range dec.leaves(cell{}) {
		if x.owners[0] == outside || x.owners[1] == outside {
			continue
		}
		password, users := &c.policy.Assignments[x.owners[0]-1], &c.policy.Assignments[x.owners[1]-1]
		if password.Engine != users.Engine && password.Engine != None {
			say(x.owners[0]-1, fmt.Sprintf("assignment %q gives %s under %s to engine %q, but assignment %q gives the users there to %q: passwords belong to the engine that has the user (rule F3)",
				password.Name, f.feature(), name, password.Engine, users.Name, users.Engine), fmt.Sprintf("give both to one engine, or %s to none", f.feature()))
		}
	}
}

// checkChosen refuses object-level assignments that name what follows without the base feature that it follows.
func (c *compiler) checkChosen(t *territory) {
	for n, claims := range t.chosen {
		for _, x := range claims {
			var base fieldSet
			for _, y := range claims {
				if y.choice == x.choice {
					base |= y.fields & baseFields
				}
			}
			for f := range field(numFields) {
				if x.fields.has(f) && f.follows() && !base.has(f.base()) {
					a := &c.policy.Assignments[x.assignment]
					c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q chooses objects under %s for feature %q, but not for %q, which it follows", a.Name, t.part.tree.name(n), f.feature(), f.base().feature()),
						fmt.Sprintf("add %q to its features, or give %q to whole subtrees", f.base().feature(), f.feature()))
					break
				}
			}
		}
	}
}
