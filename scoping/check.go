package scoping

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Check judges all of a policy that can be judged without knowing where its subtrees lie: names, engines, features, defaults. [Compile] includes it.
func Check(policy Policy, engines map[string]EngineCaps) Mistakes {
	c := compiler{policy: policy, engines: engines, on: fieldsOn(policy.Features)}
	c.check()
	return c.mistakes
}

func (c *compiler) check() {
	c.checkPolicy()
	for i := range c.policy.Assignments {
		c.checkAssignment(i)
	}
	c.checkNames()
}

// checkPins finds subtrees that nobody resolved.
func (c *compiler) checkPins() {
	for _, a := range c.policy.Assignments {
		for _, p := range append([]Pin{a.Under}, a.Except...) {
			if p.GUID.IsZero() {
				c.mistakes.Add(cmp.Or(p.Pos, a.Pos), fmt.Sprintf("%s of assignment %q is not resolved to a container of the directory", p.DN, a.Name), "")
			}
		}
		if g := a.Selector.MemberOf; g.DN != "" && g.GUID.IsZero() {
			c.mistakes.Add(cmp.Or(g.Pos, a.Pos), fmt.Sprintf("%s of assignment %q is not resolved to a group of the directory", g.DN, a.Name), "")
		}
		for _, g := range a.From.Groups {
			if g.ID == "" {
				c.mistakes.Add(cmp.Or(g.Pos, a.Pos), fmt.Sprintf("%s of assignment %q is not resolved to a group of the tenant", g.Name, a.Name), "")
			}
		}
	}
}

func (c *compiler) checkPolicy() {
	p := &c.policy
	for i, f := range p.Features {
		pos := posAt(p.FeaturePos, i, p.Pos)
		c.checkFeature(f, pos)
		if slices.Contains(p.Features[:i], f) {
			c.mistakes.Add(pos, fmt.Sprintf("feature %q is switched on twice", f), "remove one")
		}
		r, _ := Row(f)
		for _, need := range r.Needs {
			if !slices.Contains(p.Features, need) {
				c.mistakes.Add(pos, fmt.Sprintf("feature %q needs feature %q, which is not switched on", f, need), "add it to \"features\"")
			}
		}
	}
	if c.on == 0 {
		c.mistakes.Add(p.Pos, "no base feature is switched on", "list users, groups or both in \"features\"")
	}
	if len(p.Assignments) == 0 {
		c.mistakes.Add(p.Pos, "the policy assigns nothing", "add an assignment for the base of each directory")
	}
	c.checkDefaults()
}

func (c *compiler) checkDefaults() {
	d := c.policy.Defaults
	if !validLeaving(d.Leaving) {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("leaving: %q is not a way of leaving", d.Leaving), "write disable, remove or keep")
	}
	if t := d.DeleteThreshold; t.Objects < 0 || t.Percent < 0 || t.Percent > 100 {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("deleteThreshold: {objects: %d, percent: %d} is no threshold", t.Objects, t.Percent),
			"objects is 0 or more, percent lies between 0 and 100")
	}
	if s := d.UPN.UnverifiedSuffix; s != "refuse" && s != "initialDomain" {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("upn.unverifiedSuffix: %q is unknown", s), "write refuse or initialDomain")
	}
	if s := d.UPN.Changes; s != "apply" && s != "hold" {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("upn.changes: %q is unknown", s), "write apply or hold")
	}
	if s := d.MembersRule(); s != KeepMembers && s != ExclusiveMembers {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("members: %q is unknown", s), "write keep or exclusive")
	}
	if s := d.ConflictsRule(); s != RefuseConflicts && s != QuarantineConflicts {
		c.mistakes.Add(c.policy.Pos, fmt.Sprintf("conflicts: %q is unknown", s), "write refuse or quarantine")
	}
}

func validLeaving(l Leaving) bool { return l == Disable || l == Remove || l == Keep }

// checkFeature says whether a feature exists and may be used yet.
func (c *compiler) checkFeature(f Feature, pos Pos) bool {
	if _, ok := Row(f); !ok {
		var known []Feature
		for _, r := range featureTable {
			known = append(known, r.Feature)
		}
		c.mistakes.Add(pos, fmt.Sprintf("there is no feature %q", f), "the features are "+quoted(known))
		return false
	}
	return true
}

