package mapping

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/expression/language"
)

// Read takes settings as JSON or YAML decodes them into maps, lists and values. The problems are those of form: keys that nobody knows, and values of a wrong kind.
func Read(tree any) (Settings, []Problem) {
	r := &reader{}
	out := Settings{}
	r.object(nil, tree, map[string]func([]any, any){
		"attributes": func(p []any, v any) { out.Attributes = r.texts(p, v) },
		"users":      func(p []any, v any) { out.Users = r.rules(p, v) },
		"groups":     func(p []any, v any) { out.Groups = r.rules(p, v) },
		"assignments": func(p []any, v any) {
			out.Assignments = map[string]Assignments{}
			r.each(p, v, func(p []any, name string, v any) { out.Assignments[name] = r.assignment(p, v) })
		},
	})
	return out, r.problems
}

// ReadJSON is Read of a JSON document. Nothing at all is the zero value.
func ReadJSON(b []byte) (Settings, []Problem) {
	if len(b) == 0 || string(b) == "null" {
		return Settings{}, nil
	}
	var tree any
	if err := json.Unmarshal(b, &tree); err != nil {
		return Settings{}, []Problem{{What: err.Error()}}
	}
	return Read(tree)
}

// reader makes settings of a tree.
type reader struct{ problems []Problem }

func (r *reader) complain(path []any, hint, what string) {
	r.problems = append(r.problems, Problem{Path: path, What: what, Hint: hint})
}

// object calls the function of each key.
func (r *reader) object(path []any, v any, keys map[string]func([]any, any)) {
	r.each(path, v, func(p []any, key string, v any) {
		if f := keys[key]; f != nil {
			f(p, v)
			return
		}
		known := slices.Sorted(maps.Keys(keys))
		hint := language.Closest(key, known)
		if hint == "" {
			hint = "known here: " + strings.Join(known, ", ")
		}
		r.complain(p, hint, "unknown")
	})
}

// each calls f for each key, in order. Nothing has no keys.
func (r *reader) each(path []any, v any, f func(p []any, key string, v any)) {
	if v == nil {
		return
	}
	m, is := v.(map[string]any)
	if !is {
		r.complain(path, "", "keys with values are wanted here")
		return
	}
	for _, key := range slices.Sorted(maps.Keys(m)) {
		f(under(path, key), key, m[key])
	}
}

func (r *reader) list(path []any, v any, f func(p []any, v any)) {
	if v == nil {
		return
	}
	l, is := v.([]any)
	if !is {
		r.complain(path, "", "a list is wanted here")
		return
	}
	for i, e := range l {
		f(under(path, i), e)
	}
}

func (r *reader) texts(path []any, v any) (out []string) {
	r.list(path, v, func(p []any, v any) { out = append(out, r.text(p, v)) })
	return out
}

// text takes a text. A lone number or boolean is none: as an expression it would be one by mistake.
func (r *reader) text(path []any, v any) string {
	s, is := v.(string)
	if !is {
		r.complain(path, "write it in quotes", "a text is wanted here")
	}
	return s
}

func (r *reader) assignment(path []any, v any) (out Assignments) {
	rules := func(to **Rules) func([]any, any) {
		return func(p []any, v any) {
			made := r.rules(p, v)
			*to = &made
		}
	}
	r.object(path, v, map[string]func([]any, any){"users": rules(&out.Users), "groups": rules(&out.Groups)})
	return out
}

func (r *reader) rules(path []any, v any) (out Rules) {
	r.object(path, v, map[string]func([]any, any){
		"base": func(p []any, v any) { out.Base = r.text(p, v) },
		"mappings": func(p []any, v any) {
			r.list(p, v, func(p []any, v any) { out.Mappings = append(out.Mappings, r.entry(p, v)) })
		},
	})
	return out
}

func (r *reader) entry(path []any, v any) (out Entry) {
	text := func(to *string) func([]any, any) { return func(p []any, v any) { *to = r.text(p, v) } }
	r.object(path, v, map[string]func([]any, any){
		"target": text(&out.Target), "expression": text(&out.Expression), "apply": text(&out.Apply), "default": text(&out.Default),
		"leaveOut": func(p []any, v any) {
			b, is := v.(bool)
			if !is {
				r.complain(p, "", "true or false is wanted here")
			}
			out.LeaveOut = b
		},
		"matching": func(p []any, _ any) {
			r.complain(p, "match of the assignment, in the policy", "by what people are found is no matter of mappings")
		},
	})
	return out
}
