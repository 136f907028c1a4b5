// Package changes lets a memory say what changed in it since its reader asked last. The memory notes in the one function that every change goes through, and its
// reader compares what was noted: nobody has to conclude from an event what follows from it (standing S3).
package changes

// most is how many keys are noted singly: whoever changes more is looked through from end to end, which takes no longer.
const most = 1 << 14

// Set holds what changed of a memory. Its zero value says that nothing did. It is guarded as the memory is that it belongs to.
type Set[K comparable] struct {
	keys map[K]struct{}
	all  bool
}

// Note says that what is known of a key may be other than it was.
func (s *Set[K]) Note(k K) {
	switch {
	case s.all:
	case len(s.keys) >= most:
		s.NoteAll()
	case s.keys == nil:
		s.keys = map[K]struct{}{k: {}}
	default:
		s.keys[k] = struct{}{}
	}
}

// NoteAll says that what is known of any key may be other than it was.
func (s *Set[K]) NoteAll() { s.keys, s.all = nil, true }

// Take returns what was noted since it was called last: all of it, or these keys. They are the caller's.
func (s *Set[K]) Take() (keys map[K]struct{}, all bool) {
	keys, all = s.keys, s.all
	if *s = (Set[K]{}); keys == nil {
		keys = map[K]struct{}{}
	}
	return keys, all
}
