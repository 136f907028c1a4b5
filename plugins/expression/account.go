// Package expression holds the value conversions that attribute mappings are made of.
//
// Every function is pure: the same directory facts give the same tenant values, whichever engine asks. Both built-in engines
// map through it, so that handing an object from one to the other writes nothing when nothing changed.
package expression

import (
	"strconv"
	"strings"

	"github.com/go-ldap/ldap/v3"
)

// Revision is raised whenever a function of this package gives another value for the same facts: engines tell their hosts by it
// that objects that did not change have to be judged anew.
const Revision = 1

// accountDisable is the ADS_UF_ACCOUNTDISABLE bit of userAccountControl (MS-ADTS 2.2.16).
const accountDisable = 0x2

// AccountEnabled turns a userAccountControl value into the tenant's accountEnabled, "true" or "false". A value that is
// absent or no number gives "": it is not known, and must not be guessed.
func AccountEnabled(userAccountControl string) string {
	n, err := strconv.ParseInt(strings.TrimSpace(userAccountControl), 10, 64)
	if err != nil {
		return ""
	}
	return strconv.FormatBool(n&accountDisable == 0)
}

// UserPrincipalName gives the sign-in name: userPrincipalName when it has one, else sAMAccountName@domain (the rule "User
// AccountEnabled" of Connect's default set). It gives "" when neither can be made. Surrounding space is removed.
func UserPrincipalName(userPrincipalName, sAMAccountName, domain string) string {
	if u := strings.TrimSpace(userPrincipalName); u != "" {
		return u
	}
	s := strings.TrimSpace(sAMAccountName)
	if s == "" || domain == "" {
		return ""
	}
	return s + "@" + domain
}

// Domain gives the DNS name of the domain that a DN lies in: its DC components joined by dots, in lower case. A DN without
// any, or one that does not parse, gives "".
func Domain(dn string) string {
	parsed, err := ldap.ParseDN(dn)
	if err != nil {
		return ""
	}
	var parts []string
	for _, rdn := range parsed.RDNs {
		if len(rdn.Attributes) == 1 && strings.EqualFold(rdn.Attributes[0].Type, "DC") {
			parts = append(parts, strings.ToLower(rdn.Attributes[0].Value))
		}
	}
	return strings.Join(parts, ".")
}
