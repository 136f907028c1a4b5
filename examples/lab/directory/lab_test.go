package directory_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ber "github.com/go-asn1-ber/asn1-ber"
	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/examples/lab/directory"
)

// lab is a served model with an administrator's connection.
type lab struct {
	*testing.T
	model  *directory.Model
	server *directory.Server
	conn   *ldap.Conn
}

func start(t *testing.T, o directory.ServerOptions) *lab {
	t.Helper()
	m := directory.New(directory.Options{})
	s, err := directory.Serve(t.Context(), m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{T: t, model: m, server: s}
	l.conn = l.connect()
	return l
}

func (l *lab) connect() *ldap.Conn {
	l.Helper()
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.server.CAPEM())
	conn, err := ldap.DialURL(l.server.URL(), ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool}))
	if err != nil {
		l.Fatal(err)
	}
	conn.SetTimeout(30 * time.Second)
	if err := conn.Bind(l.model.AdminUser(), l.model.AdminPassword()); err != nil {
		l.Fatal(err)
	}
	return conn
}

func (l *lab) add(relative, class string) string {
	l.Helper()
	dn := relative + "," + l.model.Base()
	if _, err := l.model.Add(dn, directory.Attributes{"objectClass": {class}}); err != nil {
		l.Fatal(err)
	}
	return dn
}

func (l *lab) users(n int) {
	l.Helper()
	l.add("OU=Many", "organizationalUnit")
	for i := range n {
		l.add(fmt.Sprintf("CN=User %05d,OU=Many", i), "user")
	}
}

func (l *lab) request(filter string, names ...string) *ldap.SearchRequest {
	return ldap.NewSearchRequest(l.model.Base(), ldap.ScopeWholeSubtree, 0, 0, 0, false, filter, names, nil)
}

// round asks for one round of DirSync.
func (l *lab) round(flags int64, cookie []byte, names ...string) ([]*ldap.Entry, *ldap.ControlDirSync, error) {
	res, err := l.conn.DirSync(l.request("(objectClass=*)", names...), flags, 0, cookie)
	if err != nil {
		return nil, nil, err
	}
	return res.Entries, ldap.FindControl(res.Controls, ldap.ControlTypeDirSync).(*ldap.ControlDirSync), nil
}

// rounds reads to the end and gives the entries of each round.
func (l *lab) rounds(flags int64, cookie []byte, names ...string) (rounds [][]*ldap.Entry, last []byte) {
	l.Helper()
	for {
		entries, k, err := l.round(flags, cookie, names...)
		if err != nil {
			l.Fatal(err)
		}
		rounds, cookie = append(rounds, entries), k.Cookie
		if k.Flags == 0 {
			return rounds, cookie
		}
	}
}

func TestDirSyncComesInRoundsThatLoseNothing(t *testing.T) {
	l := start(t, directory.ServerOptions{MaxDirSync: 7})
	l.users(30)
	rounds, cookie := l.rounds(0, nil, "name", "objectClass")
	seen := map[string]int{}
	for i, r := range rounds {
		if len(r) > 7 || len(r) < 7 && i < len(rounds)-1 {
			t.Errorf("round %d has %d entries, want 7", i, len(r))
		}
		for _, e := range r {
			seen[e.DN]++
		}
	}
	if len(rounds) < 5 {
		t.Errorf("%d rounds", len(rounds))
	}
	for i := range 30 {
		dn := fmt.Sprintf("CN=User %05d,OU=Many,%s", i, l.model.Base())
		if seen[dn] != 1 {
			t.Errorf("%s came %d times", dn, seen[dn])
		}
	}
	if again, _ := l.rounds(0, cookie, "name", "objectClass"); len(again) != 1 || len(again[0]) != 0 {
		t.Errorf("after the last round something is left: %d rounds", len(again))
	}
}

