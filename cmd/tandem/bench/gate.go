package bench

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// settle is B8: one run of an engine in a process of its own, whose every proposal is a user that is created, then the same run with nothing to do.
func settle(ctx context.Context, o Options, r *Report) (err error) {
	r.Modelled = []string{"the engine makes its proposals up, in a process of its own", "the tenant answers every write at once, in this process", "the directory is made up, in this process"}
	r.Beside = "the same proposals once more, when nothing differs"
	store, err := state.Open(o.Dir, state.Options{Command: "tandem bench"})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	authority, err := everything()
	if err != nil {
		return err
	}
	cache := cloud.NewCache(time.Minute)
	cache.Commit(cloud.Refresh{Began: time.Now(), Full: []scoping.Kind{scoping.User, scoping.Group}})
	tenant := &atOnce{}
	g := gate.New(gate.Options{Ledger: ledger.New(), Cache: cache, Tenant: tenant, Census: madeUp{}, Journal: store.Log, Clock: wall{}, NewID: tenant.id})
	g.SetAuthority(authority, gate.Rules{Verified: map[string]bool{domain: true}, Objects: 1 << 30, Percent: 100})
	p, err := plugin.Start(ctx, plugin.Command{Path: o.Self, Args: []string{"plugin", GeneratorKind}})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, p.Stop(context.WithoutCancel(ctx))) }()
	if err := p.Engine().Configure(ctx, engine.Config{Engine: GeneratorKind, DataDir: o.Dir, Settings: []byte(strconv.Itoa(o.Objects))}); err != nil {
		return err
	}
	for i, name := range []string{"created", "nothing to do"} {
		took, batches, err := converse(ctx, g, p.Engine(), uint64(i+1), o.Objects)
		if err != nil {
			return err
		}
		slices.Sort(batches)
		r.least("proposals settled, "+name, float64(o.Objects)/took.Seconds(), "/s", 20_000)
		r.most("99th percentile of a batch, "+name, float64(batches[len(batches)*99/100].Microseconds())/1000, "ms", 50)
	}
	r.note("writes sent", float64(tenant.sent.Load()), "")
	return nil
}

// converse lets the engine run once; each batch's time is from its arrival to its durable decisions.
func converse(ctx context.Context, g *gate.Gate, e engine.Engine, run uint64, objects int) (took time.Duration, batches []time.Duration, err error) {
	s := g.Begin(gate.SessionOptions{Engine: GeneratorKind, Run: run, Ceiling: engine.ModeOwn})
	settled := 0
	began := time.Now()
	_, err = engine.Drive(ctx, e, engine.RunRequest{Run: run, Profile: engine.ProfileFull, Ceiling: engine.ModeOwn}, engine.Conversation{Decide: func(batch []engine.Proposal) ([]engine.Decision, error) {
		arrived := time.Now()
		ds, err := s.Propose(ctx, batch)
		batches = append(batches, time.Since(arrived))
		for _, d := range ds {
			if d.Outcome == engine.Applied || d.Outcome == engine.Unchanged {
				settled++
			}
		}
		return ds, err
	}})
	took = time.Since(began)
	if err == nil && settled != objects {
		err = fmt.Errorf("%d of %d proposals settled", settled, objects)
	}
	if err != nil {
		return took, batches, err
	}
	_, err = s.End(ctx, true)
	return took, batches, err
}

// everything returns the whole made-up directory.
func everything() (gate.Authority, error) {
	features := []scoping.Feature{scoping.Users}
	p, err := scoping.Compile(scoping.Policy{Features: features, Defaults: scoping.DefaultDefaults(), Assignments: []scoping.Assignment{
		{Name: "everything", Directory: madeUpDirectory, Under: scoping.Pin{GUID: theRoot, DN: "DC=contoso,DC=test"}, Engine: GeneratorKind, Features: features}}},
		map[string]scoping.EngineCaps{GeneratorKind: {Features: features}})
	if err != nil {
		return gate.Authority{}, fmt.Errorf("compiling the bench's policy: %w", err)
	}
	return gate.Authority{Partition: p.Succeed(nil, theEpoch), Epoch: theEpoch}, nil
}

// madeUp is a census of any number of users, all under one root.
type madeUp struct{}

// Sight implements gate.Census.
func (madeUp) Sight(id scoping.ObjectID) gate.Sight {
	return gate.Sight{Known: true, Kind: scoping.User, Parent: theRoot, Chain: []scoping.GUID{theRoot}, Anchor: base64.StdEncoding.EncodeToString(id.GUID[:])}
}

// Reread implements gate.Census.
func (madeUp) Reread(context.Context, []scoping.ObjectID) error { return nil }

// Evidence implements gate.Census: nothing ever dies.
func (madeUp) Evidence(context.Context, []scoping.ObjectID, string) (map[scoping.ObjectID]gate.Evidence, error) {
	return map[scoping.ObjectID]gate.Evidence{}, nil
}

// Brief implements gate.Census.
func (m madeUp) Brief(id scoping.ObjectID) gate.Sight { return m.Sight(id) }

// Reading implements gate.Census.
func (madeUp) Reading() uint64                                { return 1 }
func (madeUp) Changed() (map[scoping.ObjectID]struct{}, bool) { return nil, false }

// Expected implements gate.Census.
func (madeUp) Expected(scoping.ObjectID) bool { return true }

// atOnce is a tenant that does every write as soon as it is sent. It counts them, and returns ids.
type atOnce struct {
	sent atomic.Int64
	ids  atomic.Int64
}

func (t *atOnce) id() string { return "i" + strconv.FormatInt(t.ids.Add(1), 10) }

// Send implements gate.Tenant.
func (t *atOnce) Send(_ context.Context, ws []cloud.Write) []cloud.Result {
	out := make([]cloud.Result, len(ws))
	for i, w := range ws {
		id := w.CloudID
		if id == "" {
			id = "c" + w.ID
		}
		out[i] = cloud.Result{Status: cloud.Done, CloudID: id}
	}
	t.sent.Add(int64(len(ws)))
	return out
}

// Find implements gate.Tenant.
func (t *atOnce) Find(context.Context, cloud.Key) ([]cloud.Object, error) { return nil, nil }

// Powerful implements gate.Tenant.
func (t *atOnce) Powerful(context.Context, []string) (map[string]string, error) {
	return map[string]string{}, nil
}

// Credential implements gate.Tenant.
func (t *atOnce) Credential(context.Context, string) (cloud.CredentialState, bool, error) {
	return cloud.CredentialState{}, false, nil
}

// wall is the system's clock.
type wall struct{}

// Now implements gate.Clock.
func (wall) Now() time.Time { return time.Now() }

// Sleep implements gate.Clock.
func (wall) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
