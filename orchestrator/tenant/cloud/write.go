package cloud

import (
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// Op is the operation of a write. Each is one HTTP request, and may be repeated.
type Op string

const (
	Create       Op = "create"        // users and contacts by POST with the anchor; groups by upsert on uniqueName (rule J3)
	Update       Op = "update"        // PATCH of Set
	Delete       Op = "delete"        // DELETE by id; 404 is done (rule X3)
	Restore      Op = "restore"       // from the deleted items by id
	AddMembers   Op = "add-members"   // up to MaxMembers of Refs
	RemoveMember Op = "remove-member" // exactly one of Refs; 404 is done
	SetManager   Op = "set-manager"   // exactly one of Refs
	ClearManager Op = "clear-manager"
	SetPassword  Op = "set-password" // hands over the credential of a user's password
)

// MaxMembers is the most members that Graph takes in one request.
const MaxMembers = 20

// Write is one request to the tenant. Its secrets are never stored: the password of a new user is made when it is sent, and a credential is lent to
// the sender (rule X4).
type Write struct {
	ID      string       `json:"id"` // of the intent, unique in the log
	Op      Op           `json:"op"`
	Kind    scoping.Kind `json:"kind"`
	CloudID string       `json:"cloudId,omitempty"` // absent for Create
	Anchor  string       `json:"anchor,omitempty"`  // for Create and joins: base64
	Key     string       `json:"key,omitempty"`     // groups: uniqueName
	Set     Values       `json:"set,omitempty"`     // no values: clear
	Refs    []string     `json:"refs,omitempty"`    // cloud ids

	Password *Password `json:"password,omitempty"` // of SetPassword
}

// Password is what SetPassword writes, with its number: the tenant refuses a password after one with a higher number of the same log, so that a late
// request changes nothing.
type Password struct {
	Stamp      string `json:"stamp"`   // credential.Stamp.Text of the change
	Changed    int64  `json:"changed"` // when it was changed, Unix seconds
	MustChange bool   `json:"mustChange,omitempty"`
	By         string `json:"by"`  // the engine
	Log        string `json:"log"` // the installation that numbers it
	// Number is that of the intent in the log, and unknown before the intent is recorded.
	Number     uint64        `json:"-"`
	Credential *secret.Value `json:"-"` // wiped by the proposer; nil after that
}

// UniqueNameOf returns the key under which Tandem creates the group with an anchor (rule J3).
func UniqueNameOf(anchor []byte) string {
	const hexDigits = "0123456789abcdef"
	b := []byte("tandem-")
	for _, c := range anchor {
		b = append(b, hexDigits[c>>4], hexDigits[c&15])
	}
	return string(b)
}

// AnchorOf returns the anchor that a group's unique name was made of; false: it is not one of Tandem's.
func AnchorOf(uniqueName string) ([]byte, bool) {
	digits, ours := strings.CutPrefix(uniqueName, "tandem-")
	anchor, err := hex.DecodeString(digits)
	return anchor, ours && err == nil && len(anchor) > 0
}

// Shows reports whether an object that was just read from the tenant shows the effect of w, which ends a doubt (rule P6). A nil o was found neither
// live nor deleted.
func (w Write) Shows(o *Object) bool {
	if o == nil {
		return false
	}
	if w.Op == Delete {
		return o.Deleted
	}
	if o.Deleted {
		return false
	}
	switch w.Op {
	case AddMembers:
		return !slices.ContainsFunc(w.Refs, func(id string) bool { return !o.HasMember(id) })
	case RemoveMember:
		return len(w.Refs) == 1 && !o.HasMember(w.Refs[0])
	case SetManager:
		return len(w.Refs) == 1 && o.Manager == w.Refs[0]
	case ClearManager:
		return o.Manager == ""
	case Restore:
		return true
	}
	for k, v := range w.Set {
		if !slices.Equal(o.Values[k], v) {
			return false
		}
	}
	return true
}

// Status is the result of one physical attempt of a write.
type Status uint8

const (
	Done      Status = iota + 1
	Rejected         // the tenant answered and did nothing
	Throttled        // 429 or 503, certainly without effect; RetryAfter is when to try again
	NotSent          // it did not leave this host: no connection, no token
	InDoubt          // it may have left, and no answer came (rule P6)
)

// String returns the status's name.
func (s Status) String() string {
	return [...]string{"?", "done", "rejected", "throttled", "not-sent", "in-doubt"}[s]
}

// Result is the answer to one attempt of one write.
type Result struct {
	Status     Status        `json:"status"`
	CloudID    string        `json:"cloudId,omitempty"` // of the created or existing object
	HTTP       int           `json:"http,omitempty"`
	Code       string        `json:"code,omitempty"` // Graph's error code
	Message    string        `json:"message,omitempty"`
	RequestID  string        `json:"requestId,omitempty"`
	Conflict   bool          `json:"conflict,omitempty"`  // another object has the UPN, anchor or nickname
	Missing    bool          `json:"missing,omitempty"`   // the object of the write does not exist
	Attribute  string        `json:"attribute,omitempty"` // the attribute that the tenant names, if any
	End        string        `json:"end,omitempty"`       // the one of Refs that the tenant names, if any: its cloud id
	RetryAfter time.Duration `json:"retryAfter,omitempty"`
}

// Key selects objects to be read directly from the tenant: exactly one of ID, Anchor, UniqueName and UPN is set. Deleted selects among the deleted
// items instead of the live objects.
type Key struct {
	Kind       scoping.Kind
	ID         string
	Anchor     string
	UniqueName string
	UPN        string
	Deleted    bool
}

// Codes that Tandem acts upon, in place of Graph's own in Result.Code; every other code is Graph's.
const (
	// CodeImpossible means that the write can never be sent (an attribute that Graph does not take, a malformed write).
	CodeImpossible = "impossible"
	// CodeAlreadyMember means that at least one of the members is one already, and none was added: Graph adds all or nothing.
	CodeAlreadyMember = "already-member"
	// CodeReferenceMissing means that a member or manager does not exist, or the object itself is too new to take it (lag).
	CodeReferenceMissing = "reference-missing"
	// CodeConflict means that another object has a unique value. ":" and the property follow if Graph names it, and CloudID is that object's if it
	// was found.
	CodeConflict = "conflict"
)
