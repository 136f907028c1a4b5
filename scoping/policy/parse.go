// Package policy reads and writes policy files: YAML with positions to [scoping.Policy] and back, and the names in them to
// pinned containers. Every mistake of a file is reported at once, each with file, line and column.
package policy

import (
	"bytes"
	"errors"

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
		r.policy(&p).read(root)
		r.mistakes = append(r.mistakes, attributeMistakes(p)...)
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
		r.mistakes.Add(scoping.Pos{File: r.file, Line: 1, Column: 1}, "the policy is empty", "\"tandem policy suggest\" proposes one to begin with")
		return nil
	}
	return follow(doc.Content[0])
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
	r.mistakes.Add(pos, "this is not YAML: "+what, "indent by spaces, each level alike; a value that holds \": \" or \" #\" stands in single quotes")
}

func (r *reader) at(n *yaml.Node) scoping.Pos {
	return scoping.Pos{File: r.file, Line: n.Line, Column: n.Column}
}
