package census

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Membership of choices: the census reads the attributes that selectors ask for and records with each object which choices take it. A new choice
// takes effect at once. Later changes are only staged, because an object's owner depends on them: the host decides whether so many may change owner
// (rule T3), and calls Take.

// chain is an in-chain match of a selector: it selects the objects from which following the attribute leads to the target.
type chain struct {
	attribute string
	target    scoping.GUID
}

// back maps a link attribute that can be followed in chains to the attribute of the opposite direction.
var back = map[string]string{"memberof": "member", "member": "memberOf", "manager": "directReports", "directreports": "manager"}

// forward maps a link attribute to the one of the two directions whose changes DirSync reports.
var forward = map[string]string{"memberof": "member", "member": "member", "manager": "manager", "directreports": "manager"}

// reached is the result of following a chain backwards.
type reached struct {
	objects map[scoping.GUID]bool
	through map[scoping.GUID]bool // objects whose links were read
}

// choosing is what is known for the choices of one directory.
type choosing struct {
	choosers []scoping.Chooser
	judged   map[scoping.GUID]bool   // choices that every object was judged by once
	values   []string                // attributes whose values choices read
	chains   map[chain]*reached      // nil: not read yet
	targets  map[string]scoping.GUID // objects that filters name in chains, by the DN's key; names that never resolved are missing
	pinned   map[scoping.GUID]string // groups whose membership is pinned, Vanished or Emptied (rule T3)
}

// remembered is the stored part of choosing: which choices were judged, and what the names in filters resolved to.
type remembered struct {
	Judged  map[scoping.GUID]bool   `json:"judged"`
	Targets map[string]scoping.GUID `json:"targets,omitempty"`
	Pinned  []PinnedGroup           `json:"frozen,omitempty"`
}

// Choose replaces the choices. All objects are judged by new ones before it returns; an error leaves the former choices in force.
func (c *Census) Choose(ctx context.Context, choices []scoping.Choice) error {
	by := map[string][]scoping.Choice{}
	for _, x := range choices {
		by[x.Directory] = append(by[x.Directory], x)
	}
	for _, n := range c.names {
		if err := c.choose(ctx, n, by[n]); err != nil {
			return &UnreadError{map[string]error{n: fmt.Errorf("finding out whom the policy's selectors choose in directory %s: %w", n, err)}}
		}
	}
	return nil
}

func (c *Census) choose(ctx context.Context, name string, choices []scoping.Choice) error {
	if c.chooses(name, choices) {
		return nil
	}
	if len(choices) == 0 { // Nothing has to be read. Judgements of earlier choices expire, as objects that appear from now on are not judged by them.
		c.begin(name, &choosing{})
		return nil
	}
	if err := c.refuse(); err != nil {
		return err
	}
	return c.with(ctx, name, func(r Reader) error {
		c.mu.Lock()
		old := c.choosing[name]
		c.mu.Unlock()
		next, err := c.prepare(ctx, r, name, choices, old)
		if err != nil {
			return err
		}
		if _, err = c.judge(ctx, r, name, pendingChanges{ids: c.begin(name, next)}); err != nil {
			c.begin(name, old) // so that the next call tries again
		}
		return err
	})
}

// chooses reports whether exactly these choices are in force.
func (c *Census) chooses(name string, choices []scoping.Choice) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.choosing[name]
	return old != nil && slices.EqualFunc(old.choosers, choices, func(x scoping.Chooser, y scoping.Choice) bool { return x.ID == y.ID })
}

// begin replaces the choices, and returns the objects that have not been judged by one of the new ones.
func (c *Census) begin(name string, next *choosing) map[scoping.GUID]bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.choosing[name] = next
	fresh := map[scoping.GUID]bool{}
	t := c.trees[name]
	if t == nil || next == nil {
		return fresh
	}
	for _, x := range next.choosers {
		if !next.judged[x.ID] {
			for id := range t.Under(x.Under.GUID) {
				fresh[id.GUID] = true
			}
		}
	}
	return fresh
}

