package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/plan"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/orchestrator/wave/acts"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// assign writes one assignment of users and groups.
func assign(name, under, engineName string, narrowed ...string) string {
	out := fmt.Sprintf("  - name: %s\n    under: %q\n    engine: %s\n    features: [users, groups]\n", name, under, engineName)
	for _, n := range narrowed {
		out += "    " + n + "\n"
	}
	return out
}

// policyOf writes a policy in which connect has everything that other assignments do not give away.
func (w *world) policyOf(assignments ...string) string {
	return "version: 1\nfeatures: [users, groups]\nassignments:\n" + assign("everything", w.site.base, "connect") + strings.Join(assignments, "")
}

func (w *world) plan(text string) *plan.Plan {
	w.t.Helper()
	p, err := w.tandem.Host().Plan(w.t.Context(), plan.PlanOptions{File: "policy.yaml", Text: []byte(text), AllowRevert: true})
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// apply plans a policy and runs its waves into their soak. It fails the test if the plan foresees anything but a change of hands.
func (w *world) apply(text string) (*plan.Plan, []wave.Wave) {
	w.t.Helper()
	p := w.plan(text)
	for _, x := range p.Waves {
		if c := x.Predicted; c == nil || c.Create+c.Update+c.Delete+c.Orphan+c.Unclaimed > 0 {
			w.t.Fatalf("the plan foresees %+v: %+v, findings %+v", c, x.Examples, x.Findings)
		}
	}
	ws, err := w.tandem.Host().Apply(w.t.Context(), p, acts.ApplyOptions{Options: wave.Options{Soak: time.Hour}, By: "test"})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, x := range ws {
		if x.Phase != wave.Soak {
			w.t.Fatalf("wave: %+v", x)
		}
	}
	return p, ws
}

// decide lets a person decide about a wave, which goes on then.
func (w *world) decide(id string, v wave.Verb, want wave.State) {
	w.t.Helper()
	if _, err := w.tandem.Host().DecideWave(w.t.Context(), id, v, "test", "because"); err != nil {
		w.t.Fatal(err)
	}
	got, err := w.tandem.Host().Drive(w.t.Context(), id)
	if err != nil || got.State != want {
		w.t.Fatalf("%s: %v, %+v", v, err, got)
	}
}

// group adds a security group with the given members.
func (w *world) group(name, ou string, members ...string) string {
	w.t.Helper()
	dn := "CN=" + name + "," + ou
	a := map[string][]string{"objectClass": {"group"}, "sAMAccountName": {strings.ToLower(strings.ReplaceAll(name, " ", "-"))}, "groupType": {"-2147483646"}, "displayName": {name}}
	if len(members) > 0 {
		a["member"] = members
	}
	w.add(dn, a)
	return dn
}

// join adds members to a group; leave takes them out.
func (w *world) join(group string, members ...string) { w.member(group, true, members) }

func (w *world) leave(group string, members ...string) { w.member(group, false, members) }

func (w *world) member(group string, add bool, members []string) {
	w.t.Helper()
	r := ldap.NewModifyRequest(group, nil)
	if add {
		r.Add("member", members)
	} else {
		r.Delete("member", members)
	}
	if err := w.conn.Modify(r); err != nil {
		w.t.Fatalf("members of %s: %v", group, err)
	}
}

// owners fails the test unless each sign-in name's owner is the wanted one.
func (w *world) owners(want map[string]string) {
	w.t.Helper()
	for _, upn := range slices.Sorted(maps.Keys(want)) {
		if got := w.owner(upn); got != want[upn] {
			e, _ := w.tandem.Host().Explain(w.t.Context(), upn, nil)
			w.t.Errorf("owner of %s: %s, want %s: %+v", upn, got, want[upn], e.Features[0])
		}
	}
}

// writer fails the test unless a change of a user's title gets into the tenant by the run of its engine, and by that of no other.
func (w *world) writer(dn, upn, mine, other string) {
	w.t.Helper()
	w.titles++
	title := fmt.Sprintf("By %s %d", mine, w.titles)
	w.modify(dn, "title", title)
	w.both(other)
	if w.mustUser(upn).Properties["jobTitle"] == title {
		w.t.Fatalf("%s wrote %s", other, upn)
	}
	w.both(mine)
	if got := w.mustUser(upn).Properties["jobTitle"]; got != title {
		w.t.Fatalf("%s did not write %s: %v", mine, upn, got)
	}
}

// openSets gives the held sets of changes of owners that wait for an answer. Other sets are approved.
func (w *world) openSets() (out []ledger.Hold) {
	w.t.Helper()
	for _, h := range w.tandem.Host().Held() {
		switch {
		case h.State != ledger.HoldOpen:
		case h.Class == ledger.OwnerChanges:
			out = append(out, h)
		default: // many who leave a group at once
			w.answer(h.ID, "approve")
		}
	}
	return out
}

func (w *world) answer(set, verb string) {
	w.t.Helper()
	if _, err := w.tandem.Host().Answer(w.t.Context(), set, verb, "test", "because"); err != nil {
		w.t.Fatal(err)
	}
}

// Object-level assignments, from the first pilot to the last: the promise is that nobody's tenant object changes by changing hands.
func TestChosenPilotsChangeHandsAndBack(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 40)
		eng, groups := "OU=Engineering,"+s.base, "OU=Groups,"+s.base
		w.importPolicy()
		annDN, ann := w.person("ann", eng)
		bobDN, bob := w.person("bob", eng)
		cleoDN, cleo := w.person("cleo", eng)
		danDN, dan := w.person("dan", groups) // a member, but outside of the subtree
		var many, manyUPN []string
		for i := range 8 {
			dn, upn := w.person(fmt.Sprintf("many%d", i), eng)
			many, manyUPN = append(many, dn), append(manyUPN, upn)
		}
		inner := w.group("Inner", eng, bobDN)
		pilots := w.group("Pilots", groups, annDN, danDN, inner)
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		w.pilot = w.policyOf(assign("service accounts", "OU=Service,"+s.base, "none"), assign("pilot", eng, "cloudsync", fmt.Sprintf("memberOf: %q", pilots)))

		t.Run("a pilot goes over without a write, and only the members", func(t *testing.T) {
			w.graph.ResetCounters()
			p, ws := w.apply(w.pilot)
			if len(ws) != 1 || p.Waves[0].Objects[scoping.User] != 2 || p.Waves[0].Objects[scoping.Group] != 1 {
				t.Fatalf("planned: %+v", p.Waves)
			}
			w.same(ids, "the pilot")
			if w.writes() != 0 {
				t.Fatalf("the pilot wrote %d times", w.writes())
			}
			w.owners(map[string]string{ann: "cloudsync", bob: "cloudsync", cleo: "connect", dan: "connect"})
			e, err := w.tandem.Host().Explain(t.Context(), annDN, nil)
			if err != nil {
				t.Fatal(err)
			}
			f := e.Features[0]
			if f.Assignment != "pilot" || !strings.Contains(f.Because, "members of "+pilots) || len(f.Lost) != 1 || f.Lost[0].Assignment != "everything" {
				t.Errorf("explained: %+v", f)
			}
			if e, err = w.tandem.Host().Explain(t.Context(), cleo, nil); err != nil || e.Features[0].Assignment != "everything" || len(e.Features[0].Lost) != 1 {
				t.Errorf("explained: %+v, %v", e, err)
			}
			w.writer(annDN, ann, "cloudsync", "connect")
			w.writer(cleoDN, cleo, "connect", "cloudsync")
			w.writer(danDN, dan, "connect", "cloudsync")
		})
		t.Run("rolled back, everything is as it was", func(t *testing.T) {
			all, err := w.tandem.Host().Waves(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			w.graph.ResetCounters()
			w.decide(all[0].ID, wave.RollBack, wave.RolledBack)
			w.same(ids, "the rollback")
			if w.writes() != 0 {
				t.Errorf("the rollback wrote %d times", w.writes())
			}
			w.owners(map[string]string{ann: "connect", bob: "connect", cleo: "connect"})
			w.writer(annDN, ann, "connect", "cloudsync")
		})
		t.Run("and goes over again", func(t *testing.T) {
			w.graph.ResetCounters()
			_, ws := w.apply(w.pilot)
			w.decide(ws[0].ID, wave.CompleteNow, wave.Completed)
			w.same(ids, "the second pilot")
			if w.writes() != 0 {
				t.Errorf("it wrote %d times", w.writes())
			}
			w.owners(map[string]string{ann: "cloudsync", bob: "cloudsync", cleo: "connect"})
			if again := w.plan(w.pilot); len(again.Waves) != 0 {
				t.Errorf("planned again, it changes hands: %+v", again.Waves)
			}
		})
		t.Run("one who joins the group goes over, one who leaves comes back", func(t *testing.T) {
			for _, order := range [][]string{{"connect", "cloudsync"}, {"cloudsync", "connect"}} {
				w.graph.ResetCounters()
				w.join(inner, cleoDN)
				w.both(order...)
				w.owners(map[string]string{cleo: "cloudsync"})
				w.both(order...)
				w.leave(inner, cleoDN)
				w.leave(pilots, annDN)
				w.both(order...)
				w.both(order...)
				w.same(ids, "joining and leaving")
				w.owners(map[string]string{cleo: "connect", ann: "connect", bob: "cloudsync"})
				w.writer(annDN, ann, "connect", "cloudsync")
				w.join(pilots, annDN)
				w.both(order...)
				w.writer(annDN, ann, "cloudsync", "connect")
				w.writer(bobDN, bob, "cloudsync", "connect")
				w.same(ids, "joining again")
			}
		})
		t.Run("one who moves into the subtree is chosen there, and no longer when he leaves it", func(t *testing.T) {
			danDN = w.move(danDN, eng)
			w.both("cloudsync", "connect")
			w.owners(map[string]string{dan: "cloudsync"})
			w.writer(danDN, dan, "cloudsync", "connect")
			danDN = w.move(danDN, groups)
			w.both("connect", "cloudsync")
			w.owners(map[string]string{dan: "connect"})
			w.writer(danDN, dan, "connect", "cloudsync")
			w.same(ids, "moving")
		})
		t.Run("more than the threshold at once wait for an answer", func(t *testing.T) {
			inPilot, notInPilot := map[string]string{}, map[string]string{}
			for _, u := range manyUPN {
				inPilot[u], notInPilot[u] = "cloudsync", "connect"
			}
			w.join(pilots, many...)
			set := w.heldChange(8)
			w.owners(notInPilot)
			w.answer(set.ID, "reject")
			w.both("connect", "cloudsync")
			w.owners(notInPilot)
			if left := w.openSets(); len(left) != 0 {
				t.Fatalf("held again: %+v", left)
			}
			w.answer(set.ID, "forget")
			set = w.heldChange(8)
			w.close()
			w.open() // what is held stays held
			w.owners(notInPilot)
			w.answer(set.ID, "approve")
			w.owners(inPilot)
			w.both("connect", "cloudsync")
			w.writer(many[3], manyUPN[3], "cloudsync", "connect")
			w.leave(pilots, many...)
			set = w.heldChange(8)
			w.owners(inPilot)
			w.answer(set.ID, "approve")
			w.both("cloudsync", "connect")
			w.owners(notInPilot)
			w.writer(many[3], manyUPN[3], "connect", "cloudsync")
			w.same(ids, "moving many")
		})
		t.Run("a pilot who is deleted is deleted once", func(t *testing.T) {
			w.remove(bobDN)
			w.graph.ResetCounters()
			w.both("connect")
			if w.writes() != 0 {
				t.Errorf("connect wrote %d times", w.writes())
			}
			w.both("cloudsync", "connect")
			if _, lives := w.user(bob); lives {
				t.Error("he still lives in the tenant")
			}
			if n := len(w.ids()); n != len(ids)-1 {
				t.Errorf("%d objects, were %d", n, len(ids))
			}
			ids = w.ids()
		})
		t.Run("a group that empties or vanishes moves nobody, and is shown", func(t *testing.T) {
			w.leave(pilots, annDN, danDN, inner)
			w.eachRuns("connect", "cloudsync")
			w.owners(map[string]string{ann: "cloudsync"})
			w.frozen(pilots, "emptied")
			w.join(pilots, annDN, danDN, inner)
			w.eachRuns("connect", "cloudsync")
			w.owners(map[string]string{ann: "cloudsync"})
			w.notFrozen()
			w.remove(pilots)
			w.eachRuns("cloudsync", "connect")
			w.owners(map[string]string{ann: "cloudsync"})
			w.frozen(pilots, "vanished")
			w.close()
			w.open()
			w.eachRuns("cloudsync", "connect")
			w.owners(map[string]string{ann: "cloudsync"})
			w.frozen(pilots, "vanished")
			w.eachRuns("cloudsync", "connect")
			w.writer(annDN, ann, "cloudsync", "connect")
			if n := len(w.ids()); n != len(ids)-1 {
				t.Errorf("%d objects, were %d, and the group was deleted", n, len(ids))
			}
		})
	})
}

