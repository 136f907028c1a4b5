package simulation

import (
	"bytes"
	"context"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
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

// frozenScope is what the simulator knows of a freeze: since when, and whether the wire was found quiet.
type frozenScope struct {
	since time.Time
	tight bool
}

// book is the simulator's own record.
type book struct {
	scratch *ledger.State // folded from the durable log alone
	control struct {
		raw       []byte
		partition *scoping.Partition
	}
	waves        map[string]wave.Wave
	stops        []gate.Stop
	epoch        scoping.Epoch
	installation string
	debt         uint64
	places       map[scoping.GUID]scoping.Place // when a cutover began, as the host knew them
	newest       uint64                         // the highest record read so far, crashes included
	crashes      int
	reread       bool // everything is read anew, after a crash
	commits      int  // of control, when it was read last
	frozen       map[string]*frozenScope
	shadow       map[string]snapshot     // wave -> the directory when its shadow run began
	proposed     map[string]hearing      // by wave: what its target proposed in the shadow run
	transfers    map[string]int          // by wave
	parked       map[scoping.GUID]bool   // a change of policy left them to nobody, as they are (rule T4)
	hollow       map[scoping.GUID]stays  // by choice: its group says nothing
	lastEngine   map[scoping.GUID]string // the engine that settled the base feature last
	imageBook
	tries        map[try]int
	wishes       map[wish][]time.Time
	lastWish     map[scoping.GUID]wish // the newest of each object
	standings    map[string]*standingOf
	controlRead  time.Time                // when control was read last, in elapsed time
	decoded      map[string]ledger.Record // by their bytes
	decodedWaves map[string]wave.Wave
	deletes      map[batch]map[scoping.GUID]bool
}

func newBook() book {
	return book{scratch: ledger.New(), frozen: map[string]*frozenScope{}, shadow: map[string]snapshot{}, waves: map[string]wave.Wave{}, proposed: map[string]hearing{}, transfers: map[string]int{}, hollow: map[scoping.GUID]stays{}, parked: map[scoping.GUID]bool{}, lastEngine: map[scoping.GUID]string{}, imageBook: newImageBook(), tries: map[try]int{}, wishes: map[wish][]time.Time{}, lastWish: map[scoping.GUID]wish{}, standings: map[string]*standingOf{}, deletes: map[batch]map[scoping.GUID]bool{},
		decoded: map[string]ledger.Record{}, decodedWaves: map[string]wave.Wave{}}
}

// checkHeard: a cutover takes over nothing that the target was silent about, unless somebody approved it (rule P4).
func (w *world) checkHeard(id string) {
	w.catchUp()
	x := w.book.waves[id]
	if x.To == scoping.None {
		return // nobody is there to say anything
	}
	for _, o := range w.book.scratch.Objects() {
		row, e := w.book.scratch.Rows.Get(o), w.dir.now.objects[o.GUID]
		if row.State != ledger.Live || w.told[o.GUID].dead || w.newSince(id, e) || !w.coversWave(id, w.toldPlace(o.GUID), row.Kind, scoping.Base(row.Kind)) {
			continue
		}
		shown := slices.ContainsFunc(x.Examples, func(d wave.Difference) bool { return d.Object == o })
		if !w.book.proposed[id].objects[o.GUID] && !shown {
			w.failAbout(o.GUID, noSurprise, silentTaken, id, x.To, w.dir.now.dn(o.GUID))
		}
	}
}

// heard notes what a full run under a ceiling proposed, if it is a wave's shadow run: the first of its target since the act began. A plan's run looks the
// same, and is none.
func (b *book) heard(r *engineRun, g scoping.GUID) {
	if r.q.Ceiling != engine.ModeShadow || r.q.Profile != engine.ProfileFull {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(b.proposed)) {
		h := b.proposed[id]
		if h.engine != r.e.name || (h.run != 0 && h.run != r.q.Run) {
			continue
		}
		if h.run == 0 {
			h.chosen = map[scoping.GUID][]scoping.GUID{}
			for g := range r.w.dir.now.objects {
				h.chosen[g] = r.w.inForce(g)
			}
		}
		h.run = r.q.Run
		b.proposed[id] = h
		h.objects[g] = true
	}
}

// hearing is what the run of a wave's target proposed.
type hearing struct {
	engine  string
	run     uint64 // 0: it has not begun
	objects map[scoping.GUID]bool
	chosen  map[scoping.GUID][]scoping.GUID // the choices that took each when it began
}

// forget drops what ended with the host's process.
func (b *book) forget() {
	b.frozen = map[string]*frozenScope{}
	b.transfers, b.parked = map[string]int{}, map[scoping.GUID]bool{}
	b.scratch, b.debt = ledger.New(), 0 // what was not synced is not there any more
}

// act hears which act of a wave begins.
func (b *book) act(w *world, id string, a wave.Act) {
	switch a {
	case wave.ActShadowRun:
		w.catchUp()
		b.shadow[id] = w.dir.now
		if w.dir.behind != nil { // host and engine may read what the controller that lags shows, and no newer
			b.shadow[id] = *w.dir.behind
		}
		b.proposed[id] = hearing{engine: b.waves[id].To, objects: map[scoping.GUID]bool{}}
		delete(b.frozen, id)
	case wave.ActFreeze:
		if b.frozen[id] == nil {
			b.frozen[id] = &frozenScope{since: w.now}
		}
	case wave.ActVerifyNew, wave.ActCutover, wave.ActFlipBack:
		if a == wave.ActCutover {
			w.checkHeard(id)
			b.places = map[scoping.GUID]scoping.Place{}
			for g := range w.told {
				b.places[g] = w.toldPlace(g)
			}
		}
		if f := b.frozen[id]; f != nil {
			f.tight = true
		}
	default:
		delete(b.frozen, id)
	}
}

// catchUp folds what the durable log holds by now, and reads control.
func (w *world) catchUp() {
	b := &w.book
	ctx := context.Background()
	b.reread = b.crashes != w.counts["crash"]
	b.crashes = w.counts["crash"]
	err := w.readLog(func(e state.LogEntry) error {
		if e.Owed > 0 {
			if e.Owed != b.debt && e.Owed != b.debt+1 {
				w.fail(owedOnce, "record %d pays debt %d after %d", e.Seq, e.Owed, b.debt)
			}
			b.debt = e.Owed
		}
		r, err := b.decode(e.Record)
		if err != nil {
			return err
		}
		b.count(w, r)
		w.recall(r, e.Seq > b.newest)
		if w.o.Trace {
			w.log("log %d: %s %s %s %s %s %s %s %s", e.Seq, r.Type, r.Engine, r.Name, r.Feature, r.Op, r.Outcome, r.Code, r.Reason)
		}
		if r.Type == ledger.TransferType {
			if w.o.Trace {
				w.log("  transfer of %+v", *r.Transfer)
			}
			if b.transfers[r.Wave]++; b.transfers[r.Wave] == 1 && e.Seq > b.newest {
				w.checkPaused(r.Wave)
			}
			b.transferred(e.Seq, r)
			b.park(*r.Transfer)
			for _, t := range b.scratch.Transfers {
				if reflect.DeepEqual(t, *r.Transfer) {
					w.fail(owedOnce, "transfer at %s stands twice in the log", t.At)
				}
			}
		}
		if r.Type == ledger.DecisionType && r.Engine != scoping.None && r.Feature == scoping.Base(r.Kind) && (r.Outcome == engine.Applied || r.Outcome == engine.Unchanged) {
			b.lastEngine[r.Object.GUID] = r.Engine
			delete(b.parked, r.Object.GUID)
		}
		if r.Type == ledger.DecisionType && r.Code == "rejected" && r.Outcome == engine.Unchanged {
			b.parked[r.Object.GUID] = true // a person lets a leaver stay
		}
		due := w.handedOver(e.Seq, r)
		if err := b.scratch.Fold(e.Seq, r); err != nil {
			return err
		}
		w.checkHandedOver(due, r)
		return nil
	})
	commits := w.points[state.FailControlAfterCommit] + w.counts["crash"]
	if err == nil && b.commits != commits {
		b.commits, err = commits, w.store.Control.View(ctx, w.readControl)
	}
	w.alive()
	if err != nil {
		w.fail("log and control can be read", "%v", err)
	}
}

// decode decodes a record; after a crash each is read again.
func (b *book) decode(raw []byte) (ledger.Record, error) {
	if r, ok := b.decoded[string(raw)]; ok {
		return r, nil
	}
	r, err := ledger.Decode(raw)
	if err == nil {
		b.decoded[string(raw)] = r
	}
	return r, err
}

// count notes how often choices mattered.
func (b *book) count(w *world, r ledger.Record) {
	switch {
	case r.Type == ledger.TransferType && len(r.Transfer.Scope.With) > 0:
		w.counts["chosen transfer"]++
	case r.Type == ledger.HoldType && r.Hold.Class == ledger.OwnerChanges:
		w.counts["owners held"]++
	case r.Type == ledger.PlaceType && len(r.Claim.Chosen) > 0:
		w.counts["chosen place"]++
	}
}

// park notes whom a transfer leaves to nobody.
func (b *book) park(t scoping.Transfer) {
	if t.To != scoping.None {
		return
	}
	for id, row := range b.scratch.Rows.All() {
		f := scoping.Base(row.Kind)
		l := row.Features[f]
		if l != nil && t.Scope.Writes(row.Kind, f) && t.Scope.Covers(scoping.Place{Directory: id.Directory, Ancestors: l.Chain, Chosen: l.Chosen}) {
			b.parked[id.GUID] = true
		}
	}
}

// handedOver gives, of a cutover's transfer that is new, the objects whose owner of record it has to change: those that the host knows in its scope and that
// settled there (rule L1).
func (w *world) handedOver(seq uint64, r ledger.Record) (due []scoping.ObjectID) {
	b := &w.book
	fresh := seq > b.newest && !b.reread // what is read after a crash may have been written before it
	b.newest = max(b.newest, seq)
	if r.Type != ledger.TransferType || !fresh || b.waves[r.Wave].To != r.Transfer.To {
		return nil
	}
	for _, id := range b.scratch.Objects() {
		row := b.scratch.Rows.Get(id)
		f := scoping.Base(row.Kind)
		_, pending := b.scratch.Pending(id)
		record, known := b.scratch.OwnerOfRecord(id, f)
		t := r.Transfer.Scope
		if row.State == ledger.Live && row.Transit == nil && !pending && known && record == r.Transfer.From && t.Writes(row.Kind, f) && !w.told[id.GUID].dead && t.Covers(w.toldPlace(id.GUID)) && t.Covers(b.places[id.GUID]) {
			due = append(due, id)
		}
	}
	return due
}

func (w *world) checkHandedOver(due []scoping.ObjectID, r ledger.Record) {
	for _, id := range due {
		if record, _ := w.book.scratch.OwnerOfRecord(id, scoping.Base(w.book.scratch.Rows.Get(id).Kind)); record != r.Transfer.To {
			w.failAbout(id.GUID, noDeath, keptByOld, r.Wave, r.Transfer.To, w.dir.now.dn(id.GUID), record)
		}
	}
}

// tap listens to what becomes durable, which is cheaper than reading it back. After a crash everything is read back.
type tap struct {
	state.Log
	w *world
}

// Append implements state.Log.
func (t tap) Append(ctx context.Context, batch [][]byte) (uint64, error) {
	last, err := t.Log.Append(ctx, batch)
	if err != nil && t.w.o.Break == FailureIsSuccess && !t.w.dead {
		head, _ := t.Log.Head()
		return head + uint64(len(batch)), nil
	}
	if err == nil {
		for i, b := range batch {
			t.w.checkSecrets(b)
			t.w.tapped = append(t.w.tapped, state.LogEntry{Seq: last - uint64(len(batch)-1-i), Record: b})
			if r, err := ledger.Decode(b); t.w.diesAfter != "" && err == nil && r.Type == t.w.diesAfter {
				t.w.diesAfter = ""
				t.w.log("CRASH after a record of type %s", r.Type)
				t.w.dead = true
				panic(crash{})
			}
		}
	}
	return last, err
}

// readLog reads what is new in the log.
func (w *world) readLog(each func(state.LogEntry) error) error {
	for _, e := range w.tapped {
		if e.Seq == w.book.scratch.Seq+1 {
			if err := each(e); err != nil {
				return err
			}
		}
	}
	w.tapped = w.tapped[:0]
	if seq, _ := w.store.Log.Head(); seq == w.book.scratch.Seq {
		return nil
	}
	return w.store.Log.ReadChained(context.Background(), w.book.scratch.Seq+1, each)
}

func (w *world) readControl(tx state.Tx) error {
	b := &w.book
	if raw := tx.Get("host", "partition"); !bytes.Equal(raw, b.control.raw) {
		b.control.raw, b.control.partition = slices.Clone(raw), new(scoping.Partition)
		if err := json.Unmarshal(raw, b.control.partition); err != nil {
			return err
		}
	}
	var head struct {
		Epoch        scoping.Epoch `json:"epoch"`
		Installation string        `json:"installation"`
	}
	if raw := tx.Get("host", "head"); raw != nil {
		if err := json.Unmarshal(raw, &head); err != nil {
			return err
		}
	}
	if head.Epoch.Compare(b.epoch) < 0 {
		w.fail(epochs, "control is at %s, and was at %s", head.Epoch, b.epoch)
	}
	b.epoch, b.installation = head.Epoch, head.Installation
	before := b.controlRead
	b.stops, b.waves, b.controlRead = nil, map[string]wave.Wave{}, w.now
	err := tx.Each("stops", "", func(_ string, v []byte) error {
		var s gate.Stop
		err := json.Unmarshal(v, &s)
		b.stops = append(b.stops, s)
		return err
	})
	if err != nil {
		return err
	}
	return tx.Each("waves", "", func(k string, v []byte) error {
		x, ok := b.decodedWaves[string(v)]
		if !ok {
			if err := json.Unmarshal(v, &x); err != nil {
				return err
			}
			b.decodedWaves[string(v)] = x
		}
		b.waves[k] = x
		b.follows(w, x, before)
		return nil
	})
}

// owner gives who may write now, by control alone, at the place that the host was told.
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
	if w.double != nil && w.double.active {
		w.failAbout(g, singleWriter, afterHandOver, r.Engine, x.Op, w.dir.now.dn(g))
	}
	place := w.toldPlace(g)
	owner := w.owner(place, r.Kind, r.Feature)
	row := w.book.scratch.Rows.Get(*r.Object)
	record, recorded := w.book.scratch.OwnerOfRecord(*r.Object, scoping.Base(r.Kind))
	w.log("wire: %s %s %s for %s %s (owner %s, record %s)", r.Engine, x.Op, x.CloudID, g, w.dir.now.dn(g), owner.Engine, record)
	switch {
	case x.Op == cloud.Delete && w.told[g].dead:
		if recorded && record != r.Engine && record != scoping.None {
			w.failAbout(g, singleWriter, strangerKills, r.Engine, w.dir.now.dn(g), record)
		}
	case owner.Engine == r.Engine:
	case owner.Engine == scoping.None && row != nil && (record == r.Engine || w.book.lastEngine[g] == r.Engine): // T2
	default:
		w.failAbout(g, singleWriter, strangerSends, r.Engine, x.Op, w.dir.now.dn(g), owner.Engine)
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

// isLink tells writes of references, which do not touch those of the object's own values.
func isLink(x cloud.Write) bool {
	return slices.Contains([]cloud.Op{cloud.AddMembers, cloud.RemoveMember, cloud.SetManager, cloud.ClearManager}, x.Op)
}

func sameWrite(a, b cloud.Write) bool {
	return a.Op == b.Op && cloud.Equal(a.Set, b.Set) && slices.Equal(a.Refs, b.Refs)
}

// onWire notes the requests as being on the wire until the answer.
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
		if !w.told[g].dead && !leaves && r.Intent.Class != ledger.FilteredAway {
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
			if linked && !w.told[end.Object.GUID].dead && (e.members[end.Object.GUID] || e.manager == end.Object.GUID) {
				w.failAbout(g, noDeath, linkCut, r.Engine, w.dir.now.dn(g), w.dir.now.dn(end.Object.GUID))
			}
		}
	}
}

