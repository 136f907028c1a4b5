package password_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// shared is the domain controller of this package's tests.
var shared samba.Shared

func TestMain(m *testing.M) { os.Exit(shared.Around(m)) }

// world is a directory with an OU of the test's own, in which the account svc may reset passwords and unlock.
type world struct {
	*testing.T
	samba      bool
	admin      *ldap.Conn
	connection directory.Connection // as svc
	base       string
	domain     string
	ou         string
	suffix     string
	svc        []byte // its SID
	builtin    string // the built-in Administrator's DN
}

var worlds atomic.Int64

// everywhere runs a test over Samba and over the embedded directory, which shall be the same.
func everywhere(t *testing.T, test func(*world)) {
	t.Helper()
	t.Run("samba", func(t *testing.T) {
		if samba.LeftOut() {
			t.Log("not checked: TANDEM_NO_SAMBA=1")
			return
		}
		dc, err := shared.DC()
		if err != nil {
			t.Fatal(err)
		}
		test(newWorld(t, true, directory.Connection{URLs: []string{dc.URL()}, Base: dc.Base(), CA: dc.CAPEM()}, dc.Domain(), dc.AdminUser(), dc.AdminPassword()))
	})
	t.Run("embedded", func(t *testing.T) { test(embedded(t, lab.Options{})) })
}

func embedded(t *testing.T, o lab.Options) *world {
	t.Helper()
	m := lab.New(o)
	s, err := lab.Serve(context.Background(), m, lab.ServerOptions{}) // the test's context ends before what puts things back
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return newWorld(t, false, directory.Connection{URLs: []string{s.URL()}, Base: m.Base(), CA: s.CAPEM()}, m.Domain(), m.AdminUser(), m.AdminPassword())
}

const first = "First-Passw0rd!"

func newWorld(t *testing.T, isSamba bool, c directory.Connection, domain, admin, adminPassword string) *world {
	w := &world{T: t, samba: isSamba, base: c.Base, domain: domain, suffix: fmt.Sprintf("-%d", worlds.Add(1)), connection: c, builtin: "CN=Administrator,CN=Users," + c.Base}
	w.admin = w.dial(admin, adminPassword)
	w.ou = "OU=Test" + w.suffix + "," + w.base
	w.add(w.ou, "objectClass", "organizationalUnit")
	dn := w.user("svc")
	w.svc = w.read(dn, "objectSid")
	w.connection.Name, w.connection.User, w.connection.Password = "contoso", "svc"+w.suffix+"@"+domain, first
	for _, e := range delegation.Reset {
		w.ok(delegation.Grant(w.admin, w.ou, w.svc, e))
	}
	return w
}

// dial signs in over LDAP by itself.
func (w *world) dial(user, password string) *ldap.Conn {
	w.Helper()
	conn, err := w.tryDial(user, password)
	w.ok(err)
	return conn
}

func (w *world) tryDial(user, password string) (*ldap.Conn, error) {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.connection.CA)
	conn, err := ldap.DialURL(w.connection.URLs[0], ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	if err != nil {
		return nil, err
	}
	w.Cleanup(func() { conn.Close() })
	return conn, conn.Bind(user, password)
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) add(dn string, pairs ...string) {
	w.Helper()
	r := ldap.NewAddRequest(dn, nil)
	values, order := map[string][]string{}, []string{}
	for i := 0; i < len(pairs); i += 2 {
		if values[pairs[i]] == nil {
			order = append(order, pairs[i])
		}
		values[pairs[i]] = append(values[pairs[i]], pairs[i+1])
	}
	for _, name := range order {
		r.Attribute(name, values[name])
	}
	w.ok(w.admin.Add(r))
}

// user adds a user with the first password to the OU and returns its DN.
func (w *world) user(name string) string {
	w.Helper()
	dn := "CN=" + name + "," + w.ou
	w.add(dn, "objectClass", "user", "sAMAccountName", name+w.suffix, "userPrincipalName", name+w.suffix+"@"+w.domain, "userAccountControl", "512", "unicodePwd", lab.EncodePassword(first))
	return dn
}

func (w *world) group(name string, members ...string) string {
	w.Helper()
	dn := "CN=" + name + "," + w.ou
	w.add(dn, "objectClass", "group", "sAMAccountName", name+w.suffix)
	for _, m := range members {
		w.join(dn, m)
	}
	return dn
}

// join makes somebody a member until the test ends.
func (w *world) join(group, member string) {
	w.Helper()
	r := ldap.NewModifyRequest(group, nil)
	r.Add("member", []string{member})
	w.ok(w.admin.Modify(r))
	w.Cleanup(func() {
		r := ldap.NewModifyRequest(group, nil)
		r.Delete("member", []string{member})
		w.admin.Modify(r) // the member may be gone
	})
}

// set writes an attribute and, of the domain's head, puts the former value back when the test ends.
func (w *world) set(dn, attr, value string) {
	w.Helper()
	if dn == w.base {
		before := w.read(dn, attr)
		w.Cleanup(func() { w.put(dn, attr, string(before)) })
	}
	w.put(dn, attr, value)
}

func (w *world) put(dn, attr, value string) {
	w.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	if value == "" {
		r.Replace(attr, nil)
	} else {
		r.Replace(attr, []string{value})
	}
	if err := w.admin.Modify(r); err != nil && value != "" {
		w.Errorf("%s of %s: %v", attr, dn, err)
	}
}

func (w *world) read(dn, attr string) []byte {
	w.Helper()
	res, err := w.admin.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{attr}, nil))
	w.ok(err)
	return res.Entries[0].GetRawAttributeValue(attr)
}

func (w *world) guid(dn string) scoping.GUID {
	w.Helper()
	g, err := scoping.GUIDFromBytes(w.read(dn, "objectGUID"))
	w.ok(err)
	return g
}

// setter signs in as svc.
func (w *world) setter() password.Setter {
	w.Helper()
	return w.setterOver(w.connection)
}

func (w *world) setterOver(c directory.Connection) password.Setter {
	w.Helper()
	s, err := directory.Dial(w.Context(), c)
	w.ok(err)
	w.Cleanup(func() { s.Close() })
	own, err := access.SIDFromBytes(w.svc)
	w.ok(err)
	return password.Setter{Session: s, Own: []access.SID{own}}
}

func value(s string) *secret.Value { return secret.Take([]byte(s)) }

// wants checks a result's code.
func (w *world) wants(what string, r password.Result, code password.Code) {
	w.Helper()
	if r.Code != code {
		w.Errorf("%s: %s (%s; %s; %v), want %s", what, r.Code, r.Reason, r.Diagnostic, r.Cause, code)
	}
}

// signsIn reports with which of two passwords, or why not: AD's sub-code.
func (w *world) signsIn(name, with string) string {
	w.Helper()
	_, err := w.tryDial(name+w.suffix+"@"+w.domain, with)
	if err == nil {
		return "yes"
	}
	_, data, found := strings.Cut(err.Error(), "data ")
	if !found {
		w.Errorf("%s: %v", name, err)
	}
	code, _, _ := strings.Cut(data, ",")
	return code
}

// history, length and the other rules of the domain.
func (w *world) rules(pairs ...string) {
	w.Helper()
	for i := 0; i < len(pairs); i += 2 {
		w.set(w.base, pairs[i], pairs[i+1])
	}
}
