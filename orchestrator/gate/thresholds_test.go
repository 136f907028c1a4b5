package gate_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

var usual = gate.Rules{Objects: 500, Percent: 10, Irrevocable: 10}

func departures(n int, class ledger.Class, k scoping.Kind) []gate.Departure {
	out := make([]gate.Departure, n)
	for i := range out {
		o := object(byte(i))
		o.GUID[14] = byte(i >> 8)
		out[i] = gate.Departure{Proposal: engine.Proposal{Object: o, Kind: k, Feature: scoping.Base(k)}, Assignment: "a",
			Verdict: gate.Verdict{Op: "delete", Class: class}, Grave: ledger.Grave{Op: "delete", Target: o.String()}}
	}
	return out
}

func weigh(r gate.Rules, history []ledger.Destroyed, linked map[scoping.Kind]int, ds []gate.Departure) (int, []ledger.Hold) {
	free, held := gate.Weigh(r, mine, epoch(5), now, history, linked, ds)
	return len(free), held
}

// Rule D2: limit = min(objects, max(5, percent of the linked objects of that kind)), per class; irrevocable ones have their own.
func TestThresholds(t *testing.T) {
	table := []struct {
		name   string
		class  ledger.Class
		kind   scoping.Kind
		linked int
		rules  gate.Rules
		limit  int
	}{
		{"five are always allowed", ledger.Deletes, scoping.User, 10, usual, 5},
		{"ten percent", ledger.Deletes, scoping.User, 1000, usual, 100},
		{"five hundred", ledger.Deletes, scoping.User, 100_000, usual, 500},
		{"fewer objects than five", ledger.Deletes, scoping.User, 1000, gate.Rules{Objects: 3, Percent: 10}, 3},
		{"none at all", ledger.Deletes, scoping.User, 1000, gate.Rules{Objects: 0, Percent: 10}, 0},
		{"irrevocable", ledger.Irrevocable, scoping.Group, 1000, usual, 10},
		{"destructive updates", ledger.Destructive, scoping.User, 1000, usual, 100},
		{"memberships, of all memberships", ledger.Memberships, scoping.Group, 1000, usual, 100},
		{"filtered, never", ledger.FilteredAway, scoping.User, 1000, usual, 0},
		{"filtered, allowed by policy", ledger.FilteredAway, scoping.User, 1000, gate.Rules{Objects: 500, Percent: 10, AllowFiltered: true}, 100},
	}
	for _, x := range table {
		t.Run(x.name, func(t *testing.T) {
			counts := map[scoping.Kind]int{x.kind: x.linked}
			if x.class == ledger.Memberships {
				counts = map[scoping.Kind]int{"members": x.linked}
			}
			if n, held := weigh(x.rules, nil, counts, departures(x.limit, x.class, x.kind)); n != x.limit || len(held) > 0 {
				t.Errorf("%d at the limit: %d pass, %d sets held", x.limit, n, len(held))
			}
			n, held := weigh(x.rules, nil, counts, departures(x.limit+1, x.class, x.kind))
			if n != 0 || len(held) != 1 || len(held[0].Entries) != x.limit+1 || held[0].Limit != x.limit || held[0].Class != x.class {
				t.Errorf("one over the limit of %d: %d pass, held %+v", x.limit, n, held)
			}
		})
	}
}

// Rule D2: counted per sliding 24 h, per engine, assignment, class and kind.
func TestThresholdsSlideOverADay(t *testing.T) {
	day := (24 * time.Hour).Milliseconds()
	done := func(at int64, f func(*ledger.Destroyed)) []ledger.Destroyed {
		d := ledger.Destroyed{At: at, Engine: mine, Assignment: "a", Class: ledger.Deletes, Kind: scoping.User, Count: 5}
		if f != nil {
			f(&d)
		}
		return []ledger.Destroyed{d}
	}
	for name, x := range map[string]struct {
		history []ledger.Destroyed
		pass    int
	}{
		"a moment ago":       {done(now, nil), 0},
		"less than a day":    {done(now-day+1, nil), 0},
		"a day ago":          {done(now-day, nil), 1},
		"another engine":     {done(now, func(d *ledger.Destroyed) { d.Engine = theirs }), 1},
		"another assignment": {done(now, func(d *ledger.Destroyed) { d.Assignment = "b" }), 1},
		"another class":      {done(now, func(d *ledger.Destroyed) { d.Class = ledger.Destructive }), 1},
		"another kind":       {done(now, func(d *ledger.Destroyed) { d.Kind = scoping.Group }), 1},
	} {
		if n, _ := weigh(usual, x.history, nil, departures(1, ledger.Deletes, scoping.User)); n != x.pass {
			t.Errorf("%s: %d pass, want %d", name, n, x.pass)
		}
	}
}

