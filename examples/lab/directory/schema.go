package directory

import (
	"strconv"
	"strings"
)

// syntax says how values of an attribute compare and which are valid.
type syntax uint8

const (
	text    syntax = iota // compares without regard to case
	integer               // 32 or 64 bits, decimal
	boolean               // TRUE or FALSE
	octets                // bytes
	moment                // generalized time
	named                 // the DN of an object in the directory
)

// attributeType describes one attribute of the schema.
type attributeType struct {
	name   string
	syntax syntax
	flags  flag
	// back is the back-link of a linked attribute.
	back string
	// forward is the linked attribute that this back-link mirrors.
	forward string
}

type flag uint8

const (
	single   flag = 1 << iota // at most one value
	system                    // only the directory writes it
	kept                      // stays on a tombstone
	local                     // not replicated, so never in DirSync
	computed                  // made on reading; given only when asked for by name
	secret                    // never readable; DirSync tells that it changed
)

func (t *attributeType) has(f flag) bool { return t.flags&f != 0 }

// linked says that values are links to objects, with a sequence number each.
func (t *attributeType) linked() bool {
	return t.syntax == named && t.forward == "" && t.flags&computed == 0
}

// schema maps lower-case attribute names to their types.
var schema = buildSchema()

func lookupType(name string) (*attributeType, bool) {
	t, ok := schema[strings.ToLower(name)]
	return t, ok
}

func buildSchema() map[string]*attributeType {
	all := map[string]*attributeType{}
	define := func(s syntax, f flag, names string) {
		for n := range strings.FieldsSeq(names) {
			all[strings.ToLower(n)] = &attributeType{name: n, syntax: s, flags: f}
		}
	}
	define(text, single, `givenName sn displayName initials middleName mail title department company division co c l st street
		streetAddress postalCode postOfficeBox telephoneNumber mobile homePhone pager facsimileTelephoneNumber ipPhone
		physicalDeliveryOfficeName wWWHomePage info comment employeeID employeeNumber employeeType userPrincipalName
		mailNickname targetAddress legacyExchangeDN homeDirectory homeDrive scriptPath profilePath displayNamePrintable
		generationQualifier personalTitle preferredLanguage roomNumber carLicense msDS-cloudExtensionAttribute1
		msDS-cloudExtensionAttribute2 msDS-cloudExtensionAttribute3 extensionAttribute1 extensionAttribute2
		extensionAttribute3 extensionAttribute4 extensionAttribute5 extensionAttribute6 extensionAttribute7
		extensionAttribute8 extensionAttribute9 extensionAttribute10 extensionAttribute11 extensionAttribute12
		extensionAttribute13 extensionAttribute14 extensionAttribute15 gecos unixHomeDirectory loginShell uid
		adminDescription adminDisplayName dNSHostName operatingSystem operatingSystemVersion msExchRecipientDisplayType
		nETBIOSName dnsRoot gPLink`)
	define(text, 0, `description ou cn dc otherTelephone otherMobile otherHomePhone otherPager otherIpPhone
		otherFacsimileTelephoneNumber otherMailbox proxyAddresses url servicePrincipalName keywords postalAddress serialNumber`)
	define(text, single|kept, "sAMAccountName msDS-ExternalDirectoryObjectId") // the latter by its searchFlags, PRESERVEONDELETE
	define(text, single|kept|system, "name")
	define(text, kept, "objectClass")
	define(text, single|system, "objectCategory")
	define(integer, single, `countryCode codePage accountExpires pwdLastSet adminCount logonHours primaryGroupID
		operatorCount uidNumber gidNumber msDS-SupportedEncryptionTypes msExchRecipientTypeDetails maxPwdAge minPwdAge
		minPwdLength pwdProperties pwdHistoryLength lockoutThreshold lockoutDuration lockOutObservationWindow lockoutTime
		msDS-Behavior-Version`)
	define(integer, single|kept, "groupType userAccountControl systemFlags instanceType")
	define(integer, single|system, "sAMAccountType")
	define(integer, single|system|local, "badPwdCount badPasswordTime lastLogon lastLogoff logonCount")
	define(integer, single|system|kept|local, "uSNChanged uSNCreated")
	define(boolean, single, "showInAdvancedViewOnly msExchHideFromAddressLists")
	define(boolean, single, "msDS-isRODC") // computed in AD; here whoever wants a read-only controller sets it on its NTDS settings
	define(boolean, single|system, "isCriticalSystemObject")
	define(boolean, single|system|kept, "isDeleted isRecycled")
	define(octets, single, `mS-DS-ConsistencyGuid thumbnailPhoto jpegPhoto msExchMailboxGuid
		msDS-KeyCredentialLinkText`)
	define(octets, 0, "userCertificate userSMIMECertificate userPassword")
	define(octets, single|system|kept, "objectGUID objectSid")
	define(octets, kept, "sIDHistory")
	define(octets, single|system, "invocationId")
	define(octets, single|system|local, "replUpToDateVector")
	define(octets, single|secret, "unicodePwd dBCSPwd ntPwdHistory lmPwdHistory supplementalCredentials")
	define(moment, single|system|kept|local, "whenChanged")
	define(moment, single|system|kept, "whenCreated")
	define(moment, single, "msExchWhenMailboxCreated")
	define(named, single|system|computed, "distinguishedName")
	define(octets, single|system|computed, "nTSecurityDescriptor")
	define(text, single|system|computed, "canonicalName")
	define(octets, single|system|computed, "parentGUID")
	define(integer, single|system|computed, "primaryGroupToken")
	defineLinks(all)
	return all
}