// eachRuns lets the engines run in the given order, and approves of members who leave groups.
func (w *world) eachRuns(order ...string) {
	w.t.Helper()
	for _, e := range order {
		if r, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{}); err != nil || r.Failed > 0 {
			w.t.Fatalf("sync %s: %v, %+v", e, err, r.Errors)
		}
	}
	if sets := w.openSets(); len(sets) > 0 {
		w.t.Fatalf("%d changes of owners are held: %s", len(sets), sets[0].Why)
	}
}

// heldChange syncs both engines and gives the one held set of owner changes.
func (w *world) heldChange(entries int) ledger.Hold {
	w.t.Helper()
	var said []string
	for _, e := range []string{"connect", "cloudsync"} {
		r, err := w.tandem.Host().Sync(w.t.Context(), e, run.SyncOptions{})
		if err != nil {
			w.t.Fatal(err)
		}
		said = append(said, r.HeldSets...)
	}
	sets := w.openSets()
	if len(sets) != 1 || sets[0].Class != ledger.OwnerChanges || len(sets[0].Entries) != entries {
		for _, x := range sets {
			w.t.Logf("set %s of %s, %s: %d entries, limit %d: %s", x.ID, x.Engine, x.Class, len(x.Entries), x.Limit, x.Why)
			for _, e := range x.Entries {
				w.t.Logf("  %s %s %s", e.Op, e.Name, e.Detail)
			}
		}
		w.t.Fatalf("%d sets are held, want one of %d changes of owners", len(sets), entries)
	}
	if !slices.Contains(said, sets[0].ID) {
		w.t.Errorf("the runs named %v, not %s", said, sets[0].ID)
	}
	return sets[0]
}

