package connect_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/samba"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// lab is a directory server that tests may write to.
type lab struct {
	name                string
	url, base           string
	ca                  []byte
	admin, reader, pass string
	stride              int // of failpoints: writing to Samba is slow, so it is killed at every fifth
}

// stopLabs ends what startLabs started; nil while nothing was.
var stopLabs func() error

// startLabs starts both servers when the first test asks for them.
var startLabs = sync.OnceValues(func() ([]*lab, error) {
	model := labdirectory.New(labdirectory.Options{})
	// Small limits: several rounds of DirSync, several pages, members in ranges.
	server, err := labdirectory.Serve(context.Background(), model, labdirectory.ServerOptions{MaxPageSize: 7, MaxValRange: 3, MaxDirSync: 5})
	if err != nil {
		return nil, err
	}
	stopLabs = server.Close
	labs := []*lab{{name: "embedded", url: server.URL(), base: model.Base(), ca: server.CAPEM(), admin: model.AdminUser(),
		reader: model.ReadOnlyUser(), pass: model.AdminPassword(), stride: 1}}
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
	return append(labs, &lab{name: "samba", url: dc.URL(), base: dc.Base(), ca: dc.CAPEM(), admin: dc.AdminUser(), reader: dc.ReadOnlyUser(),
		pass: dc.AdminPassword(), stride: 5}), nil
})

// everyLab gives the servers that every test of directory behaviour runs against.
func everyLab(t testing.TB) []*lab {
	t.Helper()
	labs, err := startLabs()
	if err != nil {
		t.Fatal(err)
	}
	return labs
}

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

// world is one lab, an OU of the test's own in it, and an engine whose connector space is of the test's own.
type world struct {
	testing.TB
	lab    *lab
	ldap   *ldap.Conn
	ou     string // DN
	suffix string // makes account names of the test unique
	engine *connect.Engine
	data   string
	runs   uint64
}

var worlds atomic.Int64

// onEveryLab runs a test against each server.
func onEveryLab(t *testing.T, f func(w *world)) {
	for _, l := range everyLab(t) {
		t.Run(l.name, func(t *testing.T) { f(newWorld(t, l)) })
	}
}

func newWorld(t testing.TB, l *lab) *world {
	t.Helper()
	w := &world{TB: t, lab: l, suffix: fmt.Sprintf("-%d", worlds.Add(1)), data: t.TempDir()}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(l.ca)
	conn, err := ldap.DialURL(l.url, ldap.DialWithTLSConfig(&tls.Config{RootCAs: pool, ServerName: "127.0.0.1"}))
	w.ok(err)
	w.ldap = conn
	t.Cleanup(func() { conn.Close() })
	w.ok(conn.Bind(l.admin, l.pass))
	w.ou = w.addOU("Test"+w.suffix, l.base)
	w.start(connect.Options{})
	return w
}

// start gives the world a new engine over the same folder, as after a restart of its process.
func (w *world) start(o connect.Options) {
	w.Helper()
	w.stop()
	e := connect.New(o)
	w.engine = e
	w.ok(e.Configure(w.Context(), w.config()))
	w.Cleanup(func() {
		if err := e.Close(); err != nil {
			w.Error(err)
		}
	})
}

func (w *world) stop() {
	if w.engine != nil {
		w.ok(w.engine.Close())
	}
}

func (w *world) config() engine.Config {
	return engine.Config{Engine: "connect", DataDir: w.data, Settings: []byte("{}"), Directories: []engine.Directory{{
		Name: "contoso", URLs: []string{w.lab.url}, Base: w.lab.base, User: w.lab.reader, Password: w.lab.pass, CA: w.lab.ca}}}
}

func (w *world) ok(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}

func (w *world) add(dn string, attrs map[string][]string) string {
	w.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for name, values := range attrs {
		r.Attribute(name, values)
	}
	w.ok(w.ldap.Add(r))
	return dn
}

