package ledger

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// NestedGroup is a group of the tenant that is a member of a group which a policy names, directly or through others, and has members itself. It is
// kept so that its end is noticed: the tenant takes a deleted group out of all groups, and does not say of a member that it left since its group was
// deleted.
type NestedGroup struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
	// Out is when (Unix ms) it was first seen to be no member any more although the tenant still showed it, which may be the first sign of its
	// delete; 0: it is a member.
	Out int64 `json:"out,omitempty"`
}

// NestedIn are all nested groups of one group, ordered by id.
type NestedIn struct {
	Group  string        `json:"group"` // the id of the group that the policy names
	Groups []NestedGroup `json:"groups"`
	Gone   []string      `json:"gone,omitempty"` // ids of those that a person answered are gone: the answers are used up
}

func (s *State) foldNested(r Record) error {
	if r.Nested == nil {
		return fmt.Errorf("no nested groups in it")
	}
	if s.Nested == nil {
		s.Nested = map[string][]NestedGroup{}
	}
	if s.Nested[r.Nested.Group] = slices.Clone(r.Nested.Groups); len(r.Nested.Groups) == 0 {
		delete(s.Nested, r.Nested.Group)
	}
	for _, id := range r.Nested.Gone {
		if o, err := scoping.Cloud(id); err == nil {
			s.spend("", Key{o, scoping.UserProvisioning}, GoneGroup(r.Nested.Group, id).Digest())
		}
	}
	return nil
}

// GoneGroup is the question to a person whether the users leave who were brought through a nested group that was deleted or emptied.
func GoneGroup(group, nested string) Grave {
	return Grave{Op: "group-gone", Target: nested, End: group}
}
