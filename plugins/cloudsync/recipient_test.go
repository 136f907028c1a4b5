package cloudsync_test

import (
	"testing"

	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// G6, G7: a mail-enabled group is left out, and its members are proposed all the same: where it is in the tenant from before, who leaves it leaves it there.
func TestMailEnabledGroupsAreLeftOutWithTheirMembers(t *testing.T) {
	w := newWorld(t, 2, cloudsync.Options{}, embedded)
	members := []string{w.dn("CN=sales0,OU=Sales")}
	w.add("CN=mailed,OU=Sales", "group", map[string][]string{"sAMAccountName": {"mailed"}, "groupType": {"-2147483646"}, "mail": {"m@contoso.test"}, "member": members})
	w.add("CN=x500,OU=Sales", "group", map[string][]string{"sAMAccountName": {"x500"}, "groupType": {"-2147483646"}, "proxyAddresses": {"X500:/o=old"}, "member": members})
	sales := w.scope("OU=Sales")
	w.grant(sales)
	o := w.run(w.full(sales))
	mustComplete(t, o)
	id := w.id("CN=mailed,OU=Sales")
	if p := o.of(id, scoping.Groups); p.Want != engine.Excluded || p.Reason != "mail-enabled-group" {
		t.Errorf("mail alone: %+v", p)
	}
	if p := o.of(id, scoping.References); p == nil || p.Want != engine.Present || len(p.Refs["members"].Targets) != 1 {
		t.Errorf("its members: %+v", p)
	}
	if p := o.of(w.id("CN=x500,OU=Sales"), scoping.Groups); p.Want != engine.Present {
		t.Errorf("X500 alone: %+v", p)
	}
}
