package scoping

import (
	"fmt"
	"slices"
)

// Policy gives a policy that, compiled, has the same owners everywhere. Straight after [Compile] it is the compiled one;
// after hand-overs its assignments are made anew, with the names of those they came from.
func (p *Partition) Policy() Policy {
	return Policy{Features: slices.Clone(p.features), Defaults: p.defaults, Matches: p.matches, Assignments: slices.Clone(p.assignments)}
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
	apart := p.apart(d)
	split := func(f field, order []int32) []component {
		if f.isReference() && !apart.has(f) {
			return nil
		}
		comps := components(d.tree, order,
			func(n int32) bool { return d.marks[n][f] >= 0 },
			func(n int32) int32 { return colours[d.marks[n][f]] })
		return stated(comps, colours[outside])
	}
	var out []Assignment
	for _, s := range shapes(d.tree, p.on, split) {
		o := p.owners[d.at(s.c.top, lowest(s.fields))]
		a := Assignment{Name: o.Assignment, Directory: d.name, Under: d.tree.pin(s.c.top), Engine: o.Engine}
		if a.Name == "" {
			a.Name = "outside"
		}
		if o.Engine == None && o.Leaving != p.defaults.Leaving {
			a.Leaving = o.Leaving
		}
		for _, e := range s.c.except {
			a.Except = append(a.Except, d.tree.pin(e))
		}
		a.Features, a.Kinds = featuresOf(s.fields, p.on)
		out = append(out, a)
	}
	return out
}

// apart gives the reference fields that do not follow their base feature everywhere in the directory.
func (p *Partition) apart(d *part) fieldSet {
	var s fieldSet
	for n, m := range d.marks {
		for f := range field(numFields) {
			if f.isReference() && p.on.has(f) && (m[f] >= 0 || m[f.base()] >= 0) &&
				p.owners[d.at(int32(n), f)].Engine != p.owners[d.at(int32(n), f.base())].Engine {
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
