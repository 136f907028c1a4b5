package gate

import (
	"context"
	"encoding/base64"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// byAnchor finds candidates in the cache: users and contacts by their anchor, groups by the key that Tandem creates them under (rule J3).
func (g *Gate) byAnchor(k scoping.Kind, anchor string) (live, bin []cloud.Object) {
	if k != scoping.Group {
		return g.o.Cache.ByAnchor(k, anchor), g.o.Cache.DeletedByAnchor(k, anchor)
	}
	raw, err := base64.StdEncoding.DecodeString(anchor)
	if err != nil {
		return nil, nil
	}
	if o, ok := g.o.Cache.ByUniqueName(cloud.UniqueNameOf(raw)); ok {
		live = []cloud.Object{o}
	}
	return live, nil
}

func anchorKeys(k scoping.Kind, anchor string) []cloud.Key {
	if k != scoping.Group {
		return []cloud.Key{{Kind: k, Anchor: anchor}}
	}
	raw, err := base64.StdEncoding.DecodeString(anchor)
	if err != nil {
		return nil
	}
	return []cloud.Key{{Kind: k, UniqueName: cloud.UniqueNameOf(raw)}}
}

// look reads objects directly from the tenant into the cache.
func (g *Gate) look(ctx context.Context, keys []cloud.Key) error {
	for _, k := range keys {
		os, err := g.o.Tenant.Find(ctx, k)
		if err != nil {
			return fmt.Errorf("reading a tenant object directly: %w", err)
		}
		g.learn(os)
	}
	return nil
}

// learn takes directly read live objects into the cache.
func (g *Gate) learn(os []cloud.Object) {
	for _, o := range os {
		if o.Deleted {
			continue
		}
		old, _ := g.o.Cache.Get(o.ID)
		var drop []string
		for _, m := range old.Members {
			if !o.HasMember(m) {
				drop = append(drop, m)
			}
		}
		m := o.Manager
		g.o.Cache.Apply(cloud.Page{Upserts: []cloud.Upsert{{ID: o.ID, Kind: o.Kind, Values: o.Values, Manager: &m, AddMembers: o.Members, RemoveMembers: drop,
			Synced: &o.Synced, Guest: &o.Guest, Mailed: &o.Mailed, Role: &o.Role}}}, time.Time{})
	}
}

// after returns the time a duration from now, on the steady scale in ms.
func (g *Gate) after(d time.Duration) int64 { return g.steady() + d.Milliseconds() }

// Recover puts every write that an earlier process may have sent in doubt (rule X3). It is called before the first session; later it finds writes
// whose answer could not be made durable. Requests in flight are left alone.
func (g *Gate) Recover(ctx context.Context) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	until := g.after(g.o.GhostLife)
	if !g.o.Without.doubtsAfterCrash() {
		until = 0
	}
	var rs []ledger.Record
	for _, o := range g.o.Ledger.Doubts() {
		if _, sent := g.flying[o.Record.Intent.Write.ID]; o.Doubt || sent {
			continue
		}
		r := o.Record
		r.Type, r.At, r.Reason = ledger.SettleType, 0, "no answer to it was written down"
		r.Settle = &ledger.Settlement{Intent: r.Intent.Write.ID, Result: cloud.Result{Status: cloud.InDoubt, Message: r.Reason}, Until: until}
		r.Intent, r.Claim = nil, nil
		rs = append(rs, r)
	}
	return len(rs), g.record(ctx, append(rs, g.recoverDeliveries()...))
}

// EndDoubts tries to end the doubts (rules P6, X3): the tenant shows the write's effect; or the same idempotent write, if still entitled, is sent
// again; or GhostLife has passed. It returns how many remain.
func (g *Gate) EndDoubts(ctx context.Context) (open int, err error) {
	if _, err := g.Recover(ctx); err != nil {
		return 0, err
	}
	g.mu.Lock()
	var doubts []ledger.Open
	for _, o := range g.o.Ledger.Doubts() {
		if o.Doubt {
			doubts = append(doubts, *o)
		}
	}
	g.mu.Unlock()
	for _, o := range doubts {
		ended, err := g.endDoubt(ctx, o)
		if err != nil {
			return open, err
		}
		if !ended {
			open++
		}
	}
	return open, nil
}

func (g *Gate) endDoubt(ctx context.Context, o ledger.Open) (bool, error) {
	w := o.Record.Intent.Write
	if w.Op == cloud.SetPassword {
		return g.endPasswordDoubt(ctx, o)
	}
	found, err := g.findFor(ctx, w)
	if err != nil {
		return false, err
	}
	if shows(w, found) && !g.early(o) {
		// Another writer may have set the same value before, and the request may still be on its way: until it cannot arrive any more nothing
		// different is sent.
		return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "seen", CloudID: idOf(found, w), Quiet: o.Until})
	}
	if g.after(-g.o.Cache.Delay()) >= o.Until { // the effect of the last possible arrival must have had time to show (rule V2)
		if w.Op == cloud.Delete && found == nil { // neither live nor in the deleted items: purged from there
			return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "seen", CloudID: w.CloudID})
		}
		return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "expired", Shown: shownOf(w, found)})
	}
	if w.Op == cloud.Create && found != nil { // in the deleted items: sending it again would make a second one
		return false, nil
	}
	if g.Authority().ReadOnly != "" { // a host that may not write does not renew the tenant's mark either (rule H2)
		return false, nil
	}
	if err := g.entitle(ctx); err != nil {
		return false, err
	}
	if !g.mayRepeat(o) {
		return false, nil
	}
	return g.repeat(ctx, o)
}

