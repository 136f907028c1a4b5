package api

import (
	"github.com/tandem-sync/tandem/scoping"
)

// Scope is a subtree with exceptions, by name. With and Without narrow it to objects that choices take.
type Scope struct {
	Directory string   `json:"directory"`
	Under     string   `json:"under"`
	Except    []string `json:"except"`
	With      []string `json:"with,omitempty"`    // only objects that all of these choices take, such as "members of CN=…"
	Without   []string `json:"without,omitempty"` // no objects that one of these takes
}

// scopesOf names the scopes of hand-overs, which carry the names of their containers.
func scopesOf(hs []scoping.HandOver) []Scope {
	out := make([]Scope, len(hs))
	for i, h := range hs {
		out[i] = scopeOf(h.Scope, namesOf(h.Pins), h.Choices)
	}
	return out
}

func scopeOf(s scoping.Scope, name func(scoping.GUID) string, choices []scoping.Choice) Scope {
	out := Scope{Directory: s.Directory, Under: name(s.Under), Except: []string{}}
	for _, g := range s.Except {
		out.Except = append(out.Except, name(g))
	}
	out.With, out.Without = chosen(s.With, choices), chosen(s.Without, choices)
	return out
}

// chosen returns the texts of choices; unknown ones keep their id.
func chosen(ids []scoping.GUID, choices []scoping.Choice) (out []string) {
	for _, id := range ids {
		name := id.String()
		for _, c := range choices {
			if c.ID == id {
				name = c.String()
			}
		}
		out = append(out, name)
	}
	return out
}

// namesOf returns a function for the names of pinned containers; unknown ones keep their id.
func namesOf(pins []scoping.Pin) func(scoping.GUID) string {
	m := map[scoping.GUID]string{}
	for _, p := range pins {
		m[p.GUID] = p.DN
	}
	return func(g scoping.GUID) string {
		if n, ok := m[g]; ok {
			return n
		}
		return g.String()
	}
}
