package simulation

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Times of the simulated tenant.
const (
	delay     = 90 * time.Second    // every write shows in reads and delta within this
	ghostLife = 5 * time.Minute     // a request without an answer takes effect within this, or never
	retention = 30 * 24 * time.Hour // of deleted items
)

// version is what a tenant object looks like from a moment on.
type version struct {
	seq     uint64
	visible time.Time // in reads and delta
	object  cloud.Object
	purged  bool
}

// account is one cloud object with its history; the last version is the truth.
type account struct {
	id              string
	anchor          string // the anchor of its directory object; for groups their unique name
	versions        []version
	deletedAt       time.Time
	foreign         bool // others deleted it
	enabledByOthers bool
	mine            bool // Tandem created it
	object          scoping.GUID
}

func (a *account) truth() cloud.Object { return a.versions[len(a.versions)-1].object }
func (a *account) purged() bool        { return a.versions[len(a.versions)-1].purged }

// ghost is a request whose answer was lost, and that will still take effect.
type ghost struct {
	at time.Time
	w  cloud.Write
}

// tenant is the simulated tenant.
type tenant struct {
	w        *world
	accounts map[string]*account
	seq      uint64
	ghosts   []ghost
	made     int
	read     time.Time         // when the host asked last what changed
	lag      time.Duration     // of stories: how long changes are not shown
	lose     int               // how many answers to come are lost, although their writes take effect
	wire     map[string]string // cloud id or anchor -> engine, of requests being answered now
	flying   []flight          // requests that were sent and have not taken effect
	marks    []signed          // of which host feeds it
	keys     map[string]key    // by account
	doing    *cloud.Write      // what takes effect now; nil: a change by others
}

// flight is a request on its way.
type flight struct {
	sent time.Time
	w    cloud.Write
}

func newTenant(w *world) *tenant {
	return &tenant{w: w, accounts: map[string]*account{}, keys: map[string]key{}, wire: map[string]string{}}
}

var errTenant = errors.New("simulated: the tenant does not answer")

func (t *tenant) sorted() []*account {
	out := make([]*account, 0, len(t.accounts))
	for _, id := range slices.Sorted(maps.Keys(t.accounts)) {
		out = append(out, t.accounts[id])
	}
	return out
}

// set makes a new state of an account, visible after a while.
func (t *tenant) set(a *account, o cloud.Object) {
	t.seq++
	t.w.noteEffect(a, o, t.doing)
	lag := t.lag
	if t.w.faults {
		lag = time.Duration(t.w.r.IntN(int(delay/time.Second))) * time.Second
	}
	at := t.w.now.Add(lag + time.Millisecond)
	if n := len(a.versions); n > 0 && at.Before(a.versions[n-1].visible) {
		at = a.versions[n-1].visible // one object's changes show in their order
	}
	gone := o.Deleted && o.Kind == scoping.Contact // which no bin keeps
	if gone {
		t.w.saw(Contacts)
	}
	a.versions = append(a.versions, version{seq: t.seq, visible: at, object: o, purged: gone})
	if o.Deleted && a.deletedAt.IsZero() {
		a.deletedAt = t.w.now
	}
	if !o.Deleted {
		a.deletedAt = time.Time{}
	}
}

// seen returns the newest state of an account that reads show by now.
func (t *tenant) seen(a *account) (version, bool) { return a.shown(t.w.now) }

// shown returns the newest state of an account that reads showed at a time.
func (a *account) shown(at time.Time) (version, bool) {
	for _, v := range slices.Backward(a.versions) {
		if !v.visible.After(at) {
			return v, true
		}
	}
	return version{}, false
}

// settle lets time do its work: ghosts take effect, deleted items are purged.
func (t *tenant) settle() {
	due := slices.DeleteFunc(slices.Clone(t.ghosts), func(g ghost) bool { return g.at.After(t.w.now) })
	t.ghosts = slices.DeleteFunc(t.ghosts, func(g ghost) bool { return !g.at.After(t.w.now) })
	slices.SortStableFunc(due, func(a, b ghost) int { return a.at.Compare(b.at) })
	for _, g := range due {
		now := t.w.now
		t.w.now = g.at // it took effect then, although it is looked at only now
		r := t.effect(g.w)
		t.w.now = now
		t.w.log("ghost %s %s %s: %s %s", g.w.Op, g.w.CloudID, g.w.Anchor, r.Status, r.Code)
	}
	for _, a := range t.sorted() {
		if !a.deletedAt.IsZero() && !a.purged() && t.w.now.Sub(a.deletedAt) > retention {
			t.purge(a)
		}
	}
}

func (t *tenant) purge(a *account) {
	t.seq++
	o := a.truth()
	o.Deleted = true
	a.versions = append(a.versions, version{seq: t.seq, visible: t.w.now, object: o, purged: true})
}