// defineLinks adds the attributes whose values are links, with their back-links.
func defineLinks(all map[string]*attributeType) {
	for _, l := range []struct {
		forward, back string
		flags         flag
	}{
		{"member", "memberOf", 0}, {"manager", "directReports", single}, {"managedBy", "managedObjects", single},
		{"secretary", "secretaryOf", single}, {"publicDelegates", "publicDelegatesBL", 0}, {"owner", "ownerBL", 0},
		{"authOrig", "authOrigBL", 0}, {"msExchCoManagedByLink", "msExchCoManagedObjectsBL", 0},
		{"lastKnownParent", "", single | system | kept}, {"nCName", "", single | system},
	} {
		all[strings.ToLower(l.forward)] = &attributeType{name: l.forward, syntax: named, flags: l.flags, back: l.back}
		if l.back != "" {
			all[strings.ToLower(l.back)] = &attributeType{name: l.back, syntax: named, flags: system | local, forward: strings.ToLower(l.forward)}
		}
	}
}

// valid says whether v can be a value of t.
func (t *attributeType) valid(v string) bool {
	switch t.syntax {
	case integer:
		_, err := strconv.ParseInt(v, 10, 64)
		return err == nil
	case boolean:
		return v == "TRUE" || v == "FALSE"
	case moment:
		return len(v) >= 15 && v[len(v)-1] == 'Z'
	case text, octets, named:
	}
	return v != ""
}

// class is a structural object class.
type class struct {
	name     string
	chain    []string // with all it derives from, most general first
	rdn      string   // the naming attribute
	category string   // the class whose schema object is its objectCategory
	holds    bool     // may have children
}

var classes = buildClasses()

func buildClasses() map[string]*class {
	all := map[string]*class{}
	for _, c := range []class{
		{"user", []string{"top", "person", "organizationalPerson", "user"}, "CN", "Person", false},
		{"inetOrgPerson", []string{"top", "person", "organizationalPerson", "user", "inetOrgPerson"}, "CN", "Person", false},
		{"contact", []string{"top", "person", "organizationalPerson", "contact"}, "CN", "Person", false},
		{"computer", []string{"top", "person", "organizationalPerson", "user", "computer"}, "CN", "Computer", false},
		{"group", []string{"top", "group"}, "CN", "Group", false},
		{"organizationalUnit", []string{"top", "organizationalUnit"}, "OU", "Organizational-Unit", true},
		{"container", []string{"top", "container"}, "CN", "Container", true},
		{"lostAndFound", []string{"top", "lostAndFound"}, "CN", "Lost-And-Found", true},
		{"builtinDomain", []string{"top", "builtinDomain"}, "CN", "Builtin-Domain", true},
		{"domainDNS", []string{"top", "domain", "domainDNS"}, "DC", "Domain-DNS", true},
		{"configuration", []string{"top", "configuration"}, "CN", "Configuration", true},
		{"sitesContainer", []string{"top", "sitesContainer"}, "CN", "Sites-Container", true},
		{"site", []string{"top", "site"}, "CN", "Site", true},
		{"serversContainer", []string{"top", "serversContainer"}, "CN", "Servers-Container", true},
		{"server", []string{"top", "server"}, "CN", "Server", true},
		{"nTDSDSA", []string{"top", "applicationSettings", "nTDSDSA"}, "CN", "NTDS-DSA", true},
		{"crossRefContainer", []string{"top", "crossRefContainer"}, "CN", "Cross-Ref-Container", true},
		{"crossRef", []string{"top", "crossRef"}, "CN", "Cross-Ref", false},
	} {
		all[strings.ToLower(c.name)] = &c
	}
	return all
}

// abstract lists the classes that may be named in objectClass but never stand alone.
var abstract = map[string]bool{"top": true, "person": true, "organizationalperson": true, "domain": true, "applicationsettings": true}

// structural finds the most special class that names state; ok is false if one of them is unknown or none stands alone.
func structural(names []string) (c *class, unknown string) {
	for _, n := range names {
		k := strings.ToLower(n)
		next, ok := classes[k]
		if !ok && !abstract[k] {
			return nil, n
		}
		if ok && (c == nil || len(next.chain) > len(c.chain)) {
			c = next
		}
	}
	return c, ""
}

// principal says that objects of the class have a SID and an account name.
func (c *class) principal() bool {
	return c.name == "group" || c.account()
}

// account says that objects of the class can sign in.
func (c *class) account() bool {
	return c.name == "user" || c.name == "computer" || c.name == "inetOrgPerson"
}
