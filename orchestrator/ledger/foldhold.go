package ledger

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

func (s *State) foldHold(r Record) error {
	if r.Hold == nil {
		return fmt.Errorf("no held set in it")
	}
	s.Rows.touched.NoteAll() // it concerns the objects that it names, and those of the sets that it replaces
	h := *r.Hold
	h.Entries = slices.Clone(h.Entries) // the record itself stays unchanged
	for _, old := range s.SortedHolds() {
		if old.State != HoldOpen || !old.same(&h) {
			continue
		}
		if delete(s.Holds, old.ID); old.ID != h.ID {
			h.renamed(old)
		}
	}
	if old := s.Holds[h.ID]; len(h.Entries) > 0 && (old == nil || old.replaceable(&h, r.At)) { // without entries nothing of this kind is held any more
		s.Holds[h.ID] = &h
	}
	s.forgetHolds(r.At)
	s.indexHolds()
	return nil
}

// renamed keeps the former names of a set, so that an answer to one of them can refer to the set.
func (h *Hold) renamed(old *Hold) {
	h.Was = append(slices.Clone(old.Was), old.ID)
	h.Was = h.Was[max(0, len(h.Was)-maxWas):]
}

func (s *State) foldAnswer(seq uint64, r Record) error {
	if r.Answer == nil {
		return fmt.Errorf("no answer in it")
	}
	s.Rows.touched.NoteAll()
	h := s.Holds[r.Answer.Hold]
	if h == nil {
		return nil
	}
	h = s.shown(h, r.Answer.Unseen, r.At)
	h.By, h.Reason, h.AnsweredAt, h.AnsweredSeq = r.By, r.Reason, r.At, seq
	switch r.Answer.Verb {
	case "approve":
		h.State = HoldApproved
	case "reject":
		h.State = HoldRejected
	case "forget":
		delete(s.Holds, h.ID)
	}
	for _, e := range h.Entries {
		s.leave(Key{e.Object, e.Feature}, Unsettled{Since: r.At, Code: HeldAnswer + r.Answer.Verb, Seq: seq})
	}
	s.forgetHolds(r.At)
	s.indexHolds()
	return nil
}

// shown splits a set that a person answers into what was shown and what was not, and returns the former. The rest stays open: otherwise a write that
// did not wait when the person looked, because its object was deleted then, would count as approved once it waits again.
func (s *State) shown(h *Hold, unseen []HeldKey, at int64) *Hold {
	if len(unseen) == 0 {
		return h
	}
	out := map[HeldKey]bool{}
	for _, k := range unseen {
		out[k] = true
	}
	var seen, rest []HeldEntry
	for _, e := range h.Entries {
		if out[e.Key()] {
			rest = append(rest, e)
		} else {
			seen = append(seen, e)
		}
	}
	if len(rest) == 0 || len(seen) == 0 {
		return h
	}
	answered, open := h.Only(seen), h.Only(rest)
	open.Was = h.Was // the set's last name leads to what was answered
	delete(s.Holds, h.ID)
	if old := s.Holds[open.ID]; old == nil || old.replaceable(&open, at) {
		s.Holds[open.ID] = &open
	}
	s.Holds[answered.ID] = &answered
	return &answered
}

// void drops from an engine's held sets the writes about objects in a scope that it hands over (rule P7): the new owner is asked, and makes its own
// sets. Keys that counted as settled because they were rejected are owed again.
func (s *State) void(t scoping.Transfer, at int64, seq uint64) {
	changed := false
	for _, h := range s.SortedHolds() {
		if h.Engine == "" || h.Engine != t.From || h.State == HoldVoid {
			continue
		}
		var kept []HeldEntry
		for _, e := range h.Entries {
			if e.Spent || !s.lies(e, h.Kind, t.Scope) {
				kept = append(kept, e)
			} else if h.State == HoldRejected {
				s.leave(Key{e.Object, e.Feature}, Unsettled{Since: at, Code: HeldAnswer + "void", Reason: "rejected as a write of " + t.From, Seq: seq})
			}
		}
		if len(kept) == len(h.Entries) {
			continue
		}
		changed = true
		h.Voided += len(h.Entries) - len(kept)
		switch {
		case len(kept) == 0:
			h.State = HoldVoid // its entries stay, for display
		case h.State == HoldOpen:
			delete(s.Holds, h.ID)
			rest := h.Only(kept)
			s.Holds[rest.ID] = &rest
		default:
			h.Entries = kept
		}
	}
	if changed {
		s.indexHolds()
	}
}

// lies reports whether a held write is about an object in a scope. If its place is unknown it counts as inside.
func (s *State) lies(e HeldEntry, kind scoping.Kind, scope scoping.Scope) bool {
	if e.Kind != "" {
		kind = e.Kind
	}
	p := scoping.Place{Directory: e.Object.Directory, Ancestors: e.Chain, Chosen: e.Chosen}
	if row := s.Rows.Get(e.Object); len(e.Chain) == 0 && row != nil {
		if l := row.Features[scoping.Base(row.Kind)]; l != nil {
			p.Ancestors, p.Chosen = l.Chain, l.Chosen
		}
	}
	if len(p.Ancestors) == 0 {
		return e.Object.Directory == scope.Directory
	}
	return scope.Writes(kind, e.Feature) && scope.Covers(p)
}

// forgetHolds drops old sets that wait for no answer.
func (s *State) forgetHolds(at int64) {
	for _, h := range s.SortedHolds() {
		if h.Over(at) && max(h.At, h.AnsweredAt) < at-holdMemory.Milliseconds() {
			delete(s.Holds, h.ID)
		}
	}
}
