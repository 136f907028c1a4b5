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
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// frozenScope is what the simulator knows of a freeze: since when, and whether its requests in flight have ended.
type frozenScope struct {
	since time.Time
	tight bool
}

// book is the simulator's own record.
type book struct {
	scratch *ledger.State // folded from the durable log alone
	begun   bool          // from where it was pruned: which debts were paid before is not in it
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
	parked       map[scoping.GUID]bool   // a change of policy left them unmanaged, as they are (rule T4)
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
	b.scratch, b.debt, b.begun = ledger.New(), 0, false // what was not synced is not there any more
}

// act notes that an act of a wave begins.
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
		if e.Pending > 0 {
			if e.Pending != b.debt && e.Pending != b.debt+1 && !b.begun {
				w.fail(owedOnce, "record %d pays debt %d after %d", e.Seq, e.Pending, b.debt)
			}
			b.debt, b.begun = e.Pending, false
		}
		r, err := b.decode(e.Record)
		if err != nil {
			return err
		}
		b.count(w, r)
		w.noteRecord(r, e.Seq > b.newest)
		if w.o.Trace {
			name := r.Name
			if name == "" && r.Object != nil {
				name = r.Object.String()
			}
			w.log("log %d: %s %s %s %s %s %s %s %s", e.Seq, r.Type, r.Engine, name, r.Feature, r.Op, r.Outcome, r.Code, r.Reason)
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
			b.parked[r.Object.GUID] = true // a person rejected its removal: it stays
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

// park notes the objects that a transfer leaves unmanaged.
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

// handedOver returns the objects whose owner of record a cutover's transfer has to change, if the transfer is new: those that the host knows in its scope and
// that settled there (rule L1).
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
		if row.State == ledger.Live && row.Transit == nil && !pending && known && record == r.Transfer.From && t.Writes(row.Kind, f) && !w.told[id.GUID].deleted && t.Covers(w.toldPlace(id.GUID)) && t.Covers(b.places[id.GUID]) {
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
	if err != nil && t.w.o.Break == FailureIsSuccess && !t.w.crashed {
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
				t.w.crashed = true
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
	if first, base := w.store.Beginning(); w.book.scratch.Seq+1 < first {
		if err := w.readBase(base); err != nil {
			return err
		}
	}
	return w.store.Log.ReadChained(context.Background(), w.book.scratch.Seq+1, each)
}

// readBase takes the ledger with which a pruned log begins.
func (w *world) readBase(base uint64) error {
	var parts ledger.Snapshots
	whole := false
	err := w.store.Log.Read(context.Background(), base, func(_ uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err == nil && !whole {
			whole, err = parts.Take(r)
		}
		return err
	})
	if err == nil {
		w.book.scratch, err = parts.Ledger()
		w.book.begun = true
	}
	return err
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
