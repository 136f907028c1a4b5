package cloudsync_test

import (
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	lab "github.com/tandem-sync/tandem/examples/lab/directory"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
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
	for name, attrs := range map[string]lab.Attributes{
		"Pat":     {"proxyAddresses": {"smtp:second@partner.test", "SMTP:pat@partner.test"}, "mail": {"x@partner.test"}, "title": {long}, "manager": {w.dn("CN=sales1,OU=Sales")}},
		"Post":    {"proxyAddresses": {"X500:/o=old"}, "mail": {" mailed@partner.test "}, "displayName": {" Mailed "}, "company": {"Partner"}},
		"None":    {"mail": {"none@partner.test"}},
		"Nowhere": {"proxyAddresses": {"X500:/o=old"}},
	} {
		w.add("CN="+name+",OU=Sales", "contact", attrs)
	}
	w.set("CN=sales1,OU=Sales", "manager", w.dn("CN=sales2,OU=Sales"))
	w.set("CN=sales3,OU=Sales", "manager", w.dn("CN=Pat,OU=Sales"))
	w.set("CN=sales3,OU=Sales", "extensionAttribute2", " two ")
	w.set("CN=sales3,OU=Sales", "employeeNumber", long)
	w.set("CN=nested,OU=Sales", "member", w.dn("CN=empty,OU=Sales"), w.dn("CN=Pat,OU=Sales"))
}

// TestBothEnginesProposeTheSame compares value by value: an object that changes hands must not change.
func TestBothEnginesProposeTheSame(t *testing.T) {
	w := newWorld(t, 8, cloudsync.Options{}, embedded)
	awkward(w)
	all := w.everything()
	all.Features = append(all.Features, scoping.Extensions)
	w.grant(all)
	request := w.full(all)
	request.Extensions = []string{"extensionAttribute15", "extensionAttribute2", "extension_0123456789abcdef0123456789abcdef_employeeNumber"}
	mine := w.run(request)
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
	theirs := proposalsOf(t, other, request)

	a, b := byFeature(mine.proposals), byFeature(theirs)
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("connect (-) and cloudsync (+) differ:\n%s", diff)
	}
	extended := 0
	for k, p := range a {
		if k.Feature == scoping.Extensions && len(p.Desired["extensionAttribute2"].Text)+len(p.Desired[request.Extensions[2]].Text) == 2 {
			extended++
		}
	}
	if len(a) < 40 || extended != 1 {
		t.Errorf("only %d proposals were compared, %d of them with extensions", len(a), extended)
	}
}

// Names that people know from the directory are understood in policies, so the table of attributes has to know what each is made of.
func TestAttributesAreMadeOfWhatTheTableSays(t *testing.T) {
	made := 0
	for _, r := range connect.Inbound {
		for _, f := range r.Flows {
			source := attribute.Source(f.Target)
			if f.Function == "" && source != f.From[0] || source != "" && len(f.From) > 0 && !slices.Contains(f.From, source) {
				t.Errorf("%s: %s is made of %v, and the table says %q", r.Name, f.Target, f.From, source)
			}
			if source != "" {
				made++
			}
		}
	}
	if made < 30 {
		t.Errorf("only %d flows were looked at", made)
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
