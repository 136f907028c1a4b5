package orchestrator_test

import (
	"context"
	"slices"
	"testing"
	"time"

	lab "github.com/tandem-sync/tandem/examples/lab/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/plugins/cloudsync"
	"github.com/tandem-sync/tandem/plugins/connect"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// featuresWritten is what the engines of this version write, and which tenants take it of an application: what Microsoft's products can is said by the feature table.
var featuresWritten = map[scoping.Feature]struct{ connect, cloudsync, public, lab bool }{
	scoping.Users:             {true, true, true, true},
	scoping.Groups:            {true, true, true, true},
	scoping.Contacts:          {true, true, false, true},
	scoping.Devices:           {},
	scoping.References:        {true, true, true, true},
	scoping.ExchangeHybrid:    {},
	scoping.Extensions:        {true, true, true, true},
	scoping.PasswordHash:      {true, true, false, true},
	scoping.PasswordWriteback: {false, false, false, true},
	scoping.GroupProvisioning: {cloudsync: true, public: true, lab: true},
	scoping.UserProvisioning:  {cloudsync: true, public: true, lab: true},
}

// The feature table, the engines' descriptions and the tenants' capabilities meet: nothing is written that Microsoft's product of the kind could not, and what a
// tenant of Microsoft's does not take is refused for what the table says of public Graph.
func TestTheFeatureTableMeetsEnginesAndTenants(t *testing.T) {
	describes := func(e engine.Engine) []scoping.Feature {
		d, err := e.Describe(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return d.Features
	}
	connects, cloudsyncs := describes(connect.New(connect.Options{})), describes(cloudsync.New(cloudsync.Options{}))
	public, labs := refused(t, true), refused(t, false)
	for _, r := range scoping.FeatureTable() {
		want, known := featuresWritten[r.Feature]
		if !known {
			t.Errorf("nothing is said of %s", r.Feature)
		}
		_, publicRefuses := public[r.Feature]
		_, labRefuses := labs[r.Feature]
		for what, x := range map[string][2]bool{"connect": {slices.Contains(connects, r.Feature), want.connect}, "cloudsync": {slices.Contains(cloudsyncs, r.Feature), want.cloudsync},
			"a tenant of Microsoft's": {!publicRefuses, want.public}, "the lab's tenant": {!labRefuses, want.lab}} {
			if x[0] != x[1] {
				t.Errorf("%s of %s: %v", r.Feature, what, x[0])
			}
		}
		if want.connect && !r.Connect.Can || want.cloudsync && !r.CloudSync.Can {
			t.Errorf("%s: an engine does what Microsoft's cannot: %+v", r.Feature, r)
		}
		if want.public != r.Graph.Can {
			t.Errorf("%s: the table says of public Graph %+v", r.Feature, r.Graph)
		}
		if r.Feature == scoping.Contacts && public[r.Feature] != r.Graph.Note {
			t.Errorf("refused because %q, in the table %q", public[r.Feature], r.Graph.Note)
		}
	}
	if len(featuresWritten) != len(scoping.FeatureTable()) {
		t.Error("something is no feature")
	}
}

// refused is what a tenant does not take: one of the lab's, or one that answers as Microsoft's do where the lab's has its doors.
func refused(t *testing.T, public bool) map[scoping.Feature]string {
	t.Helper()
	s, err := lab.Serve(t.Context(), lab.NewModel(lab.Options{}), lab.ServeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	if public {
		if _, err := s.AddFault(lab.Fault{Kind: lab.Status, Status: 400, Code: "BadRequest", Message: "Invalid version: lab", Path: "^/lab/$", Count: -1}); err != nil {
			t.Fatal(err)
		}
	}
	c, err := tenant.Open(t.Context(), tenant.Config{Endpoint: s.GraphEndpoint(), Authority: s.Authority(), TenantID: s.TenantID, ClientID: s.ClientID, ClientSecret: s.ClientSecret, CA: s.CAPEM(),
		Timeout: 20 * time.Second, Wait: func(ctx context.Context, _ time.Duration) error { return ctx.Err() }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c.Refused(t.Context())
}
