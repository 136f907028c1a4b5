package simulation

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// The invariants, as violations name them.
const (
	singleWriter = "1 single writer"
	noDeath      = "2 no death by hand-over"
	nothingLost  = "3 nothing lost"
	wayBack      = "4 way back"
	noSurprise   = "5 no surprise"
	durable      = "durable before told"
	foldsSame    = "the log folds to the same ledger"
	epochs       = "epochs rise"
	owedOnce     = "owed records exactly once"
)

// checkHeard: a cutover takes over nothing that the target was silent about, unless a person approved it (rule P4).
func (w *world) checkHeard(id string) {
	w.catchUp()
	x := w.book.waves[id]
	if x.To == scoping.None {
		return // no engine takes over, so none could propose
	}
	for _, o := range w.book.scratch.Objects() {
		row, e := w.book.scratch.Rows.Get(o), w.dir.now.objects[o.GUID]
		if row.State != ledger.Live || w.told[o.GUID].deleted || w.newSince(id, e) || !w.coversWave(id, w.toldPlace(o.GUID), row.Kind, scoping.Base(row.Kind)) {
			continue
		}
		shown := slices.ContainsFunc(x.Examples, func(d wave.Difference) bool { return d.Object == o })
		if !w.book.proposed[id].objects[o.GUID] && !shown {
			w.failAbout(o.GUID, noSurprise, silentTaken, id, x.To, w.dir.now.dn(o.GUID))
		}
	}
}

// owner returns the owner at a place now, by the partition that control holds.
func (w *world) owner(p scoping.Place, k scoping.Kind, f scoping.Feature) scoping.Owner {
	if w.book.control.partition == nil {
		return scoping.Owner{Engine: scoping.None}
	}
	return w.book.control.partition.Owner(p, k, f)
}

// toldPlace is where the host was told that an object is.
func (w *world) toldPlace(g scoping.GUID) scoping.Place {
	p := scoping.Place{Directory: dirName}
	for at, ok := w.told[g]; ok && !at.parent.IsZero() && len(p.Ancestors) < 64; at, ok = w.told[at.parent] {
		p.Ancestors = append(p.Ancestors, at.parent)
	}
	p.Chosen = w.inForce(g)
	return p
}

// checkSend is asked at each physical attempt (invariant 1, rules D1, D3, P6).
func (w *world) checkSend(x cloud.Write) {
	w.catchUp()
	w.counts["send"]++
	o := w.book.scratch.Intents[x.ID]
	if o == nil {
		w.fail(durable, withoutIntent, x.Op, x.ID)
	}
	r := o.Record
	g := r.Object.GUID
	w.lastSent = g
	w.checkFed(x, g)
	if w.double != nil && w.double.active {
		w.failAbout(g, singleWriter, afterHandOver, r.Engine, x.Op, w.dir.now.dn(g))
	}
	place := w.toldPlace(g)
	owner := w.owner(place, r.Kind, r.Feature)
	row := w.book.scratch.Rows.Get(*r.Object)
	record, recorded := w.book.scratch.OwnerOfRecord(*r.Object, scoping.Base(r.Kind))
	w.log("wire: %s %s %s for %s %s (owner %s, record %s)", r.Engine, x.Op, x.CloudID, g, w.dir.now.dn(g), owner.Engine, record)
	switch {
	case x.Op == cloud.Delete && w.told[g].deleted:
		if recorded && record != r.Engine && record != scoping.None {
			w.failAbout(g, singleWriter, nonOwnerDeletes, r.Engine, w.dir.now.dn(g), record)
		}
	case owner.Engine == r.Engine:
	case owner.Engine == scoping.None && row != nil && (record == r.Engine || w.book.lastEngine[g] == r.Engine): // T2
	default:
		w.failAbout(g, singleWriter, nonOwnerSends, r.Engine, x.Op, w.dir.now.dn(g), owner.Engine)
	}
	for _, s := range w.book.stops {
		if (s.Engine == "" || s.Engine == r.Engine) && (s.Under == nil || s.Under.Covers(place)) {
			w.failAbout(g, singleWriter, "%s sends %s about %s while it is stopped", r.Engine, x.Op, w.dir.now.dn(g))
		}
	}
	for id, f := range w.book.frozen {
		if f.tight && w.now.Before(f.since.Add(wave.FreezeLimit)) && w.coversWave(id, place, r.Kind, r.Feature) {
			w.failAbout(g, singleWriter, "%s sends %s about %s, which wave %s has frozen", r.Engine, x.Op, w.dir.now.dn(g), id)
		}
	}
	if e, busy := w.tenant.wire[wireKey(x)]; busy {
		w.failAbout(g, singleWriter, "%s sends %s about %s while a request of %s is on the wire", r.Engine, x.Op, w.dir.now.dn(g), e)
	}
	for _, gh := range w.tenant.ghosts {
		if x.Op == cloud.SetPassword || gh.w.Op == cloud.SetPassword {
			continue // late ones are refused by their number, and change nothing else
		}
		if wireKey(gh.w) == wireKey(x) && !sameWrite(gh.w, x) && isLink(gh.w) == isLink(x) && gh.w.Op != cloud.Create {
			w.failAbout(g, singleWriter, mayTakeEffect, r.Engine, x.Op, w.dir.now.dn(g), gh.w.Op)
		}
	}
	w.checkLife(x, r)
	w.checkSurprise(x, r)
	w.noteSent(x, o, place)
	w.checkThreshold(x, r)
	w.checkBound(r)
}

