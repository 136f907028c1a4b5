package api

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Object is everything known of one object.
type Object struct {
	Explained
	Link     *Link                      `json:"link"` // null: not linked
	Record   map[scoping.Feature]string `json:"ownerOfRecord"`
	Password *Password                  `json:"password"` // the one that was handed over to the tenant; null: none was
	Values   map[string][]string        `json:"directoryValues"`
	Tenant   *cloud.Object              `json:"tenant"`
	Foreign  []string                   `json:"foreignReferences"`       // members or manager in the tenant that others wrote
	Members  []End                      `json:"tenantMembers,omitempty"` // the first, by name; tenant.members has the ids of all
	Manager  *End                       `json:"tenantManager,omitempty"`
	Missing  []Missing                  `json:"missingReferences"`  // ends that the directory has and the tenant does not
	Excluded string                     `json:"excluded,omitempty"` // why its owner's rules leave it out
	Left     string                     `json:"left,omitempty"`     // why it is left out, by rules or by the policy, as a sentence
	Errors   []Debt                     `json:"errors"`
	Findings []Finding                  `json:"findings"`
	Journal  []Record                   `json:"journal"`
}

// Link is the tie between a directory object and its cloud object.
type Link struct {
	CloudID string          `json:"cloudId"`
	Anchor  string          `json:"anchor"` // as it was when joined
	Origin  ledger.Origin   `json:"origin"`
	State   ledger.RowState `json:"state"`
	Transit *ledger.Transit `json:"transit,omitempty"`
}

// End is a tenant object at the other end of a reference.
type End struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Missing is an end of a reference that is not in the tenant, and why.
type Missing struct {
	Object scoping.ObjectID `json:"object"`
	Name   string           `json:"name"`
	Why    string           `json:"why"`
}

// references returns the names of the ends of a tenant object's references.
func (out *Object) references(o *cloud.Object, name func(id string) string) {
	if o == nil {
		return
	}
	for _, id := range o.Members[:min(len(o.Members), mostMembers)] {
		out.Members = append(out.Members, End{id, name(id)})
	}
	if o.Manager != "" {
		out.Manager = &End{o.Manager, name(o.Manager)}
	}
}

// mostMembers is the most members of a group that an answer names.
const mostMembers = 200

// Password is which password the tenant has, without its value.
type Password struct {
	SetAt      string `json:"setAt"`  // in the directory
	Engine     string `json:"engine"` // the owner of record
	MustChange bool   `json:"mustChange"`
	Version    uint32 `json:"version"` // how often it was set
}

func object(ctx context.Context, c *call, q RefRequest) (any, Outcome, error) {
	r, err := c.h.o.Host().Object(ctx, q.Ref)
	if err != nil {
		return nil, Outcome{}, err
	}
	out := Object{Explained: explainedOf(r.Explained), Record: r.Record, Values: r.Directory, Tenant: r.Cloud, Foreign: r.Foreign, Excluded: r.Excluded, Errors: []Debt{}, Missing: []Missing{}, Journal: []Record{}}
	if r.Row != nil {
		out.Link = &Link{CloudID: r.Row.CloudID, Anchor: r.Row.Anchor, Origin: r.Row.Origin, State: r.Row.State, Transit: r.Row.Transit}
	}
	if s, must, ok := gate.HandedOver(r.Row); ok {
		out.Password = &Password{SetAt: stamp(s.Changed.UnixMilli()), Engine: r.Record[scoping.PasswordHash], MustChange: must, Version: s.Version}
	}
	for _, d := range r.Debts {
		x := failureOf(d)
		if d.Cause != nil {
			x.Cause = &Cause{d.Cause.Object, c.h.o.Host().Name(d.Cause.Object), d.Cause.Feature}
		}
		out.Errors = append(out.Errors, x)
	}
	for _, d := range c.h.o.Host().Doubtful(&r.Object) {
		out.Errors = append(out.Errors, doubtOf(d))
	}
	out.Findings = findingsOf(r.Findings)
	out.references(r.Cloud, c.h.o.Host().CloudName)
	for _, m := range r.Missing {
		out.Missing = append(out.Missing, Missing(m))
	}
	if r.Left != nil {
		out.Left = r.Left.String()
	}
	for _, e := range r.Journal {
		out.Journal = append(out.Journal, recordOf(e))
	}
	return out, Outcome{}, nil
}
