// Package gate is the only door through which the tenant is written.
//
// New makes a gate over the ledger; Recover puts unanswered writes of an earlier process in doubt. Each run of an engine is a Session: Begin fixes
// its grants, Propose is called with batches, End judges what has to wait for the end of the run. Sessions may run at once, each used by one
// goroutine. SetAuthority may change owners at any time, so each attempt is admitted anew.
//
// The core is pure: Decide answers one proposal from a Case, which holds everything that the answer depends on, and Judge answers the departures that
// wait for the end of their run by the evidence that the host read. Gate and Session around it own the log, the requests in flight and their order:
// intent durable, send, answer durable, decision (rule X1 of the ownership rules).
package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Standing is what partition, grants and ledger say about a proposer, one object and one feature.
type Standing struct {
	Engine     string        // the proposer
	Owner      string        // the owner of the object's place; scoping.None when there is none
	Assignment string        // the assignment that makes it the owner
	Epoch      scoping.Epoch // when the owner's region last changed hands
	Granted    scoping.Epoch // the proposal's epoch, at most that of the grant when the session began
	Shadow     bool          // the proposer may be judged here
	Record     string        // owner of record (rule L1)
	Recorded   bool
	Near       bool // the proposer owns what other choices take of the object's container, so it reads and proposes this object as well
	Farewell   bool // the host asked the former owner for the object's last values (rule T2)
	Ceiling    engine.Mode
	Adopting   bool // the engine's first full run was not accepted yet (rule J5)
	// AdoptingSince is the epoch in which its adoption began.
	AdoptingSince scoping.Epoch
	Frozen        bool
	Stopped       string // why writing is stopped, or ""
	Restores      string // the wave whose values the host takes back in the owner's name, or ""
	Log           string // the installation of the log, by which passwords are numbered
	Leaving       string // the policy for objects that leave to no engine: disable, remove, keep
}

// Sight is what the census knows of the object.
type Sight struct {
	Known     bool
	Deleted   bool
	Kind      scoping.Kind
	Parent    scoping.GUID
	Chain     []scoping.GUID // its ancestors, the parent first
	Chosen    []scoping.GUID // the choices that take it, sorted
	Name      string
	Version   uint64
	Reading   uint64   // the reading that changed it last
	Links     []string // links to objects of the tenant that it shows
	Anchor    string   // base64, computed by the host (rule I2)
	AnchorBad Code     // why there is no usable anchor: CodeAnchorInvalid, CodeDuplicateAnchor, or ""
}

// Place returns where the object is, for questions about its owner.
func (s Sight) Place(directory string) scoping.Place {
	return scoping.Place{Directory: directory, Ancestors: s.Chain, Chosen: s.Chosen}
}

// Rules are the parts of the policy that the gate needs.
type Rules struct {
	SoftMatch  bool
	UPNRefuse  bool // unverifiedSuffix: refuse
	UPNHold    bool // changes: hold
	Exclusive  bool // members: exclusive
	Quarantine bool // conflicts: quarantine
	Temporary  bool // temporaryPasswords: passwords that must be changed are handed over too
	Managed
	Verified      map[string]bool
	InitialDomain string
	Objects       int // deleteThreshold
	Percent       int
	Irrevocable   int // threshold for kinds that the tenant cannot restore
	AllowFiltered bool
}

// Managed is which attributes engines manage, by the tenant's names.
type Managed struct {
	LeaveOut   map[string]bool // never managed, whatever engines propose
	Extensions map[string]bool // the extension attributes that are managed
}

// ManagedBy returns the managed attributes of a policy's defaults.
func ManagedBy(d scoping.Defaults) (m Managed) {
	for _, name := range d.Attributes.LeaveOut {
		for _, n := range attribute.Named(name) {
			if m.LeaveOut == nil {
				m.LeaveOut = map[string]bool{}
			}
			m.LeaveOut[n] = true
		}
	}
	for _, n := range d.Extensions {
		if m.Extensions == nil {
			m.Extensions = map[string]bool{}
		}
		m.Extensions[n] = true
	}
	return m
}

// RefState is what can be done about the other end of a reference.
type RefState uint8

const (
	RefLinked RefState = iota + 1
	RefWaits           // it will be in the tenant, and is not yet
	RefLater           // it has no owner, is left out, deleted or not seen: the reference is asked for again when it comes
	RefNever           // it will not come: another kind
	RefOff             // like RefNever, as long as the policy does not switch on the feature that brings its kind
)