func (w *world) coversWave(id string, p scoping.Place, k scoping.Kind, f scoping.Feature) bool {
	return slices.ContainsFunc(w.book.waves[id].Scopes(), func(s scoping.Scope) bool { return s.Writes(k, f) && s.Covers(p) })
}

// wireKey names what a write is about: the cloud object, or the anchor of the one to be made.
func wireKey(x cloud.Write) string {
	if x.CloudID != "" {
		return x.CloudID
	}
	return x.Anchor + x.Key
}

// isLink reports whether a write is one of references: such writes do not touch the object's own values.
func isLink(x cloud.Write) bool {
	return slices.Contains([]cloud.Op{cloud.AddMembers, cloud.RemoveMember, cloud.SetManager, cloud.ClearManager}, x.Op)
}

func sameWrite(a, b cloud.Write) bool {
	return a.Op == b.Op && cloud.Equal(a.Set, b.Set) && slices.Equal(a.Refs, b.Refs)
}

// onWire notes requests as in flight, and returns the function that ends this when they are answered.
func (w *world) onWire(ws []cloud.Write) func() {
	for _, x := range ws {
		if o := w.book.scratch.Intents[x.ID]; o != nil {
			w.tenant.wire[wireKey(x)] = o.Record.Engine
		}
	}
	return func() {
		for _, x := range ws {
			delete(w.tenant.wire, wireKey(x))
		}
	}
}

// checkLife: nothing is deleted whose directory object lives, no link is cut that the directory holds (rules D1, D3).
func (w *world) checkLife(x cloud.Write, r ledger.Record) {
	g := r.Object.GUID
	switch x.Op {
	case cloud.Delete:
		owner := w.owner(w.toldPlace(g), r.Kind, r.Feature)
		leaves := owner.Engine == scoping.None && owner.Leaving == scoping.Remove
		if !w.told[g].deleted && !leaves && r.Intent.Class != ledger.FilteredAway {
			w.failAbout(g, noDeath, livingDeleted, r.Engine, w.dir.now.dn(g))
		}
	case cloud.RemoveMember, cloud.ClearManager:
		e := w.evidence[g]
		if e == nil {
			w.failAbout(g, noDeath, "%s cuts a link of %s without having read it", r.Engine, w.dir.now.dn(g))
		}
		cut := x.Refs
		if x.Op == cloud.ClearManager {
			cut = r.Before[cloud.Manager]
		}
		for _, id := range cut {
			if x.Op == cloud.RemoveMember && w.byOthers(x.CloudID, id) {
				w.fail(noDeath, "%s cuts the link of %s to %s, which others wrote and the directory never had", r.Engine, w.dir.now.dn(g), id)
			}
			end, linked := w.book.scratch.ByCloud(id)
			if linked && !w.told[end.Object.GUID].deleted && (e.members[end.Object.GUID] || e.manager == end.Object.GUID) {
				w.failAbout(g, noDeath, linkCut, r.Engine, w.dir.now.dn(g), w.dir.now.dn(end.Object.GUID))
			}
		}
	}
}