// Rule D2: over one class's limit, that set is held; the rest of the run goes on.
func TestOneSetIsHeldAndTheRestGoesOn(t *testing.T) {
	ds := append(departures(6, ledger.Deletes, scoping.User), departures(5, ledger.Memberships, scoping.Group)...)
	n, held := weigh(usual, nil, nil, ds)
	if n != 5 || len(held) != 1 || held[0].Class != ledger.Deletes {
		t.Errorf("%d pass, held %+v", n, held)
	}
}

// Rule D2: memberships are counted one by one, not by group, and a person is asked about each pair of group and member.
func TestMembershipsAreCountedOneByOne(t *testing.T) {
	ds := departures(1, ledger.Memberships, scoping.Group)
	for i := range 5 {
		ds = append(ds, ds[0])
		ds[i+1].Grave.End = fmt.Sprint("c-", i)
	}
	if n, held := weigh(usual, nil, nil, ds); n != 0 || len(held) != 1 || len(held[0].Entries) != 6 {
		t.Errorf("%d pass, held %+v", n, held)
	}
}

// Rule D2: what a person approved passes, whatever the number, and does not count against the others.
func TestApprovedDeparturesPass(t *testing.T) {
	ds := departures(20, ledger.Deletes, scoping.User)
	for i := range 15 {
		ds[i].Approved = true
	}
	if n, held := weigh(usual, nil, nil, ds); n != 20 || len(held) > 0 {
		t.Errorf("%d pass, held %v", n, held)
	}
}

// Rule L2: whose owner nobody knows is never deleted without a held set.
func TestUnknownOwnersAreHeldWhateverTheNumber(t *testing.T) {
	ds := departures(3, ledger.Deletes, scoping.User)
	ds[1].Unknown = true
	n, held := weigh(usual, nil, nil, ds)
	if n != 2 || len(held) != 1 || len(held[0].Entries) != 1 || held[0].Entries[0].Object != ds[1].Proposal.Object {
		t.Errorf("%d pass, held %+v", n, held)
	}
}

// Rule T4: the removal of a leaver is held for kinds that the tenant may not restore.
func TestIrrevocableLeaversAreHeldWhateverTheNumber(t *testing.T) {
	ds := departures(2, ledger.Irrevocable, scoping.Group)
	ds[0].Leaving = true
	n, held := weigh(usual, nil, nil, ds)
	if n != 1 || len(held) != 1 || len(held[0].Entries) != 1 || !strings.Contains(held[0].Why, "restore") {
		t.Errorf("%d pass, held %+v", n, held)
	}
	ds = departures(1, ledger.Deletes, scoping.User)
	ds[0].Leaving = true
	if n, _ := weigh(usual, nil, nil, ds); n != 1 {
		t.Error("a user who leaves can be restored, yet is held")
	}
}