func TestAChangeBetweenRoundsIsNotLost(t *testing.T) {
	l := start(t, directory.ServerOptions{MaxDirSync: 5})
	l.users(20)
	_, k, err := l.round(0, nil, "name", "title")
	if err != nil {
		t.Fatal(err)
	}
	early, late := "CN=Administrator,CN=Users,"+l.model.Base(), "CN=User 00019,OU=Many,"+l.model.Base()
	for _, dn := range []string{early, late} {
		if err := l.model.Modify(dn, directory.Change{Kind: directory.Replace, Attribute: "title", Values: []string{"changed"}}); err != nil {
			t.Fatal(err)
		}
	}
	rest, cookie := l.rounds(0, k.Cookie, "name", "title")
	for _, dn := range []string{early, late} {
		i := slices.IndexFunc(slices.Concat(rest...), func(e *ldap.Entry) bool { return e.DN == dn && e.GetAttributeValue("title") == "changed" })
		if i < 0 {
			t.Errorf("the change of %s is lost", dn)
		}
	}
	if err := l.model.Rename(late, "CN=Renamed"); err != nil {
		t.Fatal(err)
	}
	next, _ := l.rounds(0, cookie, "name", "title")
	if got := slices.Concat(next...); len(got) != 1 || got[0].GetAttributeValue("title") != "" {
		t.Errorf("after the series only the rename is new, got %v", got)
	}
}

func TestAncestorsComeFirstOnlyIfAskedFor(t *testing.T) {
	for flags, want := range map[int64]bool{0x800: true, 0: false} {
		l := start(t, directory.ServerOptions{MaxDirSync: 4})
		l.users(10)
		// The OU's last change is newer than its children: in the order of changes it comes after them.
		if err := l.model.Rename("OU=Many,"+l.model.Base(), "OU=Parent"); err != nil {
			t.Fatal(err)
		}
		ou, child := -1, -1
		rounds, _ := l.rounds(flags, nil, "name")
		for i, e := range slices.Concat(rounds...) {
			switch {
			case ou < 0 && strings.HasPrefix(e.DN, "OU=Parent,"):
				ou = i
			case child < 0 && strings.Contains(e.DN, ",OU=Parent,"):
				child = i
			}
		}
		if ou < 0 || child < 0 || (ou < child) != want {
			t.Errorf("flags %#x: the OU is entry %d, its first child %d", flags, ou, child)
		}
	}
}

func TestRefusedCookiesNeedAFullSynchronization(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	_, old := l.rounds(0, nil, "name")
	l.model.RefuseCookies()
	if _, _, err := l.round(0, old, "name"); !ldap.IsErrorWithCode(err, ldap.LDAPResultUnavailableCriticalExtension) {
		t.Errorf("an old cookie gives %v", err)
	}
	all, cookie := l.rounds(0, nil, "name")
	if len(slices.Concat(all...)) == 0 {
		t.Error("the full synchronization is empty")
	}
	if _, _, err := l.round(0, cookie, "name"); err != nil {
		t.Errorf("a new cookie gives %v", err)
	}
}

func TestARestoredDatabaseTellsEverythingAgain(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	all, cookie := l.rounds(0, nil, "name")
	before := l.model.InvocationID()
	l.model.NewInvocation()
	if l.model.InvocationID() == before {
		t.Fatal("invocationId is the old one")
	}
	again, _ := l.rounds(0, cookie, "name")
	if a, b := len(slices.Concat(all...)), len(slices.Concat(again...)); a != b {
		t.Errorf("%d entries with a cookie of the old database, want all %d", b, a)
	}
}

