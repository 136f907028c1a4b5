package mapping

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Codes with which objects of the tenant are left out: those clauses that Entra applies to every configuration of this direction before any other
// (https://learn.microsoft.com/entra/identity/hybrid/cloud-sync/how-to-attribute-mapping-entra-to-active-directory, "The default security grouping").
const (
	Guest         = "guest"              // a user of another tenant
	NoSecurity    = "not-security-group" // membership of it gives no access
	MailEnabled   = expression.MailEnabledGroup
	Microsoft365  = "microsoft-365-group"
	unifiedGroups = "Unified"
)

// excluded returns the code with which a source is left out, or "".
func excluded(s engine.Source) string {
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
	case slices.Contains(s.Values["groupTypes"].Text, unifiedGroups):
		return Microsoft365
	case first("mailEnabled") == "true":
		return MailEnabled
	case first("securityEnabled") != "true":
		return NoSecurity
	}
	return ""
}
