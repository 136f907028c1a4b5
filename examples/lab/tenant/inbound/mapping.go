package inbound

import (
	"strings"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// properties applies the job's mappings: what flows into the tenant of what the sender knows of a person, by Graph's names. Attributes
// without a value do not flow. The matching one, employeeId, is always there.
func properties(u scim.User, target func(attribute, value string) (Flow, bool)) map[string]any {
	out := map[string]any{"employeeId": u.ExternalID}
	put := func(property, value string) {
		if value != "" {
			out[property] = value
		}
	}
	put("userPrincipalName", u.UserName)
	put("mailNickname", nickname(u.UserName))
	put("displayName", u.DisplayName)
	put("givenName", u.Name.GivenName)
	put("surname", u.Name.FamilyName)
	put("jobTitle", u.Title)
	put("employeeType", u.UserType)
	put("preferredLanguage", u.PreferredLanguage)
	put("department", u.Enterprise.Department)
	put("companyName", u.Enterprise.Organization)
	put("mail", typed(u.Emails, "work"))
	put("mobilePhone", typed(u.PhoneNumbers, "mobile"))
	put("faxNumber", typed(u.PhoneNumbers, "fax"))
	if phone := typed(u.PhoneNumbers, "work"); phone != "" {
		out["businessPhones"] = []string{phone}
	}
	if u.Active != nil {
		out["accountEnabled"] = *u.Active
	}
	putFields(out, "employeeOrgData", map[string]string{"division": u.Enterprise.Division, "costCenter": u.Enterprise.CostCenter})
	a := workAddress(u.Addresses)
	put("streetAddress", a.Street)
	put("city", a.Locality)
	put("state", a.Region)
	put("postalCode", a.PostalCode)
	put("country", a.Country)
	if isCountryCode(a.Country) {
		put("usageLocation", strings.ToUpper(a.Country))
	}
	for _, c := range u.Custom {
		flow, ok := target(c.Name, c.Value)
		switch {
		case !ok:
		case flow.Field == "":
			put(flow.Property, flow.Value)
		default:
			putFields(out, flow.Property, map[string]string{flow.Field: flow.Value})
		}
	}
	return out
}

func putFields(out map[string]any, property string, values map[string]string) {
	fields, _ := out[property].(map[string]any)
	for name, value := range values {
		if value == "" {
			continue
		}
		if fields == nil {
			fields = map[string]any{}
		}
		fields[name] = value
	}
	if fields != nil {
		out[property] = fields
	}
}

// nickname is the part of a sign-in name before its domain, of the characters that a mail nickname may have.
func nickname(userName string) string {
	local, _, _ := strings.Cut(userName, "@")
	return strings.Map(func(r rune) rune {
		if r < 0x21 || r > 0x7e || strings.ContainsRune(`@()\[]";:<>,`, r) {
			return -1
		}
		return r
	}, local)
}

// typed gives the primary value of a type, else the first of it.
func typed(list []scim.Value, kind string) string {
	found := ""
	for _, v := range list {
		if strings.EqualFold(v.Type, kind) && v.Value != "" && (found == "" || v.Primary) {
			found = v.Value
		}
	}
	return found
}

func workAddress(list []scim.Address) scim.Address {
	var found *scim.Address
	for i, a := range list {
		if strings.EqualFold(a.Type, "work") && (found == nil || a.Primary) {
			found = &list[i]
		}
	}
	if found == nil {
		return scim.Address{}
	}
	return *found
}

// isCountryCode reports whether a country is given as two letters (ISO 3166-1), as usageLocation needs it.
func isCountryCode(s string) bool {
	letter := func(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }
	return len(s) == 2 && letter(s[0]) && letter(s[1])
}

// complete adds to the properties of a person who is to be created what a user must have.
func complete(out map[string]any, u scim.User) {
	if _, given := out["displayName"]; !given {
		shown := u.Name.Formatted
		if shown == "" {
			shown = strings.TrimSpace(u.Name.GivenName + " " + u.Name.FamilyName)
		}
		if shown != "" {
			out["displayName"] = shown
		}
	}
	if _, given := out["accountEnabled"]; !given {
		out["accountEnabled"] = true
	}
}
