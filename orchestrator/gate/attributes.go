package gate

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// table says which tenant attributes belong to which feature: every attribute stands in exactly one row (rule F2).
var table = map[scoping.Feature][]string{
	scoping.Users: {"accountEnabled", "ageGroup", "businessPhones", "city", "companyName", "country", "department", "displayName",
		"employeeId", "employeeType", "faxNumber", "givenName", "jobTitle", "mail", "mailNickname", "mobilePhone", "officeLocation",
		"otherMails", "postalCode", "preferredLanguage", "state", "streetAddress", "surname", "usageLocation", "userPrincipalName"},
	scoping.Groups:     {"description", "displayName", "mailEnabled", "mailNickname", "securityEnabled"},
	scoping.References: {cloud.Manager, cloud.Members},
}

// Attributes gives the tenant attributes of a feature, sorted; false for a feature that the gate does not know.
func Attributes(f scoping.Feature) ([]string, bool) {
	a, ok := table[f]
	return slices.Clone(a), ok
}

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }

// desired gives a proposal's values in the canonical form of the tenant.
func desired(p engine.Proposal) cloud.Values {
	out := cloud.Values{}
	for k, v := range p.Desired {
		t := slices.DeleteFunc(slices.Clone(v.Text), func(s string) bool { return s == "" })
		slices.Sort(t)
		out[k] = t
	}
	return out
}

// difference gives the part of want that have does not show, and what have shows there.
func difference(have, want cloud.Values) (set, before cloud.Values) {
	set, before = cloud.Values{}, cloud.Values{}
	for k, w := range want {
		if h := have[k]; !slices.Equal(h, w) {
			set[k] = w
			before[k] = h
		}
	}
	return set, before
}
