package tenant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Level is how serious a finding is.
type Level string

// The levels.
const (
	Fine    Level = "ok"
	Note    Level = "note"    // worth knowing
	Warning Level = "warning" // works, but not everything or not for long
	Failure Level = "failure" // has to be fixed first
)

// Finding is one line of `tandem check`.
type Finding struct {
	Subject string `json:"subject"` // connection, token, permission …, clock, organization, domains, marker
	Level   Level  `json:"level"`
	Text    string `json:"text"`
	Hint    string `json:"hint,omitempty"` // what to do
}

// Tokens fail if the clocks differ by more than skewFails. From skewWarns on they may fail soon.
const (
	skewFails = 5 * time.Minute
	skewWarns = time.Minute
)

// Check tries what Tandem needs of the tenant, and writes nothing. After a failure it tries the rest, unless the tenant gives no token or cannot be reached.
func (c *Client) Check(ctx context.Context) []Finding {
	token, err := c.tokens.get(ctx)
	if err != nil {
		return []Finding{failure("token", err)}
	}
	out := []Finding{{Subject: "token", Level: Fine, Text: "application " + c.config.ClientID + " of tenant " + c.config.TenantID + " signs in"}}
	org, err := c.Organization(ctx)
	if errors.Is(err, ErrUnreachable) {
		return append(out, failure("connection", err))
	}
	out = append(out, Finding{Subject: "connection", Level: Fine, Text: "TLS to " + c.config.Endpoint + ", trusted"}, c.checkClock())
	out = append(out, c.checkOrganization(org, err), c.checkDomains(ctx))
	out = append(out, c.checkReads(ctx)...)
	out = append(out, c.checkDoors(ctx)...)
	out = append(out, checkRoles(token)...)
	return append(out, c.checkMarker(ctx))
}

func failure(subject string, err error) Finding {
	f := Finding{Subject: subject, Level: Failure, Text: err.Error()}
	var e *GraphError
	if errors.As(err, &e) && e.Hint != "" {
		f.Hint, f.Text = e.Hint, strings.TrimSuffix(f.Text, "; "+e.Hint)
	}
	return f
}

// Skew returns how far this host's clock is ahead of the tenant's, by the last answer and to the second.
func (c *Client) Skew() time.Duration { return time.Duration(c.skew.Load()) }

func (c *Client) checkClock() Finding {
	f := Finding{Subject: "clock", Level: Fine, Text: "this host and the tenant agree to within " + skewWarns.String()}
	off := c.Skew().Abs()
	if off <= skewWarns {
		return f
	}
	f.Level, f.Text = Warning, fmt.Sprintf("this host's clock is %s away from the tenant's", c.Skew().Round(time.Second))
	f.Hint = "synchronize this host's clock (NTP)"
	if off > skewFails {
		f.Level = Failure
	}
	return f
}

func (c *Client) checkOrganization(o Organization, err error) Finding {
	if err != nil {
		return failure("organization", err)
	}
	f := Finding{Subject: "organization", Level: Fine, Text: o.Name + " (" + o.ID + ")"}
	if o.Synced {
		f.Level = Note
		f.Text += " is fed by Microsoft's engines; objects that they own refuse writes through Graph"
	}
	return f
}

func (c *Client) checkDomains(ctx context.Context) Finding {
	domains, err := c.Domains(ctx)
	if err != nil {
		return failure("domains", err)
	}
	var names []string
	for _, d := range domains {
		names = append(names, d.Name)
	}
	f := Finding{Subject: "domains", Level: Fine, Text: "verified: " + strings.Join(names, ", ")}
	if !slices.ContainsFunc(domains, func(d Domain) bool { return !d.Initial }) {
		f.Level, f.Text = Warning, "only the initial domain is verified"
		f.Hint = "verify the domains of the users' UPNs in the tenant, or set upn.unverifiedSuffix to initialDomain"
	}
	return f
}

