package directory_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// controllerOf serves a model and returns a session with it, of the read-only account.
func controllerOf(t *testing.T, m *labdirectory.Model) (*labdirectory.Server, *directory.Session) {
	t.Helper()
	srv, err := labdirectory.Serve(t.Context(), m, labdirectory.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = srv.Close() })
	s, err := directory.Dial(t.Context(), directory.Connection{Name: "contoso", URLs: []string{srv.URL()}, Base: m.Base(), User: m.ReadOnlyUser(), Password: m.AdminPassword(), CA: srv.CAPEM()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return srv, s
}

// newOU changes a directory.
func newOU(t *testing.T, srv *labdirectory.Server, name string) {
	t.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(srv.CAPEM())
	conn, err := ldap.DialURL(srv.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	m := srv.Model()
	if err := conn.Bind(m.AdminUser(), m.AdminPassword()); err != nil {
		t.Fatal(err)
	}
	r := ldap.NewAddRequest("OU="+name+","+m.Base(), nil)
	r.Attribute("objectClass", []string{"organizationalUnit"})
	if err := conn.Add(r); err != nil {
		t.Fatal(err)
	}
}

// Rule V1: a controller proves that it has what was seen by its own number, or by its up-to-dateness vector; without either it proves nothing.
func TestAControllerProvesWhatItHas(t *testing.T) {
	m := labdirectory.New(labdirectory.Options{})
	srv, first := controllerOf(t, m)
	replica := m.Replica()
	_, second := controllerOf(t, replica)
	own, other := first.Controller(), second.Controller()
	if own.InvocationID == other.InvocationID || own.Root != other.Root {
		t.Fatalf("these are not two controllers of one domain: %+v, %+v", own, other)
	}
	want := func(what string, s *directory.Session, p directory.AsOf, kind error) {
		t.Helper()
		err := s.Reached(t.Context(), p)
		if !errors.Is(err, kind) || (kind == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", what, err, kind)
		}
		for _, x := range []error{directory.ErrBehind, directory.ErrUnproved} {
			if x != kind && errors.Is(err, x) {
				t.Errorf("%s: it is taken for %v too", what, x)
			}
		}
		if err != nil && !strings.Contains(err.Error(), s.Controller().URL) {
			t.Errorf("%s: %v does not say which controller", what, err)
		}
	}
	at := func(c directory.Controller, usn uint64) directory.AsOf {
		return directory.AsOf{Invocation: c.InvocationID, USN: usn}
	}
	want("nothing was seen", second, directory.AsOf{}, nil)
	want("no number was seen", second, directory.AsOf{Invocation: own.InvocationID}, nil)
	want("its own number", first, at(own, own.HighestUSN), nil)
	want("more than its own number", first, at(own, own.HighestUSN+1), directory.ErrBehind)
	want("what it received", second, at(own, own.HighestUSN), nil)
	want("one more than it received, although its own number is far higher", second, at(own, own.HighestUSN+1), directory.ErrBehind)
	want("a controller that its vector does not name", second, directory.AsOf{Invocation: scoping.GUID{1}, USN: 1}, directory.ErrBehind)
	want("it has no vector", first, at(other, 1), directory.ErrUnproved)

	newOU(t, srv, "Later")
	usn, err := first.HighestUSN(t.Context())
	if err != nil || usn <= own.HighestUSN {
		t.Fatalf("after a change the controller is at %d, was at %d: %v", usn, own.HighestUSN, err)
	}
	want("its own number rose while the session lasted", first, at(own, usn), nil)
	want("a change that it did not receive", second, at(own, usn), directory.ErrBehind)
	replica.CatchUp()
	want("the change came while the session lasted", second, at(own, usn), nil)
	want("its own number after that", second, at(other, other.HighestUSN+1), nil)
}
