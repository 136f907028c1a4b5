package scoping

import (
	"fmt"
	"slices"
	"strings"
)

// Policy gives a policy that, compiled, has the same owners everywhere. Straight after [Compile] it is the compiled one;
// after hand-overs its assignments are made anew, with the names of those they came from. Between two hand-overs of one plan
// that chooses objects and assigns their references apart there may be owners that no policy can say; then it says nearly that.
func (p *Partition) Policy() Policy {
	return Policy{Features: slices.Clone(p.features), Defaults: p.defaults, Matches: p.matches, Assignments: slices.Concat(p.assignments, p.provisioning)}
}

// derive makes assignments of what the partition remembers.
func (p *Partition) derive() []Assignment {
	var out []Assignment
	colours := p.colours(func(o Owner) string {
		return o.Engine + "\x00" + o.Assignment + "\x00" + string(noneLeaving(o))
	})
	for _, d := range p.parts {
		out = append(out, p.derivePart(d, colours)...)
	}
	p.uniqueNames(out)
	return out
}

func (p *Partition) derivePart(d *part, colours []int32) []Assignment {
	if slices.ContainsFunc(d.layers, func(ls []layer) bool { return len(ls) > 0 }) {
		return p.deriveLayered(d, colours)
	}
	apart := p.apart(d)
	split := func(f field, order []int32) []component {
		if f.follows() && !apart.has(f) {
			return nil
		}
		comps := components(d.tree, order,
			func(n int32) bool { return d.bordered(n, f) },
			func(n int32) []hue { return d.hues(n, f, colours) })
		return stated(comps, colours[outside])
	}
	var out []Assignment
	for _, s := range shapes(d.tree, p.on, split) {
		o := p.owners[d.at(s.c.top, lowest(s.fields))]
		for _, a := range p.assign(d, s.c.top, o, s.fields) {
			for _, e := range s.c.except {
				a.Except = append(a.Except, d.tree.pin(e))
			}
			out = append(out, a)
		}
	}
	return out
}

// assign states that an owner has some fields under a node.
func (p *Partition) assign(d *part, n int32, o Owner, fields fieldSet) (out []Assignment) {
	for _, names := range namesOf(fields, p.on) {
		a := Assignment{Name: o.Assignment, Directory: d.name, Under: d.tree.pin(n), Engine: o.Engine, Features: names.features, Kinds: names.kinds}
		if a.Name == "" {
			a.Name = "outside"
		}
		if o.Engine == None && o.Leaving != p.defaults.Leaving {
			a.Leaving = o.Leaving
		}
		out = append(out, a)
	}
	return out
}

// unsaid stands for an owner who is no matter of a container's own.
const unsaid = -1

// statement is one assignment to be made at a container.
type statement struct {
	clause
	priority int
	fields   fieldSet
}

// deriveLayered makes assignments where choices decide: for each container that decides something one for its whole subtree,
// and one for each choice, with the priorities that put them in their order.
func (p *Partition) deriveLayered(d *part, colours []int32) (out []Assignment) {
	apart := p.apart(d)
	for _, n := range d.tree.outermostFirst() {
		for _, s := range p.statements(d, n, colours, apart) {
			for _, a := range p.assign(d, n, p.owners[s.owner], s.fields) {
				if !s.plain() {
					a.Selector, a.Priority = d.selector(s.clause), s.priority
					a.Except = d.beneath(n, s.clause)
				}
				out = append(out, a)
			}
		}
	}
	return out
}

// statements says what is decided at one container; fields that follow only where they are assigned apart.
func (p *Partition) statements(d *part, n int32, colours []int32, apart fieldSet) (said []statement) {
	for f := range field(numFields) {
		if !p.on.has(f) || f.follows() && !apart.has(f) || !d.bordered(n, f) {
			continue
		}
		l := p.stateable(d, n, f, colours)
		for i, c := range l {
			if c.owner == unsaid {
				continue
			}
			priority := len(l) - 1 - i
			at := slices.IndexFunc(said, func(s statement) bool { return s.priority == priority && s.clause.equal(&c) })
			if at < 0 {
				said, at = append(said, statement{c, priority, 0}), len(said)
			}
			said[at].fields |= 1 << f
		}
	}
	return said
}

// stateable gives the decision list of a field at a node as assignments can say it. Owners that only their epochs tell apart
// are one.
func (p *Partition) stateable(d *part, n int32, f field, colours []int32) []clause {
	l := d.list(n, f)
	if len(l) == 1 && l[0].owner == outside {
		return nil
	}
	outer := d.list(d.tree.nodes[n].parent, f)
	for _, x := range [][]clause{l, outer} {
		for i := range x {
			x[i].owner = p.first(colours, x[i].owner)
		}
	}
	if slices.EqualFunc(l, outer, func(x, y clause) bool { return x.equal(&y) }) {
		return nil // it divides epochs alone
	}
	above := l[len(l)-1].owner
	l = d.positive(n, l)
	if d.marks[n][f] < 0 && len(d.list(d.tree.nodes[n].parent, f)) == 1 && l[len(l)-1].owner == above {
		l = append(slices.Clone(l[:len(l)-1]), clause{owner: unsaid}) // the assignment above says it
	}
	return l
}

