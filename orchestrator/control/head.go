package control

import "github.com/tandem-sync/tandem/scoping"

// formatVersion is that of what control holds. Another one is refused.
const formatVersion = 1

// Head is the small heart of control.
type Head struct {
	Version      int           `json:"version"`
	Installation string        `json:"installation"`
	Epoch        scoping.Epoch `json:"epoch"`          // the newest
	Plan         string        `json:"plan,omitempty"` // fingerprint of the last plan that changed the policy beside who owns what
	// Adopting are the engines whose first full run was not accepted yet (rule J5), and since when.
	Adopting map[string]scoping.Epoch `json:"adopting,omitempty"`
	// ReadOnly is why nothing is written until a person activates the state: it was restored, or the tenant was taken over (rule H2).
	ReadOnly string    `json:"readOnly,omitempty"`
	Restored *Restored `json:"restored,omitempty"` // what that waits for

	Signed    []Signature `json:"signed,omitempty"`    // with which this state marked the tenant, the newest last
	SignedAt  int64       `json:"signedAt,omitempty"`  // when the newest was made; Unix ms
	NotBefore int64       `json:"notBefore,omitempty"` // nothing is sent before it: another host may still write; Unix ms
	Refused   *Refusal    `json:"refused,omitempty"`   // what the tenant's mark said when it was read last
	Strange   string      `json:"strange,omitempty"`   // which directory answered as another domain when it was read last
	Bound     *Binding    `json:"bound,omitempty"`     // nil: no policy was put in force, or by an older program
	Scale     *Scale      `json:"scale,omitempty"`     // by which requests without an answer are waited for
}

// Signature is one nonce that this state signed the mark with, and as which host.
type Signature struct {
	Nonce string `json:"nonce"`
	Host  string `json:"host"`
}

// Refusal is why a host may not write, as it was found last; kept so that every later command says so at once.
type Refusal struct {
	Why string `json:"why"`
	At  int64  `json:"at"` // Unix ms
}

// Binding is the tenant and the directories that a state belongs to. It is made when the first policy is put in force, and never changed: the
// same names in another directory, or the same directory over another tenant, are other people.
type Binding struct {
	Tenant      string             `json:"tenant"` // "" where it could not be read
	Directories map[string]BoundTo `json:"directories"`
}

// BoundTo is the domain that a directory led to.
type BoundTo struct {
	Root scoping.GUID `json:"root"` // objectGUID of the domain's root
	Base string       `json:"base"`
}

// Restored is a state that writes nothing until a person activates it: it came from a backup, or its host took the tenant over (rule H2). Its
// engines are granted shadow only.
type Restored struct {
	Kind string             `json:"kind"` // "restore" or "takeover"
	From string             `json:"from"` // the backup's file, or whom the tenant was taken from
	By   string             `json:"by"`
	At   int64              `json:"at"`             // Unix ms
	Full map[string]FullRun `json:"full,omitempty"` // engine → its last complete full run since
}

// FullRun is a full run of an engine that a person asked for, and was shown the differences of.
type FullRun struct {
	By     string `json:"by"`
	At     int64  `json:"at"`     // Unix ms
	Writes int    `json:"writes"` // objects that the engine would write
}

// Scale is a scale of time that no step of the wall clock moves: the time since the machine started, beside what the wall clock said when the first process of
// this start asked. A request without an answer is waited for by it (rule P6): the wall clock may be set an hour ahead while it waits, by a person or a time
// service, in one process or between two. Across starts of the machine there is only the wall clock.
type Scale struct {
	Boot string `json:"boot"` // which start of the machine it is of
	At   int64  `json:"at"`   // what the wall clock said at that start, Unix ms
}
