package gate

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Decide answers a proposal. It is pure: the same case and proposal give the same verdict.
func Decide(c Case, p engine.Proposal) Verdict { return decide(c, p, false) }

// decide is Decide; at the end of a run (final) nothing is parked any more except what needs evidence.
func decide(c Case, p engine.Proposal, final bool) Verdict {
	if p.Want == engine.Unknown {
		return unknown(p)
	}
	if v, bad := malformed(c, p); bad {
		return v
	}
	if v, done := mastered(c, p); done {
		return v
	}
	if p.Want == engine.Gone {
		return decideGone(c, p)
	}
	if v, done := misplaced(c, p); done {
		return v
	}
	v, mine := entitled(c, p)
	if !mine {
		return v
	}
	v = wanted(c, p)
	return read(p, asMode(c, p, v, final))
}

// mastered answers proposals about objects that were made of an object of the tenant: the other direction writes them, and this one nothing but their
// password (flows §4). An unlinked object in a container to which such objects are brought is held, as it may be the result of a write without an
// answer: it must not be made in the tenant again.
func mastered(c Case, p engine.Proposal) (Verdict, bool) {
	if !c.Without.checksMasters() || p.Feature == scoping.PasswordHash {
		return Verdict{}, false
	}
	if c.Row != nil && c.Row.Cloud != 0 {
		v := answer(engine.Released, CodeCloudMastered, "it was made of an object of the tenant, "+c.Row.CloudID+": its values go from the tenant to the directory")
		v.Nothing = true
		return v, true
	}
	if c.Shows != "" && c.Without.checksLinks() && p.Feature == scoping.Base(p.Kind) && p.Want == engine.Present && c.Sight.Known && !c.Sight.Deleted && len(c.Live)+len(c.Bin) == 0 {
		return answer(engine.Held, CodeCloudMasteredQ, fmt.Sprintf("it shows the link %s, by which it was made of an object of the tenant that the ledger does not know it by: let it be joined by the assignment that brings that object, or take the value away if it is the directory's own", c.Shows)), true
	}
	if c.Row == nil && c.Brought != "" && p.Want == engine.Present && c.Sight.Known && !c.Sight.Deleted {
		return answer(engine.Held, CodeCloudMasteredQ, fmt.Sprintf("assignment %q brings objects of the tenant to where it lies, and nothing tells that it was made of one: move it elsewhere if it is the directory's own", c.Brought)), true
	}
	return Verdict{}, false
}

// malformed refuses what no engine may propose, owner or not.
func malformed(c Case, p engine.Proposal) (Verdict, bool) {
	if p.Feature == scoping.PasswordHash {
		return malformedPassword(c, p)
	}
	if p.Password != nil {
		return rejectNonOwner(engine.Refused, CodeSecret, fmt.Sprintf("a password in a proposal of feature %s", p.Feature)), true
	}
	attrs := attribute.OfFeature(p.Feature)
	owned := func(name string) bool { return attribute.FeatureOf(p.Kind, name) == p.Feature }
	if len(attrs) == 0 {
		return rejectNonOwner(engine.Refused, CodeUnknownFeature, fmt.Sprintf("no feature %q is switched on", p.Feature)), true
	}
	if c.Sight.Known && c.Sight.Kind != p.Kind {
		return rejectNonOwner(engine.Refused, CodeWrongKind, fmt.Sprintf("the directory says that it is a %s, not a %s", c.Sight.Kind, p.Kind)), true
	}
	if p.Feature != scoping.References && p.Feature != scoping.Base(p.Kind) && !(p.Feature == scoping.Extensions && p.Kind == scoping.User) {
		return rejectNonOwner(engine.Refused, CodeWrongFeature, fmt.Sprintf("feature %s is not one of a %s", p.Feature, p.Kind)), true
	}
	if p.Want == engine.Excluded && p.Feature != scoping.Base(p.Kind) { // the owner of references alone could have whole objects deleted
		return rejectNonOwner(engine.Refused, CodeWrongFeature, "only a base feature can be left out, and that answers for "+string(p.Feature)+" too"), true
	}
	for _, name := range sortedKeys(p.Desired) {
		if !owned(name) {
			return rejectNonOwner(engine.Refused, CodeForeignAttribute, fmt.Sprintf("attribute %s does not belong to feature %s", name, p.Feature)), true
		}
		if p.Desired[name].Secret {
			return rejectNonOwner(engine.Refused, CodeSecret, fmt.Sprintf("attribute %s of feature %s cannot be a secret", name, p.Feature)), true
		}
	}
	for _, name := range sortedKeys(p.Refs) {
		if !slices.Contains(attrs, name) {
			return rejectNonOwner(engine.Refused, CodeForeignAttribute, fmt.Sprintf("reference %s does not belong to feature %s", name, p.Feature)), true
		}
	}
	return Verdict{}, false
}

// misplaced answers proposals about objects that the census sees elsewhere or not at all (rule V1).
func misplaced(c Case, p engine.Proposal) (Verdict, bool) {
	s := c.Sight
	switch {
	case !s.Known:
		v := rejectNonOwner(engine.Deferred, CodeNotSeen, "the host does not see this object in the directory")
		v.NeedSight, v.Nothing = true, true
		return v, true
	case s.Deleted:
		v := answer(engine.Deferred, CodeGone, "the host sees that this object is deleted")
		v.NeedSight = true
		return v, true
	case p.Parent != s.Parent && (p.Want == engine.Present || p.Want == engine.Excluded && c.seenOff()) && (p.Feature != scoping.PasswordHash || !p.Parent.IsZero()): // passwords may be read without the object's place
		v := answer(engine.Deferred, CodePlace, "engine and census see this object in different places")
		v.NeedSight = true
		return v, true
	}
	return Verdict{}, false
}

