package orchestrator_test

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"testing"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
)

// controllers are two domain controllers of one domain: the second is a replica that learns of the first one's changes by CatchUp alone.
type controllers struct {
	site      site
	first     *line // to the first one; the tests write to that one directly
	firstURL  string
	second    *labdirectory.Model
	secondURL string
}

func twoControllers(t *testing.T) *controllers {
	t.Helper()
	serve := func(m *labdirectory.Model) *labdirectory.Server {
		srv, err := labdirectory.Serve(t.Context(), m, labdirectory.ServerOptions{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = srv.Close() })
		return srv
	}
	m := labdirectory.New(labdirectory.Options{})
	srv := serve(m)
	c := &controllers{second: m.Replica()}
	replica := serve(c.second)
	u, err := url.Parse(srv.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.first, c.secondURL = lineTo(t, u.Host), replica.URL()
	_, port, _ := net.SplitHostPort(c.first.listen.Addr().String())
	c.firstURL = u.Scheme + "://" + net.JoinHostPort(u.Hostname(), port)
	c.site = site{name: "embedded", url: srv.URL(), base: m.Base(), domain: m.Domain(), ca: slices.Concat(srv.CAPEM(), replica.CAPEM()),
		admin: m.AdminUser(), reader: m.ReadOnlyUser(), password: m.AdminPassword()}
	return c
}

// reopen starts Tandem anew with the controllers in the given order.
func (w *world) reopen(urls ...string) {
	w.t.Helper()
	w.close()
	direct := w.site.url
	w.site.url = "[" + strings.Join(urls, ", ") + "]"
	w.write()
	w.site.url = direct
	w.open()
}

// laggard is a world in which one engine owns everything, with people whom the second controller shows as they were.
type laggard struct {
	*world
	controllers *controllers
	kind        string

	changedDN, changed         string // its title is New; Old at the second controller
	restored, deleted, created string // deleted, living and missing at the second controller
	restoredID, changedID      string
}

func newLaggard(t *testing.T, kind string) *laggard {
	c := twoControllers(t)
	w := newWorld(t, c.site, 10)
	w.reopen(c.firstURL, c.secondURL)
	policy := strings.Replace(fmt.Sprintf(policyText, w.site.base, w.site.base), "engine: connect", "engine: "+kind, 1)
	if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte(policy), "test"); err != nil {
		t.Fatal(err)
	}
	l := &laggard{world: w, controllers: c, kind: kind}
	sales := "OU=Sales," + w.site.base
	var restoredDN, deletedDN string
	l.changedDN, l.changed = w.person("ann", sales)
	restoredDN, l.restored = w.person("rita", sales)
	deletedDN, l.deleted = w.person("otto", sales)
	w.modify(l.changedDN, "title", "Old")
	w.sync(kind, engine.ProfileFull)
	l.changedID, l.restoredID = w.mustUser(l.changed).ID, w.mustUser(l.restored).ID
	rita := w.guid(restoredDN)
	w.remove(restoredDN)
	w.sync(kind, engine.ProfileDelta)
	c.second.CatchUp()

	w.modify(l.changedDN, "title", "New")
	w.undelete(rita, restoredDN)
	w.modify(restoredDN, "userPrincipalName", l.restored)
	w.modify(restoredDN, "displayName", "Rita is back")
	w.remove(deletedDN)
	_, l.created = w.person("nina", sales)
	w.sync(kind, engine.ProfileDelta)
	l.right("New")
	return l
}

// right checks that the tenant is as the first controller says.
func (l *laggard) right(title string) {
	l.t.Helper()
	if o := l.mustUser(l.changed); o.ID != l.changedID || o.Properties["jobTitle"] != title {
		l.t.Errorf("%s is %s with the title %v, want %s with %s", l.changed, o.ID, o.Properties["jobTitle"], l.changedID, title)
	}
	if o := l.mustUser(l.restored); o.ID != l.restoredID || o.Properties["displayName"] != "Rita is back" {
		l.t.Errorf("%s is %s (%v), want %s", l.restored, o.ID, o.Properties["displayName"], l.restoredID)
	}
	if _, lives := l.user(l.deleted); lives {
		l.t.Errorf("%s lives although it was deleted", l.deleted)
	}
	l.mustUser(l.created)
}

