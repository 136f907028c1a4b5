package language

import (
	"strconv"
	"strings"
)

type nodeKind uint8

const (
	omittedNode nodeKind = iota // an argument between two commas with nothing in it
	attributeNode
	textNode
	numberNode
	wordNode // True, False, NULL, vbTextCompare …
	macroNode
	callNode
	operatorNode
)

// node is one piece of an expression as it was written.
type node struct {
	kind   nodeKind
	at     Position
	text   string
	number int64
	args   []*node
}

// Expression is an expression that was read. Names, counts and kinds are not checked yet.
type Expression struct{ root *node }

// String returns the expression in its usual form: reading it again gives the same expression.
func (e *Expression) String() string {
	var b strings.Builder
	e.root.print(&b)
	return b.String()
}

func (n *node) String() string {
	var b strings.Builder
	n.print(&b)
	return b.String()
}

func (n *node) print(b *strings.Builder) {
	switch n.kind {
	case attributeNode:
		b.WriteString("[" + n.text + "]")
	case macroNode:
		b.WriteString("%" + n.text + "%")
	case textNode:
		b.WriteString(quote(n.text))
	case numberNode:
		b.WriteString(strconv.FormatInt(n.number, 10))
	case wordNode:
		b.WriteString(n.text)
	case callNode:
		b.WriteString(n.text + "(")
		for i, a := range n.args {
			if i > 0 && (a.kind != omittedNode) {
				b.WriteString(", ")
			} else if i > 0 {
				b.WriteString(",")
			}
			a.print(b)
		}
		b.WriteString(")")
	case operatorNode:
		n.operand(b, 0)
		b.WriteString(" " + n.text + " ")
		n.operand(b, 1)
	}
}

// operand prints a side of an operator, in parentheses where it would be read otherwise without them.
func (n *node) operand(b *strings.Builder, side int) {
	a := n.args[side]
	if a.kind != operatorNode || side == 0 && a.text == "&" {
		a.print(b)
		return
	}
	b.WriteString("(")
	a.print(b)
	b.WriteString(")")
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