// prepare compiles choices and keeps what is known of chains and targets from before. The line's lock is held.
func (c *Census) prepare(ctx context.Context, r Reader, name string, choices []scoping.Choice, old *choosing) (*choosing, error) {
	next := &choosing{judged: map[scoping.GUID]bool{}, chains: map[chain]*reached{}, targets: map[string]scoping.GUID{}, pinned: map[scoping.GUID]string{}}
	if old == nil {
		old = &choosing{judged: c.stored[name].Judged, targets: c.stored[name].Targets, pinned: map[scoping.GUID]string{}}
		for _, f := range c.stored[name].Pinned { // membership that is unpinned after a restart is looked at again too
			old.pinned[f.Group.GUID] = f.Why
		}
	}
	for _, x := range choices {
		ready, err := x.Chooser()
		if err != nil {
			return nil, err
		}
		next.choosers = append(next.choosers, ready)
		if old.judged[x.ID] {
			next.judged[x.ID] = true
		}
		next.values = append(next.values, ready.Wants()...)
		if g := x.MemberOf.GUID; !g.IsZero() {
			next.keep(old, chain{"memberof", g})
		}
		for _, l := range ready.Chains() {
			g, ok, err := target(ctx, r, x, l, old)
			if err != nil {
				return nil, err
			}
			if ok {
				next.targets[l.Target.Key()] = g
				next.keep(old, chain{l.Attribute, g})
			}
		}
	}
	slices.Sort(next.values)
	next.values = slices.Compact(next.values)
	return next, nil
}

// keep takes over a chain, with what is known of it.
func (s *choosing) keep(old *choosing, k chain) {
	s.chains[k] = old.chains[k]
	if k.attribute == "memberof" && old.pinned[k.target] != "" {
		s.pinned[k.target] = old.pinned[k.target]
	}
}

// target resolves the DN that a filter names. If the name no longer resolves, the last resolution is kept; a name that never resolved matches
// nothing, as in an LDAP search.
func target(ctx context.Context, r Reader, x scoping.Choice, l scoping.ChainLink, old *choosing) (scoping.GUID, bool, error) {
	if back[l.Attribute] == "" {
		return scoping.GUID{}, false, fmt.Errorf("the filter %s follows %q in a chain, which is not among those that can be followed: memberOf, member, manager, directReports", x.Filter, l.Attribute)
	}
	g, _, _, err := r.Resolve(ctx, l.Target.String())
	if errors.Is(err, directory.ErrNoSuchObject) {
		g, ok := old.targets[l.Target.Key()]
		return g, ok, nil
	}
	if err != nil {
		return scoping.GUID{}, false, fmt.Errorf("looking up %s, which the filter %s names: %w", l.Target, x.Filter, err)
	}
	return g, true, nil
}

