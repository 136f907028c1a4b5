package ledger

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Window is the sliding time over which destructive writes are counted (rule D2).
const Window = 24 * time.Hour

// Fold takes in the record with sequence number seq. Records that were folded before are skipped, so folding may start earlier than needed.
func (s *State) Fold(seq uint64, r Record) error {
	if seq <= s.Seq {
		return nil
	}
	if err := errors.Join(s.fold(seq, r), s.Rows.pack()); err != nil {
		return fmt.Errorf("%w: record %d (%s): %w", ErrRecord, seq, r.Type, err)
	}
	s.Seq = seq
	if r.Object != nil {
		s.Rows.touched.Note(*r.Object)
		s.concern(*r.Object, seq)
	}
	return nil
}

// Changed returns the objects that changed in the ledger since its last call; all means any of them may have.
func (s *State) Changed() (ids map[scoping.ObjectID]struct{}, all bool) { return s.Rows.touched.Take() }

func (s *State) fold(seq uint64, r Record) error {
	switch r.Type {
	case IntentType:
		return s.foldIntent(seq, r)
	case SettleType:
		return s.foldSettle(seq, r)
	case DecisionType:
		return s.foldDecision(seq, r)
	case TransferType:
		if r.Transfer == nil {
			return fmt.Errorf("no transfer in it")
		}
		s.Transfers = append(s.Transfers, *r.Transfer)
		s.Rows.touched.NoteAll() // it is about every object in its scope
		s.void(*r.Transfer, r.At, seq)
	case TransitType:
		return s.foldTransit(seq, r)
	case PlaceType:
		return s.foldPlace(r)
	case DirtyType: // of earlier versions: debts are derived by comparison
	case HoldType:
		return s.foldHold(r)
	case AnswerType:
		return s.foldAnswer(seq, r)
	case DoubtType:
		return s.foldDoubt(seq, r)
	case ControlType:
		if r.Op == "run" && len(r.Detail) > 0 {
			key := RunKey(r.Engine, r.Feature)
			if s.Runs[key] == nil { // from now on the engine may be asked for all that it owns
				s.Rows.touched.NoteAll()
			}
			s.Runs[key] = r.Detail
			s.Troubles.forgetAll(r.At)
		}
	case DeliveryType:
		return s.foldDelivery(seq, r)
	case NestedType:
		return s.foldNested(r)
	case BaselineType, WaveType, SnapshotType:
	default:
		return fmt.Errorf("unknown type")
	}
	return nil
}

func (s *State) leave(k Key, d Unsettled) {
	m := s.Unsettled[k.Object]
	if m == nil {
		m = map[scoping.Feature]Unsettled{}
		s.Unsettled[k.Object] = m
	}
	if old, ok := m[k.Feature]; ok {
		d.Since, d.Tries = old.Since, old.Tries+1
	}
	m[k.Feature] = d
}

func (s *State) isUnsettled(k Key) bool {
	_, ok := s.Unsettled[k.Object][k.Feature]
	return ok
}

func (s *State) clean(k Key) {
	if m := s.Unsettled[k.Object]; m != nil {
		delete(m, k.Feature)
		if len(m) == 0 {
			delete(s.Unsettled, k.Object)
		}
	}
}

func (s *State) foldIntent(seq uint64, r Record) error {
	if r.Intent == nil || r.Object == nil {
		return fmt.Errorf("no intent in it")
	}
	s.Intents[r.Intent.Write.ID] = &Open{Record: r, Seq: seq}
	s.wait(*r.Object, r.Intent.Write.ID)
	return nil
}

// wait notes an open intent of an object, in order of the ids.
func (s *State) wait(o scoping.ObjectID, id string) {
	if at, found := slices.BinarySearch(s.pending[o], id); !found {
		s.pending[o] = slices.Insert(s.pending[o], at, id)
	}
}

func (s *State) close(id string) {
	if o := s.Intents[id]; o != nil {
		s.Rows.touched.Note(*o.Record.Object)
		delete(s.Intents, id)
		left := slices.DeleteFunc(s.pending[*o.Record.Object], func(x string) bool { return x == id })
		if s.pending[*o.Record.Object] = left; len(left) == 0 {
			delete(s.pending, *o.Record.Object)
		}
	}
}

func (s *State) foldSettle(seq uint64, r Record) error {
	if r.Settle == nil {
		return fmt.Errorf("no settlement in it")
	}
	o := s.Intents[r.Settle.Intent]
	if o == nil {
		return nil // answered before: by the end of a doubt, or twice
	}
	switch r.Settle.Result.Status {
	case cloud.Done:
		s.done(seq, o.Record, r.Settle.Result.CloudID, r)
		s.close(r.Settle.Intent)
	case cloud.InDoubt:
		s.tried(o.Record)
		o.Doubt, o.Until, o.Tries = true, r.Settle.Until, o.Tries+1
	case cloud.Throttled: // a service that answers 503 may have done it nevertheless
		s.tried(o.Record)
		s.reached(o.Record)
		s.close(r.Settle.Intent)
	default:
		s.close(r.Settle.Intent)
	}
	return nil
}

