package main

import (
	"strings"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

// binned user|group OU lets somebody delete the tenant object of the first user or group of an OU, and sets $DN and $CLOUD to its name and its tenant id.
func binObject(ts *testscript.TestScript, _ bool, args []string) {
	l := labOf(ts)
	kind, name, dn := tenant.User, "", ""
	if args[0] == "user" {
		dn = usersOf(ts, args[1])[0]
		for _, u := range l.World.Users {
			if u.DN == dn {
				name = u.Attributes["userPrincipalName"][0]
			}
		}
	} else {
		kind = tenant.Group
		for _, g := range l.World.Groups {
			if directlyUnder(g.DN, l.OU(args[1])) && dn == "" {
				dn = g.DN
				name, _, _ = strings.Cut(strings.TrimPrefix(dn, "CN="), ",OU=")
			}
		}
	}
	all, err := l.Objects()
	ts.Check(err)
	for _, o := range all {
		if o.Kind == kind && (kind == tenant.User && strings.EqualFold(lab.Text(o, "userPrincipalName"), name) || kind == tenant.Group && lab.Text(o, "displayName") == name) {
			ts.Check(l.Model.Delete(kind, o.ID))
			ts.Setenv("DN", dn)
			ts.Setenv("CLOUD", o.ID)
			ts.Setenv("UPN", name)
			return
		}
	}
	ts.Fatalf("the tenant has no %s %s (%s)", args[0], name, dn)
}

// purged lets somebody delete for good what was deleted last.
func purgeBinned(ts *testscript.TestScript, _ bool, _ []string) {
	ts.Check(labOf(ts).Model.Purge(ts.Getenv("CLOUD")))
}

// taken lets somebody give the sign-in name of the user that was deleted last to another one of the tenant, and sets $HOLDER to that one's id.
func takeName(ts *testscript.TestScript, _ bool, _ []string) {
	o, err := labOf(ts).Model.CreateUser(map[string]any{"userPrincipalName": ts.Getenv("UPN"), "displayName": "Somebody", "mailNickname": "somebody", "accountEnabled": true,
		"passwordProfile": map[string]any{"password": "Somebody-else-1!"}})
	ts.Check(err)
	ts.Setenv("HOLDER", o.ID)
}
