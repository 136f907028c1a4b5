package mapping

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Code says why an object of the tenant is left out: by those clauses that Entra applies to every configuration of this direction before any other
// (https://learn.microsoft.com/entra/identity/hybrid/cloud-sync/how-to-attribute-mapping-entra-to-active-directory, "The default security grouping").
type Code string

// The codes.
const (
	Guest        Code = "guest"               // a user of another tenant
	NoSecurity   Code = "not-security-group"  // membership of it gives no access
	MailEnabled  Code = "mail-enabled-group"  // it has addresses
	Microsoft365 Code = "microsoft-365-group" // it is a team's, with a mailbox and files of its own
)

// unified is the type of groups of Microsoft 365.
const unified = "Unified"

// excluded returns the code with which a source is left out, or "".
func excluded(s engine.Source) Code {
	first := func(name string) string {
		if v := s.Values[name].Text; len(v) > 0 {
			return v[0]
		}
		return ""
	}
	switch {
	case s.Kind == scoping.User && first("userType") == "Guest":
		return Guest
	case s.Kind != scoping.Group:
		return ""
	case slices.Contains(s.Values["groupTypes"].Text, unified):
		return Microsoft365
	case first("mailEnabled") == "true":
		return MailEnabled
	case first("securityEnabled") != "true":
		return NoSecurity
	}
	return ""
}
