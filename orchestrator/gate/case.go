// Package gate is the single door through which every write to the tenant passes.
//
// Its core is pure: Decide answers one proposal from a Case, which holds everything that the answer depends on, and Judge answers the
// departures that wait for the end of their run from the evidence that the host read. The shell around it (Gate, Session) owns the log, the
// wires and the order: intent durable, send, settlement durable, decision (rule X1 of the ownership rules).
package gate

import (
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// Standing is what the partition, the grants and the ledger say about a proposer, one object and one feature.
type Standing struct {
	Engine     string        // the proposer
	Owner      string        // the engine of the object's place; scoping.None when there is none
	Assignment string        // the assignment that says so
	Epoch      scoping.Epoch // when the owner's region last changed hands
	Granted    scoping.Epoch // the proposal's epoch, cut down to what the session was granted when its run began to read
	Shadow     bool          // the proposer may have it judged here
	Record     string        // owner of record (rule L1)
	Recorded   bool
	Near       bool // the proposer owns what other choices take of the object's container: it has to read and propose this one as well
	Farewell   bool // the host asked the old owner for the object's last values (rule T2)
	Ceiling    engine.Mode
	Adopting   bool // the engine's first full run was not accepted yet (rule J5) …
	// … and this is when its adoption began.
	AdoptingSince scoping.Epoch
	Frozen        bool
	Stopped       string // why writing is stopped, or ""
	Restores      string // the wave whose values the host takes back in the owner's name, or ""
	Log           string // of which installation the log is, by which passwords are numbered
	Leaving       string // what happens to one who arrives at none: disable, remove, keep
}

// Sight is what the census knows of the object.
type Sight struct {
	Known     bool
	Gone      bool
	Kind      scoping.Kind
	Parent    scoping.GUID
	Chain     []scoping.GUID // what it lies in, the parent first
	Chosen    []scoping.GUID // the choices that take it, sorted
	Name      string
	Version   uint64
	Reading   uint64   // the reading that changed it last, by the host's numbers
	Links     []string // of objects of the tenant that it shows
	Anchor    string   // base64, computed by the host (rule I2)
	AnchorBad Code     // why there is no usable anchor: CodeAnchorInvalid, CodeDuplicateAnchor, or ""
}

// Place gives where the object is, for those who ask whose it is.
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
	Temporary  bool // temporaryPasswords: those that have to be changed are handed over too
	Managed
	Verified      map[string]bool
	InitialDomain string
	Objects       int // deleteThreshold
	Percent       int
	Irrevocable   int // threshold for kinds that the tenant cannot restore
	AllowFiltered bool
}

// Managed says which attributes engines manage at all, by the tenant's names.
type Managed struct {
	LeaveOut   map[string]bool // none of them, whatever their engines say
	Extensions map[string]bool // those of the feature extensions
}

// ManagedBy returns what a policy's defaults let engines manage.
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

// RefState says what can be done about a reference's other end.
type RefState uint8

// The states of a reference's other end.
const (
	RefLinked RefState = iota + 1
	RefWaits           // it will be in the tenant, and is not yet
	RefLater           // it is nobody's now, left out, deleted, or not seen yet: it is remembered who wants it, and asked again when it comes
	RefNever           // it will not be: another kind
	RefOff             // as RefNever, for as long as the policy does not switch on the feature that brings its kind
)

