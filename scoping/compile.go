package scoping

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Compile makes the partition of a policy whose pins are resolved. engines says what each configured engine can do.
//
// It promises that for every object under a managed root (a subtree of an assignment that lies in no other's) each
// switched-on feature has one engine or, on purpose, [None]. A policy that cannot promise it does not compile; the error is
// then of type [Mistakes] and holds everything that is wrong.
//
// The deepest subtree wins; among assignments of the same subtree the higher priority. An object in an exception belongs to
// what remains when the assignment is taken away. References follow the base feature of the object's kind wherever no
// assignment names them. The partition's revision and epochs are zero: see [Partition.Succeed].
func Compile(policy Policy, engines map[string]EngineCaps) (*Partition, error) {
	c := compiler{policy: policy, engines: engines}
	c.on = fieldsOn(policy.Features)
	c.check()
	c.checkPins()
	c.checkTargets()
	if err := c.mistakes.Err(); err != nil {
		return nil, err
	}
	c.policy.Assignments, policy.Assignments = slices.Clone(policy.Assignments), nil
	var targets []Assignment
	c.policy.Assignments, targets = parted(c.policy.Assignments)
	p := &Partition{on: c.on, defaults: policy.Defaults, matches: policy.Matches, assignments: c.policy.Assignments, provisioning: targets}
	p.features = inTableOrder(policy.Features)
	p.owners = c.owners()
	for _, name := range c.directories() {
		if d := c.compilePart(name); d != nil {
			p.parts = append(p.parts, d)
		}
	}
	if err := c.mistakes.Err(); err != nil {
		return nil, err
	}
	return p, nil
}

// compiler holds what is needed while one policy is compiled.
type compiler struct {
	policy   Policy
	engines  map[string]EngineCaps
	on       fieldSet
	mistakes Mistakes
}

// fieldsOn gives the fields that are switched on: references always are, for the kinds that are.
func fieldsOn(features []Feature) (on fieldSet) {
	for i, x := range fields {
		f := field(i)
		listed := slices.Contains(features, x.feature) || x.feature == References
		if listed && (!f.follows() || on.has(f.base())) {
			on |= 1 << f
		}
	}
	return on
}

func inTableOrder(features []Feature) []Feature {
	var out []Feature
	for _, r := range featureTable {
		if slices.Contains(features, r.Feature) {
			out = append(out, r.Feature)
		}
	}
	return out
}

// owners makes one owner per assignment; the owner of assignment i is at i+1.
func (c *compiler) owners() []Owner {
	out := make([]Owner, 1, len(c.policy.Assignments)+1)
	out[0] = Owner{Engine: None, Leaving: c.policy.Defaults.Leaving}
	for _, a := range c.policy.Assignments {
		out = append(out, Owner{Engine: a.Engine, Assignment: a.Name, Leaving: cmp.Or(a.Leaving, c.policy.Defaults.Leaving), Managed: true})
	}
	return out
}

