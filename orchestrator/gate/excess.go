package gate

import (
	"fmt"
	"hash/maphash"
	"strings"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Limits of what one run may make the host remember. They follow from what a directory may hold, never from what an engine says: a faulty or hostile
// engine could otherwise fill memory and journal with objects that do not exist, or with one object proposed again and again. No working engine comes
// near them.
const (
	maxTimes     = 64       // proposals of one object in one run: each feature once, and once more for each repeated question of the host
	maxUnseen    = 1000     // objects in one run that neither directory nor ledger knows; the directory is asked for each
	maxRefusals  = 256      // refusals of one run that the journal names; the others are counted
	maxName      = 1024     // bytes of a name or a reason; longer ones are cut
	maxDirectory = 256      // bytes of a directory's name
	maxValue     = 4 << 10  // bytes of one value: Graph's longest writable string attribute takes 1,024 characters
	maxValues    = 64 << 10 // bytes of all values of one proposal
	maxKeptRefs  = 1 << 20  // references in proposals that wait for the end of the run; those beyond wait for the next run
)

// excess is what one session counts to enforce its limits.
type excess struct {
	times    map[uint64]uint8 // by the hash of an object: objects with the same hash share a limit, which is far above what they need
	seed     maphash.Seed
	unseen   int // objects among times that neither directory nor ledger knows
	refusals int // in the journal
	dropped  int // answers without a record
	refs     int // kept in proposals that wait
}

// refuse answers a proposal that is over a limit; such answers are only counted. It shortens name and reason of all others.
func (s *Session) refuse(p *engine.Proposal) (engine.Decision, bool) {
	p.Name, p.Reason = shorten(p.Name), shorten(p.Reason)
	code, reason := s.over(*p)
	if code == "" {
		return engine.Decision{}, false
	}
	s.excess.dropped++
	return engine.Decision{Seq: p.Seq, Outcome: engine.Refused, Code: string(code), Reason: reason}, true
}

func (s *Session) over(p engine.Proposal) (code Code, reason string) {
	if len(p.Object.Directory) > maxDirectory {
		return CodeTooLarge, fmt.Sprintf("the directory's name has %d bytes; at most %d are taken", len(p.Object.Directory), maxDirectory)
	}
	if what, n, limit := size(p); n > limit {
		return CodeTooLarge, fmt.Sprintf("%s has %d bytes; at most %d are taken", what, n, limit)
	}
	h := maphash.Comparable(s.excess.seed, p.Object)
	n, heard := s.excess.times[h]
	if n >= maxTimes {
		return CodeRepeated, fmt.Sprintf("the run proposed this object %d times already", n)
	}
	if !heard && !s.knows(p.Object) {
		if s.excess.unseen >= maxUnseen {
			return CodeNotSeen, fmt.Sprintf("the run proposed %d objects already that the host does not see in the directory", s.excess.unseen)
		}
		s.excess.unseen++
	}
	s.excess.times[h] = n + 1
	return "", ""
}

// knows reports whether an object is known to ledger or census, and not by the engine's word alone.
func (s *Session) knows(o scoping.ObjectID) bool {
	s.g.mu.Lock()
	defer s.g.mu.Unlock()
	return s.g.o.Ledger.Rows.Get(o) != nil || s.g.o.Census.Sight(o).Known
}

// size returns the part of a proposal that is closest to its limit, in bytes. References have a limit of their own.
func size(p engine.Proposal) (what string, n, limit int) {
	all := len(p.Feature) + len(p.Kind)
	for name, v := range p.Desired {
		all += len(name)
		for _, x := range v.Text {
			if len(x) > maxValue {
				return "a value of attribute " + shorten(name), len(x), maxValue
			}
			all += len(x)
		}
	}
	for name, r := range p.Refs {
		all += len(name)
		for _, ids := range [][]scoping.ObjectID{r.Targets, r.Added, r.Removed} {
			for _, id := range ids {
				if len(id.Directory) > maxDirectory {
					return "a directory's name in reference " + shorten(name), len(id.Directory), maxDirectory
				}
			}
		}
	}
	return "the proposal", all, maxValues
}

// shorten cuts a text for display at a character's end.
func shorten(s string) string {
	if len(s) <= maxName {
		return s
	}
	s = s[:maxName]
	for len(s) > 0 {
		if r, n := utf8.DecodeLastRuneInString(s); r != utf8.RuneError || n > 1 {
			break
		}
		s = s[:len(s)-1]
	}
	return strings.Clone(s) + "…" // a clone, so that the whole text is not kept in memory
}

// keep adds a proposal to those that wait for the end of the run, unless their references are too many. A proposal that is not kept stays owed, and
// is asked for with the next run.
func (s *Session) keep(list []engine.Proposal, p engine.Proposal) []engine.Proposal {
	n := 0
	for _, r := range p.Refs {
		n += len(r.Targets) + len(r.Added) + len(r.Removed)
	}
	if s.excess.refs+n > maxKeptRefs {
		s.excess.dropped++
		return list
	}
	s.excess.refs += n
	return append(list, p)
}

// traceless reports whether an answer leaves no record: its object is known to the engine only, it repeats this run's last answer, or there were too
// many refusals. An answer that settles a key, or leaves it unsettled, always has its record. g.mu is held.
func (s *Session) traceless(it *item, unsettled bool) bool {
	same := it.said && it.before.Outcome == it.v.Outcome && it.before.Code == it.v.Code && it.before.Reason == it.v.Reason
	over := false
	switch it.v.Outcome {
	case engine.Refused, engine.Released:
		over = it.v.Quietly && (same || s.excess.refusals >= maxRefusals)
	case engine.Stale, engine.Deferred:
		over = same && unsettled
	}
	switch {
	case over || !it.known:
		s.excess.dropped++
		return true
	case it.v.Outcome == engine.Refused:
		s.excess.refusals++
	}
	return false
}

// untold returns the record that counts the answers without records, or none.
func (s *Session) untold() []ledger.Record {
	if s.excess.dropped == 0 || s.o.Silent {
		return nil
	}
	return []ledger.Record{{Type: ledger.ControlType, Engine: s.engine, Wave: s.o.Wave, Run: s.o.Run, Op: "excess", Outcome: engine.Refused, Code: string(CodeExcess),
		Reason: fmt.Sprintf("%d answers of this run are not listed: %d objects that the directory does not show, objects proposed again and again, and refusals beyond %d", s.excess.dropped, s.excess.unseen, maxRefusals)}}
}
