package host

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/wave"
	"github.com/tandem-sync/tandem/scoping"
)

// choose tells the census by what objects are chosen: what the partition in force says, what waves that are not over hand over, and what
// more a plan is about.
func (h *Host) choose(ctx context.Context) error {
	by := map[scoping.GUID]scoping.Choice{}
	h.mu.Lock()
	for _, x := range slices.Concat(h.controlled, h.planned) { // a plan's choices stay until another plan: apply follows
		by[x.ID] = x
	}
	h.mu.Unlock()
	var all []scoping.Choice
	for _, x := range by {
		all = append(all, x)
	}
	slices.SortFunc(all, func(x, y scoping.Choice) int { return x.ID.Compare(y.ID) })
	return h.o.Census.Choose(ctx, all)
}

// heed remembers the choices of what control says. It is called whenever control changed.
func (h *Host) heed(c *control) {
	var all []scoping.Choice
	if c.partition != nil {
		for _, n := range h.o.Census.Names() {
			all = append(all, c.partition.Choices(n)...)
		}
	}
	for _, w := range c.waves {
		if w.State.Over() {
			continue
		}
		for _, o := range w.HandOvers {
			all = append(all, o.Choices...)
		}
	}
	h.mu.Lock()
	h.controlled = all
	h.mu.Unlock()
}

// ChoosePlanned tells the census of the choices of a partition that is not in force, so that places say whom they take.
func (h *Host) ChoosePlanned(ctx context.Context, p *scoping.Partition) error {
	var all []scoping.Choice
	for _, n := range h.o.Census.Names() {
		all = append(all, p.Choices(n)...)
	}
	return h.chooseAlso(ctx, all)
}

func (h *Host) chooseAlso(ctx context.Context, choices []scoping.Choice) error {
	h.mu.Lock()
	h.planned = choices
	h.mu.Unlock()
	return h.choose(ctx)
}

// example names an object that both choices of a clash take, "" if there is none.
func (h *Host) example(ctx context.Context, c scoping.Clash) (string, error) {
	if err := h.ensureCensus(ctx); err != nil {
		return "", err
	}
	if err := h.chooseAlso(ctx, []scoping.Choice{c.First, c.Second}); err != nil {
		return "", err
	}
	name := ""
	h.o.Census.Tree(c.First.Directory, func(t *census.Tree) {
		for id := range t.Under(c.First.Under.GUID) {
			chosen := t.Place(id.GUID).Chosen
			if slices.Contains(chosen, c.First.ID) && slices.Contains(chosen, c.Second.ID) {
				name = t.DN(id.GUID)
				return
			}
		}
	})
	return name, nil
}

// tookBefore gives what took the linked objects when the ledger heard of them last: the census asks for it when its own memory is lost.
func (h *Host) tookBefore() map[scoping.ObjectID][]scoping.GUID {
	out := map[scoping.ObjectID][]scoping.GUID{}
	h.gate.Read(func(s *ledger.State) {
		for id, row := range s.Rows {
			if l := row.Features[scoping.Base(row.Kind)]; l != nil {
				out[id] = slices.Clone(l.Chosen)
			}
		}
	})
	return out
}

// FrozenGroup is a group by whose members the policy chooses objects and that vanished or emptied: nobody's owner changes by it (rule T3).
type FrozenGroup struct {
	Group       scoping.ObjectID
	Name        string // its DN, as last seen
	Why         string // census.Vanished or census.Emptied
	Assignments []string
	Choices     []scoping.Choice // in force
}

// chooses says whether a scope is about objects that the group's members are.
func (f FrozenGroup) chooses(s scoping.Scope) bool {
	return slices.ContainsFunc(f.Choices, func(c scoping.Choice) bool { return slices.Contains(s.With, c.ID) })
}

// left says whether a partition does not ask for the group any more.
func (f FrozenGroup) left(p *scoping.Partition) bool {
	return !slices.ContainsFunc(p.Choices(f.Group.Directory), func(x scoping.Choice) bool {
		return slices.ContainsFunc(f.Choices, func(c scoping.Choice) bool { return c.ID == x.ID })
	})
}