func (c *compiler) checkAssignment(i int) {
	a := &c.policy.Assignments[i]
	if a.Name == "" {
		c.mistakes.Add(a.Pos, "the assignment has no name", "add \"name\", by which messages and plans can speak of it")
	}
	if a.Directory == "" {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q does not say in which directory its subtree lies", a.Name), "add \"directory\"")
	}
	if slices.ContainsFunc(a.Except, func(e Pin) bool { return e.GUID == a.Under.GUID && !e.GUID.IsZero() }) {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q excepts its whole subtree %s", a.Name, a.Under.DN), "remove the exception or the assignment")
	}
	c.checkSelector(a)
	c.checkEngine(a)
	c.checkFeatures(a)
	if a.Provisions() {
		c.checkTarget(a)
		return
	}
	c.checkLeaving(a)
	if a.Link != "" || len(a.Match) > 0 {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q says \"link\" or \"match\", which belong to \"from\"", a.Name), "remove them")
	}
}

// checkSelector judges what can be judged of a selector without a directory.
func (c *compiler) checkSelector(a *Assignment) {
	s := a.Selector
	if s.Sample != "" {
		if _, err := ParseSample(s.Sample); err != nil {
			c.mistakes.Add(cmp.Or(s.SamplePos, a.Pos), fmt.Sprintf("sample of assignment %q: %q is not a share", a.Name, s.Sample), sampleHint)
		}
	}
	if s.Filter != "" {
		c.checkFilter(a)
	}
}

func (c *compiler) checkFilter(a *Assignment) {
	pos := cmp.Or(a.Selector.FilterPos, a.Pos)
	f, err := ParseFilter(a.Selector.Filter)
	var bad *FilterError
	if errors.As(err, &bad) {
		c.mistakes.Add(pos, fmt.Sprintf("filter of assignment %q: %s at character %d of %s", a.Name, bad.What, bad.Offset+1, a.Selector.Filter), bad.Hint)
		return
	}
	for _, p := range f.Check() {
		c.mistakes.Add(pos, fmt.Sprintf("filter of assignment %q: %s", a.Name, p.What), p.Hint)
	}
}

func (c *compiler) checkEngine(a *Assignment) {
	pos := cmp.Or(a.EnginePos, a.Pos)
	if a.Engine == None {
		return
	}
	if _, ok := c.engines[a.Engine]; ok {
		return
	}
	known := append(slices.Sorted(maps.Keys(c.engines)), None)
	if a.Engine == "" {
		c.mistakes.Add(pos, fmt.Sprintf("assignment %q names no engine", a.Name), "write one of "+strings.Join(known, ", "))
		return
	}
	c.mistakes.Add(pos, fmt.Sprintf("assignment %q names engine %q, which is not configured", a.Name, a.Engine),
		"write one of "+strings.Join(known, ", ")+", or add it to \"engines\" of tandem.yaml")
}

func (c *compiler) checkFeatures(a *Assignment) {
	if len(a.Features) == 0 {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q names no feature", a.Name), "add \"features\"")
	}
	caps, configured := c.engines[a.Engine]
	for i, f := range a.Features {
		pos := posAt(a.FeaturePos, i, a.Pos)
		if !c.checkFeature(f, pos) {
			continue
		}
		r, _ := Row(f)
		if slices.Contains(a.Features[:i], f) {
			c.mistakes.Add(pos, fmt.Sprintf("assignment %q names feature %q twice", a.Name, f), "remove one")
		}
		if !slices.Contains(c.policy.Features, f) {
			c.mistakes.Add(pos, fmt.Sprintf("assignment %q names feature %q, which is not switched on", a.Name, f),
				"add it to \"features\" at the top of the file")
		}
		if a.Engine != None && configured {
			if why := caps.lacks(r); why != "" {
				c.mistakes.Add(pos, fmt.Sprintf("assignment %q gives feature %q (%s) to engine %q, %s", a.Name, f, r, a.Engine, why),
					"give it to another engine, or to none")
			}
		}
	}
	c.checkKinds(a)
}

