package scoping

import (
	"cmp"
	"slices"
	"strings"
)

// Mistake is one thing wrong with a policy: where, what, and what to do instead.
type Mistake struct {
	Pos  Pos
	What string
	Hint string // may be empty

	Clash *Clash // of two assignments that may claim one object: who knows the directory can name one
}

// Clash is two choices of which it cannot be proved that nobody is taken by both.
type Clash struct{ First, Second Choice }

// Error gives "file:line:column: what (hint)".
func (m Mistake) Error() string {
	s := m.What
	if p := m.Pos.String(); p != "" {
		s = p + ": " + s
	}
	if m.Hint != "" {
		s += " (" + m.Hint + ")"
	}
	return s
}

// Mistakes is every mistake of a policy at once, in the order of the file.
type Mistakes []Mistake

// Error gives one line for each mistake.
func (m Mistakes) Error() string {
	lines := make([]string, len(m))
	for i, e := range m {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Unwrap gives the mistakes one by one to errors.Is and errors.As.
func (m Mistakes) Unwrap() []error {
	errs := make([]error, len(m))
	for i, e := range m {
		errs[i] = e
	}
	return errs
}

// Err gives the mistakes sorted by position, or nil if there are none.
func (m Mistakes) Err() error {
	if len(m) == 0 {
		return nil
	}
	slices.SortStableFunc(m, func(a, b Mistake) int {
		return cmp.Or(cmp.Compare(a.Pos.File, b.Pos.File), cmp.Compare(a.Pos.Line, b.Pos.Line),
			cmp.Compare(a.Pos.Column, b.Pos.Column))
	})
	return m
}

// Add notes a mistake.
func (m *Mistakes) Add(pos Pos, what, hint string) {
	*m = append(*m, Mistake{Pos: pos, What: what, Hint: hint})
}
