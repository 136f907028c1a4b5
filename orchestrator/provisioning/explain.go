package provisioning

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Brought is what is known of an object of the tenant on its way into a directory.
type Brought struct {
	Object  scoping.ObjectID
	Name    string
	Kind    scoping.Kind
	Feature scoping.Explanation // the engine that brings it, and why; engine none: it is not brought
}

// Explain returns which engine brings a live object of the tenant into a directory, by its id there or its sign-in name; false: the tenant has no
// such object.
func Explain(cache *cloud.Cache, led *ledger.State, p *scoping.Partition, ref string) (b Brought, found bool) {
	o, found := cache.Get(ref)
	if !found && strings.Contains(ref, "@") {
		o, found = cache.ByUPN(ref)
	}
	id, err := scoping.Cloud(o.ID)
	f := scoping.ProvisioningOf(o.Kind)
	if !found || err != nil || f == "" || p == nil {
		return b, false
	}
	b = Brought{Object: id, Name: o.Values.First(cloud.DisplayName), Kind: o.Kind, Feature: scoping.Explanation{Feature: f, Engine: scoping.None, Lost: []scoping.Lost{}}}
	if why := OfTheCloud(o); why != "" {
		b.Feature.Because = "tenant → directory: it is no object of the cloud's own: " + why
		return b, true
	}
	all := p.Provisioning()
	t := selects(cache, led, all, time.UnixMilli(0)) // nothing that waits in the ledger ends here: the next run says so
	a := t.by[id]
	if a == nil || !slices.Contains(a.Features, f) {
		b.Feature.Because = "tenant → directory: no assignment takes it"
		for _, x := range all { // it may be taken by one whose group is not shown as it was
			if why := t.frozen[x.Name].why; why != "" && slices.Contains(x.Features, f) {
				b.Feature.Because += "; assignment " + x.Name + " is frozen: " + why
			}
		}
		return b, true
	}
	b.Feature.Engine, b.Feature.Assignment = a.Engine, a.Name
	b.Feature.Because = fmt.Sprintf("tenant → directory: the assignment brings it from %s to %s", a.From, a.Under.DN)
	if why := t.frozen[a.Name].why; why != "" {
		b.Feature.Because += "; it is frozen: " + why
	}
	for i := range all {
		if ids, _ := members(cache, &all[i]); all[i].Name != a.Name && slices.Contains(ids, o.ID) {
			b.Feature.Lost = append(b.Feature.Lost, scoping.Lost{Assignment: all[i].Name, Engine: all[i].Engine, Because: fmt.Sprintf("it takes the object as well, with the lower priority %d; %q has %d", all[i].Priority, a.Name, a.Priority)})
		}
	}
	return b, true
}

// Mastered describes a link whose authority the tenant is; empty: the directory is.
func Mastered(row *ledger.Row) string {
	if row == nil || row.Cloud == 0 {
		return ""
	}
	how := "it was made of"
	if row.Origin == ledger.Joined {
		how = "it was joined with"
	}
	return fmt.Sprintf("tenant → directory: %s object %s of the tenant, which is its authority since record %d of the log: what the tenant has is written to the directory, and nothing the other way but its password", how, row.CloudID, row.Cloud)
}