// asks returns the attributes that choices need the directory's changes to be read with.
func (s *choosing) asks() []string {
	if s == nil {
		return nil
	}
	out := slices.Clone(s.values)
	for _, v := range s.values {
		if f := forward[v]; f != "" {
			out = append(out, f)
		}
	}
	for k := range s.chains {
		out = append(out, forward[k.attribute])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// facts is what choices judge one object by.
type facts struct {
	entry  directory.Entry
	guid   scoping.GUID
	chains map[chain]*reached
	target map[string]scoping.GUID
}

func (f *facts) Values(attribute string) [][]byte {
	if l, ok := f.entry.Links[attribute]; ok {
		var out [][]byte
		for _, t := range l.Targets {
			out = append(out, []byte(t.DN))
		}
		return out
	}
	return f.entry.Attrs[attribute]
}

func (f *facts) InChain(attribute string, target scoping.DN) bool {
	g, ok := f.target[target.Key()]
	r := f.chains[chain{attribute, g}]
	return ok && r != nil && r.objects[f.guid]
}

func (f *facts) MemberOf(group scoping.GUID) bool {
	r := f.chains[chain{"memberof", group}]
	return r != nil && r.objects[f.guid]
}

// judge works out which choices take the given objects, and those that pending changes of links affect. The line's lock is held.
func (c *Census) judge(ctx context.Context, r Reader, name string, n pendingChanges) ([]Event, error) {
	c.mu.Lock()
	s, t := c.choosing[name], c.trees[name]
	c.mu.Unlock()
	if s == nil || t == nil { // the directory's first reading will judge
		return nil, nil
	}
	f, err := c.follow(ctx, r, name, s, n)
	if err != nil {
		return nil, err
	}
	maps.Copy(f.concerned, n.ids)
	list := c.judgeable(name, f.concerned)
	read := map[scoping.GUID]directory.Entry{}
	if len(s.values) > 0 && len(list) > 0 {
		if read, err = r.ByGUID(ctx, list, s.values, false); err != nil {
			return nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	s.keepFollowed(f)
	var events []Event
	for _, g := range list {
		e, ok := read[g]
		if len(s.values) > 0 && (!ok || e.Deleted) {
			continue // it was deleted since; its tombstone is among the next changes
		}
		events = append(events, t.chosen(g, s, &facts{entry: e, guid: g, chains: s.chains, target: s.targets})...)
	}
	for _, x := range s.choosers {
		s.judged[x.ID] = true
	}
	return events, nil
}

// judgeable returns those objects that exist and that a choice looks at or once took.
func (c *Census) judgeable(name string, ids map[scoping.GUID]bool) []scoping.GUID {
	c.mu.Lock()
	defer c.mu.Unlock()
	t, s := c.trees[name], c.choosing[name]
	if t == nil {
		return nil
	}
	var out []scoping.GUID
	for g := range ids {
		o := t.objects[g]
		if o == nil || o.Deleted || scoping.Base(o.Kind) == "" {
			continue
		}
		above := t.Place(g).Ancestors
		if len(o.Chosen)+len(o.Staged) > 0 || slices.ContainsFunc(s.choosers, func(x scoping.Chooser) bool { return x.Reaches(above) }) {
			out = append(out, g)
		}
	}
	slices.SortFunc(out, scoping.GUID.Compare)
	return out
}

// chosen works out which choices take an object now. A change by a choice that judged the object before is staged.
func (t *Tree) chosen(g scoping.GUID, s *choosing, f *facts) []Event {
	o := t.objects[g]
	above := t.Place(g).Ancestors
	_, fresh := t.fresh[g]
	var now, staged []scoping.GUID
	for _, x := range s.choosers {
		was, is := slices.Contains(o.Chosen, x.ID), x.Takes(g, above, f)
		if s.stuck(x) && x.Reaches(above) {
			is = was // membership of the group is pinned
		}
		_, restored := t.restored[g]
		wait := (s.judged[x.ID] || restored) && was != is && x.Reaches(above) && !fresh
		if was && wait || is && !wait {
			now = append(now, x.ID)
		}
		if wait {
			staged = append(staged, x.ID)
		}
	}
	slices.SortFunc(now, scoping.GUID.Compare)
	if slices.Equal(now, o.Chosen) && slices.Equal(staged, o.Staged) {
		return nil
	}
	changed := !slices.Equal(now, o.Chosen)
	o.Chosen, o.Staged = now, staged
	t.stage(o)
	t.note(g)
	if !changed {
		return nil
	}
	return []Event{{Object: scoping.ObjectID{Directory: t.Directory, GUID: g}, Kind: o.Kind, Type: Chosen}}
}

// groups returns the groups whose members, nested ones included, a choice selects.
func (s *choosing) groups(x scoping.Chooser) (out []scoping.GUID) {
	if g := x.Choice.MemberOf.GUID; !g.IsZero() {
		out = append(out, g)
	}
	for _, l := range x.Chains() {
		if g, ok := s.targets[l.Target.Key()]; ok && l.Attribute == "memberof" {
			out = append(out, g)
		}
	}
	return out
}

// stuck reports whether a choice depends on a group whose membership is pinned.
func (s *choosing) stuck(x scoping.Chooser) bool {
	return slices.ContainsFunc(s.groups(x), func(g scoping.GUID) bool { return s.pinned[g] != "" })
}

// Staged is a change of the choices that take one object, not in force yet.
type Staged struct {
	Object scoping.ObjectID
	Kind   scoping.Kind
	Choice scoping.Choice
	Taken  bool // whether the choice takes it from now on
}

// named returns the choices with the given ids. Before Choose was called nothing but the ids is known of them.
func (s *choosing) named(ids []scoping.GUID) (out []scoping.Choice) {
	if s == nil {
		for _, g := range ids {
			out = append(out, scoping.Choice{ID: g})
		}
		return out
	}
	for _, x := range s.choosers {
		if slices.Contains(ids, x.ID) {
			out = append(out, x.Choice)
		}
	}
	return out
}

// Staged returns the changes that wait for Take, in order. Before Choose was called these are the stored ones, and nothing but the id is known of
// their choices.
func (c *Census) Staged() []Staged {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Staged
	for _, n := range c.names {
		t, s := c.trees[n], c.choosing[n]
		if t == nil {
			continue
		}
		for g := range t.staged {
			o := t.object(g)
			if o == nil {
				continue // its read failed; Err returns why
			}
			for _, x := range s.named(o.Staged) {
				if !o.Deleted {
					out = append(out, Staged{Object: scoping.ObjectID{Directory: n, GUID: g}, Kind: o.Kind, Choice: x, Taken: !slices.Contains(o.Chosen, x.ID)})
				}
			}
		}
	}
	slices.SortFunc(out, func(a, b Staged) int {
		if d := a.Object.Compare(b.Object); d != 0 {
			return d
		}
		return a.Choice.ID.Compare(b.Choice.ID)
	})
	return out
}

// Take puts staged changes in force and returns their events.
func (c *Census) Take(changes []Staged) []Event {
	c.mu.Lock()
	defer c.mu.Unlock()
	var events []Event
	for _, x := range changes {
		t := c.trees[x.Object.Directory]
		if t == nil || t.objects[x.Object.GUID] == nil {
			continue
		}
		o := t.objects[x.Object.GUID]
		if !slices.Contains(o.Staged, x.Choice.ID) {
			continue
		}
		o.Staged = slices.DeleteFunc(slices.Clone(o.Staged), func(g scoping.GUID) bool { return g == x.Choice.ID })
		if x.Taken {
			o.Chosen = append(slices.Clone(o.Chosen), x.Choice.ID)
			slices.SortFunc(o.Chosen, scoping.GUID.Compare)
		} else {
			o.Chosen = slices.DeleteFunc(slices.Clone(o.Chosen), func(g scoping.GUID) bool { return g == x.Choice.ID })
		}
		t.note(o.GUID)
		t.stage(o)
		events = append(events, Event{Object: x.Object, Kind: o.Kind, Type: Chosen})
	}
	return events
}

// Why membership of a group is pinned.
const (
	Vanished = "vanished"
	Emptied  = "emptied"
)

// PinnedGroup is a group that a choice selects members of and that was deleted or emptied: its membership is pinned, so that no object changes owner by it
// (rule T3).
type PinnedGroup struct {
	Group   scoping.ObjectID `json:"group"`
	Name    string           `json:"name"`    // its DN when last seen
	Why     string           `json:"why"`     // Vanished or Emptied
	Choices []scoping.GUID   `json:"choices"` // the choices that depend on it
}

// Pinned returns the groups with pinned membership, in order. Before Choose was called these are the stored ones.
func (c *Census) Pinned() []PinnedGroup {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []PinnedGroup
	for _, n := range c.names {
		out = append(out, c.pinnedOf(n)...)
	}
	return out
}

func (c *Census) pinnedOf(name string) (out []PinnedGroup) {
	s, t := c.choosing[name], c.trees[name]
	if s == nil || t == nil {
		return c.stored[name].Pinned
	}
	for _, g := range slices.SortedFunc(maps.Keys(s.pinned), scoping.GUID.Compare) {
		f := PinnedGroup{Group: scoping.ObjectID{Directory: name, GUID: g}, Name: t.DN(g), Why: s.pinned[g]}
		for _, x := range s.choosers {
			if slices.Contains(s.groups(x), g) {
				f.Choices = append(f.Choices, x.ID)
			}
		}
		if f.Why != "" && len(f.Choices) > 0 {
			out = append(out, f)
		}
	}
	return out
}

// loadChoosing loads which choices were judged by an earlier process.
func (c *Census) loadChoosing(tx state.Tx, name string) error {
	b := tx.Get("choices", name)
	if b == nil {
		return nil
	}
	var m remembered
	if err := json.Unmarshal(b, &m); err != nil {
		return err
	}
	c.stored[name] = m
	return nil
}

// keepChoosing stores which choices were judged. Census.mu is held.
func (c *Census) keepChoosing(tx state.Tx, name string) error {
	s := c.choosing[name]
	if s == nil {
		return nil
	}
	return putJSON(tx, "choices", name, remembered{Judged: s.judged, Targets: s.targets, Pinned: c.pinnedOf(name)})
}
