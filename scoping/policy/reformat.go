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

// Reformat writes a policy file's text in the usual form: the same policy, keys in their usual order, and every comment where it
// was, above, beside or below its key or item. Formatting what it gives changes nothing. Where rename is not nil, it is asked for each
// distinguished name of the file, and gives the one to write instead. A file that [Parse] refuses is refused; so is one with a
// comment in a place where it could not be kept.
func Reformat(file string, text []byte, rename func(dn string) string) ([]byte, error) {
	if _, err := Parse(file, text); err != nil {
		return nil, err
	}
	out := text
	for range passes {
		before := out
		var err error
		if out, err = formatted(before, rename); err != nil {
			return nil, fmt.Errorf("formatting %s: %w", file, err)
		}
		if rename = nil; bytes.Equal(before, out) {
			return out, lost(file, text, out)
		}
	}
	return nil, fmt.Errorf("formatting %s: %w", file, errComments)
}

// Follow formats a policy file whose names follow the containers and groups that drifted from where a policy in force has pinned them. It
// also gives what it changed, "old → new".
func Follow(file string, text []byte, drifted []scoping.Drift) (out []byte, changes []string, err error) {
	now := map[string]string{}
	for _, d := range drifted {
		if was, err := scoping.ParseDN(d.Was); err == nil && d.Now != "" {
			now[was.Key()] = d.Now
		}
	}
	changes = []string{}
	out, err = Reformat(file, text, func(dn string) string {
		d, err := scoping.ParseDN(dn)
		if err != nil || now[d.Key()] == "" || now[d.Key()] == dn {
			return dn
		}
		if c := dn + " → " + now[d.Key()]; !slices.Contains(changes, c) {
			changes = append(changes, c)
		}
		return now[d.Key()]
	})
	return out, changes, err
}

// passes is how often a text is formatted at most until that changes nothing: a comment in an odd place is moved to a usual one,
// and may be read as another kind of comment there.
const passes = 4

var errComments = errors.New("some of its comments stand where they cannot be kept: put each on a line of its own, above the key that it is about")

func formatted(text []byte, rename func(string) string) ([]byte, error) {
	var doc yaml.Node
	if err := yaml.Load(text, &doc); err != nil {
		return nil, err
	}
	l := layout{lines: bytes.Split(text, []byte("\n")), rename: rename}
	s := (&reader{}).policy(new(scoping.Policy)).schema
	root := follow(doc.Content[0])
	out := l.mapping(root, &s, true)
	if n := len(out.Content); n > 0 {
		last := out.Content[n-2]
		last.FootComment = joined(last.FootComment, root.FootComment, doc.FootComment)
	}
	b, err := print(out, joined(doc.HeadComment, root.HeadComment))
	return append(bytes.TrimRight(b, "\n"), '\n'), err
}

// layout makes of the nodes of a file those of the formatted one. The file was parsed: every key is known and stands once.
type layout struct {
	lines  [][]byte
	rename func(string) string
}

// mapping puts the keys in their usual order. In a spaced one empty lines above keys are kept.
func (l *layout) mapping(n *yaml.Node, s *schema, spaced bool) *yaml.Node {
	out := &yaml.Node{Kind: yaml.MappingNode}
	for _, p := range s.Properties {
		for i := 0; i+1 < len(n.Content); i += 2 {
			key, value := n.Content[i], n.Content[i+1]
			if follow(key).Value != p.key {
				continue
			}
			k := text(p.key)
			var more string
			k.LineComment, more = cut(joined(key.LineComment, value.LineComment))
			k.HeadComment = joined(key.HeadComment, value.HeadComment, more)
			k.FootComment = joined(value.FootComment, key.FootComment)
			if spaced && len(out.Content) > 0 && l.spaced(key) {
				k.HeadComment = "\n" + k.HeadComment
			}
			out.Content = append(out.Content, k, l.value(follow(value), p.of))
		}
	}
	return styled(out, s)
}

// styled lets what is short stand in one line, if no comment keeps it from that.
func styled(n *yaml.Node, s *schema) *yaml.Node {
	if s.flow && !commented(n) {
		n.Style = yaml.FlowStyle
	}
	return n
}

