package tenant

import (
	"slices"
	"sort"
)

// DeltaRequest is one call of a delta query: the first of a round has no Token; later ones have a nextLink's or a
// deltaLink's and nothing else counts.
// See https://learn.microsoft.com/graph/delta-query-overview.
type DeltaRequest struct {
	Select  []string // tracked and returned properties, with members (groups) or manager (users and contacts); none is the default set
	IDs     []string // only these objects; none is all
	Latest  bool     // start from now, without data
	Token   string
	Minimal bool // Prefer: return=minimal: changed properties only
	PageMax int  // Prefer: odata.maxpagesize; 0 is the model's
}

// DeltaPage is one answer. Exactly one of the two tokens is set.
type DeltaPage struct {
	Items      []map[string]any
	NextToken  string // $skiptoken: this round goes on
	DeltaToken string // $deltatoken: the next round starts here
}

// Delta answers one call of a delta query on users, groups or contacts. A token that is too old, or was voided, is
// refused with ErrSyncStateGone.
func (m *Model) Delta(kind Kind, r DeltaRequest) (DeltaPage, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	t, err := m.openRound(kind, r)
	if err != nil {
		return DeltaPage{}, err
	}
	if r.Latest {
		return DeltaPage{DeltaToken: m.seal(t.finished())}, nil
	}
	page := DeltaPage{Items: []map[string]any{}}
	limit := m.opts.DeltaPageSize
	if r.PageMax > 0 && r.PageMax < limit {
		limit = r.PageMax
	}
	d := round{m: m, t: &t, minimal: r.Minimal}
	for len(page.Items) < limit {
		item, more := d.next()
		if item != nil {
			page.Items = append(page.Items, item)
		}
		if !more {
			page.DeltaToken = m.seal(t.finished())
			return page, nil
		}
	}
	page.NextToken = m.seal(t)
	return page, nil
}

// openRound starts a round or takes one up where its token left it.
func (m *Model) openRound(kind Kind, r DeltaRequest) (deltaToken, error) {
	if r.Token == "" {
		return deltaToken{Kind: kind, Select: r.Select, IDs: r.IDs, Full: true, Upto: m.visible(), Position: 0}, nil
	}
	t, err := m.unseal(kind, r.Token)
	if err != nil {
		return deltaToken{}, err
	}
	if t.Done {
		t.Done, t.Upto, t.Position = false, m.visible(), int(t.Since)
		if t.Upto < t.Since {
			t.Upto = t.Since // the lag grew meanwhile
		}
	}
	return t, nil
}

// round walks the objects of one delta round. A first round walks the objects, a later one the log of changes;
// both only ever grow, so a position stays good between calls.
type round struct {
	m       *Model
	t       *deltaToken
	minimal bool
}

// next gives the next item, or nil when the step had nothing to show; more is false at the end.
func (d *round) next() (item map[string]any, more bool) {
	o := d.current()
	if o == nil {
		return nil, false
	}
	if !d.shows(o) {
		d.t.Position, d.t.Member = d.t.Position+1, 0
		return nil, true
	}
	item, member := d.item(o)
	if member > 0 {
		d.t.Member = member
		return item, true
	}
	d.t.Position, d.t.Member = d.t.Position+1, 0
	return item, true
}

func (d *round) current() *object {
	if d.t.Full {
		list := d.m.order[d.t.Kind]
		if d.t.Position < len(list) {
			return list[d.t.Position]
		}
		return nil
	}
	if uint64(d.t.Position) < d.t.Upto {
		return d.m.objects[d.m.log[d.t.Position].id]
	}
	return nil
}

// shows tells whether the object at the position belongs in this round; an object changed several times is shown
// at its last change.
func (d *round) shows(o *object) bool {
	if o.kind != d.t.Kind || len(d.t.IDs) > 0 && !slices.Contains(d.t.IDs, o.id) {
		return false
	}
	v := o.at(d.t.Upto)
	if v == nil {
		return false
	}
	if d.t.Full {
		return v.life == live
	}
	return o.lastChange(d.t.Upto) == uint64(d.t.Position)+1
}

