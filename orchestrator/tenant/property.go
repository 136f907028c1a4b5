package tenant

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

const extensionsName = "onPremisesExtensionAttributes"

// selection returns the $select of a kind, with extra names.
func (c *Client) selection(kind scoping.Kind, extra ...string) string {
	names := append([]string{"id", "onPremisesSyncEnabled"}, extra...)
	for _, p := range attribute.Values(kind) {
		if p.Form == attribute.Extension || p.Name == attribute.SourceAnchor { // neither is a property in Graph
			continue
		}
		names = append(names, p.Name)
	}
	if kind == scoping.User {
		names = append(append(names, extensionsName), c.registered()...)
	}
	return strings.Join(names, ",")
}

// registered returns the registered extensions of users that are read.
func (c *Client) registered() []string {
	if p := c.extensions.Load(); p != nil {
		return *p
	}
	return nil
}

// encodeValues converts the Set of a valid write to a JSON object.
func encodeValues(kind scoping.Kind, set cloud.Values) map[string]any {
	out := map[string]any{}
	for name, v := range set {
		p, _ := attribute.Find(kind, name)
		x := encode(p, v)
		if p.Form != attribute.Extension {
			out[name] = x
			continue
		}
		inner, _ := out[extensionsName].(map[string]any)
		if inner == nil {
			inner = map[string]any{}
			out[extensionsName] = inner
		}
		inner[name] = x
	}
	return out
}

func encode(p attribute.Attribute, v []string) any {
	switch {
	case p.Form == attribute.Texts:
		return append([]string{}, v...) // never null: [] clears
	case len(v) == 0:
		return nil
	case p.Form == attribute.Boolean:
		return v[0] == "true"
	}
	return v[0]
}

// raw is an object of Graph, property by property.
type raw map[string]json.RawMessage

func (r raw) text(name string) string {
	var s string
	_ = json.Unmarshal(r[name], &s) // what is no text is returned as empty
	return s
}

// flag returns a boolean; nil: the object does not contain it.
func (r raw) flag(name string) *bool {
	x, said := r[name]
	if !said {
		return nil
	}
	var b bool
	_ = json.Unmarshal(x, &b) // null is false
	return &b
}

// values returns the properties that the object contains, as canonical text. A null or empty property is in the result without values, so that it clears what was known.
func (r raw) values(kind scoping.Kind) (cloud.Values, error) {
	out := cloud.Values{}
	var inner raw
	if x, said := r[extensionsName]; said {
		if err := json.Unmarshal(x, &inner); err != nil {
			return nil, fmt.Errorf("%s: %w", extensionsName, err)
		}
		if inner == nil {
			inner = raw{}
		}
	}
	for _, p := range attribute.Values(kind) {
		x, said := r[p.Name]
		if p.Form == attribute.Extension {
			if inner == nil {
				continue
			}
			x, said = inner[p.Name], true // the tenant always shows all of the container
		}
		if !said {
			continue
		}
		v, err := decodeValue(p, x)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Name, err)
		}
		out[p.Name] = v
	}
	for name, x := range r {
		if _, extends := attribute.Find(kind, name); extends && attribute.Registered(name) {
			out[name] = extensionText(x)
		}
	}
	return out, nil
}

// extensionText returns the value of a registered extension. Tandem writes texts only; another value is returned as its JSON.
func extensionText(x json.RawMessage) []string {
	var s string
	if json.Unmarshal(x, &s) != nil {
		s = string(x)
	}
	if s == "" || string(x) == "null" {
		return nil
	}
	return []string{s}
}

func decodeValue(p attribute.Attribute, x json.RawMessage) ([]string, error) {
	if len(x) == 0 || string(x) == "null" {
		return nil, nil
	}
	switch p.Form {
	case attribute.Boolean:
		var b bool
		err := json.Unmarshal(x, &b)
		return []string{fmt.Sprint(b)}, err
	case attribute.Texts:
		var v []string
		err := json.Unmarshal(x, &v)
		slices.Sort(v)
		return v, err
	}
	var s string
	if err := json.Unmarshal(x, &s); err != nil || s == "" {
		return nil, err
	}
	return []string{s}, nil
}
