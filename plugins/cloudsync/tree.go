package cloudsync

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// node is what the service keeps of an object: what it is, and where. Values are never kept; they are read anew.
type node struct {
	Kind    scoping.Kind
	Parent  scoping.GUID // zero for the naming context's root
	Claimed bool         // it was proposed as present or excluded, and the host has decided that
}

// tree is a directory's shape: its containers, users and groups. It is a value of one job, guarded by that job's run.
type tree struct {
	root  scoping.GUID
	nodes map[scoping.GUID]node
}

func newTree() *tree { return &tree{nodes: map[scoping.GUID]node{}} }

// holds says whether objects of the kind can hold others.
func holds(k scoping.Kind) bool { return k == directory.OU }

// kept says whether objects of the kind stand in the tree.
func kept(k scoping.Kind) bool {
	return holds(k) || k == scoping.User || k == scoping.Group || k == scoping.Contact
}

// ancestors gives the objectGUIDs above an object whose parent is given, the parent first; missing is the first one that the
// tree does not know, zero if the chain reaches the root.
func (t *tree) ancestors(parent scoping.GUID) (up []scoping.GUID, missing scoping.GUID) {
	for at := parent; ; {
		if at.IsZero() || slices.Contains(up, at) {
			return up, scoping.GUID{}
		}
		up = append(up, at)
		if at == t.root {
			return up, scoping.GUID{}
		}
		n, ok := t.nodes[at]
		if !ok {
			return up, at
		}
		at = n.Parent
	}
}

// under gives all objects below those of moved, in no particular order. It costs one pass over the tree.
func (t *tree) under(moved map[scoping.GUID]bool) []scoping.GUID {
	if len(moved) == 0 {
		return nil
	}
	known := map[scoping.GUID]bool{t.root: false, {}: false}
	for g := range moved {
		known[g] = true
	}
	var below func(g scoping.GUID, depth int) bool
	below = func(g scoping.GUID, depth int) bool {
		if is, ok := known[g]; ok {
			return is
		}
		n, ok := t.nodes[g]
		is := ok && depth < len(t.nodes) && below(n.Parent, depth+1)
		known[g] = is
		return is
	}
	var out []scoping.GUID
	for g, n := range t.nodes {
		if !holds(n.Kind) && below(n.Parent, 0) {
			out = append(out, g)
		}
	}
	return out
}
