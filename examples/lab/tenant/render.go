package tenant

import (
	"slices"
	"strings"
)

// shown gives a property its JSON form: collections are never null, and a user's extension attributes come all fifteen.
func shown(p *Property, v any) any {
	switch {
	case p == nil: // a registered extension, text or null
	case v == nil && strings.HasPrefix(p.Type, "Collection("):
		return []any{}
	case p.Type == edmExt && !p.ReadOnly:
		fields, _ := v.(map[string]any)
		all := make(map[string]any, 15)
		for _, name := range complexFields[edmExt] {
			all[name] = fields[name]
		}
		return all
	}
	return v
}

// render shows an object's selected properties, or its kind's default set.
func render(o Object, selected []string) map[string]any {
	out := make(map[string]any, 16)
	for _, p := range schemas[o.Kind].list {
		if len(selected) == 0 && p.Shown || slices.Contains(selected, p.Name) {
			out[p.Name] = shown(p, o.Properties[p.Name])
		}
	}
	for _, name := range selected {
		if isExtension(name) {
			if v := o.Properties[name]; v != nil {
				out[name] = v
			}
		}
	}
	return out
}