// String says what is wrong and how it is mended.
func (f FrozenGroup) String() string {
	chooses := "by whose members the policy chooses"
	if len(f.Assignments) > 0 {
		chooses = "by whose members assignment " + strings.Join(f.Assignments, ", ") + " chooses"
	}
	if f.Why == census.Vanished {
		return fmt.Sprintf("group %s, %s, is gone from the directory: nobody's engine changes because of that. Restore it, or plan a policy that names another group or drops the assignment", f.Name, chooses)
	}
	return fmt.Sprintf("group %s, %s, has no members any more: nobody's engine changes because of that. Give it members again, or plan a policy without the assignment if everybody is to leave it", f.Name, chooses)
}

// Frozen gives the groups whose members are not looked at any more, in order.
func (h *Host) Frozen() []FrozenGroup {
	p := h.gate.Authority().Partition
	if p == nil {
		return nil
	}
	var out []FrozenGroup
	for _, f := range h.o.Census.Frozen() {
		g := FrozenGroup{Group: f.Group, Name: f.Name, Why: f.Why, Assignments: []string{}}
		for _, c := range p.Choices(f.Group.Directory) {
			if slices.Contains(f.Choices, c.ID) {
				g.Choices = append(g.Choices, c)
			}
		}
		for _, a := range p.Policy().Assignments {
			if slices.ContainsFunc(g.Choices, func(c scoping.Choice) bool { return c.Of(a) }) {
				g.Assignments = append(g.Assignments, a.Name)
			}
		}
		if len(g.Choices) > 0 { // by others nobody is owned
			out = append(out, g)
		}
	}
	return out
}

// thawing turns what frozen groups say against a wave into warnings, if the plan's target does not ask for them any more.
func (h *Host) thawing(target *scoping.Partition, findings []wave.Finding) {
	for _, f := range h.Frozen() {
		for i := range findings {
			if x := &findings[i]; f.left(target) && x.Code == "group-"+f.Why && slices.Equal(x.Examples, []string{f.Name}) {
				x.Severity = wave.Warning
			}
		}
	}
}

// waits says what of an object's owners waits for an answer, or was refused by one.
func (h *Host) waits(id scoping.ObjectID) []string {
	var out []string
	for _, x := range h.Held() {
		for _, e := range x.Entries {
			if x.Class != ledger.OwnerChanges || e.Object != id {
				continue
			}
			word := "is among"
			if e.Op != chosenOp(census.Staged{Taken: true}) {
				word = "is no longer among"
			}
			what := "which waits in held set " + x.ID + ": tandem held show " + x.ID
			if x.State == ledger.HoldRejected {
				what = "which was rejected as held set " + x.ID + ": tandem held forget " + x.ID + " lets it be weighed again"
			}
			out = append(out, fmt.Sprintf("the object %s the %s now, %s", word, x.Assignment, what))
		}
	}
	return out
}

// heldOwners gives the open sets of owner changes that hold objects of an engine, with how many.
func (h *Host) heldOwners(name string) (ids []string, objects int) {
	auth := h.gate.Authority()
	for _, x := range h.Held() {
		if x.Class != ledger.OwnerChanges || x.State != ledger.HoldOpen {
			continue
		}
		n := 0
		for _, e := range x.Entries {
			if h.ownerNow(auth, e.Object, h.o.Census.Sight(e.Object).Kind) == name {
				n++
			}
		}
		if n > 0 {
			ids, objects = append(ids, x.ID), objects+n
		}
	}
	return ids, objects
}

// chosenOnly leaves of judgements those about objects that scopes hold, choices and all: a run reads whole subtrees.
func (h *Host) chosenOnly(scopes []scoping.Scope, js []gate.Judgement) []gate.Judgement {
	if !slices.ContainsFunc(scopes, chooses) {
		return js
	}
	return slices.DeleteFunc(slices.Clone(js), func(j gate.Judgement) bool {
		sight := h.o.Census.Sight(j.Key.Object)
		place := sight.Place(j.Key.Object.Directory)
		return sight.Known && !sight.Gone && !slices.ContainsFunc(scopes, func(s scoping.Scope) bool { return s.Covers(place) })
	})
}

