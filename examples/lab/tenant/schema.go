package tenant

import "strings"

// Kind is the type of a directory object, as it stands after "#microsoft.graph.".
type Kind string

// The kinds that the tenant holds.
const (
	User             Kind = "user"
	Group            Kind = "group"
	Contact          Kind = "orgContact"
	ServicePrincipal Kind = "servicePrincipal"
)

func (k Kind) resource() string { return strings.ToUpper(string(k[:1])) + string(k[1:]) }

func (k Kind) odataType() string { return "#microsoft.graph." + string(k) }

// EDM types, as the published metadata names them.
const (
	edmString   = "Edm.String"
	edmBool     = "Edm.Boolean"
	edmTime     = "Edm.DateTimeOffset"
	edmStrings  = "Collection(Edm.String)"
	edmExt      = "graph.onPremisesExtensionAttributes"
	edmPassword = "graph.passwordProfile"
	edmOrgData  = "graph.employeeOrgData"
)

// Property describes one property of a kind, as Microsoft publishes it.
type Property struct {
	Name       string
	Type       string // the type in the published metadata
	ReadOnly   bool
	Shown      bool // returned when a request has no $select
	Needed     bool // demanded on create, and never cleared
	CloudOwned bool // writable on synced objects too
	Filter     bool // accepted in $filter
	Max        int  // longest text in characters; 0 is unlimited
}

type schema struct {
	kind   Kind
	list   []*Property
	byName map[string]*Property
}

// flags: r read-only, s shown by default, n needed, c cloud-owned, f filterable.
func define(kind Kind, name, edm, flags string, limit int) *Property {
	has := func(f string) bool { return strings.Contains(flags, f) }
	return &Property{Name: name, Type: edm, ReadOnly: has("r"), Shown: has("s"), Needed: has("n"), CloudOwned: has("c"), Filter: has("f"), Max: limit}
}

type row struct {
	name, edm, flags string
	max              int
}

func newSchema(kind Kind, rows []row) *schema {
	s := &schema{kind: kind, byName: map[string]*Property{}}
	for _, r := range rows {
		p := define(kind, r.name, r.edm, r.flags, r.max)
		s.list = append(s.list, p)
		s.byName[r.name] = p
	}
	return s
}

var schemas = map[Kind]*schema{
	User: newSchema(User, userRows), Group: newSchema(Group, groupRows),
	Contact: newSchema(Contact, contactRows), ServicePrincipal: newSchema(ServicePrincipal, servicePrincipalRows),
}

// Properties lists what the tenant shows of a kind, in the table's order.
func Properties(kind Kind) []Property {
	var out []Property
	for _, p := range schemas[kind].list {
		out = append(out, *p)
	}
	return out
}

// userRows: https://learn.microsoft.com/graph/api/resources/user (properties, default set, lengths).
var userRows = []row{
	{"id", edmString, "rsf", 0}, {"businessPhones", edmStrings, "s", 64}, {"displayName", edmString, "snf", 256}, {"givenName", edmString, "sf", 64},
	{"jobTitle", edmString, "sf", 128}, {"mail", edmString, "sf", 113}, {"mobilePhone", edmString, "sf", 64}, {"officeLocation", edmString, "sf", 128},
	{"preferredLanguage", edmString, "sf", 64}, {"surname", edmString, "sf", 64}, {"userPrincipalName", edmString, "snf", 113},
	{"accountEnabled", edmBool, "nf", 0}, {"ageGroup", edmString, "f", 0}, {"assignedLicenses", "Collection(graph.assignedLicense)", "r", 0},
	{"city", edmString, "f", 128}, {"companyName", edmString, "f", 64}, {"consentProvidedForMinor", edmString, "f", 0}, {"country", edmString, "f", 128},
	{"createdDateTime", edmTime, "rf", 0}, {"creationType", edmString, "rf", 0}, {"deletedDateTime", edmTime, "r", 0}, {"department", edmString, "f", 64},
	{"employeeHireDate", edmTime, "f", 0}, {"employeeId", edmString, "f", 16}, {"employeeOrgData", edmOrgData, "", 0}, {"employeeType", edmString, "f", 0},
	{"externalUserState", edmString, "rf", 0}, {"faxNumber", edmString, "f", 64}, {"identities", "Collection(graph.objectIdentity)", "r", 0},
	{"imAddresses", edmStrings, "r", 0}, {"lastPasswordChangeDateTime", edmTime, "r", 0}, {"mailNickname", edmString, "nf", 64},
	{"onPremisesDistinguishedName", edmString, "r", 0}, {"onPremisesDomainName", edmString, "r", 0}, {"onPremisesExtensionAttributes", edmExt, "", 1024},
	{"onPremisesImmutableId", edmString, "f", 0}, {"onPremisesLastSyncDateTime", edmTime, "rf", 0},
	{"onPremisesProvisioningErrors", "Collection(graph.onPremisesProvisioningError)", "r", 0}, {"onPremisesSamAccountName", edmString, "rf", 0},
	{"onPremisesSecurityIdentifier", edmString, "rf", 0}, {"onPremisesSyncEnabled", edmBool, "rf", 0}, {"onPremisesUserPrincipalName", edmString, "r", 0},
	{"otherMails", edmStrings, "f", 250}, {"passwordPolicies", edmString, "", 0}, {"passwordProfile", edmPassword, "", 0},
	{"postalCode", edmString, "f", 40}, {"preferredDataLocation", edmString, "c", 0}, {"proxyAddresses", edmStrings, "rf", 0},
	{"securityIdentifier", edmString, "r", 0}, {"showInAddressList", edmBool, "", 0}, {"state", edmString, "f", 128}, {"streetAddress", edmString, "", 1024},
	{"usageLocation", edmString, "cf", 2}, {"userType", edmString, "f", 0},
}

