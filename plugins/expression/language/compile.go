package language

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// Schema is what an expression may name.
type Schema struct {
	Attributes map[string]Kind                // of the source, by their exact names
	More       func(name string) (Kind, bool) // other attributes, such as directory extensions; may be nil
	Macros     []string                       // without the percent signs
}

// Program is a checked expression. It is safe for concurrent use.
type Program struct {
	root   *step
	unique []*step // the candidates of SelectUniqueValue; nil without it
	reads  []string
}

// step is a node that was checked, with what its evaluation needs.
type step struct {
	*node
	result   Kind
	function *function
	args     []*step
	prepared any
}

// compiler collects the mistakes of one expression.
type compiler struct {
	schema Schema
	reads  map[string]bool
	errors Errors
}

func (c *compiler) complain(at Position, hint, format string, args ...any) {
	c.errors = append(c.errors, errorAt(at, hint, format, args...))
}

// Compile checks an expression: names, numbers and kinds of arguments, constant arguments, and where the functions stand that speak of a whole
// flow. The error is [Errors], all of them in order of place.
func (e *Expression) Compile(schema Schema) (*Program, error) {
	c := &compiler{schema: schema, reads: map[string]bool{}}
	p := &Program{root: c.step(e.root)}
	c.flow(p.root, true)
	if p.root.function != nil && p.root.text == selectUnique {
		p.unique = p.root.args
	}
	if len(c.errors) > 0 {
		slices.SortStableFunc(c.errors, func(a, b *Error) int {
			return cmp.Or(cmp.Compare(a.At.Line, b.At.Line), cmp.Compare(a.At.Column, b.At.Column))
		})
		return nil, c.errors
	}
	p.reads = slices.Sorted(maps.Keys(c.reads))
	return p, nil
}

// Reads returns the attributes that the program may read, sorted.
func (p *Program) Reads() []string { return p.reads }

// Unique reports whether the program offers candidates of which the first free one is taken (SelectUniqueValue).
func (p *Program) Unique() bool { return p.unique != nil }

func (c *compiler) step(n *node) *step {
	s := &step{node: n, result: Any}
	switch n.kind {
	case attributeNode:
		s.result = c.attribute(n)
	case macroNode:
		s.result = Text
		if !slices.Contains(c.schema.Macros, n.text) {
			c.complain(n.at, Closest(n.text, c.schema.Macros), "there is no macro %%%s%%", n.text)
		}
	case textNode:
		s.result = Text
	case numberNode:
		s.result = Number
	case omittedNode:
		s.result = Null
	case wordNode:
		c.word(s)
	case callNode:
		c.call(s)
	case operatorNode:
		c.operator(s)
	}
	return s
}

func (c *compiler) attribute(n *node) Kind {
	c.reads[n.text] = true
	if k, known := c.schema.Attributes[n.text]; known {
		return k
	}
	if c.schema.More != nil {
		if k, known := c.schema.More(n.text); known {
			return k
		}
	}
	c.complain(n.at, Closest(n.text, slices.Sorted(maps.Keys(c.schema.Attributes))), "the source has no attribute [%s]", n.text)
	return Any
}

// word is a constant. The words of enumerations are checked where they stand, as arguments.
func (c *compiler) word(s *step) {
	switch s.text {
	case "True", "False":
		s.result = Boolean
	case "NULL":
		s.result = Null
	case "IgnoreThisFlow":
		c.complain(s.at, "IgnoreFlowIfNullOrEmpty(…)", "IgnoreThisFlow is a constant of Connect")
	default:
		hint := `a text stands in quotes: "` + s.text + `"`
		if functions[s.text] != nil {
			hint = functions[s.text].signature()
		}
		c.complain(s.at, hint, "%s is neither True nor False nor NULL", s.text)
	}
}

func (c *compiler) operator(s *step) {
	s.result = Boolean
	if s.text == "&" {
		s.result = Text
	}
	for _, a := range s.node.args {
		arg := c.step(a)
		s.args = append(s.args, arg)
		c.fits(arg, Text, "the operator "+s.text)
	}
}

func (c *compiler) call(s *step) {
	f := functions[s.text]
	if f == nil {
		c.unknown(s)
		for _, a := range s.node.args {
			c.step(a)
		}
		return
	}
	s.function, s.result = f, f.result
	before := len(c.errors)
	for i, a := range s.node.args {
		s.args = append(s.args, c.argument(f, i, a))
	}
	if why := f.arity(len(s.args)); why != "" {
		c.complain(s.at, f.signature(), "%s %s %s; got %d", f.name, why, f.takes(), len(s.args))
		return
	}
	for i, a := range s.args {
		p := f.parameter(i)
		if a.kind == omittedNode && !p.optional {
			c.complain(a.at, f.signature(), "%s needs its argument %s", f.name, p.name)
		}
	}
	for len(s.args) < len(f.params) { // what was left out at the end is omitted, too
		s.args = append(s.args, &step{node: &node{at: s.at}, result: Null})
	}
	if f.each && s.args[0].result == Texts && f.result == Text {
		s.result = Texts
	}
	if f.check != nil && len(c.errors) == before {
		f.check(c, s)
	}
}

