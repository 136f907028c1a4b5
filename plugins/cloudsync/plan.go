package cloudsync

import (
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// listed is what a listing tells of one object.
type listed struct {
	kind    scoping.Kind // empty: not told, as of changes
	parent  scoping.GUID // zero: not told
	last    scoping.GUID // of a tombstone
	deleted bool
}

// listing is one reading of what changed, or of everything (whole). It holds no values.
type listing struct {
	whole      bool
	root       scoping.GUID
	invocation scoping.GUID
	usn        uint64
	cookie     []byte
	objects    map[scoping.GUID]listed
	read       int
}

// add takes one entry. An object may be told more than once; what is told later counts.
func (l *listing) add(e directory.Entry) {
	l.read++
	o := l.objects[e.GUID]
	if e.Has("objectclass") {
		o.kind = e.Kind()
	}
	if !e.Parent.IsZero() {
		o.parent = e.Parent
	}
	o.deleted = e.Deleted
	if e.Deleted {
		o.last = e.LastParent
	}
	l.objects[e.GUID] = o
}

// regions are where an engine may write: by this run, and at all.
type regions struct {
	directory string
	run       []scoping.Scope
	grants    []engine.Grant // with a mode that allows something
}

// featuresOf are the features of objects of a kind, the base feature first.
func featuresOf(k scoping.Kind) []scoping.Feature {
	if k == scoping.User {
		return []scoping.Feature{scoping.Users, scoping.References, scoping.Extensions}
	}
	return []scoping.Feature{scoping.Base(k), scoping.References}
}

func covers(scopes []scoping.Scope, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	for _, s := range scopes {
		if s.Writes(k, f) && s.Covers(p) {
			return true
		}
	}
	return false
}

// inRun says whether the run wants anything of an object of the kind that lies below ancestors.
func (r regions) inRun(k scoping.Kind, ancestors []scoping.GUID) bool {
	p := scoping.Place{Directory: r.directory, Ancestors: ancestors}
	return slices.ContainsFunc(featuresOf(k), func(f scoping.Feature) bool { return covers(r.run, p, k, f) })
}

// granted says whether any grant covers an object of the kind that lies below ancestors.
func (r regions) granted(k scoping.Kind, ancestors []scoping.GUID) bool {
	p := scoping.Place{Directory: r.directory, Ancestors: ancestors}
	for _, g := range r.grants {
		if g.Scope.Covers(p) && slices.ContainsFunc(featuresOf(k), func(f scoping.Feature) bool { return g.Scope.Writes(k, f) }) {
			return true
		}
	}
	return false
}

// grantFor gives the grant under which an object's feature is proposed: of those that cover its place the one with the
// nearest container; of equals one with a selector, then the older. The zero Grant when there is none.
func (r regions) grantFor(k scoping.Kind, f scoping.Feature, ancestors []scoping.GUID) engine.Grant {
	p := scoping.Place{Directory: r.directory, Ancestors: ancestors}
	var best engine.Grant
	nearest := len(ancestors) + 1
	for _, g := range r.grants {
		if !g.Scope.Writes(k, f) || !g.Scope.Covers(p) {
			continue
		}
		depth := 0
		for depth < len(ancestors) && ancestors[depth] != g.Scope.Under {
			depth++
		}
		closer := depth < nearest
		equal := depth == nearest && (g.Scope.Selector != "") == (best.Scope.Selector != "") && g.ID < best.ID
		special := depth == nearest && g.Scope.Selector != "" && best.Scope.Selector == ""
		if closer || equal || special {
			best, nearest = g, depth
		}
	}
	return best
}

// plan turns a listing into the one change that takes it in: the shape of the directory, what is still to be proposed, and
// the new watermark (rule P3). It is pure.
//
// A whole listing that saw granted objects outside the run's scopes keeps an older watermark of the same controller, since
// this run will not propose those. Without one they become pending.
func plan(m *memory, l *listing, r regions) *change {
	c := newChange()
	c.root = l.root
	before := m.tree
	after := merge(before, l, c)
	moved := map[scoping.GUID]bool{}
	for g, n := range c.nodes {
		if n != nil && holds(n.Kind) {
			if old, ok := before.nodes[g]; ok && old.Parent != n.Parent {
				moved[g] = true
			}
		}
	}
	p := planner{before: before, after: after, pending: m.pending, regions: r, change: c, whole: l.whole}
	for g, o := range l.objects {
		p.listed(g, o)
	}
	for _, g := range after.under(moved) {
		p.carried(g)
	}
	if l.whole {
		p.vanished(l)
	}
	if l.whole && p.outside && m.watermark != nil && m.watermark.Invocation == l.invocation {
		return c
	}
	for _, g := range p.later {
		p.put(g, mark{})
	}
	c.watermark = &watermark{Cookie: l.cookie, Invocation: l.invocation}
	return c
}

// merge gives the tree after the listing, and notes in c what changes. Objects that are deleted stay until that is decided.
func merge(before *tree, l *listing, c *change) *tree {
	after := &tree{root: l.root, nodes: maps.Clone(before.nodes)}
	for g, o := range l.objects {
		if o.deleted {
			if n, ok := before.nodes[g]; ok && holds(n.Kind) {
				c.nodes[g] = nil
				delete(after.nodes, g)
			}
			continue
		}
		n, known := before.nodes[g]
		if o.kind != "" {
			n.Kind = o.kind
		}
		if !o.parent.IsZero() {
			n.Parent = o.parent
		}
		if !kept(n.Kind) || (n.Parent.IsZero() && g != l.root) || (known && n == before.nodes[g]) {
			continue
		}
		after.nodes[g] = n
		c.nodes[g] = &n
	}
	return after
}

// planner finds what is to be proposed.
type planner struct {
	before, after *tree
	pending       map[scoping.GUID]mark
	regions       regions
	change        *change
	whole         bool
	outside       bool           // a granted object lies outside the run's scopes
	later         []scoping.GUID // those objects
}

// put marks an object. Where it came from is what it was when it was proposed last, however often it moved since.
func (p *planner) put(g scoping.GUID, m mark) {
	if old, ok := p.change.marks[g]; ok && old != nil && old.From != nil {
		m.From = old.From
	}
	if old, ok := p.pending[g]; ok && old.From != nil {
		m.From = old.From
	}
	p.change.marks[g] = &m
}

func (p *planner) listed(g scoping.GUID, o listed) {
	old, known := p.before.nodes[g]
	if o.deleted {
		if known && holds(old.Kind) || o.kind != "" && !kept(o.kind) {
			return
		}
		p.put(g, mark{Gone: true})
		return
	}
	n, ok := p.after.nodes[g]
	switch {
	case !ok && o.kind != "" && !kept(o.kind), ok && holds(n.Kind):
		return
	case !ok: // an object of which nothing is known: reading it tells
		p.put(g, mark{})
		return
	}
	m := mark{}
	if known && old.Claimed && old.Parent != n.Parent {
		m.From, _ = p.before.ancestors(old.Parent)
	}
	p.place(g, n, m, !p.whole)
}

// carried marks an object whose ancestor was moved: DirSync does not tell of it, and never will, so it cannot be left to a
// later run.
func (p *planner) carried(g scoping.GUID) {
	n := p.after.nodes[g]
	m := mark{}
	if old, known := p.before.nodes[g]; known && old.Claimed {
		m.From, _ = p.before.ancestors(old.Parent)
	}
	p.place(g, n, m, true)
}

// place marks an object if its place concerns the engine. Without now, one in a granted scope outside of the run's is noted for
// later.
func (p *planner) place(g scoping.GUID, n node, m mark, now bool) {
	up, missing := p.after.ancestors(n.Parent)
	switch {
	case !missing.IsZero(), p.regions.inRun(n.Kind, up), m.From != nil:
		p.put(g, m)
	case p.regions.granted(n.Kind, up):
		if now {
			p.put(g, m)
			return
		}
		p.outside = true
		p.later = append(p.later, g)
	case n.Claimed:
		p.put(g, m)
	}
}

// vanished marks what a whole listing does not tell any more: reading it shows whether there is a tombstone.
func (p *planner) vanished(l *listing) {
	for g, n := range p.before.nodes {
		if _, told := l.objects[g]; told {
			continue
		}
		if n.Claimed {
			p.put(g, mark{Gone: true})
		} else if g != l.root {
			p.change.nodes[g] = nil
		}
	}
}