// refused runs the engine while the host meets the controller that is behind: the run is not complete, says why, with the engine's own error if the engine
// meets it too, and neither writes nor forgets anything.
func (l *laggard) refused(code string) {
	l.t.Helper()
	before, rows := l.natural(), l.claimed()
	l.graph.ResetCounters()
	for _, profile := range []string{engine.ProfileDelta, engine.ProfileFull, engine.ProfileDelta} {
		r, err := l.tandem.Host().Sync(l.t.Context(), l.kind, run.SyncOptions{Profile: profile})
		if err != nil {
			l.t.Fatalf("%s run over a controller that is behind: %v", profile, err)
		}
		if r.Complete {
			l.t.Errorf("the %s run over a controller that is behind says that it is complete: %+v", profile, r)
		}
		if r.Proposed+r.Applied+r.Held+r.Unclaimed+r.Released > 0 {
			l.t.Errorf("the %s run took something of a controller that is behind: %+v", profile, r)
		}
		if !slices.ContainsFunc(r.Errors, func(p run.Problem) bool {
			return p.Object == "directory contoso" && strings.Contains(p.Message, "the controller is behind what was already seen")
		}) {
			l.t.Errorf("the %s run does not say that the host's controller is behind: %+v", profile, r.Errors)
		}
		if code != "" && !slices.ContainsFunc(r.Errors, func(p run.Problem) bool { return p.Code == code }) {
			l.t.Errorf("the %s run has no error %s of the engine: %+v", profile, code, r.Errors)
		}
	}
	if now := l.natural(); now != before || l.writes() != 0 {
		l.t.Errorf("a controller that is behind changed the tenant with %d writes: %s", l.writes(), differ(before, now))
	}
	if now := l.claimed(); now != rows {
		l.t.Errorf("a controller that is behind changed what is known to be owned, before and after:\n%s\n%s", rows, now)
	}
	l.right("New")
}

// claimed tells which engine owns the base of each object.
func (l *laggard) claimed() string {
	l.t.Helper()
	var out []string
	for _, upn := range []string{l.changed, l.restored, l.created} {
		out = append(out, upn+" "+l.owner(upn))
	}
	return strings.Join(out, "; ")
}

// Findings E4 and rule V1: values, deaths and absences of a controller that lacks what was already seen are not taken, whether it is met because another one
// stopped or because it is the first in the list.
func TestAControllerThatIsBehindChangesNothing(t *testing.T) {
	// The connect engine reads the controller that the host read last, and that one is stopped; agents read any that is near them.
	stopped := map[string]string{"connect": "unreachable", "cloudsync": engine.CodeBehind}
	// Where none is named the connect engine reads the first that answers; agents pass over one that is behind.
	order := map[string]string{"connect": engine.CodeBehind, "cloudsync": ""}
	for _, kind := range []string{"connect", "cloudsync"} {
		t.Run(kind, func(t *testing.T) {
			l := newLaggard(t, kind)
			l.controllers.first.set("refuses")
			l.refused(stopped[kind])
			l.controllers.first.set("")
			l.sync(kind, engine.ProfileDelta) // the controller that is ahead is found again
			l.right("New")

			l.controllers.first.set("refuses")
			l.reopen(l.controllers.firstURL, l.controllers.secondURL) // another process knows only what was stored
			l.refused(engine.CodeBehind)
			l.controllers.first.set("")
			l.reopen(l.controllers.secondURL, l.controllers.firstURL)
			l.refused(order[kind])

			l.modify(l.changedDN, "title", "Newest")
			l.controllers.second.CatchUp()
			for _, profile := range []string{engine.ProfileDelta, engine.ProfileFull} {
				l.sync(kind, profile)
				l.right("Newest")
			}
			if d := l.tandem.Host().Debts(); len(d) > 0 {
				t.Errorf("%d debts are left, the first: %+v", len(d), d[0])
			}
			for _, upn := range []string{l.changed, l.restored, l.created} {
				if o := l.owner(upn); o != kind {
					t.Errorf("%s owns %s, want %s", o, upn, kind)
				}
			}

			l.controllers.first.set("") // and back to the one that the second has never told anything
			l.reopen(l.controllers.firstURL, l.controllers.secondURL)
			l.modify(l.changedDN, "title", "Last")
			l.sync(kind, engine.ProfileDelta)
			l.right("Last")
		})
	}
}
