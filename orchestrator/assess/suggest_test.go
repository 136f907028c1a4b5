package assess_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/tandem-sync/tandem/orchestrator/assess"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

func suggested(t interface {
	Helper()
	Fatalf(string, ...any)
}, s *assess.Survey) assess.Suggestion {
	t.Helper()
	g, err := assess.Suggest(s, engines())
	if err != nil {
		t.Fatalf("%v", err)
	}
	return g
}

// contoso has a large OU, two that refer to each other, one by itself, and service accounts.
func contoso() *world {
	w := newWorld()
	for _, name := range []string{"Builtin", "Empty", "Factory", "Office", "Sales", "Service", "Legal"} {
		w.add(name, "", ou)
	}
	for _, name := range []string{"Berlin", "Lyon"} {
		w.add(name, "Factory", ou)
	}
	w.add("Administrators", "Builtin", group, assess.Critical)
	w.users("Berlin", 30, assess.MailEnabled)
	w.users("Lyon", 20)
	w.users("Factory", 2, assess.Disabled)
	w.users("Office", 10)
	w.users("Sales", 8)
	w.users("Legal", 3)
	w.users("Service", 4, assess.Service)
	w.add("All Service", "Service", group)
	w.member("All Service", "Service 0", "Service 1")
	w.add("All Sales", "Sales", group)
	w.member("All Sales", "Sales 0", "Sales 1", "Office 0", "Office 1")
	w.object("Office 3").Manager = w.object("Sales 0").GUID
	w.object("Lyon 0").Manager = w.object("Berlin 0").GUID
	return w
}

func TestSuggestionForContoso(t *testing.T) {
	g := suggested(t, contoso().survey())
	b, err := policy.FormatWith(g.Policy, "", g.About)
	if err != nil {
		t.Fatal(err)
	}
	if d := cmp.Diff(`version: 1
features: [users, groups]
assignments:
  # Everything stays with c at first: 73 users, 1 group.
  # In use: mail-enabled 30.
  - name: everything
    under: DC=x,DC=y
    engine: c
    features: [users, groups]

  # Nothing but 1 critical system object, which every engine leaves out; it is named to say so.
  - name: unmanaged Builtin
    under: OU=Builtin,DC=x,DC=y
    engine: none
    features: [users, groups]

  # Service accounts and their groups only (4 users, 1 group), none with an address: nobody signs in to the cloud with them.
  # Take this out if one of them is needed there.
  - name: unmanaged Service
    under: OU=Service,DC=x,DC=y
    engine: none
    features: [users, groups]
`, string(b)); d != "" {
		t.Error(d)
	}
	var order []string
	for _, w := range g.Waves {
		var names []string
		for _, u := range w.Units {
			names = append(names, strings.TrimSuffix(u.Under, ","+rootDN))
		}
		order = append(order, strings.Join(names, "+"))
	}
	// Factory holds more than half and is divided; it keeps what lies directly in it. Legal refers to nobody, nor does Factory itself; Office and Sales
	// refer to each other.
	if d := cmp.Diff([]string{"OU=Factory", "OU=Legal", "OU=Office+OU=Sales", "OU=Lyon,OU=Factory", "OU=Berlin,OU=Factory"}, order); d != "" {
		t.Error(d)
	}
	if got := []int{g.Waves[2].Crossing, g.Waves[3].Crossing, g.Waves[4].Crossing}; !slices.Equal(got, []int{0, 1, 0}) {
		t.Errorf("crossing: %v", got)
	}
	if l := g.Waves[4].Lost; len(l) != 1 || l[0].Feature != scoping.ExchangeHybrid || l[0].Objects != 30 {
		t.Errorf("lost: %+v", l)
	}
	notes := strings.Join(g.Notes, "\n")
	for _, want := range []string{"OU=Empty,DC=x,DC=y", "Exchange hybrid attributes: 30 objects. Feature exchange-hybrid is not switched on: "} {
		if !strings.Contains(notes, want) {
			t.Errorf("%q is not told:\n%s", want, notes)
		}
	}
}

