package protection_test

import (
	"testing"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
)

func TestAccountsOfMachinesAndTrustsAreNoPeople(t *testing.T) {
	entry := func(control, kind string, classes ...string) directory.Entry {
		e := directory.Entry{Attrs: map[string][][]byte{"useraccountcontrol": {[]byte(control)}, "samaccounttype": {[]byte(kind)}}}
		for _, c := range classes {
			e.Attrs["objectclass"] = append(e.Attrs["objectclass"], []byte(c))
		}
		return e
	}
	person := []string{"top", "person", "organizationalPerson", "user"}
	for name, c := range map[string]struct {
		e    directory.Entry
		fine bool
	}{
		"a user":                        {entry("512", "805306368", person...), true},
		"a disabled user":               {entry("514", "805306368", person...), true},
		"an inetOrgPerson":              {entry("512", "805306368", append(person, "inetOrgPerson")...), true},
		"a trust":                       {entry("2080", "805306370", person...), false},
		"a user with a computer's bits": {entry("4096", "805306369", person...), false},
		"a controller":                  {entry("532480", "805306369", append(person, "computer")...), false},
		"a read-only controller":        {entry("83890176", "805306369", append(person, "computer")...), false},
		"a group managed account":       {entry("4096", "805306369", append(person, "computer", "msDS-GroupManagedServiceAccount")...), false},
		"a delegated managed account":   {entry("4096", "805306369", append(person, "computer", "msDS-DelegatedManagedServiceAccount")...), false},
		"a temporary duplicate":         {entry("256", "805306368", person...), false},
		"a contact":                     {entry("512", "805306368", "top", "person", "organizationalPerson", "contact"), false},
		"what shows no class":           {entry("512", "805306368"), false},
	} {
		if why := protection.NotAPerson(c.e); (why == "") != c.fine {
			t.Errorf("%s: %q", name, why)
		}
	}
}
