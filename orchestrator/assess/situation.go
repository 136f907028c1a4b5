package assess

import (
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Situation is what an assessment knows beside the directory. It is a snapshot; what is nil or empty is not known or not there.
type Situation struct {
	Engines []Engine // configured, in their order

	Tenant        *cloud.Cache // nil: it was not read
	Verified      map[string]bool
	InitialDomain string
	// Power says of objects of the tenant that they hold or may activate a directory role, and why.
	Power map[string]string

	// Of a policy in force; Owner is nil without one.
	Owner    func(scoping.ObjectID, scoping.Kind, scoping.Feature) (engine string)
	Features []scoping.Feature           // that it switches on
	Chosen   func(scoping.ObjectID) bool // taken by an assignment that chooses objects one by one
	Linked   func(scoping.ObjectID) (Link, bool)
	Belongs  func(cloudID string) bool // to an object of a directory
	Marked   []Marked

	General []General // what is found that is not about objects
}

// Link is what the ledger knows of an object in the tenant.
type Link struct {
	CloudID string
	Anchor  string // that it was joined with
	Brought bool   // it was made of an object of the tenant, which is its authority
}

// Marked is an object of which something is known that a migration has to know as well.
type Marked struct {
	Object scoping.ObjectID
	Code   Code
	Detail string
}

// General is a finding about everything.
type General struct {
	Code   Code
	Detail string
	About  []string // names
}

// linked returns what the ledger knows of an object.
func (s Situation) linked(id scoping.ObjectID) (Link, bool) {
	if s.Linked == nil {
		return Link{}, false
	}
	return s.Linked(id)
}

// belongs reports whether an object of the tenant is linked with one of a directory.
func (s Situation) belongs(cloudID string) bool { return s.Belongs != nil && s.Belongs(cloudID) }
