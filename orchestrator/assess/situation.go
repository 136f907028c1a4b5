package assess

import (
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Situation is what an assessment knows beside the directory: a snapshot. A nil or empty field means that this is not known, or that
// there is none.
type Situation struct {
	Engines []Engine // in the order of the configuration

	Tenant        *cloud.Cache // nil: it was not read
	Verified      map[string]bool
	InitialDomain string
	// Power contains the objects of the tenant that hold or may activate a directory role, by their ids, with a sentence about it.
	Power map[string]string

	// Of a policy in force; Owner is nil without one.
	Owner    func(scoping.ObjectID, scoping.Kind, scoping.Feature) (engine string)
	Features []scoping.Feature           // that it switches on
	Chosen   func(scoping.ObjectID) bool // reports whether an assignment that chooses objects one by one selects the object
	Linked   func(scoping.ObjectID) (Link, bool)
	Belongs  func(cloudID string) bool // reports whether an object of a directory is linked to it
	Marked   []Marked

	General []General // findings that are not about objects
}

// Link is what the ledger knows about the tenant object of a directory's object.
type Link struct {
	CloudID string
	Anchor  string // that it was joined with
	Brought bool   // the directory's object was created from the tenant's, which is its source
}

// Marked is a finding about one object that was made elsewhere, such as an open doubt.
type Marked struct {
	Object scoping.ObjectID
	Code   Code
	Detail string
}

// General is a finding about everything.
type General struct {
	Code   Code
	Detail string
	About  []string // names, as examples
}

// linked returns the link of an object, and whether it has one.
func (s Situation) linked(id scoping.ObjectID) (Link, bool) {
	if s.Linked == nil {
		return Link{}, false
	}
	return s.Linked(id)
}

// belongs reports whether an object of the tenant is linked to one of a directory.
func (s Situation) belongs(cloudID string) bool { return s.Belongs != nil && s.Belongs(cloudID) }
