package policy

import (
	"bytes"
	"fmt"
	"strings"
	"unicode"

	"go.yaml.in/yaml/v4"
)

// printer writes nodes in the usual form: mappings and lists a line each, two spaces a level, what is short in one line. It
// writes comments where the YAML reader finds them again for the same node; that reader's own printer does not.
type printer struct {
	b   bytes.Buffer
	err error
}

// print gives a document.
func print(root *yaml.Node, head string) ([]byte, error) {
	p := &printer{}
	p.foot(0, head)
	p.block(root, 0)
	return p.b.Bytes(), p.err
}

// block writes a mapping or a list that has lines of its own.
func (p *printer) block(n *yaml.Node, indent int) {
	if n.Kind == yaml.MappingNode {
		for i := 0; i+1 < len(n.Content); i += 2 {
			p.pair(n.Content[i], n.Content[i+1], indent)
		}
		return
	}
	for _, c := range n.Content {
		p.item(c, indent)
	}
}

func (p *printer) pair(key, value *yaml.Node, indent int) {
	p.comment(indent, key.HeadComment)
	p.line(indent, key.Value+":")
	p.value(value, key.LineComment, indent+2)
	p.foot(indent, key.FootComment)
}

// value writes what stands behind a key or a dash, and ends the line.
func (p *printer) value(n *yaml.Node, line string, indent int) {
	own := n.Kind != yaml.ScalarNode && n.Style&yaml.FlowStyle == 0 && len(n.Content) > 0
	if !own {
		p.b.WriteString(" " + p.short(n, false))
	}
	if line != "" {
		p.b.WriteString(" " + line)
	}
	p.b.WriteByte('\n')
	if own {
		p.block(n, indent)
	}
}

// item writes one item of a list: the first key of a mapping stands behind the dash.
func (p *printer) item(n *yaml.Node, indent int) {
	p.comment(indent, n.HeadComment)
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		p.line(indent, "-")
		p.value(n, n.LineComment, indent+2)
	} else {
		p.line(indent, "- "+n.Content[0].Value+":")
		p.value(n.Content[1], n.Content[0].LineComment, indent+4)
		p.foot(indent+2, n.Content[0].FootComment)
		p.block(&yaml.Node{Kind: yaml.MappingNode, Content: n.Content[2:]}, indent+2)
	}
	p.foot(indent, n.FootComment)
}

// line begins a line.
func (p *printer) line(indent int, text string) {
	p.b.WriteString(strings.Repeat(" ", indent) + text)
}

// comment writes the lines above a key or an item; an empty one stands for an empty line.
func (p *printer) comment(indent int, text string) {
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line == "" {
			p.empty()
			continue
		}
		p.line(indent, line)
		p.b.WriteByte('\n')
	}
}

// empty writes an empty line, unless there is one or nothing stands above it.
func (p *printer) empty() {
	if b := p.b.Bytes(); len(b) > 0 && !bytes.HasSuffix(b, []byte("\n\n")) {
		p.b.WriteByte('\n')
	}
}

// foot writes a comment that belongs to what stands above it: an empty line keeps it from what follows.
func (p *printer) foot(indent int, text string) {
	if text != "" {
		p.comment(indent, text)
		p.empty()
	}
}

// short writes a value in one line; inside another such value more has to stand in quotes.
func (p *printer) short(n *yaml.Node, inside bool) string {
	var parts []string
	switch n.Kind {
	case yaml.ScalarNode:
		return p.scalar(n, inside)
	case yaml.SequenceNode:
		for _, c := range n.Content {
			parts = append(parts, p.short(c, true))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		parts = append(parts, n.Content[i].Value+": "+p.short(n.Content[i+1], true))
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// scalar lets the YAML library decide about quotes.
func (p *printer) scalar(n *yaml.Node, inside bool) string {
	alone := &yaml.Node{Kind: yaml.ScalarNode, Tag: n.Tag, Value: n.Value}
	if strings.ContainsFunc(n.Value, unprintable) {
		alone.Style = yaml.DoubleQuotedStyle
	}
	whole := alone
	if inside {
		whole = &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle, Content: []*yaml.Node{alone}}
	}
	b, err := yaml.Dump(whole, yaml.WithLineWidth(-1), yaml.WithUnicode(true))
	text := strings.TrimSuffix(string(b), "\n")
	if inside {
		text = strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
	}
	if err == nil && strings.Contains(text, "\n") {
		err = fmt.Errorf("%q is written in several lines", n.Value)
	}
	if err != nil && p.err == nil {
		p.err = fmt.Errorf("writing a value of the policy: %w", err)
	}
	return text
}

func unprintable(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }
