package scoping

import "iter"

// ByObject is a map by identities of objects for what is kept of every one: it has a directory's name once, so that a key takes half of the memory that it takes in a Go
// map, and the collector of garbage looks at no key. The zero value is empty. Like a Go map it is not safe for concurrent use, and may lose entries while it is
// ranged over.
type ByObject[V any] struct {
	of map[string]map[GUID]V
}

// Get returns the value of an object, and whether it has one.
func (m *ByObject[V]) Get(o ObjectID) (V, bool) {
	v, ok := m.of[o.Directory][o.GUID]
	return v, ok
}

// Put lets an object have a value.
func (m *ByObject[V]) Put(o ObjectID, v V) {
	in := m.of[o.Directory]
	if in == nil {
		if m.of == nil {
			m.of = map[string]map[GUID]V{}
		}
		in = map[GUID]V{}
		m.of[o.Directory] = in
	}
	in[o.GUID] = v
}

// Delete removes an object's value, if it has one.
func (m *ByObject[V]) Delete(o ObjectID) { delete(m.of[o.Directory], o.GUID) }

// Len counts the objects that have a value.
func (m *ByObject[V]) Len() (n int) {
	for _, in := range m.of {
		n += len(in)
	}
	return n
}

// All yields every object with its value, in no order.
func (m *ByObject[V]) All() iter.Seq2[ObjectID, V] {
	return func(yield func(ObjectID, V) bool) {
		for d, in := range m.of {
			for g, v := range in {
				if !yield(ObjectID{d, g}, v) {
					return
				}
			}
		}
	}
}
