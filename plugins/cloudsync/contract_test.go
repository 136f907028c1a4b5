package cloudsync_test

import (
	"fmt"
	"slices"
	"testing"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/conformance"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func TestEngineKeepsTheContract(t *testing.T) {
	w := newWorld(t, 5, cloudsync.Options{}, embedded)
	check(t, w.engine.Close()) // it has the port, and the kit starts its own
	w.set("CN=sales4,OU=Sales", "adminDescription", "User_1234")
	expect := []conformance.Expected{{Object: w.id("CN=sales4,OU=Sales"), Feature: scoping.Users, Want: engine.Excluded},
		{Object: w.id("CN=Sales all,OU=Sales"), Feature: scoping.Groups, Want: engine.Present},
		{Object: w.id("CN=Sales all,OU=Sales"), Feature: scoping.References, Want: engine.Present}}
	w.add("CN=Pat,OU=Sales", "contact", lab.Attributes{"proxyAddresses": {"SMTP:pat@partner.test"}, "manager": {w.dn("CN=sales1,OU=Sales")}})
	for _, f := range []scoping.Feature{scoping.Contacts, scoping.References} {
		expect = append(expect, conformance.Expected{Object: w.id("CN=Pat,OU=Sales"), Feature: f, Want: engine.Present})
	}
	for i := range 4 {
		for _, f := range []scoping.Feature{scoping.Users, scoping.References, scoping.Extensions} {
			expect = append(expect, conformance.Expected{Object: w.id(fmt.Sprintf("CN=sales%d,OU=Sales", i)), Feature: f, Want: engine.Present})
		}
	}
	scope := w.scope("OU=Sales")
	scope.Features = append(scope.Features, scoping.Extensions)
	w.set("CN=sales2,OU=Sales", "extensionAttribute1", "one")
	config := w.config
	config.DataDir = ""
	config.Directories = slices.Clone(config.Directories)
	config.Directories[0].Accounts = map[scoping.Purpose]engine.Account{scoping.Reset: {User: w.model.AdminUser(), Password: secret.Take([]byte(password))},
		scoping.Provision: {User: w.model.AdminUser(), Password: secret.Take([]byte(password))}}
	signsIn := func(tb testing.TB, with string) bool {
		d := config.Directories[0]
		s, err := directory.Dial(tb.Context(), directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, CA: d.CA, User: "sales0@contoso.test", Password: with})
		if err == nil {
			_ = s.Close()
		}
		return err == nil
	}
	title := "a"
	conformance.Run(t, conformance.Options{
		Start: func(t testing.TB) engine.Engine {
			e := cloudsync.New(cloudsync.Options{})
			t.Cleanup(func() {
				if err := e.Close(); err != nil {
					t.Error(err)
				}
			})
			return enginetest.Wire(t, e)
		},
		Config: config, Mistaken: engine.Config{Settings: []byte(`{"agents":{"minimum":0,"embedded":99},"provisioning":{"attributes":["adminCount"]}}`)}, Mistakes: 3,
		Scopes: []scoping.Scope{scope}, Expect: expect, Extensions: []string{"extensionAttribute1", "extension_0123456789abcdef0123456789abcdef_employeeNumber"},
		Map: mapped(t),
		Provision: &conformance.Provisioning{Directory: "contoso", Target: *w.adding(), Values: ann, Made: func(tb testing.TB) int {
			if _, err := w.model.Lookup(w.dn("CN=" + w.adding().Link.Value + ",OU=Sales")); err != nil {
				return 0
			}
			return 1
		}},
		Deliver: &conformance.Delivering{User: w.id("CN=sales0,OU=Sales"), Has: signsIn},
		Change: func(testing.TB) []scoping.ObjectID {
			title += "a"
			w.set("CN=sales1,OU=Sales", "title", title)
			w.set("CN=Pat,OU=Sales", "title", title)
			return []scoping.ObjectID{w.id("CN=sales1,OU=Sales"), w.id("CN=Pat,OU=Sales")}
		},
	})
}

// mapped are people of the tenant of whom one can be mapped, one lacks a name, and one is a guest.
func mapped(t *testing.T) *conformance.Mapped {
	person := func(id string, values map[string]string) engine.Source {
		o, err := scoping.Cloud(id)
		check(t, err)
		s := engine.Source{Object: o, Kind: scoping.User, Values: map[string]engine.Value{"id": {Text: []string{id}}}}
		for name, v := range values {
			s.Values[name] = engine.Value{Text: []string{v}}
		}
		return s
	}
	return &conformance.Mapped{Request: engine.MapRequest{Feature: scoping.UserProvisioning, Assignment: "new hires", ContainerDN: "OU=New Hires,DC=contoso,DC=test", Domain: "contoso.test"}, Present: 1, Sources: []engine.Source{
		person("8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d1", map[string]string{"displayName": "Ann Doe", "userPrincipalName": "ann@contoso.com", "accountEnabled": "true"}),
		person("8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d2", map[string]string{"displayName": "Bob Doe"}),
		person("8a1f3b52-7c1e-4c55-9b5e-3b9b35a3e6d3", map[string]string{"displayName": "Guy", "userPrincipalName": "g@contoso.com", "userType": "Guest"}),
	}}
}
