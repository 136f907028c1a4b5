package policy

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping"
)

// value is what may stand behind a key: what the published schema says of it, and how it is read. The reader and the schema
// are made of the same values, so that they cannot differ.
type value struct {
	schema schema
	read   func(*yaml.Node)
}

// entry is one key of a mapping.
type entry struct {
	key      string
	about    string // for editors
	required bool
	value    value
}

// of changes what the schema says of a value.
func (v value) of(change func(*schema)) value {
	change(&v.schema)
	return v
}

func examples(es ...any) func(*schema) { return func(s *schema) { s.Examples = es } }
func preset(d any) func(*schema)       { return func(s *schema) { s.Default = d } }

// mapping is a mapping whose keys are known. what names it in messages.
func (r *reader) mapping(what func(*yaml.Node) string, entries ...entry) value {
	s := schema{Type: "object", Properties: properties{}, AdditionalProperties: new(bool)}
	for _, e := range entries {
		p := e.value.schema
		p.Description = cmp.Or(e.about, p.Description)
		s.Properties = append(s.Properties, property{e.key, &p})
		if e.required {
			s.Required = append(s.Required, e.key)
		}
	}
	return value{schema: s, read: func(n *yaml.Node) { r.readMapping(n, what(n), entries) }}
}

func (r *reader) readMapping(n *yaml.Node, what string, entries []entry) {
	if n.Kind != yaml.MappingNode {
		r.mistakes.Add(r.at(n), what+" is not a mapping", "write \"key: value\" lines")
		return
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := follow(n.Content[i])
		j := slices.IndexFunc(entries, func(e entry) bool { return e.key == key.Value && key.Kind == yaml.ScalarNode })
		switch {
		case j < 0:
			r.mistakes.Add(r.at(key), fmt.Sprintf("unknown key %q in %s", key.Value, what), nearest(key.Value, entries))
		case seen[key.Value]:
			r.mistakes.Add(r.at(key), fmt.Sprintf("key %q stands twice in %s", key.Value, what), "remove one")
		default:
			seen[key.Value] = true
			entries[j].value.read(follow(n.Content[i+1]))
		}
	}
	for _, e := range entries {
		if e.required && !seen[e.key] {
			r.mistakes.Add(r.at(n), fmt.Sprintf("%s has no %q", what, e.key), "add it")
		}
	}
}

func called(what string) func(*yaml.Node) string { return func(*yaml.Node) string { return what } }

// follow gives what an alias stands for.
func follow(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

// list is a list of like items.
func (r *reader) list(what string, item value) value {
	return value{schema: schema{Type: "array", Items: &item.schema}, read: func(n *yaml.Node) {
		if n.Kind != yaml.SequenceNode {
			r.mistakes.Add(r.at(n), what+" is not a list", "write \"[a, b]\" or one \"- item\" a line")
			return
		}
		for _, c := range n.Content {
			item.read(follow(c))
		}
	}}
}

// text is a scalar, taken as it was written.
func (r *reader) text(what string, to *string) value {
	return value{schema: schema{Type: "string", MinLength: 1}, read: func(n *yaml.Node) { *to, _ = r.scalar(what, n) }}
}

func (r *reader) scalar(what string, n *yaml.Node) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		r.mistakes.Add(r.at(n), what+" is not a text", "write one value, without brackets, braces or dashes")
		return "", false
	case n.ShortTag() == "!!null":
		r.mistakes.Add(r.at(n), what+" has no value", "write it on the same line, in quotes if it holds \": \" or \" #\"")
		return "", false
	}
	return n.Value, true
}

// placed is a text whose place is remembered.
func (r *reader) placed(what string, to *string, pos *scoping.Pos) value {
	v := r.text(what, to)
	read := v.read
	v.read = func(n *yaml.Node) {
		*pos = r.at(n)
		read(n)
	}
	return v
}

// number is a whole number between least and most.
func (r *reader) number(what string, to *int, least, most int) value {
	s := schema{Type: "integer"}
	if least > math.MinInt {
		s.Minimum = &least
	}
	if most < math.MaxInt {
		s.Maximum = &most
	}
	return value{schema: s, read: func(n *yaml.Node) {
		v, err := strconv.Atoi(n.Value)
		switch {
		case n.Kind != yaml.ScalarNode || err != nil:
			r.mistakes.Add(r.at(n), what+" is not a whole number", "write digits alone, such as 10")
		case v < least:
			r.mistakes.Add(r.at(n), fmt.Sprintf("%s is %d", what, v), fmt.Sprintf("write %d or more", least))
		case v > most:
			r.mistakes.Add(r.at(n), fmt.Sprintf("%s is %d", what, v), fmt.Sprintf("write a number between %d and %d", least, most))
		default:
			*to = v
		}
	}}
}

func (r *reader) truth(what string, to *bool) value {
	return value{schema: schema{Type: "boolean"}, read: func(n *yaml.Node) {
		if n.Kind != yaml.ScalarNode || n.Value != "true" && n.Value != "false" {
			r.mistakes.Add(r.at(n), what+" is neither true nor false", "write true or false")
			return
		}
		*to = n.Value == "true"
	}}
}

// oneOf is a text that must be one of a few.
func oneOf[T ~string](r *reader, what string, to *T, allowed ...T) value {
	names := make([]string, len(allowed))
	for i, a := range allowed {
		names[i] = string(a)
	}
	return value{schema: schema{Type: "string", Enum: names}, read: func(n *yaml.Node) {
		if n.Kind == yaml.ScalarNode && slices.Contains(names, n.Value) {
			*to = T(n.Value)
			return
		}
		r.mistakes.Add(r.at(n), fmt.Sprintf("%s: %q is unknown", what, n.Value), "write "+choice(names))
	}}
}

// dnPattern is what every distinguished name begins with.
const dnPattern = `^\s*[A-Za-z0-9][A-Za-z0-9.\-]*\s*=`

// dn is a distinguished name, as written.
func (r *reader) dn(what string, to *scoping.Pin) value {
	s := schema{Type: "string", Pattern: dnPattern, dn: true}
	return value{schema: s, read: func(n *yaml.Node) {
		to.Pos = r.at(n)
		text, ok := r.scalar(what, n)
		if !ok {
			return
		}
		to.DN = text
		d, err := scoping.ParseDN(text)
		switch {
		case err != nil:
			r.mistakes.Add(to.Pos, fmt.Sprintf("%s: %s", what, err), dnHint(n))
		case d.IsZero():
			r.mistakes.Add(to.Pos, what+" is empty", "write a distinguished name, such as OU=Sales,DC=contoso,DC=test")
		}
	}}
}

func dnHint(n *yaml.Node) string {
	if n.Style&yaml.DoubleQuotedStyle != 0 && strings.Contains(n.Value, "\\") {
		return "within double quotes YAML reads backslashes itself; use single quotes"
	}
	return `write it as the directory shows it, such as OU=Sales,DC=contoso,DC=test, and a comma in a name as \,`
}

// choice lists alternatives: a, b or c.
func choice(names []string) string {
	last := len(names) - 1
	if last == 0 {
		return names[0] + ", or leave the key out"
	}
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