// tried notes a create that reached the tenant and whose effect is unknown.
func (s *State) tried(r Record) {
	if r.Intent.Write.Op == cloud.Create {
		s.Tried[*r.Object] = true
	}
}

// reached notes an update that reached the tenant and whose effect is unknown. If no engine was the object's writer of record, the engine that sent it is
// from now on, so that it is asked for the object when that moves [a leaver's account came back and was enabled, the answer was lost, and others changed
// another value meanwhile, so that the tenant did not show the update as a whole; it left again, no engine had written it, and it stayed enabled].
func (s *State) reached(r Record) {
	row := s.Rows.Get(*r.Object)
	if row == nil || r.Intent.Write.Op != cloud.Update || r.Intent.Claim.Owner != "" || r.Feature != scoping.Base(row.Kind) || row.State != Live && row.State != ParkedRow {
		return
	}
	if record, known := s.OwnerOfRecord(row.Object, r.Feature); !known || record != scoping.None {
		return
	}
	row = s.Rows.change(*r.Object)
	row.State = Live
	s.touch(row, r, r.Intent.Claim, r.Engine)
}

// done applies the success of an intent, which the record told reports.
func (s *State) done(seq uint64, r Record, cloudID string, told Record) {
	in, at := r.Intent, told.At
	c := in.Claim
	if cloudID != "" {
		c.CloudID = cloudID
	}
	if !in.Final {
		c.Hash = "" // the feature is not settled yet, but the link exists
	}
	s.claim(seq, r, c, in.Final)
	row := s.Rows.change(*r.Object)
	if in.Write.Op == cloud.Restore { // the restored object may have lost its password
		delete(row.Features, scoping.PasswordHash)
	}
	row.Wrote = told.Moment()
	row.wroteLinks(in.Write)
	if in.Pair != nil {
		s.trouble(Key{*r.Object, r.Feature}, func(t *Trouble) { t.wrote(at, *in.Pair) })
	}
	if in.Class != Ordinary {
		if !in.Approved { // approved writes do not count against later runs (rule D2)
			s.History = append(s.History, Destroyed{At: at, Engine: r.Engine, Assignment: in.Assignment, Class: in.Class, Kind: r.Kind, Count: max(1, in.Count)})
		}
		s.forgetHistory(at)
		if in.Grave != "" {
			s.spend(r.Engine, Key{*r.Object, r.Feature}, in.Grave)
		}
	}
}

func (s *State) forgetHistory(now int64) {
	s.History = slices.DeleteFunc(s.History, func(d Destroyed) bool { return d.At < now-Window.Milliseconds() })
}

// claim writes a row.
func (s *State) claim(seq uint64, r Record, c Claim, settled bool) {
	row := s.Rows.change(*r.Object)
	if row != nil && c.Restores != "" {
		row.restored(r.Feature, c.Restores)
		return
	}
	_, linked := s.Linked(*r.Object)
	if row == nil {
		row = &Row{Object: *r.Object, Kind: r.Kind, Features: map[scoping.Feature]*Last{}, State: Live}
		s.Rows.put(row)
	}
	s.relink(row, c)
	row.takeOver(r.Feature, c)
	base := r.Feature == scoping.Base(row.Kind) || r.Feature.Provisions()
	if r.Name != "" && (base || row.Name == "") {
		row.Name = r.Name
	}
	if c.State != "" && base { // only the base feature decides about the state: a doubt about references that ends late knows nothing of a farewell since
		row.State = c.State
	}
	if base {
		delete(s.Excluded, *r.Object) // a group that is left out may keep its members up to date
	}
	if _, now := s.Linked(*r.Object); now && !linked {
		delete(s.Tried, *r.Object)
	}
	if row.State == DeletedByTandem || row.State == DeletedByOthers {
		delete(s.Unsettled, *r.Object) // none of its features can be asked for any more
		s.Troubles.drop(*r.Object)
		row.Transit = nil
		delete(row.Features, scoping.PasswordHash)
	}
	owner := c.Owner
	if owner == "" {
		owner = r.Engine
	}
	if !settled {
		s.touch(row, r, c, owner)
		return
	}
	old := row.Features[r.Feature]
	row.Features[r.Feature] = &Last{Engine: owner, Epoch: r.Epoch, Place: c.Place, Chain: c.Chain, Chosen: c.Chosen, Version: c.Version, Hash: c.Hash, Attrs: c.Attrs, Never: c.Never}
	if old != nil && r.Type == DecisionType {
		row.Features[r.Feature].Restores = old.Restores // an agreement without a write
	}
	if row.Transit != nil && base && row.Transit.To == owner {
		row.Transit = nil
	}
}

// restored marks a feature as last written to take a wave's values back.
func (r *Row) restored(f scoping.Feature, wave string) {
	if l := r.Features[f]; l != nil {
		marked := *l
		marked.Restores = wave
		r.Features[f] = &marked
	}
}

