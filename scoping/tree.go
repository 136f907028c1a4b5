package scoping

import (
	"fmt"
	"slices"
)

// tree is what a partition must know of one directory's containers to work without it: its pins and what lies above them.
type tree struct {
	nodes []node
	index map[GUID]int32
}

type node struct {
	guid   GUID
	dn     string // of pins, when pinned; empty for containers that merely lie above one
	parent int32  // -1 for the naming context's root
}

func newTree() *tree { return &tree{index: map[GUID]int32{}} }

func (t *tree) clone() *tree {
	c := &tree{nodes: slices.Clone(t.nodes), index: make(map[GUID]int32, len(t.index))}
	for g, n := range t.index {
		c.index[g] = n
	}
	return c
}

// addPin adds a pin and its ancestors. Where the tree already knows one of them, it must lie where the pin says.
func (t *tree) addPin(p Pin) (int32, error) {
	parent := int32(-1)
	for i := len(p.Ancestors) - 1; i >= 0; i-- {
		n, err := t.add(p.Ancestors[i], "", parent)
		if err != nil {
			return 0, err
		}
		parent = n
	}
	return t.add(p.GUID, p.DN, parent)
}

func (t *tree) add(g GUID, dn string, parent int32) (int32, error) {
	n, ok := t.index[g]
	if !ok {
		n = int32(len(t.nodes))
		t.nodes = append(t.nodes, node{guid: g, dn: dn, parent: parent})
		t.index[g] = n
		return n, nil
	}
	if t.nodes[n].parent != parent {
		return 0, fmt.Errorf("the container %s (%s) was found in two places: the directory changed while it was read", dn, g)
	}
	if t.nodes[n].dn == "" {
		t.nodes[n].dn = dn
	}
	return n, nil
}

// addKnown adds a pin whose tree may be older: containers that are known already stay where they are.
func (t *tree) addKnown(p Pin) int32 {
	n, ok := t.index[p.GUID]
	if ok {
		if t.nodes[n].dn == "" {
			t.nodes[n].dn = p.DN
		}
		return n
	}
	parent, known := int32(-1), 0
	for known < len(p.Ancestors) {
		if n, ok := t.index[p.Ancestors[known]]; ok {
			parent = n
			break
		}
		known++
	}
	for i := known - 1; i >= 0; i-- {
		parent = t.insert(p.Ancestors[i], "", parent)
	}
	return t.insert(p.GUID, p.DN, parent)
}

func (t *tree) insert(g GUID, dn string, parent int32) int32 {
	n := int32(len(t.nodes))
	t.nodes = append(t.nodes, node{guid: g, dn: dn, parent: parent})
	t.index[g] = n
	return n
}

// pin gives a node as a pin, with its ancestors as the tree knows them.
func (t *tree) pin(n int32) Pin {
	p := Pin{GUID: t.nodes[n].guid, DN: t.nodes[n].dn}
	for a := t.nodes[n].parent; a >= 0; a = t.nodes[a].parent {
		p.Ancestors = append(p.Ancestors, t.nodes[a].guid)
	}
	return p
}

// spans gives the test whether a choice looks at everybody who lies in node n and in no pinned container beneath it.
func (t *tree) spans(n int32) func(Choice) bool {
	chain := append([]GUID{t.nodes[n].guid}, t.pin(n).Ancestors...)
	return func(c Choice) bool {
		return c.Reaches(chain) && !slices.ContainsFunc(c.Except, func(e Pin) bool {
			at, known := t.index[e.GUID]
			return !known || slices.Contains(t.pin(at).Ancestors, t.nodes[n].guid)
		})
	}
}

func (t *tree) depth(n int32) int {
	d := 0
	for ; n >= 0; n = t.nodes[n].parent {
		d++
	}
	return d
}

// name is how people know the container.
func (t *tree) name(n int32) string {
	if dn := t.nodes[n].dn; dn != "" {
		return dn
	}
	return t.nodes[n].guid.String()
}

// outermostFirst gives all nodes so that each comes after what it lies under.
func (t *tree) outermostFirst() []int32 {
	order := make([]int32, 0, len(t.nodes))
	done := make([]bool, len(t.nodes))
	var chain []int32
	for i := range t.nodes {
		chain = chain[:0]
		for n := int32(i); n >= 0 && !done[n]; n = t.nodes[n].parent {
			done[n] = true
			chain = append(chain, n)
		}
		slices.Reverse(chain)
		order = append(order, chain...)
	}
	return order
}
