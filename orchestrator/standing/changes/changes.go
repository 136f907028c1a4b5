// Package changes lets a memory report what changed in it since its reader last asked. The memory notes keys in the one function that every change
// goes through, and the reader compares those keys, so that no event has to be interpreted (standing S3).
package changes

// most is how many keys are noted singly; with more, looking at everything costs no more.
const most = 1 << 14

// Set is the set of changed keys of a memory. Its zero value is empty. The memory's own lock guards it.
type Set[K comparable] struct {
	keys map[K]struct{}
	all  bool
}

// Note notes that a key may have changed.
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

// NoteAll notes that any key may have changed.
func (s *Set[K]) NoteAll() { s.keys, s.all = nil, true }

// Take returns what was noted since its last call, and empties the set. The keys are the caller's; all means any key may have changed.
func (s *Set[K]) Take() (keys map[K]struct{}, all bool) {
	keys, all = s.keys, s.all
	if *s = (Set[K]{}); keys == nil {
		keys = map[K]struct{}{}
	}
	return keys, all
}
