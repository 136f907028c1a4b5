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
	if err := c.mistakes.Err(); err != nil {
		return nil, err
	}
	p := &Partition{on: c.on, defaults: policy.Defaults, matches: policy.Matches, assignments: policy.Assignments}
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

func fieldsOn(features []Feature) fieldSet {
	var base []Feature
	for _, f := range features {
		if r, ok := Row(f); ok && r.Kind != "" {
			base = append(base, f)
		}
	}
	if len(base) == 0 {
		return 0
	}
	return fieldsOf(append(base, References), nil)
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
	claims  map[int32][]claim // assignments of this very subtree, the highest priority first
	cancels map[int32][]int32 // assignments that except it
}

// claim is one assignment and the fields that it names.
type claim struct {
	assignment int32
	priority   int
	fields     fieldSet
}

func (c *compiler) compilePart(name string) *part {
	t := territory{
		part:   &part{name: name, tree: newTree()},
		claims: map[int32][]claim{}, cancels: map[int32][]int32{},
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
	fields := fieldsOf(a.Features, a.Kinds) & c.on
	t.claims[n] = append(t.claims[n], claim{assignment: i, priority: a.Priority, fields: fields})
	for _, e := range a.Except {
		en, err := t.part.tree.addPin(e)
		if err != nil {
			c.mistakes.Add(cmp.Or(e.Pos, a.Pos), err.Error(), "run the command again")
			return
		}
		t.cancels[en] = append(t.cancels[en], i)
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

// checkClashes finds assignments of the same subtree that name the same feature with the same priority.
func (c *compiler) checkClashes(t *territory) {
	for n := range t.part.tree.nodes {
		claims := t.claims[int32(n)]
		slices.SortStableFunc(claims, func(x, y claim) int { return cmp.Compare(y.priority, x.priority) })
		for i, x := range claims {
			for _, y := range claims[i+1:] {
				if y.priority != x.priority {
					break
				}
				if both := x.fields & y.fields; both != 0 {
					c.clash(x, y, both)
				}
			}
		}
	}
}

func (c *compiler) clash(x, y claim, both fieldSet) {
	first, second := &c.policy.Assignments[x.assignment], &c.policy.Assignments[y.assignment]
	features, _ := featuresOf(both, c.on)
	what := fmt.Sprintf("assignments %q%s and %q%s both claim %s of every object in %s, such as CN=Anyone,%s",
		first.Name, at(first.Pos), second.Name, at(second.Pos), quoted(features), second.Under.DN, second.Under.DN)
	c.mistakes.Add(second.Pos, what, "give one of them a higher \"priority\", or take the feature out of one")
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

// mark writes down, for each container that an assignment names, who owns what lies directly in it, and finds what nobody
// owns.
func (c *compiler) mark(t *territory) {
	tr := t.part.tree
	t.part.marks = make([]marks, len(tr.nodes))
	for n := range tr.nodes {
		n := int32(n)
		t.part.marks[n] = noMarks
		named := t.named(n, c.policy.Assignments)
		if named == 0 {
			continue
		}
		won := t.resolve(n, c.on)
		for f := range field(numFields) {
			if !c.on.has(f) {
				continue
			}
			follows := f.isReference() && won[f] < 0
			if follows {
				won[f] = won[f.base()]
			}
			if !named.has(f) && !(follows && named.has(f.base())) {
				continue
			}
			if won[f] >= 0 {
				t.part.marks[n][f] = won[f] + 1
			}
		}
		c.checkTotal(t, n, named, won)
	}
}

// named gives the fields that some assignment names at node n, for its subtree or as an exception.
func (t *territory) named(n int32, assignments []Assignment) fieldSet {
	var s fieldSet
	for _, c := range t.claims[n] {
		s |= c.fields
	}
	for _, i := range t.cancels[n] {
		s |= fieldsOf(assignments[i].Features, assignments[i].Kinds)
	}
	return s
}

// resolve gives, per field, the assignment that owns what lies directly in node n, -1 where there is none. References are
// resolved here only by assignments that name them.
func (t *territory) resolve(n int32, on fieldSet) marks {
	won, left := noMarks, on
	var cancelled []int32
	for a := n; a >= 0 && left != 0; a = t.part.tree.nodes[a].parent {
		for _, c := range t.claims[a] {
			if c.fields&left == 0 || slices.Contains(cancelled, c.assignment) {
				continue
			}
			for f := range field(numFields) {
				if (c.fields & left).has(f) {
					won[f] = c.assignment
				}
			}
			left &^= c.fields
		}
		cancelled = append(cancelled, t.cancels[a]...)
	}
	return won
}
