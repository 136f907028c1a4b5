package orchestrator

import (
	"fmt"
	"slices"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// mistakes collects the mistakes of a configuration, each with its place in the file.
type mistakes struct {
	root *yaml.Node
	all  []mistake
}

type mistake struct {
	line, column int
	text         string
}

// placer notes a mistake of one part of the file. key is the wrong key in that part; if the file does not have it, the mistake is placed at the part.
type placer func(key, format string, args ...any)

// at returns the placer of a part of the file, which path names by keys and by positions in lists.
func (m *mistakes) at(path ...any) placer {
	return func(key, format string, args ...any) {
		line, column := 1, 1
		n := m.root
		for _, step := range append(slices.Clone(path), key) {
			var mark *yaml.Node
			if mark, n = child(n, step); n == nil {
				break
			}
			line, column = mark.Line, mark.Column
		}
		m.all = append(m.all, mistake{line, column, fmt.Sprintf(format, args...)})
	}
}

// has reports whether the file contains a path.
func (m *mistakes) has(path ...any) bool {
	n := m.root
	for _, step := range path {
		if _, n = child(n, step); n == nil {
			return false
		}
	}
	return true
}

// child returns the value of a key or a position in a node, and the node that marks its place. Both are nil if it is not there.
func child(n *yaml.Node, step any) (mark, value *yaml.Node) {
	if n == nil {
		return nil, nil
	}
	switch s := step.(type) {
	case int:
		if n.Kind == yaml.SequenceNode && s < len(n.Content) {
			return n.Content[s], n.Content[s]
		}
	case string:
		for i := 0; n.Kind == yaml.MappingNode && i+1 < len(n.Content); i += 2 {
			if n.Content[i].Value == s {
				return n.Content[i], n.Content[i+1]
			}
		}
	}
	return nil, nil
}

// inOrder returns the mistakes in the order of the file.
func (m *mistakes) inOrder(file string) scoping.Mistakes {
	slices.SortStableFunc(m.all, func(a, b mistake) int {
		if a.line != b.line {
			return a.line - b.line
		}
		return a.column - b.column
	})
	out := make(scoping.Mistakes, len(m.all))
	for i, x := range m.all {
		out[i] = scoping.Mistake{Pos: scoping.Pos{File: file, Line: x.line, Column: x.column}, What: x.text}
	}
	return out
}