// Send implements gate.Tenant.
func (t *tenant) Send(_ context.Context, ws []cloud.Write) []cloud.Result {
	w := t.w
	w.alive()
	t.settle()
	out := make([]cloud.Result, len(ws))
	for i := range ws {
		w.checkSend(ws[i])
	}
	defer w.onWire(ws)()
	for _, x := range ws {
		t.flying = append(t.flying, flight{w.now, keeps(x)})
	}
	for i, x := range ws {
		w.crashAt("tenant.send.before")
		w.interleave()
		t.settle()
		out[i] = t.attempt(x)
		t.flying = slices.DeleteFunc(t.flying, func(f flight) bool { return f.w.ID == x.ID })
		if o := w.book.scratch.Intents[x.ID]; o != nil && out[i].Status == cloud.Done {
			w.checkTries(x, o.Record)
		}
		if w.o.Break == DoubtIsFailure && out[i].Status == cloud.InDoubt {
			out[i] = rejected(500, "no-answer")
		}
		w.log("send %s %s %s%s %v %v -> %s %s %s", x.Op, x.Kind, x.CloudID, x.Anchor, x.Set, x.Refs, out[i].Status, out[i].Code, out[i].CloudID)
		if o := w.book.scratch.Intents[x.ID]; o != nil && out[i].Status == cloud.InDoubt && w.opens(ClockSteps, 50) {
			w.stepClock() // while it may still arrive, and something else is wanted
			w.orphans = append(w.orphans, o.Record.Object.GUID)
		}
		w.crashAt("tenant.send.after")
		w.interleave()
	}
	return out
}

// orphan ends the host's connections when it crashes. What it sent and what did not take effect yet may do so within ghostLife, or never.
func (t *tenant) orphan() {
	w := t.w
	if len(t.wire) > 0 {
		w.spared++
	}
	for _, f := range t.flying {
		if at := f.sent.Add(time.Duration(1+w.r.IntN(int(ghostLife/time.Second)-1)) * time.Second); w.eyes[InFlight] && at.After(w.now) && w.r.IntN(3) > 0 {
			w.saw(InFlight)
			w.note(w.book.sent[f.w.ID].object, InTheAir)
			w.orphans = append(w.orphans, w.book.sent[f.w.ID].object)
			w.log("in flight: %s %s%s takes effect at %s", f.w.Op, f.w.CloudID, f.w.Anchor, at.Format("15:04:05"))
			t.ghosts = append(t.ghosts, ghost{at, f.w})
		}
	}
	t.flying, t.wire = nil, map[string]string{}
}

// attempt is one write with its faults.
func (t *tenant) attempt(x cloud.Write) cloud.Result {
	w := t.w
	lost := cloud.Result{Status: cloud.InDoubt, Message: "no answer"}
	if t.lose > 0 {
		t.lose--
		t.effect(x)
		return lost
	}
	if !w.faults || w.r.IntN(100) >= w.o.Trouble {
		return t.effect(x)
	}
	switch w.r.IntN(6) {
	case 0:
		if o := w.book.scratch.Intents[x.ID]; o != nil {
			w.throttled = *o.Record.Object
		}
		return cloud.Result{Status: cloud.Throttled, HTTP: 429, RetryAfter: time.Duration(1+w.r.IntN(5)) * time.Second}
	case 1:
		return cloud.Result{Status: cloud.NotSent, Message: "no connection"}
	case 2:
		return lost
	case 3:
		t.ghosts = append(t.ghosts, ghost{w.now.Add(time.Duration(1+w.r.IntN(int(ghostLife/time.Second)-1)) * time.Second), keeps(x)})
		return lost
	case 4:
		t.effect(x)
		return lost
	}
	return t.effect(x)
}

func rejected(http int, code string) cloud.Result {
	_, blamed, _ := strings.Cut(code, cloud.CodeConflict+":")
	return cloud.Result{Status: cloud.Rejected, HTTP: http, Code: code, Message: "simulated", Conflict: http == 409, Attribute: blamed,
		Missing: http == 404 && code != cloud.CodeReferenceMissing}
}

func done(id string) cloud.Result { return cloud.Result{Status: cloud.Done, HTTP: 200, CloudID: id} }

