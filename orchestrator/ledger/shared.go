package ledger

import (
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// shared holds what many rows have in common, once and numbered: words such as engines' names, chains of containers, lists of attributes.
type shared struct {
	words  numbered[string]
	lists  numbered[[]string]
	chains numbered[[]scoping.GUID]
	key    []byte
	wide   map[scoping.ObjectID]*Links // large sets of links, by object; not to be changed
}

// numbered numbers values, equal ones alike.
type numbered[T any] struct {
	all []T
	of  map[string]uint32
}

// number returns the number of the value that a key names; made is called for a new one.
func (x *numbered[T]) number(key []byte, made func() T) uint32 {
	if n, known := x.of[string(key)]; known {
		return n
	}
	if x.of == nil {
		x.of = map[string]uint32{}
	}
	n := uint32(len(x.all))
	x.of[string(key)], x.all = n, append(x.all, made())
	return n
}

func (s *shared) wordOf(t string) uint32 {
	s.key = append(s.key[:0], t...)
	return s.words.number(s.key, func() string { return string(s.key) })
}

func (s *shared) listOf(l []string) uint32 {
	s.key = s.key[:0]
	if l != nil {
		s.key = append(s.key, '+')
	}
	for _, t := range l {
		s.key = append(append(s.key, t...), 0)
	}
	return s.lists.number(s.key, func() []string { return slices.Clone(l) })
}

func (s *shared) chainOf(c []scoping.GUID) uint32 {
	s.key = s.key[:0]
	if c != nil {
		s.key = append(s.key, '+')
	}
	for _, g := range c {
		s.key = append(s.key, g[:]...)
	}
	return s.chains.number(s.key, func() []scoping.GUID { return slices.Clone(c) })
}