// takes says how many arguments a function takes.
func (f *function) takes() string {
	switch least, most := f.least(), len(f.params); {
	case f.repeats > 0:
		return fmt.Sprintf("%d arguments or more", least)
	case least == most && most == 1:
		return "1 argument"
	case least == most:
		return fmt.Sprintf("%d arguments", most)
	default:
		return fmt.Sprintf("%d to %d arguments", least, most)
	}
}

func (c *compiler) unknown(s *step) {
	if why := absent[s.text]; why != "" {
		c.complain(s.at, why, "%s is not offered here", s.text)
		return
	}
	for name := range functions {
		if strings.EqualFold(name, s.text) {
			c.complain(s.at, "names are case-sensitive: "+name, "there is no function %s", s.text)
			return
		}
	}
	c.complain(s.at, Closest(s.text, slices.Sorted(maps.Keys(functions))), "there is no function %s", s.text)
}

// argument checks one argument against its parameter.
func (c *compiler) argument(f *function, i int, n *node) *step {
	if f.arity(len(n.args)) != "" && len(f.params) == 0 || f.repeats == 0 && i >= len(f.params) {
		return c.step(n) // too many: said of the call
	}
	p := f.parameter(i)
	if len(p.words) > 0 && n.kind != omittedNode {
		if n.kind != wordNode || !slices.Contains(p.words, n.text) {
			c.complain(n.at, "", "%s of %s is one of %s, without quotes", p.name, f.name, strings.Join(p.words, ", "))
		}
		return &step{node: n, result: Text}
	}
	a := c.step(n)
	if f.each && i == 0 && a.result == Texts {
		return a
	}
	c.fits(a, p.kind, fmt.Sprintf("%s of %s", p.name, f.name))
	return a
}

// fits complains of a value that can never be taken where one of a kind is wanted. What attributes and texts hold shows when it is evaluated.
func (c *compiler) fits(a *step, wanted Kind, where string) {
	got := a.result
	if got == Any || got == Null || got == wanted || wanted == Any || wanted == Texts || a.kind == omittedNode {
		return
	}
	switch {
	case got == Texts:
		c.complain(a.at, "choose one with Item(…, 1), or put them together with Join", "%s is one value, and this may be several", where)
	case wanted == Text:
	case got == Text && a.kind != textNode:
	case got == Text && wanted == Date:
	case got == Text && wanted == Boolean:
		if _, err := truth(textValue(a.text)); err != "" {
			c.complain(a.at, "True or False", "%s is a boolean, and this is the text %s", where, quote(a.text))
		}
	default:
		c.complain(a.at, "", "%s is a %s, and this is a %s", where, wanted, got)
	}
}

// flow complains of functions that speak of a whole flow where only a part of a value is made.
func (c *compiler) flow(s *step, whole bool) {
	if s.function != nil && !whole {
		switch s.text {
		case selectUnique:
			c.complain(s.at, "its arguments may be any expressions", "%s stands outermost and in no other function", s.text)
		case ignoreFlow:
			c.complain(s.at, "put it outermost, or into a branch of an outermost IIF or Switch", "%s drops the whole flow and cannot be a part of a value", s.text)
		}
	}
	for i, a := range s.args {
		branch := whole && s.function != nil && (s.text == "IIF" && i > 0 || s.text == "Switch" && (i == 1 || i > 1 && i%2 == 1))
		if branch && a.function != nil && a.text == selectUnique {
			branch = false
		}
		c.flow(a, branch)
	}
}

// Closest returns a hint with the name that is most like one, or "" if none is.
func Closest(name string, names []string) string {
	best, least := "", min(len(name)/2, 3)+1
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return "names are case-sensitive: " + n
		}
		if len(name) > 3 && best == "" && strings.HasPrefix(strings.ToLower(n), strings.ToLower(name)) {
			best = n // unless one is nearer
		}
		if d := scoping.EditDistance(strings.ToLower(name), strings.ToLower(n), least); d < least {
			best, least = n, d
		}
	}
	if best == "" {
		return ""
	}
	return "did you mean " + best + "?"
}
