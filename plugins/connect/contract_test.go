package connect_test

import (
	"testing"

	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/conformance"
	"github.com/tandem-sync/tandem/plugins/engine/enginetest"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

func TestEngineKeepsTheContract(t *testing.T) {
	for _, l := range everyLab(t) {
		t.Run(l.name, func(t *testing.T) {
			w := newWorld(t, l)
			ann := w.addUser("Ann", w.ou)
			bob := w.addUser("Bob", w.ou, "manager", ann, "employeeNumber", "17")
			pat := w.addContact("Pat", w.ou, "manager", ann)
			crew := w.addGroup("Crew", w.ou, ann, bob, pat)
			id := func(dn string) scoping.ObjectID { return scoping.ObjectID{Directory: "contoso", GUID: w.guid(dn)} }
			var expect []conformance.Expected
			for dn, base := range map[string]scoping.Feature{ann: scoping.Users, bob: scoping.Users, crew: scoping.Groups, pat: scoping.Contacts} {
				features := []scoping.Feature{base, scoping.References}
				if base == scoping.Users {
					features = append(features, scoping.Extensions)
				}
				for _, f := range features {
					expect = append(expect, conformance.Expected{Object: id(dn), Feature: f, Want: engine.Present})
				}
			}
			config := w.config()
			config.DataDir = ""
			config.Directories[0].Accounts = map[scoping.Purpose]engine.Account{scoping.Reset: {User: l.admin, Password: secret.Take([]byte(l.pass))}}
			signsIn := func(tb testing.TB, with string) bool {
				s, err := directory.Dial(tb.Context(), directory.Connection{Name: "contoso", URLs: []string{l.url}, Base: l.base, CA: l.ca, User: ann, Password: with})
				if err == nil {
					_ = s.Close()
				}
				return err == nil
			}
			mistaken := config
			mistaken.Settings = []byte(`{"a":1,"b":2}`)
			title := "a"
			scope := w.scope(w.ou)
			scope.Features = append(scope.Features, scoping.Extensions)
			conformance.Run(t, conformance.Options{
				Start: func(t testing.TB) engine.Engine {
					e := connect.New(connect.Options{})
					t.Cleanup(func() {
						if err := e.Close(); err != nil {
							t.Error(err)
						}
					})
					return enginetest.Wire(t, e)
				},
				Config: config, Mistaken: mistaken, Mistakes: 2, Scopes: []scoping.Scope{scope}, Expect: expect,
				Extensions: []string{"extensionAttribute1", "extension_0123456789abcdef0123456789abcdef_employeeNumber"},
				Deliver:    &conformance.Delivering{User: id(ann), Has: signsIn},
				Change: func(testing.TB) []scoping.ObjectID {
					title += "a"
					w.set(ann, "title", title)
					w.set(pat, "title", title)
					return []scoping.ObjectID{id(ann), id(pat)}
				},
			})
		})
	}
}