func (c *compiler) directories() []string {
	var names []string
	for _, a := range c.policy.Assignments {
		names = append(names, a.Directory)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// territory is one directory while it is compiled.
type territory struct {
	part    *part
	claims  map[int32][]claim // assignments of this very whole subtree, the highest priority first
	chosen  map[int32][]claim // object-level ones, the highest priority first
	cancels map[int32][]int32 // assignments of whole subtrees that except it
}

// claim is one assignment and the fields that it names.
type claim struct {
	assignment int32
	priority   int
	fields     fieldSet
	choice     GUID // of an object-level one
}

func (c *compiler) compilePart(name string) *part {
	t := territory{
		part:   newPart(name, newTree(), 0),
		claims: map[int32][]claim{}, chosen: map[int32][]claim{}, cancels: map[int32][]int32{},
	}
	before := len(c.mistakes)
	for i, a := range c.policy.Assignments {
		if a.Directory == name {
			c.plant(&t, int32(i))
		}
	}
	if len(c.mistakes) > before {
		return nil
	}
	c.checkExceptions(&t)
	c.checkClashes(&t)
	c.mark(&t)
	c.checkOwners(&t)
	t.part.prune()
	t.part.reindex()
	return t.part
}

// plant puts one assignment's pins into the tree.
func (c *compiler) plant(t *territory, i int32) {
	a := &c.policy.Assignments[i]
	n, err := t.part.tree.addPin(a.Under)
	if err != nil {
		c.mistakes.Add(cmp.Or(a.Under.Pos, a.Pos), err.Error(), "run the command again")
		return
	}
	made := claim{assignment: i, priority: a.Priority, fields: fieldsOf(a.Features, a.Kinds) & c.on}
	if a.narrowed() {
		choice := newChoice(a)
		made.choice = choice.ID
		t.part.choices[choice.ID] = choice
		t.chosen[n] = append(t.chosen[n], made)
	} else {
		t.claims[n] = append(t.claims[n], made)
	}
	for _, e := range a.Except {
		en, err := t.part.tree.addPin(e)
		if err != nil {
			c.mistakes.Add(cmp.Or(e.Pos, a.Pos), err.Error(), "run the command again")
			return
		}
		if !a.narrowed() { // whom a choice takes leaves its exceptions out
			t.cancels[en] = append(t.cancels[en], i)
		}
	}
}

func (c *compiler) checkExceptions(t *territory) {
	for i, a := range c.policy.Assignments {
		if a.Directory != t.part.name {
			continue
		}
		for j, e := range a.Except {
			pos := cmp.Or(e.Pos, a.Pos)
			if !slices.Contains(e.Ancestors, a.Under.GUID) {
				c.mistakes.Add(pos, fmt.Sprintf("assignment %q excepts %s, which does not lie beneath its subtree %s", a.Name, e.DN, a.Under.DN),
					"an exception lies beneath \"under\"; remove it or correct one of the two names")
			}
			if slices.ContainsFunc(a.Except[:j], func(o Pin) bool { return o.GUID == e.GUID }) {
				c.mistakes.Add(pos, fmt.Sprintf("assignment %q excepts %s twice", c.policy.Assignments[i].Name, e.DN), "remove one")
			}
		}
	}
}

// checkClashes finds assignments of the same subtree that name the same feature with the same priority for the same objects.
func (c *compiler) checkClashes(t *territory) {
	for n := range t.part.tree.nodes {
		for _, claims := range [][]claim{t.claims[int32(n)], t.chosen[int32(n)]} {
			slices.SortStableFunc(claims, func(x, y claim) int { return cmp.Compare(y.priority, x.priority) })
			for i, x := range claims {
				for _, y := range claims[i+1:] {
					if y.priority != x.priority {
						break
					}
					if both := x.fields & y.fields; both != 0 {
						c.clash(t, x, y, both)
					}
				}
			}
		}
	}
}

func (c *compiler) clash(t *territory, x, y claim, both fieldSet) {
	first, second := &c.policy.Assignments[x.assignment], &c.policy.Assignments[y.assignment]
	features := quoted(featuresIn(both))
	if !first.narrowed() {
		what := fmt.Sprintf("assignments %q%s and %q%s both claim %s of every object in %s, such as CN=Anyone,%s",
			first.Name, at(first.Pos), second.Name, at(second.Pos), features, second.Under.DN, second.Under.DN)
		c.mistakes.Add(second.Pos, what, "give one of them a higher \"priority\", or take the feature out of one")
		return
	}
	one, two := t.part.choices[x.choice], t.part.choices[y.choice]
	if one.apart(two) {
		return
	}
	what := fmt.Sprintf("assignments %q%s and %q%s may both claim %s of one object in %s: it cannot be proved that nobody is among the %s and the %s",
		first.Name, at(first.Pos), second.Name, at(second.Pos), features, second.Under.DN, one, two)
	if x.choice == y.choice {
		what = fmt.Sprintf("assignments %q%s and %q%s both claim %s of the %s in %s", first.Name, at(first.Pos), second.Name, at(second.Pos), features, one, second.Under.DN)
	}
	if why := overlapReason(one, two); why != "" {
		what += "; " + why
	}
	c.mistakes = append(c.mistakes, Mistake{Pos: second.Pos, What: what, Clash: &Clash{First: one, Second: two},
		Hint: "give one of them a higher \"priority\", or filters of which no object can satisfy both"})
}

func at(p Pos) string {
	if p.Line == 0 {
		return ""
	}
	return " (" + p.String() + ")"
}

// quoted lists features for a message.
func quoted(features []Feature) string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// named gives the fields that some assignment of a whole subtree names at node n, for its subtree or as an exception.
func (t *territory) named(n int32, assignments []Assignment) fieldSet {
	s := t.claimed(n)
	for _, i := range t.cancels[n] {
		s |= fieldsOf(assignments[i].Features, assignments[i].Kinds)
	}
	return s
}

// claimed gives the fields that some assignment names for the whole of this very subtree.
func (t *territory) claimed(n int32) (s fieldSet) {
	for _, c := range t.claims[n] {
		s |= c.fields
	}
	return s
}

// origins says, per field, at which node the assignment that won stands; -1 where there is none.
type origins = marks

// resolve gives, per field, the assignment that owns what lies directly in node n where no choice takes it, -1 where there is
// none. What follows is resolved here only by assignments that name it.
func (t *territory) resolve(n int32, on fieldSet) (won marks, from origins) {
	won, from = noMarks, noMarks
	left := on
	var cancelled []int32
	for a := n; a >= 0 && left != 0; a = t.part.tree.nodes[a].parent {
		for _, c := range t.claims[a] {
			if c.fields&left == 0 || slices.Contains(cancelled, c.assignment) {
				continue
			}
			for f := range field(numFields) {
				if (c.fields & left).has(f) {
					won[f], from[f] = c.assignment, a
				}
			}
			left &^= c.fields
		}
		cancelled = append(cancelled, t.cancels[a]...)
	}
	return won, from
}
