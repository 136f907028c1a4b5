package tenancy

import (
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/scoping"
)

// here is a state that signed the tenant twice, as this host.
func here() (control.Head, Identity) {
	me := Identity{Machine: "m1", Folder: "f1", Name: "idm1"}
	return control.Head{Installation: "ours", Epoch: scoping.Epoch{Incarnation: 3},
		Signed: []control.Signature{{Nonce: "n1", Host: me.Key()}, {Nonce: "n2", Host: me.Key()}}, SignedAt: 1000}, me
}

// Rule H1: a nonce of the state's own history is lag; another one, a newer incarnation and another installation are another host.
func TestAMarkThatIsNotOfThisHostForbidsToWrite(t *testing.T) {
	hd, _ := here()
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct {
		mark  Mark
		found bool
		words []string // none: it may write
	}{
		"no mark":                   {Mark{}, false, nil},
		"its newest nonce":          {Mark{Installation: "ours", Incarnation: 3, Nonce: "n2"}, true, nil},
		"an older one of its own":   {Mark{Installation: "ours", Incarnation: 3, Nonce: "n1"}, true, nil},
		"of an older program":       {Mark{Installation: "ours", Incarnation: 3}, true, nil},
		"its own older incarnation": {Mark{Installation: "ours", Incarnation: 2, Nonce: "n0"}, true, nil},
		"a copy's nonce":            {Mark{Installation: "ours", Incarnation: 3, Nonce: "n3", Name: "idm2", At: at}, true, []string{"copy of this state", "idm2", "2026-11-28T09:00:00Z", "tandem takeover"}},
		"a newer incarnation":       {Mark{Installation: "ours", Incarnation: 4, Nonce: "n9", Name: "idm2", At: at}, true, []string{"incarnation 4", "idm2", "incarnation 3", "tandem takeover"}},
		"another installation":      {Mark{Installation: "theirs", Incarnation: 1, Nonce: "n9", Name: "idm3", At: at}, true, []string{"installation theirs", "idm3", "2026-11-28T09:00:00Z", "installation ours", "tandem takeover"}},
	} {
		why := foreign(hd, c.mark, c.found)
		if (why == "") != (len(c.words) == 0) {
			t.Errorf("%s: %q", name, why)
		}
		for _, w := range c.words {
			if !strings.Contains(why, w) {
				t.Errorf("%s: %q does not say %q", name, why, w)
			}
		}
	}
}

// The host that was taken over may have read an old mark and written its own over the newer one: that is noticed, but not within the tenant's delay.
func TestAMarkOfAnOlderIncarnationIsLagFirstAndAnOverwriteLater(t *testing.T) {
	hd, _ := here()
	older := Mark{Installation: "ours", Incarnation: 2, Nonce: "x"}
	delay := 2 * time.Minute
	if overwritten(hd, older, true, time.UnixMilli(hd.SignedAt).Add(time.Minute), delay) {
		t.Error("within the delay it is lag")
	}
	if !overwritten(hd, older, true, time.UnixMilli(hd.SignedAt).Add(3*time.Minute), delay) {
		t.Error("after the delay nobody sees that it was overwritten")
	}
	older.Nonce = "n1"
	if overwritten(hd, older, true, time.UnixMilli(hd.SignedAt).Add(time.Hour), delay) {
		t.Error("its own nonce is lag for ever")
	}
}

// A read that shows the own mark right after one that showed another host's is lag: the other one is not forgotten for it.
func TestAnotherHostIsNotForgottenForALaggingRead(t *testing.T) {
	hd, _ := here()
	hd.Refused = &control.Refusal{Why: "another host", At: 1000}
	if why := lingers(hd, time.UnixMilli(1000).Add(time.Minute), 2*time.Minute); why != "another host" {
		t.Errorf("within the delay: %q", why)
	}
	if why := lingers(hd, time.UnixMilli(1000).Add(2*time.Minute), 2*time.Minute); why != "" {
		t.Errorf("after the delay: %q", why)
	}
}

// A folder that was copied, or carried to another machine, is not used there before a person says so.
func TestAFolderOfAnotherHostForbidsToWriteWithoutAskingTheTenant(t *testing.T) {
	hd, me := here()
	if why := displaced(hd, me); why != "" {
		t.Error(why)
	}
	copied, carried := me, me
	copied.CopyOf, carried.Machine = "/var/lib/tandem", "m2"
	if why := displaced(hd, copied); !strings.Contains(why, "/var/lib/tandem") || !strings.Contains(why, "tandem takeover") {
		t.Error(why)
	}
	if why := displaced(hd, carried); !strings.Contains(why, "another host") {
		t.Error(why)
	}
	hd.Restored = &control.Restored{}
	if why := displaced(hd, carried); why != "" {
		t.Errorf("a restored state is meant to be on another host: %s", why)
	}
}

// The state belongs to one tenant and one domain: the configuration may name no other.
func TestAStateIsBoundToItsTenantAndDirectories(t *testing.T) {
	root := scoping.GUID{1}
	bound := &control.Binding{Tenant: "aaaaaaaa-0000-0000-0000-000000000001", Directories: map[string]control.BoundTo{"contoso": {Root: root, Base: "DC=contoso,DC=test"}}}
	for name, c := range map[string]struct {
		configured Configured
		want       string
	}{
		"the same":          {Configured{TenantID: "AAAAAAAA-0000-0000-0000-000000000001", Bases: map[string]string{"contoso": "dc=Contoso, dc=test"}}, ""},
		"one more":          {Configured{Bases: map[string]string{"contoso": "DC=contoso,DC=test", "fabrikam": "DC=fabrikam,DC=test"}}, ""},
		"another tenant":    {Configured{TenantID: "bbbbbbbb-0000-0000-0000-000000000002"}, "bbbbbbbb-0000-0000-0000-000000000002"},
		"another directory": {Configured{Bases: map[string]string{"contoso": "DC=fabrikam,DC=test"}}, "DC=fabrikam,DC=test"},
	} {
		h := New(Options{Configured: c.configured})
		why := h.elsewhere(control.Head{Bound: bound})
		if (why == "") != (c.want == "") || !strings.Contains(why, c.want) {
			t.Errorf("%s: %q", name, why)
		}
	}
	h := &Tenancy{is: known{binding: bound}}
	if err := h.Admits("contoso", root); err != nil {
		t.Error(err)
	}
	if err := h.Admits("contoso", scoping.GUID{2}); err == nil {
		t.Error("another domain with the same name is admitted")
	}
}
