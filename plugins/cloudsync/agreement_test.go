package cloudsync_test

import (
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// awkward seeds objects at the edges of the mappings.
func awkward(w *world) {
	long := ""
	for range 300 {
		long += "ž"
	}
	for name, attrs := range map[string]lab.Attributes{
		"no upn":      {"sAMAccountName": {"noupn"}, "givenName": {" Spaced "}, "mail": {"a@contoso.test"}},
		"long":        {"sAMAccountName": {"long"}, "displayName": {long}, "title": {long}, "department": {long}, "streetAddress": {long}},
		"disabled":    {"sAMAccountName": {"disabled"}, "userAccountControl": {"514"}, "co": {"Česko"}, "telephoneNumber": {"+420 1"}, "mobile": {"2"}},
		"nickname":    {"sAMAccountName": {"nick"}, "mailNickname": {"n i(c)k@x"}, "msExchUsageLocation": {"CZ"}, "employeeID": {"12345678901234567890"}},
		"AAD_1":       {"sAMAccountName": {"AAD_1234"}},
		"writtenback": {"sAMAccountName": {"wb"}, "adminDescription": {"User_1"}},
	} {
		attrs["objectClass"] = []string{"user"}
		if _, err := w.model.Add(w.dn("CN="+name+",OU=Sales"), attrs); err != nil {
			w.t.Logf("%s is not seeded: %v", name, err)
			delete(attrs, "msExchUsageLocation")
			delete(attrs, "mailNickname")
			_, err := w.model.Add(w.dn("CN="+name+",OU=Sales"), attrs)
			check(w.t, err)
		}
	}
	w.add("CN=empty,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"empty grp"}, "groupType": {"-2147483640"}, "description": {"  d  "}})
	w.add("CN=list,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"list"}, "groupType": {"2"}})
	w.add("CN=x500,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"x500"}, "groupType": {"-2147483646"}, "proxyAddresses": {"X500:/o=old"}, "mail": {"x500@contoso.test"}})
	w.add("CN=mailed,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"mailed"}, "groupType": {"-2147483646"}, "mail": {"mailed@contoso.test"}, "member": {w.dn("CN=sales1,OU=Sales")}})
	w.add("CN=addressed,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"addressed"}, "groupType": {"-2147483646"}, "proxyAddresses": {"X500:/o=old", "smtp:a@contoso.test"},
		"member": {w.dn("CN=sales1,OU=Sales")}})
	w.add("CN=nested,OU=Sales", "group", lab.Attributes{"sAMAccountName": {"nested"}, "groupType": {"-2147483646"},
		"member": {w.dn("CN=empty,OU=Sales"), w.dn("CN=sales1,OU=Sales")}})
	w.set("CN=sales1,OU=Sales", "manager", w.dn("CN=sales2,OU=Sales"))
}

// TestBothEnginesProposeTheSame compares value by value: an object that changes hands must not change.
func TestBothEnginesProposeTheSame(t *testing.T) {
	w := newWorld(t, 8, cloudsync.Options{}, embedded)
	awkward(w)
	all := w.everything()
	w.grant(all)
	mine := w.run(w.full(all))
	mustComplete(t, mine)

	other := connect.New(connect.Options{})
	defer other.Close()
	c := w.config
	c.DataDir, c.Settings = t.TempDir(), nil
	check(t, other.Configure(t.Context(), c))
	in, acks := make(chan []engine.Grant, 1), make(chan engine.Ack, 1)
	in <- []engine.Grant{{ID: 1, Scope: all, Mode: engine.ModeOwn, Epoch: scoping.Epoch{Incarnation: 1, N: 10}}}
	close(in)
	check(t, other.Grants(t.Context(), in, acks))
	theirs := proposalsOf(t, other, w.full(all))

	a, b := byFeature(mine.proposals), byFeature(theirs)
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("connect (-) and cloudsync (+) differ:\n%s", diff)
	}
	if len(a) < 40 {
		t.Errorf("only %d proposals were compared", len(a))
	}
}

type key struct {
	Object  scoping.ObjectID
	Feature scoping.Feature
}

// byFeature leaves out what differs by nature: the order of proposals and the version.
func byFeature(ps []engine.Proposal) map[key]engine.Proposal {
	out := map[key]engine.Proposal{}
	for _, p := range ps {
		p.Seq, p.Version = 0, 0
		out[key{p.Object, p.Feature}] = p
	}
	return out
}

func proposalsOf(t *testing.T, e engine.Engine, r engine.RunRequest) []engine.Proposal {
	t.Helper()
	r.Run, r.Ceiling = 1, engine.ModeOwn
	in, out := make(chan []engine.Decision, 1), make(chan engine.RunEvent)
	var got []engine.Proposal
	var host sync.WaitGroup
	host.Go(func() {
		for e := range out {
			var decisions []engine.Decision
			for _, p := range e.Proposals {
				got = append(got, p)
				decisions = append(decisions, engine.Decision{Seq: p.Seq, Outcome: engine.Applied})
			}
			if len(decisions) > 0 {
				in <- decisions
			}
			if e.Report != nil {
				if !e.Report.Complete {
					t.Errorf("report: %+v", e.Report)
				}
				close(in)
			}
		}
	})
	check(t, e.Run(t.Context(), r, in, out))
	close(out)
	host.Wait()
	return got
}
