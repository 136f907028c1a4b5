package provision_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

func TestWhatActiveDirectoryTakesAsValues(t *testing.T) {
	long := func(n int) string { return strings.Repeat("ž", n) }
	cases := []struct {
		kind            scoping.Kind
		attribute, want string
		values          []string
	}{
		{scoping.User, "cn", "", []string{long(64)}},
		{scoping.User, "cn", "has 65 characters, and 64 are the most", []string{long(65)}},
		{scoping.User, "cn", "", []string{`Doe, "Ann" + <x>=;#\`}},
		{scoping.User, "cn", "has a space at an end", []string{" Ann"}},
		{scoping.User, "cn", "has a control character", []string{"Ann\nDoe"}},
		{scoping.User, "cn", "has a character 0", []string{"Ann\x00Doe"}},
		{scoping.User, "sAMAccountName", "", []string{"o'neil@x.y-z_1"}},
		{scoping.User, "sAMAccountName", "", []string{long(20)}},
		{scoping.User, "sAMAccountName", "has 21 characters, and 20 are the most", []string{long(21)}},
		{scoping.Group, "sAMAccountName", "", []string{long(256)}},
		{scoping.Group, "sAMAccountName", "has 257 characters, and 256 are the most", []string{long(257)}},
		{scoping.User, "sAMAccountName", `has '+', and none of "/\[]:;|=,+*?<> is allowed`, []string{"ann+x"}},
		{scoping.User, "sAMAccountName", "ends with a dot", []string{"ann."}},
		{scoping.User, "userPrincipalName", "", []string{"ann.o'neil@contoso.com"}},
		{scoping.User, "userPrincipalName", "is not NAME@DOMAIN", []string{"contoso.com"}},
		{scoping.User, "userPrincipalName", "is not NAME@DOMAIN", []string{"@contoso.com"}},
		{scoping.User, "userPrincipalName", "is not NAME@DOMAIN", []string{"ann@x@contoso.com"}},
		{scoping.User, "userPrincipalName", "has white space or a control character", []string{"ann doe@contoso.com"}},
		{scoping.User, "userPrincipalName", "has a dot too many in its domain", []string{"ann@contoso.com."}},
		{scoping.User, "userPrincipalName", "has a dot at an end of its name, or two together", []string{"ann.@contoso.com"}},
		{scoping.User, "accountDisabled", "", []string{"true"}},
		{scoping.User, "accountDisabled", "is neither true nor false", []string{"True"}},
		{scoping.User, "accountExpires", "", []string{"132539615990000000"}},
		{scoping.User, "accountExpires", "is not a whole number", []string{"never"}},
		{scoping.User, "c", "", []string{"CZ"}},
		{scoping.User, "c", "is not a country's code of two capital letters (ISO 3166)", []string{"cz"}},
		{scoping.User, "department", "takes one value, and there are 2", []string{"a", "b"}},
		{scoping.User, "otherMobile", "", []string{"1", "2"}},
		{scoping.User, "extensionAttribute9", "has 1025 characters, and 1024 are the most", []string{long(1025)}},
		{scoping.User, "extensionAttribute10", "", []string{long(2048)}},
		{scoping.User, "contosoBadge", "", []string{long(5000), "x"}},
		{scoping.User, "department", "is empty or not UTF-8", []string{""}},
		{scoping.User, "department", "is empty or not UTF-8", []string{"\xff"}},
	}
	for _, c := range cases {
		err := provision.CheckValues(c.kind, c.attribute, c.values)
		var value *provision.ValueError
		switch {
		case c.want == "" && err != nil:
			t.Errorf("%s %.40q: %v", c.attribute, c.values, err)
		case c.want != "" && (!errors.As(err, &value) || value.Rule != c.want || value.Attribute != c.attribute || !strings.HasPrefix(err.Error(), c.attribute)):
			t.Errorf("%s %.40q: %v, want %s", c.attribute, c.values, err, c.want)
		}
	}
}

// What is written has to be what a write may hold, and what the schema of Active Directory knows.
func TestEveryAttributeWithARuleIsOneOfTheDirectory(t *testing.T) {
	for _, kind := range []scoping.Kind{scoping.User, scoping.Group} {
		for _, name := range provision.Attributes(kind) {
			if name == "cn" || name == "accountDisabled" || name == "msDS-ObjectSoa" {
				continue // the name and the bit are written by operations of their own; the last one is of the newest schema
			}
			known, ok := scoping.LookupAttribute(name)
			if !ok || known.Name != name || known.Link || known.Constructed {
				t.Errorf("%s of a %s: %+v", name, kind, known)
			}
			w := writes()[provision.Add]
			w.Set = []provision.Set{{Attribute: name, To: []string{"x"}}}
			if err := w.Valid(); err != nil {
				t.Errorf("%s of a %s: %v", name, kind, err)
			}
		}
	}
}
