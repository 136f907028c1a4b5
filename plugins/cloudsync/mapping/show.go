package mapping

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression/language"
	"github.com/tandem-sync/tandem/scoping"
)

// Effective is what settings amount to, for people.
type Effective struct {
	Engine      string   `json:"engine,omitempty"`
	Kind        string   `json:"kind"`
	Assignment  string   `json:"assignment,omitempty"` // "" of all that have no mappings of their own
	Base        string   `json:"base"`
	Mappings    []Effect `json:"mappings"`
	Fingerprint string   `json:"fingerprint"`
}

// Effect is one mapping in force.
type Effect struct {
	Target     string `json:"target"`
	Expression string `json:"expression"`
	Apply      string `json:"apply"`
	Default    string `json:"default,omitempty"`
	Own        bool   `json:"own"` // it is the settings', and not the base's
}

// Effective lists what the settings amount to: users, groups, and assignments with mappings of their own.
func (f File) Effective() []Effective {
	out := []Effective{f.effective("", scoping.User, f.Settings.Users), f.effective("", scoping.Group, f.Settings.Groups)}
	for _, name := range slices.Sorted(maps.Keys(f.Settings.Assignments)) {
		if r := f.Settings.Assignments[name].Users; r != nil {
			out = append(out, f.effective(name, scoping.User, *r))
		}
		if r := f.Settings.Assignments[name].Groups; r != nil {
			out = append(out, f.effective(name, scoping.Group, *r))
		}
	}
	return out
}

func (f File) effective(assignment string, kind scoping.Kind, r Rules) Effective {
	out := Effective{Engine: f.Engine, Kind: string(kind), Assignment: assignment, Base: cmp.Or(r.Base, BaseEntra), Fingerprint: f.Sets.Of(kind, assignment).Fingerprint().String()}
	for _, e := range r.entries(kind) {
		out.Mappings = append(out.Mappings, Effect{Target: e.Target, Expression: usual(e.Expression), Apply: cmp.Or(e.Apply, ApplyAlways), Default: e.Default,
			Own: slices.Contains(r.Mappings, e)})
	}
	return out
}

// usual writes an expression in one line.
func usual(expression string) string {
	e, err := language.Parse(expression)
	if err != nil {
		return expression
	}
	return e.String()
}

// Example says of which source, and where to, a mapping is shown.
type Example struct {
	Kind       string // "user" or "group"; "": what the source looks like
	Assignment string
	Place      Place
}

// Shown is what becomes of one source, step by step.
type Shown struct {
	Kind       string            `json:"kind"`
	Object     string            `json:"object"`
	Want       string            `json:"want"` // present, excluded or unknown
	Reason     string            `json:"reason,omitempty"`
	Container  string            `json:"container,omitempty"`
	References map[string]string `json:"references,omitempty"`
	Attributes []Trace           `json:"attributes"`
}

// Show maps one source, which is JSON as Graph answers it for a user or group.
func (f File) Show(object []byte, x Example) (Shown, error) {
	source, err := SourceOf(object, scoping.Kind(x.Kind))
	if err != nil {
		return Shown{}, err
	}
	m, traces := f.Sets.Of(source.Kind, x.Assignment).Trace(x.Place, source)
	for i, t := range traces {
		traces[i].Expression = usual(cmp.Or(t.Expression, f.parentExpression(source.Kind, x.Assignment)))
	}
	out := Shown{Kind: string(source.Kind), Object: source.Object.String(), Want: map[engine.Want]string{engine.Present: "present", engine.Excluded: "excluded", engine.Unknown: "unknown"}[m.Want],
		Reason: m.Reason, References: m.Refs, Attributes: append([]Trace{}, traces...)}
	if m.Want == engine.Present {
		out.Container = cmp.Or(m.Container, x.Place.Container)
	}
	return out, nil
}

// parentExpression is the expression of the container, which a set keeps compiled only.
func (f File) parentExpression(kind scoping.Kind, assignment string) string {
	for _, e := range f.Effective() {
		if e.Kind != string(kind) || e.Assignment != "" && e.Assignment != assignment {
			continue
		}
		for _, m := range e.Mappings {
			if m.Target == parentDN {
				return m.Expression
			}
		}
	}
	return ""
}

// SourceOf makes a source of JSON as Graph answers it: what the tenant's attributes are not is passed over. Without a kind it is a group if it says whether it is a security group.
func SourceOf(object []byte, kind scoping.Kind) (engine.Source, error) {
	var all map[string]any
	if err := json.Unmarshal(object, &all); err != nil {
		return engine.Source{}, fmt.Errorf("the source is no JSON object of Graph: %w", err)
	}
	if _, group := all["securityEnabled"]; kind == "" {
		if kind = scoping.User; group {
			kind = scoping.Group
		}
	}
	if kind != scoping.User && kind != scoping.Group {
		return engine.Source{}, fmt.Errorf("%q is neither %s nor %s", kind, scoping.User, scoping.Group)
	}
	if more, is := all["onPremisesExtensionAttributes"].(map[string]any); is {
		maps.Copy(all, more)
	}
	id, _ := all["id"].(string)
	o, err := scoping.Cloud(id)
	if err != nil {
		return engine.Source{}, fmt.Errorf("the source needs its id, as Graph has it: %w", err)
	}
	out := engine.Source{Object: o, Kind: kind, Values: map[string]engine.Value{}}
	schema := Schema(kind)
	for name, v := range all {
		_, known := schema.Attributes[name]
		if !known && schema.More != nil {
			_, known = schema.More(name)
		}
		if _, alias := aliases[name]; known && !alias {
			if t := texts(v); len(t) > 0 {
				out.Values[name] = engine.Value{Text: t}
			}
		}
	}
	return out, nil
}

// texts writes a JSON value as the contract does.
func texts(v any) []string {
	switch v := v.(type) {
	case nil:
		return nil
	case []any:
		var out []string
		for _, e := range v {
			out = append(out, texts(e)...)
		}
		return out
	case map[string]any:
		return nil
	default:
		return []string{strings.TrimSpace(fmt.Sprint(v))}
	}
}
