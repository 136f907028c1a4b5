// Package ledger is the memory of who did what: neither Active Directory nor Graph knows who wrote. It holds the links between
// directory objects and cloud objects, the record of the last settled write per feature, answers that settled nothing, held sets, and writes whose
// answer is missing. It is folded from the log and is pure: the same records give the same ledger.
package ledger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Version is the format of records. A record of another version is refused, not guessed.
const Version = 1

// ErrRecord is the kind of every error about a record that cannot be understood.
var ErrRecord = errors.New("log record not understood")

// Type says what a record is.
type Type string

// The types of records. Their order in the log is rule X1: intent, (send,) settlement, decision.
const (
	IntentType   Type = "intent"   // a write is about to be sent
	SettleType   Type = "settle"   // how an attempt ended
	DecisionType Type = "decision" // the answer to a proposal
	TransferType Type = "transfer" // a hand-over was committed (L1)
	TransitType  Type = "transit"  // the census saw an owner change without a wave (T1)
	PlaceType    Type = "place"    // the census saw an object elsewhere, or taken by other choices, without another owner
	DirtyType    Type = "dirty"    // of earlier programs
	HoldType     Type = "hold"     // a set of writes is held (D2)
	AnswerType   Type = "answer"   // a person answered a held set
	DoubtType    Type = "doubt"    // a doubt ended (P6)
	BaselineType Type = "baseline" // tenant state before a wave
	WaveType     Type = "wave"     // a wave entered or left a phase, or a person decided about it
	ControlType  Type = "control"  // import, stop, start, and other acts of people on the whole
	SnapshotType Type = "snapshot" // a piece of the whole ledger, from which a pruned log is folded
	DeliveryType Type = "delivery" // a write into the directory was asked for: it was permitted, refused, or has ended
)

// Record is one entry of the log. Which fields are set depends on Type; the first block is common.
type Record struct {
	V        int               `json:"v"`
	Type     Type              `json:"t"`
	At       int64             `json:"at"`               // Unix milliseconds, for people and for the sliding thresholds
	Steady   int64             `json:"steady,omitempty"` // of intents and their ends: when, in ms on the scale that no clock step moves
	Engine   string            `json:"engine,omitempty"`
	Wave     string            `json:"wave,omitempty"`
	Run      uint64            `json:"run,omitempty"`
	Object   *scoping.ObjectID `json:"object,omitempty"`
	Kind     scoping.Kind      `json:"kind,omitempty"`
	Name     string            `json:"name,omitempty"`
	Feature  scoping.Feature   `json:"feature,omitempty"`
	Op       string            `json:"op,omitempty"`
	Outcome  engine.Outcome    `json:"outcome,omitempty"`
	Code     string            `json:"code,omitempty"`
	Reason   string            `json:"reason,omitempty"`
	By       string            `json:"by,omitempty"`
	Before   cloud.Values      `json:"before,omitempty"`
	After    cloud.Values      `json:"after,omitempty"`
	Revision uint64            `json:"revision,omitempty"`
	Epoch    scoping.Epoch     `json:"epoch"`

	// Closed says, of a decision, that the owner's matter is settled: no answer that settled nothing is left of it. A decision about somebody else's
	// proposal never closes it.
	Closed   bool              `json:"closed,omitempty"`
	Quietly  bool              `json:"quietly,omitempty"` // a decision that is no answer to the owner
	Excluded string            `json:"excluded,omitempty"`
	Parts    []Part            `json:"parts,omitempty"` // of a decision: what was tried and refused
	Pair     *Pair             `json:"pair,omitempty"`  // of a decision: what is not written any more, since the tenant does not keep it
	Intent   *Intent           `json:"intent,omitempty"`
	Settle   *Settlement       `json:"settle,omitempty"`
	Claim    *Claim            `json:"claim,omitempty"`
	Transfer *scoping.Transfer `json:"transfer,omitempty"`
	Transit  *Transit          `json:"transit,omitempty"`
	Hold     *Hold             `json:"hold,omitempty"`
	Answer   *Answer           `json:"answer,omitempty"`
	Doubt    *DoubtEnd         `json:"doubt,omitempty"`
	Baseline []BaselineEntry   `json:"baseline,omitempty"`
	Restored []Restoration     `json:"restored,omitempty"`
	Delivery *Delivery         `json:"delivery,omitempty"`
	Snapshot *SnapshotPart     `json:"snapshot,omitempty"`
	Phase    string            `json:"phase,omitempty"`
	Detail   json.RawMessage   `json:"detail,omitempty"`
}

