package orchestrator

import (
	"fmt"
	"reflect"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v4"

	"github.com/tandem-sync/tandem/scoping/policy"
)

// The YAML reader's messages about an unknown key, a value of the wrong kind, and a key that occurs twice.
var (
	unknownKey = regexp.MustCompile(`^field (\S+) not found in type orchestrator\.(\w+)$`)
	otherKind  = regexp.MustCompile("(?s)^cannot construct !!(\\w+)(?: `(.*)`)? into (.+)$")
	twiceKey   = regexp.MustCompile(`^mapping key "(.*)" already defined at line (\d+)$`)
)

// explainYAML rewrites a message of the YAML reader, which is about the program's types, in terms of the file. key is the one with the wrong value, such as tenant.delay; empty: it
// is not known.
func explainYAML(message, key string) string {
	if m := unknownKey.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("unknown key %q (%s)", m[1], policy.Nearest(m[1], keysOf(reflect.TypeFor[Config](), m[2])))
	}
	if m := twiceKey.FindStringSubmatch(message); m != nil {
		return fmt.Sprintf("the key %q stands twice: first in line %s", m[1], m[2])
	}
	if m := otherKind.FindStringSubmatch(message); m != nil {
		text := dueFor(m[3]) + " is due, not " + kindOf(m[1], m[2])
		if key != "" {
			text = key + ": " + text
		}
		return text
	}
	switch message {
	case "mapping values are not allowed in this context":
		return "a colon with a space stands inside a value: put the value in quotes, or the key into a line of its own"
	case "found character that cannot start any token":
		return "a tab, or a character such as @ or `, begins something here: indent with spaces, and put such a text in quotes"
	}
	return message
}

// dueFor describes the value that a type of the program takes.
func dueFor(kind string) string {
	switch kind {
	case "int":
		return "a whole number"
	case "bool":
		return "true or false"
	case "string":
		return "a text"
	case "time.Duration":
		return "a duration, such as 30s, 2m or 1h30m,"
	case "[]string", "[]scoping.Purpose":
		return "a list, such as [a, b],"
	case "map[string]interface {}":
		return "an indented block of keys with values"
	}
	if name, isList := strings.CutPrefix(kind, "[]orchestrator."); isList {
		return "a list, each item behind a dash and with some of " + keysInWords(name) + ","
	}
	return "an indented block with some of the keys " + keysInWords(strings.TrimPrefix(kind, "orchestrator."))
}

func keysInWords(name string) string {
	return strings.Join(keysOf(reflect.TypeFor[Config](), name), ", ")
}

// kindOf describes a value of the file by its YAML tag.
func kindOf(tag, value string) string {
	switch tag {
	case "seq":
		return "a list"
	case "map":
		return "keys with values"
	case "null":
		return "nothing"
	case "int", "float":
		return "the number " + value
	case "bool":
		return value
	}
	return fmt.Sprintf("the text %q", value)
}

// keyAt returns the path of the key whose value is at a place of a file; empty: there is none.
func keyAt(n *yaml.Node, line, column int) string {
	if n == nil {
		return ""
	}
	below := func(value *yaml.Node, name string) (string, bool) {
		if value.Line == line && value.Column == column {
			return name, true
		}
		key := keyAt(value, line, column)
		if strings.HasPrefix(key, "[") {
			return name + key, true
		}
		return name + "." + key, key != ""
	}
	for i, c := range n.Content {
		switch {
		case n.Kind == yaml.DocumentNode:
			return keyAt(c, line, column)
		case n.Kind == yaml.SequenceNode:
			if key, found := below(c, fmt.Sprintf("[%d]", i)); found {
				return key
			}
		case n.Kind == yaml.MappingNode && i%2 == 1:
			if key, found := below(c, n.Content[i-1].Value); found {
				return key
			}
		}
	}
	return ""
}

// keysOf returns the keys of a type of the configuration, which it finds in t by the type's name.
func keysOf(t reflect.Type, name string) (keys []string) {
	if name == reflect.TypeFor[webhookKeys]().Name() {
		name = reflect.TypeFor[WebhookConfig]().Name()
	}
	for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[yaml.Node]() {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		key, _, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		if key == "" {
			continue
		}
		if t.Name() == name {
			keys = append(keys, key)
		} else if below := keysOf(f.Type, name); below != nil {
			return below
		}
	}
	return keys
}