// newSince says of an object that verify of a wave could not judge it as it is: it changed since the shadow run began, or came into the scopes since. A
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
	if !ok || wv.To != r.Engine || (x.Op != cloud.Create && x.Op != cloud.Delete) || w.newSince(r.Wave, e) || e.dead {
		return
	}
	place := w.toldPlace(e.guid)
	if !w.coversWave(r.Wave, place, r.Kind, r.Feature) || w.owner(place, r.Kind, r.Feature).Engine == scoping.None {
		return // the engine's own, in the same run; or a leaver, whom policy removes whoever owned him last (rule T4): that is no wave's doing
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
	if g := w.dir.anchors[a.anchor]; !w.told[g].dead {
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
		if row := w.book.scratch.Rows.Get(p.Object); w.census.Sight(p.Object).Gone && (row == nil || row.State == ledger.DeletedByTandem) {
			continue // it died before it was linked, or again
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

// account gives the cloud object of a directory object, by anchor, not by the ledger: the living one, if others deleted an earlier one (they are free to,
// and the tenant keeps keys of the living alone).
func (w *world) account(e *entry) *account {
	keys := []string{anchorOf(e.guid), cloud.UniqueNameOf(e.guid[:])}
	var dead *account
	for _, a := range w.tenant.sorted() {
		switch {
		case !slices.Contains(keys, a.anchor), a.purged():
		case !a.truth().Deleted:
			return a
		case dead == nil:
			dead = a
		}
	}
	return dead
}
