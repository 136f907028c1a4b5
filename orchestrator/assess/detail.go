package assess

import (
	"encoding/base64"
	"strings"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/expression"
	"github.com/tandem-sync/tandem/scoping"
)

// Detail is what engines would write of an object.
type Detail struct {
	SignIn    string   // of a user: the sign-in name that engines give it
	Made      bool     // the directory has no sign-in name for it, so engines make one of the account's name
	Mail      string   // its mail attribute
	Addresses []string // the SMTP addresses of proxyAddresses and mail, in lower case, each once
	Display   string   // the display name that engines give it
	Anchor    string   // the source anchor that engines give it, base64; empty: there is no usable one
	Excluded  string   // the code with which both engines leave it out, regardless of its size; empty: they do not
}

// detailed are the attributes that a Detail needs beside those that every survey reads.
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

// anchorBytes is the length of a source anchor.
const anchorBytes = 16

// anchorOf returns mS-DS-ConsistencyGuid, or the objectGUID if that is empty (rule I2); empty: mS-DS-ConsistencyGuid does not have 16 bytes.
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
