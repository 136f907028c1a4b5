package language

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// Bounds of an evaluation.
const (
	MaxText   = 64 << 10 // bytes of one text
	MaxValues = 10000    // values of one list
)

// Facts are what one evaluation may know.
type Facts struct {
	Attributes map[string][]string // of the source; booleans are true or false
	Macros     map[string]string   // without the percent signs
}

// Result is what a mapping's expression gives.
type Result struct {
	Values     []string // without empty ones; none: the target attribute has no value
	Ignored    bool     // the flow is dropped: the target attribute stays as it is
	Candidates []string // of SelectUniqueValue, in order, each once
}

// Step is one evaluated piece of an expression, for people.
type Step struct {
	At         Position `json:"at"`
	Expression string   `json:"expression"`
	Value      string   `json:"value"`
}

// run is one evaluation.
type run struct {
	facts    Facts
	patterns stopwatch
	traced   bool
	steps    []Step
}

// Value evaluates the program over the facts of one object. The error is an *[Error] with the place in the expression.
func (p *Program) Value(f Facts) (Result, error) { return p.evaluate(&run{facts: f}) }

// Trace evaluates the program and returns each call and attribute with its value, in the order in which they were evaluated.
func (p *Program) Trace(f Facts) (Result, []Step, error) {
	r := &run{facts: f, traced: true}
	out, err := p.evaluate(r)
	return out, r.steps, err
}

func (p *Program) evaluate(r *run) (Result, error) {
	if p.unique == nil {
		v, err := r.value(p.root)
		if err != nil {
			return Result{}, err
		}
		return Result{Values: filled(v.texts()), Ignored: v.kind == ignored}, nil
	}
	var out Result
	for _, u := range p.unique {
		v, err := r.value(u)
		if err != nil {
			return Result{}, err
		}
		if t, err := r.single(u, v); err != nil {
			return Result{}, err
		} else if t != "" && !slices.Contains(out.Candidates, t) {
			out.Candidates = append(out.Candidates, t)
		}
	}
	return out, nil
}

func filled(values []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return s == "" })
}

func (r *run) value(s *step) (value, error) {
	v, err := r.raw(s)
	if err != nil {
		var placed *Error
		if !errors.As(err, &placed) {
			err = errorAt(s.at, "", "%s: %s", s.name(), err)
		}
		return null, err
	}
	if r.traced && (s.kind == callNode || s.kind == attributeNode || s.kind == operatorNode || s.kind == macroNode) {
		r.steps = append(r.steps, Step{At: s.at, Expression: s.String(), Value: v.String()})
	}
	return v, nil
}

func (s *step) name() string {
	if s.kind == callNode {
		return s.text
	}
	return s.String()
}

func (r *run) raw(s *step) (value, error) {
	switch s.kind {
	case attributeNode:
		return r.attribute(s)
	case macroNode:
		return textValue(r.facts.Macros[s.text]), nil
	case textNode:
		return textValue(s.text), nil
	case numberNode:
		return numberValue(s.number), nil
	case wordNode:
		return constant(s.text), nil
	case operatorNode:
		return r.operator(s)
	case callNode:
		return r.call(s)
	}
	return null, nil
}

func constant(word string) value {
	switch word {
	case "True", "False":
		return truthValue(word == "True")
	case "NULL":
		return null
	}
	return textValue(word) // of an enumeration
}

// attribute returns an attribute's values as what its kind says. One that is no list has one value at most.
func (r *run) attribute(s *step) (value, error) {
	values := r.facts.Attributes[s.text]
	switch {
	case len(values) == 0:
		return null, nil
	case len(values) > MaxValues:
		return null, fmt.Errorf("%d values; %d are the most", len(values), MaxValues)
	}
	for _, v := range values {
		if len(v) > MaxText {
			return null, fmt.Errorf("a value of %d bytes; %d are the most", len(v), MaxText)
		}
	}
	switch {
	case s.result == Texts || len(values) > 1:
		return listValue(values), nil
	case s.result == Boolean:
		if b, err := strconv.ParseBool(values[0]); err == nil {
			return truthValue(b), nil
		}
	case s.result == Number:
		if n, err := strconv.ParseInt(values[0], 10, 64); err == nil {
			return numberValue(n), nil
		}
	}
	return textValue(values[0]), nil
}

func (r *run) call(s *step) (value, error) {
	f := s.function
	if f.lazy != nil {
		return f.lazy(r, s)
	}
	args := make([]value, len(s.args))
	for i, a := range s.args {
		v, err := r.value(a)
		if err != nil {
			return null, err
		}
		if args[i], err = r.convert(s, i, v); err != nil {
			return null, err
		}
	}
	if f.each && args[0].kind == Texts {
		return r.each(s, args)
	}
	return r.bounded(f.plain(r, s, args))
}

