package scim

import (
	"encoding/json"
	"fmt"
	"strconv"
)

// reader takes attributes out of objects, and keeps the first mistake.
type reader struct{ err *Error }

func (r *reader) fail(at, text string) {
	if r.err == nil {
		r.err = &Error{at, text}
	}
}

func join(at, name string) string {
	if at == "" {
		return name
	}
	return at + "." + name
}

// kind names a JSON value's type for people.
func kind(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a text"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	}
	return "an object"
}

// asText gives a scalar as text; ok is false for objects, lists and null.
func asText(v any) (text string, ok bool) {
	switch x := v.(type) {
	case string:
		return x, true
	case bool:
		return strconv.FormatBool(x), true
	case json.Number:
		return x.String(), true
	}
	return "", false
}

// text is "" where the attribute is absent or null.
func (r *reader) text(o object, at, name string) string {
	v, _ := o.get(name)
	s, ok := v.(string)
	if v != nil && !ok {
		r.fail(join(at, name), "a text is due, not "+kind(v))
	}
	return s
}

func (r *reader) needed(o object, at, name string) string {
	s := r.text(o, at, name)
	if s == "" {
		r.fail(join(at, name), "it is missing")
	}
	return s
}

func (r *reader) exactly(o object, at, name, want string) {
	if got := r.needed(o, at, name); got != want {
		r.fail(join(at, name), fmt.Sprintf("only %s is taken, not %q", want, got))
	}
}

func (r *reader) truth(o object, at, name string) *bool {
	v, _ := o.get(name)
	b, ok := v.(bool)
	if v == nil {
		return nil
	}
	if !ok {
		r.fail(join(at, name), "true or false is due, not "+kind(v))
	}
	return &b
}

// object is empty where the attribute is absent or null.
func (r *reader) object(o object, at, name string) object {
	v, _ := o.get(name)
	inner, ok := v.(object)
	if v != nil && !ok {
		r.fail(join(at, name), "an object is due, not "+kind(v))
	}
	return inner
}

func (r *reader) list(o object, at, name string) []any {
	v, _ := o.get(name)
	list, ok := v.([]any)
	if v != nil && !ok {
		r.fail(join(at, name), "a list is due, not "+kind(v))
	}
	return list
}

func (r *reader) texts(o object, at, name string) []string {
	var out []string
	for i, v := range r.list(o, at, name) {
		s, ok := v.(string)
		if !ok {
			r.fail(fmt.Sprintf("%s[%d]", join(at, name), i), "a text is due, not "+kind(v))
		}
		out = append(out, s)
	}
	return out
}

// failOnErrors is read only to be refused when it is none: Entra's service carries out each operation, whatever became of the others.
func (r *reader) failOnErrors(v any) {
	if v == nil {
		return
	}
	n, ok := v.(json.Number)
	if !ok {
		r.fail("failOnErrors", "a number is due, not "+kind(v))
		return
	}
	if i, err := n.Int64(); err != nil || i < 0 {
		r.fail("failOnErrors", "a number of errors is due, not "+n.String())
	}
}

// element is one of the values of an attribute that has several.
type element struct {
	object
	at      string
	primary bool
}

// elements reads an attribute of several values. One of them may be the primary one (RFC 7643 §2.4).
func (r *reader) elements(o object, at, name string) []element {
	var out []element
	primary := false
	for i, v := range r.list(o, at, name) {
		e := element{at: fmt.Sprintf("%s[%d]", join(at, name), i)}
		inner, ok := v.(object)
		if !ok {
			r.fail(e.at, "an object is due, not "+kind(v))
			continue
		}
		e.object = inner
		if p := r.truth(inner, e.at, "primary"); p != nil && *p {
			if primary {
				r.fail(e.at+".primary", "another one is the primary one")
			}
			e.primary, primary = true, true
		}
		out = append(out, e)
	}
	return out
}