// repeat sends a write in doubt once more. The attempt is durable before it is sent: after a crash the doubt has to be counted from this attempt, not
// from the one before (rule P6).
func (g *Gate) repeat(ctx context.Context, o ledger.Open) (bool, error) {
	w := o.Record.Intent.Write
	sent := cloud.Result{Status: cloud.InDoubt, Message: "it is sent once more"}
	if err := g.prolong(ctx, o, sent, g.after(g.o.RequestTime+g.o.GhostLife)); err != nil {
		g.answered(w)
		return false, err
	}
	r := g.o.Tenant.Send(ctx, []cloud.Write{w})[0]
	g.answered(w)
	switch r.Status {
	case cloud.Done:
		g.o.Cache.Settled(w, r, g.steadyTime())
		return true, g.closeDoubt(ctx, o, ledger.DoubtEnd{How: "repeated", CloudID: r.CloudID, Quiet: o.Until})
	case cloud.InDoubt:
		return false, g.prolong(ctx, o, r, g.after(g.o.GhostLife))
	}
	return false, g.prolong(ctx, o, cloud.Result{Status: cloud.InDoubt, Message: r.Status.String() + ": " + r.Message}, o.Until) // this attempt did nothing
}

// answered removes a write from the requests in flight.
func (g *Gate) answered(w cloud.Write) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flying, w.ID)
}

// early reports whether a read may still show the state before the write, or before the answered write that preceded it: the tenant may show the
// older of two values again, and an object deleted and restored looks the same either way (rule V2).
func (g *Gate) early(o ledger.Open) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	shown := g.after(-g.o.Cache.Delay()) // the tenant shows what was written before this
	if op := o.Record.Intent.Write.Op; op == cloud.Restore || op == cloud.Delete {
		return shown < o.Record.Moment()
	}
	row := g.o.Ledger.Rows.Get(*o.Record.Object)
	return row != nil && shown < row.Wrote
}

func shows(w cloud.Write, found *cloud.Object) bool {
	if w.Op == cloud.Create {
		return found != nil && !found.Deleted // the key is derived by Tandem: what has it was made by it
	}
	return w.Shows(found)
}

// shownOf returns the references of a write that the tenant shows.
func shownOf(w cloud.Write, found *cloud.Object) []string {
	if found == nil || (w.Op != cloud.AddMembers && w.Op != cloud.RemoveMember) {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(w.Refs), func(id string) bool { return !found.HasMember(id) })
}

func idOf(found *cloud.Object, w cloud.Write) string {
	if found != nil {
		return found.ID
	}
	return w.CloudID
}

// findFor reads the object of a write directly, live or deleted.
func (g *Gate) findFor(ctx context.Context, w cloud.Write) (*cloud.Object, error) {
	keys := []cloud.Key{{Kind: w.Kind, ID: w.CloudID}}
	if w.Op == cloud.Create {
		keys = anchorKeys(w.Kind, w.Anchor)
	}
	if w.Op == cloud.Create { // the new object may have been deleted since
		for _, k := range keys {
			k.Deleted = true
			keys = append(keys, k)
		}
	}
	if w.Op == cloud.Delete {
		keys = append(keys, cloud.Key{Kind: w.Kind, ID: w.CloudID, Deleted: true})
	}
	for _, k := range keys {
		os, err := g.o.Tenant.Find(ctx, k)
		if err != nil {
			return nil, fmt.Errorf("reading a tenant object in doubt: %w", err)
		}
		g.learn(os)
		if len(os) > 0 {
			return &os[0], nil
		}
	}
	return nil, nil
}

// mayRepeat reports whether the same engine may send the same write again; if so it counts as in flight.
func (g *Gate) mayRepeat(o ledger.Open) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	r := o.Record
	sight := g.o.Census.Sight(*r.Object)
	place := PlaceOf(*r.Object, sight, g.o.Ledger.Rows.Get(*r.Object))
	own := g.auth.Owner(place, r.Kind, r.Feature)
	leaver := r.Intent.Claim.Owner == scoping.None // last values are not meant for an object that came back
	same := own.Engine == r.Engine && r.Epoch.Compare(own.Epoch) >= 0 && !leaver
	alive := sight.Known && !sight.Deleted
	if r.Intent.Write.Op == cloud.Delete {
		alive = !alive
	}
	if !same || !alive || g.auth.Stopped(r.Engine, place) != "" || g.isFrozen(place, r.Kind, r.Feature) || g.o.Tenure() < g.o.RequestTime {
		return false
	}
	g.flying[r.Intent.Write.ID] = flight{object: *r.Object, place: place, kind: r.Kind, feature: r.Feature}
	return true
}

// prolong records until when a doubt lasts now.
func (g *Gate) prolong(ctx context.Context, o ledger.Open, r cloud.Result, until int64) error {
	rec := o.Record
	rec.Type, rec.At, rec.Steady = ledger.SettleType, 0, 0
	rec.Settle = &ledger.Settlement{Intent: o.Record.Intent.Write.ID, Result: r, Until: until}
	rec.Intent = nil
	return g.Record(ctx, rec)
}

func (g *Gate) closeDoubt(ctx context.Context, o ledger.Open, d ledger.DoubtEnd) error {
	r := o.Record
	w := r.Intent.Write
	d.Intent = w.ID
	if d.How == "seen" {
		g.o.Cache.Settled(w, cloud.Result{Status: cloud.Done, CloudID: d.CloudID}, g.steadyTime())
	}
	end := ledger.Record{Type: ledger.DoubtType, Engine: r.Engine, Wave: r.Wave, Object: r.Object, Kind: r.Kind, Name: r.Name, Feature: r.Feature, Op: r.Op, Epoch: r.Epoch,
		Outcome: engine.Applied, Reason: d.How, Doubt: &d}
	if d.How == "expired" {
		end.Outcome = engine.Failed
	}
	return g.Record(ctx, end)
}
