package orchestrator_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// acme is a world in which an engine of somebody else has the users of Finance, and writes down what it is asked.
type acme struct {
	*world
	exe, sum string
	read     int // lines of the diary
}

func newAcme(t *testing.T, s site) *acme {
	t.Helper()
	a := &acme{exe: built(t, "github.com/tandem-sync/tandem/examples/engine-minimal")}
	var err error
	if a.sum, err = plugin.FileSum(a.exe); err != nil {
		t.Fatal(err)
	}
	a.world = newWorld(t, s, 40)
	a.settings("")
	policy := fmt.Sprintf(policyText, s.base, s.base) + fmt.Sprintf("  - name: acme's\n    under: OU=Finance,%s\n    engine: acme\n    features: [users]\n", s.base)
	if _, err := a.tandem.Host().Import(t.Context(), "policy.yaml", []byte(policy), "test"); err != nil {
		t.Fatal(err)
	}
	return a
}

func (a *acme) diary() string { return filepath.Join(a.dir, "diary") }

// settings opens Tandem anew with other settings of the engine.
func (a *acme) settings(more string) {
	a.t.Helper()
	a.close()
	a.extra = fmt.Sprintf("  - name: acme\n    kind: external\n    command: [%s]\n    sha256: %s\n    settings: {diary: %q%s}\n", a.exe, a.sum, a.diary(), more)
	a.write()
	a.open()
}

// runs lets the engine run as a schedule does, and wants it to be asked for exactly this: a line for each conversation, its profile and a number of objects.
func (a *acme) runs(asked ...string) run.Report {
	a.t.Helper()
	r, err := a.tandem.Host().Sync(a.t.Context(), "acme", run.SyncOptions{FullEvery: 7 * 24 * time.Hour})
	if err != nil || !r.Complete || r.Failed+r.Held+r.Refused > 0 {
		a.t.Fatalf("run of acme: %v, %+v", err, r)
	}
	b, err := os.ReadFile(a.diary())
	if err != nil {
		a.t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if got := lines[a.read:]; !slices.Equal(got, asked) {
		a.t.Errorf("the engine was asked for %q, want %q", got, asked)
	}
	a.read = len(lines)
	return r
}

// idle wants runs to ask for nothing but the usual, to write nothing and to leave no record.
func (a *acme) idle() {
	a.t.Helper()
	before := a.records()
	a.graph.ResetCounters()
	for range 3 {
		a.runs("delta 0")
	}
	if n := a.records() - before; n != 0 || a.writes() != 0 {
		a.t.Errorf("runs in which nothing happened left %d records and %d writes", n, a.writes())
	}
}

func (w *world) records() uint64 {
	w.t.Helper()
	_, n, _, err := w.tandem.Host().VerifyLog(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return n
}

// named wants exactly one object to be owed, because its engine said nothing of it, and status and errors to say so.
func (a *acme) named(dn string) {
	a.t.Helper()
	ds := a.tandem.Host().Debts()
	if len(ds) != 1 || ds[0].Owed.Code != standing.Unclaimed || ds[0].Owed.To != standing.Person || ds[0].Owner != "acme" || ds[0].Name != dn ||
		ds[0].Reason != "its engine was asked and did not say what it wants" {
		a.t.Fatalf("owed is %+v, want %s unclaimed", ds, dn)
	}
	st, err := a.tandem.Host().Status(a.t.Context())
	if err != nil {
		a.t.Fatal(err)
	}
	i := slices.IndexFunc(st.Engines, func(e answer.EngineStatus) bool { return e.Name == "acme" })
	if st.Unsettled != 1 || st.Engines[i].Debts != 1 {
		a.t.Errorf("status: %d unsettled, %d of acme", st.Unsettled, st.Engines[i].Debts)
	}
}

// Rule S2a: an engine that stays silent about an object that it owns is asked for it once; then the object is named, and asked for again only when something
// changed, or after an hour.
func TestAnEngineThatStaysSilentIsAskedOnceThenNamed(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		a := newAcme(t, s)
		finance := "OU=Finance," + s.base
		inner := "OU=Inner," + finance
		a.add(inner, map[string][]string{"objectClass": {"organizationalUnit"}})
		eveDN, eve := a.person("eve", finance)
		a.runs("full 0")
		a.idle()

		a.modify(eveDN, "displayName", "Eve Changed")
		a.settings(fmt.Sprintf(", silent: [%s]", eve))
		if r := a.runs("full 0", "objects 1"); r.Unclaimed != 1 || !slices.Equal(r.Left, []string{eveDN}) {
			t.Errorf("the run names %d: %v", r.Unclaimed, r.Left)
		}
		a.named(eveDN)
		a.runs("delta 0") // its report differs from that of a full run, which names whom it left
		a.idle()
		a.close()
		a.open() // another process knows it as well
		a.idle()
		a.named(eveDN)

		eveDN = a.move(eveDN, inner)
		a.runs("delta 0", "objects 1")
		a.idle()
		a.named(eveDN)
		a.clock.jump(standing.Patience + time.Minute)
		a.runs("delta 0", "objects 1")
		a.idle()
		a.named(eveDN)
		if got := a.mustUser(eve).Properties["displayName"]; got != "Person eve" {
			t.Errorf("somebody wrote for the silent engine: %v", got)
		}

		a.settings("")
		a.runs("full 0")
		if got := a.mustUser(eve).Properties["displayName"]; got != "Eve Changed" {
			t.Errorf("the engine speaks again, and the tenant shows %v", got)
		}
		if ds := a.tandem.Host().Debts(); len(ds) > 0 {
			t.Errorf("%d debts are left, the first: %+v", len(ds), ds[0])
		}
		a.idle()
	})
}

