package ledger

import (
	"math"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/scoping"
)

// Part is a part of a proposal that could not be written, set apart so that the rest is: an attribute, the other end of a reference, or the whole
// write.
type Part struct {
	What   string `json:"what,omitempty"` // the attribute's name, the end's cloud id, "" for the whole
	Want   string `json:"want,omitempty"` // digest of the wanted value: another value is tried at once
	Code   string `json:"code"`
	Reason string `json:"reason,omitempty"`
	Holder string `json:"holder,omitempty"` // the tenant object that has the value
}

// Same reports whether two parts are the same attribute, end or write, with the same value.
func (p Part) Same(o Part) bool { return p.What == o.What && p.Want == o.Want }

// Pair is a change by digests: the wanted values, and the differing ones that the tenant had.
type Pair struct {
	Want  string `json:"want"`
	Have  string `json:"have"`
	Fresh bool   `json:"fresh,omitempty"` // a person asked for it: counting begins anew
}

// Written counts the writes of one pair.
type Written struct {
	Have string  `json:"have"`
	At   []int64 `json:"at"` // Unix ms
}

// Trouble is what is remembered of a key whose writes are refused or do not last (rule S10). Comparison never yields it.
type Trouble struct {
	Parts []Part `json:"parts,omitempty"` // the last refusals
	Count int    `json:"count,omitempty"` // attempts with the same refusal
	First int64  `json:"first,omitempty"` // Unix ms
	Last  int64  `json:"last,omitempty"`
	Next  int64  `json:"next,omitempty"` // not tried again before, unless it changes or a person asks

	Want    string    `json:"want,omitempty"`    // digest of what was written
	Written []Written `json:"written,omitempty"` // by overwritten values, when, within [Window]
	NotKept []string  `json:"notKept,omitempty"` // overwritten values that it is not written over any more, because the tenant has them back each time
}

// MaxWrites is how often the same value is written over the same other value within [Window] before it counts as not kept by the tenant.
const MaxWrites = 3

// maxHaves bounds how many overwritten values are remembered for one key.
const maxHaves = 4

// The pauses after refusals. The first two attempts have none: what a run just made may need a moment to show.
const (
	freeAttempts = 2
	firstPause   = 5 * time.Minute
	longestPause = 6 * time.Hour
)

func pauseAfter(count int) time.Duration {
	if count <= freeAttempts {
		return 0
	}
	p := firstPause
	for range count - freeAttempts - 1 {
		if p *= 4; p >= longestPause {
			return longestPause
		}
	}
	return p
}

// Waits reports whether a part was refused and its pause is not over, and returns the refusal.
func (t *Trouble) Waits(p Part, now int64) (Part, bool) {
	if t == nil || t.Next <= now {
		return Part{}, false
	}
	return t.Refused(p)
}

// Refused returns the last refusal of a part.
func (t *Trouble) Refused(p Part) (Part, bool) {
	if t == nil {
		return Part{}, false
	}
	if i := slices.IndexFunc(t.Parts, p.Same); i >= 0 {
		return t.Parts[i], true
	}
	return Part{}, false
}

// Lost reports whether writing a pair has not lasted, so that it is not written any more.
func (t *Trouble) Lost(p Pair, now int64) bool {
	if t == nil || t.Want != p.Want {
		return false
	}
	if slices.Contains(t.NotKept, p.Have) {
		return true
	}
	for _, w := range t.Written {
		if w.Have == p.Have {
			return len(within(w.At, now)) >= MaxWrites
		}
	}
	return false
}

func within(at []int64, now int64) []int64 {
	return slices.DeleteFunc(slices.Clone(at), func(x int64) bool { return x <= now-Window.Milliseconds() })
}

// refused notes that parts were tried and refused.
func (t *Trouble) refused(at int64, parts []Part) {
	if !slices.ContainsFunc(parts, func(p Part) bool { return slices.ContainsFunc(t.Parts, p.Same) }) {
		t.Count, t.First = 0, at
	}
	t.Parts, t.Last = slices.Clone(parts), at
	t.Count++
	t.Next = 0
	if p := pauseAfter(t.Count); p > 0 {
		t.Next = at + p.Milliseconds()
	}
}

// wrote counts a write.
func (t *Trouble) wrote(at int64, p Pair) {
	if t.Want != p.Want || p.Fresh {
		t.Want, t.Written, t.NotKept = p.Want, nil, nil
	}
	i := slices.IndexFunc(t.Written, func(w Written) bool { return w.Have == p.Have })
	if i < 0 {
		if len(t.Written) == maxHaves {
			t.Written = slices.Delete(slices.Clone(t.Written), 0, 1)
		}
		t.Written = append(t.Written, Written{Have: p.Have})
		i = len(t.Written) - 1
	}
	t.Written[i].At = append(within(t.Written[i].At, at), at)
}

// lost notes that a pair is not written any more.
func (t *Trouble) lost(p Pair) {
	if t.Want != p.Want {
		t.Want, t.Written, t.NotKept = p.Want, nil, nil
	}
	if !slices.Contains(t.NotKept, p.Have) {
		t.NotKept = append(t.NotKept, p.Have)
	}
}

// ends returns the time after which nothing of it is worth remembering, if nothing else happens.
func (t *Trouble) ends() int64 {
	if len(t.Parts) > 0 || len(t.NotKept) > 0 {
		return math.MaxInt64
	}
	end := int64(math.MinInt64)
	for _, w := range t.Written {
		for _, at := range w.At {
			end = max(end, at+Window.Milliseconds())
		}
	}
	return end
}

// TroubleOf returns what is remembered of a key, or nil. Changing the result has no effect.
func (s *State) TroubleOf(k Key) *Trouble {
	return s.Troubles.one(k.Object, k.Feature)
}

// Unkept returns the digest of the values that are not written any more for a key because they do not last; "" if there are none.
func (s *State) Unkept(k Key) string {
	if !s.Troubles.kept(k.Object).lost {
		return ""
	}
	if t := s.TroubleOf(k); t != nil && len(t.NotKept) > 0 {
		return t.Want
	}
	return ""
}

// trouble calls f to change what is remembered of a key.
func (s *State) trouble(k Key, f func(*Trouble)) {
	fs := s.Troubles.get(k.Object)
	if fs == nil {
		fs = map[scoping.Feature]*Trouble{}
	}
	if fs[k.Feature] == nil {
		fs[k.Feature] = &Trouble{}
	}
	f(fs[k.Feature])
	s.Troubles.put(k.Object, fs)
}

// troubled folds a decision's parts and pair.
func (s *State) troubled(k Key, r Record) {
	switch {
	case len(r.Parts) > 0:
		s.trouble(k, func(t *Trouble) { t.refused(r.At, r.Parts) })
	case r.Pair != nil:
		s.trouble(k, func(t *Trouble) { t.lost(*r.Pair) })
	}
	if s.TroubleOf(k) != nil && r.Closed {
		s.trouble(k, func(t *Trouble) { t.Parts, t.Count, t.First, t.Last, t.Next = nil, 0, 0, 0, 0 })
		s.Troubles.forget(k.Object, r.At)
	}
}

// InTrouble returns the keys with troubles, in order.
func (s *State) InTrouble() []Key {
	var out []Key
	for o, fs := range s.Troubles.all {
		for f := range fs {
			out = append(out, Key{o, f})
		}
	}
	slices.SortFunc(out, Key.Compare)
	return out
}
