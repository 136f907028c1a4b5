package acts

import (
	"context"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// trail is what a wave's target wrote to one object between cutover and flip-back.
type trail struct {
	kind    scoping.Kind
	name    string
	created bool
	values  map[string]*writtenValue
	refs    map[string][]string // "members" or "manager" -> the ends that it added, as cloud ids
}

// writtenValue is the history of one attribute in a wave.
type writtenValue struct {
	before []string   // from before the first write
	wrote  [][]string // every value that was written: a late request may leave any of them
}

// features returns the features whose values were written, sorted.
func (t *trail) features() (out []scoping.Feature) {
	for name := range t.values {
		if f := attribute.FeatureOf(t.kind, name); f != "" && !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	slices.Sort(out)
	return out
}

// history is everything that has to be taken back, by object.
type history map[scoping.ObjectID]*trail

// sent is a write of the target that may have taken effect.
type sent struct {
	record  ledger.Record
	ended   bool
	without bool // the tenant did not do it
}

// trails reads from the log what the wave's target wrote in its scopes under the epochs between cutover and flip-back: from intents, answers and ends
// of doubts. Decisions do not suffice, as a crash or a lost answer leaves none; nor do times, as clocks step.
func (d *Driver) trails(ctx context.Context, w wave.Wave) (history, error) {
	scopes := w.Scopes()
	var order []*sent
	open := map[string]*sent{}
	err := d.o.Log.Read(ctx, 0, func(_ uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err != nil {
			return err
		}
		switch {
		case r.Type == ledger.IntentType && ofWave(w, scopes, r):
			x := &sent{record: r}
			order, open[r.Intent.Write.ID] = append(order, x), x
		case r.Type == ledger.SettleType && r.Settle != nil:
			if x := open[r.Settle.Intent]; x != nil && r.Settle.Result.Status != cloud.InDoubt {
				x.ended, x.without = true, r.Settle.Result.Status != cloud.Done
			}
		case r.Type == ledger.DoubtType && r.Doubt != nil:
			if x := open[r.Doubt.Intent]; x != nil {
				x.ended = true // also an expired one: others may have changed one of several values before the tenant was read
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	out := history{}
	for _, x := range order {
		if !x.without {
			out.add(x)
		}
	}
	return out, nil
}

// ofWave reports whether an intent is a write of the wave's target at a place in its scopes, after the cutover and before the flip-back.
func ofWave(w wave.Wave, scopes []scoping.Scope, r ledger.Record) bool {
	if r.Intent == nil || r.Object == nil || r.Engine != w.To || r.Intent.Claim.Restores != "" || r.Epoch.Compare(w.CutoverEpoch) < 0 {
		return false
	}
	if w.BackEpoch != (scoping.Epoch{}) && r.Epoch.Compare(w.BackEpoch) >= 0 {
		return false
	}
	place := scoping.Place{Directory: r.Object.Directory, Ancestors: r.Intent.Claim.Chain, Chosen: r.Intent.Claim.Chosen}
	return slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Writes(r.Kind, r.Feature) && s.Covers(place) })
}

func (hs history) add(x *sent) {
	r, in := x.record, x.record.Intent.Write
	t := hs[*r.Object]
	if t == nil {
		t = &trail{values: map[string]*writtenValue{}, refs: map[string][]string{}}
		hs[*r.Object] = t
	}
	t.kind, t.name = r.Kind, r.Name
	switch in.Op {
	case cloud.Create:
		t.created = true
	case cloud.AddMembers:
		t.refs[cloud.Members] = append(t.refs[cloud.Members], in.Refs...)
	case cloud.SetManager:
		t.refs[cloud.Manager] = append(t.refs[cloud.Manager], in.Refs...)
	}
	for k, v := range in.Set {
		a := t.values[k]
		if a == nil {
			a = &writtenValue{before: r.Before[k]}
			if _, said := r.Before[k]; !said && in.Op != cloud.Create {
				a.before = v // written again unchanged, with an object that was restored
			}
			t.values[k] = a
		}
		a.wrote = append(a.wrote, v)
	}
}

// wroteIt reports whether a value is one that the wave wrote.
func (a *writtenValue) wroteIt(v []string) bool {
	return slices.ContainsFunc(a.wrote, func(x []string) bool { return slices.Equal(x, v) })
}

// Restorations returns the lines of a rollback's account from the log, in order of object and attribute.
func (d *Driver) Restorations(ctx context.Context, id string) ([]ledger.Restoration, error) {
	var out []ledger.Restoration
	err := d.o.Log.Read(ctx, 0, func(_ uint64, b []byte) error {
		r, err := ledger.Decode(b)
		if err == nil && r.Type == ledger.WaveType && r.Wave == id {
			out = append(out, r.Restored...)
		}
		return err
	})
	return out, err
}

// accountChunk is the number of lines of a rollback's account in one record.
const accountChunk = 200

// recordAccount stores all lines in the log; the wave's own record has the first reasons only.
func (d *Driver) recordAccount(ctx context.Context, w wave.Wave, lines []ledger.Restoration) error {
	var rs []ledger.Record
	for chunk := range slices.Chunk(lines, accountChunk) {
		rs = append(rs, ledger.Record{Type: ledger.WaveType, Wave: w.ID, Engine: w.From, Op: "restored", Outcome: engine.Applied, Phase: string(w.Phase), Epoch: w.BackEpoch, Restored: chunk})
	}
	return d.o.Gate.Record(ctx, rs...)
}
