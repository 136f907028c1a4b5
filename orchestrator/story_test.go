package orchestrator_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	labdirectory "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/problem"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// sync runs an engine and fails the test unless everything settled.
func (w *world) sync(name, profile string) run.Report {
	w.t.Helper()
	r, err := w.tandem.Host().Sync(w.t.Context(), name, run.SyncOptions{Profile: profile})
	if err != nil {
		w.t.Fatalf("sync %s: %v", name, err)
	}
	if !r.Complete || r.Failed+r.Held+r.Refused+r.Deferred > 0 {
		w.t.Fatalf("sync %s: %+v", name, r)
	}
	return r
}

func (w *world) same(before map[string]string, what string) {
	w.t.Helper()
	if after := w.ids(); !maps.Equal(before, after) {
		w.t.Fatalf("%s changed the tenant's objects: %d before, %d after", what, len(before), len(after))
	}
}

func TestAnOUMovesBetweenTwoEnginesAndBack(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 60)
		w.importPolicy()
		first := w.sync("connect", engine.ProfileFull)
		t.Logf("first full sync: read %d, applied %d, %d ms", first.Read, first.Applied, first.Millis)
		ids := w.ids()
		if first.Applied != len(ids) {
			t.Fatalf("applied %d, in the tenant %d", first.Applied, len(ids))
		}
		w.graph.ResetCounters()
		second := w.sync("connect", engine.ProfileFull)
		if second.Applied != 0 || w.writes() != 0 {
			t.Fatalf("a second full sync wrote: %+v, %d requests", second, w.writes())
		}

		_, ws, err := w.tandem.Host().Migrate(t.Context(), "OU=Sales,"+s.base, "cloudsync", nil, []string{"OU=Contractors,OU=Sales," + s.base},
			acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
		if err != nil {
			t.Fatal(err)
		}
		if len(ws) != 1 || ws[0].Phase != wave.Soak {
			t.Fatalf("the wave: %+v", ws)
		}
		w.same(ids, "the migration")
		if w.writes() != 0 {
			t.Fatalf("the migration wrote %d times", w.writes())
		}

		if _, err := w.tandem.Host().DecideWave(t.Context(), ws[0].ID, wave.RollBack, "test", "because"); err != nil {
			t.Fatal(err)
		}
		back, err := w.tandem.Host().Drive(t.Context(), ws[0].ID)
		if err != nil {
			t.Fatal(err)
		}
		if back.State != wave.RolledBack {
			t.Fatalf("the rollback: %+v", back)
		}
		w.same(ids, "the rollback")
		if w.writes() != 0 {
			t.Fatalf("the rollback wrote %d times", w.writes())
		}
	})
}

// modify changes one attribute in the directory.
func (w *world) modify(dn, attr string, values ...string) {
	w.t.Helper()
	r := ldap.NewModifyRequest(dn, nil)
	r.Replace(attr, values)
	if err := w.conn.Modify(r); err != nil {
		w.t.Fatalf("modify %s: %v", dn, err)
	}
}

// move moves an object under another container and gives its new DN.
func (w *world) move(dn, to string) string {
	w.t.Helper()
	d := scoping.MustParseDN(dn)
	rdn := d.RDN().String()
	if err := w.conn.ModifyDN(ldap.NewModifyDNRequest(dn, rdn, true, to)); err != nil {
		w.t.Fatalf("move %s: %v", dn, err)
	}
	return rdn + "," + to
}

func (w *world) remove(dn string) {
	w.t.Helper()
	if err := w.conn.Del(ldap.NewDelRequest(dn, nil)); err != nil {
		w.t.Fatalf("delete %s: %v", dn, err)
	}
}

func (w *world) add(dn string, attrs map[string][]string) {
	w.t.Helper()
	r := ldap.NewAddRequest(dn, nil)
	for k, v := range attrs {
		r.Attribute(k, v)
	}
	if err := w.conn.Add(r); err != nil {
		w.t.Fatalf("add %s: %v", dn, err)
	}
}