// groupRows: https://learn.microsoft.com/graph/api/resources/group.
var groupRows = []row{
	{"id", edmString, "rsf", 0}, {"deletedDateTime", edmTime, "rs", 0}, {"classification", edmString, "s", 0}, {"createdDateTime", edmTime, "rsf", 0},
	{"description", edmString, "s", 1024}, {"displayName", edmString, "snf", 256}, {"expirationDateTime", edmTime, "rs", 0}, {"groupTypes", edmStrings, "sf", 0},
	{"isAssignableToRole", edmBool, "sf", 0}, {"mail", edmString, "rsf", 0}, {"mailEnabled", edmBool, "snf", 0}, {"mailNickname", edmString, "snf", 64},
	{"membershipRule", edmString, "s", 3072}, {"membershipRuleProcessingState", edmString, "s", 0}, {"onPremisesDomainName", edmString, "rs", 0},
	{"onPremisesExtensionAttributes", edmExt, "r", 0},
	{"onPremisesLastSyncDateTime", edmTime, "rsf", 0}, {"onPremisesNetBiosName", edmString, "rs", 0}, {"onPremisesSamAccountName", edmString, "rsf", 0},
	{"onPremisesSecurityIdentifier", edmString, "rsf", 0}, {"onPremisesSyncEnabled", edmBool, "rsf", 0}, {"preferredDataLocation", edmString, "sc", 0},
	{"preferredLanguage", edmString, "s", 0}, {"proxyAddresses", edmStrings, "rsf", 0}, {"renewedDateTime", edmTime, "rs", 0},
	{"resourceBehaviorOptions", edmStrings, "rs", 0}, {"resourceProvisioningOptions", edmStrings, "rs", 0}, {"securityEnabled", edmBool, "snf", 0},
	{"securityIdentifier", edmString, "rs", 0}, {"theme", edmString, "s", 0}, {"uniqueName", edmString, "sf", 128}, {"visibility", edmString, "s", 0},
	{"onPremisesProvisioningErrors", "Collection(graph.onPremisesProvisioningError)", "rs", 0},
	{"serviceProvisioningErrors", "Collection(graph.serviceProvisioningError)", "rs", 0},
}

// contactRows: https://learn.microsoft.com/graph/api/resources/orgcontact. Graph cannot write them: what is not read only here, the lab's door takes.
var contactRows = []row{
	{"id", edmString, "rsf", 0}, {"deletedDateTime", edmTime, "r", 0}, {"companyName", edmString, "sf", 64}, {"department", edmString, "sf", 64},
	{"displayName", edmString, "snf", 256}, {"givenName", edmString, "sf", 64}, {"jobTitle", edmString, "sf", 128}, {"mail", edmString, "sf", 0},
	{"mailNickname", edmString, "sf", 64}, {"onPremisesLastSyncDateTime", edmTime, "rsf", 0}, {"onPremisesSyncEnabled", edmBool, "rsf", 0},
	{"proxyAddresses", edmStrings, "rsf", 0}, {"surname", edmString, "sf", 64},
}

// servicePrincipalRows: https://learn.microsoft.com/graph/api/resources/serviceprincipal.
var servicePrincipalRows = []row{
	{"id", edmString, "rsf", 0}, {"deletedDateTime", edmTime, "rs", 0}, {"accountEnabled", edmBool, "sf", 0}, {"appDisplayName", edmString, "rs", 0},
	{"appId", edmString, "rsf", 0}, {"appOwnerOrganizationId", "Edm.Guid", "rs", 0}, {"description", edmString, "s", 1024}, {"displayName", edmString, "sf", 256},
	{"notes", edmString, "s", 1024}, {"servicePrincipalType", edmString, "rsf", 0}, {"tags", edmStrings, "s", 0},
}
