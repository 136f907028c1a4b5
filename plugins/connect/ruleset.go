package connect

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// maxGroupMembers is Connect's limit; larger groups are not created, or stay as they are until they shrink.
var maxGroupMembers = strconv.Itoa(expression.MostMembersConnect)

// What leaves an object out, whatever its kind (Connect's cloudFiltered and the scopes of its join rules; Microsoft Learn,
// "Understanding the default configuration").
var commonScope = []Clause{
	{"isCriticalSystemObject", "NOTEQUAL", "TRUE", "critical-system-object"},
	{"name", "NOTCONTAINS", "\nCNF:", "replication-victim"},
}

// accountScope is commonScope for what has an account name.
var accountScope = append(slices.Clone(commonScope), Clause{"sAMAccountName", "ISNOTNULL", "", "no-account-name"})

var userScope = append(slices.Clone(accountScope),
	Clause{"adminDescription", "NOTSTARTSWITH", "User_", "written-back"},
	Clause{"sAMAccountName", "NOTEQUAL", "SUPPORT_388945a0", "reserved-account"},
	Clause{"sAMAccountName", "NOTSTARTSWITH", "AAD_", "reserved-account"},
	Clause{"sAMAccountName", "NOTSTARTSWITH", "MSOL_", "reserved-account"},
	Clause{"sAMAccountName", "NOTSTARTSWITH", "CAS_{", "reserved-account"},
	Clause{"mailNickname", "NOTSTARTSWITH", "SystemMailbox{", "system-mailbox"},
	Clause{"mailNickname", "NOTSTARTSWITH", "CAS_{", "system-mailbox"},
	Clause{"msExchRecipientTypeDetails", "ISBITNOTSET", "0x21C07000", "system-mailbox"},
	Clause{"msExchRecipientTypeDetails", "NOTLINKEDMAILBOX", "", "linked-mailbox"},
)

var contactScope = append(slices.Clone(commonScope),
	Clause{"mailNickname", "NOTSTARTSWITH", "CAS_{", "system-mailbox"},
	Clause{"displayName", "NOTHIDDEN", "msExchHideFromAddressLists", expression.HiddenMSOL},
	Clause{"proxyAddresses", "ISNOTNULL", "", expression.NotMailEnabled},
	Clause{"proxyAddresses", "ISADDRESSED", "mail", expression.NoAddress},
)

var groupScope = append(slices.Clone(accountScope),
	Clause{"adminDescription", "NOTSTARTSWITH", "Group_", "written-back"},
	Clause{"sAMAccountName", "NOTEQUAL", "MSOL_AD_Sync_RichCoexistence", "reserved-account"},
	Clause{"msExchRecipientTypeDetails", "ISBITNOTSET", "0x40000000", "role-group"},
	Clause{"member", "COUNTATMOST", maxGroupMembers, expression.TooManyMembers},
	// The tenant's public interface makes neither kind (rule J4): they are named, never made as something else.
	Clause{"groupType", "ISBITSET", "0x80000000", expression.DistributionGroup},
	Clause{"proxyAddresses", "NOTMAILENABLED", "mail", expression.MailEnabledGroup},
)