func chooses(s scoping.Scope) bool { return len(s.With)+len(s.Without) > 0 }

// whole gives the subtrees that scopes lie in, once each: what engines are asked for.
func whole(scopes []scoping.Scope) []scoping.Scope {
	if !slices.ContainsFunc(scopes, chooses) {
		return scopes
	}
	var out []scoping.Scope
	for _, s := range scopes {
		w := s.Whole()
		if !slices.ContainsFunc(out, func(x scoping.Scope) bool {
			return x.Directory == w.Directory && x.Under == w.Under && slices.Equal(x.Except, w.Except) && slices.Equal(x.Features, w.Features) && slices.Equal(x.Kinds, w.Kinds)
		}) {
			out = append(out, w)
		}
	}
	return out
}

// weighChosen puts in force what changed of whom choices take, unless it is so much of one choice that people have to say so (rule T3).
func (h *Host) weighChosen(ctx context.Context, events []census.Event) ([]census.Event, error) {
	staged := h.o.Census.Staged()
	if len(staged) == 0 {
		return events, nil
	}
	by := map[scoping.GUID][]census.Staged{}
	for _, s := range staged {
		by[s.Choice.ID] = append(by[s.Choice.ID], s)
	}
	auth := h.gate.Authority()
	var take []census.Staged
	var rs []ledger.Record
	h.gate.Read(func(led *ledger.State) {
		for _, id := range sortedGUIDs(by) {
			t, hold := h.weighChoice(led, auth, by[id])
			take = append(take, t...)
			if hold != nil {
				rs = append(rs, ledger.Record{Type: ledger.HoldType, Op: "hold", Code: hold.ID, Reason: hold.Why, Hold: hold})
			}
		}
	})
	if err := h.gate.Record(ctx, rs...); err != nil {
		return nil, err
	}
	return append(events, h.o.Census.Take(take)...), nil
}

func sortedGUIDs[V any](m map[scoping.GUID]V) []scoping.GUID {
	out := make([]scoping.GUID, 0, len(m))
	for g := range m {
		out = append(out, g)
	}
	slices.SortFunc(out, scoping.GUID.Compare)
	return out
}

// weighChoice says what of one choice's changes is put in force, and what is held. It is about objects that are linked and whose owner
// hangs on the choice; others change nothing that is in the tenant.
func (h *Host) weighChoice(led *ledger.State, auth gate.Authority, changes []census.Staged) (take []census.Staged, hold *ledger.Hold) {
	choice := changes[0].Choice
	var weighed []census.Staged
	hands := map[string]int{}
	for _, s := range changes {
		row := led.Rows[s.Object]
		from, to := h.handed(auth, s)
		if row == nil || row.State != ledger.Live || from == to {
			take = append(take, s)
			continue
		}
		q := ledger.Question{Object: s.Object, Feature: scoping.Base(s.Kind), Grave: chosenGrave(s, from, to)}
		switch state, _ := led.Answered(q, h.now().UnixMilli()); state {
		case ledger.HoldApproved:
			take = append(take, s)
		case ledger.HoldRejected:
		default:
			weighed = append(weighed, s)
			hands["from "+from+" to "+to]++
		}
	}
	limit := h.choiceLimit(led, auth, choice)
	if len(weighed) <= limit {
		return append(take, weighed...), nil
	}
	hold = &ledger.Hold{Class: ledger.OwnerChanges, Assignment: choice.String() + " under " + choice.Under.DN, Limit: limit, At: h.now().UnixMilli(),
		Epoch: auth.Epoch, State: ledger.HoldOpen,
		Why: fmt.Sprintf("%s at once: the directory changed who the %s under %s are, and more than %d are not handed over without asking", counted(hands), choice, choice.Under.DN, limit)}
	for _, s := range weighed {
		from, to := h.handed(auth, s)
		hold.Entries = append(hold.Entries, ledger.HeldEntry{Object: s.Object, Kind: s.Kind, Feature: scoping.Base(s.Kind), Grave: chosenGrave(s, from, to), Name: h.nameOf(s.Object)})
	}
	hold.Name()
	if old := led.Holds[hold.ID]; old != nil && old.State == ledger.HoldOpen {
		return take, nil // said already
	}
	return take, hold
}

