package drsr_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"net"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/credential"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// shared is the domain controller of this package's tests.
var shared samba.Shared

func TestMain(m *testing.M) { os.Exit(shared.Around(m)) }

// world is a domain controller with an OU of the test's own.
type world struct {
	testing.TB
	dc     *samba.DC
	ldap   *ldap.Conn
	ou     string
	suffix string
	list   []byte // the domain's access list before the test's first change
}

var worlds atomic.Int64

// onSamba returns the world that all tests share; false where Samba is left out.
func onSamba(t testing.TB) (*world, bool) {
	t.Helper()
	if samba.LeftOut() {
		t.Log("not checked: TANDEM_NO_SAMBA=1")
		return nil, false
	}
	dc, err := shared.DC()
	if err != nil {
		t.Fatal(err)
	}
	return newWorld(t, dc), true
}

func newWorld(t testing.TB, dc *samba.DC) *world {
	w := &world{TB: t, dc: dc, suffix: fmt.Sprintf("-%d", worlds.Add(1))}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(dc.CAPEM())
	conn, err := ldap.DialURL(dc.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	w.ok(err)
	t.Cleanup(func() { conn.Close() })
	w.ok(conn.Bind(dc.AdminUser(), dc.AdminPassword()))
	w.ldap, w.ou = conn, "OU=Test"+w.suffix+","+dc.Base()
	w.add(w.ou, "objectClass", "organizationalUnit")
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
	w.ok(w.ldap.Add(r))
}

// user adds a user, with a password unless that is empty, and returns its DN and objectGUID.
func (w *world) user(name, password string) (string, scoping.GUID) {
	w.Helper()
	dn := "CN=" + name + "," + w.ou
	pairs := []string{"objectClass", "user", "sAMAccountName", name + w.suffix, "userPrincipalName", name + w.suffix + "@" + w.dc.Domain(), "userAccountControl", "512"}
	if password != "" {
		pairs = append(pairs, "unicodePwd", quoted(password))
	}
	w.add(dn, pairs...)
	g, err := scoping.GUIDFromBytes(w.read(dn, "objectGUID"))
	w.ok(err)
	return dn, g
}

func (w *world) set(dn, attr, value string) {
	w.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attr, []string{value})
	w.ok(w.ldap.Modify(r))
}

func (w *world) read(dn, attr string, controls ...ldap.Control) []byte {
	w.Helper()
	res, err := w.ldap.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{attr}, controls))
	w.ok(err)
	return res.Entries[0].GetRawAttributeValue(attr)
}

// quoted is a password as unicodePwd takes it (MS-ADTS 3.1.1.3.1.5).
func quoted(password string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + password + `"`)) {
		b = binary.LittleEndian.AppendUint16(b, u)
	}
	return string(b)
}

func hashOf(t testing.TB, password string) []byte {
	t.Helper()
	v, err := credential.NTHash(secret.Take([]byte(password)))
	if err != nil {
		t.Fatal(err)
	}
	return plain(t, v)
}

