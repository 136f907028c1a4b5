package control

import "github.com/tandem-sync/tandem/scoping"

// formatVersion is the format of control's content. Others are refused.
const formatVersion = 1

// Head is the small part of control that every change rewrites.
type Head struct {
	Version      int           `json:"version"`
	Installation string        `json:"installation"`
	Epoch        scoping.Epoch `json:"epoch"`          // the newest
	Plan         string        `json:"plan,omitempty"` // fingerprint of the last plan that changed more of the policy than owners
	// Adopting maps the engines whose first full run was not accepted yet (rule J5) to the epoch in which their adoption began.
	Adopting map[string]scoping.Epoch `json:"adopting,omitempty"`
	// ReadOnly is why nothing is written until a person activates the state: it was restored, or the tenant was taken over (rule H2).
	ReadOnly string    `json:"readOnly,omitempty"`
	Restored *Restored `json:"restored,omitempty"` // details of ReadOnly

	Signed    []Signature `json:"signed,omitempty"`    // nonces with which this state signed the tenant's mark, the newest last
	SignedAt  int64       `json:"signedAt,omitempty"`  // time of the newest; Unix ms
	NotBefore int64       `json:"notBefore,omitempty"` // nothing is sent before this time, as another host may still write; Unix ms
	Refused   *Refusal    `json:"refused,omitempty"`   // the last reading of the tenant's mark, if that refused this host
	Strange   string      `json:"strange,omitempty"`   // why a directory is another domain than the state's, by its last reading
	Bound     *Binding    `json:"bound,omitempty"`     // nil: no policy was put in force, or only by an older version
	Scale     *Scale      `json:"scale,omitempty"`     // the scale that unanswered requests are timed by
}

// Signature is one nonce that this state signed the mark with, and the signing host.
type Signature struct {
	Nonce string `json:"nonce"`
	Host  string `json:"host"`
}

// Refusal is why a host may not write, as it was last found; stored so that later commands say so at once.
type Refusal struct {
	Why string `json:"why"`
	At  int64  `json:"at"` // Unix ms
}

// Binding is the tenant and the directories that a state belongs to. It is made when the first policy is put in force, and never changed: other
// directories or tenants have other people under the same names.
type Binding struct {
	Tenant      string             `json:"tenant"` // "" if it could not be read
	Directories map[string]BoundTo `json:"directories"`
}

// BoundTo is the domain of a directory.
type BoundTo struct {
	Root scoping.GUID `json:"root"` // objectGUID of the domain's root
	Base string       `json:"base"`
}

// Restored describes a state that writes nothing until a person activates it: it came from a backup, or its host took the tenant over (rule H2).
// Engines are granted shadow only.
type Restored struct {
	Kind string             `json:"kind"` // "restore" or "takeover"
	From string             `json:"from"` // the backup's file, or the host that the tenant was taken from
	By   string             `json:"by"`
	At   int64              `json:"at"`             // Unix ms
	Full map[string]FullRun `json:"full,omitempty"` // engine → its last complete full run since
}

// FullRun is a full run of an engine that a person asked for, and whose differences that person was shown.
type FullRun struct {
	By     string `json:"by"`
	At     int64  `json:"at"`     // Unix ms
	Writes int    `json:"writes"` // objects that the engine would write
}

// Scale is a scale of time that steps of the wall clock do not move: the time since the machine started, plus what the wall clock said when the first
// process of this start asked. Unanswered requests are timed by it (rule P6), since a person or a time service may set the wall clock an hour ahead
// meanwhile. Across starts of the machine there is only the wall clock.
type Scale struct {
	Boot string `json:"boot"` // the start of the machine
	At   int64  `json:"at"`   // the wall clock at that start, Unix ms
}
