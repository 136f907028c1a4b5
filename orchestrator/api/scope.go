package api

import (
	"github.com/tandem-sync/tandem/scoping"
)

// Scope is a subtree with exceptions, by name.
type Scope struct {
	Directory string   `json:"directory"`
	Under     string   `json:"under"`
	Except    []string `json:"except"`
}

// scopesOf names the scopes of hand-overs: each carries the names of its containers.
func scopesOf(hs []scoping.HandOver) []Scope {
	out := make([]Scope, len(hs))
	for i, h := range hs {
		out[i] = scopeOf(h.Scope, namesOf(h.Pins))
	}
	return out
}

func scopeOf(s scoping.Scope, name func(scoping.GUID) string) Scope {
	out := Scope{Directory: s.Directory, Under: name(s.Under), Except: []string{}}
	for _, g := range s.Except {
		out.Except = append(out.Except, name(g))
	}
	return out
}

// namesOf gives the names of pinned containers; one that is not among them keeps its number.
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