// Key names one feature of one object.
type Key struct {
	Object  scoping.ObjectID `json:"object"`
	Feature scoping.Feature  `json:"feature"`
}

// Compare orders keys by object, then feature.
func (k Key) Compare(o Key) int {
	if c := k.Object.Compare(o.Object); c != 0 {
		return c
	}
	switch {
	case k.Feature < o.Feature:
		return -1
	case k.Feature > o.Feature:
		return 1
	}
	return 0
}

// Class says what a write puts at risk; writes that put something at risk are counted against thresholds (rule D2).
type Class string

// The classes. Ordinary writes have none.
const (
	Ordinary     Class = ""
	Deletes      Class = "deletes"
	Irrevocable  Class = "irrevocable-deletes" // of kinds that the tenant cannot restore
	Memberships  Class = "removed-memberships"
	Destructive  Class = "destructive-updates" // disabling, UPN or mail changed, attributes cleared
	SignIns      Class = "sign-in-changes"     // UPNs changed, where policy holds such changes (J6)
	OwnerChanges Class = "owner-changes"       // objects whose engine changes because other choices take them (T3)
	FilteredAway Class = "filtered"            // the object lives, and its owner's rules leave it out (D1)
	Adoptions    Class = "first-adoption"      // joins, creates that look like an object of the tenant's, writes to what Tandem did not make (J5)
	NameSwaps    Class = "name-swaps"          // cycles of objects that exchange sign-in names (J6)

	LostControllers Class = "lost-controllers" // whether a controller is gone for good that took a write without an answer; nothing is written by it
)

// Intent is a write about to be sent, and what its success will mean.
type Intent struct {
	Write      cloud.Write `json:"write"`
	Claim      Claim       `json:"claim"`
	Final      bool        `json:"final,omitempty"` // the last write of its proposal: success settles the feature
	Class      Class       `json:"class,omitempty"`
	Assignment string      `json:"assignment,omitempty"`
	Count      int         `json:"count,omitempty"`    // how many of Class it is
	Grave      string      `json:"grave,omitempty"`    // digest of the grave part that is done with it: its approval is used up
	Approved   bool        `json:"approved,omitempty"` // a person approved it
	Pair       *Pair       `json:"pair,omitempty"`     // of the first write of an update: what it writes over what
}

// Claim is what becomes of the row when a decision settles or a write is done.
type Claim struct {
	CloudID string         `json:"cloudId,omitempty"`
	Anchor  string         `json:"anchor,omitempty"` // base64, as joined (I2)
	Key     string         `json:"key,omitempty"`    // uniqueName, when stamped by us
	Origin  Origin         `json:"origin,omitempty"`
	Place   scoping.GUID   `json:"place"`
	Chain   []scoping.GUID `json:"chain,omitempty"`  // the place's ancestors then, so that L1 needs no census of the past
	Chosen  []scoping.GUID `json:"chosen,omitempty"` // the choices that took the object then
	Version uint64         `json:"version,omitempty"`
	Hash    string         `json:"hash,omitempty"`
	Owner   string         `json:"owner,omitempty"` // engine of record from now on; the record's engine when empty
	State   RowState       `json:"state,omitempty"` // the row's state afterwards, when it changes
	Attrs   []string       `json:"attrs,omitempty"` // the tenant attributes that the proposal manages

	Never *Never `json:"never,omitempty"` // of references: ends that cannot be referred to in the tenant

	// Took are references, by cloud id, that the tenant has and the directory wants: whoever wrote them, Tandem looks after them from now on (D3).
	// Tracks says that references are looked after singly at all; records of before do not say so.
	Took   []string `json:"took,omitempty"`
	Tracks bool     `json:"tracks,omitempty"`

	// Restores is the wave whose values the write takes back. It teaches the ledger nothing about what the engine wants: the
	// engine's own last word (Hash, Attrs) stays, else a second look would take restored attributes for managed ones.
	Restores string `json:"restores,omitempty"`
}

