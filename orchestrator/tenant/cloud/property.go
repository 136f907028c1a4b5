package cloud

import (
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Form is how the values of a property look in Graph's JSON.
type Form uint8

// The forms.
const (
	Text      Form = iota + 1
	Boolean        // true, false, null
	Texts          // a collection of text
	Extension      // text inside onPremisesExtensionAttributes
)

// Property is one property that Tandem reads, and writes unless it is the tenant's own.
type Property struct {
	Name     string
	Form     Form
	ReadOnly bool // Graph refuses it, or the client sends it by itself
}

// businessPhones is a collection of which Graph takes one number only (the user resource says so).
const businessPhones = "businessPhones"

// What says of a group that it is one of Exchange, and of security.
const (
	mailEnabled     = "mailEnabled"
	securityEnabled = "securityEnabled"
)

// userProperties: https://learn.microsoft.com/graph/api/resources/user. All are kept in the directory itself, so delta tracks them.
var userProperties = withExtensions([]Property{
	{UPN, Text, false}, {ImmutableID, Text, false}, {Enabled, Boolean, false}, {DisplayName, Text, false},
	{Mail, Text, false}, {Nickname, Text, false}, {"userType", Text, false}, {"givenName", Text, false},
	{"surname", Text, false}, {"jobTitle", Text, false}, {"department", Text, false}, {"companyName", Text, false},
	{"employeeId", Text, false}, {"employeeType", Text, false}, {"officeLocation", Text, false}, {"mobilePhone", Text, false},
	{businessPhones, Texts, false}, {"faxNumber", Text, false}, {"streetAddress", Text, false}, {"city", Text, false},
	{"state", Text, false}, {"postalCode", Text, false}, {"country", Text, false}, {"usageLocation", Text, false},
	{"preferredLanguage", Text, false}, {"otherMails", Texts, false}, {"ageGroup", Text, false}, {"proxyAddresses", Texts, true},
	{"onPremisesSecurityIdentifier", Text, true}, {"onPremisesSamAccountName", Text, true},
})

// groupProperties: https://learn.microsoft.com/graph/api/resources/group.
var groupProperties = []Property{
	{DisplayName, Text, false}, {"description", Text, false}, {Nickname, Text, false}, {UniqueName, Text, false},
	{securityEnabled, Boolean, false}, {mailEnabled, Boolean, false}, {"groupTypes", Texts, true}, {"visibility", Text, false},
	{Mail, Text, true}, {"proxyAddresses", Texts, true}, {"isAssignableToRole", Boolean, true},
	{"onPremisesSecurityIdentifier", Text, true}, {"onPremisesSamAccountName", Text, true},
}

// contactProperties: https://learn.microsoft.com/graph/api/resources/orgcontact; public Graph writes none of them.
var contactProperties = []Property{
	{DisplayName, Text, true}, {Mail, Text, true}, {Nickname, Text, true}, {"givenName", Text, true},
	{"surname", Text, true}, {"jobTitle", Text, true}, {"department", Text, true}, {"companyName", Text, true},
	{"proxyAddresses", Texts, true},
}

func withExtensions(p []Property) []Property {
	for i := 1; i <= 15; i++ {
		p = append(p, Property{fmt.Sprintf("extensionAttribute%d", i), Extension, false})
	}
	return p
}

// Properties lists the properties of a kind, in the order in which they are selected. The caller must not change the list.
func Properties(kind scoping.Kind) []Property {
	switch kind {
	case scoping.User:
		return userProperties
	case scoping.Group:
		return groupProperties
	case scoping.Contact:
		return contactProperties
	}
	return nil
}

// PropertyOf returns a property of a kind by its name.
func PropertyOf(kind scoping.Kind, name string) (Property, bool) {
	all := Properties(kind)
	if i := slices.IndexFunc(all, func(p Property) bool { return p.Name == name }); i >= 0 {
		return all[i], true
	}
	return Property{}, false
}

// Writable lists the attributes of a kind that Write.Set may hold, sorted.
func Writable(kind scoping.Kind) []string {
	var names []string
	for _, p := range Properties(kind) {
		if !p.ReadOnly {
			names = append(names, p.Name)
		}
	}
	slices.Sort(names)
	return names
}

// Check says why a property cannot have these values; no values clear it. Lengths and characters are the tenant's to judge.
func (p Property) Check(values []string) error {
	switch {
	case p.ReadOnly:
		return fmt.Errorf("%s cannot be written through Graph", p.Name)
	case slices.Contains(values, ""):
		return fmt.Errorf("%s with an empty text: a property is cleared by no value", p.Name)
	case (p.Form != Texts || p.Name == businessPhones) && len(values) > 1:
		return fmt.Errorf("%s takes one value, not %d", p.Name, len(values))
	case p.Form == Boolean && len(values) == 1 && values[0] != "true" && values[0] != "false":
		return fmt.Errorf("%s is true or false, not %q", p.Name, values[0])
	}
	return nil
}

// CheckValue says why an attribute of what is there cannot get these values.
func CheckValue(kind scoping.Kind, name string, values []string) error {
	return Write{Op: Update, Kind: kind, CloudID: "-", Set: Values{name: values}}.Valid()
}
