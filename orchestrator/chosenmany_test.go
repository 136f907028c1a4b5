package orchestrator_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

const usersAndGroups = "(|(&(objectClass=user)(!(objectClass=computer)))(objectClass=group))"

// found searches the directory itself, and gives the objectGUIDs with the DNs.
func (w *world) found(base, filter string) map[scoping.GUID]string {
	w.t.Helper()
	r, err := w.conn.SearchWithPaging(ldap.NewSearchRequest(base, ldap.ScopeWholeSubtree, ldap.NeverDerefAliases, 0, 0, false, "(&"+usersAndGroups+filter+")", []string{"objectGUID"}, nil), 500)
	if err != nil {
		w.t.Fatalf("search %s under %s: %v", filter, base, err)
	}
	out := map[scoping.GUID]string{}
	for _, e := range r.Entries {
		g, err := scoping.GUIDFromBytes(e.GetRawAttributeValue("objectGUID"))
		if err != nil {
			w.t.Fatal(err)
		}
		out[g] = e.DN
	}
	return out
}

// ownedBy gives how many of some objects an engine owns.
func (w *world) ownedBy(engineName string, objects map[scoping.GUID]string) (n int) {
	w.t.Helper()
	for _, dn := range objects {
		if w.owner(dn) == engineName {
			n++
		}
	}
	return n
}

func TestChosenSharesWidenAndAgreeWithTheDirectory(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 80)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		ids := w.ids()
		service := assign("service accounts", "OU=Service,"+s.base, "none")
		marketing := "OU=Marketing," + s.base

		t.Run("a share widens to the whole OU by the difference alone", func(t *testing.T) {
			eng := "OU=Engineering," + s.base
			all := w.found(eng, "")
			before := 0
			for _, narrowed := range []string{"sample: 30%", "sample: 60%", ""} {
				text := w.policyOf(service, assign("engineers", eng, "cloudsync"))
				want := len(all)
				if narrowed != "" {
					text = w.policyOf(service, assign("engineers", eng, "cloudsync", narrowed))
					share, err := scoping.ParseSample(narrowed[len("sample: "):])
					if err != nil {
						t.Fatal(err)
					}
					want = 0
					for g := range all {
						if share.Holds(g) {
							want++
						}
					}
				}
				w.graph.ResetCounters()
				p, ws := w.apply(text)
				if want == before {
					continue // by chance nobody's objectGUID lies between the shares
				}
				n := 0
				for _, x := range p.Waves[0].Objects {
					n += x
				}
				if len(ws) != 1 || n != want-before || ws[0].From != "connect" || ws[0].To != "cloudsync" {
					t.Fatalf("%s: %d change hands, want %d of %d: %+v", narrowed, n, want-before, len(all), ws)
				}
				w.decide(ws[0].ID, wave.CompleteNow, wave.Completed)
				if got := w.ownedBy("cloudsync", all); got != want {
					t.Errorf("%s: cloudsync owns %d, want %d", narrowed, got, want)
				}
				w.both("connect", "cloudsync")
				if w.same(ids, narrowed); w.writes() != 0 {
					t.Errorf("%s: %d writes", narrowed, w.writes())
				}
				if again := w.plan(text); len(again.Waves) != 0 {
					t.Errorf("%s: planned again, it changes hands: %+v", narrowed, again.Waves)
				}
				before = want
			}
		})
		t.Run("an attribute chooses", func(t *testing.T) {
			zedDN, zed := w.person("zed", marketing)
			yanDN, yan := w.person("yan", marketing)
			group := w.group("Chosen By Name", marketing)
			w.both("connect")
			ids = w.ids()
			_, ws := w.apply(w.policyOf(service, assign("engineers", "OU=Engineering,"+s.base, "cloudsync"),
				assign("by attribute", marketing, "cloudsync", fmt.Sprintf("filter: %q", "(|(department=Chosen)(cn=moved*)(memberOf="+group+"))"))))
			w.decide(ws[0].ID, wave.CompleteNow, wave.Completed)
			w.owners(map[string]string{zed: "connect", yan: "connect"})
			w.modify(zedDN, "department", "Chosen")
			w.join(group, yanDN)
			w.both("connect", "cloudsync")
			w.owners(map[string]string{zed: "cloudsync", yan: "cloudsync"})
			w.writer(zedDN, zed, "cloudsync", "connect")
			w.writer(yanDN, yan, "cloudsync", "connect")
			w.modify(zedDN, "department", "chosen but not quite")
			w.remove(group) // its members are told of nowhere
			w.both("cloudsync", "connect")
			w.owners(map[string]string{zed: "connect", yan: "connect"})
			w.writer(zedDN, zed, "connect", "cloudsync")
			if err := w.conn.ModifyDN(ldap.NewModifyDNRequest(yanDN, "CN=moved yan", true, "")); err != nil {
				t.Fatal(err)
			}
			yanDN = "CN=moved yan," + marketing
			w.both("cloudsync", "connect")
			w.owners(map[string]string{yan: "cloudsync"})
			w.writer(yanDN, yan, "cloudsync", "connect")
			for k := range ids {
				if _, lives := w.ids()[k]; !lives {
					delete(ids, k) // the group
				}
			}
			w.same(ids, "choosing by attributes")
		})
		t.Run("one who was nobody's is created when he is chosen", func(t *testing.T) {
			ou := "OU=Service," + s.base
			guyDN, guy := w.person("guy", ou)
			_, hal := w.person("hal", ou)
			group := w.group("Served", ou)
			w.both("connect", "cloudsync")
			text := w.policyOf(service, assign("engineers", "OU=Engineering,"+s.base, "cloudsync"), assign("served", ou, "cloudsync", fmt.Sprintf("memberOf: %q", group)))
			p, _ := w.apply(text)
			for _, x := range p.Waves { // what an attribute chose goes back first
				if _, err := w.tandem.Host().Drive(t.Context(), x.ID); err != nil {
					t.Fatal(err)
				}
				w.decide(x.ID, wave.CompleteNow, wave.Completed)
			}
			w.owners(map[string]string{guy: "none"})
			w.both("connect", "cloudsync")
			w.join(group, guyDN)
			w.both("connect", "cloudsync")
			w.owners(map[string]string{guy: "cloudsync", hal: "none"})
			if w.mustUser(guy).Properties["displayName"] != "Person guy" {
				t.Error("he was not created as he is")
			}
			if _, lives := w.user(hal); lives {
				t.Error("his neighbour was created too")
			}
			w.writer(guyDN, guy, "cloudsync", "connect")
		})
		t.Run("owners agree with what the directory finds", func(t *testing.T) { w.agree(t) })
	})
}