// Never counts the ends of an object's references that cannot be referred to in the tenant: contacts, computers, service accounts, principals
// of other forests. They are left out, and reported (standing S6).
type Never struct {
	Count int                `json:"count"`
	Some  []scoping.ObjectID `json:"some"` // the first of them in order, at most MaxNever
}

// MaxNever is how many ends a Never names.
const MaxNever = 50

// Equal reports whether two say the same.
func (n *Never) Equal(o *Never) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.Count == o.Count && slices.Equal(n.Some, o.Some)
}

// Settlement is how one attempt of an intent ended.
type Settlement struct {
	Intent string       `json:"intent"`
	Result cloud.Result `json:"result"`
	Until  int64        `json:"until,omitempty"` // for InDoubt: when the doubt ends, in ms on the steady scale
}

// DoubtEnd says how a doubt ended: "seen" (the tenant shows the write's effect), "repeated" (the same idempotent write was done again),
// "expired" (ghostLife passed and nothing shows it).
type DoubtEnd struct {
	Intent  string `json:"intent"`
	How     string `json:"how"`
	CloudID string `json:"cloudId,omitempty"`
	Quiet   int64  `json:"quiet,omitempty"` // until then (steady ms) no different write is sent to the object
	// Shown are the references of the write that the tenant shows when the doubt expires: it took effect, and others changed something of it since.
	Shown []string `json:"shown,omitempty"`
}

// Transit is an owner change that the directory made (rule T1).
type Transit struct {
	From string `json:"from"`
	To   string `json:"to"`
	Runs int    `json:"runs,omitempty"` // complete runs of To that did not claim it
}

// BaselineEntry is the tenant's state of one object before a wave touched it.
type BaselineEntry struct {
	Object scoping.ObjectID `json:"object"`
	Cloud  cloud.Object     `json:"cloud"`
}

// Return is how a rollback ended for one value that the wave's target wrote.
type Return string

// The ends.
const (
	PutBack       Return = "restored"   // it has the value from before the wave's first write
	BySource      Return = "ad-changed" // the earlier engine writes it from the directory as it is now, or the object is another engine's or deleted by now
	ByOthers      Return = "foreign"    // somebody else changed it since
	NotRestorable Return = "impossible"
	MemberStays   Return = "membership"         // the wave added it, and it is still there
	MemberLeft    Return = "membership-removed" // the wave added it, and it is not there any more
)

// Restoration is one line of a rollback's account: an attribute of an object, or one reference that the wave added.
type Restoration struct {
	Object    scoping.ObjectID `json:"object"`
	Attribute string           `json:"attribute"`
	Outcome   Return           `json:"outcome"`
	Value     []string         `json:"value,omitempty"` // from before the wave's first write; of a reference: the other end's cloud id
	Reason    string           `json:"reason,omitempty"`
}

// Encode gives a record's bytes for the log.
func Encode(r Record) []byte {
	r.V = Version
	b, err := json.Marshal(r)
	if err != nil {
		panic("ledger: a record that cannot be encoded: " + err.Error()) // only our own plain types are in it
	}
	return b
}

// Decode reads a record's bytes. Errors match ErrRecord.
func Decode(b []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("%w: %w", ErrRecord, err)
	}
	if r.V != Version {
		return r, fmt.Errorf("%w: version %d, this program knows %d", ErrRecord, r.V, Version)
	}
	return r, nil
}

// Moment returns when a record was made, in ms on the steady scale; those of older programs go by the wall clock.
func (r Record) Moment() int64 { return cmp.Or(r.Steady, r.At) }