// positive states the decision list of a node with clauses that only say who is in. Cells in the order of their decision
// tree, those who are taken first, need not say who is not: whoever is was answered before.
func (d *part) positive(n int32, l []clause) []clause {
	chain := append([]GUID{d.tree.nodes[n].guid}, d.tree.pin(n).Ancestors...)
	never := func(g GUID) bool { c, ok := d.choices[g]; return !ok || !c.Reaches(chain) }
	var here []clause
	for _, c := range l {
		if !slices.ContainsFunc(c.with, never) {
			here = append(here, clause{with: c.with, without: slices.DeleteFunc(slices.Clone(c.without), never), owner: c.owner})
		}
	}
	dec := decider{lists: [][]clause{here}, choices: d.choices, spans: d.tree.spans(n), same: func(a, b []int32) bool { return a[0] == b[0] }}
	var out []clause
	for _, x := range dec.leaves(cell{}) {
		out = append(out, clause{with: x.with, owner: x.owners[0]})
	}
	return tidied(out, d.choices, d.tree.spans(n))
}

// beneath gives the exceptions that a clause's choices have beneath a node.
func (d *part) beneath(n int32, c clause) (out []Pin) {
	for _, g := range c.with {
		for _, e := range d.choices[g].Except {
			if at, ok := d.tree.index[e.GUID]; ok && slices.Contains(d.tree.pin(at).Ancestors, d.tree.nodes[n].guid) &&
				!slices.ContainsFunc(out, func(p Pin) bool { return p.GUID == e.GUID }) {
				out = append(out, d.tree.pin(at))
			}
		}
	}
	return out
}

// first gives the first owner of the same colour.
func (p *Partition) first(colours []int32, owner int32) int32 {
	return int32(slices.Index(colours, colours[owner]))
}

// selector states a clause that only says who is in: objects that all its choices take.
func (d *part) selector(c clause) (s Selector) {
	var parts []string
	for _, g := range c.with {
		x := d.choices[g]
		if x.Sample != "" && (s.Sample == "" || first(ParseSample(s.Sample)) > first(ParseSample(x.Sample))) {
			s.Sample = x.Sample
		}
		switch m := x.MemberOf; {
		case m.DN == "" || m.GUID == s.MemberOf.GUID:
		case s.MemberOf.DN == "":
			s.MemberOf = m
		default:
			parts = append(parts, inGroup(m))
		}
		if x.Filter != "" && !slices.Contains(parts, x.Filter) {
			parts = append(parts, x.Filter)
		}
	}
	if len(parts) > 0 {
		s.Filter = all(parts)
	}
	return s
}

func first[A any](a A, _ error) A { return a }

func inGroup(group Pin) string {
	return "(memberOf:1.2.840.113556.1.4.1941:=" + EscapeFilterValue(group.DN) + ")"
}

func all(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	return "(&" + strings.Join(parts, "") + ")"
}

// apart gives the fields that do not follow their base feature everywhere in the directory.
func (p *Partition) apart(d *part) fieldSet {
	var s fieldSet
	for n := range d.marks {
		n := int32(n)
		for f := range field(numFields) {
			if !f.follows() || !p.on.has(f) || !d.bordered(n, f) && !d.bordered(n, f.base()) {
				continue
			}
			if !slices.EqualFunc(d.list(n, f), d.list(n, f.base()), func(x, y clause) bool {
				return slices.Equal(x.with, y.with) && slices.Equal(x.without, y.without) && p.owners[x.owner].Engine == p.owners[y.owner].Engine
			}) {
				s |= 1 << f
			}
		}
	}
	return s
}

// stated keeps the components that need an assignment of their own, each with the exceptions that an assignment needs. A
// component that has the colour of the one around the one around it is what remains there when the latter is excepted; the
// deepest wins, so other components beneath are no exceptions.
func stated(comps []component, outsideColour int32) []component {
	excepted := make([]bool, len(comps))
	except := make([][]int32, len(comps))
	for i, c := range comps {
		if c.parent < 0 || excepted[c.parent] {
			continue
		}
		around := comps[c.parent].parent
		if around >= 0 && comps[around].colour == c.colour && c.colour != outsideColour {
			excepted[i] = true
			except[c.parent] = append(except[c.parent], c.top)
		}
	}
	var out []component
	for i, c := range comps {
		if excepted[i] {
			continue
		}
		c.except = except[i]
		c.colour++ // none is to be left out
		out = append(out, c)
	}
	return out
}

// uniqueNames numbers assignments that came from one.
func (p *Partition) uniqueNames(as []Assignment) {
	taken := map[string]bool{}
	for _, a := range as {
		taken[a.Name] = true
	}
	seen := map[string]bool{}
	for i := range as {
		name := as[i].Name
		if !seen[name] {
			seen[name] = true
			continue
		}
		for n := 2; ; n++ {
			if try := fmt.Sprintf("%s (%d)", name, n); !taken[try] {
				taken[try] = true
				as[i].Name = try
				break
			}
		}
	}
}