// person adds an enabled user and gives his DN and sign-in name.
func (w *world) person(name, ou string) (dn, upn string) {
	w.t.Helper()
	upn = name + "@" + w.site.domain
	dn = "CN=" + name + "," + ou
	w.add(dn, map[string][]string{"objectClass": {"user"}, "sAMAccountName": {name}, "userPrincipalName": {upn}, "displayName": {"Person " + name}, "givenName": {name},
		"userAccountControl": {"512"}, "unicodePwd": {labdirectory.EncodePassword("Some-Passw0rd!")}})
	return dn, upn
}

func (w *world) migrate(ou, to string, except ...string) wave.Wave {
	w.t.Helper()
	_, ws, err := w.tandem.Host().Migrate(w.t.Context(), ou, to, nil, except, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	if len(ws) != 1 || ws[0].Phase != wave.Soak {
		w.t.Fatalf("the wave: %+v", ws)
	}
	return ws[0]
}

func (w *world) owner(upn string) string {
	w.t.Helper()
	e, err := w.tandem.Host().Explain(w.t.Context(), upn, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return e.Features[0].Engine
}

// mustUser gives a living tenant user.
func (w *world) mustUser(upn string) tenant.StateObject {
	w.t.Helper()
	o, ok := w.user(upn)
	if !ok {
		w.t.Fatalf("no living tenant user %s", upn)
	}
	return o
}

// Both engines run, in the given order.
func (w *world) both(order ...string) {
	w.t.Helper()
	for _, e := range order {
		r, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{})
		if err != nil {
			w.t.Fatalf("sync %s: %v", e, err)
		}
		if r.Failed+r.Held > 0 {
			w.t.Fatalf("sync %s: %+v", e, r.Errors)
		}
	}
}

func TestLifeGoesOnAcrossTheLine(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		w.importPolicy()
		sales, contractors, marketing, service := "OU=Sales,"+s.base, "OU=Contractors,OU=Sales,"+s.base, "OU=Marketing,"+s.base, "OU=Service,"+s.base
		annDN, ann := w.person("ann", sales)
		bobDN, bob := w.person("bob", marketing)
		cleoDN, cleo := w.person("cleo", sales)
		danDN, dan := w.person("dan", sales)
		eveDN, eve := w.person("eve", sales)
		_, fay := w.person("fay", contractors)
		group := "CN=Across," + marketing
		w.add(group, map[string][]string{"objectClass": {"group"}, "sAMAccountName": {"across"}, "groupType": {"-2147483646"}, "displayName": {"Across"}, "member": {annDN, bobDN}})
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		wave := w.migrate(sales, "cloudsync", contractors)
		w.same(ids, "the migration")
		for upn, want := range map[string]string{ann: "cloudsync", bob: "connect", fay: "connect"} {
			if got := w.owner(upn); got != want {
				t.Errorf("owner of %s: %s, want %s", upn, got, want)
			}
		}

		t.Run("each engine's run changes only its own", func(t *testing.T) {
			w.modify(annDN, "title", "Chief")
			w.modify(bobDN, "title", "Clerk")
			w.both("connect")
			if w.mustUser(ann).Properties["jobTitle"] == "Chief" || w.mustUser(bob).Properties["jobTitle"] != "Clerk" {
				t.Fatal("connect's run did not change just its own")
			}
			w.both("cloudsync")
			if w.mustUser(ann).Properties["jobTitle"] != "Chief" {
				t.Fatal("cloudsync's run did not change its own")
			}
		})
		t.Run("a user who moves across the line keeps his tenant id", func(t *testing.T) {
			for _, order := range [][]string{{"connect", "cloudsync"}, {"cloudsync", "connect"}} {
				for _, to := range []string{marketing, sales} {
					annDN = w.move(annDN, to)
					w.both(order...)
					w.both(order...)
					w.same(ids, "a move to "+to)
					w.modify(annDN, "title", "In "+to[:8]+order[0])
					w.both(order...)
					if w.mustUser(ann).Properties["jobTitle"] != "In "+to[:8]+order[0] {
						t.Fatalf("the new owner does not write %s: %v", ann, w.mustUser(ann).Properties["jobTitle"])
					}
				}
			}
			across := w.groupOf("Across")
			if !slices.Contains(across.Members, w.mustUser(ann).ID) || !slices.Contains(across.Members, w.mustUser(bob).ID) {
				t.Fatal("memberships across the line were lost")
			}
		})
		t.Run("a membership ends when the directory says so", func(t *testing.T) {
			w.modify(group, "member", annDN)
			w.both("connect", "cloudsync")
			if m := w.groupOf("Across").Members; !slices.Equal(m, []string{w.mustUser(ann).ID}) {
				t.Fatalf("members: %v", m)
			}
		})
		t.Run("an OU's rename changes nothing but names", func(t *testing.T) {
			w.graph.ResetCounters()
			if err := w.conn.ModifyDN(ldap.NewModifyDNRequest(sales, "OU=Sales & Friends", true, "")); err != nil {
				t.Fatal(err)
			}
			w.both("cloudsync", "connect")
			w.same(ids, "the rename")
			if w.writes() != 0 || w.owner(ann) != "cloudsync" || w.owner(fay) != "connect" {
				t.Fatalf("%d writes; owners %s, %s", w.writes(), w.owner(ann), w.owner(fay))
			}
			if err := w.conn.ModifyDN(ldap.NewModifyDNRequest("OU=Sales & Friends,"+s.base, "OU=Sales", true, "")); err != nil {
				t.Fatal(err)
			}
		})
		t.Run("a real delete deletes exactly one object", func(t *testing.T) {
			id := w.mustUser(cleo).ID
			w.remove(cleoDN)
			w.both("connect", "cloudsync")
			after := w.ids()
			if len(after) != len(ids)-1 || slices.Contains(slices.Collect(maps.Values(after)), id) {
				t.Fatalf("%d objects before, %d after", len(ids), len(after))
			}
			ids = after
		})
		t.Run("one disabled and moved to none ends disabled", func(t *testing.T) {
			w.modify(danDN, "userAccountControl", "514")
			danDN = w.move(danDN, service)
			w.both("cloudsync", "connect")
			w.same(ids, "leaving for none")
			if w.mustUser(dan).Properties["accountEnabled"] != false {
				t.Fatal("he is still enabled")
			}
		})
		t.Run("deleted in the middle of a wave he ends deleted", func(t *testing.T) {
			id := w.mustUser(eve).ID
			w.remove(eveDN)
			if _, err := w.tandem.Host().DecideWave(t.Context(), wave.ID, "rollback", "test", ""); err != nil {
				t.Fatal(err)
			}
			if _, err := w.tandem.Host().Drive(t.Context(), wave.ID); err != nil {
				t.Fatal(err)
			}
			w.both("connect", "cloudsync")
			if slices.Contains(slices.Collect(maps.Values(w.ids())), id) {
				t.Fatal("he still lives in the tenant")
			}
			if w.owner(ann) != "connect" {
				t.Fatalf("after the rollback %s owns ann", w.owner(ann))
			}
			w.modify(annDN, "title", "Back")
			w.both("cloudsync", "connect")
			if w.mustUser(ann).Properties["jobTitle"] != "Back" {
				t.Fatal("the source does not write after the rollback")
			}
		})
		t.Run("one who returns gets his old object back", func(t *testing.T) {
			id := w.mustUser(bob).ID
			guid := w.guid(bobDN)
			w.remove(bobDN)
			w.both("connect")
			if _, ok := w.user(bob); ok {
				t.Fatal("he was not deleted")
			}
			w.undelete(guid, bobDN)
			w.modify(bobDN, "userPrincipalName", bob)
			w.modify(bobDN, "displayName", "Bob is back")
			w.both("connect")
			if o := w.mustUser(bob); o.ID != id || o.Properties["displayName"] != "Bob is back" {
				t.Fatalf("he came back as %s (%v), was %s", o.ID, o.Properties["displayName"], id)
			}
		})
	})
}

