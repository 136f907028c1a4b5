package connect

import (
	"maps"
	"slices"
	"strconv"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Evaluation is what the rules make of one living object: either the code that leaves it out, or its tenant attributes.
type Evaluation struct {
	Kind      scoping.Kind            `json:"kind"`
	Anchor    string                  `json:"anchor,omitempty"` // base64, for people and for joins in the metaverse
	Excluded  string                  `json:"excluded,omitempty"`
	Metaverse attributes              `json:"metaverse,omitempty"`
	Desired   map[string]engine.Value `json:"-"`
}

// Evaluate applies the inbound rules to a directory object and the outbound rules to what they made of it. domain is the
// DNS name of the object's domain. It is pure.
func Evaluate(e directory.Entry, domain string) Evaluation {
	out := Evaluation{Kind: e.Kind()}
	mv, excluded := evaluate(Inbound, out.Kind, fromEntry(e, domain))
	if excluded != "" {
		out.Excluded = excluded
		return out
	}
	out.Metaverse, out.Anchor = mv, mv.first("sourceAnchor")
	tenant, excluded := evaluate(Outbound, out.Kind, fromAttributes(mv))
	if excluded != "" {
		out.Excluded = excluded
		return out
	}
	out.Desired = desired(out.Kind, tenant)
	return out
}

// desired makes the whole wanted state: every attribute that the kind's outbound rules write, empty when it has no value.
func desired(kind scoping.Kind, tenant attributes) map[string]engine.Value {
	out := map[string]engine.Value{}
	for _, r := range Outbound {
		if r.Kind != kind {
			continue
		}
		for _, f := range r.Flows {
			v := tenant[f.Target]
			if len(v) == 0 && optional[f.Target] {
				continue
			}
			out[f.Target] = engine.Value{Text: slices.Clone(v)}
		}
	}
	return out
}

// referencesOf gives the whole wanted sets of references of a kind that has any.
func referencesOf(e directory.Entry, name func(scoping.GUID) scoping.ObjectID) map[string]engine.Refs {
	attribute, tenantName := "manager", "manager"
	switch e.Kind() {
	case scoping.User, scoping.Contact:
	case scoping.Group:
		attribute, tenantName = "member", "members"
	default:
		return nil
	}
	refs := engine.Refs{Whole: true}
	for _, t := range e.Links[attribute].Targets {
		refs.Targets = append(refs.Targets, name(t.GUID))
	}
	return map[string]engine.Refs{tenantName: refs}
}

// extensionsOf gives the extensions of a user that are asked for, empty where it has none.
func extensionsOf(e directory.Entry, names []string) map[string]engine.Value {
	out := make(map[string]engine.Value, len(names))
	for n, v := range expression.Extensions(names, e.Text) {
		out[n] = engine.Value{Text: one(v)}
	}
	return out
}

// step is one line of a trace.
type step struct {
	Step   string         `json:"step"` // import, scope, join, transform, proposal
	Detail map[string]any `json:"detail"`
}

func texts(attrs map[string][][]byte) map[string][]string {
	out := make(map[string][]string, len(attrs))
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		for _, v := range attrs[name] {
			out[name] = append(out[name], printable(v))
		}
	}
	return out
}

// printable shows text as it is and everything else quoted.
func printable(v []byte) string {
	if s := strconv.Quote(string(v)); len(s) != len(v)+2 {
		return s
	}
	return string(v)
}
