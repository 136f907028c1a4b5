package mapping

import (
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Bases are what own mappings change.
const (
	BaseEntra = "entra" // the defaults of Entra's provisioning to Active Directory
	BaseHR    = "hr"    // names for people, as the tutorials of Entra's provisioning from HR systems make them
	BaseNone  = "none"  // nothing: every attribute has to be mapped
)

// Pieces of the defaults: the part of a sign-in name before its @ without what SAM does not take in names, and the last twelve digits of an object id.
const (
	accountPart = `Replace(Item(Split([userPrincipalName], "@"), 1),, "[\"/\\\\\\[\\]:;|=,+*?<>\\s]+",, "",,)`
	nameWithID  = `Append(Append(Left(Trim([displayName]), 51), "_"), Mid([objectId], 25, 12))`
	noEndDot    = `,, "[.\\s]+$",, "",,)`
	hrName      = `NormalizeDiacritics(StripSpaces(Join(".", [givenName], [surname])))`
	hrShort     = `NormalizeDiacritics(StripSpaces(Join(".", Left([givenName], 1), [surname])))`
	hrLonger    = `NormalizeDiacritics(StripSpaces(Join(".", Left([givenName], 2), [surname])))`
	accountSet  = `,, "[\"/\\\\\\[\\]:;|=,+*?<>\\s]+",, "",,)`
)

// entraUsers are the default mappings of users (https://learn.microsoft.com/entra/identity/hybrid/cloud-sync/how-to-configure-entra-to-active-directory, August 2026) with these differences:
// a taken sAMAccountName takes the next candidate, and is given once; characters that SAM does not take are left out of it; the container is the assignment's, since
// no engine may leave it; onPremisesUserPrincipalName is no attribute of users that are of the cloud; msDS-ObjectSoa is of a schema that few directories have.
var entraUsers = []Entry{
	{Target: engine.AccountDisabled, Expression: `Not([accountEnabled])`},
	{Target: engine.CommonName, Expression: nameWithID},
	{Target: "sAMAccountName", Expression: `SelectUniqueValue(Replace(Left(` + accountPart + `, 15)` + noEndDot + `, Append(Left(` + accountPart + `, 11), Mid([objectId], 33, 4)), ` +
		`Append(Left(` + accountPart + `, 8), Mid([objectId], 25, 12)))`, Apply: ApplyCreation},
	{Target: "userPrincipalName", Expression: `Append(Item(Split([userPrincipalName], "@"), 1), Append("@", %DomainFQDN%))`},
	{Target: "displayName", Expression: `[displayName]`},
	{Target: manager, Expression: `[manager]`},
	trimmed("co", "country"), trimmed("company", "companyName"), trimmed("department", "department"), trimmed("employeeID", "employeeId"), trimmed("givenName", "givenName"),
	trimmed("l", "city"), trimmed("mobile", "mobilePhone"), trimmed("postalCode", "postalCode"), trimmed("preferredLanguage", "preferredLanguage"), trimmed("sn", "surname"),
	trimmed("st", "state"), trimmed("streetAddress", "streetAddress"),
}

// trimmed is a mapping that leaves what is in the directory as long as the tenant has nothing.
func trimmed(target, source string) Entry {
	return Entry{Target: target, Expression: "IgnoreFlowIfNullOrEmpty(Trim([" + source + "]))"}
}

// hrUsers are mappings for people who are hired by an HR system (https://learn.microsoft.com/entra/identity/saas-apps/workday-inbound-tutorial): names are made of given and family name,
// with candidates, and given once; all else follows the tenant, and is cleared with it.
var hrUsers = []Entry{
	{Target: engine.AccountDisabled, Expression: `Switch([accountEnabled], "True", "True", "False")`},
	{Target: engine.CommonName, Expression: `SelectUniqueValue(Trim(Left(Join(" ", [givenName], [surname]), 64)), Trim(Left(Join(" ", [givenName], [surname], [employeeId]), 64)), ` + nameWithID + `)`, Apply: ApplyCreation},
	{Target: "sAMAccountName", Expression: `SelectUniqueValue(Replace(Left(Replace(` + hrName + accountSet + `, 20)` + noEndDot + `, Replace(Left(Replace(` + hrShort + accountSet + `, 20)` + noEndDot + `, ` +
		`Replace(Left(Replace(` + hrLonger + accountSet + `, 20)` + noEndDot + `, Append(Left(Replace(` + hrShort + accountSet + `, 8), Mid([objectId], 25, 12)))`, Apply: ApplyCreation},
	{Target: "userPrincipalName", Expression: `SelectUniqueValue(Join("@", ` + hrName + `, %DomainFQDN%), Join("@", ` + hrShort + `, %DomainFQDN%), Join("@", ` + hrLonger + `, %DomainFQDN%), ` +
		`Join("@", Join(".", ` + hrName + `, Mid([objectId], 25, 12)), %DomainFQDN%))`, Apply: ApplyCreation},
	{Target: "employeeID", Expression: `[employeeId]`, Apply: ApplyCreation},
	{Target: "displayName", Expression: `[displayName]`},
	{Target: manager, Expression: `[manager]`},
	direct("givenName", "givenName"), direct("sn", "surname"), direct("title", "jobTitle"), direct("department", "department"), direct("company", "companyName"),
	direct("physicalDeliveryOfficeName", "officeLocation"), direct("streetAddress", "streetAddress"), direct("l", "city"), direct("st", "state"), direct("postalCode", "postalCode"),
	direct("co", "country"), direct("telephoneNumber", "telephoneNumber"), direct("mobile", "mobilePhone"), direct("preferredLanguage", "preferredLanguage"),
}

func direct(target, source string) Entry {
	return Entry{Target: target, Expression: "[" + source + "]"}
}

// entraGroups are the default mappings of groups. That they are universal security groups is the sink's to see to; without a mapping the directory gives them a random sAMAccountName.
var entraGroups = []Entry{
	{Target: engine.CommonName, Expression: nameWithID},
	{Target: "description", Expression: `Left(Trim([description]), 448)`},
	{Target: "displayName", Expression: `[displayName]`},
	{Target: member, Expression: `[members]`},
}

// bases are the defaults by kind and name.
var bases = map[scoping.Kind]map[string][]Entry{
	scoping.User:  {BaseEntra: entraUsers, BaseHR: hrUsers, BaseNone: nil},
	scoping.Group: {BaseEntra: entraGroups, BaseNone: nil},
}

// Defaults returns the mappings of a base of a kind.
func Defaults(kind scoping.Kind, base string) []Entry { return slices.Clone(bases[kind][base]) }
