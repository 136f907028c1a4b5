package orchestrator_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/answer"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/objects"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Every living object of the directory is in the tenant, fails, or stands in one set of what is left out, which says why.
func TestWhatIsNotInTheTenantIsInASetWithItsReason(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 60)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		host := w.tandem.Host()
		sets, all, err := host.LeftOut(t.Context(), answer.LeftFilter{})
		if err != nil {
			t.Fatal(err)
		}
		counted, reasons := 0, map[objects.Reason]answer.LeftSet{}
		for _, x := range sets {
			if reasons[x.Reason] = x; x.Count == 0 || len(x.Examples) != min(x.Count, 3) || x.Linked > 0 || x.Reason.Sentence() == "" {
				t.Errorf("a set: %+v", x)
			}
			counted += x.Count
		}
		st, err := host.Status(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		living := 0
		for _, d := range st.Directories {
			living += d.Objects
		}
		linked := 0
		for _, n := range st.Linked {
			linked += n
		}
		if counted != len(all) || counted+linked != living {
			t.Errorf("%d of %d living objects are linked, %d are in sets, %d were listed", linked, living, counted, len(all))
		}
		if reasons[objects.LeftUnmanaged].Engine != "" || reasons["critical-system-object"].Engine != "connect" || reasons[objects.LeftNotSwitchedOn].Kinds[scoping.Device] == 0 {
			t.Errorf("sets: %+v", sets)
		}
		ruled := host.LeftByRules("connect")
		if len(ruled) == 0 || slices.ContainsFunc(ruled, func(x answer.LeftSet) bool { return x.Engine != "connect" || x.Count != reasons[x.Reason].Count }) || len(host.LeftByRules("cloudsync")) > 0 {
			t.Errorf("by rules: %+v", ruled)
		}
		service := slices.IndexFunc(all, func(x objects.Left) bool { return x.Reason == objects.LeftUnmanaged })
		r, err := host.Object(t.Context(), host.Name(all[service].Object))
		if err != nil || r.Left == nil || r.Left.Reason != objects.LeftUnmanaged {
			t.Errorf("one of them: %+v, %v", r.Left, err)
		}
	})
}

// A group whose member the tenant refuses stands under that member, which names attribute and message; and when the member is made, both are gone.
func TestAnErrorThatFollowsFromAnotherNamesItsCause(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 20)
		w.importPolicy()
		w.sync("connect", engine.ProfileFull)
		ou := "OU=Engineering," + s.base
		ann, _ := w.person("ann", ou)
		team := w.group("Team", ou, ann)
		faults, err := w.graph.AddFault(tenant.Fault{Kind: tenant.Status, Methods: []string{"POST"}, Path: "/users$", Status: 400, Code: "Request_BadRequest", Message: "no more users", Count: -1})
		if err != nil {
			t.Fatal(err)
		}
		host := w.tandem.Host()
		if _, err := host.Sync(t.Context(), "connect", run.SyncOptions{Profile: engine.ProfileDelta}); err != nil {
			t.Fatal(err)
		}
		var cause *ledger.Key
		for _, f := range host.Failures() {
			switch {
			case f.Name == ann && f.Key.Feature == scoping.Users:
				k := f.Key
				if cause = &k; f.Cause != nil || len(f.Refusals) != 1 || !strings.Contains(f.Refusals[0].Reason, "no more users") || f.Trouble.Count != 1 {
					t.Errorf("the cause: %+v", f)
				}
			case f.Name == team && f.Key.Feature == scoping.References:
				if f.Cause == nil || host.Name(f.Cause.Object) != ann || !slices.Equal(f.Ends, []string{ann}) {
					t.Errorf("what follows: %+v", f)
				}
			default:
				t.Errorf("also: %+v", f)
			}
		}
		if cause == nil {
			t.Fatal("nothing is told of the person who was refused")
		}
		r, err := host.Object(t.Context(), team)
		if err != nil || len(r.Missing) != 1 || r.Missing[0].Name != ann || !strings.Contains(r.Missing[0].Why, "not in the tenant yet") {
			t.Errorf("the group: %+v, %v", r.Missing, err)
		}
		w.graph.ClearFaults(faults)
		w.sync("connect", engine.ProfileDelta)
		if fs := host.Failures(); len(fs) > 0 {
			t.Errorf("afterwards: %+v", fs)
		}
	})
}

// A full run tells how many answers it gives of how many: the total is what the directory holds in the engine's scopes, and the last answer reaches it. A run over what changed has
// no total that is known.
func TestTheProgressOfAFullRunReachesItsTotal(t *testing.T) {
	sites(t, func(t *testing.T, s site) {
		w := newWorld(t, s, 60)
		w.importPolicy()
		var last run.Progress
		w.progress = func(p run.Progress) {
			if p.Phase == "propose" {
				last = p
			}
		}
		for _, name := range []string{"connect", "cloudsync"} {
			if name == "cloudsync" {
				w.migrate("OU=Engineering,"+s.base, name)
			}
			last = run.Progress{}
			w.sync(name, engine.ProfileFull)
			if last.Total == 0 || last.Done != last.Total || last.Engine != name {
				t.Errorf("%s: %+v", name, last)
			}
		}
		w.person("ann", "OU=Sales,"+s.base)
		last = run.Progress{}
		if w.sync("connect", engine.ProfileDelta); last.Done == 0 || last.Total != 0 {
			t.Errorf("a delta: %+v", last)
		}
	})
}