// Inbound is the built-in rule set from the directory into the metaverse, in order of precedence.
var Inbound = []Rule{
	{Name: "In from AD – User Join", Precedence: 100, Kind: scoping.User, Link: Provision, Scope: userScope, Flows: []Flow{
		{"sourceAnchor", "SourceAnchor", []string{"mS-DS-ConsistencyGuid", "objectGUID"}},
	}},
	{Name: "In from AD – User AccountEnabled", Precedence: 101, Kind: scoping.User, Link: Join,
		Scope: []Clause{{Attribute: "userAccountControl", Operator: "ISNOTNULL"}, {Attribute: "userAccountControl", Operator: "ISBITNOTSET", Value: "0x2"}},
		Flows: []Flow{{"accountEnabled", "True", nil}}},
	{Name: "In from AD – User Common", Precedence: 102, Kind: scoping.User, Link: Join, Flows: []Flow{
		{"accountEnabled", "AccountEnabled", []string{"userAccountControl"}},
		{"userPrincipalName", "UserPrincipalName", []string{"userPrincipalName", "sAMAccountName", "%Domain.FQDN%"}},
		{"displayName", "Coalesce", []string{"displayName", "name"}},
		{"mailNickname", "MailNickname", []string{"mailNickname", "sAMAccountName", "userPrincipalName", "%Object.GUID%"}},
		{"givenName", "", []string{"givenName"}},
		{"surname", "", []string{"sn"}},
		{"jobTitle", "", []string{"title"}},
		{"department", "", []string{"department"}},
		{"companyName", "", []string{"company"}},
		{"employeeId", "", []string{"employeeID"}},
		{"officeLocation", "", []string{"physicalDeliveryOfficeName"}},
		{"streetAddress", "", []string{"streetAddress"}},
		{"city", "", []string{"l"}},
		{"state", "", []string{"st"}},
		{"postalCode", "", []string{"postalCode"}},
		{"country", "", []string{"co"}},
		{"mobilePhone", "", []string{"mobile"}},
		{"businessPhones", "", []string{"telephoneNumber"}},
		{"mail", "", []string{"mail"}},
		{"usageLocation", "UsageLocation", []string{"msExchUsageLocation"}},
	}},
	{Name: "In from AD – Group Join", Precedence: 110, Kind: scoping.Group, Link: Provision, Scope: groupScope, Flows: []Flow{
		{"sourceAnchor", "SourceAnchor", []string{"mS-DS-ConsistencyGuid", "objectGUID"}},
	}},
	{Name: "In from AD – Group Common", Precedence: 111, Kind: scoping.Group, Link: Join, Flows: []Flow{
		{"displayName", "Coalesce", []string{"displayName", "name"}},
		{"description", "", []string{"description"}},
		{"mailNickname", "MailNickname", []string{"mailNickname", "sAMAccountName", "%Object.GUID%"}},
		{"mailEnabled", "False", nil},
		{"securityEnabled", "True", nil},
	}},
	{Name: "In from AD – Contact Join", Precedence: 120, Kind: scoping.Contact, Link: Provision, Scope: contactScope, Flows: []Flow{
		{"sourceAnchor", "SourceAnchor", []string{"mS-DS-ConsistencyGuid", "objectGUID"}},
	}},
	{Name: "In from AD – Contact Common", Precedence: 121, Kind: scoping.Contact, Link: Join, Flows: []Flow{
		{"displayName", "Coalesce", []string{"displayName", "name"}},
		{"mail", "ContactAddress", []string{"proxyAddresses", "mail"}},
		{"mailNickname", "MailNickname", []string{"mailNickname", "mail", "%Object.GUID%"}},
		{"givenName", "", []string{"givenName"}},
		{"surname", "", []string{"sn"}},
		{"jobTitle", "", []string{"title"}},
		{"department", "", []string{"department"}},
		{"companyName", "", []string{"company"}},
	}},
}

// Outbound is the built-in rule set from the metaverse to the tenant, in order of precedence. What a rule's flows name is
// what the engine writes; an attribute without a value is cleared, save those of optional.
var Outbound = []Rule{
	{Name: "Out to tenant – User Join", Precedence: 200, Kind: scoping.User, Link: Provision, Scope: []Clause{
		{"sourceAnchor", "ISNOTNULL", "", "no-anchor"},
		{"accountEnabled", "ISNOTNULL", "", "no-account-state"},
		{"userPrincipalName", "ISNOTNULL", "", "no-upn"},
		{"displayName", "ISNOTNULL", "", "no-display-name"},
		{"mailNickname", "ISNOTNULL", "", "no-mail-nickname"},
	}, Flows: direct("accountEnabled", "userPrincipalName", "displayName", "mailNickname", "givenName", "surname", "jobTitle",
		"department", "companyName", "employeeId", "officeLocation", "streetAddress", "city", "state", "postalCode", "country",
		"mobilePhone", "businessPhones", "mail", "usageLocation")},
	{Name: "Out to tenant – Group Join", Precedence: 210, Kind: scoping.Group, Link: Provision, Scope: []Clause{
		{"sourceAnchor", "ISNOTNULL", "", "no-anchor"},
		{"displayName", "ISNOTNULL", "", "no-display-name"},
		{"mailNickname", "ISNOTNULL", "", "no-mail-nickname"},
	}, Flows: direct("displayName", "description", "mailNickname", "mailEnabled", "securityEnabled")},
	{Name: "Out to tenant – Contact Join", Precedence: 220, Kind: scoping.Contact, Link: Provision, Scope: []Clause{
		{"sourceAnchor", "ISNOTNULL", "", "no-anchor"},
		{"displayName", "ISNOTNULL", "", "no-display-name"},
		{"mail", "ISNOTNULL", "", expression.NoAddress},
	}, Flows: direct("displayName", "mail", "mailNickname", "givenName", "surname", "jobTitle", "department", "companyName")},
}

