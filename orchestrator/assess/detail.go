package assess

import (
	"encoding/base64"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Detail is what engines and tenant make of an object.
type Detail struct {
	SignIn    string   // of a user: the name that engines give it
	Made      bool     // the directory has no sign-in name of it: engines make one of the account's name
	Mail      string   // its mail attribute
	Addresses []string // what proxyAddresses and mail have as SMTP addresses, in lower case, each once
	Display   string   // the display name that engines give it
	Anchor    string   // the source anchor that engines give it, base64; empty: there is no usable one
	Excluded  string   // the code with which both engines leave it out, whatever its size; empty: they do not
}

// detailed are the attributes that details are made of, beside those that each survey looks at.
var detailed = append([]string{"userPrincipalName"}, expression.ExcludedBy...)

func detailOf(e directory.Entry, domain string) *Detail {
	d := &Detail{Mail: strings.Clone(strings.TrimSpace(e.Text("mail"))), Addresses: addressesOf(e), Anchor: anchorOf(e), Excluded: expression.Excluded(e, 0, 0),
		Display: strings.Clone(expression.Coalesce(e.Text("displayName"), e.Text("name")))}
	if e.Kind() == scoping.User {
		own := e.Text("userPrincipalName")
		d.SignIn, d.Made = strings.Clone(expression.UserPrincipalName(own, e.Text("sAMAccountName"), domain)), strings.TrimSpace(own) == ""
	}
	return d
}

// anchorBytes is how long a source anchor is.
const anchorBytes = 16

// anchorOf returns mS-DS-ConsistencyGuid, else the object's identity as the directory stores it (rule I2).
func anchorOf(e directory.Entry) string {
	own := e.Attrs["ms-ds-consistencyguid"]
	switch {
	case len(own) == 0:
		return base64.StdEncoding.EncodeToString(e.GUID[:])
	case len(own[0]) != anchorBytes:
		return ""
	}
	return base64.StdEncoding.EncodeToString(own[0])
}

func addressesOf(e directory.Entry) (out []string) {
	add := func(a string) {
		a = strings.ToLower(strings.TrimSpace(a))
		if !strings.Contains(a, "@") {
			return
		}
		for _, x := range out {
			if x == a {
				return
			}
		}
		out = append(out, a)
	}
	for _, p := range e.Texts("proxyAddresses") {
		if kind, a, typed := strings.Cut(p, ":"); typed && strings.EqualFold(kind, "smtp") {
			add(a)
		}
	}
	add(e.Text("mail"))
	return out
}
