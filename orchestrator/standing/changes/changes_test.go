package changes_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
)

// Whoever takes what changed hears of every key that was noted since it took last: by name, or because it is told to look at all.
func TestNothingThatWasNotedIsLost(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s changes.Set[int]
		noted, all := map[int]bool{}, false
		t.Repeat(map[string]func(*rapid.T){
			"note": func(t *rapid.T) { k := rapid.IntRange(0, 50).Draw(t, "key"); s.Note(k); noted[k] = true },
			"all":  func(*rapid.T) { s.NoteAll(); all = true },
			"many": func(*rapid.T) {
				for k := range 1<<14 + 60 {
					s.Note(k)
				}
				all = true
			},
			"take": func(t *rapid.T) {
				keys, everything := s.Take()
				for k := range noted {
					if _, ok := keys[k]; !ok && !everything {
						t.Fatalf("%d was lost", k)
					}
				}
				if everything != all {
					t.Fatalf("all: %t, and %t was noted", everything, all)
				}
				for k := range keys {
					if !noted[k] {
						t.Fatalf("%d was not noted", k)
					}
				}
				noted, all = map[int]bool{}, false
			},
		})
	})
}