func TestNobodyGetsWhereOrdinaryPeopleAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		g := suggested(t, w.survey())
		var none []string
		for _, a := range g.Policy.Assignments {
			if a.Engine == scoping.None {
				none = append(none, a.Under.DN)
			}
		}
		for name := range w.at {
			if name == "" || w.object(name).Kind != user || w.object(name).Has(assess.Disabled|assess.Critical|assess.Service) {
				continue
			}
			at := "CN=" + name
			for o := w.object(name); o.Parent != guid(1); {
				o = &w.objects[slices.IndexFunc(w.objects, func(p assess.Object) bool { return p.GUID == o.Parent })]
				at += "," + o.RDN
			}
			at += "," + rootDN
			for _, n := range none {
				if strings.HasSuffix(at, ","+n) {
					t.Fatalf("%s would be nobody's by %s", at, n)
				}
			}
		}
	})
}

func TestEveryObjectIsInOneUnitAndOneWave(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		g := suggested(t, w.survey())
		seen, critical, moved := 0, 0, 0
		for _, u := range g.Units {
			for _, n := range u.Objects {
				seen += n
			}
			critical += u.Critical
			if !u.None {
				moved += u.Objects[user] + u.Objects[group]
			}
		}
		all, left := 0, 0
		for _, o := range w.objects {
			if o.Kind == ou {
				continue
			}
			all++
			if o.Has(assess.Critical) {
				left++
			}
		}
		if seen+critical != all || critical != left {
			t.Fatalf("%d objects and %d critical ones in units, %d and %d there", seen, critical, all-left, left)
		}
		units := map[string]int{}
		for _, x := range g.Waves {
			for _, n := range x.Objects {
				moved -= n
			}
			for _, u := range x.Units {
				units[u.Under]++
			}
		}
		if moved != 0 {
			t.Fatalf("%d users and groups are in no wave, or in several", moved)
		}
		for u, n := range units {
			if n > 1 {
				t.Fatalf("%s is in %d waves", u, n)
			}
		}
	})
}

// under says whether a unit holds the object that lies beneath these containers.
func holder(units []assess.Unit, above []string) int {
	best, depth := -1, -1
	for i, u := range units {
		if slices.Contains(above, u.Under) && len(u.Under) > depth {
			best, depth = i, len(u.Under)
		}
	}
	return best
}

// ways gives the names of what holds each object.
func (w *world) ways() map[scoping.GUID][]string {
	out := map[scoping.GUID][]string{}
	for _, o := range w.objects {
		var rdns []string
		for p := o.Parent; p != guid(1); {
			h := w.objects[slices.IndexFunc(w.objects, func(x assess.Object) bool { return x.GUID == p })]
			rdns, p = append(rdns, h.RDN), h.Parent
		}
		out[o.GUID] = []string{rootDN}
		for i := range rdns {
			out[o.GUID] = append(out[o.GUID], strings.Join(append(slices.Clone(rdns[i:]), rootDN), ","))
		}
	}
	return out
}

func TestWavesCrossWhatAPlanForThemWouldCross(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		s := w.survey()
		g := suggested(t, s)
		ways := w.ways()
		waveOf := map[string]int{}
		for i, x := range g.Waves {
			for _, u := range x.Units {
				waveOf[u.Under] = i
			}
		}
		c := s.Crossings(len(g.Waves), func(id scoping.ObjectID, kind scoping.Kind) (base, refs assess.Hand) {
			u := g.Units[holder(g.Units, ways[id.GUID])]
			if u.None || !slices.Contains(g.Policy.Features, scoping.Base(kind)) {
				return assess.Hand{Wave: assess.Never}, assess.Hand{Wave: assess.Never}
			}
			h := assess.Hand{Before: "c", After: "s", Wave: waveOf[u.Under]}
			return h, h
		})
		for i, x := range g.Waves {
			if x.Crossing != c.Waves[i].After {
				t.Fatalf("wave %d: suggested with %d, a plan crosses %d", i, x.Crossing, c.Waves[i].After)
			}
		}
		if len(c.Best) > 0 {
			t.Fatalf("%v crosses %v, but %v is better", g.Waves, c.Waves, c.Best)
		}
	})
}

func TestSuggestionIsAlwaysTheSame(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := drawnWorld(t)
		a, err := json.Marshal(suggested(t, w.survey()))
		if err != nil {
			t.Fatal(err)
		}
		w.objects = rapid.Permutation(w.objects).Draw(t, "order")
		b, err := json.Marshal(suggested(t, w.survey()))
		if err != nil {
			t.Fatal(err)
		}
		if string(a) != string(b) {
			t.Fatalf("%s", cmp.Diff(string(a), string(b)))
		}
	})
}