func (c *compiler) checkKinds(a *Assignment) {
	if len(a.Kinds) > 0 && !slices.ContainsFunc(a.Features, func(f Feature) bool { r, _ := Row(f); return r.Follows }) {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q names kinds, which only narrow features that follow, such as references, but none of these", a.Name),
			"remove \"kinds\"")
	}
	for _, k := range a.Kinds {
		if i := kindIndex(k); i < 0 || !c.on.has(field(i)) {
			c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q names kind %q, which is unknown or not switched on", a.Name, k),
				"write the kind of a base feature that is switched on, such as user")
		}
	}
}

func (c *compiler) checkLeaving(a *Assignment) {
	if a.Leaving == "" {
		return
	}
	if !validLeaving(a.Leaving) {
		c.mistakes.Add(a.Pos, fmt.Sprintf("leaving: %q of assignment %q is not a way of leaving", a.Leaving, a.Name), "write disable, remove or keep")
	}
	if a.Engine != None {
		c.mistakes.Add(a.Pos, fmt.Sprintf("assignment %q says \"leaving\", which belongs to engine none", a.Name), "remove it")
	}
}

func (c *compiler) checkNames() {
	first := map[string]Pos{}
	for _, a := range c.policy.Assignments {
		if before, ok := first[a.Name]; ok && a.Name != "" {
			c.mistakes.Add(a.Pos, fmt.Sprintf("a second assignment is named %q, after that%s", a.Name, at(before)), "give each its own name")
			continue
		}
		first[a.Name] = a.Pos
	}
	if _, ok := c.engines[None]; ok {
		c.mistakes.Add(c.policy.Pos, "an engine is named \"none\", which means no engine", "rename it in tandem.yaml")
	}
}

// checkTotal finds features that nobody owns directly in node n: at the managed roots all that are switched on, elsewhere
// those that an exception took away.
func (c *compiler) checkTotal(t *territory, n int32, named fieldSet, won marks) {
	ask := named & c.on
	root := c.isRoot(t, n)
	if root {
		ask = c.on
	}
	var missing fieldSet
	for f := range field(numKinds) {
		if ask.has(f) && won[f] < 0 {
			missing |= 1 << f
		}
	}
	if missing == 0 {
		return
	}
	features := featuresIn(missing)
	name := t.part.tree.name(n)
	if root {
		a := c.policy.Assignments[slices.Concat(t.claims[n], t.chosen[n])[0].assignment]
		if a.narrowed() {
			c.mistakes.Add(a.Pos, fmt.Sprintf("nobody owns %s under %s of objects that assignment %q does not choose", quoted(features), name, a.Name),
				fmt.Sprintf("add an assignment \"under: %s\" without a selector, with an engine or with \"engine: none\"", name))
			return
		}
		c.mistakes.Add(a.Pos, fmt.Sprintf("nobody owns %s under %s", quoted(features), name),
			fmt.Sprintf("add %s to the features of assignment %q, or add an assignment \"under: %s\" with \"engine: none\" for it", quoted(features), a.Name, name))
		return
	}
	pos, by := c.exceptionAt(t, n, missing)
	c.mistakes.Add(pos, fmt.Sprintf("nobody owns %s under %s, which assignment %q excepts", quoted(features), name, by),
		fmt.Sprintf("add an assignment \"under: %s\" with an engine, or with \"engine: none\"", name))
}

func (c *compiler) isRoot(t *territory, n int32) bool {
	if len(t.claims[n])+len(t.chosen[n]) == 0 {
		return false
	}
	for a := t.part.tree.nodes[n].parent; a >= 0; a = t.part.tree.nodes[a].parent {
		if len(t.claims[a])+len(t.chosen[a]) > 0 {
			return false
		}
	}
	return true
}

// exceptionAt finds the exception by which node n lost some of the fields.
func (c *compiler) exceptionAt(t *territory, n int32, missing fieldSet) (Pos, string) {
	for _, i := range t.cancels[n] {
		a := c.policy.Assignments[i]
		if fieldsOf(a.Features, a.Kinds)&missing == 0 {
			continue
		}
		for _, e := range a.Except {
			if e.GUID == t.part.tree.nodes[n].guid {
				return cmp.Or(e.Pos, a.Pos), a.Name
			}
		}
	}
	return c.policy.Pos, ""
}
