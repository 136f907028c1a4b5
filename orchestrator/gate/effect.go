package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// Effect is what a judgement does, or would do, to its object in the tenant. Reports, plans, waves and diffs all count by it.
type Effect uint8

// The effects. Of an object with several features the greatest counts.
const (
	EffectNone      Effect = iota // left out, and not in the tenant: it does not count
	EffectUnchanged               // the tenant has it as it should be
	EffectUpdate                  // of values, members or a manager; also what is held, was refused or failed
	EffectCreate
	EffectRestore   // from the tenant's deleted items
	EffectUnclaimed // linked, and not mentioned in a complete run
	EffectOrphan    // linked, and left out by the rules of the engine that is judged
	EffectDelete
)

// effectNames are the words for effects in results; none and unchanged have none.
var effectNames = map[Effect]string{EffectUpdate: "update", EffectCreate: "create", EffectRestore: "restore", EffectUnclaimed: OpUnclaimed, EffectOrphan: "orphan", EffectDelete: "delete"}

// OpUnclaimed is the operation of a judgement about an object that a complete run did not mention.
const OpUnclaimed = "unclaimed"

// String returns the word for the effect in results; "" if nothing differs.
func (e Effect) String() string { return effectNames[e] }

// Differs reports whether the tenant differs from what is wanted.
func (e Effect) Differs() bool { return e > EffectUnchanged }

// Effect returns what the judgement does to its object.
func (j Judgement) Effect() Effect {
	switch {
	case j.Op == "delete":
		return EffectDelete
	case j.Op == "orphan":
		return EffectOrphan
	case j.Op == OpUnclaimed:
		return EffectUnclaimed
	case j.Op == string(cloud.Create):
		return EffectCreate
	case j.Op == string(cloud.Restore):
		return EffectRestore
	case j.Op == "join" && len(j.After) == 0:
		return EffectUnchanged
	case j.Op != "":
		return EffectUpdate
	}
	waits := j.Outcome == engine.Held || j.Outcome == engine.Failed || j.Outcome == engine.Refused
	switch {
	case waits && j.Want == engine.Gone:
		return EffectDelete
	case waits:
		return EffectUpdate
	case j.Want != engine.Present:
		return EffectNone
	}
	return EffectUnchanged
}

// The operations of references, and the names under which their verdicts keep the cloud ids of members that come and go.
const (
	opMembers      = "members"
	opManager      = "manager"
	MembersAdded   = "members+" // in After
	MembersRemoved = "members-" // in Before
)

// Links are numbers of references by what is done to them. Replacing a manager counts as setting one.
type Links struct {
	MembersAdded    int `json:"membersAdded"`
	MembersRemoved  int `json:"membersRemoved"`
	ManagersSet     int `json:"managersSet"`
	ManagersCleared int `json:"managersCleared"`
}

// Plus returns the sum of both.
func (l Links) Plus(o Links) Links {
	return Links{l.MembersAdded + o.MembersAdded, l.MembersRemoved + o.MembersRemoved, l.ManagersSet + o.ManagersSet, l.ManagersCleared + o.ManagersCleared}
}

// linksOf returns the changes of references by a write that is done.
func linksOf(w cloud.Write) (l Links) {
	switch w.Op {
	case cloud.AddMembers:
		l.MembersAdded = len(w.Refs)
	case cloud.RemoveMember:
		l.MembersRemoved = len(w.Refs)
	case cloud.SetManager:
		l.ManagersSet = 1
	case cloud.ClearManager:
		l.ManagersCleared = 1
	}
	return l
}

// linksWanted returns the changes of references that a judgement in shadow would make.
func linksWanted(j Judgement) (l Links) {
	switch {
	case j.Op == opMembers:
		l.MembersAdded, l.MembersRemoved = len(j.After[MembersAdded]), len(j.Before[MembersRemoved])
	case j.Op == opManager && len(j.After[cloud.Manager]) > 0:
		l.ManagersSet = 1
	case j.Op == opManager && len(j.Before[cloud.Manager]) > 0:
		l.ManagersCleared = 1
	}
	return l
}

// partedBy returns the cloud ids of the ends that a write removes from an object's references.
func partedBy(w cloud.Write, before cloud.Values) []string {
	switch w.Op {
	case cloud.RemoveMember:
		return w.Refs
	case cloud.ClearManager:
		return before[cloud.Manager]
	}
	return nil
}
