package provision_test

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/delegation"
	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/directory"
	sink "github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// shared is the domain controller of this package's tests.
var shared samba.Shared

func TestMain(m *testing.M) { os.Exit(shared.Around(m)) }

// world is a directory with an OU of the test's own, in which the account svc may provision.
type world struct {
	*testing.T
	samba      bool
	admin      *ldap.Conn
	connection directory.Connection // as the administrator, who reads
	base       string
	domain     string
	ou, other  string // other lies beside ou
	below      string // lies in ou
	suffix     string
	svc        []byte // its SID
	svcDN      string
	plain      []byte // the access list of ou before svc was given anything
	sink       *sink.Sink
	link       string // the attribute
	cloud      int
}

var worlds atomic.Int64

const password = "First-Passw0rd!"

// everywhere runs a test over Samba and over the embedded directory, which shall be the same.
func everywhere(t *testing.T, test func(*world)) {
	t.Helper()
	t.Run("samba", func(t *testing.T) { onSamba(t, test) })
	t.Run("embedded", func(t *testing.T) { test(embedded(t)) })
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
	test(newWorld(t, true, directory.Connection{URLs: []string{dc.URL()}, Base: dc.Base(), CA: dc.CAPEM()}, dc.Domain(), dc.AdminUser(), dc.AdminPassword()))
}