func TestAnUnpagedSearchEndsAtMaxPageSize(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	l.users(1001)
	res, err := l.conn.Search(l.request("(&(objectClass=user)(cn=User*))", "cn"))
	if !ldap.IsErrorWithCode(err, ldap.LDAPResultSizeLimitExceeded) || len(res.Entries) != 1000 {
		t.Errorf("got %v", err)
	}
	paged, err := l.conn.SearchWithPaging(l.request("(&(objectClass=user)(cn=User*))", "cn"), 5000)
	if err != nil || len(paged.Entries) != 1001 {
		t.Errorf("paged: %v", err)
	}
	r := l.request("(&(objectClass=user)(cn=User*))", "cn")
	r.Controls = []ldap.Control{ldap.NewControlPaging(5000)}
	if res, err = l.conn.Search(r); err != nil || len(res.Entries) != 1000 {
		t.Errorf("a page larger than MaxPageSize: %v", err)
	}
}

func TestPagesSurviveDeletesBetweenThem(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	l.users(10)
	paging := ldap.NewControlPaging(4)
	total := 0
	for {
		r := l.request("(&(objectClass=user)(cn=User*))", "cn")
		r.Controls = []ldap.Control{paging}
		res, err := l.conn.Search(r)
		if err != nil {
			t.Fatal(err)
		}
		total += len(res.Entries)
		if total == 4 {
			if err := l.model.Delete("CN=User 00009,OU=Many," + l.model.Base()); err != nil {
				t.Fatal(err)
			}
		}
		k := ldap.FindControl(res.Controls, ldap.ControlTypePaging).(*ldap.ControlPaging)
		if len(k.Cookie) == 0 {
			break
		}
		paging.SetCookie(k.Cookie)
	}
	if total != 9 {
		t.Errorf("%d entries, want 9", total)
	}
}

func TestManyMembersComeInRanges(t *testing.T) {
	l := start(t, directory.ServerOptions{MaxValRange: 15})
	l.users(40)
	group := l.add("CN=Big", "group")
	var members []string
	for i := range 40 {
		members = append(members, fmt.Sprintf("CN=User %05d,OU=Many,%s", i, l.model.Base()))
	}
	if err := l.model.Modify(group, directory.Change{Kind: directory.Add, Attribute: "member", Values: members}); err != nil {
		t.Fatal(err)
	}
	var got []string
	for ask, want := range map[string]string{"member": "member;range=0-14", "member;range=15-*": "member;range=15-29", "member;range=30-*": "member;range=30-*"} {
		res, err := l.conn.Search(ldap.NewSearchRequest(group, ldap.ScopeBaseObject, 0, 0, 0, false, "(objectClass=*)", []string{ask}, nil))
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, res.Entries[0].GetAttributeValues(want)...)
		if len(res.Entries[0].Attributes) != 1 || res.Entries[0].Attributes[0].Name != want {
			t.Errorf("%s gives %v, want %s", ask, res.Entries[0].Attributes[0].Name, want)
		}
	}
	slices.Sort(got)
	if !slices.Equal(got, members) {
		t.Errorf("%d members in all ranges, want 40", len(got))
	}
}

// unknown is a control that no server knows, critical as RFC 4511 encodes it.
type unknown struct{ critical bool }

func (unknown) GetControlType() string { return "1.3.6.1.4.1.99999.1" }
func (unknown) String() string         { return "unknown" }
func (u unknown) Encode() *ber.Packet {
	p := ber.Encode(ber.ClassUniversal, ber.TypeConstructed, ber.TagSequence, nil, "")
	p.AppendChild(ber.NewString(ber.ClassUniversal, ber.TypePrimitive, ber.TagOctetString, u.GetControlType(), ""))
	p.AppendChild(ber.NewLDAPBoolean(ber.ClassUniversal, ber.TypePrimitive, ber.TagBoolean, u.critical, ""))
	return p
}

func TestUnknownControlsAreRefusedIfCritical(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	for critical, want := range map[bool]uint16{true: ldap.LDAPResultUnavailableCriticalExtension, false: ldap.LDAPResultSuccess} {
		r := l.request("(cn=Administrator)")
		r.Controls = []ldap.Control{unknown{critical}}
		_, err := l.conn.Search(r)
		if want == ldap.LDAPResultSuccess && err != nil || want != ldap.LDAPResultSuccess && !ldap.IsErrorWithCode(err, want) {
			t.Errorf("critical %v: %v", critical, err)
		}
	}
}