func (w *world) addOU(name, parent string) string {
	w.Helper()
	return w.add("OU="+ldap.EscapeDN(name)+","+parent, map[string][]string{"objectClass": {"organizationalUnit"}})
}

// addUser adds an enabled user; more holds attributes as name, value pairs.
func (w *world) addUser(name, parent string, more ...string) string {
	w.Helper()
	attrs := map[string][]string{"objectClass": {"user"}, "sAMAccountName": {w.account(name)}, "userAccountControl": {"512"}}
	for i := 0; i < len(more); i += 2 {
		attrs[more[i]] = []string{more[i+1]}
	}
	return w.add("CN="+ldap.EscapeDN(name)+","+parent, attrs)
}

func (w *world) addGroup(name, parent string, members ...string) string {
	w.Helper()
	attrs := map[string][]string{"objectClass": {"group"}, "sAMAccountName": {w.account(name)}, "groupType": {"-2147483646"}}
	if len(members) > 0 {
		attrs["member"] = members
	}
	return w.add("CN="+ldap.EscapeDN(name)+","+parent, attrs)
}

// addContact adds a mail-enabled contact; more holds attributes as name, value pairs.
func (w *world) addContact(name, parent string, more ...string) string {
	w.Helper()
	address := strings.ToLower(name) + "@partner.test"
	attrs := map[string][]string{"objectClass": {"contact"}, "mail": {address}, "proxyAddresses": {"SMTP:" + address}}
	for i := 0; i < len(more); i += 2 {
		attrs[more[i]] = []string{more[i+1]}
	}
	return w.add("CN="+ldap.EscapeDN(name)+","+parent, attrs)
}

// account makes an account name that is unique among the tests and holds nothing that AD forbids.
func (w *world) account(name string) string {
	plain := strings.Map(func(r rune) rune {
		if strings.ContainsRune(`"/\[]:;|=,+*?<>@`, r) {
			return -1
		}
		return r
	}, name)
	return strings.TrimSpace(plain) + w.suffix
}

func (w *world) modify(dn string, change func(*ldap.ModifyRequest)) {
	w.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	change(r)
	w.ok(w.ldap.Modify(r))
}

func (w *world) set(dn, attr string, values ...string) {
	w.Helper()
	w.modify(dn, func(r *ldap.ModifyRequest) { r.Replace(attr, values) })
}

func (w *world) move(dn, rdn, parent string) string {
	w.Helper()
	w.ok(w.ldap.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, parent)))
	return rdn + "," + parent
}

func (w *world) remove(dn string) {
	w.Helper()
	w.ok(w.ldap.Del(ldap.NewDelRequest(dn, nil)))
}

func (w *world) session() *directory.Session {
	w.Helper()
	s, err := directory.Dial(w.Context(), directory.Connection{Name: "contoso", URLs: []string{w.lab.url}, Base: w.lab.base,
		User: w.lab.reader, Password: w.lab.pass, CA: w.lab.ca})
	w.ok(err)
	return s
}

// tombstone gives the DN of a deleted object.
func (w *world) tombstone(g scoping.GUID) string {
	w.Helper()
	s := w.session()
	defer s.Close()
	found, err := s.ByGUID(w.Context(), []scoping.GUID{g}, []string{"cn"}, true)
	w.ok(err)
	if !found[g].Deleted {
		w.Fatalf("%s is no tombstone", g)
	}
	return found[g].DN
}

func (w *world) guid(dn string) scoping.GUID {
	w.Helper()
	s := w.session()
	defer s.Close()
	g, _, _, err := s.Resolve(w.Context(), dn)
	w.ok(err)
	return g
}

func (w *world) scope(dn string, except ...string) scoping.Scope {
	w.Helper()
	s := scoping.Scope{Directory: "contoso", Under: w.guid(dn), Features: []scoping.Feature{scoping.Users, scoping.Groups, scoping.Contacts, scoping.References}}
	for _, x := range except {
		s.Except = append(s.Except, w.guid(x))
	}
	return s
}

