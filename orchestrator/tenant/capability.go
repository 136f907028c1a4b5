package tenant

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Capability is something that an engine may need of the tenant, and whether this tenant has it (rule J4).
type Capability struct {
	Name    string          `json:"name"`
	Feature scoping.Feature `json:"feature"` // that needs it
	Present bool            `json:"present"`
	Why     string          `json:"why,omitempty"` // it is absent
	door    string          // the door through which a tenant may have it; empty: there is none
}

// capabilities are those of Microsoft Graph v1.0 with application permissions. The files that use them name Microsoft's pages.
var capabilities = []Capability{
	{"users", scoping.Users, true, "", ""},
	{"restore-users", scoping.Users, true, "", ""},
	{"security-groups", scoping.Groups, true, "", ""},
	{"members", scoping.References, true, "", ""},
	{"manager", scoping.References, true, "", ""},
	{"extension-attributes", scoping.Extensions, true, "", ""},
	{"restore-security-groups", scoping.Groups, false, "Microsoft's pages contradict each other on whether deleted security groups can be restored", ""},
	{"mail-enabled-security-groups", scoping.Groups, false, "Graph creates security and Microsoft 365 groups only", ""},
	{"distribution-groups", scoping.Groups, false, "Graph creates security and Microsoft 365 groups only", ""},
	{"contacts", scoping.Contacts, false, noContacts, DoorContacts},
	{"devices", scoping.Devices, false, "Graph creates no hybrid-joined devices", ""},
	{"proxy-addresses", scoping.ExchangeHybrid, false, "proxyAddresses are read-only in Graph", ""},
	{"password-hash", scoping.PasswordHash, false, noHashes, DoorCredentials},
	{"password-writeback", scoping.PasswordWriteback, false, noWriteback, DoorWriteback},
	{"mark-as-synced", scoping.Users, false, "what Graph writes stays cloud-managed", ""},
}

// What does it instead: graph.md §13 (https://learn.microsoft.com/graph/api/resources/orgcontact), https://learn.microsoft.com/entra/identity/hybrid/connect/whatis-phs and
// https://learn.microsoft.com/entra/identity/authentication/concept-sspr-writeback.
const (
	noContacts  = "public Graph only reads contacts: Entra Connect Sync, Cloud Sync or Exchange Online make and change them"
	noHashes    = "Graph takes no password hashes: Entra Connect Sync or Cloud Sync send them, through a private service"
	noWriteback = "Graph hands out no password changes: Entra Connect Sync or Cloud Sync write them back, through a private relay"
)

// Capabilities returns what this tenant can do: what public Graph can, and what the tenant's doors add. If the tenant does not answer the question for its doors, the
// capabilities that need one are absent for that reason.
func (c *Client) Capabilities(ctx context.Context) []Capability {
	out := slices.Clone(capabilities)
	var silent error // of the first question: the others would wait as long, so they are not asked
	for i, x := range out {
		if x.door == "" {
			continue
		}
		open := false
		if silent == nil {
			open, silent = c.Door(ctx, x.door)
		}
		switch {
		case silent != nil:
			out[i].Why = "the tenant could not be asked whether it has this: " + silent.Error()
		case open:
			out[i].Present, out[i].Why = true, ""
		}
	}
	return out
}

// Can reports whether the tenant has any capability for a feature.
func (c *Client) Can(ctx context.Context, f scoping.Feature) bool {
	return slices.ContainsFunc(c.Capabilities(ctx), func(x Capability) bool { return x.Feature == f && x.Present })
}

// Refused returns the features for which the tenant has no capability, and why.
func (c *Client) Refused(ctx context.Context) map[scoping.Feature]string {
	out, can := map[scoping.Feature]string{}, map[scoping.Feature]bool{}
	for _, x := range c.Capabilities(ctx) {
		can[x.Feature] = can[x.Feature] || x.Present
		if out[x.Feature] = x.Why; can[x.Feature] {
			delete(out, x.Feature)
		}
	}
	return out
}
