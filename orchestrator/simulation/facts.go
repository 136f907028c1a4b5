package simulation

import (
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Fact is something that happened to an object, or to one with which it has to do, before a promise about it was broken. Kinds of failures that are known
// are told apart by them.
type Fact string

// The facts.
const (
	KeepFailed     Fact = "the census could not keep its news, and the process lived on"
	Lagged         Fact = "a controller that lags told of it"
	EngineLagged   Fact = "an engine read it at a controller that lags"
	KilledAfterCut Fact = "the host was killed between a cutover of its place and the end of the catch-up"
	ShadowJudged   Fact = "a wave's target judged it in shadow, and nobody settled it since"
	ShadowRefs     Fact = "a wave's target judged its references in shadow, and nobody settled them since"
	DeletedByUs    Fact = "it is deleted in the tenant by Tandem's request"
	LeftDeleted    Fact = "it was deleted because it left to where objects are removed"
	Undeleted      Fact = "it was undeleted in the directory"
	GroupThawed    Fact = "a group that chooses emptied or vanished, and came back"
	Moved          Fact = "it moved, or its choices changed"
	EndDeleted     Fact = "an end of its links was deleted in the directory"
	Doubted        Fact = "a request about it had no answer"
	DoubtSeen      Fact = "a doubt about it ended because the tenant showed the wish already"
	DoubtRepeated  Fact = "a doubt about it ended by a repetition"
	DoubtExpired   Fact = "a doubt about it ended by time"
	InTheAir       Fact = "a request about it was in flight when the host died"
	ClockStepped   Fact = "the wall clock stepped"
	Verified       Fact = "a domain became verified"
	LeftOut        Fact = "the engines' rules leave it out, or did"
	Deleted        Fact = "it is deleted in the directory"
	NotSeen        Fact = "its engine saw it before the host did, and was put off"
	ByHand         Fact = "somebody else changed it in the tenant"
)

// note remembers a fact about an object.
func (w *world) note(g scoping.GUID, f Fact) {
	if w.history[g] == nil {
		w.history[g] = map[Fact]bool{}
	}
	w.history[g][f] = true
}

// facts returns what happened to an object, to its containers, to the ends of its links, and to the groups that choose.
func (w *world) facts(g scoping.GUID) []Fact {
	out := map[Fact]bool{}
	maps.Copy(out, w.history[scoping.GUID{}])
	maps.Copy(out, w.history[g])
	e := w.dir.now.objects[g]
	if e == nil {
		return slices.Sorted(maps.Keys(out))
	}
	for _, x := range w.dir.now.objects {
		up := slices.Contains(w.dir.now.chain(g), x.guid) || strings.HasPrefix(x.name, "pilots") && w.chooses
		end := e.members[x.guid] || e.manager == x.guid
		for f := range w.history[x.guid] {
			if up && (f == KeepFailed || f == Lagged || f == EngineLagged || f == Moved || f == GroupThawed) || end && f != KilledAfterCut && f != ShadowJudged && f != ShadowRefs {
				out[f] = true
			}
		}
		if up && x.moved > 0 {
			out[Moved] = true
		}
		if up && x.filled > 0 {
			out[GroupThawed] = true
		}
		if end && x.deleted {
			out[EndDeleted] = true
		}
	}
	w.present(e, out)
	return slices.Sorted(maps.Keys(out))
}

// present adds what is so now.
func (w *world) present(e *entry, out map[Fact]bool) {
	if e.deleted {
		out[Deleted] = true
	}
	if e.moved > 0 {
		out[Moved] = true
	}
	if e.back > 0 {
		out[Undeleted] = true
	}
	if exclusion(e) != "" && e.kind != directory.OU {
		out[LeftOut] = true
	}
	if a := w.account(e); a != nil && a.truth().Deleted && !a.foreign {
		out[DeletedByUs] = true
	}
}

// keeps notes whether the census could store what it read, and returns err, which is how that ended.
func (w *world) keeps(err error) error {
	if err == nil {
		w.unstored = map[scoping.GUID]sightOf{}
	} else if !w.crashed {
		for g := range w.unstored {
			w.note(g, KeepFailed)
		}
	}
	return err
}

// noteRecord notes the facts that a record of the log tells; fresh: it was not read before.
func (w *world) noteRecord(r ledger.Record, fresh bool) {
	if r.Object == nil {
		return
	}
	g := r.Object.GUID
	switch r.Type {
	case ledger.SettleType:
		if r.Settle != nil && r.Settle.Result.Status == cloud.InDoubt {
			w.note(g, Doubted)
		}
	case ledger.DeliveryType:
		if c := w.cloud.writes.byID[r.Delivery.ID]; c != nil && fresh && r.Delivery.Step == ledger.Ended {
			w.endedWrite(c, r.Code)
		}
	case ledger.DoubtType:
		w.note(g, map[string]Fact{"seen": DoubtSeen, "repeated": DoubtRepeated, "expired": DoubtExpired}[r.Doubt.How])
	case ledger.TransitType, ledger.PlaceType:
		w.note(g, Moved)
	case ledger.DecisionType:
		if fresh && r.Outcome == engine.Applied {
			w.settled(g, r.Feature)
		}
	}
}

// settled forgets what does not explain a loss any more, since the object's engine wrote what it wanted.
func (w *world) settled(g scoping.GUID, f scoping.Feature) {
	if f == scoping.References {
		delete(w.history[g], ShadowRefs)
		return
	}
	delete(w.history[g], ShadowJudged)
	delete(w.history[g], KilledAfterCut)
}

// killed notes the objects that a crash met between the cutover of a wave and the end of its catch-up.
func (w *world) killed() {
	for id, x := range w.book.waves {
		if x.Phase != wave.CatchUp || x.State.Over() {
			continue
		}
		for g, e := range w.dir.now.objects {
			if e.kind != directory.OU && w.coversWave(id, w.toldPlace(g), e.kind, scoping.Base(e.kind)) {
				w.note(g, KilledAfterCut)
			}
		}
	}
}
