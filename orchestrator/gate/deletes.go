package gate

import (
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Life is what the host itself read about an object, with deleted objects shown (rule D1).
type Life uint8

// The results of such a reading.
const (
	Unread    Life = iota // not readable, or at a controller that is behind: no evidence either way
	Tombstone             // deleted in the directory, and in no other source
	Living
	Missing // found neither as an object nor as a tombstone
)

// Evidence is what the host read to judge a departure. Links are the other ends that the directory names for the reference in question; without
// LinksRead they prove nothing.
type Evidence struct {
	Life       Life
	LinksRead  bool
	Links      map[scoping.ObjectID]bool
	EndDeleted func(scoping.ObjectID) bool // the host has seen a tombstone of the other end
}

// decideGone answers "a tombstone was read". The delete itself waits for the end of its run (rule D2).
func decideGone(c Case, p engine.Proposal) Verdict {
	s := c.Standing
	if v, odd := goneUnlinked(c, p); odd {
		return v
	}
	if p.Feature != scoping.Base(p.Kind) || c.Row == nil || c.Row.CloudID == "" || c.Row.State == ledger.DeletedByTandem {
		v := answer(engine.Unchanged, CodeNotLinked, "")
		v.Nothing = true
		return v
	}
	gone := Verdict{Op: "delete", Judged: true, Before: valuesOf(c.Cloud)}
	switch {
	case s.Ceiling == engine.ModeShadow:
		gone.Outcome, gone.Code = engine.Shadowed, CodeDelete
		return gone
	case c.Without.ownsTombstones() && s.Recorded && s.Record != s.Engine && (s.Record != scoping.None || s.Owner != s.Engine):
		if s.Shadow {
			gone.Outcome, gone.Code = engine.Shadowed, CodeDelete
			return gone
		}
		return rejectNonOwner(engine.Released, CodeNotOwner, "the object belongs to "+s.Record)
	case s.Owner == s.Engine && s.Granted.Compare(s.Epoch) < 0:
		return answer(engine.Stale, CodeEpoch, fmt.Sprintf("read under grant %s, which changed at %s", s.Granted, s.Epoch))
	case c.Sight.Known && !c.Sight.Deleted && c.Without.provesDeletes():
		v := answer(engine.Deferred, CodeNotGone, "the engine read a tombstone, the host sees the object alive")
		v.NeedSight = true
		return v
	case s.Stopped != "":
		return answer(engine.Deferred, CodeStopped, s.Stopped)
	case s.Frozen:
		return answer(engine.Deferred, CodeFrozen, "the scope changes hands")
	case c.Row.Quiet[p.Feature] > c.Steady:
		return answer(engine.Deferred, CodeQuiet, "an earlier write to this object may still arrive")
	}
	gone.Outcome, gone.Code, gone.Class, gone.Graves = engine.Parked, CodeDelete, classOfDelete(p.Kind), []ledger.Grave{deletion(c, "")}
	return await(c, gone)
}

// goneUnlinked answers a tombstone of an object that is not in the tenant and that the census does not see deleted: the census looks again (rule V1).
// An object that still exists stays unsettled, since the engine takes its proposal as answered; for an engine in shadow the wave remembers it.
func goneUnlinked(c Case, p engine.Proposal) (Verdict, bool) {
	s := c.Standing
	linked := c.Row != nil && c.Row.State != ledger.DeletedByTandem
	if linked || c.Sight.Deleted || p.Feature != scoping.Base(p.Kind) {
		return Verdict{}, false
	}
	switch {
	case !c.Sight.Known:
		v := answer(engine.Unchanged, CodeNotLinked, "")
		v.Nothing, v.NeedSight = true, true
		return v, true
	case s.Owner == s.Engine:
		v := answer(engine.Deferred, CodeNotGone, "the engine read a tombstone, the host sees the object alive")
		v.NeedSight = true
		return v, true
	case s.Shadow:
		v := rejectNonOwner(engine.Deferred, CodeNotGone, "the engine read a tombstone, the host sees the object alive")
		v.NeedSight = true
		return v, true
	}
	return Verdict{}, false
}

// classOfDelete separates users, which the tenant restores with certainty, from kinds for which that may fail (migration hazard H4).
func classOfDelete(k scoping.Kind) ledger.Class {
	if k == scoping.User {
		return ledger.Deletes
	}
	return ledger.Irrevocable
}

func valuesOf(o *cloud.Object) cloud.Values {
	if o == nil {
		return nil
	}
	return o.Values
}

type stay struct {
	code Code
	why  string
}

// staying maps the codes with which engines leave objects out to the answer for those that stay linked.
var staying = map[string]stay{
	"mail-enabled-group": {CodeStaysLinked, "the group is mail-enabled now, and public Graph makes no such groups: it stays the security group that it is in the tenant, and its members go on"},
	"distribution-group": {CodeStaysLinked, "the group is a distribution group now, and public Graph makes no such groups: it stays the security group that it is in the tenant, and its members go on"},
	"too-many-members":   {CodeStaysAsIs, "the group has more members than its engine synchronizes: it stays as it is in the tenant until it shrinks"},
}

// Stays returns the answer for a linked object that is left out with a reason and stays linked; false for reasons by which it is deleted.
func Stays(reason string) (code Code, why string, ok bool) {
	s, ok := staying[reason]
	return s.code, s.why, ok
}

// staysLinked answers that a linked group is left out and stays.
func staysLinked(c Case, p engine.Proposal, s stay) Verdict {
	v := answer(engine.Unchanged, s.code, s.why)
	v.Excluded = p.Reason
	if c.Row.Transit != nil { // the new owner has answered for it
		claim := claimOf(c, p, cloud.Values{})
		if l := c.Row.Features[p.Feature]; l != nil {
			claim.Hash, claim.Attrs = l.Hash, l.Attrs
		}
		claim.State = c.Row.State
		v.Claim = &claim
	}
	return v
}

// excluded answers "my rules leave it out". An object that is not in the tenant is settled by that; one that is there is filtered away, which is
// held.
func excluded(c Case, p engine.Proposal) Verdict {
	if c.Row == nil || c.Row.CloudID == "" || c.Cloud == nil || c.Cloud.Deleted {
		v := answer(engine.Unchanged, CodeExcluded, p.Reason)
		v.Excluded = p.Reason
		return v
	}
	stays, kept := staying[p.Reason]
	if kept && (c.Excluded == p.Reason || c.Standing.Engine == c.Standing.Owner && c.Standing.Ceiling == engine.ModeOwn) {
		return staysLinked(c, p, stays)
	}
	if c.Standing.Engine != c.Standing.Owner || c.Standing.Ceiling == engine.ModeShadow {
		return Verdict{Outcome: engine.Shadowed, Code: CodeExcluded, Reason: p.Reason, Op: "orphan", Judged: true}
	}
	if c.Row.Transit != nil {
		return answer(engine.Held, CodeUnclaimed, "moved here from "+c.Row.Transit.From+", and the rules of "+c.Standing.Engine+" leave it out: "+p.Reason)
	}
	return await(c, Verdict{Outcome: engine.Parked, Code: CodeFiltered, Reason: p.Reason, Op: "delete", Class: ledger.FilteredAway, Graves: []ledger.Grave{deletion(c, p.Reason)}, Before: valuesOf(c.Cloud)})
}

// Judge answers what was parked, once its run ended complete and the host has read the evidence. Thresholds may still hold the verdict; otherwise its
// writes may be sent.
func Judge(c Case, p engine.Proposal, e Evidence) Verdict {
	var v Verdict
	switch {
	case p.Want == engine.Gone:
		v = judgeDelete(c, p, e)
	case p.Want == engine.Excluded && !c.seenOff():
		v = judgeFiltered(c, p, e)
	case p.Feature == scoping.References:
		v = judgeRemovals(c, p, e)
	default:
		v = decide(c, p, true)
		if v.Outcome == engine.Parked && leaves(c) {
			v = judgeLeaver(c, p, e)
		}
	}
	return waited(c, answered(c, v))
}

func judgeDelete(c Case, p engine.Proposal, e Evidence) Verdict {
	v := decideGone(c, p)
	if v.Outcome != engine.Parked {
		if v.NeedSight && e.Life == Living {
			return living(c)
		}
		return v
	}
	if !c.Without.provesDeletes() {
		e.Life = Tombstone
	}
	switch e.Life {
	case Tombstone:
		return remove(c, p, v)
	case Living:
		return living(c)
	case Missing:
		return answer(engine.Held, CodeNoEvidence, "the host finds the object neither alive nor deleted: is the recycle bin's lifetime over, or may the account not see deleted objects?")
	}
	return answer(engine.Deferred, CodeNoEvidence, "the host could not read the object")
}

// living answers a delete of an object that the host sees (rule D1).
func living(c Case) Verdict {
	if c.Standing.Owner != c.Standing.Engine {
		return rejectNonOwner(engine.Released, CodeAliveElsewhere, "the object lives, and belongs to "+c.Standing.Owner)
	}
	return answer(engine.Held, CodeFiltered, "the engine wants to delete an object that lives in its own scope")
}

func remove(c Case, p engine.Proposal, v Verdict) Verdict {
	claim := ledger.Claim{State: ledger.DeletedByTandem, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen, Version: c.Sight.Version}
	if l := c.Row.Features[p.Feature]; l != nil {
		claim.Place, claim.Chain, claim.Chosen = l.Place, l.Chain, l.Chosen // where it was, not the container of tombstones
	}
	v.Claim = &claim
	if c.Cloud != nil && c.Cloud.Deleted {
		v.Outcome, v.Code, v.Closed, v.Class, v.Graves, v.Op = engine.Unchanged, CodeGoneAlready, true, ledger.Ordinary, nil, ""
		return v
	} // an object that the cache does not show may be too new for it (rule V2); deleting what does not exist succeeds (X3)
	v.Outcome, v.Code, v.Closed = engine.Applied, "", true
	v.Writes = []cloud.Write{{Op: cloud.Delete, Kind: p.Kind, CloudID: c.Row.CloudID}}
	return v
}

// leaves reports whether the object has gone to where no engine writes, and the policy removes such objects (rule T4).
func leaves(c Case) bool {
	return c.seenOff() && c.Standing.Leaving == string(scoping.Remove)
}

func judgeLeaver(c Case, p engine.Proposal, e Evidence) Verdict {
	if e.Life != Living {
		return answer(engine.Deferred, CodeNoEvidence, "the host could not read the object")
	}
	v := remove(c, p, Verdict{Op: "delete", Before: valuesOf(c.Cloud), Class: classOfDelete(p.Kind), Graves: []ledger.Grave{deletion(c, "leaving")}})
	v.Claim.Owner = scoping.None
	return v
}

func judgeFiltered(c Case, p engine.Proposal, e Evidence) Verdict {
	v := Decide(c, p)
	if v.Outcome != engine.Parked {
		return v
	}
	if e.Life != Living {
		return answer(engine.Deferred, CodeNoEvidence, "the host could not read the object")
	}
	v.Writes = []cloud.Write{{Op: cloud.Delete, Kind: p.Kind, CloudID: c.Row.CloudID}}
	v.Claim = &ledger.Claim{State: ledger.DeletedByTandem, Place: c.Sight.Parent, Chain: c.Sight.Chain, Chosen: c.Sight.Chosen}
	v.Outcome, v.Closed = engine.Applied, true
	return v
}

// judgeRemovals removes the references that the host itself does not read any more, or whose other end is deleted (rule D3).
func judgeRemovals(c Case, p engine.Proposal, e Evidence) Verdict {
	v := Decide(c, p)
	if v.Outcome != engine.Parked {
		return v
	}
	var proved, open []string
	for _, id := range v.Removed {
		if !c.Without.provesLinks() || provedGone(c, e, id) {
			proved = append(proved, id)
		} else {
			open = append(open, id)
		}
	}
	proved, refused := c.removable(proved)
	v.Waits = append(v.Waits, refused...)
	if len(proved) == 0 {
		out := answer(engine.Deferred, CodeReferenceLives, "the engine wants to remove references that the host still reads")
		return setApart(out, v.Parts, v.Waits)
	}
	v.Class, v.Op = ledger.Memberships, opMembers
	if p.Kind != scoping.Group {
		v.Op, v.Before = opManager, pair(proved[0])
		v.Writes = append(v.Writes, cloud.Write{Op: cloud.ClearManager, Kind: p.Kind, CloudID: c.Row.CloudID})
		v.Graves = []ledger.Grave{parting(c, v.Op, proved[0])}
	} else {
		v.Before = cloud.Values{MembersRemoved: proved}
		for _, id := range proved {
			v.Writes = append(v.Writes, cloud.Write{Op: cloud.RemoveMember, Kind: p.Kind, CloudID: c.Row.CloudID, Refs: []string{id}})
			v.Graves = append(v.Graves, parting(c, v.Op, id))
		}
	}
	v.Outcome, v.Closed, v.Removed = engine.Applied, len(open)+v.Waiting == 0, nil
	if v.Waiting > 0 {
		v.Outcome, v.Code, v.Reason = engine.Partial, CodeReferenceMissing, plural(v.Waiting, "reference")+" not in the tenant yet"
	}
	if len(open) > 0 {
		v.Outcome, v.Code, v.Reason = engine.Partial, CodeReferenceLives, plural(len(open), "reference")+" still read by the host"
	}
	return setApart(v, nil, nil)
}

func provedGone(c Case, e Evidence, cloudID string) bool {
	row, ours := c.LinkedTo(cloudID)
	if !ours {
		return c.Rules.Exclusive && e.LinksRead
	}
	if e.EndDeleted != nil && e.EndDeleted(row.Object) {
		return true
	}
	return e.LinksRead && !e.Links[row.Object]
}