func embedded(t *testing.T) *world {
	t.Helper()
	m := lab.New(lab.Options{})
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

func newWorld(t *testing.T, isSamba bool, c directory.Connection, domain, admin, adminPassword string) *world {
	w := &world{T: t, samba: isSamba, base: c.Base, domain: domain, suffix: fmt.Sprintf("-%d", worlds.Add(1)), link: "msDS-ExternalDirectoryObjectId"}
	if isSamba {
		w.link = "adminDescription" // its schema is an older one
	}
	c.Name, c.User, c.Password = "contoso", admin, adminPassword
	w.connection = c
	w.admin = w.dial(admin, adminPassword)
	w.ou, w.other = "OU=New"+w.suffix+","+w.base, "OU=Other"+w.suffix+","+w.base
	w.below = "OU=Below," + w.ou
	for _, ou := range []string{w.ou, w.other, w.below} {
		w.add(ou, "objectClass", "organizationalUnit")
	}
	var err error
	w.svcDN, w.svc, err = delegation.Account(w.admin, "CN=Users,"+w.base, "prov"+w.suffix, password)
	w.ok(err)
	w.plain, err = delegation.Read(w.admin, w.ou)
	w.ok(err)
	w.delegate()
	w.sink = &sink.Sink{Directory: c, Account: directory.Account{User: "prov" + w.suffix + "@" + domain, Password: secret.Take([]byte(password))}, Random: rand.Reader}
	return w
}

// delegate gives svc what it needs, but for what is named.
func (w *world) delegate(without ...string) {
	w.Helper()
	var entries []delegation.Entry
	for _, all := range []map[string]delegation.Entry{delegation.Provision, delegation.Link(w.link)} {
		for name, e := range all {
			if !slices.Contains(without, name) {
				entries = append(entries, e)
			}
		}
	}
	w.ok(delegation.Grant(w.admin, w.ou, w.svc, entries...))
}

// undelegate takes everything from svc.
func (w *world) undelegate() {
	w.Helper()
	w.ok(delegation.Write(w.admin, w.ou, w.plain))
}

func (w *world) dial(user, password string) *ldap.Conn {
	w.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(w.connection.CA)
	conn, err := ldap.DialURL(w.connection.URLs[0], ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	w.ok(err)
	w.Cleanup(func() { conn.Close() })
	w.ok(conn.Bind(user, password))
	return conn
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

// change modifies as the administrator.
func (w *world) change(dn, attr string, values ...string) {
	w.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attr, values)
	w.ok(w.admin.Modify(r))
}

func (w *world) join(group, member string) {
	w.Helper()
	r := ldap.NewModifyRequest(group, nil)
	r.Add("member", []string{member})
	w.ok(w.admin.Modify(r))
}

// newPassword sets a password as an administrator does.
func (w *world) newPassword(dn, password string) {
	w.Helper()
	var raw []byte
	for _, c := range utf16.Encode([]rune(`"` + password + `"`)) {
		raw = append(raw, byte(c), byte(c>>8))
	}
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace("unicodePwd", []string{string(raw)})
	w.ok(w.admin.Modify(r))
}

func (w *world) entry(dn string, attrs ...string) *ldap.Entry {
	w.Helper()
	res, err := w.admin.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", attrs, nil))
	w.ok(err)
	return res.Entries[0]
}

func (w *world) has(dn, attr string, want ...string) {
	w.Helper()
	got := w.entry(dn, attr).GetAttributeValues(attr)
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		w.Errorf("%s of %s is %q, want %q", attr, dn, got, want)
	}
}

func (w *world) guid(dn string) scoping.GUID {
	w.Helper()
	g, err := scoping.GUIDFromBytes(w.entry(dn, "objectGUID").GetRawAttributeValue("objectGUID"))
	w.ok(err)
	return g
}

func byGUID(g scoping.GUID) string { return "<GUID=" + g.String() + ">" }

// session reads as the administrator.
func (w *world) session() *directory.Session {
	w.Helper()
	s, err := directory.Dial(w.Context(), w.connection)
	w.ok(err)
	w.Cleanup(func() { s.Close() })
	return s
}

// target is a write of a new object of the tenant.
func (w *world) target(op provision.Op, kind scoping.Kind) provision.Target {
	w.Helper()
	w.cloud++
	prefix := map[scoping.Kind]string{scoping.User: "User_", scoping.Group: "Group_"}[kind]
	t := provision.Target{Op: op, Kind: kind, Controller: w.connection.URLs[0], Invocation: w.session().Controller().InvocationID, Root: w.guid(w.ou),
		Link: provision.Link{Attribute: w.link, Value: fmt.Sprintf("%s%08x-0000-4000-8000-%s", prefix, w.cloud, strings.Repeat("0", 12-len(w.suffix)+1)+w.suffix[1:])}}
	if op == provision.Add {
		t.Container = w.guid(w.ou)
	}
	return t
}

// of is a write of what an add made.
func (w *world) of(t provision.Target, g scoping.GUID, op provision.Op) provision.Target {
	t.Op, t.Object, t.Container = op, g, scoping.GUID{}
	return t
}

// carry gives a write with a permit.
func (w *world) carry(t provision.Target, v provision.Values) sink.Outcome {
	w.Helper()
	return w.sink.Carry(w.Context(), t, nil, permits(v))
}

// permits is a host that allows it.
func permits(v provision.Values) func(context.Context) (sink.Permit, error) {
	return func(context.Context) (sink.Permit, error) { return sink.Permit{Remaining: time.Minute, Values: v}, nil }
}

func set(pairs ...string) []provision.Set {
	var out []provision.Set
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, provision.Set{Attribute: pairs[i], To: []string{pairs[i+1]}})
	}
	return out
}

// user adds a user through the sink.
func (w *world) user(name string) (provision.Target, scoping.GUID) {
	w.Helper()
	t := w.target(provision.Add, scoping.User)
	o := w.carry(t, provision.Values{Set: set("sAMAccountName", name+w.suffix, "displayName", name)})
	w.wants("add "+name, o, provision.Done)
	return t, o.Result.Object
}

func (w *world) group(name string) (provision.Target, scoping.GUID) {
	w.Helper()
	t := w.target(provision.Add, scoping.Group)
	o := w.carry(t, provision.Values{Set: set("sAMAccountName", name+w.suffix)})
	w.wants("add "+name, o, provision.Done)
	return t, o.Result.Object
}

func (w *world) wants(what string, o sink.Outcome, code provision.Code, says ...string) {
	w.Helper()
	if o.Code != code {
		w.Errorf("%s: %s (%s; %s), want %s", what, o.Code, o.Why(), o.Diagnostic, code)
	}
	for _, s := range says {
		if !strings.Contains(o.Why(), s) {
			w.Errorf("%s: %q is not in %q", what, s, o.Why())
		}
	}
}
