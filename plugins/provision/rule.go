package provision

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/tandem-sync/tandem/scoping"
)

// form is how the values of an attribute look.
type form uint8

const (
	textForm form = iota
	commonNameForm
	accountNameForm
	signInForm
	truthForm
	numberForm
	countryForm
)

// rule is what Active Directory asks of an attribute's values.
type rule struct {
	limit   int // characters; 0: none
	several bool
	form    form
}

// The names of attributes that are checked for more than their length. accountDisabled stands for a bit of userAccountControl.
const (
	commonName      = "cn"
	accountName     = "sAMAccountName"
	signInName      = "userPrincipalName"
	accountDisabled = "accountDisabled"
)

// Limits of names (https://learn.microsoft.com/windows/win32/adschema/a-samaccountname: 20 characters for users, by SAM itself; the schema's 256 for groups).
const (
	maxUserAccount  = 20
	maxGroupAccount = 256
)

// rules are the attributes that are written into a directory, with the ranges of Active Directory's schema
// (https://learn.microsoft.com/windows/win32/adschema/attributes-all). What decides about rights, sign-ins or the directory's own bookkeeping is not among them.
var rules = map[scoping.Kind]map[string]rule{scoping.User: userRules(), scoping.Group: {
	commonName: {maxName, false, commonNameForm}, accountName: {maxGroupAccount, false, accountNameForm}, "displayName": {limit: 256}, "description": {limit: 1024}, "info": {limit: 1024},
	"mail": {limit: 256}, "extensionAttribute1": {limit: 1024}, "extensionAttribute2": {limit: 1024}, "extensionAttribute3": {limit: 1024}, "extensionAttribute4": {limit: 1024},
	"extensionAttribute5": {limit: 1024}, "msDS-ObjectSoa": {},
}}

func userRules() map[string]rule {
	out := map[string]rule{
		commonName: {maxName, false, commonNameForm}, accountName: {maxUserAccount, false, accountNameForm}, signInName: {1024, false, signInForm}, accountDisabled: {0, false, truthForm},
		"displayName": {limit: 256}, "givenName": {limit: 64}, "sn": {limit: 64}, "initials": {limit: 6}, "middleName": {limit: 64}, "personalTitle": {limit: 64}, "generationQualifier": {limit: 64},
		"displayNamePrintable": {limit: 256}, "title": {limit: 128}, "department": {limit: 64}, "departmentNumber": {several: true}, "division": {limit: 256}, "company": {limit: 64},
		"employeeID": {limit: 16}, "employeeNumber": {limit: 512}, "employeeType": {limit: 256}, "physicalDeliveryOfficeName": {limit: 128}, "roomNumber": {several: true},
		"streetAddress": {limit: 1024}, "street": {limit: 1024}, "postOfficeBox": {limit: 40, several: true}, "l": {limit: 128}, "st": {limit: 128}, "postalCode": {limit: 40},
		"c": {limit: 2, form: countryForm}, "co": {limit: 128}, "countryCode": {form: numberForm}, "preferredLanguage": {}, "mail": {limit: 256}, "telephoneNumber": {limit: 64},
		"otherTelephone": {limit: 64, several: true}, "mobile": {limit: 64}, "otherMobile": {limit: 64, several: true}, "homePhone": {limit: 64}, "ipPhone": {limit: 64}, "pager": {limit: 64},
		"facsimileTelephoneNumber": {limit: 64}, "wWWHomePage": {limit: 2048}, "info": {limit: 1024}, "comment": {}, "description": {limit: 1024}, "accountExpires": {form: numberForm},
		"msDS-ObjectSoa": {}, "mailNickname": {limit: 64},
	}
	for i := 1; i <= 15; i++ { // https://learn.microsoft.com/previous-versions/exchange/: ms-Exch-Extension-Attribute-1 to 9 have 1024, 10 to 15 have 2048
		out["extensionAttribute"+strconv.Itoa(i)] = rule{limit: 1024 << (i / 10)}
	}
	return out
}

// Attributes returns the names of the attributes of a kind that are written as values, sorted: accountDisabled of users among them, references not.
func Attributes(kind scoping.Kind) []string { return slices.Sorted(maps.Keys(rules[kind])) }

