package simulation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/host"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Other hosts over the same tenant: a copy of the state folder on another machine, an older backup that was restored, another installation. They read, ask
// their engines and judge; none of them may write, until a person activates the backup: then the first host may not.

// marked is a tenant that remembers which host feeds it.
type marked struct{ *tenant }

// signed is a mark, and since when reads show it.
type signed struct {
	mark  tenancy.Mark
	shown time.Time
}

var _ tenancy.Marker = marked{}

// Mark implements tenancy.Marker: a read lags.
func (t marked) Mark(context.Context) (tenancy.Mark, bool, bool, error) {
	if t.w.fault(2) {
		return tenancy.Mark{}, false, true, errTenant
	}
	for _, s := range slices.Backward(t.marks) {
		if !s.shown.After(t.w.now) {
			return s.mark, true, true, nil
		}
	}
	return tenancy.Mark{}, false, true, nil
}

// SetMark implements tenancy.Marker.
func (t marked) SetMark(_ context.Context, m tenancy.Mark) (bool, error) {
	if t.w.fault(2) {
		return true, errTenant
	}
	lag := time.Duration(0)
	if t.w.faults {
		lag = time.Duration(t.w.r.IntN(int(delay/time.Second))) * time.Second
	}
	shown := t.w.now.Add(lag)
	if n := len(t.marks); n > 0 && shown.Before(t.marks[n-1].shown) {
		shown = t.marks[n-1].shown
	}
	t.marks = append(t.marks, signed{m, shown})
	return true, nil
}

const restoredBackup = "a restored backup"

// firstHost is the identity of the host that the simulation is about.
var firstHost = tenancy.Identity{Machine: "machine-1", Folder: "folder-1", Name: "one"}

// double is another host.
type double struct {
	w      *world
	what   string
	host   *host.Host
	grants map[string][]engine.Grant
	active bool // a person let it write
}

// backUp keeps a copy of the state folder.
func (w *world) backUp() {
	w.backup = w.disk.Copy(state.Options{Command: "backup", Now: w.Now, SegmentSize: 16 << 10})
	w.log("a backup is made")
}

// appear brings up another host.
func (w *world) appear() {
	w.doubles++
	if _, found, _, _ := (marked{w.tenant}).Mark(context.Background()); !found {
		return
	}
	if w.o.Break == TenantUnmarked {
		w.tenant.marks = nil
	}
	switch n := w.r.IntN(3); {
	case n == 0:
		w.double = w.openDouble("a copied folder", w.disk.Copy(w.otherOptions()), tenancy.Identity{Machine: "machine-2", Folder: "folder-1", Name: "two"})
	case n == 1 && w.backup != nil:
		w.restore(w.backup.Copy(w.otherOptions()))
	default:
		w.install()
	}
	if w.double != nil {
		w.saw(OtherHosts)
	}
}

func (w *world) otherOptions() state.Options {
	return state.Options{Command: "other", Now: w.Now, SegmentSize: 16 << 10}
}

// restore is a backup on another machine.
func (w *world) restore(disk *state.MemoryDisk) {
	s, err := disk.Open()
	if err == nil {
		err = errors.Join(tenancy.MarkRestored(context.Background(), s, w.newID, "simulation", "backup", w.Now()), s.Close())
	}
	if err != nil {
		w.fail(singleWriter, "restoring a backup: %v", err)
	}
	w.double = w.openDouble(restoredBackup, disk, tenancy.Identity{Machine: "machine-3", Folder: "folder-3", Name: "three"})
}

// install opens another installation, which begins in an empty folder.
func (w *world) install() {
	x := w.openDouble("another installation", state.Memory(w.otherOptions()), tenancy.Identity{Machine: "machine-4", Folder: "folder-4", Name: "four"})
	if x == nil {
		return
	}
	_, err := x.host.Import(context.Background(), "policy.yaml", []byte(w.policyText(w.leaving, "")), "somebody else")
	w.log("another installation imports a policy: %v", err)
	if err == nil && w.o.Break != TenantUnmarked {
		w.fail(singleWriter, twoInstallations)
	}
	w.double = x
}

// openDouble opens a host over another folder.
func (w *world) openDouble(what string, disk *state.MemoryDisk, id tenancy.Identity) *double {
	ctx := context.Background()
	x := &double{w: w, what: what, grants: map[string][]engine.Grant{}}
	s, err := disk.Open()
	if err != nil {
		w.fail(singleWriter, "opening %s: %v", what, err)
	}
	c, err := census.Open(ctx, []string{dirName}, func(context.Context, string) (census.Reader, error) {
		return &reader{w: w, dc: w.dir.first(), deaf: true}, nil
	}, nil)
	if err == nil {
		x.host, err = host.Open(ctx, host.Options{Store: s, Census: c, Tenant: otherTenant{x}, Cache: cloud.NewCache(delay), Engines: otherEngines{x}, Clock: otherClock{w},
			NewID: w.newID, GhostLife: ghostLife, Patience: time.Minute, Identity: id})
	}
	if err != nil {
		w.log("%s cannot be opened: %v", what, err)
		return nil
	}
	w.log("%s is opened on %s", what, id.Machine)
	return x
}

// run lets another host run an engine.
func (x *double) run() {
	w := x.w
	name := []string{connect, cloudsync}[w.r.IntN(2)]
	_, err := x.host.Sync(context.Background(), name, run.SyncOptions{Profile: engine.ProfileFull, By: "somebody else"})
	w.log("%s lets %s run: %v", x.what, name, err)
}

