package directory_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"math/big"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// lab is a directory server that tests may write to.
type lab struct {
	name, url, plain, base string
	ca                     []byte
	admin, reader, pass    string
	server                 *labdirectory.Server // of the embedded lab
}

// stopLabs ends what startLabs started; nil while nothing was.
var stopLabs func() error

// startLabs starts both servers when the first test asks for them: the fuzzing workers and the pure tests need none.
var startLabs = sync.OnceValues(func() ([]*lab, error) {
	model := labdirectory.New(labdirectory.Options{})
	// Small limits: several rounds of DirSync, several pages, members in ranges.
	server, err := labdirectory.Serve(context.Background(), model, labdirectory.ServerOptions{MaxPageSize: 7, MaxValRange: 3, MaxDirSync: 5})
	if err != nil {
		return nil, err
	}
	stopLabs = server.Close
	labs := []*lab{{name: "embedded", url: server.URL(), plain: server.PlainURL(), base: model.Base(), ca: server.CAPEM(), admin: model.AdminUser(),
		reader: model.ReadOnlyUser(), pass: model.AdminPassword(), server: server}}
	if samba.LeftOut() {
		return labs, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	dc, err := samba.Start(ctx, samba.Options{})
	if err != nil {
		return nil, fmt.Errorf("%w (TANDEM_NO_SAMBA=1 leaves Samba out)", err)
	}
	stopLabs = func() error { return errors.Join(server.Close(), dc.Stop()) }
	return append(labs, &lab{name: "samba", url: dc.URL(), plain: dc.PlainURL(), base: dc.Base(), ca: dc.CAPEM(), admin: dc.AdminUser(), reader: dc.ReadOnlyUser(), pass: dc.AdminPassword()}), nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if stopLabs != nil {
		if err := stopLabs(); err != nil {
			log.Print(err)
			code = 1
		}
	}
	os.Exit(code)
}

// world is one lab with an OU of the test's own, and a session of the read-only account.
type world struct {
	testing.TB
	lab    *lab
	ldap   *ldap.Conn
	ou     string
	suffix string
	s      *directory.Session
}

var worlds atomic.Int64

func onEveryLab(t *testing.T, f func(w *world)) {
	labs, err := startLabs()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range labs {
		t.Run(l.name, func(t *testing.T) {
			w := &world{TB: t, lab: l, suffix: fmt.Sprintf("-%d", worlds.Add(1))}
			pool := x509.NewCertPool()
			pool.AppendCertsFromPEM(l.ca)
			conn, err := ldap.DialURL(l.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
			w.ok(err)
			t.Cleanup(func() { conn.Close() })
			w.ok(conn.Bind(l.admin, l.pass))
			w.ldap = conn
			w.ou = w.add("OU=Test"+w.suffix+","+l.base, "objectClass", "organizationalUnit")
			w.s, err = directory.Dial(t.Context(), w.connection())
			w.ok(err)
			t.Cleanup(func() { w.s.Close() })
			f(w)
		})
	}
}

func (w *world) connection() directory.Connection {
	return directory.Connection{Name: "contoso", URLs: []string{w.lab.url}, Base: w.lab.base, User: w.lab.reader, Password: w.lab.pass, CA: w.lab.ca}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

// add adds an object; pairs are names and values, a name may come again.
func (w *world) add(dn string, pairs ...string) string {
	w.Helper()
	attrs := map[string][]string{}
	for i := 0; i < len(pairs); i += 2 {
		attrs[pairs[i]] = append(attrs[pairs[i]], pairs[i+1])
	}
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		r.Attribute(name, values)
	}
	w.ok(w.ldap.Add(r))
	return dn
}

func (w *world) user(name string, more ...string) string {
	w.Helper()
	return w.add("CN="+name+","+w.ou, append([]string{"objectClass", "user", "sAMAccountName", strings.ReplaceAll(name, `\,`, "") + w.suffix,
		"userAccountControl", "512"}, more...)...)
}

func (w *world) modify(dn string, change func(*ldap.ModifyRequest)) {
	w.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	change(r)
	w.ok(w.ldap.Modify(r))
}

func (w *world) guid(dn string) scoping.GUID {
	w.Helper()
	g, _, _, err := w.s.Resolve(w.Context(), dn)
	w.ok(err)
	return g
}

var query = directory.SyncQuery{Filter: "(|(objectClass=user)(objectClass=group)(objectClass=organizationalUnit))",
	Attrs: []string{"sAMAccountName", "title", "member", "manager"}}

// sync gives what DirSync tells, by objectGUID: everything put together for an empty cookie, else each change as told.
func (w *world) sync(cookie []byte) (map[scoping.GUID]directory.Entry, []byte) {
	w.Helper()
	got := map[scoping.GUID]directory.Entry{}
	next, err := w.s.Sync(w.Context(), cookie, query, func(e directory.Entry) error {
		if len(cookie) == 0 {
			e = got[e.GUID].Apply(e)
		}
		got[e.GUID] = e
		return nil
	})
	w.ok(err)
	return got, next
}

func TestSyncTellsWhatChangedAndOnlyThat(t *testing.T) {
	onEveryLab(t, func(w *world) {
		ann, bob := w.user(`Doe\, Ann`, "title", "x"), w.user("Bob")
		crew := w.add("CN=Crew,"+w.ou, "objectClass", "group", "sAMAccountName", "crew"+w.suffix, "member", ann, "member", bob)
		a, b, c, ou := w.guid(ann), w.guid(bob), w.guid(crew), w.guid(w.ou)
		all, cookie := w.sync(nil)
		if e := all[a]; e.Parent != ou || e.Text("title") != "x" || e.Kind() != scoping.User || e.DN != ann {
			t.Errorf("Ann: %+v", e)
		}
		if n := len(all[c].Links["member"].Targets); n != 2 {
			t.Errorf("Crew has %d members", n)
		}
		if e := all[ou]; e.Parent != w.s.Root() || e.Kind() != directory.OU {
			t.Errorf("OU: %+v", e)
		}
		nothing, cookie := w.sync(cookie)
		if len(nothing) != 0 {
			t.Errorf("nothing happened, told %v", nothing)
		}
		w.modify(ann, func(r *ldap.ModifyRequest) { r.Delete("title", nil); r.Replace("manager", []string{bob}) })
		w.modify(crew, func(r *ldap.ModifyRequest) { r.Delete("member", []string{bob}) })
		w.ok(w.ldap.ModifyDN(ldap.NewModifyDNRequest(bob, "CN=Rob", true, w.lab.base)))
		got, cookie := w.sync(cookie)
		if v, told := got[a].Attrs["title"]; !told || len(v) != 0 || got[a].Has("sAMAccountName") {
			t.Errorf("Ann: %+v", got[a])
		}
		if l := got[a].Links["manager"]; l.Whole || len(l.Added) != 1 || l.Added[0].GUID != b || len(l.Added[0].SID) == 0 {
			t.Errorf("Ann's manager: %+v", l)
		}
		if l := got[c].Links["member"]; l.Whole || len(l.Added) != 0 || len(l.Removed) != 1 || l.Removed[0].GUID != b {
			t.Errorf("Crew's members: %+v", l)
		}
		if e := got[b]; e.Parent != w.s.Root() || e.DN != "CN=Rob,"+w.lab.base {
			t.Errorf("Bob: %+v", e)
		}
		w.ok(w.ldap.Del(ldap.NewDelRequest("CN=Rob,"+w.lab.base, nil)))
		got, _ = w.sync(cookie)
		if e := got[b]; !e.Deleted || e.LastParent != w.s.Root() || !strings.EqualFold(e.LastKnownParent, w.lab.base) {
			t.Errorf("Bob: %+v", e)
		}
	})
}

func TestASessionKnowsItsControllersSettingsAndAddress(t *testing.T) {
	onEveryLab(t, func(w *world) {
		c := w.s.Controller()
		if c.DSA.IsZero() || c.DSA == c.InvocationID || c.ReadOnly {
			t.Errorf("%+v", c)
		}
		if at := "ldaps://" + w.s.Address().String(); at != w.lab.url {
			t.Errorf("address %s instead of %s", at, w.lab.url)
		}
	})
}

func TestRefusedCookieIsOfItsOwnKind(t *testing.T) {
	onEveryLab(t, func(w *world) {
		_, err := w.s.Sync(w.Context(), []byte("garbage"), query, func(directory.Entry) error { return nil })
		if !errors.Is(err, directory.ErrCookie) {
			t.Errorf("%v", err)
		}
	})
}

func TestSearchStreamsPagesAndWholeMemberLists(t *testing.T) {
	onEveryLab(t, func(w *world) {
		pairs := []string{"objectClass", "group", "sAMAccountName", "big" + w.suffix}
		for i := range 25 {
			pairs = append(pairs, "member", w.user(fmt.Sprintf("U%02d", i)))
		}
		big := w.guid(w.add("CN=Big,"+w.ou, pairs...))
		n := 0
		var members []directory.Link
		w.ok(w.s.Search(w.Context(), directory.SearchQuery{BaseDN: w.ou, Filter: "(|(objectClass=user)(objectClass=group))",
			Attrs: []string{"member", "memberOf", "sAMAccountName"}}, func(e directory.Entry) error {
			n++
			if e.Version == 0 || e.Parent != w.guidOf(w.ou) {
				t.Errorf("%+v", e)
			}
			if e.GUID == big {
				members = e.Links["member"].Targets
			} else if l := e.Links["memberof"]; len(l.Targets) != 1 || l.Targets[0].GUID != big {
				t.Errorf("memberOf of %s: %+v", e.DN, l)
			}
			return nil
		}))
		distinct := map[scoping.GUID]bool{}
		for _, m := range members {
			distinct[m.GUID] = true
		}
		if n != 26 || len(members) != 25 || len(distinct) != 25 {
			t.Errorf("%d objects, %d members, %d of them distinct", n, len(members), len(distinct))
		}
		stop := errors.New("enough")
		if err := w.s.Search(w.Context(), directory.SearchQuery{BaseGUID: w.guid(w.ou)}, func(directory.Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		if _, err := w.s.Sync(w.Context(), nil, query, func(directory.Entry) error { return stop }); !errors.Is(err, stop) {
			t.Errorf("%v", err)
		}
		if _, err := w.s.HighestUSN(w.Context()); err != nil {
			t.Errorf("the session is of no use after a stream that was stopped: %v", err)
		}
	})
}

// guidOf is guid on a connection of its own, for use inside a stream.
func (w *world) guidOf(dn string) scoping.GUID {
	w.Helper()
	r, err := w.ldap.Search(&ldap.SearchRequest{BaseDN: dn, Filter: "(objectClass=*)", Attributes: []string{"objectGUID"}})
	w.ok(err)
	g, err := scoping.GUIDFromBytes(r.Entries[0].GetRawAttributeValue("objectGUID"))
	w.ok(err)
	return g
}

func TestObjectsByGUIDIncludeTombstonesOnlyWhenAsked(t *testing.T) {
	onEveryLab(t, func(w *world) {
		var guids []scoping.GUID
		for i := range 10 {
			guids = append(guids, w.guid(w.user(fmt.Sprintf("U%d", i))))
		}
		w.ok(w.ldap.Del(ldap.NewDelRequest("CN=U3,"+w.ou, nil)))
		asked := append(slices.Clone(guids), scoping.GUID{1, 2, 3, '(', '\\', ')', '*', 0})
		for range 300 { // more than one batch
			asked = append(asked, scoping.GUID{9, byte(len(asked)), byte(len(asked) >> 8)})
		}
		living, err := w.s.ByGUID(w.Context(), asked, []string{"sAMAccountName"}, false)
		w.ok(err)
		all, err := w.s.ByGUID(w.Context(), asked, []string{"sAMAccountName"}, true)
		w.ok(err)
		dead := all[guids[3]]
		if len(living) != 9 || len(all) != 10 || !dead.Deleted || dead.LastParent != w.guid(w.ou) {
			t.Errorf("%d living, %d in all, dead: %+v", len(living), len(all), dead)
		}
	})
}

func TestResolveTakesAnySpellingAndGivesTheServers(t *testing.T) {
	onEveryLab(t, func(w *world) {
		inner := w.add(`OU=A\+B\, \"c\" #1 žluť,`+w.ou, "objectClass", "organizationalUnit")
		g, canonical, ancestors, err := w.s.Resolve(w.Context(), strings.ToUpper(inner))
		w.ok(err)
		if !strings.HasSuffix(canonical, ","+w.ou) || !slices.Equal(ancestors, []scoping.GUID{w.guid(w.ou), w.s.Root()}) {
			t.Errorf("%s %s %v", g, canonical, ancestors)
		}
		again, err := w.s.Ancestors(w.Context(), g)
		w.ok(err)
		if !slices.Equal(again, ancestors) {
			t.Errorf("%v", again)
		}
		root, _, none, err := w.s.Resolve(w.Context(), w.lab.base)
		if err != nil || root != w.s.Root() || len(none) != 0 {
			t.Errorf("root: %s %v %v", root, none, err)
		}
		for _, dn := range []string{"", "nonsense", "OU=Nobody," + w.lab.base, "CN=Configuration," + w.lab.base} {
			if _, _, _, err := w.s.Resolve(w.Context(), dn); !errors.Is(err, directory.ErrNoSuchObject) {
				t.Errorf("%q: %v", dn, err)
			}
		}
	})
}

func TestTheSchemaSaysWhatItLacks(t *testing.T) {
	onEveryLab(t, func(w *world) {
		missing, err := w.s.Lacks(w.Context(), []string{"employeeNumber", "extensionAttribute1", "no such", "mail)(x=*"})
		w.ok(err)
		want := []string{"no such", "mail)(x=*"}
		if w.lab.name == "samba" { // it has the schema of a directory without Exchange
			want = slices.Insert(want, 0, "extensionAttribute1")
		}
		if !slices.Equal(missing, want) {
			t.Errorf("the schema lacks %q", missing)
		}
		if missing, err = w.s.Lacks(w.Context(), nil); len(missing) > 0 || err != nil {
			t.Errorf("%v %v", missing, err)
		}
	})
}

func TestDialTellsWhatIsWrong(t *testing.T) {
	expired := expiredServer(t)
	onEveryLab(t, func(w *world) {
		cases := []struct {
			name  string
			spoil func(*directory.Connection)
			kind  error
			say   string
		}{
			{"password", func(c *directory.Connection) { c.Password = "Wr0ng-secret" }, directory.ErrCredentials, "data 52e"},
			{"no password", func(c *directory.Connection) { c.Password = "" }, directory.ErrCredentials, "passwordFile"},
			{"user", func(c *directory.Connection) { c.User = "nobody@contoso.test" }, directory.ErrCredentials, "data 52"},
			{"unknown CA", func(c *directory.Connection) { c.CA = nil }, directory.ErrTLS, "unknown CA"},
			{"no PEM", func(c *directory.Connection) { c.CA = []byte("x") }, directory.ErrTLS, "no PEM certificate"},
			{"expired", func(c *directory.Connection) { c.URLs = []string{expired} }, directory.ErrTLS, "expired"},
			{"closed port", func(c *directory.Connection) { c.URLs = []string{"ldaps://127.0.0.1:1"} }, directory.ErrUnreachable, "firewalls"},
			{"no TLS there", func(c *directory.Connection) { c.URLs = []string{strings.Replace(w.lab.plain, "ldap:", "ldaps:", 1)} }, nil, "127.0.0.1"},
			{"not a URL", func(c *directory.Connection) { c.URLs = []string{"dc1"} }, directory.ErrUnreachable, "ldaps://dc1"},
			{"base", func(c *directory.Connection) { c.Base = w.ou }, nil, "not a naming context"},
		}
		for _, c := range cases {
			conn := w.connection()
			c.spoil(&conn)
			s, err := directory.Dial(w.Context(), conn)
			if err == nil {
				s.Close()
				t.Errorf("%s: connected", c.name)
				continue
			}
			if (c.kind != nil && !errors.Is(err, c.kind)) || !strings.Contains(err.Error(), c.say) || strings.Contains(err.Error(), "Wr0ng-secret") {
				t.Errorf("%s: %v", c.name, err)
			}
		}
	})
}

func TestDialTriesTheNextControllerAndStartTLS(t *testing.T) {
	onEveryLab(t, func(w *world) {
		c := w.connection()
		c.URLs = []string{"ldaps://127.0.0.1:1", w.lab.plain}
		s, err := directory.Dial(w.Context(), c)
		w.ok(err)
		defer s.Close()
		if at := s.Controller(); at.URL != w.lab.plain || at.InvocationID != w.s.Controller().InvocationID || at.HighestUSN == 0 {
			t.Errorf("%+v", at)
		}
	})
}

// expiredServer answers with a certificate whose time is over.
func expiredServer(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-48 * time.Hour), NotAfter: time.Now().Add(-24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.(*tls.Conn).Handshake() //nolint:errcheck // the client is to refuse it
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return "ldaps://" + l.Addr().String()
}

func TestCancelledContextClosesTheConnectionAndLeavesNoGoroutine(t *testing.T) {
	onEveryLab(t, func(w *world) {
		before := runtime.NumGoroutine()
		s, err := directory.Dial(w.Context(), w.connection())
		w.ok(err)
		ctx, cancel := context.WithCancel(w.Context())
		_, err = s.Sync(ctx, nil, query, func(directory.Entry) error { cancel(); return nil })
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%v", err)
		}
		if _, err := s.HighestUSN(w.Context()); err == nil {
			t.Error("the connection is still open")
		}
		s.Close()
		if w.lab.server == nil {
			for deadline := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
				runtime.Gosched()
			}
			if n := runtime.NumGoroutine(); n > before {
				stacks := make([]byte, 1<<16)
				t.Errorf("%d goroutines before, %d after\n%s", before, n, stacks[:runtime.Stack(stacks, true)])
			}
		}
	})
}

func TestConnectionCutInTheMiddleGivesNoCookie(t *testing.T) {
	onEveryLab(t, func(w *world) {
		if w.lab.server == nil {
			return // only the embedded directory can be cut at will
		}
		w.lab.server.DropAfter(4)
		next, err := w.s.Sync(w.Context(), nil, query, func(directory.Entry) error { return nil })
		if err == nil || next != nil || !errors.Is(err, directory.ErrUnreachable) {
			t.Errorf("%v %v", next, err)
		}
	})
}

func TestCheckNamesMissingRights(t *testing.T) {
	onEveryLab(t, func(w *world) {
		gone := w.user("Gone")
		w.ok(w.ldap.Del(ldap.NewDelRequest(gone, nil)))
		findings, err := w.s.Check(w.Context(), time.Now())
		w.ok(err)
		for _, f := range findings {
			if !f.OK || f.Hint != "" {
				t.Errorf("the service account: %+v", f)
			}
		}
		if late, err := w.s.Check(w.Context(), time.Now().Add(time.Hour)); err != nil || late[1].OK {
			t.Errorf("a clock an hour off: %+v %v", late, err)
		}
		plain := w.user("Plain")
		w.modify(plain, func(r *ldap.ModifyRequest) { r.Replace("unicodePwd", []string{password("Plain-Passw0rd!")}) })
		c := w.connection()
		c.User, c.Password = plain, "Plain-Passw0rd!"
		s, err := directory.Dial(w.Context(), c)
		w.ok(err)
		defer s.Close()
		if err := s.CanSeeDeleted(w.Context()); !errors.Is(err, directory.ErrNotPermitted) {
			t.Errorf("an ordinary user sees tombstones: %v", err)
		}
		n := 0
		if _, err := s.Sync(w.Context(), nil, query, func(directory.Entry) error { n++; return nil }); err != nil || n == 0 {
			t.Errorf("an ordinary user's own view: %d objects, %v", n, err)
		}
	})
}

func password(s string) string {
	var b []byte
	for _, u := range utf16.Encode([]rune(`"` + s + `"`)) {
		b = append(b, byte(u), byte(u>>8))
	}
	return string(b)
}