func TestDroppedConnectionsEndWithAnErrorAndNewOnesServe(t *testing.T) {
	l := start(t, directory.ServerOptions{})
	l.users(600)
	l.server.DropAfter(300)
	if _, err := l.conn.Search(l.request("(objectClass=user)")); err == nil {
		t.Error("a search cut in the middle succeeds")
	}
	l.conn = l.connect()
	if res, err := l.conn.Search(l.request("(objectClass=user)")); err != nil || len(res.Entries) < 600 {
		t.Errorf("after the cut: %v", err)
	}
	l.server.DropConnections()
	if _, err := l.conn.Search(l.request("(cn=x)")); err == nil {
		t.Error("a dropped connection answers")
	}
	l.conn = l.connect()
}

func TestTwoModelsOfTheSameOperationsAreTheSame(t *testing.T) {
	clock := func() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }
	var lookups [2]directory.Entry
	for i := range lookups {
		m := directory.New(directory.Options{Clock: clock})
		dn := "CN=Same," + m.Base()
		if _, err := m.Add(dn, directory.Attributes{"objectClass": {"user"}}); err != nil {
			t.Fatal(err)
		}
		e, err := m.Lookup(dn)
		if err != nil {
			t.Fatal(err)
		}
		lookups[i] = e
	}
	if fmt.Sprint(lookups[0]) != fmt.Sprint(lookups[1]) {
		t.Errorf("%v\n%v", lookups[0], lookups[1])
	}
}

func TestARefusalIsAResultError(t *testing.T) {
	m := directory.New(directory.Options{})
	var r *directory.ResultError
	if err := m.Delete("CN=Nobody," + m.Base()); !errors.As(err, &r) || r.Code != ldap.LDAPResultNoSuchObject {
		t.Errorf("got %v", err)
	}
}

func TestAnUndeleteOntoATakenAccountNameIsRefused(t *testing.T) {
	m := directory.New(directory.Options{})
	user := directory.Attributes{"objectClass": {"user"}, "sAMAccountName": {"taken"}}
	g, err := m.Add("CN=One,"+m.Base(), user)
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Delete("CN=One," + m.Base()); err != nil {
		t.Fatal(err)
	}
	if _, err := m.Add("CN=Two,"+m.Base(), user); err != nil {
		t.Fatal(err)
	}
	var r *directory.ResultError
	if err := m.Undelete(g, "CN=One,"+m.Base()); !errors.As(err, &r) || r.Code != ldap.LDAPResultEntryAlreadyExists {
		t.Errorf("got %v", err)
	}
}

// TestReadersAndWritersDoNotDisturbEachOther is for the race detector, and checks that every read is whole.
func TestReadersAndWritersDoNotDisturbEachOther(t *testing.T) {
	l := start(t, directory.ServerOptions{MaxDirSync: 50})
	l.users(100)
	var working sync.WaitGroup
	for n := range 3 {
		conn := l.connect()
		working.Go(func() {
			for range 5 {
				res, err := conn.SearchWithPaging(l.request("(&(objectClass=user)(cn=User*))", "cn", "memberOf", "title"), 30)
				if err != nil || len(res.Entries) != 100 {
					t.Errorf("reader %d: %v, %v", n, res, err)
				}
			}
		})
	}
	for n := range 2 {
		conn := l.connect()
		working.Go(func() {
			for i := range 50 {
				r := ldap.NewModifyRequest(fmt.Sprintf("CN=User %05d,OU=Many,%s", i, l.model.Base()), nil)
				r.Replace("title", []string{fmt.Sprintf("%d-%d", n, i)})
				if err := conn.Modify(r); err != nil {
					t.Errorf("writer %d: %v", n, err)
				}
			}
		})
	}
	working.Wait()
}