// Rules J5, J6: what a person has to be asked about whatever the number is one set per engine and class, with the reasons given, and says of each write
// what it is. What the thresholds count beside it goes on.
func TestOtherRoomsMakeHeldSets(t *testing.T) {
	ds := append(departures(2, ledger.Adoptions, scoping.User), departures(1, ledger.Adoptions, scoping.Group)...)
	for i := range ds {
		ds[i].Proposal.Object, ds[i].Assignment = object(byte(i)), fmt.Sprint(i)
		ds[i].Verdict.Ask, ds[i].Verdict.Note, ds[i].EndName = "the first full run of mine", fmt.Sprint("note ", i), ""
	}
	ds[2].Verdict.Ask = "a look-alike"
	n, held := weigh(usual, nil, nil, append(ds, departures(1, ledger.Deletes, scoping.User)...))
	if n != 1 || len(held) != 1 || len(held[0].Entries) != 3 || held[0].Class != ledger.Adoptions || held[0].Engine != mine || held[0].Why != "a look-alike; the first full run of mine" {
		t.Fatalf("%d pass, held %+v", n, held)
	}
	for i, e := range held[0].Entries {
		if e.Note != fmt.Sprint("note ", i) || e.Kind != ds[i].Proposal.Kind || e.Op != "delete" {
			t.Errorf("entry %d: %+v", i, e)
		}
	}
}

// Rule J6: `upn: {changes: hold}` holds sign-in changes, and no other update.
func TestHeldSignInChangesLeaveOtherUpdatesAlone(t *testing.T) {
	rules := usual
	rules.UPNHold = true
	verdict := func(name string, v ...string) gate.Departure {
		c, p := linked(), propose()
		c.Rules = rules
		p.Desired[name] = text(v...)
		return gate.Departure{Proposal: p, Assignment: "a", Verdict: gate.Judge(c, p, gate.Evidence{Life: gate.Living})}
	}
	if n, held := weigh(rules, nil, nil, []gate.Departure{verdict("userPrincipalName", "new@contoso.test")}); n != 0 || len(held) != 1 {
		t.Errorf("a changed UPN: %d pass, held %v", n, held)
	}
	if n, held := weigh(rules, nil, nil, []gate.Departure{verdict("accountEnabled", "false")}); n != 1 || len(held) != 0 {
		t.Errorf("disabling: %d pass, held %v", n, held)
	}
}

// Rule D2: nothing is lost or doubled by weighing, no bin passes more than its limit, and the order of the question does not matter.
func TestWeighingIsFair(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		classes := []ledger.Class{ledger.Deletes, ledger.Irrevocable, ledger.Memberships, ledger.Destructive, ledger.FilteredAway}
		var ds []gate.Departure
		for i := range rapid.IntRange(0, 40).Draw(t, "n") {
			d := departures(1, rapid.SampledFrom(classes).Draw(t, "class"), rapid.SampledFrom([]scoping.Kind{scoping.User, scoping.Group}).Draw(t, "kind"))[0]
			d.Proposal.Object = object(byte(i))
			d.Assignment = rapid.SampledFrom([]string{"a", "b"}).Draw(t, "assignment")
			d.Approved, d.Unknown = rapid.IntRange(0, 5).Draw(t, "approved") == 0, rapid.IntRange(0, 5).Draw(t, "unknown") == 0
			ds = append(ds, d)
		}
		free, held := gate.Weigh(usual, mine, epoch(5), now, nil, nil, ds)
		seen := map[scoping.ObjectID]int{}
		counts := map[[3]string]int{}
		for _, d := range free {
			seen[d.Proposal.Object]++
			if !d.Approved {
				counts[[3]string{d.Assignment, string(d.Verdict.Class), string(d.Proposal.Kind)}]++
				if d.Unknown || d.Verdict.Class == ledger.FilteredAway {
					t.Fatalf("passed: %+v", d)
				}
			}
		}
		for _, h := range held {
			for _, e := range h.Entries {
				seen[e.Object]++
			}
		}
		for _, d := range ds {
			if seen[d.Proposal.Object] != 1 {
				t.Fatalf("object %s appears %d times", d.Proposal.Object, seen[d.Proposal.Object])
			}
		}
		for b, n := range counts {
			if n > 5 {
				t.Fatalf("%v: %d pass", b, n)
			}
		}
		shuffled := rapid.Permutation(ds).Draw(t, "order")
		_, again := gate.Weigh(usual, mine, epoch(5), now, nil, nil, shuffled)
		if d := cmp.Diff(held, again); d != "" {
			t.Fatal(d)
		}
	})
}
