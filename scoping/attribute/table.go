package attribute

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Names of attributes that Tandem treats apart.
const (
	UPN             = "userPrincipalName"
	ImmutableID     = "onPremisesImmutableId" // users only: the source anchor, base64
	UniqueName      = "uniqueName"            // groups only: Tandem's key
	SourceAnchor    = "sourceAnchor"          // contacts only: base64; no property of Graph's, and shown where contacts can be written
	Enabled         = "accountEnabled"
	Mail            = "mail"
	Nickname        = "mailNickname"
	DisplayName     = "displayName"
	ProxyAddresses  = "proxyAddresses"
	MailEnabled     = "mailEnabled"
	SecurityEnabled = "securityEnabled"
	Manager         = "manager"
	Members         = "members"
)

// table holds the attributes of each kind; the first 64 at most. A row's place is its bit, so rows are added at the end and never taken out.
var table = map[scoping.Kind][]Attribute{scoping.User: users(), scoping.Group: groups, scoping.Contact: contacts}

// users: https://learn.microsoft.com/graph/api/resources/user. All are kept in the directory itself, so delta tracks them.
func users() []Attribute {
	const f = scoping.Users
	out := []Attribute{
		{Name: UPN, Feature: f, Form: Text, Traits: Writable | Required | Unique},
		{Name: ImmutableID, Form: Text, Traits: Writable | Unique},
		{Name: Enabled, Feature: f, Form: Boolean, Traits: Writable | Required},
		{Name: DisplayName, Feature: f, Form: Text, Limit: 256, Traits: Writable | Required},
		{Name: Mail, Feature: f, Form: Text, Traits: Writable | Unique | Made},
		{Name: Nickname, Feature: f, Form: Text, Limit: 64, Traits: Writable | Required | Unique | Made},
		{Name: "userType", Form: Text, Traits: Writable | Made},
		{Name: "givenName", Feature: f, Form: Text, Limit: 64, Traits: Writable},
		{Name: "surname", Feature: f, Form: Text, Limit: 64, Traits: Writable},
		{Name: "jobTitle", Feature: f, Form: Text, Limit: 128, Traits: Writable},
		{Name: "department", Feature: f, Form: Text, Limit: 64, Traits: Writable},
		{Name: "companyName", Feature: f, Form: Text, Limit: 64, Traits: Writable},
		{Name: "employeeId", Feature: f, Form: Text, Limit: 16, Traits: Writable},
		{Name: "employeeType", Feature: f, Form: Text, Traits: Writable},
		{Name: "officeLocation", Feature: f, Form: Text, Limit: 128, Traits: Writable},
		{Name: "mobilePhone", Feature: f, Form: Text, Limit: 64, Traits: Writable},
		{Name: "businessPhones", Feature: f, Form: Texts, Limit: 64, Traits: Writable | Single}, // the user resource says so
		{Name: "faxNumber", Feature: f, Form: Text, Traits: Writable},
		{Name: "streetAddress", Feature: f, Form: Text, Limit: 1024, Traits: Writable},
		{Name: "city", Feature: f, Form: Text, Limit: 128, Traits: Writable},
		{Name: "state", Feature: f, Form: Text, Limit: 128, Traits: Writable},
		{Name: "postalCode", Feature: f, Form: Text, Limit: 40, Traits: Writable},
		{Name: "country", Feature: f, Form: Text, Limit: 128, Traits: Writable},
		{Name: "usageLocation", Feature: f, Form: Text, Traits: Writable},
		{Name: "preferredLanguage", Feature: f, Form: Text, Traits: Writable},
		{Name: "otherMails", Feature: f, Form: Texts, Traits: Writable},
		{Name: "ageGroup", Feature: f, Form: Text, Traits: Writable},
		{Name: ProxyAddresses, Form: Texts, Traits: Unique},
		{Name: "onPremisesSecurityIdentifier", Form: Text},
		{Name: "onPremisesSamAccountName", Form: Text},
	}
	for i := range 15 { // https://learn.microsoft.com/graph/api/resources/onpremisesextensionattributes
		out = append(out, Attribute{Name: fmt.Sprintf("extensionAttribute%d", i+1), Feature: scoping.Extensions, Form: Extension, Limit: 1024, Traits: Writable})
	}
	return append(out, Attribute{Name: Manager, Feature: scoping.References, Form: Reference, Traits: Writable})
}

