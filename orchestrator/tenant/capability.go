package tenant

import "github.com/tandem-sync/tandem/scoping"

// Capability is something that an engine might want of the tenant, and whether this tenant can do it (rule J4).
type Capability struct {
	Name    string          `json:"name"`
	Feature scoping.Feature `json:"feature"` // that needs it
	Present bool            `json:"present"`
	Why     string          `json:"why,omitempty"` // it is absent
}

// capabilities of Microsoft Graph v1.0 with application permissions; sources in the comments of each package file that uses them.
var capabilities = []Capability{
	{"users", scoping.Users, true, ""},
	{"restore-users", scoping.Users, true, ""},
	{"security-groups", scoping.Groups, true, ""},
	{"members", scoping.References, true, ""},
	{"manager", scoping.References, true, ""},
	{"extension-attributes", scoping.Extensions, true, ""},
	{"restore-security-groups", scoping.Groups, false, "Microsoft's pages contradict each other on whether deleted security groups can be restored"},
	{"mail-enabled-security-groups", scoping.Groups, false, "Graph creates security and Microsoft 365 groups only"},
	{"distribution-groups", scoping.Groups, false, "Graph creates security and Microsoft 365 groups only"},
	{"contacts", scoping.Contacts, false, "Graph only reads organizational contacts"},
	{"devices", scoping.Devices, false, "Graph creates no hybrid-joined devices"},
	{"proxy-addresses", scoping.ExchangeHybrid, false, "proxyAddresses are read-only in Graph"},
	{"password-hash", scoping.PasswordHash, false, "Graph takes no password hashes"},
	{"mark-as-synced", scoping.Users, false, "what Graph writes stays cloud-managed"},
}

// Capabilities says what the public Graph can do, and for what it cannot, why. It is data and asks nobody.
func (c *Client) Capabilities() []Capability { return append([]Capability(nil), capabilities...) }

// Can says whether the tenant has everything that a feature needs in order to be written at all.
func (c *Client) Can(f scoping.Feature) bool {
	for _, x := range capabilities {
		if x.Feature == f && x.Present {
			return true
		}
	}
	return false
}
