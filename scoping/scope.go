package scoping

import "slices"

// Place is where an object is: its directory and the objectGUIDs of its ancestors, the parent first and the naming
// context's root last. It is compared by identity, so renamed or moved OUs keep their owners ("pinned OUs").
type Place struct {
	Directory string
	Ancestors []GUID
}

// Scope is a region of a directory: everything under one OU except what lies under some others, for some features. All
// OUs are pinned by objectGUID.
type Scope struct {
	Directory string    `json:"directory"`
	Under     GUID      `json:"under"`
	Except    []GUID    `json:"except,omitempty"`
	Selector  string    `json:"selector,omitempty"` // empty: a plain subtree
	Features  []Feature `json:"features"`

	// Kinds narrows References to objects of these kinds. When it is empty, References beside base features means the
	// references of the kinds of these, and References alone those of every kind. See [Scope.Writes].
	Kinds []Kind `json:"kinds,omitempty"`
}

// Covers says whether an object at p lies in the scope: on the way up from p, Under comes before any of Except. It does
// not look at features or at the selector.
func (s Scope) Covers(p Place) bool {
	if p.Directory != s.Directory {
		return false
	}
	for _, a := range p.Ancestors {
		if a == s.Under {
			return true
		}
		if slices.Contains(s.Except, a) {
			return false
		}
	}
	return false
}

// Writes says whether the scope holds feature f of objects of kind k.
func (s Scope) Writes(k Kind, f Feature) bool {
	i, ok := fieldOf(k, f)
	if !ok {
		return s.Has(f)
	}
	return fieldsOf(s.Features, s.Kinds).has(i)
}

// Has says whether f is one of the scope's features.
func (s Scope) Has(f Feature) bool { return slices.Contains(s.Features, f) }

// Transfer is the durable record of one hand-over (rule L1): one is written by each cutover and each rollback, and is kept
// for ever. It moves the ownership of record of all objects that its scope covers without touching their rows.
type Transfer struct {
	Scope Scope  `json:"scope"`
	From  string `json:"from"`
	To    string `json:"to"`
	At    Epoch  `json:"at"`
}
