package scoping_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/scoping"
)

// drawLeaving makes a policy that compiles, whose assignments without an engine and whose defaults say what happens to leavers.
func drawLeaving(t *rapid.T, w *world, label string) *scoping.Partition {
	p := draw(t, w, label).Policy()
	rules := []scoping.Leaving{scoping.Disable, scoping.Remove, scoping.Keep}
	p.Defaults.Leaving = rapid.SampledFrom(rules).Draw(t, "default")
	for i := range p.Assignments {
		if p.Assignments[i].Engine == scoping.None && rapid.Bool().Draw(t, "says") {
			p.Assignments[i].Leaving = rapid.SampledFrom(rules).Draw(t, "leaving")
		}
	}
	out, err := scoping.Compile(p, engineCaps())
	if err != nil {
		t.Fatal(err)
	}
	w.learn(out)
	return out
}

func TestRestatingKeepsOwnersAndTakesInTheRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawWorld(t)
		old := drawLeaving(t, w, "old").Succeed(nil, scoping.Epoch{Incarnation: 1, N: 1})
		new := drawLeaving(t, w, "new")
		p, changes := old.Restate(new)
		if (len(changes) > 0) != (p != old) || p.Revision() != old.Revision()+uint64(min(1, len(changes))) {
			t.Fatalf("%d changes, revision %d after %d", len(changes), p.Revision(), old.Revision())
		}
		w.learn(p)
		sameOwners(t, w, "restating", old, p)
		for n := range w.people {
			for _, q := range questions {
				was, is, want := old.Owner(w.place(n), q.k, q.f), p.Owner(w.place(n), q.k, q.f), new.Owner(w.place(n), q.k, q.f)
				if was.Managed && is.Managed && was.Epoch != is.Epoch {
					t.Fatalf("restating dates %s of %s anew: %v, %v", q.f, w.who(n), was, is)
				}
				if len(changes) > 0 && is.Engine == want.Engine && want.Managed && (is.Assignment != want.Assignment || is.Engine == scoping.None && is.Leaving != want.Leaving) {
					t.Fatalf("%s of %s: %v, wanted %v", q.f, w.who(n), is, want)
				}
			}
		}
		if again, more := p.Restate(new); again != p || len(more) > 0 {
			t.Fatalf("restated twice: %v", more)
		}
		lastIsAsTheFileSays(t, w, p, new)
	})
}

// lastIsAsTheFileSays hands over what differs, and wants every name and leaving rule of the new policy in force, also after the way back.
func lastIsAsTheFileSays(t *rapid.T, w *world, p, new *scoping.Partition) {
	start, all := p, scoping.Diff(p, new)
	for i, h := range all {
		next, err := p.Apply(h, scoping.Epoch{Incarnation: 1, N: uint64(i + 2)})
		if err != nil {
			t.Fatal(err)
		}
		p = next
	}
	for n := range w.people {
		for _, q := range questions {
			is, want := p.Owner(w.place(n), q.k, q.f), new.Owner(w.place(n), q.k, q.f)
			if is.Engine != want.Engine || want.Managed && is.Assignment != want.Assignment || want.Engine == scoping.None && is.Leaving != want.Leaving {
				t.Fatalf("after its hand-overs %s of %s: %v, wanted %v", q.f, w.who(n), is, want)
			}
		}
	}
	if _, more := p.Restate(new); len(more) > 0 {
		t.Fatalf("after its hand-overs the same policy still changes %v", more)
	}
	for i, h := range slices.Backward(all) {
		back, err := p.Apply(h.Inverse(), scoping.Epoch{Incarnation: 2, N: uint64(i)})
		if err != nil {
			t.Fatal(err)
		}
		p = back
	}
	for n := range w.people {
		is, want := p.Owner(w.place(n), scoping.User, scoping.Users), start.Owner(w.place(n), scoping.User, scoping.Users)
		if is.Engine != want.Engine || is.Engine == scoping.None && want.Managed && is.Leaving != want.Leaving {
			t.Fatalf("after the way back %s: %v, was %v", w.who(n), is, want)
		}
	}
}

// said gives changes as lines.
func said(cs []scoping.Change) (out []string) {
	for _, c := range cs {
		out = append(out, c.What+": "+c.From+" → "+c.To)
	}
	return out
}

