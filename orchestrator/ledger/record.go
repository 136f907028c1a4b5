// Package ledger is the memory of all writes: neither Active Directory nor Graph knows who wrote. It holds the links between directory objects and
// cloud objects, the last settled write per feature, the last answers of keys that are not settled, held sets, and writes without an answer.
//
// It is folded from the log and is pure: the same records give the same ledger. Load restores a checkpoint, Fold takes in each record once it is
// durable, Checkpoint encodes what changed. It is not safe for concurrent use: the gate's lock guards it.
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

// ErrRecord means that a record cannot be understood.
var ErrRecord = errors.New("log record not understood")

// Type is the type of a record.
type Type string

// The types of records. Their order in the log is rule X1: intent, (send,) settlement, decision.
const (
	IntentType   Type = "intent"   // a write is about to be sent
	SettleType   Type = "settle"   // the answer to one attempt
	DecisionType Type = "decision" // the answer to a proposal
	TransferType Type = "transfer" // a hand-over was committed (L1)
	TransitType  Type = "transit"  // the census saw an owner change without a wave (T1)
	PlaceType    Type = "place"    // the census saw an object elsewhere, or taken by other choices, with the same owner
	DirtyType    Type = "dirty"    // of earlier versions
	HoldType     Type = "hold"     // a set of writes is held (D2)
	AnswerType   Type = "answer"   // a person answered a held set
	DoubtType    Type = "doubt"    // a doubt ended (P6)
	BaselineType Type = "baseline" // tenant state before a wave
	WaveType     Type = "wave"     // a wave entered or left a phase, or a person decided about it
	ControlType  Type = "control"  // import, stop, start, and other acts of administrators
	SnapshotType Type = "snapshot" // a part of the whole ledger, from which a pruned log is folded
	DeliveryType Type = "delivery" // a write into the directory was permitted or refused, or has ended
	NestedType   Type = "nested"   // the groups inside a group of the tenant that brings users into a directory changed
)

