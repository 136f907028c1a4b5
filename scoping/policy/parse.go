// Package policy reads and writes policy files: YAML with positions to [scoping.Policy] and back, and the names in them to
// pinned containers. Every mistake of a file is reported at once, each with file, line and column.
package policy

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// Version is the version of the policy file's format.
const Version = 1

// Parse reads a policy file; file is its name for messages. Subtrees are not resolved: see [Pin]. The error is of type
// [scoping.Mistakes] and holds everything that is wrong with the file's form; what it means is judged by [scoping.Compile].
// Beside mistakes the policy holds what could be read, for [scoping.Check] to find more.
func Parse(file string, data []byte) (scoping.Policy, error) {
	r := &reader{file: file}
	p := scoping.Policy{Defaults: scoping.DefaultDefaults(), Pos: scoping.Pos{File: file, Line: 1, Column: 1}}
	if root := r.document(data); root != nil {
		r.policy(root, &p)
	}
	return p, r.mistakes.Err()
}

// reader turns nodes into values and gathers what is wrong with them.
type reader struct {
	file     string
	mistakes scoping.Mistakes
}

func (r *reader) document(data []byte) *yaml.Node {
	var doc yaml.Node
	if !blank(data) {
		if err := yaml.Load(data, &doc); err != nil {
			r.syntax(err)
			return nil
		}
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		r.mistakes.Add(scoping.Pos{File: r.file, Line: 1, Column: 1}, "the policy is empty", "see \"tandem lab up\" for one to begin with")
		return nil
	}
	return doc.Content[0]
}

// blank says that there is nothing but spaces and comments, which is no document to the YAML reader.
func blank(data []byte) bool {
	for line := range bytes.Lines(data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

func (r *reader) syntax(err error) {
	pos := scoping.Pos{File: r.file, Line: 1, Column: 1}
	what := err.Error()
	var load *yaml.LoadError
	if errors.As(err, &load) {
		what = load.Message
		if load.Mark.Line > 0 {
			pos.Line, pos.Column = load.Mark.Line, max(load.Mark.Column, 1)
		}
	}
	r.mistakes.Add(pos, "this is not YAML: "+what, "")
}

func (r *reader) at(n *yaml.Node) scoping.Pos {
	return scoping.Pos{File: r.file, Line: n.Line, Column: n.Column}
}

// entry is one key of a mapping and what to do with its value.
type entry struct {
	key  string
	read func(*yaml.Node)
}

// mapping reads a mapping whose keys are known. It gives the keys that were there.
func (r *reader) mapping(n *yaml.Node, what string, entries ...entry) map[string]bool {
	seen := map[string]bool{}
	n = follow(n)
	if n.Kind != yaml.MappingNode {
		r.mistakes.Add(r.at(n), what+" is not a mapping", "write \"key: value\" lines")
		return seen
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], follow(n.Content[i+1])
		j := slices.IndexFunc(entries, func(e entry) bool { return e.key == key.Value })
		switch {
		case j < 0:
			r.mistakes.Add(r.at(key), fmt.Sprintf("unknown key %q in %s", key.Value, what), nearest(key.Value, entries))
		case seen[key.Value]:
			r.mistakes.Add(r.at(key), fmt.Sprintf("key %q stands twice in %s", key.Value, what), "remove one")
		default:
			seen[key.Value] = true
			entries[j].read(value)
		}
	}
	return seen
}

func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func (r *reader) require(n *yaml.Node, what string, seen map[string]bool, keys ...string) {
	if follow(n).Kind != yaml.MappingNode {
		return
	}
	for _, k := range keys {
		if !seen[k] {
			r.mistakes.Add(r.at(n), fmt.Sprintf("%s has no %q", what, k), "add it")
		}
	}
}

func (r *reader) sequence(n *yaml.Node, what string, each func(*yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		r.mistakes.Add(r.at(n), what+" is not a list", "write \"[a, b]\" or one \"- item\" a line")
		return
	}
	for _, c := range n.Content {
		each(follow(c))
	}
}

// text reads a scalar as it was written.
func (r *reader) text(what string, to *string) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.ShortTag() == "!!null" {
			r.mistakes.Add(r.at(n), what+" is not a text", "write it on the same line, in quotes if it holds \": \" or \" #\"")
			return
		}
		*to = n.Value
	}
}

func (r *reader) number(what string, to *int) func(*yaml.Node) {
	return func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		if n.Kind != yaml.ScalarNode || err != nil {
			r.mistakes.Add(r.at(n), what+" is not a whole number", "")
			return
		}
		*to = v
	}
}

func (r *reader) truth(what string, to *bool) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			r.mistakes.Add(r.at(n), what+" is neither true nor false", "")
			return
		}
		*to = n.Value == "true"
	}
}

// oneOf reads a text that must be one of a few.
func oneOf[T ~string](r *reader, what string, to *T, allowed ...T) func(*yaml.Node) {
	return func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && slices.Contains(allowed, T(n.Value)) {
			*to = T(n.Value)
			return
		}
		names := make([]string, len(allowed))
		for i, a := range allowed {
			names[i] = string(a)
		}
		r.mistakes.Add(r.at(n), fmt.Sprintf("%s: %q is unknown", what, n.Value), "write "+strings.Join(names, " or "))
	}
}
