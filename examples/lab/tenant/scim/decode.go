package scim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds nesting; a bulk request has five levels.
const maxDepth = 32

// object is a JSON object by the names of its members in lower case: names of SCIM's attributes differ in more than case (RFC 7643 §2.1).
type object map[string]member

type member struct {
	name  string // as it was written
	value any    // object, []any, string, json.Number, bool or nil
}

func (o object) get(name string) (value any, given bool) {
	m, given := o[strings.ToLower(name)]
	return m.value, given
}

func (o object) keys() []string { return slices.Sorted(maps.Keys(o)) }

// decode reads one JSON object and nothing after it. Where two members have one name, nobody can say which counts: that is refused.
func decode(body []byte) (object, error) {
	if !utf8.Valid(body) {
		return nil, &Error{"", "the body is not UTF-8"}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := value(d, "", 0)
	if err != nil {
		return nil, malformed(err)
	}
	root, ok := v.(object)
	if !ok {
		return nil, &Error{"", "the body is no JSON object, but " + kind(v)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, &Error{"", "something follows the JSON object"}
	}
	return root, nil
}

// malformed says where the text stops being JSON.
func malformed(err error) *Error {
	var known *Error
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &known):
		return known
	case errors.As(err, &syntax):
		return &Error{"", fmt.Sprintf("the body is no JSON: %v (byte %d)", syntax, syntax.Offset)}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return &Error{"", "the body is no JSON: it ends too early"}
	}
	return &Error{"", fmt.Sprintf("the body is no JSON: %v", err)}
}

func value(d *json.Decoder, at string, depth int) (any, error) {
	if depth > maxDepth {
		return nil, &Error{at, "it is nested too deeply"}
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		return members(d, at, depth)
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := value(d, fmt.Sprintf("%s[%d]", at, len(list)), depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := d.Token()
		return list, err
	}
	return t, nil
}

func members(d *json.Decoder, at string, depth int) (object, error) {
	o := object{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, err
		}
		name, _ := t.(string) // the decoder lets nothing else stand here
		key := strings.ToLower(name)
		if before, twice := o[key]; twice {
			return nil, &Error{join(at, name), fmt.Sprintf("it stands twice in its object, also as %q", before.name)}
		}
		v, err := value(d, join(at, name), depth+1)
		if err != nil {
			return nil, err
		}
		o[key] = member{name, v}
	}
	_, err := d.Token()
	return o, err
}