// rule is one assignment, in the words of a search.
type rule struct {
	name, under, engine string
	except              string
	memberOf, filter    string
	sample              string
	depth, rank         int // the higher wins
}

func (r rule) assignment() string {
	var more []string
	add := func(key, value string) {
		if value != "" {
			more = append(more, fmt.Sprintf("%s: %q", key, value))
		}
	}
	if r.except != "" {
		more = append(more, fmt.Sprintf("except: [%q]", r.except))
	}
	add("memberOf", r.memberOf)
	add("filter", r.filter)
	add("sample", r.sample)
	if r.rank > 1 {
		more = append(more, fmt.Sprintf("priority: %d", r.rank))
	}
	return assign(r.name, r.under, r.engine, more...)
}

// holds searches the directory for whom the assignment speaks of.
func (r rule) holds(w *world) map[scoping.GUID]string {
	filter := r.filter
	if r.memberOf != "" {
		filter += "(memberOf:1.2.840.113556.1.4.1941:=" + ldap.EscapeFilter(r.memberOf) + ")"
	}
	out := w.found(r.under, filter)
	if r.except != "" {
		for g := range w.found(r.except, "") {
			delete(out, g)
		}
	}
	if r.sample != "" {
		share, err := scoping.ParseSample(r.sample)
		if err != nil {
			w.t.Fatal(err)
		}
		maps.DeleteFunc(out, func(g scoping.GUID, _ string) bool { return !share.Holds(g) })
	}
	return out
}

// agree compares who owns every user and group with what searches by base, scope and filter say.
func (w *world) agree(t *testing.T) {
	base := w.site.base
	sales, eng := "OU=Sales,"+base, "OU=Engineering,"+base
	rules := []rule{
		{name: "everything", under: base, engine: "connect"},
		{name: "managers", under: base, engine: "cloudsync", memberOf: "CN=Managers,OU=Groups," + base, rank: 1},
		{name: "service accounts", under: "OU=Service," + base, engine: "none", depth: 1},
		{name: "sales", under: sales, engine: "cloudsync", except: "OU=Contractors," + sales, depth: 1},
		{name: "staff of sales", under: sales, engine: "connect", memberOf: "CN=All Staff,OU=Groups," + base, filter: "(title=*e*)", depth: 1, rank: 3},
		{name: "half of sales", under: sales, engine: "none", sample: "50%", depth: 1, rank: 2},
		{name: "some contractors", under: "OU=Contractors," + sales, engine: "cloudsync", sample: "40%", depth: 2, rank: 1},
		{name: "engineers", under: eng, engine: "cloudsync", filter: "(&(|(department=R*)(department=Sales))(!(title=Manager)))", depth: 1, rank: 1},
		{name: "enabled", under: "OU=Sales," + eng, engine: "none", filter: "(!(userAccountControl:1.2.840.113556.1.4.803:=2))", depth: 2, rank: 3},
		{name: "reporting", under: eng, engine: "connect", filter: "(manager=*)", sample: "35%", depth: 1, rank: 4},
		{name: "named", under: "OU=Finance," + base, engine: "cloudsync", filter: "(|(cn=*a*)(sAMAccountName=lab0004*))", depth: 1, rank: 1},
	}
	text := w.policyOf()
	for _, r := range rules[1:] {
		text += r.assignment()
	}
	p, err := w.tandem.Host().Compile(t.Context(), "policy.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	slices.SortStableFunc(rules, func(a, b rule) int { return (b.depth*10 + b.rank) - (a.depth*10 + a.rank) })
	held := make([]map[scoping.GUID]string, len(rules))
	for i, r := range rules {
		if held[i] = r.holds(w); len(held[i]) == 0 && r.sample == "" {
			t.Errorf("%s speaks of nobody", r.name)
		}
	}
	checked, winners := 0, map[string]int{}
	for g, dn := range w.found(base, "(!(isCriticalSystemObject=TRUE))") {
		i := slices.IndexFunc(held, func(h map[scoping.GUID]string) bool { return h[g] != "" })
		e, err := w.tandem.Host().Explain(t.Context(), dn, p)
		if err != nil {
			t.Fatal(err)
		}
		if f := e.Features[0]; f.Assignment != rules[i].name || f.Engine != rules[i].engine {
			t.Errorf("%s belongs to %s by %s (%s), the directory's searches say %s by %s", dn, f.Engine, f.Assignment, f.Because, rules[i].engine, rules[i].name)
		}
		checked++
		winners[rules[i].name]++
	}
	t.Logf("%d objects: %v", checked, winners)
	if checked < 90 || len(winners) < 7 {
		t.Errorf("%d objects were compared, of %d assignments", checked, len(winners))
	}
}