// each evaluates a function for each value of its first argument
// (https://learn.microsoft.com/entra/identity/hybrid/connect/concept-azure-ad-connect-sync-declarative-provisioning-expressions).
func (r *run) each(s *step, args []value) (value, error) {
	out := make([]string, len(args[0].list))
	size := 0
	for i, t := range args[0].list {
		one := slices.Clone(args)
		one[0] = textValue(t)
		v, err := r.bounded(s.function.plain(r, s, one))
		if err != nil {
			return null, err
		}
		out[i] = v.plain()
		if size += len(out[i]); size > MaxText*16 {
			return null, fmt.Errorf("the values have more than %d bytes together", MaxText*16)
		}
	}
	return listValue(out), nil
}

// bounded refuses values that are too large.
func (r *run) bounded(v value, err error) (value, error) {
	switch {
	case err != nil:
		return null, err
	case len(v.text) > MaxText:
		return null, fmt.Errorf("the result has %d bytes; %d are the most", len(v.text), MaxText)
	case len(v.list) > MaxValues:
		return null, fmt.Errorf("the result has %d values; %d are the most", len(v.list), MaxValues)
	}
	return v, nil
}

// convert makes of an argument's value what its parameter takes.
func (r *run) convert(s *step, i int, v value) (value, error) {
	p := s.function.parameter(i)
	if v.kind == Null || v.kind == p.kind || p.kind == Any {
		return v, nil
	}
	if s.function.each && i == 0 && v.kind == Texts {
		return v, nil
	}
	why := ""
	switch p.kind {
	case Text:
		t, err := r.single(s.args[i], v)
		return textValue(t), err
	case Texts:
		return listValue(v.texts()), nil
	case Number:
		v, why = number(v)
	case Boolean:
		v, why = truth(v)
	case Date:
		v, why = moment(v)
	}
	if why != "" {
		return null, errorAt(s.args[i].at, "", "%s of %s: %s", p.name, s.text, why)
	}
	return v, nil
}

// single returns a value as one text, and an error for several.
func (r *run) single(s *step, v value) (string, error) {
	if v.kind != Texts {
		return v.plain(), nil
	}
	switch len(v.list) {
	case 0:
		return "", nil
	case 1:
		return v.list[0], nil
	}
	return "", errorAt(s.at, "choose one with Item(…, 1), or put them together with Join", "one value is wanted here, and there are %d", len(v.list))
}

// number makes a number of a value, or says why it is none.
func number(v value) (value, string) {
	t := strings.TrimSpace(v.plain())
	n, err := strconv.ParseInt(t, 10, 64)
	if err != nil || v.kind == Texts {
		return null, fmt.Sprintf("%s is not a whole number", v)
	}
	return numberValue(n), ""
}

// truth makes a boolean of a value, or says why it is none. Nothing is not true.
func truth(v value) (value, string) {
	switch t := strings.TrimSpace(v.plain()); {
	case v.kind == Texts:
	case v.kind == Boolean:
		return v, ""
	case t == "" || strings.EqualFold(t, "false"):
		return truthValue(false), ""
	case strings.EqualFold(t, "true"):
		return truthValue(true), ""
	}
	return null, fmt.Sprintf("%s is neither True nor False", v)
}

// operator joins two texts, or compares two values: numbers as numbers, and all else character by character, with upper and lower case apart. Nothing
// equals the empty text.
func (r *run) operator(s *step) (value, error) {
	var sides [2]value
	for i, a := range s.args {
		v, err := r.value(a)
		if err != nil {
			return null, err
		}
		if v.kind == Texts {
			t, err := r.single(a, v)
			if err != nil {
				return null, err
			}
			v = textValue(t)
		}
		sides[i] = v
	}
	if s.text == "&" {
		return r.bounded(textValue(sides[0].plain()+sides[1].plain()), nil)
	}
	return truthValue(holds(s.text, compare(sides[0], sides[1]))), nil
}

func compare(a, b value) int {
	if a.kind == Date && b.kind == Date {
		return a.when.Compare(b.when)
	}
	x, notX := number(a)
	y, notY := number(b)
	if notX == "" && notY == "" && (a.kind == Number || b.kind == Number) {
		return cmp.Compare(x.number, y.number)
	}
	return strings.Compare(a.plain(), b.plain())
}

func holds(operator string, order int) bool {
	switch operator {
	case "=":
		return order == 0
	case "<>":
		return order != 0
	case "<":
		return order < 0
	case "<=":
		return order <= 0
	case ">":
		return order > 0
	}
	return order >= 0
}