func TestWithoutEnginesNothingIsSuggested(t *testing.T) {
	if _, err := assess.Suggest(contoso().survey(), nil); !errors.Is(err, assess.ErrNoEngine) {
		t.Error(err)
	}
	g, err := assess.Suggest(contoso().survey(), engines()[1:])
	if err != nil || len(g.Waves) > 0 || g.From != "s" {
		t.Errorf("with one engine: %+v %v", g.Waves, err)
	}
}

func TestSuggestedPolicyHoldsWhatPoliciesMust(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := drawnWorld(t).survey().Directories[0], drawnWorld(t).survey().Directories[0]
		b.Name = "e"
		s := &assess.Survey{Directories: []*assess.Directory{a, b}}
		g := suggested(t, s)
		text, err := policy.FormatWith(g.Policy, "suggested", g.About)
		if err != nil {
			t.Fatal(err)
		}
		p, err := policy.Parse("f", text)
		if err != nil {
			t.Fatalf("%v of\n%s", err, text)
		}
		caps := map[string]scoping.EngineCaps{}
		for _, e := range engines() {
			caps[e.Name] = e.Caps
		}
		if m := scoping.Check(p, caps); len(m) > 0 {
			t.Fatalf("%v of\n%s", m, text)
		}
		again, err := policy.Reformat("f", text, nil)
		if err != nil || string(again) != string(text) {
			t.Fatalf("%v: it is not in the usual form: %s", err, cmp.Diff(string(text), string(again)))
		}
		if p.Assignments[0].Directory != "d" || p.Assignments[1].Directory != "e" {
			t.Fatalf("%+v", p.Assignments)
		}
	})
}

func TestWhatTheTenantRefusesIsNotSwitchedOn(t *testing.T) {
	w := contoso()
	w.add("Supplier", "Legal", scoping.Contact)
	es := engines()
	es[0].Caps.Features = append(es[0].Caps.Features, scoping.Contacts)
	es[0].Caps.Refused = map[scoping.Feature]string{scoping.Contacts: "Graph only reads organizational contacts"}
	g, err := assess.Suggest(w.survey(), es)
	if err != nil {
		t.Fatal(err)
	}
	if slices.Contains(g.Policy.Features, scoping.Contacts) || !strings.Contains(strings.Join(g.Notes, "\n"), "Graph only reads organizational contacts") {
		t.Errorf("%v %q", g.Policy.Features, g.Notes)
	}
	es[0].Caps.Refused = nil
	if g, err = assess.Suggest(w.survey(), es); err != nil || !slices.Contains(g.Policy.Features, scoping.Contacts) {
		t.Errorf("contacts that may be written are not switched on: %v %v", g.Policy.Features, err)
	}
	for _, x := range g.Waves {
		if x.Objects[scoping.Contact] > 0 {
			t.Errorf("a contact moves to an engine that cannot write it: %+v", x)
		}
	}
}

// The feature extensions writes what the policy names: a suggestion names what users have.
func TestExtensionsInUseAreNamed(t *testing.T) {
	w := contoso()
	es := engines()
	for i := range es {
		es[i].Caps.Features = append(slices.Clone(es[i].Caps.Features), scoping.Extensions)
	}
	w.add("Extended group", "Legal", group, assess.Extended)
	w.object("Extended group").Extends = 1
	g, err := assess.Suggest(w.survey(), es)
	if err != nil || slices.Contains(g.Policy.Features, scoping.Extensions) || len(g.Policy.Defaults.Extensions) > 0 {
		t.Errorf("no engine writes a group's extensions: %v %v", g.Policy, err)
	}
	w.add("Extended", "Legal", user, assess.Extended)
	w.object("Extended").Extends = 1<<2 | 1<<14
	g, err = assess.Suggest(w.survey(), es)
	if err != nil || !slices.Contains(g.Policy.Features, scoping.Extensions) || !slices.Equal(g.Policy.Defaults.Extensions, []string{"extensionAttribute3", "extensionAttribute15"}) {
		t.Fatalf("%+v %v", g.Policy, err)
	}
	text, err := policy.FormatWith(g.Policy, "suggested", g.About)
	if err != nil {
		t.Fatal(err)
	}
	if p, err := policy.Parse("f", text); err != nil || !p.Defaults.Equal(g.Policy.Defaults) {
		t.Errorf("%v of\n%s", err, text)
	}
}