// touch records the writer of a base feature that is not settled yet: an engine that began to write has to finish, and is asked for the object when
// it moves.
func (s *State) touch(row *Row, r Record, c Claim, owner string) {
	l := row.Features[r.Feature]
	if r.Feature != scoping.Base(row.Kind) || r.Intent == nil || l != nil && l.Engine == owner && ownerAfter(l, row, r.Feature, s.Transfers) == owner {
		return
	}
	row.Features[r.Feature] = &Last{Engine: owner, Epoch: r.Epoch, Place: c.Place, Chain: c.Chain, Chosen: c.Chosen, Version: c.Version, Attrs: c.Attrs}
}

// relink links the row with a cloud object; another row that was linked with it is dropped (an object that came back with a new objectGUID).
func (s *State) relink(row *Row, c Claim) {
	if c.CloudID != "" && c.CloudID != row.CloudID {
		row.Links = nil
		delete(row.Features, scoping.PasswordHash) // the password was handed over to another object
		if c.Tracks {
			row.Links = &Links{} // references of a new object, or of one that existed before, were not written by Tandem
		}
		if other, ok := s.Rows.linked(c.CloudID); ok && other != row.Object {
			row.Links = s.Rows.Get(other).Links
			s.Rows.drop(other)
		}
		s.Rows.tie(row, c.CloudID)
	}
	if c.Anchor != "" {
		row.Anchor = c.Anchor
	}
	if c.Key != "" {
		row.Key = c.Key
	}
	if c.Origin != "" && row.Origin == "" {
		row.Origin = c.Origin
	}
}

// staysAsIs is the code of a linked object that is left out and not written any more, references included.
const staysAsIs = "stays-as-it-is"

func (s *State) foldDecision(seq uint64, r Record) error {
	if r.Object == nil {
		return fmt.Errorf("no object in it")
	}
	k := Key{*r.Object, r.Feature}
	if r.Claim != nil {
		s.claim(seq, r, *r.Claim, r.Outcome == engine.Unchanged || r.Outcome == engine.Applied || r.Outcome == engine.Partial)
	}
	if r.Taken {
		delete(s.Excluded, *r.Object)
	}
	if r.Excluded != "" {
		s.Excluded[*r.Object] = r.Excluded
		if r.Code == staysAsIs {
			s.clean(Key{*r.Object, scoping.References})
		}
	}
	s.troubled(k, r)
	switch {
	case r.Closed:
		s.clean(k)
		s.spend(r.Engine, k, "") // approvals about the key are used up
	case r.Quietly || r.Outcome == engine.Released || r.Outcome == engine.Refused || r.Outcome == engine.Unchanged:
	case r.Outcome == engine.Shadowed && s.isUnsettled(k): // a shadow judgement: the owner's own reason stays
	default:
		s.leave(k, Unsettled{Since: r.At, Code: string(r.Outcome), Reason: r.Code, Seq: seq})
	}
	return nil
}

// foldPlace moves a feature's record to where the object is now, so that later transfers find it there (rule L1). The host records it only where the
// owner is the same in both places.
func (s *State) foldPlace(r Record) error {
	if r.Claim == nil || r.Object == nil {
		return fmt.Errorf("no place in it")
	}
	row := s.Rows.change(*r.Object)
	if row == nil || row.Features[r.Feature] == nil {
		return nil
	}
	l := *row.Features[r.Feature]
	l.Place, l.Chain, l.Chosen = r.Claim.Place, r.Claim.Chain, r.Claim.Chosen
	l.Engine = r.Engine
	if r.Epoch.Compare(l.Epoch) > 0 {
		l.Epoch = r.Epoch
	}
	row.Features[r.Feature] = &l
	return nil
}

func (s *State) foldTransit(seq uint64, r Record) error {
	if r.Transit == nil || r.Object == nil {
		return fmt.Errorf("no transit in it")
	}
	row := s.Rows.change(*r.Object)
	if row == nil {
		return nil
	}
	t := *r.Transit
	row.Transit = &t
	if t.To == t.From {
		row.Transit = nil // it came back before the new owner claimed it
	}
	s.spendOwner(*r.Object)
	return nil
}

func (s *State) foldDoubt(seq uint64, r Record) error {
	if r.Doubt == nil {
		return fmt.Errorf("no end of a doubt in it")
	}
	o := s.Intents[r.Doubt.Intent]
	if o == nil {
		return nil
	}
	if r.Doubt.How == "seen" || r.Doubt.How == "repeated" {
		s.done(seq, o.Record, r.Doubt.CloudID, r)
	} else if row := s.Rows.change(*o.Record.Object); row != nil {
		row.showsLinks(o.Record.Intent.Write, r.Doubt.Shown)
		s.reached(o.Record)
	}
	s.close(r.Doubt.Intent)
	k := Key{*o.Record.Object, o.Record.Feature} // also after a completed delete: the object may have come back meanwhile
	if row := s.Rows.change(k.Object); row != nil && r.Doubt.Quiet > 0 {
		if row.Quiet == nil {
			row.Quiet = map[scoping.Feature]int64{}
		}
		key := k.Feature
		if o.Record.Op == string(cloud.Create) {
			key = QuietDelete
		}
		row.Quiet[key] = r.Doubt.Quiet
	}
	return nil
}
