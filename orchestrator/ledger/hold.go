package ledger

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// HoldState is the state of a held set.
type HoldState string

// The states of a held set. Approval only lifts the hold: each write is decided again when it is sent. Expired and done are never stored: they follow
// from the approval, its use, and the time.
const (
	HoldOpen     HoldState = "open"
	HoldApproved HoldState = "approved"
	HoldRejected HoldState = "rejected"
	HoldExpired  HoldState = "expired" // approved, and not used up in time
	HoldDone     HoldState = "done"    // approved, and all of it was written
	HoldVoid     HoldState = "void"    // its objects changed hands before it was used up
)

// Times of answers.
const (
	ApprovalLife = 24 * time.Hour      // an approval that is not used up by then expires
	clockSlack   = 5 * time.Minute     // how far the clock may step back before an approval counts as expired
	holdMemory   = 30 * 24 * time.Hour // how long sets are listed that wait for no answer
	maxWas       = 20                  // number of former names that are kept
)

// Change is what a grave write does to one attribute of the tenant's object: its values before and after.
type Change struct {
	Attribute string   `json:"attribute"`
	Old       []string `json:"old"`
	New       []string `json:"new"`
}

// Grave is the part of a write that a person answers for (standing S9): the operation on a tenant object, the attributes that it puts at risk, and,
// for a removed membership or manager, the other end. An answer is about exactly this.
type Grave struct {
	Op      string   `json:"op"`
	Target  string   `json:"target,omitempty"` // the tenant object; empty if it is to be created
	End     string   `json:"end,omitempty"`    // the tenant object at the other end of a removed reference
	Changes []Change `json:"changes,omitempty"`
	Detail  string   `json:"detail,omitempty"` // the reason, where another reason would be another question
}

// Digest identifies the grave part: different parts have different digests.
func (g Grave) Digest() string {
	sum := sha256.New()
	fmt.Fprintf(sum, "%q %q %q %q\n", g.Op, g.Target, g.End, g.Detail)
	for _, c := range g.Changes {
		fmt.Fprintf(sum, "%q %q %q\n", c.Attribute, c.Old, c.New)
	}
	return hex.EncodeToString(sum.Sum(nil)[:12])
}

// HeldEntry is one write of a held set: a group that loses several members has several.
type HeldEntry struct {
	Object  scoping.ObjectID `json:"object"`
	Kind    scoping.Kind     `json:"kind,omitempty"`
	Feature scoping.Feature  `json:"feature"`
	Grave
	Name    string         `json:"name,omitempty"`
	EndName string         `json:"endName,omitempty"`
	Note    string         `json:"note,omitempty"`   // what a person should know of this write beside its values
	Chain   []scoping.GUID `json:"chain,omitempty"`  // the object's ancestors, for transfers
	Chosen  []scoping.GUID `json:"chosen,omitempty"` // the choices that took it
	Spent   bool           `json:"spent,omitempty"`  // approved and written: an approval is used once
}

// Hold is a set of writes that wait for a person, named by a hash of its sorted entries (rule D2). It is bound to the engine and the epoch in which
// it was made: a transfer of its objects voids it (rule P7).
type Hold struct {
	ID          string        `json:"id"`
	Engine      string        `json:"engine"`
	Assignment  string        `json:"assignment,omitempty"`
	Class       Class         `json:"class"`
	Kind        scoping.Kind  `json:"kind,omitempty"`
	Limit       int           `json:"limit"`
	Why         string        `json:"why"`
	At          int64         `json:"at"`
	Epoch       scoping.Epoch `json:"epoch"`
	Entries     []HeldEntry   `json:"entries"`
	State       HoldState     `json:"state"`
	By          string        `json:"by,omitempty"`
	Reason      string        `json:"reason,omitempty"`
	AnsweredAt  int64         `json:"answeredAt,omitempty"`  // Unix ms
	AnsweredSeq uint64        `json:"answeredSeq,omitempty"` // the answer's record: of two answers about one write the later counts
	Was         []string      `json:"was,omitempty"`         // names that it had with other entries, the latest last
	Voided      int           `json:"voided,omitempty"`      // number of entries that changed hands
}

// Answer is a person's answer to a held set: approve, reject, or forget (an answer).
type Answer struct {
	Hold   string    `json:"hold"`
	Verb   string    `json:"verb"`
	Unseen []HeldKey `json:"unseen,omitempty"` // entries that the person was not shown, because they did not wait then: the answer is not about them
}

// HeldKey identifies an entry of a held set.
type HeldKey struct {
	Object  scoping.ObjectID `json:"object"`
	Feature scoping.Feature  `json:"feature"`
	Grave   string           `json:"grave"` // the digest
}

// Key identifies the entry.
func (e *HeldEntry) Key() HeldKey { return HeldKey{e.Object, e.Feature, e.Digest()} }

// Name sorts the entries and sets ID.
func (h *Hold) Name() {
	slices.SortFunc(h.Entries, func(a, b HeldEntry) int {
		return cmp.Or(a.Object.Compare(b.Object), cmp.Compare(a.Feature, b.Feature), cmp.Compare(a.Op, b.Op), cmp.Compare(a.End, b.End), cmp.Compare(a.Digest(), b.Digest()))
	})
	sum := sha256.New()
	fmt.Fprintf(sum, "%s|%s|%s|%s\n", h.Engine, h.Assignment, h.Class, h.Kind)
	for _, e := range h.Entries {
		fmt.Fprintf(sum, "%s|%s|%s\n", e.Object, e.Feature, e.Digest())
	}
	h.ID = hex.EncodeToString(sum.Sum(nil))[:12]
}

