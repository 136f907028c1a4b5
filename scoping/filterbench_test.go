package scoping_test

import (
	"fmt"
	"testing"

	"github.com/tandem-sync/tandem/scoping"
)

// BenchmarkFilterMatches is what the census pays for each object that a filter could select: an ordinary filter, and one that
// looks through a hundred memberships.
func BenchmarkFilterMatches(b *testing.B) {
	o := object("objectclass=top", "objectclass=person", "objectclass=organizationalPerson", "objectclass=user",
		"objectcategory=CN=Person,CN=Schema,CN=Configuration,DC=contoso,DC=test", "department=Sales East", "useraccountcontrol=512",
		"mail=ann.berg@contoso.test")
	for i := range 100 {
		o["memberof"] = append(o["memberof"], fmt.Appendf(nil, "CN=Group %d,OU=Groups,OU=Sales,DC=contoso,DC=test", i))
	}
	for name, text := range map[string]string{
		"ordinary": "(&(objectClass=user)(department=sales*)(mail=*@contoso.test)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))",
		"memberOf": "(memberOf=CN=Group 99,OU=Groups,OU=Sales,DC=contoso,DC=test)",
	} {
		f := scoping.MustParseFilter(text)
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !f.Matches(o) {
					b.Fatal("no match")
				}
			}
		})
	}
}