// groups: https://learn.microsoft.com/graph/api/resources/group.
var groups = []Attribute{
	{Name: DisplayName, Feature: scoping.Groups, Form: Text, Limit: 256, Traits: Writable | Required},
	{Name: "description", Feature: scoping.Groups, Form: Text, Limit: 1024, Traits: Writable},
	{Name: Nickname, Feature: scoping.Groups, Form: Text, Limit: 64, Traits: Writable | Required | Unique | Made},
	{Name: UniqueName, Form: Text, Traits: Writable | Unique},
	{Name: SecurityEnabled, Feature: scoping.Groups, Form: Boolean, Traits: Writable | Made},
	{Name: MailEnabled, Feature: scoping.Groups, Form: Boolean, Traits: Writable | Made},
	{Name: "groupTypes", Form: Texts},
	{Name: "visibility", Form: Text, Traits: Writable | Made},
	{Name: Mail, Form: Text, Traits: Unique | Made},
	{Name: ProxyAddresses, Form: Texts, Traits: Unique},
	{Name: "isAssignableToRole", Form: Boolean},
	{Name: "onPremisesSecurityIdentifier", Form: Text},
	{Name: "onPremisesSamAccountName", Form: Text},
	{Name: Members, Feature: scoping.References, Form: Reference, Traits: Writable},
}

// contacts: https://learn.microsoft.com/graph/api/resources/orgcontact. Public Graph writes none of them: Writable says what the interface takes by which
// Microsoft's engines write contacts, which in the lab is a door of its own (rule J4).
var contacts = []Attribute{
	{Name: DisplayName, Feature: scoping.Contacts, Form: Text, Limit: 256, Traits: Writable | Required},
	{Name: Mail, Feature: scoping.Contacts, Form: Text, Traits: Writable | Required | Unique},
	{Name: Nickname, Feature: scoping.Contacts, Form: Text, Limit: 64, Traits: Writable | Unique | Made},
	{Name: "givenName", Feature: scoping.Contacts, Form: Text, Limit: 64, Traits: Writable},
	{Name: "surname", Feature: scoping.Contacts, Form: Text, Limit: 64, Traits: Writable},
	{Name: "jobTitle", Feature: scoping.Contacts, Form: Text, Limit: 128, Traits: Writable},
	{Name: "department", Feature: scoping.Contacts, Form: Text, Limit: 64, Traits: Writable},
	{Name: "companyName", Feature: scoping.Contacts, Form: Text, Limit: 64, Traits: Writable},
	{Name: ProxyAddresses, Form: Texts, Traits: Unique},
	{Name: SourceAnchor, Form: Text, Traits: Unique},
	{Name: Manager, Feature: scoping.References, Form: Reference, Traits: Writable},
}

// sources are the directory's attributes of which both engines make one of the tenant's, where they make it of that one alone or fall back to others. A test of the
// engines holds their rules to it.
var sources = map[string]string{
	Enabled: "userAccountControl", UPN: "userPrincipalName", DisplayName: "displayName", Nickname: "mailNickname", Mail: "mail",
	"givenName": "givenName", "surname": "sn", "jobTitle": "title", "department": "department", "companyName": "company", "employeeId": "employeeID",
	"officeLocation": "physicalDeliveryOfficeName", "streetAddress": "streetAddress", "city": "l", "state": "st", "postalCode": "postalCode", "country": "co",
	"mobilePhone": "mobile", "businessPhones": "telephoneNumber", "usageLocation": "msExchUsageLocation", "description": "description",
}

// What is looked up often is worked out once.
var (
	index    = map[scoping.Kind]map[string]Attribute{}
	values   = map[scoping.Kind][]Attribute{}
	traits   = map[scoping.Kind]map[Trait][]string{}
	features = map[scoping.Feature][]string{}
	limits   = map[string]int{}
	keys     []string
)

func init() {
	for kind, rows := range table {
		index[kind], traits[kind] = make(map[string]Attribute, len(rows)), map[Trait][]string{}
		for i := range rows {
			rows[i].Kind, rows[i].Bit = kind, uint8(i)
			a := rows[i]
			index[kind][a.Name] = a
			if a.Form != Reference {
				values[kind] = append(values[kind], a)
				for t := Writable; t <= Made; t <<= 1 {
					if a.Is(t) {
						traits[kind][t] = append(traits[kind][t], a.Name)
					}
				}
			}
			if a.Feature != "" && !slices.Contains(features[a.Feature], a.Name) { // references of several kinds have one name
				features[a.Feature] = append(features[a.Feature], a.Name)
			}
			if a.Limit != 0 {
				limits[a.Name] = a.Limit
			}
			if a.Is(Unique) {
				keys = append(keys, a.Name)
			}
		}
	}
	for _, names := range features {
		slices.Sort(names)
	}
	slices.SortFunc(keys, func(a, b string) int { return cmp.Or(len(b)-len(a), cmp.Compare(a, b)) })
	keys = slices.Compact(keys)
}
