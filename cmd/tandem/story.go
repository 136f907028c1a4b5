package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab"
	"github.com/tandem-sync/tandem/examples/lab/seed"
	"github.com/tandem-sync/tandem/orchestrator/api"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// minDemoUsers gives every OU of the lab enough people for the story.
const minDemoUsers = 40

// story is the demo while it is told. It sends the commands that a person would type, and changes the directory as an administrator would.
type story struct {
	ctx    context.Context
	api    *api.Session
	lab    *lab.Lab
	ldap   *ldap.Conn
	say    func(api.Progress)
	result demoResult
	ids    map[string]string // tenant object ids, as they must stay

}

// person is somebody of whom the story tells.
type person struct{ dn, upn string }

func (s *story) tell() (demoResult, error) {
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{"the policy is put in force, and connect fills the tenant", s.fill},
		{"Sales moves to cloudsync, its contractors stay", s.migrate},
		{"passwords are set in the directory on both sides of the line", s.passwords},
		{"the directory changes on both sides of the line", s.change},
		{"somebody moves across the line, and back", s.cross},
		{"somebody leaves", s.leave},
		{"the wave is taken back", s.rollBack},
		{"Sales moves again, for good", s.migrateForGood},
		{"HR hires somebody, in the tenant", s.hire},
		{"a contract ends", s.contractEnds},
		{"everything is looked at once more", s.conclude},
	} {
		s.say(api.Progress{Phase: "demo", Note: step.name})
		if err := step.do(); err != nil {
			return s.result, fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return s.result, nil
}

func (s *story) check(name string, ok bool, format string, args ...any) {
	s.result.Checks = append(s.result.Checks, demoCheck{Name: name, OK: ok, Detail: fmt.Sprintf(format, args...)})
}

// sync runs an engine.
func (s *story) sync(engine, profile string) (api.Sync, error) {
	var r api.Sync
	_, err := s.api.Call(s.ctx, "sync", api.SyncRequest{Engine: engine, Profile: profile}, &r)
	return r, err
}

// both runs both engines until each has seen what the other let go of.
func (s *story) both() error {
	for _, e := range []string{"connect", "cloudsync", "connect"} {
		r, err := s.sync(e, "delta")
		if err != nil {
			return err
		}
		if r.Failed+r.Held+r.Refused > 0 {
			return fmt.Errorf("the run of %s left %d failed, %d held, %d refused: %v", e, r.Failed, r.Held, r.Refused, r.Errors)
		}
	}
	return nil
}

func (s *story) fill() error {
	text, err := os.ReadFile(s.lab.PolicyFile)
	if err != nil {
		return err
	}
	if _, err := s.api.Call(s.ctx, "import", api.PolicyRequest{File: s.lab.PolicyFile, Text: text}, nil); err != nil {
		return err
	}
	first, err := s.sync("connect", "full")
	if err != nil {
		return err
	}
	now, err := s.objects()
	if err != nil {
		return err
	}
	s.ids = now
	s.check("first sync creates everything", first.Creates == len(now) && len(now) > 0 && first.Failed+first.Held == 0, "%d objects written, %d in the tenant, %d failed, %d held", first.Creates, len(now), first.Failed, first.Held)
	before := s.lab.Writes()
	second, err := s.sync("connect", "full")
	s.check("second sync writes nothing", second.Applied == 0 && s.lab.Writes() == before, "%d applied, %d requests to write", second.Applied, s.lab.Writes()-before)
	return err
}

// objects gives the ids of the tenant's living users and groups, by the key that ties them to the directory.
func (s *story) objects() (map[string]string, error) {
	os, err := s.lab.Objects()
	out := map[string]string{}
	for k, o := range os {
		out[k] = o.ID
	}
	return out, err
}

// unchanged checks that nothing was deleted, made anew or doubled.
func (s *story) unchanged(name string) error {
	now, err := s.objects()
	if err != nil {
		return err
	}
	s.check(name, maps.Equal(now, s.ids), "%d objects, %d with the id they had", len(now), same(now, s.ids))
	return nil
}

func same(a, b map[string]string) int {
	n := 0
	for k, v := range a {
		if b[k] == v {
			n++
		}
	}
	return n
}

func (s *story) wave(soak time.Duration) (api.Wave, error) {
	var ws api.Waves
	_, err := s.api.Call(s.ctx, "migrate", api.RunRequest{Under: s.lab.OU("Sales"), To: "cloudsync", Except: []string{s.lab.OU("Contractors", "Sales")}, Soak: &soak}, &ws)
	if err != nil {
		return api.Wave{}, err
	}
	if len(ws.Waves) != 1 {
		return api.Wave{}, fmt.Errorf("%d waves began, one was expected", len(ws.Waves))
	}
	w := ws.Waves[0]
	s.result.Waves++
	s.result.FreezeMillis = append(s.result.FreezeMillis, w.FreezeMillis)
	return w, nil
}

func (s *story) migrate() error {
	before := s.lab.Writes()
	w, err := s.wave(time.Hour)
	if err != nil {
		return err
	}
	s.check("migration reaches its soak", w.Phase == wave.Soak && w.State == wave.Waiting, "wave %s is %s in %s", w.ID, w.State, w.Phase)
	s.check("migration writes nothing that matches", s.lab.Writes() == before, "%s to write for %s", scoping.Many(int(s.lab.Writes()-before), "request", "requests"), kinds(w.Objects))
	if err := s.unchanged("migration keeps every tenant object"); err != nil {
		return err
	}
	return s.owners("owners after the migration", "cloudsync")
}

// owners checks that every object has the one owner it should have.
func (s *story) owners(name, sales string) error {
	wrong, n := []string{}, 0
	for _, o := range slices.Concat(s.lab.World.Users, s.lab.World.Groups) {
		e, err := s.explain(o.DN)
		if err != nil {
			return err
		}
		n++
		want := "connect"
		switch {
		case directlyUnder(o.DN, s.lab.OU("Sales")):
			want = sales
		case directlyUnder(o.DN, s.lab.OU("Service")):
			want = "none"
		}
		for _, f := range e.Features {
			if f.Feature == "user-provisioning" {
				continue // is about what comes from the tenant
			}
			if f.Engine != want {
				wrong = append(wrong, fmt.Sprintf("%s of %s is %s's", f.Feature, o.DN, f.Engine))
			}
		}
	}
	detail := fmt.Sprintf("%d objects, each with its one owner", n)
	if len(wrong) > 0 {
		detail = fmt.Sprintf("%d of %d objects: %s", len(wrong), n, strings.Join(head(wrong, 3), "; "))
	}
	s.check(name, len(wrong) == 0, "%s", detail)
	return nil
}

func head(s []string, n int) []string { return s[:min(n, len(s))] }

func (s *story) explain(ref string) (api.Explained, error) {
	var e api.Explained
	_, err := s.api.Call(s.ctx, "explain", api.ExplainRequest{Ref: ref}, &e)
	return e, err
}

// directlyUnder says whether an object lies in an OU and not in one below it. The lab's names hold no unescaped ",OU=".
func directlyUnder(dn, ou string) bool {
	rdn, ok := strings.CutSuffix(dn, ","+ou)
	return ok && !strings.Contains(rdn, ",OU=")
}

// people finds people of an OU that are in the tenant.
func (s *story) people(ou string, n int) ([]person, error) {
	var out []person
	users := s.lab.Users()
	for _, u := range s.lab.World.Users {
		if upn := u.Attributes["userPrincipalName"]; len(upn) == 1 && directlyUnder(u.DN, ou) {
			if o, ok := users.Named(upn[0]); ok && !o.Deleted {
				out = append(out, person{u.DN, upn[0]})
			}
		}
	}
	if len(out) < n {
		return nil, fmt.Errorf("%s has %d people in the tenant, the story needs %d: take more --users", ou, len(out), n)
	}
	return out[len(out)-n:], nil
}

func (s *story) set(p person, attribute, value string) error {
	r := ldap.NewModifyRequest(p.dn, nil)
	r.Replace(attribute, []string{value})
	if err := s.ldap.Modify(r); err != nil {
		return fmt.Errorf("changing %s of %s: %w", attribute, p.dn, err)
	}
	return nil
}

// writers gives who wrote last to each of the people, by the journal.
func (s *story) writer(p person) (string, error) {
	var o api.Object
	if _, err := s.api.Call(s.ctx, "object", api.RefRequest{Ref: p.dn}, &o); err != nil {
		return "", err
	}
	for _, r := range slices.Backward(o.Journal) {
		if r.Outcome == "intent" && r.Engine != nil {
			return *r.Engine, nil
		}
	}
	return "nobody", nil
}

// arrived checks that a value is in the tenant, and that the right engine wrote it.
func (s *story) arrived(ps []person, attribute, want, engine string) (int, string, error) {
	users := s.lab.Users()
	for i, p := range ps {
		o, ok := users.Named(p.upn)
		if !ok || lab.Text(o, attribute) != want {
			return i, fmt.Sprintf("; %s has %q", p.upn, lab.Text(o, attribute)), nil
		}
		by, err := s.writer(p)
		if err != nil {
			return i, "", err
		}
		if by != engine {
			return i, fmt.Sprintf("; %s was written by %s", p.upn, by), nil
		}
	}
	return len(ps), "", nil
}

func (s *story) change() error {
	const title = "Head of Demonstrations"
	for _, side := range []struct{ ou, engine string }{{s.lab.OU("Sales"), "cloudsync"}, {s.lab.OU("Engineering"), "connect"}, {s.lab.OU("Contractors", "Sales"), "connect"}} {
		ps, err := s.people(side.ou, 2)
		if err != nil {
			return err
		}
		for _, p := range ps {
			if err := s.set(p, "title", title); err != nil {
				return err
			}
		}
		if err := s.both(); err != nil {
			return err
		}
		n, why, err := s.arrived(ps, "jobTitle", title, side.engine)
		if err != nil {
			return err
		}
		s.check("changes under "+side.ou+" arrive by "+side.engine, n == len(ps), "%d of %d%s", n, len(ps), why)
	}
	return s.unchanged("changes keep every tenant object")
}

// passwords sets passwords in the directory and signs in to the tenant with them. A directory without replication has no hashes to read.
func (s *story) passwords() error {
	if !s.lab.Replicates() {
		return nil
	}
	if err := s.signIns("Changed-Passw0rd!", "cloudsync"); err != nil {
		return err
	}
	return s.resets("Reset-Passw0rd!", "Own-Passw0rd!", "cloudsync")
}

// resets resets the password of one user of each side as the tenant's administrator, and changes it as that user in the portal: the directory has each before the tenant does.
func (s *story) resets(reset, own, sales string) error {
	for _, side := range []struct{ ou, engine string }{{s.lab.OU("Sales"), sales}, {s.lab.OU("Engineering"), "connect"}} {
		ps, err := s.people(side.ou, 1)
		if err != nil {
			return err
		}
		p := ps[0]
		var did, must error
		err = s.takingPasswords(func(ctx context.Context) {
			if did = s.lab.ResetPassword(ctx, p.upn, reset); did == nil {
				must = s.lab.SignInDirectory(p.upn, reset)
				did = s.lab.ChangePassword(ctx, p.upn, reset, own)
			}
		})
		if err != nil {
			return err
		}
		by, err := s.wroteBack(p)
		if err != nil {
			return err
		}
		there, here := s.lab.SignInDirectory(p.upn, own), s.lab.SignIn(p.upn, own)
		s.check("a password reset in the tenant and changed by its user is set under "+side.ou+", by "+side.engine, did == nil && must != nil && there == nil && here == nil && by == side.engine,
			"%s: signs in to the directory: %s, to the tenant: %s; set by %s", p.upn, orOK(errors.Join(did, there)), orOK(here), by)
	}
	return s.both()
}

// signIns sets the password of one user of each side, and checks that it signs in to the tenant, and that the one before does not.
func (s *story) signIns(password, sales string) error {
	for _, side := range []struct{ ou, engine string }{{s.lab.OU("Sales"), sales}, {s.lab.OU("Engineering"), "connect"}} {
		ps, err := s.people(side.ou, 1)
		if err != nil {
			return err
		}
		p := ps[0]
		before := "Before-" + password
		for _, set := range []string{before, password} {
			if err := s.set(p, "unicodePwd", lab.EncodePassword(set)); err != nil {
				return err
			}
			if err := s.both(); err != nil {
				return err
			}
			if set == before {
				if err := s.lab.SignIn(p.upn, before); err != nil {
					s.check("a password set under "+side.ou+" signs in", false, "%s: %v", p.upn, err)
					return nil
				}
			}
		}
		old, now := s.lab.SignIn(p.upn, before), s.lab.SignIn(p.upn, password)
		by, err := s.lab.PasswordBy(p.upn)
		s.check("a password set under "+side.ou+" signs in to the tenant, by "+side.engine, err == nil && old != nil && now == nil && by == side.engine,
			"%s: now %v; with the one before: %v; handed over by %s", p.upn, orOK(now), old, by)
	}
	return nil
}

// takingPasswords does something while Tandem listens for changes of passwords in the tenant, as serve does.
func (s *story) takingPasswords(do func(context.Context)) error {
	ctx, cancel := context.WithCancel(s.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.api.TakePasswords(ctx) }()
	do(ctx)
	cancel()
	if err := <-ended; err != nil && s.ctx.Err() == nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return context.Cause(s.ctx)
}

// wroteBack returns which engine set a user's password last, by the journal.
func (s *story) wroteBack(p person) (by string, err error) {
	_, err = s.api.Stream(s.ctx, "audit/list", api.AuditRequest{Object: p.dn}, nil, func(b json.RawMessage) error {
		var r api.Record
		if err := json.Unmarshal(b, &r); err != nil {
			return fmt.Errorf("a record of the journal: %w", err)
		}
		if r.Engine != nil && r.Feature != nil && *r.Feature == "password-writeback" && r.Outcome == "applied" {
			by = *r.Engine
		}
		return nil
	})
	return by, err
}

func orOK(err error) string {
	if err == nil {
		return "yes"
	}
	return err.Error()
}

// move puts somebody into another OU.
func (s *story) move(p person, from, to string) (person, error) {
	rdn := strings.TrimSuffix(p.dn, ","+from)
	if err := s.ldap.ModifyDN(ldap.NewModifyDNRequest(p.dn, rdn, true, to)); err != nil {
		return p, fmt.Errorf("moving %s to %s: %w", p.dn, to, err)
	}
	return person{rdn + "," + to, p.upn}, nil
}

// cross moves somebody over the line in both directions; each time the new owner writes.
func (s *story) cross() error {
	from, to := s.lab.OU("Sales"), s.lab.OU("Engineering")
	ps, err := s.people(from, 3)
	if err != nil {
		return err
	}
	p := ps[0]
	for _, way := range []struct{ from, to, engine, value string }{{from, to, "connect", "Across"}, {to, from, "cloudsync", "Back"}} {
		if p, err = s.move(p, way.from, way.to); err != nil {
			return err
		}
		if err := s.both(); err != nil {
			return err
		}
		if err := s.set(p, "department", way.value); err != nil {
			return err
		}
		if err := s.both(); err != nil {
			return err
		}
		n, why, err := s.arrived([]person{p}, "department", way.value, way.engine)
		if err != nil {
			return err
		}
		s.check("after a move to "+way.to+" "+way.engine+" writes", n == 1, "%s%s", p.upn, why)
	}
	return s.unchanged("moves keep every tenant object")
}

// leave deletes somebody of the scope that moved.
func (s *story) leave() error {
	ps, err := s.people(s.lab.OU("Sales"), 4)
	if err != nil {
		return err
	}
	p := ps[0]
	o, _ := s.lab.User(p.upn)
	if err := s.ldap.Del(ldap.NewDelRequest(p.dn, nil)); err != nil {
		return fmt.Errorf("deleting %s: %w", p.dn, err)
	}
	if err := s.both(); err != nil {
		return err
	}
	left, found := s.lab.User(p.upn)
	s.check("who was deleted is in the deleted items", found && left.Deleted && left.ID == o.ID, "%s", p.upn)
	maps.DeleteFunc(s.ids, func(_, id string) bool { return id == o.ID })
	s.lab.World.Users = slices.DeleteFunc(s.lab.World.Users, func(u seed.Object) bool { return u.DN == p.dn })
	return s.unchanged("nobody else left")
}

func (s *story) rollBack() error {
	var ws api.Waves
	if _, err := s.api.Call(s.ctx, "wave/list", api.None{}, &ws); err != nil {
		return err
	}
	if len(ws.Waves) != 1 {
		return fmt.Errorf("%d waves are known, one was expected", len(ws.Waves))
	}
	before := s.lab.Writes()
	var w api.Wave
	if _, err := s.api.Call(s.ctx, "wave/decide", api.WaveRequest{ID: ws.Waves[0].ID, Verb: wave.RollBack, Reason: "the demo shows the way back"}, &w); err != nil {
		return err
	}
	s.check("rollback comes to its end", w.State == wave.RolledBack, "wave %s is %s", w.ID, w.State)
	s.check("rollback writes nothing that matches", s.lab.Writes() == before, "%d requests to write", s.lab.Writes()-before)
	if err := s.unchanged("rollback keeps every tenant object"); err != nil {
		return err
	}
	ps, err := s.people(s.lab.OU("Sales"), 2)
	if err != nil {
		return err
	}
	if err := s.set(ps[0], "title", "Back at Connect"); err != nil {
		return err
	}
	if err := s.both(); err != nil {
		return err
	}
	n, why, err := s.arrived(ps[:1], "jobTitle", "Back at Connect", "connect")
	if err != nil {
		return err
	}
	s.check("after the rollback connect writes again", n == 1, "%s%s", ps[0].upn, why)
	if s.lab.Replicates() {
		if err := s.signIns("Returned-Passw0rd!", "connect"); err != nil {
			return err
		}
	}
	return s.owners("owners after the rollback", "connect")
}

func (s *story) migrateForGood() error {
	w, err := s.wave(time.Hour)
	if err != nil {
		return err
	}
	if _, err := s.api.Call(s.ctx, "wave/decide", api.WaveRequest{ID: w.ID, Verb: wave.CompleteNow, Reason: "the demo does not wait"}, &w); err != nil {
		return err
	}
	s.check("second migration is completed", w.State == wave.Completed, "wave %s is %s in %s", w.ID, w.State, w.Phase)
	if err := s.unchanged("second migration keeps every tenant object"); err != nil {
		return err
	}
	return s.owners("owners in the end", "cloudsync")
}

func (s *story) conclude() error {
	for _, d := range []struct{ under, engine string }{{s.lab.Base(), "connect"}, {s.lab.OU("Sales"), "cloudsync"}} {
		var diff api.Diff
		if _, err := s.api.Call(s.ctx, "diff", api.DiffRequest{Under: d.under}, &diff); err != nil {
			return err
		}
		s.check("nothing is left to write for "+d.engine, diff.Engine == d.engine && len(diff.Differences) == 0 && diff.Objects > 0, "%s would write %d of %d objects", diff.Engine, len(diff.Differences), diff.Objects)
	}
	var st api.Status
	if _, err := s.api.Call(s.ctx, "status", api.None{}, &st); err != nil {
		return err
	}
	s.check("nothing is unsettled", st.Errors == 0 && st.InDoubt == 0 && len(st.Held) == 0 && len(st.Waves) == 0, "%d unsettled, %d in doubt, %d held sets, %d waves under way", st.Errors, st.InDoubt, len(st.Held), len(st.Waves))
	var v api.Verified
	if _, err := s.api.Call(s.ctx, "audit/verify", api.VerifyRequest{}, &v); err != nil {
		return err
	}
	s.result.JournalEntries = v.Records
	s.check("the journal is whole", v.OK, "%d records, head %.12s", v.Records, v.Head)
	return nil
}