// counted says how many go which way.
func counted(hands map[string]int) string {
	var out []string
	for _, k := range sorted(hands) {
		out = append(out, fmt.Sprintf("%d objects would go %s", hands[k], k))
	}
	return strings.Join(out, ", ")
}

func chosenOp(s census.Staged) string {
	if s.Taken {
		return "chosen"
	}
	return "no-longer-chosen"
}

// chosenGrave is what a person answers about a change of whom a choice takes: the object's engine before and after.
func chosenGrave(s census.Staged, from, to string) ledger.Grave {
	return ledger.Grave{Op: chosenOp(s), Detail: s.Choice.ID.String(), Changes: []ledger.Change{{Attribute: "engine", Old: []string{from}, New: []string{to}}}}
}

// handed gives an object's owner before and after a change.
func (h *Host) handed(auth gate.Authority, s census.Staged) (from, to string) {
	p := auth.Partition
	if p == nil {
		return "", ""
	}
	now := h.o.Census.Sight(s.Object).Place(s.Object.Directory)
	then := now
	if s.Taken {
		then.Chosen = append(slices.Clone(now.Chosen), s.Choice.ID)
	} else {
		then.Chosen = slices.DeleteFunc(slices.Clone(now.Chosen), func(g scoping.GUID) bool { return g == s.Choice.ID })
	}
	f := scoping.Base(s.Kind)
	return p.Owner(now, s.Kind, f).Engine, p.Owner(then, s.Kind, f).Engine
}

// choiceLimit is how many owners may change at once by one choice: the delete threshold, over the linked objects that the choice looks at.
func (h *Host) choiceLimit(led *ledger.State, auth gate.Authority, choice scoping.Choice) int {
	d := scoping.DefaultDefaults()
	if p := auth.Partition; p != nil {
		d = p.Defaults()
	}
	n := 0
	for _, id := range led.Objects() {
		if row := led.Rows[id]; row.State == ledger.Live && id.Directory == choice.Directory && choice.Reaches(h.o.Census.Sight(id).Chain) {
			n++
		}
	}
	return min(d.DeleteThreshold.Objects, max(5, n*d.DeleteThreshold.Percent/100))
}

// replaced tells the ledger where an object is and what takes it now, for the features whose owner is the same here as before: later
// transfers find it by that (rule L1).
func (h *Host) replaced(s *ledger.State, auth gate.Authority, row *ledger.Row) (out []ledger.Record) {
	sight := h.o.Census.Sight(row.Object)
	if !sight.Known || sight.Gone || row.Transit != nil || row.State == ledger.DeletedByTandem {
		return nil
	}
	if _, pending := s.Pending(row.Object); pending {
		return nil
	}
	for _, f := range slices.Sorted(maps.Keys(row.Features)) {
		l := row.Features[f]
		if slices.Equal(l.Chain, sight.Chain) && (slices.Equal(l.Chosen, sight.Chosen) || h.o.Without == gate.ChosenPlaces) {
			continue
		}
		record, known := s.OwnerOfRecord(row.Object, f)
		if !known || auth.Owner(sight.Place(row.Object.Directory), row.Kind, f).Engine != record {
			continue
		}
		id := row.Object
		out = append(out, ledger.Record{Type: ledger.PlaceType, Engine: record, Object: &id, Kind: row.Kind, Name: sight.Name, Feature: f, Op: "place", Epoch: auth.Epoch,
			Claim: &ledger.Claim{Place: sight.Parent, Chain: sight.Chain, Chosen: sight.Chosen}})
	}
	return out
}

// placed tells the ledger of everybody where he is and what takes him now: the transfer of a cutover goes by it.
func (h *Host) placed(ctx context.Context) error {
	auth := h.gate.Authority()
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			rs = append(rs, h.replaced(s, auth, s.Rows[id])...)
		}
	})
	return h.gate.Record(ctx, rs...)
}