// Rule S2: what a directory changed and an engine lost is found out, because the census watches what engines read; also when no process of the host saw it happen.
func TestNewsThatAnEngineLosesAreAskedFor(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		a := newAcme(t, s)
		eveDN, eve := a.person("eve", "OU=Finance,"+s.base)
		a.runs("full 0")
		a.settings(fmt.Sprintf(", forgets: [%s]", eve))
		a.runs("full 0") // other settings are other rules
		a.idle()

		shows := func(want string) {
			t.Helper()
			if got := a.mustUser(eve).Properties["displayName"]; got != want {
				t.Errorf("the tenant shows %v, want %s", got, want)
			}
		}
		a.modify(eveDN, "displayName", "Eve Changed")
		if r := a.runs("delta 0", "objects 1"); r.Updates != 1 {
			t.Errorf("what the engine lost changed %d in the tenant", r.Updates)
		}
		shows("Eve Changed")
		a.idle()

		a.close()
		a.modify(eveDN, "displayName", "Eve Again")
		a.open()
		a.runs("delta 0", "objects 1")
		shows("Eve Again")
		a.idle()

		a.modify(eveDN, "facsimileTelephoneNumber", "1") // no engine reads it
		a.idle()
	})
}

// Rule S2a: changed rules ask for one full run, not for a question each, and for nothing once that was complete.
func TestChangedRulesAskForOneFullRun(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		a := newAcme(t, s)
		made := a.runs("full 0").Creates
		a.idle()
		a.settings(`, displayNamePrefix: "X "`)
		if r := a.runs("full 0"); r.Updates != made || r.Applied != made {
			t.Errorf("other rules changed %d of %d: %+v", r.Updates, made, r.Errors)
		}
		a.idle()
		a.settings(`, displayNamePrefix: "X "`) // the same again
		a.idle()
	})
}

// An engine whose store was deleted reads everything once, as if for the first time: what happened meanwhile is written, a delete too, nothing else is, and after
// that its runs are what they were.
func TestAnEngineWhoseStoreIsDeletedReadsEverythingOnce(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		for kind, folder := range map[string]string{"connect": "spaces", "cloudsync": "directories"} {
			t.Run(kind, func(t *testing.T) {
				w := emptyWorld(t, s)
				ou := "OU=Store-" + kind + "," + s.base
				w.add(ou, map[string][]string{"objectClass": {"organizationalUnit"}})
				for i := range 10 {
					w.person(fmt.Sprintf("%s-user%d", kind, i), ou)
				}
				annDN, ann := w.person("ann-"+kind, ou)
				goneDN, gone := w.person("gone-"+kind, ou)
				w.write()
				w.open()
				if _, err := w.tandem.Host().Import(t.Context(), "policy.yaml", []byte("version: 1\nfeatures: [users, groups]\nassignments:\n"+assign("it", ou, kind)), "test"); err != nil {
					t.Fatal(err)
				}
				w.sync(kind, engine.ProfileFull)
				if usual := w.sync(kind, ""); usual.Read >= 10 || usual.Profile != engine.ProfileDelta {
					t.Fatalf("an idle delta run reads %d", usual.Read)
				}
				w.close()
				w.must(os.RemoveAll(filepath.Join(w.dir, "state", "engines", kind, folder)))
				w.modify(annDN, "title", "Meanwhile")
				w.remove(goneDN)
				w.open()
				w.graph.ResetCounters()
				r := w.sync(kind, "")
				if r.Read < 11 || r.Updates != 1 || r.Deletes != 1 || r.Applied != 2 {
					t.Errorf("with a new store it read %d, and wrote %+v", r.Read, r)
				}
				if got := w.mustUser(ann).Properties["jobTitle"]; got != "Meanwhile" {
					t.Errorf("the title is %v", got)
				}
				w.absent(gone)
				before, wrote := w.records(), w.writes()
				for range 3 {
					if again := w.sync(kind, ""); again.Read >= 10 || again.Profile != engine.ProfileDelta {
						t.Errorf("it reads everything again: %d, %s", again.Read, again.Profile)
					}
				}
				if n := w.records() - before; n != 0 || w.writes() != wrote {
					t.Errorf("runs in which nothing happened left %d records and %d writes", n, w.writes()-wrote)
				}
				if ds := w.tandem.Host().Debts(); len(ds) > 0 {
					t.Errorf("%d debts are left, the first: %+v", len(ds), ds[0])
				}
			})
		}
	})
}