// effect is what the tenant does, as Graph would.
func (t *tenant) effect(x cloud.Write) cloud.Result {
	if err := x.Valid(); err != nil {
		t.w.fail("only valid writes are sent", "%s %s: %v", x.Op, x.CloudID, err)
		return rejected(400, cloud.CodeImpossible)
	}
	t.doing = &x
	defer func() { t.doing = nil }()
	if x.Op == cloud.Create {
		return t.create(x)
	}
	a := t.accounts[x.CloudID]
	switch {
	case a == nil || a.purged():
		if x.Op == cloud.Delete {
			return done(x.CloudID)
		}
		return rejected(404, "Request_ResourceNotFound")
	case x.Op == cloud.Restore:
		return t.restore(a)
	case a.truth().Deleted:
		if x.Op == cloud.Delete {
			return done(x.CloudID)
		}
		return rejected(404, "Request_ResourceNotFound")
	}
	if x.Op == cloud.SetPassword {
		return t.setPassword(a, x)
	}
	o := a.truth().Clone()
	switch x.Op {
	case cloud.Update:
		if upn := x.Set.First(cloud.UPN); upn != "" && t.upnTaken(upn, a.id) {
			return rejected(409, cloud.CodeConflict+":userPrincipalName")
		}
		for k, v := range x.Set {
			if len(v) == 0 {
				delete(o.Values, k)
			} else {
				o.Values[k] = slices.Clone(v)
			}
		}
	case cloud.Delete:
		t.w.deleted(a)
		o.Deleted = true
		t.dropLinks(a.id)
	default:
		if r, bad := t.link(&o, x); bad {
			return r
		}
	}
	t.set(a, o)
	return done(a.id)
}

func (t *tenant) link(o *cloud.Object, x cloud.Write) (cloud.Result, bool) {
	there := func(id string) bool { a := t.accounts[id]; return a != nil && !a.purged() && !a.truth().Deleted }
	switch x.Op {
	case cloud.AddMembers:
		for _, id := range x.Refs {
			if !there(id) {
				return rejected(404, cloud.CodeReferenceMissing), true
			}
			if o.HasMember(id) && len(x.Refs) == 1 {
				r := done(x.CloudID)
				r.Code = cloud.CodeAlreadyMember
				return r, true
			}
			if o.HasMember(id) {
				return rejected(400, cloud.CodeAlreadyMember), true
			}
		}
		for _, id := range x.Refs {
			delete(t.w.others, othersLink{x.CloudID, id})
		}
		o.Members = slices.Compact(slices.Sorted(slices.Values(append(slices.Clone(o.Members), x.Refs...))))
	case cloud.RemoveMember:
		t.w.unlinked(x)
		o.Members = slices.DeleteFunc(slices.Clone(o.Members), func(id string) bool { return slices.Contains(x.Refs, id) })
	case cloud.SetManager:
		if !there(x.Refs[0]) {
			return rejected(404, cloud.CodeReferenceMissing), true
		}
		o.Manager = x.Refs[0]
	case cloud.ClearManager:
		o.Manager = ""
	}
	return cloud.Result{}, false
}

// dropLinks takes a deleted object out of all references, as Entra does.
func (t *tenant) dropLinks(id string) {
	for _, a := range t.sorted() {
		o := a.truth()
		if o.Deleted || (!o.HasMember(id) && o.Manager != id) {
			continue
		}
		o = o.Clone()
		o.Members = slices.DeleteFunc(o.Members, func(m string) bool { return m == id })
		if o.Manager == id {
			o.Manager = ""
		}
		t.set(a, o)
	}
}

func (t *tenant) upnTaken(upn, but string) bool {
	for _, a := range t.sorted() {
		if a.id != but && !a.purged() && !a.truth().Deleted && strings.EqualFold(a.truth().Values.First(cloud.UPN), upn) {
			return true
		}
	}
	return false
}

// keyOf is the property by which the tenant makes an object of a kind once.
var keyOf = map[scoping.Kind]string{scoping.User: cloud.ImmutableID, scoping.Group: cloud.UniqueName, scoping.Contact: cloud.SourceAnchor}

func (t *tenant) create(x cloud.Write) cloud.Result {
	key := x.Anchor
	if x.Kind == scoping.Group {
		key = x.Key
	}
	for _, a := range t.sorted() {
		if a.anchor == key && !a.purged() && !a.truth().Deleted && t.w.o.Break != CreateWithoutKey {
			if x.Kind != scoping.Group {
				return rejected(409, cloud.CodeConflict+":"+keyOf[x.Kind])
			}
			o := a.truth().Clone() // an upsert
			maps.Copy(o.Values, x.Set.Clone())
			t.set(a, o)
			return done(a.id)
		}
	}
	if upn := x.Set.First(cloud.UPN); upn != "" && t.upnTaken(upn, "") && t.w.o.Break != CreateWithoutKey {
		return rejected(409, cloud.CodeConflict+":userPrincipalName")
	}
	a := &account{id: t.cloudID(), anchor: key, mine: true}
	t.w.created(a, x)
	t.accounts[a.id] = a
	v := x.Set.Clone()
	v[keyOf[x.Kind]] = []string{key}
	t.set(a, cloud.Object{ID: a.id, Kind: x.Kind, Values: v})
	return done(a.id)
}