// synchronizes reports whether the rules are for objects of a kind.
func synchronizes(k scoping.Kind) bool {
	return k == scoping.User || k == scoping.Group || k == scoping.Contact
}

// optional attributes are not managed for an object that has no value for them in the directory.
var optional = map[string]bool{"usageLocation": true}

func direct(names ...string) []Flow {
	flows := make([]Flow, len(names))
	for i, n := range names {
		flows[i] = Flow{Target: n, From: []string{n}}
	}
	return flows
}

// imported are the attributes that the import stage asks the directory for: all that the inbound rules read, the links, and what extensions are made of.
func imported(extensions []string) []string {
	names := map[string]bool{}
	for _, n := range expression.ExtensionSources(extensions) {
		names[n] = true
	}
	for _, r := range reads() {
		for _, n := range r.Attributes {
			names[n] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

// reads is what proposals depend on, per kind: what its inbound rules read, and the link from which its references come.
func reads() map[scoping.Kind]engine.Reads {
	users := append(readOf(scoping.User, "manager"), attribute.OfFeature(scoping.Extensions)...) // registered ones come with a run's request, and the host knows them
	slices.Sort(users)
	return map[scoping.Kind]engine.Reads{
		scoping.User:    {Attributes: users},
		scoping.Group:   {Attributes: readOf(scoping.Group, "member")},
		scoping.Contact: {Attributes: readOf(scoping.Contact, "manager")},
	}
}

func readOf(kind scoping.Kind, link string) []string {
	names := map[string]bool{link: true}
	for _, r := range Inbound {
		if r.Kind != kind {
			continue
		}
		for _, c := range r.Scope {
			names[c.Attribute] = true
			if slices.Contains(pairing, c.Operator) {
				names[c.Value] = true
			}
		}
		for _, f := range r.Flows {
			for _, n := range f.From {
				names[n] = true
			}
		}
	}
	maps.DeleteFunc(names, func(n string, _ bool) bool { return strings.HasPrefix(n, "%") })
	return slices.Sorted(maps.Keys(names))
}

// rulesFingerprint tells this engine's value rules apart from those of other versions: the rules, and the code that applies
// them.
func rulesFingerprint(extensions []string) engine.Fingerprint {
	rules := map[string]any{"inbound": Inbound, "outbound": Outbound, "optional": optional, "expressions": expression.Revision}
	if len(extensions) > 0 {
		rules["extensions"] = slices.Sorted(slices.Values(extensions))
	}
	b, err := json.Marshal(rules)
	if err != nil {
		return engine.Fingerprint{}
	}
	return engine.FingerprintOf([]byte("connect"), []byte(Version), b)
}

// writes is the engine's table of tenant attributes per feature (rule F2), from the outbound rules.
func writes() map[scoping.Feature][]string {
	out := map[scoping.Feature][]string{scoping.References: {"manager", "members"}, scoping.Extensions: attribute.OfFeature(scoping.Extensions)}
	for _, r := range Outbound {
		base := scoping.Base(r.Kind)
		for _, f := range r.Flows {
			out[base] = append(out[base], f.Target)
		}
	}
	return out
}
