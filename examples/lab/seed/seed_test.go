package seed_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"reflect"
	"testing"

	"context"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/seed"
)

func TestAPlanDependsOnItsArgumentsAlone(t *testing.T) {
	a, b := seed.Plan(200, 7, "contoso.test"), seed.Plan(200, 7, "contoso.test")
	if !reflect.DeepEqual(a, b) {
		t.Error("two plans of the same arguments differ")
	}
	if reflect.DeepEqual(a, seed.Plan(200, 8, "contoso.test")) {
		t.Error("the seed changes nothing")
	}
	if len(a.Users) != 200 || len(a.Groups) != 24 {
		t.Errorf("%d users and %d groups, want 200 and 24", len(a.Users), len(a.Groups))
	}
}

func TestAPlanHoldsWhatMakesTrouble(t *testing.T) {
	w := seed.Plan(200, 1, "contoso.test")
	count := map[string]int{}
	for _, u := range w.Users {
		if u.Attributes["userPrincipalName"] == nil {
			count["without a principal name"]++
		}
		if u.Attributes["userAccountControl"][0] == "514" {
			count["disabled"]++
		}
		if len(u.Attributes["mS-DS-ConsistencyGuid"]) == 1 {
			count["with an anchor"]++
		}
	}
	for _, what := range []string{"without a principal name", "disabled", "with an anchor"} {
		if count[what] == 0 {
			t.Errorf("no user is %s", what)
		}
	}
	for _, dn := range []string{"OU=Sales,DC=contoso,DC=test", "OU=Sales,OU=Engineering,DC=contoso,DC=test", "OU=Contractors,OU=Sales,DC=contoso,DC=test",
		`OU=R&D\, Berlin,DC=contoso,DC=test`, `OU=\#1 Team,DC=contoso,DC=test`} {
		found := false
		for _, o := range w.OUs {
			found = found || o.DN == dn
		}
		if !found {
			t.Errorf("the OU %s is missing", dn)
		}
	}
}

func TestTheWireAndTheModelGiveTheSameWorld(t *testing.T) {
	w := seed.Plan(120, 3, "fabrikam.test")
	filled := directory.New(directory.Options{Domain: "fabrikam.test"})
	if err := w.Fill(t.Context(), filled); err != nil {
		t.Fatal(err)
	}
	applied := directory.New(directory.Options{Domain: "fabrikam.test"})
	if err := w.Apply(t.Context(), connect(t, applied)); err != nil {
		t.Fatal(err)
	}
	for _, o := range append(append(w.OUs, w.Users...), w.Groups...) {
		a, errA := filled.Lookup(o.DN)
		b, errB := applied.Lookup(o.DN)
		if errA != nil || errB != nil {
			t.Fatalf("%s: %v, %v", o.DN, errA, errB)
		}
		for name, values := range o.Attributes {
			if name != "objectClass" && !reflect.DeepEqual(a.Attributes[name], values) {
				t.Errorf("%s of %s is %q, want %q", name, o.DN, a.Attributes[name], values)
			}
		}
		if a.GUID != b.GUID || len(a.Attributes["member"]) != len(b.Attributes["member"]) || !reflect.DeepEqual(a.Attributes["manager"], b.Attributes["manager"]) {
			t.Errorf("%s differs between the wire and the model", o.DN)
		}
	}
}

func TestSeedingStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m := directory.New(directory.Options{})
	before := m.HighestUSN()
	if err := seed.Plan(10, 1, "contoso.test").Fill(ctx, m); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if m.HighestUSN() != before {
		t.Error("something was written")
	}
}

func connect(t *testing.T, m *directory.Model) *ldap.Conn {
	t.Helper()
	s, err := directory.Serve(t.Context(), m, directory.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(s.CAPEM())
	conn, err := ldap.DialURL(s.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(conn.Close(), s.Close()); err != nil {
			t.Error(err)
		}
	})
	if err := conn.Bind(m.AdminUser(), m.AdminPassword()); err != nil {
		t.Fatal(err)
	}
	return conn
}
