package simulation

import (
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/scoping"
)

// The tenant's domains: one that it has from the beginning, the initial one, and one that is verified only later.
const (
	initialDomain = "sim.onmicrosoft.com"
	lateDomain    = "late.test"
)

// verifyDomain lets the tenant verify the late domain.
func (w *world) verifyDomain() {
	if slices.Contains(w.verified, lateDomain) {
		return
	}
	w.verified = append(w.verified, lateDomain)
	w.saw(Domains)
	w.note(scoping.GUID{}, Verified)
	w.log("the tenant verified the domain %s", lateDomain)
}

// signIn returns the name under which the tenant knows a user: of a verified domain, else of the initial one (rule J6).
func (w *world) signIn(upn string) string {
	name, domain, _ := strings.Cut(upn, "@")
	if slices.Contains(w.verified, domain) {
		return upn
	}
	return name + "@" + initialDomain
}