func commented(n *yaml.Node) bool {
	for _, c := range n.Content {
		if c.HeadComment+c.LineComment+c.FootComment != "" || commented(c) {
			return true
		}
	}
	return false
}

func (l *layout) value(n *yaml.Node, s *schema) *yaml.Node {
	switch {
	case s.Properties != nil:
		return l.mapping(n, s, false)
	case s.Items != nil:
		return l.list(n, s)
	case s.Type == "integer" || s.Const != nil:
		v, _ := strconv.Atoi(n.Value) // was read
		return number(v)
	case s.Type == "boolean":
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: n.Value}
	case s.dn && l.rename != nil:
		return text(l.rename(n.Value))
	}
	return text(n.Value)
}

func (l *layout) list(n *yaml.Node, s *schema) *yaml.Node {
	out := &yaml.Node{Kind: yaml.SequenceNode}
	for i, c := range n.Content {
		v := l.value(follow(c), s.Items)
		var more string
		v.LineComment, more = cut(c.LineComment)
		v.HeadComment, v.FootComment = joined(c.HeadComment, more), c.FootComment
		if v.Kind == yaml.MappingNode {
			outer(v)
		}
		if i > 0 && l.spaced(c) {
			v.HeadComment = "\n" + v.HeadComment
		}
		out.Content = append(out.Content, v)
	}
	return styled(out, s)
}

// outer moves comments of an item to where they are read again: those above its first key stand above the item, those below the
// item belong to its last key.
func outer(item *yaml.Node) {
	first, last := item.Content[0], item.Content[len(item.Content)-2]
	item.HeadComment = joined(item.HeadComment, item.LineComment, first.HeadComment)
	last.FootComment = joined(last.FootComment, item.FootComment)
	first.HeadComment, item.LineComment, item.FootComment = "", "", ""
}

// spaced says that an empty line stands above a node and its comments.
func (l *layout) spaced(n *yaml.Node) bool {
	for i := n.Line - 2; i >= 0 && i < len(l.lines); i-- {
		line := bytes.TrimSpace(l.lines[i])
		if len(line) == 0 {
			return true
		}
		if line[0] != '#' {
			return false
		}
	}
	return false
}

// cut divides a comment behind its first line.
func cut(comment string) (first, more string) {
	first, more, _ = strings.Cut(comment, "\n")
	return first, more
}

func joined(comments ...string) string {
	var all []string
	for _, c := range comments {
		if c != "" {
			all = append(all, c)
		}
	}
	return strings.Join(all, "\n")
}

// lost finds comments of a file that its formatted text does not have.
func lost(file string, text, out []byte) error {
	var missing scoping.Mistakes
	for c, places := range comments(file, text) {
		if have := bytes.Count(out, []byte(c)); have < len(places) {
			missing.Add(places[0], fmt.Sprintf("formatting would lose the comment %q", c), "put it on a line of its own, above the key that it is about")
		}
	}
	return missing.Err()
}

// comments finds what looks like a comment, line by line: behind a space, and not in quotes.
func comments(file string, text []byte) map[string][]scoping.Pos {
	found := map[string][]scoping.Pos{}
	n := 0
	for line := range bytes.Lines(text) {
		n++
		if at := commentIn(line); at >= 0 {
			c := string(bytes.TrimSpace(line[at:]))
			found[c] = append(found[c], scoping.Pos{File: file, Line: n, Column: at + 1})
		}
	}
	return found
}

func commentIn(line []byte) int {
	quote := byte(0)
	for i, c := range line {
		begins := i == 0 || bytes.IndexByte([]byte(" \t[{,:-"), line[i-1]) >= 0
		switch {
		case quote != 0:
			if c == quote && (quote == '\'' || line[i-1] != '\\') {
				quote = 0
			}
		case (c == '"' || c == '\'') && begins:
			quote = c
		case c == '#' && (i == 0 || line[i-1] == ' ' || line[i-1] == '\t'):
			return i
		}
	}
	return -1
}