// Case is everything that the decision about one proposal depends on. It is a snapshot: nothing in it changes while Decide reads.
type Case struct {
	Without  Safeguard // for simulations only
	Now      int64     // Unix ms
	Steady   int64     // ms on the steady scale
	Standing Standing
	Sight    Sight
	Rules    Rules
	Row      *ledger.Row
	Pending  *ledger.Open   // on the wire, or in doubt
	Cloud    *cloud.Object  // of the link, alive or deleted
	TooNew   bool           // the tenant need not show yet what was written last: that it shows nothing proves nothing (rule V2)
	Live     []cloud.Object // candidates for a join, by anchor or unique name
	Bin      []cloud.Object // candidates in the deleted items
	Returns  string         // the object in the deleted items that a person wants back for this one, "" for none
	Match    string         // the tenant object that the file of matches says, "" if it says none
	Matched  *cloud.Object  // … as the tenant shows it
	// Addressed are the living objects that have the proposed mail address, where policy quarantines addresses.
	Addressed []cloud.Object
	Alike     []cloud.Object // in a first adoption: unlinked objects that look like the one proposed
	Tried     bool           // a create of Tandem's was sent whose answer was lost: what is there may be its doing
	Soft      []cloud.Object // candidates by UPN, if policy allows soft matches or the name is taken

	LinkedTo func(cloudID string) (*ledger.Row, bool)
	Alive    func(scoping.ObjectID) bool
	Dead     func(scoping.ObjectID) bool // a tombstone was seen; what nobody has seen is neither alive nor dead
	// HeldDelete says whether the object's delete waits in a held set (rule J2); nil: none does.
	HeldDelete func(scoping.ObjectID) bool
	Binned     func(cloudID string) bool // lies in the tenant's deleted items, which took it out of everybody's references; nil: nothing does
	Resolve    func(scoping.ObjectID) (cloudID string, s RefState)
	Power      map[string]string // cloud id -> why it holds power; absent: not asked yet
	// Answered returns what a person said about a grave write of this object and feature, and in which held set; nil: nothing.
	Answered func(ledger.Grave) (ledger.HoldState, string)
	Shows    string          // a link of an object of the tenant that it shows, of an object that the ledger links with none; empty: none
	Brought  string          // the assignment that brings objects of the tenant to where it lies, of an object without a link; empty: none does
	Excluded string          // why its owner's rules left the object out when they were asked last, "" if they did not
	Trouble  *ledger.Trouble // what is remembered of earlier attempts, nil for none
	Refused  []ledger.Part   // what this session tried and the tenant refused
	Asked    bool            // a person asked for it, or what stood in the way is gone: no pause counts
}

// Verdict is what Decide and Judge answer: a decision, and what has to be written before it is true.
type Verdict struct {
	Outcome engine.Outcome
	Code    Code
	Reason  string
	Closed  bool // see ledger.Record.Closed
	Quietly bool
	Nothing bool // nothing changes in the ledger: no record is owed

	Op       string // create, join, update, delete, restore, members, manager
	Writes   []cloud.Write
	Claim    *ledger.Claim
	Class    ledger.Class   // what the writes put at risk; not Ordinary: they wait for the end of their run
	Graves   []ledger.Grave // what a person would be asked about: one for all writes, or, of memberships, one for each write
	Approved []string       // per grave part the held set in which a person approved it, or ""
	Ask      string         // why a person has to be asked, whatever the number, in one set per engine and class; "": the class's thresholds say
	Note     string         // what a person should know of this write beside its values
	Before   cloud.Values
	After    cloud.Values
	Excluded string

	Parts []ledger.Part // what cannot be written, or was refused when it was tried now
	Waits []ledger.Part // what was refused before and is not tried now
	Pair  *ledger.Pair  // what is not written any more, since the tenant does not keep it

	Waiting   int      // references whose other end is not in the tenant yet
	Foreign   []string // references that others wrote and that stay (rule D3): cloud ids
	Dying     bool     // references stay only until their end, which died in the directory, is deleted
	Removed   []string // members to be removed once the evidence allows: cloud ids
	NeedPower []string // cloud ids whose power has to be known first: ask and decide again
	NeedSight bool     // the census has to look again: engine and census disagree about the place
	Judged    bool     // what would be written is known although it will not be (shadow, plan)
}

func settle(o engine.Outcome, code Code, reason string) Verdict {
	return Verdict{Outcome: o, Code: code, Reason: reason, Closed: o.Settles()}
}

// other answers somebody who is not the owner: it settles his proposal and leaves the object's own matters as they are.
func other(o engine.Outcome, code Code, reason string) Verdict {
	return Verdict{Outcome: o, Code: code, Reason: reason, Quietly: true}
}