// Record is one entry of the log. Which fields are set depends on Type; the first block is common.
type Record struct {
	V        int               `json:"v"`
	Type     Type              `json:"t"`
	At       int64             `json:"at"`               // Unix ms, for display and for the sliding thresholds
	Steady   int64             `json:"steady,omitempty"` // of intents and their ends: ms on the scale that no clock step moves
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

	// Closed reports that a decision settles the key. Decisions about proposals of engines that do not own the object never do.
	Closed   bool              `json:"closed,omitempty"`
	Quietly  bool              `json:"quietly,omitempty"` // a decision that does not answer the owner
	Excluded string            `json:"excluded,omitempty"`
	Taken    bool              `json:"taken,omitempty"` // of a decision that holds an object: its owner's rules, which left it out before, take it
	Parts    []Part            `json:"parts,omitempty"` // of a decision: parts that were tried and refused
	Pair     *Pair             `json:"pair,omitempty"`  // of a decision: a change that is not written any more, since the tenant does not keep it
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
	Nested   *NestedIn         `json:"nested,omitempty"`
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

// Class is what a write puts at risk; writes with a class are counted against thresholds (rule D2).
type Class string

// The classes. Ordinary writes have none.
const (
	Ordinary     Class = ""
	Deletes      Class = "deletes"
	Irrevocable  Class = "irrevocable-deletes" // of kinds that the tenant cannot restore
	Memberships  Class = "removed-memberships"
	Destructive  Class = "destructive-updates" // disabling, UPN or mail changed, attributes cleared
	SignIns      Class = "sign-in-changes"     // UPNs changed, where the policy holds such changes (J6)
	OwnerChanges Class = "owner-changes"       // objects that change engine because other choices take them (T3)
	FilteredAway Class = "filtered"            // the object exists, and its owner's rules leave it out (D1)
	Adoptions    Class = "first-adoption"      // joins, creates that resemble an object of the tenant, writes to objects that Tandem did not make (J5)
	NameSwaps    Class = "name-swaps"          // cycles of objects that exchange sign-in names (J6)

	LostControllers Class = "lost-controllers" // whether a controller is lost that got a write and never answered; nothing is written by it
	GoneGroups      Class = "gone-groups"      // whether users leave whose group inside a group of the policy was deleted or emptied; nothing is written by it
)

// Intent is a write about to be sent, and the result of its success.
type Intent struct {
	Write      cloud.Write `json:"write"`
	Claim      Claim       `json:"claim"`
	Final      bool        `json:"final,omitempty"` // the last write of its proposal: success settles the feature
	Class      Class       `json:"class,omitempty"`
	Assignment string      `json:"assignment,omitempty"`
	Count      int         `json:"count,omitempty"`    // number of affected objects, for Class
	Grave      string      `json:"grave,omitempty"`    // digest of the grave part: the write uses up its approval
	Approved   bool        `json:"approved,omitempty"` // a person approved it
	Pair       *Pair       `json:"pair,omitempty"`     // of the first write of an update: what it writes over what
}

// Claim is how a row changes when a decision settles the key or a write is done.
type Claim struct {
	CloudID string         `json:"cloudId,omitempty"`
	Anchor  string         `json:"anchor,omitempty"` // base64, as joined (I2)
	Key     string         `json:"key,omitempty"`    // uniqueName, if Tandem set it
	Origin  Origin         `json:"origin,omitempty"`
	Place   scoping.GUID   `json:"place"`
	Chain   []scoping.GUID `json:"chain,omitempty"`  // the place's ancestors at that time, so that L1 needs no census of the past
	Chosen  []scoping.GUID `json:"chosen,omitempty"` // the choices that took the object at that time
	Version uint64         `json:"version,omitempty"`
	Hash    string         `json:"hash,omitempty"`
	Owner   string         `json:"owner,omitempty"` // engine of record from now on; the record's engine when empty
	State   RowState       `json:"state,omitempty"` // the row's new state, if it changes
	Attrs   []string       `json:"attrs,omitempty"` // the tenant attributes that the proposal manages

	Never *Never `json:"never,omitempty"` // of references: ends that cannot be referred to in the tenant

	// Took are references, by cloud id, that the tenant has and the directory wants: Tandem looks after them from now on (D3), even those that others wrote.
	// Tracks marks records in which references are tracked singly; older ones were not.
	Took   []string `json:"took,omitempty"`
	Tracks bool     `json:"tracks,omitempty"`

	// Restores is the wave whose values the write takes back. Such a write says nothing about what the engine wants: the engine's Hash and Attrs
	// stay, so that restored attributes do not look managed.
	Restores string `json:"restores,omitempty"`
}

// Never counts an object's references that cannot exist in the tenant: to contacts, computers, service accounts, principals of other forests. They
// are left out, and reported (standing S6).
type Never struct {
	Count int                `json:"count"`
	Some  []scoping.ObjectID `json:"some"` // the first of them in order, at most MaxNever
}

// MaxNever is the most ends that a Never names.
const MaxNever = 50

// Equal reports whether both have the same content.
func (n *Never) Equal(o *Never) bool {
	if n == nil || o == nil {
		return n == o
	}
	return n.Count == o.Count && slices.Equal(n.Some, o.Some)
}

// Settlement is the answer to one attempt of an intent.
type Settlement struct {
	Intent string       `json:"intent"`
	Result cloud.Result `json:"result"`
	Until  int64        `json:"until,omitempty"` // for InDoubt: when the doubt ends, in ms on the steady scale
}

// DoubtEnd is the end of a doubt. How is "seen" (the tenant shows the write's effect), "repeated" (the same idempotent write was sent again and
// answered) or "expired" (GhostLife passed and the tenant does not show it).
type DoubtEnd struct {
	Intent  string `json:"intent"`
	How     string `json:"how"`
	CloudID string `json:"cloudId,omitempty"`
	Quiet   int64  `json:"quiet,omitempty"` // until then (steady ms) no different write is sent to the object
	// Shown are the references of the write that the tenant shows when the doubt expires: it took effect, and others changed part of it since.
	Shown []string `json:"shown,omitempty"`
}

// Transit is an owner change made by a move in the directory (rule T1).
type Transit struct {
	From string `json:"from"`
	To   string `json:"to"`
	Runs int    `json:"runs,omitempty"` // number of complete runs of To that did not claim the object
}

// BaselineEntry is the tenant's state of one object before a wave touched it.
type BaselineEntry struct {
	Object scoping.ObjectID `json:"object"`
	Cloud  cloud.Object     `json:"cloud"`
}

// Return is how a rollback ended for one value that the wave's target wrote.
type Return string

const (
	PutBack       Return = "restored"   // it has the value from before the wave's first write
	BySource      Return = "ad-changed" // the earlier engine writes it from the directory as it is now, or the object belongs to another engine or is deleted
	ByOthers      Return = "foreign"    // it was changed by others since
	NotRestorable Return = "impossible"
	MemberStays   Return = "membership"         // the wave added it, and it is still there
	MemberLeft    Return = "membership-removed" // the wave added it, and it was removed since
)

// Restoration is one line of a rollback's report: an attribute of an object, or one reference that the wave added.
type Restoration struct {
	Object    scoping.ObjectID `json:"object"`
	Attribute string           `json:"attribute"`
	Outcome   Return           `json:"outcome"`
	Value     []string         `json:"value,omitempty"` // from before the wave's first write; of a reference: the other end's cloud id
	Reason    string           `json:"reason,omitempty"`
}

// Encode returns a record's bytes for the log.
func Encode(r Record) []byte {
	r.V = Version
	b, err := json.Marshal(r)
	if err != nil {
		panic("ledger: a record that cannot be encoded: " + err.Error()) // it has only plain types of this package
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

// Moment returns when a record was made, in ms on the steady scale; those of older versions go by the wall clock.
func (r Record) Moment() int64 { return cmp.Or(r.Steady, r.At) }

// Ends returns the intent whose success a record reports.
func (r Record) Ends() (intent string, ended bool) {
	switch {
	case r.Type == SettleType && r.Settle != nil:
		return r.Settle.Intent, r.Settle.Result.Status == cloud.Done
	case r.Type == DoubtType && r.Doubt != nil:
		return r.Doubt.Intent, r.Doubt.How == "seen" || r.Doubt.How == "repeated"
	}
	return "", false
}