// checkReads tries a small read for each permission that reading needs.
func (c *Client) checkReads(ctx context.Context) []Finding {
	reads := []struct{ subject, need, path string }{
		{"read users", permUser, "/users?$select=id&$top=1"},
		{"read groups", permGroup, "/groups?$select=id&$top=1"},
		{"read deleted users", permUser, "/directory/deletedItems/microsoft.graph.user?$select=id&$top=1"},
		{"read deleted groups", permGroup, "/directory/deletedItems/microsoft.graph.group?$select=id&$top=1"},
		{"read directory roles", permRoles, "/roleManagement/directory/roleAssignments"},
		{"read who may activate roles", permRoles, "/roleManagement/directory/roleEligibilitySchedules"},
	}
	var out []Finding
	for _, r := range reads {
		var page map[string]json.RawMessage
		err := c.patient().get(ctx, r.subject, r.need, r.path, &page)
		switch {
		case err == nil:
			out = append(out, Finding{Subject: r.subject, Level: Fine, Text: "permitted"})
		case unlicensed(err):
			out = append(out, Finding{Subject: r.subject, Level: Note, Text: "the tenant has no licence for activated roles, so there are none"})
		default:
			out = append(out, failure(r.subject, err))
		}
	}
	return out
}

// checkDoors returns the capabilities that need a door, and for absent ones what does it instead.
func (c *Client) checkDoors(ctx context.Context) []Finding {
	var out []Finding
	for _, x := range c.Capabilities(ctx) {
		if x.door == "" {
			continue
		}
		f := Finding{Subject: x.Name, Level: Fine, Text: "the tenant takes them at a door of the lab"}
		if !x.Present {
			f.Level, f.Text = Note, x.Why
		}
		out = append(out, f)
	}
	return out
}

// checkRoles compares the permissions in the token with those that are needed. Writes cannot be tried, so the token is the only sign of their permissions. A token that cannot
// be read is no failure: by Microsoft's contract, tokens are opaque to clients.
func checkRoles(token string) []Finding {
	roles, ok := rolesIn(token)
	if !ok {
		return []Finding{{Subject: "permissions", Level: Note, Text: "the token does not show its permissions; those for writing show when they are used"}}
	}
	var out []Finding
	for _, p := range Permissions() {
		f := Finding{Subject: "permission " + p.Name, Level: Fine, Text: "granted"}
		if !covers(roles, p.Name) {
			f.Level, f.Text, f.Hint = Warning, "not granted: "+p.For, fmt.Sprintf(consent, p.Name)
			if p.Must {
				f.Level = Failure
			}
		}
		out = append(out, f)
	}
	return out
}

// wider are permissions that include others.
var wider = map[string][]string{
	permMember: {permGroup, "Directory.ReadWrite.All"}, permGroup: {"Directory.ReadWrite.All"},
	permUser: {"Directory.ReadWrite.All"}, permRestore: {permUser, "Directory.ReadWrite.All"},
	permOrg:    {"Organization.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
	permDomain: {"Domain.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All"},
	permRoles:  {"RoleManagement.ReadWrite.Directory", "RoleManagement.Read.All"}, permApp: {"Application.ReadWrite.All"},
	permContact: {"Directory.Read.All", "Directory.ReadWrite.All"},
}

func covers(roles []string, name string) bool {
	return slices.Contains(roles, name) || slices.ContainsFunc(wider[name], func(w string) bool { return slices.Contains(roles, w) })
}

// rolesIn reads the application permissions from a token. It does not verify the token; Graph does.
func rolesIn(token string) ([]string, bool) {
	pieces := strings.Split(token, ".")
	if len(pieces) != 3 {
		return nil, false
	}
	payload, err := base64.RawURLEncoding.DecodeString(pieces[1])
	if err != nil {
		return nil, false
	}
	var claims struct {
		Roles []string `json:"roles"`
	}
	return claims.Roles, json.Unmarshal(payload, &claims) == nil
}

func (c *Client) checkMarker(ctx context.Context) Finding {
	m, found, permitted, err := c.Marker(ctx)
	switch {
	case err != nil:
		return failure("marker", err)
	case !permitted:
		return Finding{Subject: "marker", Level: Warning, Text: "the application may not keep the tenant's mark: a second installation, a cloned machine and a restored backup that write to this tenant are not noticed",
			Hint: fmt.Sprintf(consent, permApp)}
	case !found:
		return Finding{Subject: "marker", Level: Fine, Text: "no installation of Tandem has marked this tenant"}
	}
	text := fmt.Sprintf("installation %s, incarnation %d", m.Installation, m.Incarnation)
	if m.Name != "" {
		text += fmt.Sprintf(", host %s, which began to write at %s", m.Name, m.At.Format(time.RFC3339))
	}
	return Finding{Subject: "marker", Level: Fine, Text: text}
}
