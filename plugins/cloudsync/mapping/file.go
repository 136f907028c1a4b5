package mapping

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/plugins/expression/language"
	"github.com/tandem-sync/tandem/scoping"
)

// File is the settings of a file that was read, which has no mistakes.
type File struct {
	Engine   string // whose settings they are; "" if the file holds nothing else
	Settings Settings
	Sets     *Sets
}

// ReadFile reads mappings from YAML or JSON: a file that holds what the engine's settings hold under provisioning and nothing else, or a tandem.yaml, in which each engine that has such
// settings is one. The error is scoping.Mistakes: all of them, with their places in the file.
func ReadFile(name string, text []byte) ([]File, error) {
	f := &file{name: name, lines: strings.Split(breaks.Replace(string(text)), "\n")}
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil && !f.blank() {
		return nil, scoping.Mistakes{f.notYAML(err)}
	}
	if len(doc.Content) == 0 {
		doc.Content = []*yaml.Node{{Kind: yaml.MappingNode, Tag: "!!map", Line: 1, Column: 1}}
	}
	var out []File
	top := doc.Content[0]
	if engines := f.child(top, "engines"); engines == nil {
		out = append(out, f.settings("", top))
	} else {
		for _, e := range engines.Content {
			own := f.child(f.child(e, "settings"), "provisioning")
			if name := f.child(e, "name"); own != nil && name != nil {
				out = append(out, f.settings(name.Value, own))
			}
		}
		if len(out) == 0 {
			f.mistakes.Add(scoping.Pos{File: name}, "no engine has settings of its own for provisioning", "they stand under engines[].settings.provisioning")
		}
	}
	if err := f.mistakes.Err(); err != nil {
		return nil, err
	}
	return out, nil
}

// breaks makes all that YAML takes for the end of a line the usual one.
var breaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u0085", "\n", "\u2028", "\n", "\u2029", "\n")

// file finds the places of mistakes in a file.
type file struct {
	name     string
	lines    []string
	mistakes scoping.Mistakes
}

// blank reports whether nothing but comments is in the file: then the usual mappings are meant.
func (f *file) blank() bool {
	return !slices.ContainsFunc(f.lines, func(l string) bool {
		l = strings.TrimSpace(l)
		return l != "" && l[0] != '#'
	})
}

// notYAML is the mistake of a file that cannot be read.
func (f *file) notYAML(err error) scoping.Mistake {
	var one *yaml.LoadError
	if !errors.As(err, &one) || one.Mark.Line < 1 {
		return scoping.Mistake{Pos: scoping.Pos{File: f.name}, What: err.Error()}
	}
	return scoping.Mistake{Pos: f.pos(one.Mark.Line, one.Mark.Column), What: one.Message}
}

// pos is a place of the file. What ends with the file, as YAML sees it, is at the end of its last line.
func (f *file) pos(line, column int) scoping.Pos {
	if last := len(f.lines); line > last {
		line, column = last, utf8.RuneCountInString(f.lines[last-1])+1
	}
	return scoping.Pos{File: f.name, Line: line, Column: max(1, column)}
}

// settings reads one set of settings.
func (f *file) settings(engine string, n *yaml.Node) File {
	var tree any
	if err := n.Decode(&tree); err != nil {
		f.mistakes = append(f.mistakes, f.notYAML(err))
		return File{}
	}
	s, problems := Read(tree)
	sets, more := s.Compile()
	for _, p := range append(problems, more...) {
		f.mistakes = append(f.mistakes, f.mistake(n, p))
	}
	return File{Engine: engine, Settings: s, Sets: sets}
}

// mistake gives a problem its place in the file: that of the key where the file has it, else of what should have it.
func (f *file) mistake(top *yaml.Node, p Problem) scoping.Mistake {
	m := scoping.Mistake{What: p.What, Hint: p.Hint}
	at := top
	for i, step := range p.Path {
		next := f.child(at, step)
		if next == nil {
			m.What = PathString(p.Path[i:]) + ": " + m.What
			break
		}
		at = next
	}
	m.Pos = f.pos(at.Line, at.Column)
	if p.At == nil {
		if m.What == "unknown" {
			m.What = fmt.Sprintf("the key %q is unknown", p.Path[len(p.Path)-1])
		}
		return m
	}
	if line, column, ok := f.inside(at, *p.At); ok {
		m.Pos.Line, m.Pos.Column = line, column
	} else {
		m.What = "at " + p.At.String() + " of the expression: " + m.What
	}
	return m
}

// child returns what lies below a node by a key or an index; nil if there is nothing.
func (f *file) child(n *yaml.Node, step any) *yaml.Node {
	if n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	if n == nil {
		return nil
	}
	if i, is := step.(int); is {
		if n.Kind == yaml.SequenceNode && i < len(n.Content) {
			return n.Content[i]
		}
		return nil
	}
	if n.Kind != yaml.MappingNode {
		return nil
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if n.Content[i].Value == step {
			return n.Content[i+1]
		}
	}
	return nil
}

// inside returns the place in the file of a place in a scalar's value. It knows blocks that keep their lines, and values that stand in one line.
func (f *file) inside(n *yaml.Node, at language.Position) (line, column int, ok bool) {
	if n.Line < 1 || n.Line > len(f.lines) {
		return 0, 0, false
	}
	if n.Style&yaml.LiteralStyle != 0 {
		return f.insideBlock(n, at)
	}
	if n.Style&yaml.FoldedStyle != 0 || at.Line != 1 {
		return 0, 0, false
	}
	raw := []rune(f.lines[n.Line-1])
	if n.Column-1 > len(raw) {
		return 0, 0, false
	}
	raw, value := raw[n.Column-1:], []rune(n.Value)
	taken := 0 // characters of raw before the one that is meant
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle) != 0 {
		taken = 1
	}
	for i := range min(at.Column-1, len(value)) {
		width := written(n.Style, raw[min(taken, len(raw)):], value[i])
		if width == 0 {
			return 0, 0, false
		}
		taken += width
	}
	return n.Line, n.Column + taken, true
}

func (f *file) insideBlock(n *yaml.Node, at language.Position) (line, column int, ok bool) {
	indent := -1
	for i := n.Line; i < len(f.lines) && indent < 0; i++ {
		if text := strings.TrimLeft(f.lines[i], " "); strings.TrimSpace(text) != "" {
			indent = len(f.lines[i]) - len(text)
		}
	}
	return n.Line + at.Line, indent + at.Column, indent >= 0
}

// written returns how many characters of a line stand for the next one of a value; 0 if the line does not show it.
func written(style yaml.Style, raw []rune, r rune) int {
	switch {
	case len(raw) == 0:
		return 0
	case style&yaml.SingleQuotedStyle != 0 && r == '\'' && len(raw) > 1 && raw[1] == '\'':
		return 2
	case style&yaml.DoubleQuotedStyle != 0 && raw[0] == '\\' && len(raw) > 1:
		return map[rune]int{'x': 4, 'u': 6, 'U': 10}[raw[1]] + 2*btoi(!strings.ContainsRune("xuU", raw[1]))
	case raw[0] == r:
		return 1
	}
	return 0
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}
