package scoping

import "slices"

// Place is where an object is: its directory and the objectGUIDs of its ancestors, the parent first and the naming
// context's root last. It is compared by identity, so renamed or moved OUs keep their owners ("pinned OUs").
type Place struct {
	Directory string
	Ancestors []GUID
	Chosen    []GUID // the choices that take the object, of those that the partition has; see [Partition.Choices]
}

// Scope is a region of a directory: everything under one OU except what lies under some others, for some features. All
// OUs are pinned by objectGUID.
type Scope struct {
	Directory string    `json:"directory"`
	Under     GUID      `json:"under"`
	Except    []GUID    `json:"except,omitempty"`
	Features  []Feature `json:"features"`

	// Kinds narrows References, and other features that follow a base feature, to objects of these kinds. When it is empty,
	// such a feature beside base features means those of the kinds of these, and alone those of every kind. See [Scope.Writes].
	Kinds []Kind `json:"kinds,omitempty"`

	// With and Without narrow the scope to objects that all of these choices take, and none of those. Engines never see them:
	// what they are granted and asked for are whole subtrees (see [Partition.Reach]), and the gate sorts out whose is whose.
	With    []GUID `json:"with,omitempty"`
	Without []GUID `json:"without,omitempty"`

	// Selector is kept for engines of others, and always empty.
	Selector string `json:"selector,omitempty"`
}

// Covers says whether an object at p lies in the scope: on the way up from p, Under comes before any of Except, and its
// choices are as the scope wants. It does not look at features.
func (s Scope) Covers(p Place) bool {
	return s.Spans(p) && (len(s.With) == 0 && len(s.Without) == 0 || (&clause{with: s.With, without: s.Without}).holds(p.Chosen))
}

// Chooses reports whether the scope is about some objects of its subtree only: those that choices take, or do not take.
func (s Scope) Chooses() bool { return len(s.With)+len(s.Without) > 0 }

// Whole gives the scope without regard to choices: the subtree in which its objects lie.
func (s Scope) Whole() Scope {
	s.With, s.Without = nil, nil
	return s
}

// Spans is Covers without regard to choices.
func (s Scope) Spans(p Place) bool {
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
