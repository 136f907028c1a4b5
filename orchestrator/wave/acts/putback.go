package acts

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/run"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// account is a rollback's state of everything that its wave's target wrote.
type account struct {
	wave  wave.Wave
	wrote history
	asked bool // the earlier engine was asked for the objects that it had not mentioned
	lines []ledger.Restoration
	back  []engine.Proposal // values to be written
	wait  []waitFor         // objects that nothing can be said about yet
	ask   []ledger.Key      // keys that the earlier engine has not mentioned since the wave's last write
	names map[scoping.ObjectID]string

	debts   map[ledger.Key]standing.Debt
	manages map[scoping.ObjectID][]string // the attributes in the earlier engine's claims
}

// waitFor is why an object's values cannot be put back yet.
type waitFor struct {
	object scoping.ObjectID
	why    string
	soon   bool // it may pass by itself
}

// actRestore restores, for attributes that the target wrote and the earlier engine does not manage, the value from before the wave, where they have
// one that the wave wrote (invariant 4). It is over when every line of the account has an end.
func (d *Driver) actRestore(ctx context.Context, w wave.Wave) (wave.Evidence, error) {
	if err := d.o.Run.Prepare(ctx); err != nil {
		return wave.Evidence{}, err
	}
	a, err := d.account(ctx, w, false)
	if err != nil {
		return wave.Evidence{}, err
	}
	if len(a.ask) > 0 {
		if a, err = d.hear(ctx, w); err != nil {
			return wave.Evidence{}, err
		}
	}
	if err := d.putBack(ctx, a); err != nil {
		return wave.Evidence{}, err
	}
	slices.SortFunc(a.lines, func(x, y ledger.Restoration) int {
		return cmp.Or(x.Object.Compare(y.Object), cmp.Compare(x.Attribute, y.Attribute), slices.Compare(x.Value, y.Value))
	})
	report := a.report()
	ev := wave.Evidence{OK: len(a.wait) == 0, Report: &report}
	if !ev.OK {
		ev.Why, ev.Soon = a.why()
		return ev, nil
	}
	return ev, d.recordAccount(ctx, w, a.lines)
}

// hear lets the earlier engine run, and makes the account again.
func (d *Driver) hear(ctx context.Context, w wave.Wave) (*account, error) {
	r, err := d.o.Run.Sync(ctx, w.From, run.SyncOptions{Wave: w.ID})
	if err != nil {
		return nil, err
	}
	a, err := d.account(ctx, w, r.Complete)
	if err != nil {
		return nil, err
	}
	for _, k := range a.ask {
		a.wait = append(a.wait, waitFor{k.Object, "the run of " + w.From + " was not complete: " + problems(r), false})
	}
	return a, nil
}

// account makes the account of everything that the wave's target wrote. With asked, the earlier engine was just asked for the keys that it had not
// mentioned.
func (d *Driver) account(ctx context.Context, w wave.Wave, asked bool) (*account, error) {
	hs, err := d.trails(ctx, w)
	if err != nil {
		return nil, err
	}
	a := &account{wave: w, wrote: hs, asked: asked, names: map[scoping.ObjectID]string{}, debts: d.o.View.Owed(), manages: map[scoping.ObjectID][]string{}}
	for id, t := range hs {
		for _, f := range t.features() {
			a.manages[id] = append(a.manages[id], d.o.Gate.Manages(w.From, ledger.Key{Object: id, Feature: f})...)
		}
	}
	auth := d.o.Gate.Authority()
	d.o.Gate.Read(func(s *ledger.State) {
		for _, id := range slices.SortedFunc(maps.Keys(hs), scoping.ObjectID.Compare) {
			t := hs[id]
			a.names[id] = t.name
			d.references(a, s, id, t)
			for _, f := range t.features() {
				if d.answerable(a, s, auth, id, t, f) {
					d.values(a, s.Rows.Get(id), id, t, f)
				}
			}
		}
	})
	return a, nil
}