// newSince reports whether a wave's verify could not judge an object as it is: it changed since the shadow run began, or came into the scopes since. A
// container that moved carries objects along that did not change themselves.
func (w *world) newSince(id string, e *entry) bool {
	then := w.book.shadow[id]
	place := then.place(e.guid)
	place.Chosen = w.book.proposed[id].chosen[e.guid]
	return e.usn > then.usn || !w.coversWave(id, place, e.kind, scoping.Base(e.kind))
}

// checkSurprise: what a wave's target creates or deletes was shown, or is new since (invariant 5).
func (w *world) checkSurprise(x cloud.Write, r ledger.Record) {
	wv, ok := w.book.waves[r.Wave]
	e := w.dir.now.objects[r.Object.GUID]
	if !ok || wv.To != r.Engine || (x.Op != cloud.Create && x.Op != cloud.Delete) || w.newSince(r.Wave, e) || e.deleted {
		return
	}
	place := w.toldPlace(e.guid)
	if !w.coversWave(r.Wave, place, r.Kind, r.Feature) || w.owner(place, r.Kind, r.Feature).Engine == scoping.None {
		return // the engine's own, in the same run; or a leaver, which the policy removes whichever engine owned it last (rule T4): no wave causes that
	}
	shown := slices.ContainsFunc(wv.Examples, func(d wave.Difference) bool { return d.Object == *r.Object && d.Op != "update" })
	if more := wv.Differences.Grave() > len(wv.Examples); !shown && !more { // of very many the wave's record names the first
		w.failAbout(e.guid, noSurprise, notShown, r.Wave, x.Op, w.dir.now.dn(e.guid), wv.Examples)
	}
}

// created is asked when a create takes effect: one cloud object per directory object, for ever (invariant 2).
func (w *world) created(a *account, x cloud.Write) {
	o := w.book.scratch.Intents[x.ID]
	if o == nil { // a ghost whose doubt has ended, or of an earlier life
		return
	}
	g := o.Record.Object.GUID
	a.object = g
	for _, old := range w.tenant.sorted() {
		if old.mine && old.object == g && !old.purged() && !old.foreign {
			w.failAbout(g, noDeath, madeTwice, w.dir.now.dn(g), a.id, old.id, old.truth().Deleted)
		}
	}
}

// deleted and unlinked are asked when these take effect; checkSend has looked at why.
func (w *world) deleted(a *account) {
	w.counts["deleted"]++
	w.book.vanished(a.id)
	if g := w.dir.anchors[a.anchor]; !w.told[g].deleted {
		w.note(g, LeftDeleted)
	}
}

func (w *world) unlinked(cloud.Write) { w.counts["unlinked"]++ }