// Only returns the set with some of its entries, and the name that follows from them.
func (h *Hold) Only(entries []HeldEntry) Hold {
	out := *h
	out.Entries = entries
	out.Name()
	out.renamed(h)
	return out
}

// Now returns the set's state at a time (Unix ms).
func (h *Hold) Now(now int64) HoldState {
	switch {
	case h.State != HoldApproved:
		return h.State
	case !slices.ContainsFunc(h.Entries, func(e HeldEntry) bool { return !e.Spent }):
		return HoldDone
	case !h.fresh(now):
		return HoldExpired
	}
	return HoldApproved
}

// Over reports whether nothing that a person said about the set counts any more at a time (Unix ms): who is owed the same is asked again.
func (h *Hold) Over(now int64) bool {
	s := h.Now(now)
	return s == HoldDone || s == HoldExpired || s == HoldVoid
}

// fresh reports whether an approval still counts. After a large step back of the clock its age is unknown, so it does not.
func (h *Hold) fresh(now int64) bool {
	age := time.Duration(now-h.AnsweredAt) * time.Millisecond
	return age < ApprovalLife && age > -clockSlack
}

// same reports whether two sets are of the same kind, so that the newer replaces the older while that is open.
func (h *Hold) same(o *Hold) bool {
	return h.Engine == o.Engine && h.Assignment == o.Assignment && h.Class == o.Class && h.Kind == o.Kind
}

// replaceable reports whether newer, of the same name, may take this one's place: there is no answer that still counts. An answer that came while the
// engine's run went on does count.
func (h *Hold) replaceable(newer *Hold, at int64) bool {
	switch h.Now(at) {
	case HoldRejected:
		return newer.Epoch.Compare(h.Epoch) > 0
	case HoldApproved:
		return slices.ContainsFunc(h.Entries, func(e HeldEntry) bool { return e.Spent }) || newer.Epoch.Compare(h.Epoch) > 0
	}
	return true
}

// Question asks how a person answered one grave write.
type Question struct {
	Engine  string // the proposer; empty for changes of owners
	Object  scoping.ObjectID
	Feature scoping.Feature
	Grave   Grave
	Since   scoping.Epoch // when the object's region last changed hands: older answers were about another engine's write
}

// Answered returns how a person answered a write, as of now (Unix ms), and in which set; HoldOpen if no answer still counts. The latest of several
// answers counts.
func (s *State) Answered(q Question, now int64) (HoldState, string) {
	var last *Hold
	digest := ""
	for _, id := range s.held[q.Object] {
		h := s.Holds[id]
		if (h.State != HoldApproved && h.State != HoldRejected) || h.Engine != q.Engine || h.Epoch.Compare(q.Since) < 0 || (last != nil && last.AnsweredSeq >= h.AnsweredSeq) {
			continue
		}
		if digest == "" {
			digest = q.Grave.Digest()
		}
		if slices.ContainsFunc(h.Entries, func(e HeldEntry) bool {
			return !e.Spent && e.Object == q.Object && e.Feature == q.Feature && e.Digest() == digest
		}) {
			last = h
		}
	}
	if last == nil || last.Now(now) == HoldExpired {
		return HoldOpen, ""
	}
	return last.State, last.ID
}

// DeleteHeld reports whether the delete of an object waits in a held set: for an answer, or, approved, to be sent (rule J2).
func (s *State) DeleteHeld(o scoping.ObjectID) bool {
	return s.heldAs(o, "delete", HoldOpen, HoldApproved)
}

// DeleteAsked reports whether a person was asked about the delete of an object, whatever the answer, and it is not done.
func (s *State) DeleteAsked(o scoping.ObjectID) bool {
	return s.heldAs(o, "delete", HoldOpen, HoldApproved, HoldRejected)
}

// CreateRejected reports whether a person rejected the object's create.
func (s *State) CreateRejected(o scoping.ObjectID) bool { return s.heldAs(o, "create", HoldRejected) }

func (s *State) heldAs(o scoping.ObjectID, op string, states ...HoldState) bool {
	return slices.ContainsFunc(s.held[o], func(id string) bool {
		h := s.Holds[id]
		return slices.Contains(states, h.State) && slices.ContainsFunc(h.Entries, func(e HeldEntry) bool { return e.Object == o && e.Op == op && !e.Spent })
	})
}

// indexHolds rebuilds the index of sets by object. It is called whenever sets or their entries change.
func (s *State) indexHolds() {
	s.held = map[scoping.ObjectID][]string{}
	for _, h := range s.SortedHolds() {
		for _, e := range h.Entries {
			if ids := s.held[e.Object]; len(ids) == 0 || ids[len(ids)-1] != h.ID {
				s.held[e.Object] = append(ids, h.ID)
			}
		}
	}
}

// spend uses up the approvals of a feature of an object: of one write, or of all with an empty digest. An empty engine means any.
func (s *State) spend(engineName string, k Key, digest string) {
	for _, id := range s.held[k.Object] {
		h := s.Holds[id]
		if h.State != HoldApproved || h.Class == OwnerChanges || (engineName != "" && h.Engine != engineName) {
			continue
		}
		for i, e := range h.Entries {
			if e.Object == k.Object && e.Feature == k.Feature && (digest == "" || e.Digest() == digest) {
				h.Entries[i].Spent = true
			}
		}
	}
}

// spendOwner uses up the approvals of a change of owner that happened.
func (s *State) spendOwner(o scoping.ObjectID) {
	for _, id := range s.held[o] {
		h := s.Holds[id]
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

// SortedHolds returns all held sets, the oldest first.
func (s *State) SortedHolds() []*Hold {
	out := make([]*Hold, 0, len(s.Holds))
	for _, h := range s.Holds {
		out = append(out, h)
	}
	slices.SortFunc(out, func(a, b *Hold) int { return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}