func (t *tenant) restore(a *account) cloud.Result {
	o := a.truth().Clone()
	if !o.Deleted {
		return done(a.id)
	}
	if upn := o.Values.First(cloud.UPN); upn != "" && t.upnTaken(upn, a.id) {
		return rejected(409, cloud.CodeConflict+":userPrincipalName")
	}
	o.Deleted, o.Members, o.Manager = false, nil, ""
	a.foreign = false
	t.set(a, o)
	return done(a.id)
}

// Find implements gate.Tenant: a direct read, which may lag.
func (t *tenant) Find(_ context.Context, k cloud.Key) ([]cloud.Object, error) {
	w := t.w
	w.alive()
	t.settle()
	if w.fault(3) {
		return nil, errTenant
	}
	w.interleave()
	return t.find(k, w.faults && w.r.IntN(3) == 0), nil
}

// find reads objects as they are, or as reads show them that lag.
func (t *tenant) find(k cloud.Key, stale bool) (out []cloud.Object) {
	for _, a := range t.sorted() {
		v, ok := a.versions[len(a.versions)-1], true
		if stale {
			v, ok = t.seen(a)
		}
		if !ok || v.purged || v.object.Deleted != k.Deleted || v.object.Kind != k.Kind {
			continue
		}
		o := v.object
		switch {
		case k.ID != "" && k.ID == o.ID, k.Anchor != "" && k.Anchor == o.Anchor(), k.UPN != "" && strings.EqualFold(k.UPN, o.Values.First(cloud.UPN)),
			k.UniqueName != "" && k.UniqueName == o.Values.First(cloud.UniqueName):
			out = append(out, o.Clone())
		}
	}
	return out
}

// Powerful implements gate.Tenant: no account holds power here.
func (t *tenant) Powerful(context.Context, []string) (map[string]string, error) {
	t.w.alive()
	if t.w.fault(2) {
		return nil, errTenant
	}
	t.w.interleave()
	return map[string]string{}, nil
}

// Domains implements host.Tenant.
func (t *tenant) Domains(context.Context) ([]string, string, error) {
	t.w.alive()
	t.w.preparing = true
	if t.w.fault(1) {
		return nil, "", errTenant
	}
	return slices.Clone(t.w.verified), initialDomain, nil
}

// Refresh implements host.Tenant: delta since the cache's token, or everything.
func (t *tenant) Refresh(_ context.Context, c *cloud.Cache, now time.Time) ([]string, error) {
	w := t.w
	w.alive()
	w.preparing = true
	t.settle()
	if w.fault(2) {
		return nil, errTenant
	}
	changed := t.delta(c, now)
	w.maybe(8, w.changeDirectory)
	return changed, nil
}

// delta commits to a cache what changed since its token, or everything, and returns the ids that changed.
func (t *tenant) delta(c *cloud.Cache, now time.Time) []string {
	w := t.w
	if c == w.cache {
		t.read = w.now
	}
	token := c.Token("sim")
	full := token == "" || w.fault(3)
	since, _ := time.Parse(time.RFC3339Nano, token)
	r := cloud.Refresh{Began: now, Tokens: map[string]string{"sim": w.now.Format(time.RFC3339Nano)}}
	page := cloud.Page{}
	if full {
		r.Full = []scoping.Kind{scoping.User, scoping.Group, scoping.Contact}
		since = time.Time{}
	}
	removed := false
	for _, a := range t.sorted() {
		v, ok := t.seen(a)
		switch {
		case !ok || (!full && !v.visible.After(since)):
		case v.object.Deleted && !full:
			page.Removed = append(page.Removed, cloud.Removal{ID: a.id, Kind: v.object.Kind, Hard: v.purged})
			removed = true
		case !v.object.Deleted:
			page.Upserts = append(page.Upserts, t.upsert(a, v, since))
		}
	}
	r.Pages = []cloud.Page{page}
	if removed || full {
		for _, a := range t.sorted() {
			if v, ok := t.seen(a); ok && v.object.Deleted && !v.purged {
				r.Deleted = append(r.Deleted, v.object.Clone())
			}
		}
	}
	return c.Commit(r)
}

// upsert returns an object as delta would show it: its values and members, and as removed what only earlier states had.
func (t *tenant) upsert(a *account, v version, since time.Time) cloud.Upsert {
	u := cloud.Upsert{ID: a.id, Kind: v.object.Kind, Values: v.object.Values.Clone(), Manager: &v.object.Manager, AddMembers: v.object.Members}
	for _, old := range a.versions {
		for name := range old.object.Values {
			if _, has := u.Values[name]; !has {
				u.Values[name] = nil
			}
		}
		for _, m := range old.object.Members {
			if !v.object.HasMember(m) {
				u.RemoveMembers = append(u.RemoveMembers, m)
			}
		}
	}
	slices.Sort(u.RemoveMembers)
	u.RemoveMembers = slices.Compact(u.RemoveMembers)
	return u
}