// checkDecisions: what an engine is told is durable, and what did not settle is remembered (rules P1, P2).
func (w *world) checkDecisions(r *engineRun, ps []engine.Proposal, ds []engine.Decision, asked scoping.Epoch) {
	w.catchUp()
	if len(ds) != len(ps) {
		w.fail(durable, "%d decisions for %d proposals", len(ds), len(ps))
	}
	for i, d := range ds {
		p := ps[i]
		if w.o.Trace {
			w.log("decided %s %s %s: %v %v %v -> %s %s", r.e.name, p.Name, p.Feature, p.Want, p.Desired, p.Refs, d.Outcome, d.Code)
			if a := w.account(w.dir.now.objects[p.Object.GUID]); a != nil {
				w.log("  cache of %s: %v, truth %v %s", a.id, w.cached(a.id), a.truth().Members, a.truth().Manager)
				for _, m := range a.truth().Members {
					w.log("    %s: %s", m, w.linkedTo(m))
				}
			}
		}
		if d.Code == "not-seen" {
			w.note(p.Object.GUID, NotSeen)
		}
		at := w.census.Sight(p.Object).Place(dirName) // as the host knows it: of what it was told by a reading that broke off it knows nothing
		if d.Seq != p.Seq {
			w.fail(durable, "decision %d for proposal %d", d.Seq, p.Seq)
		}
		if d.Outcome.Settles() || d.Outcome == engine.Shadowed || r.q.Ceiling == engine.ModeShadow || w.owner(at, p.Kind, p.Feature).Engine != r.e.name {
			continue
		}
		if w.book.epoch != asked {
			continue // a scope changed hands meanwhile: it may have been answered as another's, and what follows then is found by comparison
		}
		if row := w.book.scratch.Rows.Get(p.Object); w.census.Sight(p.Object).Deleted && (row == nil || row.State == ledger.DeletedByTandem) {
			continue // it was deleted before it was linked, or again
		}
		if w.book.scratch.Runs[r.e.name] == nil || d.Outcome == engine.Partial || d.Code == "gone" {
			continue // its first run is not over; another object is owed
		}
		if len(w.host.Gate().DebtsOf(p.Object)) == 0 && d.Code != "not-seen" {
			w.failAbout(p.Object.GUID, durable, "%s was told %s (%s) of %s %s, and nothing is owed", r.e.name, d.Outcome, d.Code, p.Name, p.Feature)
		}
	}
}

// checkAll is asked after each step.
func (w *world) checkAll() {
	w.catchUp()
	w.checkLedger()
	w.checkIndex()
	w.checkTenant()
	w.checkFrozen()
	w.checkImages()
	for _, id := range slices.Sorted(maps.Keys(w.book.transfers)) {
		if x := w.book.waves[id]; x.CutoverAt == 0 && w.book.transfers[id] > 0 {
			w.fail(wayBack, "wave %s has handed over its scopes, and its record, in %s, does not know", id, x.Phase)
		}
	}
}

// checkIndex: what the host holds for owed, looking where something changed, is what comparison of everything finds (standing S3).
func (w *world) checkIndex() {
	for _, x := range w.host.Sweep() {
		w.failAbout(x.Key.Object.GUID, durable, indexDiffers, x.Key.Object, x.Key.Feature, x.Held, x.Found)
	}
}

// checkLedger: the host's ledger is what the log says.
func (w *world) checkLedger() {
	if w.faults && w.step%4 != 0 {
		return // it costs more than everything else
	}
	mine, err := json.Marshal(w.book.scratch)
	if err != nil {
		w.fail(foldsSame, "%v", err)
	}
	w.ledgerNow(func(s *ledger.State) {
		theirs, err := json.Marshal(s)
		if err != nil || !bytes.Equal(mine, theirs) {
			w.fail(foldsSame, "%v\n log  %s\n host %s", err, mine, theirs)
		}
	})
}

// checkTenant: at most one living or restorable cloud object per directory object (invariant 2).
func (w *world) checkTenant() {
	by := map[string]string{}
	for _, a := range w.tenant.sorted() {
		if a.anchor == "foreign" || a.purged() || a.foreign {
			continue
		}
		if old, twice := by[a.anchor]; twice {
			w.fail(noDeath, "anchor %s has two cloud objects, %s and %s", a.anchor, old, a.id)
		}
		by[a.anchor] = a.id
	}
}

// account returns the cloud object of a directory object, by anchor, not by the ledger: the living one, if others deleted an earlier one (they are free to,
// and the tenant keeps keys of living objects only).
func (w *world) account(e *entry) *account {
	if e.of != "" {
		return w.tenant.accounts[e.of]
	}
	keys := []string{anchorOf(e.guid), cloud.UniqueNameOf(e.guid[:])}
	var deleted *account
	for _, a := range w.tenant.sorted() {
		switch {
		case !slices.Contains(keys, a.anchor), a.purged():
		case !a.truth().Deleted:
			return a
		case deleted == nil:
			deleted = a
		}
	}
	return deleted
}
