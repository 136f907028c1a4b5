package assess

import "slices"

// components returns the strongly connected components of a graph with nodes 0 to n-1 (Tarjan's algorithm): in a component every node can be reached from every other. Each
// component is sorted, and they are in order of their least nodes.
func components(n int, next func(node int) []int) [][]int {
	t := tarjan{next: next, number: make([]int, n), low: make([]int, n), on: make([]bool, n)}
	for v := range n {
		if t.number[v] == 0 {
			t.visit(v)
		}
	}
	for _, c := range t.found {
		slices.Sort(c)
	}
	slices.SortFunc(t.found, func(a, b []int) int { return a[0] - b[0] })
	return t.found
}

type tarjan struct {
	next        func(int) []int
	number, low []int  // from 1; 0: not visited
	on          []bool // the stack
	stack       []int
	count       int
	found       [][]int
}

// frame is a node being visited, with the neighbours that are left. The frames replace recursion, which could be as deep as there are nodes.
type frame struct {
	node int
	left []int
}

func (t *tarjan) visit(v int) {
	way := []frame{t.enter(v)}
	for len(way) > 0 {
		f := &way[len(way)-1]
		if len(f.left) > 0 {
			w := f.left[0]
			f.left = f.left[1:]
			switch {
			case t.number[w] == 0:
				way = append(way, t.enter(w))
			case t.on[w]:
				t.low[f.node] = min(t.low[f.node], t.number[w])
			}
			continue
		}
		v := f.node
		way = way[:len(way)-1]
		if len(way) > 0 {
			up := way[len(way)-1].node
			t.low[up] = min(t.low[up], t.low[v])
		}
		if t.low[v] == t.number[v] {
			t.close(v)
		}
	}
}

func (t *tarjan) enter(v int) frame {
	t.count++
	t.number[v], t.low[v], t.on[v] = t.count, t.count, true
	t.stack = append(t.stack, v)
	return frame{v, t.next(v)}
}

// close moves the component of v, which is the top of the stack down to v, to found.
func (t *tarjan) close(v int) {
	at := slices.Index(t.stack, v)
	c := slices.Clone(t.stack[at:])
	t.stack = t.stack[:at]
	for _, w := range c {
		t.on[w] = false
	}
	t.found = append(t.found, c)
}