// Case is everything that the decision about one proposal depends on. It is a snapshot: nothing in it changes while Decide reads.
type Case struct {
	Without  Safeguard // for simulations only
	Now      int64     // Unix ms
	Steady   int64     // ms on the scale of Options.Steady
	Standing Standing
	Sight    Sight
	Rules    Rules
	Row      *ledger.Row
	Pending  *ledger.Open   // in flight, or in doubt
	Cloud    *cloud.Object  // the linked object, live or deleted
	TooNew   bool           // the tenant may not show the last write yet, so that its absence proves nothing (rule V2)
	Live     []cloud.Object // candidates for a join, by anchor or unique name
	Bin      []cloud.Object // candidates in the deleted items
	Returns  string         // the deleted object that a person wants back for this one, or ""
	Match    string         // the tenant object that the file of matches names, or ""
	Matched  *cloud.Object  // the object of Match, as the tenant shows it
	// Addressed are the live objects with the proposed mail address, where the policy quarantines addresses.
	Addressed []cloud.Object
	Alike     []cloud.Object // in a first adoption: unlinked objects that look like the proposed one
	Tried     bool           // a create was sent and its answer lost: an object found may be its result
	Soft      []cloud.Object // candidates by UPN, if policy allows soft matches or the name is taken

	LinkedTo func(cloudID string) (*ledger.Row, bool)
	Alive    func(scoping.ObjectID) bool
	Deleted  func(scoping.ObjectID) bool // a tombstone was seen; an object that was never seen is neither alive nor deleted
	// HeldDelete reports whether the object's delete waits in a held set (rule J2); nil: none does.
	HeldDelete func(scoping.ObjectID) bool
	Binned     func(cloudID string) bool // it is in the tenant's deleted items, and thereby out of all references; nil: none is
	Resolve    func(scoping.ObjectID) (cloudID string, s RefState)
	Power      map[string]string // cloud id to why it holds power; absent: not asked yet
	// Answered returns how a person answered a grave write of this object and feature, and in which held set; nil: no answers.
	Answered func(ledger.Grave) (ledger.HoldState, string)
	Shows    string          // the link to an object of the tenant that it shows although the ledger links it with none; or ""
	Brought  string          // the assignment that brings objects of the tenant to its container, if it has no link; or ""
	Excluded string          // why its owner's rules left it out when last asked, or ""
	Trouble  *ledger.Trouble // earlier refusals, or nil
	Refused  []ledger.Part   // parts that the tenant refused in this session
	Asked    bool            // a person asked for it, or the obstacle is removed: pauses do not count
}

// Verdict is the answer of Decide and Judge: a decision, and the writes that have to succeed before it is true.
type Verdict struct {
	Outcome engine.Outcome
	Code    Code
	Reason  string
	Closed  bool // see ledger.Record.Closed
	Quietly bool
	Nothing bool // nothing changes in the ledger: no record is written

	Op       string // create, join, update, delete, restore, members, manager
	Writes   []cloud.Write
	Claim    *ledger.Claim
	Class    ledger.Class   // what the writes put at risk; other than Ordinary: they wait for the end of their run
	Graves   []ledger.Grave // what a person would be asked: one part for all writes, or, for memberships, one per write
	Approved []string       // per grave part the held set in which a person approved it, or ""
	Ask      string         // why a person has to be asked whatever the number, in one set per engine and class; "": the class's threshold applies
	Note     string         // what a person should know of this write beside its values
	Before   cloud.Values
	After    cloud.Values
	Excluded string

	Parts []ledger.Part // parts that cannot be written, or were refused now
	Waits []ledger.Part // parts that were refused before and are not tried now
	Pair  *ledger.Pair  // a change that is not written any more, since the tenant does not keep it

	Waiting   int      // number of references whose other end is not in the tenant yet
	Foreign   []string // references that others wrote and that stay (rule D3): cloud ids
	Dying     bool     // references stay only because their end, deleted in the directory, is not deleted in the tenant yet
	Removed   []string // members to be removed once the evidence allows it: cloud ids
	NeedPower []string // cloud ids whose power has to be looked up before deciding again
	NeedSight bool     // engine and census disagree about the place: the census has to read the object again
	Judged    bool     // what would be written is known although it will not be (shadow, plan)
}

func answer(o engine.Outcome, code Code, reason string) Verdict {
	return Verdict{Outcome: o, Code: code, Reason: reason, Closed: o.Settles()}
}

// rejectNonOwner answers an engine that does not own the object: the proposal is closed, and the object's key stays as it is.
func rejectNonOwner(o engine.Outcome, code Code, reason string) Verdict {
	return Verdict{Outcome: o, Code: code, Reason: reason, Quietly: true}
}