// answerable reports whether single values of an object's feature can be judged; if not, it adds a line or a wait for all of them.
func (d *Driver) answerable(a *account, s *ledger.State, auth gate.Authority, id scoping.ObjectID, t *trail, f scoping.Feature) bool {
	row, sight := s.Rows.Get(id), d.o.Census.Sight(id)
	if _, pending := s.Pending(id); pending {
		a.later(id, "a request about it has no answer yet", true)
		return false
	}
	now, shown := d.o.View.Cloud(row)
	owner := d.o.View.OwnerOf(auth, id, t.kind, f)
	k := ledger.Key{Object: id, Feature: f}
	x, owed := a.debts[k]
	switch {
	case row == nil || row.CloudID == "":
		a.all(k, ledger.NotRestorable, "it is not linked to a tenant object any more")
	case !sight.Known || sight.Deleted:
		a.all(k, ledger.BySource, "it was deleted in the directory")
	case !shown && row.Wrote > d.o.Steady()-d.o.Cache.Delay().Milliseconds():
		a.later(id, "the tenant does not show it yet", true)
	case !shown || now.Deleted:
		a.all(k, ledger.NotRestorable, "tenant object "+row.CloudID+" is deleted")
	case owner == scoping.None && a.wave.From != scoping.None:
		a.all(k, ledger.NotRestorable, "it belongs to no engine now")
	case owner != a.wave.From:
		a.all(k, ledger.BySource, "it belongs to "+owner+" now")
	case a.wave.From != scoping.None && owed:
		a.unheard(s, k, x)
	case a.wave.From == scoping.None && t.created:
		a.all(k, ledger.NotRestorable, "the wave made it, and no engine owns it now: a rollback deletes nothing")
	default:
		return true
	}
	return false
}

// unheard decides about an object that is still owed by the engine that has the scopes again.
func (a *account) unheard(s *ledger.State, k ledger.Key, owed standing.Debt) {
	d := s.Unsettled[k.Object][k.Feature]
	from, outcome := a.wave.From, engine.Outcome(d.Code)
	if !owed.Answered() {
		outcome = ""
	}
	switch {
	case owed.Code == standing.Unclaimed && a.asked:
		a.all(k, ledger.NotRestorable, from+" does not name it when it is asked for it")
	case outcome == engine.Held && d.Reason == string(gate.CodeThreshold):
		a.later(k.Object, "what "+from+" wants to write is held: `tandem held list`", false)
	case outcome == engine.Held:
		a.all(k, ledger.NotRestorable, "what "+from+" wants is held: "+d.Reason)
	case !a.asked:
		a.ask = append(a.ask, k)
	case (outcome == engine.Failed || outcome == engine.Refused) && !passing(d.Reason):
		a.all(k, ledger.NotRestorable, from+" cannot settle it: "+d.Reason)
	default:
		a.later(k.Object, from+" has not settled it: "+cmp.Or(strings.TrimSpace(string(outcome)+" "+d.Reason), owed.Code.Sentence()), d.Reason != string(gate.CodeStopped))
	}
}

// passing reports whether a code is a failure that may pass by itself.
func passing(code string) bool {
	return code == cloud.Throttled.String() || code == cloud.NotSent.String()
}

// values decides about each value of an object's feature that the wave wrote.
func (d *Driver) values(a *account, row *ledger.Row, id scoping.ObjectID, t *trail, f scoping.Feature) {
	now, _ := d.o.View.Cloud(row)
	desired := map[string]engine.Value{}
	for _, k := range slices.Sorted(maps.Keys(t.values)) {
		x := t.values[k]
		switch {
		case attribute.FeatureOf(t.kind, k) != f: // anchors and keys belong to the link, which stays
		case slices.Equal(now.Values[k], x.before):
			a.line(id, k, ledger.PutBack, x.before, "")
		case a.wave.From != scoping.None && slices.Contains(a.manages[id], k):
			a.line(id, k, ledger.BySource, x.before, a.wave.From+" writes it from the directory as it is now")
		case !x.wroteIt(now.Values[k]):
			a.line(id, k, ledger.ByOthers, x.before, "somebody else changed it since")
		default:
			desired[k] = engine.Value{Text: x.before}
		}
	}
	if len(desired) > 0 {
		sight := d.o.Census.Sight(id)
		a.back = append(a.back, engine.Proposal{Object: id, Kind: t.kind, Name: row.Name, Parent: sight.Parent, Feature: f, Want: engine.Present, Desired: desired})
	}
}

// references lists what the wave added: directory and earlier engine decide about it.
func (d *Driver) references(a *account, s *ledger.State, id scoping.ObjectID, t *trail) {
	now, _ := d.o.View.Cloud(s.Rows.Get(id))
	for _, attr := range slices.Sorted(maps.Keys(t.refs)) {
		ends := slices.Compact(slices.Sorted(slices.Values(t.refs[attr])))
		for _, end := range ends {
			how, name := ledger.MemberLeft, end
			if !now.Deleted && (now.Manager == end && attr == cloud.Manager || now.HasMember(end) && attr == cloud.Members) {
				how = ledger.MemberStays
			}
			if row, ok := s.ByCloud(end); ok && row.Name != "" {
				name = row.Name
			}
			a.line(id, attr, how, []string{end}, name)
		}
	}
}