func (w *world) groupOf(name string) tenant.StateObject {
	w.t.Helper()
	for _, o := range w.model.State(false).Objects {
		if o.Kind == tenant.Group && !o.Deleted && o.Properties["displayName"] == name {
			return o
		}
	}
	w.t.Fatalf("no tenant group %s", name)
	return tenant.StateObject{}
}

func (w *world) guid(dn string) string {
	w.t.Helper()
	r, err := w.conn.Search(ldap.NewSearchRequest(dn, ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"objectGUID"}, nil))
	if err != nil {
		w.t.Fatal(err)
	}
	g, err := scoping.GUIDFromBytes(r.Entries[0].GetRawAttributeValue("objectGUID"))
	if err != nil {
		w.t.Fatal(err)
	}
	return g.String()
}

func (w *world) undelete(guid, dn string) {
	w.t.Helper()
	deleted := []ldap.Control{ldap.NewControlMicrosoftShowDeleted()}
	found, err := w.conn.Search(ldap.NewSearchRequest("<GUID="+guid+">", ldap.ScopeBaseObject, ldap.NeverDerefAliases, 0, 0, false, "(objectClass=*)", []string{"cn"}, deleted))
	if err != nil || len(found.Entries) != 1 {
		w.t.Fatalf("the tombstone of %s: %v", dn, err)
	}
	r := ldap.NewModifyRequest(found.Entries[0].DN, deleted)
	r.Delete("isDeleted", nil)
	r.Replace("distinguishedName", []string{dn})
	if err := w.conn.Modify(r); err != nil {
		w.t.Fatalf("undelete %s: %v", dn, err)
	}
}