// result is what the host saw of a run.
type result struct {
	begins    []engine.RunBegin
	proposals []engine.Proposal
	reports   []engine.RunReport
	answered  int // proposals of which the host's decision was taken
	err       error
}

// host says how the other side of a run behaves.
type host struct {
	ctx    context.Context
	answer func(engine.Proposal) engine.Outcome // "" leaves the proposal undecided
	until  int                                  // proposals after which the host breaks off; zero: never
	dc     map[string]string
}

// run drives one run as the host does: every proposal is decided, in order.
func (w *world) run(profile string, scopes []scoping.Scope, objects ...scoping.GUID) result {
	w.Helper()
	got := w.drive(host{}, profile, scopes, objects...)
	w.ok(got.err)
	return got
}

func (w *world) drive(h host, profile string, scopes []scoping.Scope, objects ...scoping.GUID) result {
	w.Helper()
	w.runs++
	request := engine.RunRequest{Run: w.runs, Profile: profile, Scopes: scopes, DC: h.dc}
	for _, g := range objects {
		request.Objects = append(request.Objects, scoping.ObjectID{Directory: "contoso", GUID: g})
	}
	ctx := h.ctx
	if ctx == nil {
		ctx = w.Context()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	in, out := make(chan []engine.Decision), make(chan engine.RunEvent)
	ended := make(chan error, 1)
	go func() { ended <- w.engine.Run(ctx, request, in, out) }()
	var got result
	closed := false
	for {
		select {
		case got.err = <-ended:
			return got
		case ev := <-out:
			got.take(ev)
			if h.until > 0 && len(got.proposals) >= h.until {
				cancel()
				continue
			}
			if len(ev.Proposals) > 0 {
				select {
				case in <- decide(ev.Proposals, h.answer):
					got.answered = len(got.proposals)
				case got.err = <-ended:
					return got
				}
			}
			if ev.Report != nil && !ev.Report.More && !closed {
				close(in)
				closed = true
			}
		}
	}
}

// driveAt is run with the controller that must be read.
func (w *world) driveAt(url, profile string, scopes []scoping.Scope) result {
	w.Helper()
	got := w.drive(host{dc: map[string]string{"contoso": url}}, profile, scopes)
	w.ok(got.err)
	return got
}

func decide(proposals []engine.Proposal, answer func(engine.Proposal) engine.Outcome) []engine.Decision {
	var out []engine.Decision
	for _, p := range proposals {
		o := engine.Applied
		if answer != nil {
			o = answer(p)
		}
		if o != "" {
			out = append(out, engine.Decision{Seq: p.Seq, Outcome: o})
		}
	}
	return out
}

func (r *result) take(ev engine.RunEvent) {
	r.proposals = append(r.proposals, ev.Proposals...)
	if ev.Begin != nil {
		r.begins = append(r.begins, *ev.Begin)
	}
	if ev.Report != nil {
		r.reports = append(r.reports, *ev.Report)
	}
}

// lines gives the proposals as short texts, for comparison: feature, want and the name's first part.
func (r result) lines() []string {
	out := []string{}
	for _, p := range r.proposals {
		name, _, _ := strings.Cut(p.Name, "\\0A")
		out = append(out, fmt.Sprintf("%s %s %s", p.Feature, wants[p.Want], strings.Split(name, ",")[0]))
	}
	return out
}

var wants = map[engine.Want]string{engine.Present: "present", engine.Gone: "gone", engine.OutOfScope: "out", engine.Excluded: "excluded", engine.Unknown: "unknown"}

// of gives the proposal of an object's feature.
func (r result) of(t testing.TB, g scoping.GUID, f scoping.Feature) engine.Proposal {
	t.Helper()
	for _, p := range r.proposals {
		if p.Object.GUID == g && p.Feature == f {
			return p
		}
	}
	t.Fatalf("no proposal of %s for %s among %v", f, g, r.lines())
	return engine.Proposal{}
}