// item renders one object; member > 0 says that more of its members follow from there.
func (d *round) item(o *object) (item map[string]any, member int) {
	v, before := o.at(d.t.Upto), o.at(d.t.Since)
	if d.t.Full {
		before = nil
	}
	if v.life != live {
		if before == nil || before.life == purged || before.life == v.life {
			return nil, 0
		}
		reason := "changed"
		if v.life == purged {
			reason = "deleted"
		}
		return map[string]any{"id": o.id, "@removed": map[string]any{"reason": reason}}, 0
	}
	if before != nil && (before.life != live || d.within(o, func(a, b *version) bool { return a.life != b.life })) {
		before = nil // restored, perhaps within this round: shown whole
	}
	item = map[string]any{"id": o.id}
	changed := before == nil
	if d.t.Member == 0 {
		changed = d.properties(item, o, v, before) || changed
	}
	if d.t.tracks("members") && o.members != nil {
		var some bool
		some, member = d.members(item, o, before == nil)
		changed = changed || some
	}
	if !changed {
		return nil, 0
	}
	return item, member
}

// properties adds the tracked properties to item and tells whether any changed between the two versions or within.
func (d *round) properties(item map[string]any, o *object, v, before *version) bool {
	changed := false
	for _, name := range d.t.properties() {
		differs := before == nil || !sameValue(before.props[name], v.props[name])
		changed = changed || differs && before != nil || d.wavered(o, name)
		if d.minimal && !differs {
			continue
		}
		value := v.props[name]
		if value != nil || differs && before != nil {
			item[name] = shown(schemas[o.kind].byName[name], value)
		}
	}
	if d.t.Kind != Group && d.t.tracks("manager") {
		changed = d.manager(item, v, before) || changed
	}
	return changed
}

// wavered tells whether a property changed and changed back inside the round.
func (d *round) wavered(o *object, name string) bool {
	return d.within(o, func(a, b *version) bool { return !sameValue(a.props[name], b.props[name]) })
}

// within tells whether two neighbouring versions inside the round differ.
func (d *round) within(o *object, differ func(a, b *version) bool) bool {
	if d.t.Full {
		return false
	}
	i := sort.Search(len(o.versions), func(i int) bool { return o.versions[i].seq > d.t.Since })
	for ; i > 0 && i < len(o.versions) && o.versions[i].seq <= d.t.Upto; i++ {
		if differ(o.versions[i-1], o.versions[i]) {
			return true
		}
	}
	return false
}

func (d *round) manager(item map[string]any, v, before *version) bool {
	now, was := d.m.livingManager(v, d.t.Upto), ""
	if before != nil {
		was = d.m.livingManager(before, d.t.Since)
	}
	changed := before != nil && now != was
	if d.minimal && before != nil && !changed {
		return false
	}
	var list []map[string]any
	if was != "" && was != now {
		list = append(list, reference(d.m.objects[was], "deleted"))
	}
	if now != "" {
		list = append(list, reference(d.m.objects[now], ""))
	}
	if len(list) > 0 {
		item["manager@delta"] = list
	}
	return changed
}

func reference(o *object, removed string) map[string]any {
	out := map[string]any{"@odata.type": o.kind.odataType(), "id": o.id}
	if removed != "" {
		out["@removed"] = map[string]any{"reason": removed}
	}
	return out
}

// members adds up to a page of member changes; next > 0 says where the following entry goes on.
func (d *round) members(item map[string]any, o *object, whole bool) (some bool, next int) {
	list := []map[string]any{}
	order := o.members.order
	for i := d.t.Member; i < len(order); i++ {
		if len(list) == d.m.opts.DeltaMembersPerEntry {
			next = i
			break
		}
		e, ok := o.members.last(order[i], d.t.Upto)
		if !ok || whole && !e.present || !whole && e.seq <= d.t.Since {
			continue
		}
		reason := ""
		if !e.present {
			reason = "deleted"
		}
		list = append(list, reference(d.m.objects[order[i]], reason))
	}
	if len(list) > 0 {
		item["members@delta"] = list
	}
	return len(list) > 0, next
}
