package faults_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/go-ldap/ldap/v3"

	"github.com/tandem-sync/tandem/examples/lab/tenant"
)

const sales = `  - {name: sales, under: "OU=Sales,DC=contoso,DC=test", engine: cloudsync, features: [users, groups]}
`

func TestPlanThatHoldsNoMoreIsStale(t *testing.T) {
	t.Parallel()
	w := synced(t, 40)
	w.write("sales.yaml", w.read("policy.yaml")+sales)
	w.done("plan", "-f", "sales.yaml", "-o", "sales.plan")
	plan := w.read("sales.plan")
	writes := w.lab.Writes()
	for name, c := range map[string]struct {
		text string
		code int
		word string
	}{
		"empty":      {"", 2, "this is not a plan file"},
		"cut":        {plan[:len(plan)/2], 2, "this is not a plan file"},
		"a policy":   {w.read("policy.yaml"), 2, "this is not a plan file"},
		"no plan":    {`{"a":1}`, 2, "version 0"},
		"newer":      {strings.Replace(plan, `"version":`, `"version":9`, 1), 2, "version 9"},
		"its policy": {strings.Replace(plan, `engine: connect`, `engine: cloudsync`, 1), 2, "was changed after it was written"},
		"its scope":  {strings.Replace(plan, `"from":"connect"`, `"from":"none"`, 1), 2, "was changed after it was written"},
	} {
		if name != "empty" && c.text == plan {
			t.Fatalf("%s: the plan is as it was", name)
		}
		w.write("bad.plan", c.text)
		w.fails(c.code, []string{"bad.plan", c.word, "plan"}, "apply", "bad.plan", "--auto-approve")
	}
	w.fails(2, []string{"nowhere.plan", "no such file"}, "apply", "nowhere.plan")
	w.fails(1, []string{"/nowhere/x.plan"}, "plan", "-f", "sales.yaml", "-o", "/nowhere/x.plan")

	c, err := w.lab.Dial()
	w.check(err)
	defer c.Close()
	for i := range 20 { // more than 1% and 10 objects
		add := ldap.NewAddRequest("CN=New "+string(rune('a'+i))+","+w.lab.OU("Sales"), nil)
		add.Attribute("objectClass", []string{"user"})
		add.Attribute("sAMAccountName", []string{"new" + string(rune('a'+i))})
		add.Attribute("userPrincipalName", []string{"new" + string(rune('a'+i)) + "@contoso.test"})
		w.check(c.Add(add))
	}
	w.fails(1, []string{"stale", "→ make a new one with `tandem plan"}, "apply", "sales.plan", "--auto-approve")
	if n := w.lab.Writes(); n != writes {
		t.Errorf("%d writes by plans that were refused", n-writes)
	}
	var v struct{ Waves []any }
	w.answers(0, nil, &v, "wave", "list")
	if len(v.Waves) > 0 {
		t.Errorf("a refused plan began waves: %v", v)
	}

	other := over(t, w.lab)
	other.write("policy.yaml", w.read("policy.yaml"))
	other.write("sales.plan", plan)
	other.brisk()
	other.done("takeover", "--reason", "the plan is to meet another installation")
	other.done("import", "policy.yaml")
	other.fails(1, []string{"stale", "another installation", "→ make a new one with `tandem plan"}, "apply", "sales.plan", "--auto-approve")
}

// wave gives the newest wave.
func (w *world) wave() (v struct{ ID, Phase, State string }) {
	w.Helper()
	var all struct {
		Waves []struct{ ID, Phase, State string }
	}
	w.check(json.Unmarshal([]byte(w.done("--output", "json", "wave", "list")), &all))
	if len(all.Waves) == 0 {
		w.Fatal("there is no wave")
	}
	return all.Waves[len(all.Waves)-1]
}

func TestDecisionsThatDoNotFitThePhaseAreRefusedWithTheRightOne(t *testing.T) {
	t.Parallel()
	w := synced(t, 30)
	w.answers(3, []string{"held before verify", "→ tandem wave approve "}, new(any), "migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync", "--auto-approve", "--hold-before", "verify")
	id := w.wave().ID
	w.fails(2, []string{"has not cut over", "tandem wave abort " + id}, "wave", "rollback", id)
	w.fails(2, []string{"only a wave in soak can be completed"}, "wave", "complete", id, "--yes")
	w.fails(3, []string{id}, "migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync")
	w.fails(2, []string{"nothing to resume", "held before verify", "tandem wave approve " + id}, "wave", "resume", id)
	w.done("wave", "approve", id)
	w.fails(2, []string{"waits for nothing that can be approved", "soaking"}, "wave", "approve", id)
	w.fails(2, []string{"has cut over", "tandem wave rollback " + id}, "wave", "abort", id)
	w.done("wave", "rollback", id)
	for _, verb := range []string{"approve", "abort", "pause", "resume", "rollback"} {
		w.fails(2, []string{"was taken back", "tandem wave show " + id}, "wave", verb, id)
	}
	w.settled()
}

func TestTroubleInAWaveLeavesNothingThatTheNextCommandDoesNotFinish(t *testing.T) {
	t.Parallel()
	w := synced(t, 30)
	w.fault(tenant.Fault{Kind: tenant.Garbage, Path: "/delta", Count: -1})
	r := w.run("migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync", "--auto-approve", "--soak", "0s")
	w.says(r, 1, []string{"the answer cannot be read as Graph's"}, []string{"migrate"})
	w.calm()
	w.done("migrate", "--under", w.lab.OU("Sales"), "--to", "cloudsync", "--auto-approve", "--soak", "0s")
	w.settled()
}
