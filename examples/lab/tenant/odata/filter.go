// Package odata parses and evaluates the part of OData's $filter that Microsoft Graph accepts for
// directory objects. It is pure: text in, expression out, and an expression judges one object's
// properties. It promises never to panic, whatever the text, and to bound the depth of an expression.
//
// See https://learn.microsoft.com/graph/filter-query-parameter.
package odata

import "fmt"

// Op names a comparison.
type Op string

// The comparisons of $filter.
const (
	Eq         Op = "eq"
	Ne         Op = "ne"
	Gt         Op = "gt"
	Ge         Op = "ge"
	Lt         Op = "lt"
	Le         Op = "le"
	In         Op = "in"
	StartsWith Op = "startswith"
	EndsWith   Op = "endswith"
	Contains   Op = "contains"
)

// Expr is one node of a parsed $filter.
type Expr interface{ node() }

// And holds when both sides hold.
type And struct{ Left, Right Expr }

// Or holds when either side holds.
type Or struct{ Left, Right Expr }

// Not holds when X does not.
type Not struct{ X Expr }

// Compare holds when the property at Path stands in relation Op to Values: one value, or several for In.
// A value is a string, a bool, an int64, a Literal (an unquoted date or GUID) or nil.
type Compare struct {
	Path   string
	Op     Op
	Values []any
}

// Any holds when an element of the collection at Path satisfies X; inside X the element's path is "".
// A nil X holds when the collection has any element.
type Any struct {
	Path string
	X    Expr
}

// Literal is an unquoted word that is no keyword: a date-time or a GUID.
type Literal string

func (And) node()     {}
func (Or) node()      {}
func (Not) node()     {}
func (Compare) node() {}
func (Any) node()     {}

// SyntaxError says why a text is no filter, and where (a byte offset).
type SyntaxError struct {
	Offset int
	Reason string
}

// Error names the reason and the offset.
func (e *SyntaxError) Error() string {
	return fmt.Sprintf("Invalid filter clause: %s at position %d.", e.Reason, e.Offset)
}

// Walk calls f for each node of x, parents first.
func Walk(x Expr, f func(Expr)) {
	if x == nil {
		return
	}
	f(x)
	switch n := x.(type) {
	case And:
		Walk(n.Left, f)
		Walk(n.Right, f)
	case Or:
		Walk(n.Left, f)
		Walk(n.Right, f)
	case Not:
		Walk(n.X, f)
	case Any:
		Walk(n.X, f)
	}
}
