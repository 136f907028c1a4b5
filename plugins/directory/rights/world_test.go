package rights_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
)

// shared is the domain controller of this package's tests.
var shared samba.Shared

func TestMain(m *testing.M) { os.Exit(shared.Around(m)) }

// world is a directory with two OUs, in the first of which is a user, and an account svc in CN=Users that has nothing.
type world struct {
	*testing.T
	dc         *samba.DC // nil: the embedded directory
	admin      *ldap.Conn
	connection directory.Connection // as svc
	base       string
	domain     string
	ou, other  string
	suffix     string
	svc        []byte // its SID
	svcDN      string
}

var worlds atomic.Int64

const password = "Service-Passw0rd!"

func everywhere(t *testing.T, test func(*world)) {
	t.Helper()
	t.Run("samba", func(t *testing.T) { onSamba(t, test) })
	t.Run("embedded", func(t *testing.T) {
		m := lab.New(lab.Options{})
		s, err := lab.Serve(context.Background(), m, lab.ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
		test(newWorld(t, nil, directory.Connection{URLs: []string{s.URL()}, Base: m.Base(), CA: s.CAPEM()}, m.Domain(), m.AdminUser(), m.AdminPassword()))
	})
}

func onSamba(t *testing.T, test func(*world)) {
	t.Helper()
	if samba.LeftOut() {
		t.Log("not checked: TANDEM_NO_SAMBA=1")
		return
	}
	dc, err := shared.DC()
	if err != nil {
		t.Fatal(err)
	}
	test(newWorld(t, dc, directory.Connection{URLs: []string{dc.URL()}, Base: dc.Base(), CA: dc.CAPEM()}, dc.Domain(), dc.AdminUser(), dc.AdminPassword()))
}

func newWorld(t *testing.T, dc *samba.DC, c directory.Connection, domain, admin, adminPassword string) *world {
	w := &world{T: t, dc: dc, base: c.Base, domain: domain, suffix: fmt.Sprintf("-%d", worlds.Add(1)), connection: c}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(c.CA)
	conn, err := ldap.DialURL(c.URLs[0], ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	w.ok(err)
	t.Cleanup(func() { conn.Close() })
	w.ok(conn.Bind(admin, adminPassword))
	w.admin = conn
	w.ou, w.other = "OU=Test"+w.suffix+","+w.base, "OU=Other"+w.suffix+","+w.base
	w.add(w.ou, "objectClass", "organizationalUnit")
	w.add(w.other, "objectClass", "organizationalUnit")
	w.user("ann", w.ou)
	w.svcDN = w.user("svc", "CN=Users,"+w.base)
	w.svc = w.read(w.svcDN, "objectSid")
	w.connection.Name, w.connection.User, w.connection.Password = "contoso", "svc"+w.suffix+"@"+domain, password
	head, err := delegation.Read(w.admin, w.base)
	w.ok(err)
	t.Cleanup(func() { w.ok(delegation.Write(w.admin, w.base, head)) })
	return w
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
	for i := 0; i < len(pairs); i += 2 {
		r.Attribute(pairs[i], []string{pairs[i+1]})
	}
	w.ok(w.admin.Add(r))
}

func (w *world) user(name, in string) string {
	w.Helper()
	dn := "CN=" + name + w.suffix + "," + in
	w.add(dn, "objectClass", "user", "sAMAccountName", name+w.suffix, "userPrincipalName", name+w.suffix+"@"+w.domain, "userAccountControl", "512", "unicodePwd", lab.EncodePassword(password))
	return dn
}

func (w *world) read(dn, attr string) []byte {
	w.Helper()
	res, err := w.admin.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{attr}, nil))
	w.ok(err)
	return res.Entries[0].GetRawAttributeValue(attr)
}

func (w *world) join(group, member string) {
	w.Helper()
	r := ldap.NewModifyRequest(group, nil)
	r.Add("member", []string{member})
	w.ok(w.admin.Modify(r))
}

func (w *world) grant(dn string, entries ...delegation.Entry) {
	w.Helper()
	w.ok(delegation.Grant(w.admin, dn, w.svc, entries...))
}

// delegated gives svc exactly what resetting needs in a container, but for what is named.
func (w *world) delegated(dn string, without ...string) {
	w.Helper()
	for name, e := range delegation.Reset {
		if !slices.Contains(without, name) {
			w.grant(dn, e)
		}
	}
}

// link is the attribute that holds links: Samba's schema is an older one.
func (w *world) link() string {
	if w.dc != nil {
		return "adminDescription"
	}
	return "msDS-ExternalDirectoryObjectId"
}

// provisions gives svc exactly what provisioning needs in a container, but for what is named.
func (w *world) provisions(dn string, without ...string) {
	w.Helper()
	var entries []delegation.Entry
	for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link(w.link())} {
		for name, e := range all {
			if !slices.Contains(without, name) {
				entries = append(entries, e)
			}
		}
	}
	w.grant(dn, entries...)
}

// signedIn is a session as svc.
func (w *world) signedIn() *directory.Session {
	w.Helper()
	s, err := directory.Dial(w.Context(), w.connection)
	w.ok(err)
	w.Cleanup(func() { s.Close() })
	return s
}

// replication reads as svc.
func (w *world) replication() drsr.Config {
	return drsr.Config{Connection: w.connection, Dial: func(_ context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		return w.dc.Dial(n)
	}}
}

// codes are the findings that want something, as CODE or CODE:RIGHT, sorted. A note and what Samba has not are left out.
func codes(found []rights.Finding) []string {
	out := []string{}
	for _, f := range found {
		if f.Level == rights.Note && f.Code != rights.NotFor || f.Code == rights.HistoryNotEnforced || f.Code == rights.Ready {
			continue
		}
		s := f.Code
		if f.Right != "" {
			s += ":" + f.Right
		}
		out = append(out, s)
	}
	slices.Sort(out)
	return out
}

func (w *world) wants(what string, found []rights.Finding, want ...string) {
	w.Helper()
	slices.Sort(want)
	got := codes(found)
	if strings.Join(got, " ") != strings.Join(want, " ") {
		w.Errorf("%s: %v, want %v\n%+v", what, got, want, found)
	}
	failed := slices.ContainsFunc(found, func(f rights.Finding) bool {
		return f.Level == rights.Failure || f.Code == rights.Unknown && f.Level == rights.Warning
	})
	ready := slices.ContainsFunc(found, func(f rights.Finding) bool { return f.Code == rights.Ready })
	if failed == ready {
		w.Errorf("%s: ready %v though failed %v", what, ready, failed)
	}
}
