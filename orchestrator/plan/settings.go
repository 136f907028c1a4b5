package plan

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Settings is what a plan's policy changes without handing anything over: defaults, the file of matches, names, what happens to leavers. Applying the
// plan puts it in force in one transaction.
type Settings struct {
	Changes  []scoping.Change  `json:"changes"`
	Defaults *DefaultsChange   `json:"defaults,omitempty"` // nil: unchanged
	Matches  *[]scoping.Match  `json:"matches,omitempty"`  // nil: unchanged
	Files    *MatchFilesChange `json:"files,omitempty"`    // nil: the name is unchanged
	Effects  []Effect          `json:"effects,omitempty"`  // by scope, the effect of attributes becoming managed or unmanaged
}

// DefaultsChange is the policy's defaults before and after.
type DefaultsChange struct {
	From scoping.Defaults `json:"from"`
	To   scoping.Defaults `json:"to"`
}

// MatchFilesChange is the name of the policy's file of matches before and after; empty: none.
type MatchFilesChange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// settingsOf compares a policy with the one in force. It returns the partition from which hand-overs lead to the policy, and the settings to put in
// force with it, or nil.
func (r *Planner) settingsOf(cur, target *scoping.Partition, matches []scoping.Match) (*scoping.Partition, *Settings) {
	next, changes := cur.Restate(target)
	s := &Settings{Changes: changes}
	if is, was := spelledOut(target.Defaults()), spelledOut(cur.Defaults()); !is.Equal(was) {
		s.Defaults = &DefaultsChange{From: was, To: is}
	}
	if cur.Matches() != target.Matches() {
		s.Files = &MatchFilesChange{From: cur.Matches(), To: target.Matches()}
	}
	if was := r.o.Gate.Matches(); !slices.Equal(was, matches) {
		s.Matches = &matches
		s.Changes = append(s.Changes, scoping.Change{What: "matches: objects", From: fmt.Sprint(len(was)), To: fmt.Sprint(len(matches)) + different(was, matches)})
	}
	if len(s.Changes) == 0 {
		return cur, nil
	}
	return next, s
}

// different describes how many of the new matches the old ones do not have.
func different(was, is []scoping.Match) string {
	n := 0
	for _, m := range is {
		if !slices.Contains(was, m) {
			n++
		}
	}
	return fmt.Sprintf(", %d of them new", n)
}

// spelledOut returns defaults with omitted values set to their usual ones.
func spelledOut(d scoping.Defaults) scoping.Defaults {
	d.Members, d.Conflicts = d.MembersRule(), d.ConflictsRule()
	return d
}