// putBack sends the values through the gate. A request that the tenant refuses is tried again value by value, so that one value does not keep others
// from being restored.
func (d *Driver) putBack(ctx context.Context, a *account) error {
	if len(a.back) == 0 || !d.o.Without.PutsBack() {
		return nil
	}
	s := d.o.Gate.Begin(gate.SessionOptions{Engine: a.wave.From, Run: d.o.Run.Number(), Wave: a.wave.ID, Restores: a.wave.ID})
	for chunk := range slices.Chunk(a.back, engine.MaxBatch) {
		if _, err := s.Claim(ctx, chunk); err != nil {
			return err
		}
	}
	for _, p := range a.back {
		j, _ := s.Said(ledger.Key{Object: p.Object, Feature: p.Feature})
		if j.Outcome != engine.Failed || passing(string(j.Code)) || len(p.Desired) == 1 {
			a.ended(p, j)
			continue
		}
		for _, k := range slices.Sorted(maps.Keys(p.Desired)) {
			one := p
			one.Desired = map[string]engine.Value{k: p.Desired[k]}
			if _, err := s.Claim(ctx, []engine.Proposal{one}); err != nil {
				return err
			}
			j, _ := s.Said(ledger.Key{Object: p.Object, Feature: p.Feature})
			a.ended(one, j)
		}
	}
	_, err := s.End(ctx, true)
	return err
}

// ended adds the gate's answer about a proposal to the account.
func (a *account) ended(p engine.Proposal, j gate.Judgement) {
	switch {
	case j.Outcome == engine.Applied || j.Outcome == engine.Unchanged:
		for _, k := range slices.Sorted(maps.Keys(p.Desired)) {
			a.line(p.Object, k, ledger.PutBack, p.Desired[k].Text, "")
		}
	case j.Outcome == engine.Failed && !passing(string(j.Code)), j.Outcome == engine.Held, j.Outcome == engine.Refused:
		for _, k := range slices.Sorted(maps.Keys(p.Desired)) {
			a.line(p.Object, k, ledger.NotRestorable, p.Desired[k].Text, string(j.Code)+": "+j.Reason)
		}
	default:
		a.later(p.Object, j.Reason, j.Code != gate.CodeStopped)
	}
}

func (a *account) line(id scoping.ObjectID, attr string, how ledger.Return, value []string, why string) {
	a.lines = append(a.lines, ledger.Restoration{Object: id, Attribute: attr, Outcome: how, Value: value, Reason: why})
}

// all adds the same end for every value of an object's feature.
func (a *account) all(k ledger.Key, how ledger.Return, why string) {
	t := a.wrote[k.Object]
	for _, name := range slices.Sorted(maps.Keys(t.values)) {
		if attribute.FeatureOf(t.kind, name) == k.Feature {
			a.line(k.Object, name, how, t.values[name].before, why)
		}
	}
}

func (a *account) later(id scoping.ObjectID, why string, soon bool) {
	if x := (waitFor{id, why, soon}); !slices.Contains(a.wait, x) { // the same for two features of one object
		a.wait = append(a.wait, x)
	}
}

// maxNotes is the most reasons in a wave's own record.
const maxNotes = 50

// report counts the lines, and names the first values that were not restored.
func (a *account) report() wave.RollbackReport {
	r := wave.RollbackReport{Waiting: len(a.wait)}
	note := func(l ledger.Restoration, text string) {
		if len(r.Notes) < maxNotes {
			r.Notes = append(r.Notes, a.names[l.Object]+": "+l.Attribute+": "+text)
		}
	}
	for _, l := range a.lines {
		switch l.Outcome {
		case ledger.PutBack:
			r.Restored++
		case ledger.BySource:
			r.ADChanged++
		case ledger.ByOthers:
			r.Foreign++
		case ledger.NotRestorable:
			r.Impossible++
			note(l, l.Reason)
		case ledger.MemberStays:
			r.Members++
			note(l, l.Reason+" was added by the wave and is still there")
		}
	}
	return r
}

// why returns what the rollback waits for, and whether all of it may pass by itself.
func (a *account) why() (text string, soon bool) {
	text, soon = scoping.Many(len(a.wait), "object", "objects")+" cannot be put back yet", true
	for i, x := range a.wait {
		if soon = soon && x.soon; i < 3 {
			text += fmt.Sprintf("; %s: %s", a.names[x.object], x.why)
		}
	}
	return text, soon
}