func TestALaterPolicyIsPutInForceWithoutHandOvers(t *testing.T) {
	w := contoso()
	old := mustCompile(t, example(w)).Succeed(nil, scoping.Epoch{Incarnation: 1, N: 1})
	w.name[1], w.name[2] = "OU=Vertrieb,DC=contoso,DC=test", "OU=Contractors,OU=Vertrieb,DC=contoso,DC=test"
	later := example(w)
	later.Defaults.DeleteThreshold = scoping.Threshold{Objects: 20, Percent: 2}
	later.Defaults.SoftMatch, later.Defaults.Members, later.Defaults.Conflicts = true, scoping.ExclusiveMembers, scoping.QuarantineConflicts
	later.Defaults.UPN = scoping.UPN{UnverifiedSuffix: "refuse", Changes: "hold"}
	later.Defaults.Leaving = scoping.Keep
	later.Assignments[2].Leaving = scoping.Remove
	later.Matches = "./matches.csv"
	new := mustCompile(t, later)
	p, changes := old.Restate(new)
	want := []string{"defaults: softMatch: false → true", "defaults: conflicts: refuse → quarantine", "defaults: members: keep → exclusive",
		"defaults: deleteThreshold objects: 500 → 20", "defaults: deleteThreshold percent: 10 → 2",
		"defaults: upn unverifiedSuffix: initialDomain → refuse", "defaults: upn changes: apply → hold", "defaults: leaving: disable → keep", "matches:  → ./matches.csv",
		"name in the directory: OU=Sales,DC=contoso,DC=test → OU=Vertrieb,DC=contoso,DC=test",
		"name in the directory: OU=Contractors,OU=Sales,DC=contoso,DC=test → OU=Contractors,OU=Vertrieb,DC=contoso,DC=test",
		`assignment "service accounts", leaving: disable → remove`}
	if d := cmp.Diff(want, said(changes)); d != "" {
		t.Error(d)
	}
	if !p.Defaults().Equal(later.Defaults) || p.Matches() != later.Matches || p.Policy().Assignments[1].Under.DN != w.name[1] {
		t.Errorf("in force: %+v, %q, %v", p.Defaults(), p.Matches(), p.Policy().Assignments)
	}
	if o := p.Owner(w.container(3), scoping.User, scoping.Users); o.Leaving != scoping.Remove {
		t.Errorf("service accounts: %v", o)
	}
	if o := p.Owner(scoping.Place{Directory: "contoso"}, scoping.User, scoping.Users); o.Leaving != scoping.Keep {
		t.Errorf("outside: %v", o)
	}
	if d := p.Drift(w.locate); len(d) > 0 {
		t.Errorf("drift: %v", d)
	}
}

func TestRestatingBesideAHandOver(t *testing.T) {
	w := contoso()
	old := mustCompile(t, example(w)).Succeed(nil, scoping.Epoch{Incarnation: 1, N: 1})
	w.name[3] = "OU=Dienste,DC=contoso,DC=test"
	later := example(w)
	later.Defaults.DeleteThreshold.Objects = 20
	later.Assignments[1].Engine, later.Assignments[1].Leaving = scoping.None, scoping.Keep
	new := mustCompile(t, later)
	p, changes := old.Restate(new)
	if got := strings.Join(said(changes), "\n"); got != "defaults: deleteThreshold objects: 500 → 20\nname in the directory: OU=Service,DC=contoso,DC=test → OU=Dienste,DC=contoso,DC=test" {
		t.Errorf("changes:\n%s", got)
	}
	if o := p.Owner(w.container(1), scoping.User, scoping.Users); o.Engine != "cloudsync" || p.Defaults().DeleteThreshold.Objects != 20 {
		t.Errorf("before the hand-over: %v, %v", o, p.Defaults())
	}
	for _, h := range scoping.Diff(p, new) {
		var err error
		if p, err = p.Apply(h, scoping.Epoch{Incarnation: 1, N: 2}); err != nil {
			t.Fatal(err)
		}
	}
	if o := p.Owner(w.container(1), scoping.User, scoping.Users); o.Engine != scoping.None || o.Leaving != scoping.Keep {
		t.Errorf("the hand-over carries what happens to leavers: %v", o)
	}
	if d := p.Drift(w.locate); len(d) > 0 {
		t.Errorf("drift: %v", d)
	}
}