// moreHosts lets other hosts come up and act.
func (w *world) moreHosts() {
	switch {
	case !w.eyes[OtherHosts] || w.preparing:
	case w.backup == nil && w.fault(10):
		w.backUp()
	case w.double == nil && w.doubles < 3 && w.fault(10):
		w.appear()
	case w.double != nil && w.fault(30):
		w.double.run()
	case w.double != nil && w.fault(5):
		w.double = nil
	}
}

// handOver lets a person activate a restored backup elsewhere: from then on the first host may not write. It is the end of its story.
func (w *world) handOver() {
	x := w.double
	for _, e := range []string{connect, cloudsync} {
		if r, err := x.host.Sync(context.Background(), e, run.SyncOptions{Profile: engine.ProfileFull, By: "somebody else"}); err != nil || !r.Complete {
			w.fail(singleWriter, "%s cannot be looked at: %s: %v %v", x.what, e, err, r.Errors)
		}
	}
	if err := x.host.Activate(context.Background(), "somebody else", "the first machine burnt"); err != nil {
		w.fail(singleWriter, "%s cannot be activated: %v", x.what, err)
	}
	x.active = true
	w.counts["activated elsewhere"]++
	w.log("%s is activated: the first host may not write any more", x.what)
	w.pass(delay)
	for _, u := range w.living(scoping.User) {
		e := *u
		e.display = "D " + w.newName("late")
		w.dir.put(e)
	}
	for _, e := range []string{connect, cloudsync} {
		if _, err := w.syncAs(e, engine.ProfileDelta); !errors.Is(err, tenancy.ErrOtherHost) {
			w.fail(singleWriter, "the first host does not notice that another feeds the tenant: %s: %v", e, err)
		}
	}
}

// otherClock is the clock of another host: no actor does anything while that host sleeps.
type otherClock struct{ w *world }

func (c otherClock) Now() time.Time { return c.w.Now() }

func (c otherClock) SinceBoot() (string, time.Duration) {
	return "another machine's", c.w.now.Sub(start)
}

func (c otherClock) Sleep(_ context.Context, d time.Duration) error {
	c.w.pass(d)
	return nil
}

// otherTenant is the tenant as another host reaches it.
type otherTenant struct{ x *double }

var _ tenancy.Marker = otherTenant{}

// Send implements gate.Tenant: only a host that a person activated may come to this.
func (t otherTenant) Send(_ context.Context, ws []cloud.Write) []cloud.Result {
	w := t.x.w
	if !t.x.active {
		w.fail(singleWriter, otherWrites, t.x.what, ws[0].Op, ws[0].CloudID+ws[0].Anchor)
	}
	out := make([]cloud.Result, len(ws))
	for i, x := range ws {
		out[i] = w.tenant.effect(x)
	}
	return out
}

func (t otherTenant) Find(_ context.Context, k cloud.Key) ([]cloud.Object, error) {
	return t.x.w.tenant.find(k, false), nil
}

func (t otherTenant) Powerful(context.Context, []string) (map[string]string, error) {
	return map[string]string{}, nil
}

func (t otherTenant) Credential(ctx context.Context, id string) (cloud.CredentialState, bool, error) {
	k, there := t.x.w.tenant.keys[id]
	return k.CredentialState, there, nil
}

func (t otherTenant) Domains(context.Context) ([]string, string, error) {
	return slices.Clone(t.x.w.verified), initialDomain, nil
}

func (t otherTenant) Refresh(_ context.Context, c *cloud.Cache, now time.Time) ([]string, error) {
	return t.x.w.tenant.delta(c, now), nil
}

func (t otherTenant) Mark(ctx context.Context) (tenancy.Mark, bool, bool, error) {
	return marked{t.x.w.tenant}.Mark(ctx)
}

func (t otherTenant) SetMark(ctx context.Context, m tenancy.Mark) (bool, error) {
	return marked{t.x.w.tenant}.SetMark(ctx, m)
}

// otherEngines are the engines of another host: they propose everything, and remember nothing.
type otherEngines struct{ x *double }

func (e otherEngines) Names() []string { return []string{connect, cloudsync} }

func (e otherEngines) Describe(_ context.Context, name string) (engine.Description, error) {
	return e.x.w.description(name), nil
}

func (e otherEngines) Grant(_ context.Context, name string, g []engine.Grant) error {
	e.x.grants[name] = slices.Clone(g)
	return nil
}

func (e otherEngines) Health(string) (engine.Health, bool) { return engine.Health{OK: true}, true }

func (e otherEngines) Run(_ context.Context, name string, q engine.RunRequest, c engine.Conversation) ([]engine.RunReport, error) {
	w := e.x.w
	own := newEngine(w, name)
	own.rules = w.engines[name].rules
	own.space.objects = maps.Clone(w.dir.now.objects)
	for g := range own.space.objects {
		own.space.chains[g] = w.dir.now.chain(g)
	}
	r := &engineRun{e: own, w: w, q: q, grants: e.x.grants[name], view: w.dir.now, dc: w.dir.first(), due: map[scoping.GUID]scoping.Place{}, other: true}
	if err := c.Begin(w.engines[name].begin(w.dir.invocation, w.dir.now.usn)); err != nil {
		return nil, err
	}
	for _, refs := range []bool{false, true} {
		var batch []engine.Proposal
		for _, g := range r.candidates() {
			if p, ok := r.proposal(g, refs); ok {
				batch = append(batch, p)
			}
		}
		if len(batch) == 0 {
			continue
		}
		if _, err := c.Decide(batch); err != nil {
			return nil, err
		}
	}
	return []engine.RunReport{{Directory: dirName, DC: w.dir.invocation, USN: w.dir.now.usn, Read: len(w.dir.now.objects), Complete: true}}, nil
}