// ValueError says which value of an attribute Active Directory does not take, and by which rule.
type ValueError struct {
	Attribute string
	Value     string // "" where the rule is about all of them
	Rule      string // as "has 70 characters, and 64 are the most"
}

func (e *ValueError) Error() string {
	if e.Value == "" {
		return e.Attribute + " " + e.Rule
	}
	shown := e.Value
	if utf8.RuneCountInString(shown) > 100 {
		shown = string([]rune(shown)[:100]) + "…"
	}
	return fmt.Sprintf("%s %q %s", e.Attribute, shown, e.Rule)
}

// CheckValues returns why Active Directory would not take values of an attribute of a user or group, as a *[ValueError]: by its lengths, characters and numbers of values. Of an attribute
// that is not known here it asks nothing. Whether a name is free is not looked at.
func CheckValues(kind scoping.Kind, attribute string, values []string) error {
	r, known := rules[kind][attribute]
	if !known {
		r = rule{several: true}
	}
	if len(values) > 1 && !r.several {
		return &ValueError{attribute, "", fmt.Sprintf("takes one value, and there are %d", len(values))}
	}
	for _, v := range values {
		if why := r.broken(v); why != "" {
			return &ValueError{attribute, v, why}
		}
	}
	return nil
}

func (r rule) broken(v string) string {
	switch n := utf8.RuneCountInString(v); {
	case v == "" || !utf8.ValidString(v):
		return "is empty or not UTF-8"
	case r.limit > 0 && n > r.limit:
		return fmt.Sprintf("has %d characters, and %d are the most", n, r.limit)
	case strings.ContainsRune(v, 0):
		return "has a character 0"
	}
	switch r.form {
	case commonNameForm:
		return brokenName(v)
	case accountNameForm:
		return brokenAccount(v)
	case signInForm:
		return brokenSignIn(v)
	case truthForm:
		if v != "true" && v != "false" {
			return "is neither true nor false"
		}
	case numberForm:
		if _, err := strconv.ParseInt(v, 10, 64); err != nil {
			return "is not a whole number"
		}
	case countryForm:
		if len(v) != 2 || strings.ToUpper(v) != v || !letter(v[0]) || !letter(v[1]) {
			return "is not a country's code of two capital letters (ISO 3166)"
		}
	}
	return ""
}

func letter(c byte) bool { return c >= 'A' && c <= 'Z' }

// brokenName looks at a common name, which becomes the RDN. What has to be escaped in a DN is escaped there, and allowed.
func brokenName(v string) string {
	switch {
	case strings.TrimSpace(v) != v:
		return "has a space at an end"
	case strings.ContainsFunc(v, unicode.IsControl):
		return "has a control character"
	}
	return ""
}

// forbiddenInAccounts are the characters that SAM does not take in names
// (https://learn.microsoft.com/windows/win32/adschema/a-samaccountname, MS-SAMR 3.1.1.8.4).
const forbiddenInAccounts = `"/\[]:;|=,+*?<>`

func brokenAccount(v string) string {
	switch i := strings.IndexAny(v, forbiddenInAccounts); {
	case i >= 0:
		return fmt.Sprintf("has %q, and none of %s is allowed", v[i], forbiddenInAccounts)
	case strings.ContainsFunc(v, unicode.IsControl):
		return "has a control character"
	case strings.TrimSpace(v) != v:
		return "has a space at an end"
	case strings.HasSuffix(v, "."):
		return "ends with a dot"
	}
	return ""
}

// brokenSignIn looks at a user principal name (https://learn.microsoft.com/windows/win32/ad/naming-properties): a name and a domain with one @ between them.
func brokenSignIn(v string) string {
	name, domain, parted := strings.Cut(v, "@")
	switch {
	case !parted || name == "" || domain == "" || strings.Contains(domain, "@"):
		return "is not NAME@DOMAIN"
	case strings.ContainsFunc(v, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }):
		return "has white space or a control character"
	case strings.HasPrefix(domain, ".") || strings.HasSuffix(domain, ".") || strings.Contains(domain, ".."):
		return "has a dot too many in its domain"
	case strings.HasPrefix(name, ".") || strings.HasSuffix(name, ".") || strings.Contains(name, ".."):
		return "has a dot at an end of its name, or two together"
	}
	return ""
}
