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

// What choices take is found out here: the census reads what their selectors ask for, and says of each object which choices take it. A choice that is
// asked for the first time decides at once. Afterwards what changes is only staged: an object's owner hangs on it, and whether so
// many may change hands is for others to weigh (rule T3). They call Take.

// chain is an in-chain link that a selector asks for: the objects from which following the attribute leads to the target.
type chain struct {
	attribute string
	target    scoping.GUID
}

// back gives, for a link attribute that can be followed in chains, the one that leads the other way.
var back = map[string]string{"memberof": "member", "member": "memberOf", "manager": "directReports", "directreports": "manager"}

// forward is the attribute whose changes a directory tells, of a link and its way back.
var forward = map[string]string{"memberof": "member", "member": "member", "manager": "manager", "directreports": "manager"}

// reached is whom a chain leads from.
type reached struct {
	objects map[scoping.GUID]bool
	through map[scoping.GUID]bool // whose links were read
}

// choosing is what one directory's choices need.
type choosing struct {
	choosers []scoping.Chooser
	judged   map[scoping.GUID]bool   // choices that were judged of every object once
	values   []string                // attributes whose values are asked for
	chains   map[chain]*reached      // nil: not read yet
	targets  map[string]scoping.GUID // whom filters name in chains, by the name's key; nobody of that name is left out
	frozen   map[scoping.GUID]string // groups that vanished or emptied, and which of it (rule T3)
}

// remembered is what is stored of choices: which were judged, and whom the names in filters meant.
type remembered struct {
	Judged  map[scoping.GUID]bool   `json:"judged"`
	Targets map[string]scoping.GUID `json:"targets,omitempty"`
	Frozen  []Frozen                `json:"frozen,omitempty"`
}

// Choose tells the census by what objects are chosen, in place of what it was told before. What is new is judged of all objects before it returns.
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
	if len(choices) == 0 { // nothing has to be read; and what was judged of earlier ones holds no longer, for nobody judges by them who comes from now on
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
		if _, err = c.judge(ctx, r, name, news{ids: c.begin(name, next)}); err != nil {
			c.begin(name, old) // so that the next call tries again
		}
		return err
	})
}

// chooses says whether objects are chosen by just these choices already.
func (c *Census) chooses(name string, choices []scoping.Choice) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := c.choosing[name]
	return old != nil && slices.EqualFunc(old.choosers, choices, func(x scoping.Chooser, y scoping.Choice) bool { return x.ID == y.ID })
}

// begin puts choices in place of others, and gives the objects of which nobody has judged yet what takes them.
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

