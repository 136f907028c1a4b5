package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// HoldState is what became of a held set.
type HoldState string

// The states of a held set. Approval lifts the hold only: each write is decided anew when it is sent.
const (
	HoldOpen     HoldState = "open"
	HoldApproved HoldState = "approved"
	HoldRejected HoldState = "rejected"
)

// HeldEntry is one write of a held set.
type HeldEntry struct {
	Object  scoping.ObjectID `json:"object"`
	Feature scoping.Feature  `json:"feature"`
	Op      string           `json:"op"`
	Name    string           `json:"name,omitempty"`
	Detail  string           `json:"detail,omitempty"`
	Spent   bool             `json:"spent,omitempty"` // it was approved and written: the approval is of one write, not of all like it
}

// Hold is a set of writes that a threshold or a rule stopped, named by a hash of its sorted entries (rule D2).
type Hold struct {
	ID         string        `json:"id"`
	Engine     string        `json:"engine"`
	Assignment string        `json:"assignment,omitempty"`
	Class      Class         `json:"class"`
	Kind       scoping.Kind  `json:"kind,omitempty"`
	Limit      int           `json:"limit"`
	Why        string        `json:"why"`
	At         int64         `json:"at"`
	Epoch      scoping.Epoch `json:"epoch"`
	Entries    []HeldEntry   `json:"entries"`
	State      HoldState     `json:"state"`
	By         string        `json:"by,omitempty"`
	Reason     string        `json:"reason,omitempty"`
}

// Answer is a person's answer to a held set: approve, reject, or forget (a rejection).
type Answer struct {
	Hold string `json:"hold"`
	Verb string `json:"verb"`
}

// Name sorts the entries and sets ID.
func (h *Hold) Name() {
	slices.SortFunc(h.Entries, func(a, b HeldEntry) int {
		return cmp.Or(a.Object.Compare(b.Object), cmp.Compare(a.Feature, b.Feature), cmp.Compare(a.Op, b.Op))
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%s|%s|%s|%s\n", h.Engine, h.Assignment, h.Class, h.Kind)
	for _, e := range h.Entries {
		fmt.Fprintf(sum, "%s|%s|%s|%s\n", e.Object, e.Feature, e.Op, e.Detail)
	}
	h.ID = hex.EncodeToString(sum.Sum(nil))[:12]
}

// same says whether two holds are of the same kind, so that the newer replaces the older while that is open.
func (h *Hold) same(o *Hold) bool {
	return h.Engine == o.Engine && h.Assignment == o.Assignment && h.Class == o.Class && h.Kind == o.Kind
}

// Answered looks for an answered held set that holds this very write. Approved sets win over rejected ones.
func (s *State) Answered(o scoping.ObjectID, f scoping.Feature, op, detail string) (HoldState, string) {
	best, id := HoldOpen, ""
	for _, h := range s.SortedHolds() {
		if h.State == HoldOpen || best == HoldApproved {
			continue
		}
		for _, e := range h.Entries {
			if e.Object == o && e.Feature == f && e.Op == op && e.Detail == detail && !e.Spent {
				best, id = h.State, h.ID
			}
		}
	}
	return best, id
}

// DeleteHeld says whether the delete of an object waits in a held set: for an answer, or, approved, for its turn (rule J2).
func (s *State) DeleteHeld(o scoping.ObjectID) bool {
	for _, h := range s.Holds {
		if h.State == HoldRejected {
			continue
		}
		if slices.ContainsFunc(h.Entries, func(e HeldEntry) bool { return e.Object == o && e.Op == "delete" && !e.Spent }) {
			return true
		}
	}
	return false
}

// spend uses up the approvals of a write that was done.
func (s *State) spend(k Key) {
	for _, h := range s.Holds {
		if h.State != HoldApproved {
			continue
		}
		for i, e := range h.Entries {
			if e.Object == k.Object && e.Feature == k.Feature {
				h.Entries[i].Spent = true
			}
		}
	}
}

// spendOwner uses up the approvals of a change of owner that happened.
func (s *State) spendOwner(o scoping.ObjectID) {
	for _, h := range s.Holds {
		if h.State != HoldApproved || h.Class != OwnerChanges {
			continue
		}
		for i, e := range h.Entries {
			if e.Object == o {
				h.Entries[i].Spent = true
			}
		}
	}
}

// replaceable says that a newer set of the same name takes this one's place: it waits for an answer, or its approval is used up.
func (h *Hold) replaceable() bool {
	return h.State == HoldOpen || h.State == HoldApproved && slices.ContainsFunc(h.Entries, func(e HeldEntry) bool { return e.Spent })
}

// SortedHolds gives all held sets in order of their ids.
func (s *State) SortedHolds() []*Hold {
	out := make([]*Hold, 0, len(s.Holds))
	for _, h := range s.Holds {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *Hold) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}
