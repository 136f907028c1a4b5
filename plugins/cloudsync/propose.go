package cloudsync

import (
	"context"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// take proposes one batch of objects as they were read, and notes their places.
func (r *jobRun) take(ctx context.Context, guids []scoping.GUID, found map[scoping.GUID]directory.Entry) error {
	c := newChange()
	if r.memory.tree.root.IsZero() {
		c.root = r.root
	}
	if err := r.memory.commit(ctx, c); err != nil {
		return err
	}
	if err := r.completeTree(ctx, found); err != nil {
		return err
	}
	c = newChange()
	for _, g := range guids {
		e, ok := found[g]
		var err error
		switch {
		case !ok:
			err = r.absent(g, c)
		case e.Deleted:
			err = r.gone(e, c)
		default:
			err = r.living(e, c)
		}
		if err != nil {
			return err
		}
	}
	return r.memory.commit(ctx, c)
}

// completeTree reads the containers above the batch that the tree does not know, level by level.
func (r *jobRun) completeTree(ctx context.Context, found map[scoping.GUID]directory.Entry) error {
	asked := map[scoping.GUID]bool{}
	for {
		var unknown []scoping.GUID
		for _, e := range found {
			parent := e.Parent
			if e.Deleted {
				parent = r.lastPlace(e)
			}
			if _, missing := r.memory.tree.ancestors(parent); !missing.IsZero() && !asked[missing] {
				asked[missing] = true
				unknown = append(unknown, missing)
			}
		}
		if len(unknown) == 0 {
			return nil
		}
		above, err := r.readObjects(ctx, unknown)
		if err != nil {
			return err
		}
		c := newChange()
		for g, e := range above {
			if !e.Deleted {
				c.nodes[g] = &node{Kind: directory.OU, Parent: e.Parent}
			}
		}
		if err := r.memory.commit(ctx, c); err != nil {
			return err
		}
	}
}

// lastPlace is where a tombstone's object was, as far as anybody knows.
func (r *jobRun) lastPlace(e directory.Entry) scoping.GUID {
	if n, ok := r.memory.tree.nodes[e.GUID]; ok {
		return n.Parent
	}
	return e.LastParent
}

// absent is an object that is neither living nor a tombstone, or that the account may not see: no evidence of anything.
func (r *jobRun) absent(g scoping.GUID, c *change) error {
	n, known := r.memory.tree.nodes[g]
	r.unmark(g, c)
	if r.strict {
		return r.unknown(directory.Entry{GUID: g}, n.Kind, engine.NotFound)
	}
	if known && n.Claimed {
		r.fail(r.id(g), CodeNoEvidence, "the directory shows neither the object nor a tombstone of it")
	}
	if known {
		c.nodes[g] = nil
	}
	return nil
}

// unknown answers for an object that was asked for and that cannot be judged.
func (r *jobRun) unknown(e directory.Entry, kind scoping.Kind, reason string) error {
	p := engine.Proposal{Object: r.id(e.GUID), Name: e.DN, Parent: e.Parent, Version: e.Version, Want: engine.Unknown, Reason: reason}
	if r.schema[kind] != nil {
		p.Kind, p.Feature = kind, scoping.Base(kind)
	}
	r.stream.owe(p.Object, engine.Unknown, 1)
	return r.stream.propose(p)
}

func (r *jobRun) unmark(g scoping.GUID, c *change) {
	if _, ok := r.memory.pending[g]; ok {
		c.marks[g] = nil
	}
}

func (r *jobRun) id(g scoping.GUID) scoping.ObjectID {
	return scoping.ObjectID{Directory: r.config.Name, GUID: g}
}

func (r *jobRun) gone(e directory.Entry, c *change) error {
	kind := e.Kind()
	n, known := r.memory.tree.nodes[e.GUID]
	last := r.lastPlace(e)
	up, _ := r.memory.tree.ancestors(last)
	switch {
	case scoping.Base(kind) == "" || r.schema[kind] == nil:
		return r.refuseKind(e, c)
	case !r.strict && !r.regions.inRun(kind, up) && r.regions.granted(kind, up):
		return nil // stays pending for a run over its scope
	case !r.strict && !r.regions.inRun(kind, up) && !(known && n.Claimed):
		r.forget(e.GUID, c)
		return nil
	}
	p := r.proposal(e, kind, last, up, scoping.Base(kind))
	p.Want = engine.Gone
	r.stream.owe(p.Object, engine.Gone, 1)
	return r.stream.propose(p)
}

func (r *jobRun) forget(g scoping.GUID, c *change) {
	r.unmark(g, c)
	if _, known := r.memory.tree.nodes[g]; known {
		c.nodes[g] = nil
	}
}

func (r *jobRun) refuseKind(e directory.Entry, c *change) error {
	r.unmark(e.GUID, c)
	if r.strict {
		return r.unknown(e, e.Kind(), engine.NotSynchronized)
	}
	return nil
}

// living proposes a living object: as present or excluded where the run's scopes cover it, as out of scope where it has left
// all of this engine's. What lies in another scope of this engine waits for a run over that.
func (r *jobRun) living(e directory.Entry, c *change) error {
	kind := e.Kind()
	if r.schema[kind] == nil {
		if holds(kind) && !r.strict {
			c.nodes[e.GUID] = &node{Kind: kind, Parent: e.Parent}
		}
		return r.refuseKind(e, c)
	}
	n, known := r.memory.tree.nodes[e.GUID]
	from := r.memory.pending[e.GUID].From
	if !known || n.Parent != e.Parent {
		if known && n.Claimed && from == nil {
			from, _ = r.memory.tree.ancestors(n.Parent)
		}
		n.Kind, n.Parent = kind, e.Parent
		c.nodes[e.GUID] = &n
	}
	up, missing := r.memory.tree.ancestors(e.Parent)
	switch {
	case !missing.IsZero() && r.strict:
		return r.unknown(e, kind, engine.PlaceUnknown)
	case !missing.IsZero():
		r.fail(r.id(e.GUID), engine.PlaceUnknown, fmt.Sprintf("a container above %q cannot be read", e.DN))
		return nil
	case r.regions.inRun(kind, up):
		return r.present(e, kind, up, c)
	case r.strict, from != nil && n.Claimed && !r.regions.granted(kind, up):
		return r.outOfScope(e, kind, up, from)
	case !n.Claimed && !r.regions.granted(kind, up):
		r.unmark(e.GUID, c)
	case from != nil:
		c.marks[e.GUID] = &mark{From: from}
	}
	return nil
}

// present proposes what the run's scopes want of the object: its base feature, what stands beside it, or both.
func (r *jobRun) present(e directory.Entry, kind scoping.Kind, up []scoping.GUID, c *change) error {
	place := scoping.Place{Directory: r.config.Name, Ancestors: up}
	base, beside := r.regions.wanted(kind, place)
	values, reason := map[string]engine.Value(nil), exclusion(e)
	if reason == "" {
		values, reason = r.schema.desired(e, r.domain)
	}
	want, said := engine.Present, beside
	if reason != "" {
		want = engine.Excluded
		said = slices.DeleteFunc(slices.Clone(beside), func(f scoping.Feature) bool { return f != scoping.References || !expression.KeepsMembers(reason) })
	}
	n := len(said)
	if base {
		n++
	}
	if n == 0 { // only what stands beside it was asked for, of an object that the rules leave out: that is for its base feature to say
		r.unmark(e.GUID, c)
		return r.leftOut(e, kind, up, beside, reason)
	}
	r.stream.owe(r.id(e.GUID), want, n)
	if r.regions.partly(kind, place, base, beside) {
		r.stream.leave(r.id(e.GUID))
	}
	for _, f := range said {
		p := r.proposal(e, kind, e.Parent, up, f)
		p.Want = engine.Present
		if f == scoping.References {
			p.Refs = references(r.config.Name, e)
		} else {
			p.Desired = extensionsOf(e, r.request.Extensions)
		}
		if err := r.spool.add(p); err != nil {
			return err
		}
	}
	if !base {
		return nil
	}
	p := r.proposal(e, kind, e.Parent, up, scoping.Base(kind))
	p.Want, p.Reason, p.Desired = want, reason, values
	return r.stream.propose(p)
}

// leftOut answers for an object that the rules leave out and of which the base feature was not asked for.
func (r *jobRun) leftOut(e directory.Entry, kind scoping.Kind, up []scoping.GUID, asked []scoping.Feature, reason string) error {
	if !r.strict {
		return nil
	}
	for _, f := range asked {
		p := r.proposal(e, kind, e.Parent, up, f)
		p.Want, p.Reason = engine.Unknown, reason
		r.stream.owe(p.Object, engine.Unknown, 1)
		if err := r.stream.propose(p); err != nil {
			return err
		}
	}
	return nil
}

// outOfScope is stamped with the grant of the place that the object has left, if there is one: only that engine's record can be
// concerned.
func (r *jobRun) outOfScope(e directory.Entry, kind scoping.Kind, up, from []scoping.GUID) error {
	p := r.proposal(e, kind, e.Parent, up, scoping.Base(kind))
	if p.Grant == 0 && from != nil {
		g := r.regions.grantFor(kind, scoping.Base(kind), from)
		p.Grant, p.Epoch = g.ID, g.Epoch
	}
	p.Want = engine.OutOfScope
	r.stream.owe(p.Object, engine.OutOfScope, 1)
	return r.stream.propose(p)
}

// proposal begins a proposal: whose, where, and under which grant.
func (r *jobRun) proposal(e directory.Entry, kind scoping.Kind, parent scoping.GUID, up []scoping.GUID, f scoping.Feature) engine.Proposal {
	g := r.regions.grantFor(kind, f, up)
	version := e.Version
	if version == 0 {
		version = r.report.USN
	}
	return engine.Proposal{Object: r.id(e.GUID), Kind: kind, Name: e.DN, Parent: parent, Version: version, Feature: f,
		Grant: g.ID, Epoch: g.Epoch}
}

// wanted returns what the run wants of an object: its base feature, and which of those that stand beside it.
func (r regions) wanted(k scoping.Kind, p scoping.Place) (base bool, beside []scoping.Feature) {
	for i, f := range featuresOf(k) {
		switch is := covers(r.run, p, k, f); {
		case i == 0:
			base = is
		case is:
			beside = append(beside, f)
		}
	}
	return base, beside
}

// partly reports whether the run leaves out a feature of an object that is granted.
func (r regions) partly(k scoping.Kind, p scoping.Place, base bool, beside []scoping.Feature) bool {
	return slices.ContainsFunc(featuresOf(k), func(f scoping.Feature) bool {
		if f == scoping.Base(k) && base || slices.Contains(beside, f) {
			return false
		}
		return slices.ContainsFunc(r.grants, func(g engine.Grant) bool { return g.Scope.Writes(k, f) && g.Scope.Covers(p) })
	})
}