func plain(t testing.TB, v *secret.Value) []byte {
	t.Helper()
	var out []byte
	if err := v.Use(func(b []byte) error { out = bytes.Clone(b); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

// config reads as the administrator.
func (w *world) config() drsr.Config {
	return drsr.Config{Dial: dialInto(w.dc), Connection: directory.Connection{Name: "contoso", URLs: []string{w.dc.URL()}, Base: w.dc.Base(),
		User: w.dc.AdminUser(), Password: w.dc.AdminPassword(), CA: w.dc.CAPEM(), Timeout: 30 * time.Second}}
}

// dialInto connects to the ports of a controller that lives in a namespace of its own.
func dialInto(dc *samba.DC) func(context.Context, string, string) (net.Conn, error) {
	return func(_ context.Context, _, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		n, err := strconv.Atoi(port)
		if err != nil {
			return nil, err
		}
		return dc.Dial(n)
	}
}

func (w *world) session(c drsr.Config) *drsr.Session {
	w.Helper()
	s, err := drsr.Dial(w.Context(), c)
	w.ok(err)
	w.Cleanup(func() { w.ok(s.Close()) })
	return s
}

// one reads one user.
func (w *world) one(s *drsr.Session, g scoping.GUID) drsr.User {
	w.Helper()
	var got []drsr.User
	w.ok(s.Users(w.Context(), []scoping.GUID{g}, drsr.WithHash, func(u drsr.User) error { got = append(got, u); return nil }))
	if len(got) != 1 || got[0].GUID != g {
		w.Fatalf("%d users instead of one", len(got))
	}
	return got[0]
}

// sees fails the test unless the user has this password.
func (w *world) sees(u drsr.User, password string) {
	w.Helper()
	if u.Hash == nil {
		w.Fatalf("%s has no hash", u.Name)
	}
	if !u.Hash.Equal(secret.Take(hashOf(w, password))) {
		w.Errorf("the hash of %s is not that of its password", u.Name)
	}
}

// stampOverLDAP reads the stamp of unicodePwd from replPropertyMetaData (MS-ADTS 3.1.1.1.14): version, time, controller, USN.
func (w *world) stampOverLDAP(dn string) credential.Stamp {
	w.Helper()
	const head, row, unicodePwd = 16, 48, 0x9005a
	b := w.read(dn, "replPropertyMetaData")
	for at := head; at+row <= len(b); at += row {
		if binary.LittleEndian.Uint32(b[at:]) != unicodePwd {
			continue
		}
		g, err := scoping.GUIDFromBytes(b[at+16 : at+32])
		w.ok(err)
		return credential.Stamp{Version: binary.LittleEndian.Uint32(b[at+4:]), Changed: time.Unix(int64(binary.LittleEndian.Uint64(b[at+8:]))-11644473600, 0).UTC(),
			Invocation: g, USN: binary.LittleEndian.Uint64(b[at+32:])}
	}
	return credential.Stamp{}
}

// daclOnly asks for an access list without owner and audit entries (MS-ADTS 3.1.1.3.4.1.11).
var daclOnly = ldap.NewControlString("1.2.840.113556.1.4.801", true, "\x30\x03\x02\x01\x04")

// rights gives the account exactly these control access rights on the domain, besides what everybody has. The former access
// list is put back when the test ends.
func (w *world) rights(sid []byte, rights ...string) {
	w.Helper()
	if w.list == nil {
		w.list = w.read(w.dc.Base(), "nTSecurityDescriptor", daclOnly)
		w.Cleanup(func() { w.put(w.list) })
	}
	before := w.list
	at := binary.LittleEndian.Uint32(before[16:])
	dacl := before[at:][:binary.LittleEndian.Uint16(before[at+2:])]
	aces := slices.Clone(dacl[8:])
	for _, right := range rights {
		g, err := scoping.ParseGUID(right)
		w.ok(err)
		ace := []byte{5, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0, 0} // allow, for an object's type, the control access right
		ace = append(append(ace, g[:]...), sid...)
		binary.LittleEndian.PutUint16(ace[2:], uint16(len(ace)))
		aces = append(ace, aces...)
	}
	list := append(slices.Clone(dacl[:8]), aces...)
	binary.LittleEndian.PutUint16(list[2:], uint16(len(list)))
	binary.LittleEndian.PutUint16(list[4:], binary.LittleEndian.Uint16(dacl[4:])+uint16(len(rights)))
	head := slices.Clone(before[:20])
	clear(head[4:])
	head[16] = 20
	w.put(append(head, list...))
}

func (w *world) put(descriptor []byte) {
	w.Helper()
	r := ldap.NewModifyRequest(w.dc.Base(), []ldap.Control{daclOnly})
	r.Replace("nTSecurityDescriptor", []string{string(descriptor)})
	w.ok(w.ldap.Modify(r))
}

// service adds a service account and returns a config that reads as it.
func (w *world) service(name string) (drsr.Config, []byte) {
	w.Helper()
	dn, _ := w.user(name, "Service-Passw0rd!")
	c := w.config()
	c.Connection.User, c.Connection.Password = name+w.suffix+"@"+w.dc.Domain(), "Service-Passw0rd!"
	return c, w.read(dn, "objectSid")
}

func contains(t testing.TB, err error, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if err == nil || !strings.Contains(err.Error(), p) {
			t.Errorf("%q is not in: %v", p, err)
		}
	}
}