// entitled reports whether the proposer may speak for the object here; if not, the verdict is its answer.
func entitled(c Case, p engine.Proposal) (Verdict, bool) {
	s := c.Standing
	if s.Farewell && s.Owner == scoping.None {
		return Verdict{}, true
	}
	if s.Ceiling == engine.ModeShadow && (!s.Near || s.Shadow) {
		return Verdict{}, true // a plan for a scope that the engine may not own yet: only judged
	}
	if s.Engine != s.Owner {
		switch {
		case s.Shadow:
			return Verdict{}, true
		case (s.Recorded && s.Record == s.Engine) || (c.Row != nil && c.Row.Transit != nil && c.Row.Transit.From == s.Engine):
			return rejectNonOwner(engine.Released, CodeMoved, "the object belongs to "+s.Owner+" now"), false
		case p.Want == engine.OutOfScope || p.Want == engine.Excluded:
			v := rejectNonOwner(engine.Released, CodeNotOwner, "the object belongs to "+s.Owner)
			v.Nothing = true
			return v, false
		}
		if s.Near {
			v := rejectNonOwner(engine.Released, CodeNotChosen, "its assignments choose other objects of this container; this one belongs to "+s.Owner)
			v.Nothing = true
			return v, false
		}
		return rejectNonOwner(engine.Refused, CodeNotOwner, "the object belongs to "+s.Owner), false
	}
	if s.Granted.Compare(s.Epoch) < 0 {
		return answer(engine.Stale, CodeEpoch, fmt.Sprintf("read under grant %s, which changed at %s", s.Granted, s.Epoch)), false
	}
	return Verdict{}, true
}

// wanted works out what the proposal asks for, as if the proposer were the owner.
func wanted(c Case, p engine.Proposal) Verdict {
	if p.Feature == scoping.PasswordHash {
		return password(c, p)
	}
	switch p.Want {
	case engine.OutOfScope:
		if c.Standing.Ceiling == engine.ModeShadow || c.Standing.Engine != c.Standing.Owner {
			v := rejectNonOwner(engine.Released, CodeOutOfScope, "")
			v.Nothing = true
			return v
		}
		v := answer(engine.Deferred, CodePlace, "the engine sees the object outside its scopes, the census inside")
		v.NeedSight = true
		return v
	case engine.Excluded:
		if c.seenOff() { // without last values: its engine has none
			return present(c, p)
		}
		return excluded(c, p)
	case engine.Present:
		switch p.Feature {
		case scoping.References:
			return references(c, p)
		case scoping.Extensions:
			return extensions(c, p)
		}
		return present(c, p)
	}
	return rejectNonOwner(engine.Refused, CodeUnknownWant, fmt.Sprintf("unknown want %d", p.Want))
}

// asMode reduces a verdict with writes to what the proposer's standing allows.
func asMode(c Case, p engine.Proposal, v Verdict, final bool) Verdict {
	writes := len(v.Writes) > 0 || len(v.Removed) > 0 || v.Ask != ""
	if c.Standing.Ceiling == engine.ModeShadow || (c.Standing.Engine != c.Standing.Owner && !c.seenOff()) {
		return shadowed(v, writes)
	}
	if !writes {
		return v
	}
	if s := c.Standing.Stopped; s != "" {
		return answer(engine.Deferred, CodeStopped, s)
	}
	if c.Standing.Frozen {
		return answer(engine.Deferred, CodeFrozen, "the scope changes hands")
	}
	if o := c.Pending; o != nil {
		if o.Doubt {
			return answer(engine.InDoubt, CodeInDoubt, "an earlier write to this object had no answer")
		}
		return answer(engine.Deferred, CodeInFlight, "an earlier write to this object is in flight")
	}
	if c.Row != nil && c.Row.Quiet[p.Feature] > c.Steady {
		return answer(engine.Deferred, CodeQuiet, "an earlier write to this object may still arrive")
	}
	if len(v.Removed) == 0 {
		v = waited(c, v)
	}
	if v = answered(c, v); v.Class != ledger.Ordinary && !final {
		return parked(v)
	}
	return v
}

// shadowed keeps what would happen, and writes nothing.
func shadowed(v Verdict, writes bool) Verdict {
	v.Judged, v.Closed, v.Claim = true, false, nil
	switch {
	case writes:
		v.Outcome, v.Code, v.Quietly = engine.Shadowed, Code(v.Op), false
	case v.Outcome == engine.Unchanged || v.Outcome == engine.Applied:
		v.Outcome, v.Quietly, v.Nothing = engine.Unchanged, true, true
	default:
		v.Quietly = true
	}
	v.Writes, v.Parts, v.Waits = nil, nil, nil
	return v
}

// parked lets a write that thresholds count wait for the end of its run (rule D2).
func parked(v Verdict) Verdict {
	v.Outcome, v.Closed, v.Writes, v.Claim = engine.Parked, false, nil, nil
	return v
}