func TestAHostThatFindsAnotherOneInTheTenantWritesNothing(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		w.close()
		dir := w.dir
		w.dir = t.TempDir() // a second installation, over the same directory and tenant
		w.write()
		w.open()
		w.graph.ResetCounters()
		policy := []byte(fmt.Sprintf(policyText, w.site.base, w.site.base))
		_, err := w.tandem.Host().Import(t.Context(), "policy.yaml", policy, "test")
		if !errors.Is(err, tenancy.ErrOtherHost) || w.writes() != 0 || !strings.Contains(err.Error(), "tandem takeover") {
			t.Fatalf("the second installation took the tenant: %v, %d writes", err, w.writes())
		}
		if _, err := w.tandem.Host().TakeOver(t.Context(), "test", ""); !errors.Is(err, problem.ErrUsage) {
			t.Fatalf("a take-over without a reason: %v", err)
		}
		if from, err := w.tandem.Host().TakeOver(t.Context(), "test", "the first machine is lost"); err != nil || !strings.Contains(from, "installation ") {
			t.Fatalf("the take-over: %q %v", from, err)
		}
		if waited := w.clock.jumped(); waited < 8*time.Minute { // the tenant's delay, the tenure and ghostLife
			t.Fatalf("the take-over waited %s", waited)
		}
		w.importPolicy()
		w.graph.ResetCounters()
		if err := w.tandem.Host().Activate(t.Context(), "test", "now"); !errors.Is(err, problem.ErrUsage) || !strings.Contains(err.Error(), "connect") {
			t.Fatalf("activated although nobody saw what would be written: %v", err)
		}
		for _, n := range []string{"connect", "cloudsync"} {
			if r, err := w.tandem.Host().Sync(t.Context(), n, run.SyncOptions{Profile: engine.ProfileFull, By: "test"}); err != nil || r.ReadOnly == "" || w.writes() != 0 {
				t.Fatalf("a run before the activation: %+v %v, %d writes", r, err, w.writes())
			}
		}
		if err := w.tandem.Host().Activate(t.Context(), "test", "seen"); err != nil {
			t.Fatal(err)
		}
		w.modify(w.seed.Users[0].DN, "title", "Of the second")
		asked, err := w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if err != nil || asked.Held == 0 || len(asked.HeldSets) != 1 { // the first installation made them: this one asks once, for all (rule J5)
			t.Fatalf("the activated installation: %+v %v", asked, err)
		}
		if r, err := w.tandem.Host().Answer(t.Context(), asked.HeldSets[0], "approve", "test", "seen"); err != nil || r.Applied != 1 {
			t.Fatalf("what was approved: %+v %v", r, err)
		}
		w.close()
		w.dir = dir
		w.write()
		w.open()
		w.graph.ResetCounters()
		_, err = w.tandem.Host().Sync(t.Context(), "connect", run.SyncOptions{})
		if !errors.Is(err, tenancy.ErrOtherHost) || w.writes() != 0 {
			t.Fatalf("the first installation went on: %v, %d writes", err, w.writes())
		}
		if s, err := w.tandem.Host().Status(t.Context()); err != nil || s.ReadOnly == "" || s.Mark.Refused == "" {
			t.Fatalf("the status says nothing of it: %+v %v", s.Mark, err)
		}
	})
}