// frozen fails the test unless the status, and the plan, name the group whose members are not looked at any more.
func (w *world) frozen(group, why string) {
	w.t.Helper()
	st, err := w.tandem.Host().Status(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if len(st.Frozen) != 1 || !strings.EqualFold(st.Frozen[0].Name, group) || st.Frozen[0].Why != why || len(st.Frozen[0].Assignments) != 1 {
		w.t.Errorf("status: %+v, want %s %s", st.Frozen, group, why)
	}
	more := assign("one more", "OU=Sales,"+w.site.base, "cloudsync", "sample: 50%")
	blocks := func(p *plan.Plan) bool {
		return slices.ContainsFunc(p.Blocked(), func(f wave.Finding) bool {
			return f.Code == "group-"+wave.Code(why) && strings.Contains(f.Message, group)
		})
	}
	if why == "vanished" { // then no policy can name it
		_, err := w.tandem.Host().Plan(w.t.Context(), plan.PlanOptions{File: "policy.yaml", Text: []byte(w.pilot + more)})
		if err == nil || !strings.Contains(err.Error(), group) {
			w.t.Errorf("a plan that keeps the assignment: %v", err)
		}
	} else if !blocks(w.plan(w.pilot + more)) {
		w.t.Error("a plan that keeps the assignment is not blocked")
	}
	if p := w.plan(w.policyOf(assign("service accounts", "OU=Service,"+w.site.base, "none"), more)); blocks(p) || len(p.Waves) != 2 {
		w.t.Errorf("a plan without the assignment is blocked: %+v", p.Waves)
	}
}

func (w *world) notFrozen() {
	w.t.Helper()
	if st, err := w.tandem.Host().Status(w.t.Context()); err != nil || len(st.Frozen) != 0 {
		w.t.Errorf("status: %+v, %v", st.Frozen, err)
	}
}