// prepare makes choices ready, keeping what was found out for them before. The line's lock is held.
func (c *Census) prepare(ctx context.Context, r Reader, name string, choices []scoping.Choice, old *choosing) (*choosing, error) {
	next := &choosing{judged: map[scoping.GUID]bool{}, chains: map[chain]*reached{}, targets: map[string]scoping.GUID{}, frozen: map[scoping.GUID]string{}}
	if old == nil {
		old = &choosing{judged: c.stored[name].Judged, targets: c.stored[name].Targets, frozen: map[scoping.GUID]string{}}
		for _, f := range c.stored[name].Frozen { // what thaws after a restart has to be looked at again too
			old.frozen[f.Group.GUID] = f.Why
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

// keep takes a chain over, with what is known of it.
func (s *choosing) keep(old *choosing, k chain) {
	s.chains[k] = old.chains[k]
	if k.attribute == "memberof" && old.frozen[k.target] != "" {
		s.frozen[k.target] = old.frozen[k.target]
	}
}

// target finds whom a filter names. One who is not found by that name any more is whom it meant before; a name that never meant anybody leads
// nowhere, as in a search.
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

// asks gives what the directory's changes have to be read with for the sake of choices.
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

// facts is what is known of one object when choices judge it.
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

// judge finds out which choices take some objects, and whomever the news of links concern. The line's lock is held.
func (c *Census) judge(ctx context.Context, r Reader, name string, n news) ([]Event, error) {
	c.mu.Lock()
	s, t := c.choosing[name], c.trees[name]
	c.mu.Unlock()
	if s == nil || t == nil { // nothing was read of the directory yet: its first reading judges
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
			continue // it died meanwhile: its tombstone is news to come
		}
		events = append(events, t.chosen(g, s, &facts{entry: e, guid: g, chains: s.chains, target: s.targets})...)
	}
	for _, x := range s.choosers {
		s.judged[x.ID] = true
	}
	return events, nil
}

// judgeable gives those objects that live and that choices look at, or once took.
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
		if o == nil || o.Gone || scoping.Base(o.Kind) == "" {
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

// chosen works out what takes an object now. What changes of choices that were judged before is staged.
func (t *Tree) chosen(g scoping.GUID, s *choosing, f *facts) []Event {
	o := t.objects[g]
	above := t.Place(g).Ancestors
	_, fresh := t.fresh[g]
	var now, staged []scoping.GUID
	for _, x := range s.choosers {
		was, is := slices.Contains(o.Chosen, x.ID), x.Takes(g, above, f)
		if s.stuck(x) && x.Reaches(above) {
			is = was // the group says nothing any more
		}
		_, recalled := t.recalled[g]
		wait := (s.judged[x.ID] || recalled) && was != is && x.Reaches(above) && !fresh
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

// groups gives the groups whose members a choice asks for, nested ones included.
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

// stuck says whether a choice asks for a group that vanished or emptied.
func (s *choosing) stuck(x scoping.Chooser) bool {
	return slices.ContainsFunc(s.groups(x), func(g scoping.GUID) bool { return s.frozen[g] != "" })
}

// Staged is a change of what takes one object, which waits.
type Staged struct {
	Object scoping.ObjectID
	Kind   scoping.Kind
	Choice scoping.Choice
	Taken  bool // from now on it is taken; false: no longer
}

// named gives those of some choices that are asked for; before anything is asked for, all, by their identities alone.
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

// Staged gives the changes that wait to be taken, in order. Before Choose was called they are those that waited when they were stored, and of
// their choices nothing but the identity is known.
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
				continue // it could not be read, which Err tells
			}
			for _, x := range s.named(o.Staged) {
				if !o.Gone {
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

// Take puts staged changes in force, and gives what was noticed by that.
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

// Why a group is frozen.
const (
	Vanished = "vanished"
	Emptied  = "emptied"
)

// Frozen is a group by whose members objects are chosen and that vanished or emptied: nobody's owner changes by it (rule T3).
type Frozen struct {
	Group   scoping.ObjectID `json:"group"`
	Name    string           `json:"name"`    // its DN, as it was last seen
	Why     string           `json:"why"`     // Vanished or Emptied
	Choices []scoping.GUID   `json:"choices"` // that ask for it
}

// Frozen gives the frozen groups, in order. Before Choose was called they are those that were stored.
func (c *Census) Frozen() []Frozen {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []Frozen
	for _, n := range c.names {
		out = append(out, c.frozenOf(n)...)
	}
	return out
}

func (c *Census) frozenOf(name string) (out []Frozen) {
	s, t := c.choosing[name], c.trees[name]
	if s == nil || t == nil {
		return c.stored[name].Frozen
	}
	for _, g := range slices.SortedFunc(maps.Keys(s.frozen), scoping.GUID.Compare) {
		f := Frozen{Group: scoping.ObjectID{Directory: name, GUID: g}, Name: t.DN(g), Why: s.frozen[g]}
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

// loadChoosing reads which choices were judged before.
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

// keepChoosing stores which choices were judged. The lock is held.
func (c *Census) keepChoosing(tx state.Tx, name string) error {
	s := c.choosing[name]
	if s == nil {
		return nil
	}
	return putJSON(tx, "choices", name, remembered{Judged: s.judged, Targets: s.targets, Frozen: c.frozenOf(name)})
}
