// Package census is the host's own view of the directory: where each object is, whether it is deleted, which choices take it, and which source anchor
// it has. Only the census says where an object is (rule V1); engines may be ahead or behind.
//
// Open loads what an earlier process stored. Before each run the host calls Choose (selectors), Watch (what engines read) and Refresh, draws its
// conclusions from the events, and calls Keep once these are durable. The gate asks Sight, Reread and Evidence meanwhile. Each directory has one
// session, used by one call at a time; memory has one lock, which is not held during reads.
//
// Tree is pure: entries in, events out. Census reads directories and keeps the trees in an index file.
package census

import (
	"bytes"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/standing/changes"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// Attrs are the AD attributes that the census reads.
var Attrs = []string{"objectClass", "mS-DS-ConsistencyGuid", "userPrincipalName", "sAMAccountName", "isCriticalSystemObject"}

// Object is one directory object, as small as the host's work allows.
type Object struct {
	GUID     scoping.GUID `json:"g"`
	Parent   scoping.GUID `json:"p"`           // of a tombstone: its last parent
	Kind     scoping.Kind `json:"k"`           // a kind of scoping, directory.OU or directory.Other
	RDN      string       `json:"n"`           // the first component of the DN, escaped
	Anchor   []byte       `json:"a,omitempty"` // mS-DS-ConsistencyGuid; empty: objectGUID is the anchor
	UPN      string       `json:"u,omitempty"`
	SAM      string       `json:"s,omitempty"`
	Deleted  bool         `json:"d,omitempty"`
	Critical bool         `json:"c,omitempty"`
	Version  uint64       `json:"v,omitempty"`
	Reading  uint64       `json:"r,omitempty"` // the reading that changed it last

	Links []string `json:"l,omitempty"` // links to objects of the tenant, as "attribute=value", sorted

	Chosen []scoping.GUID `json:"o,omitempty"` // the choices that take it, sorted; of a tombstone, those that took it
	Staged []scoping.GUID `json:"w,omitempty"` // choices by which Chosen is outdated, until Take
}

// anchor returns the source anchor's bytes, as computed by the host (rule I2).
func (o *Object) anchor() []byte {
	if len(o.Anchor) > 0 {
		return o.Anchor
	}
	return o.GUID[:]
}

// anchoredByGUID reports whether objectGUID is the anchor, whether or not it is also written into mS-DS-ConsistencyGuid.
func (o *Object) anchoredByGUID() bool { return bytes.Equal(o.anchor(), o.GUID[:]) }

// EventType is a kind of change that the census notices.
type EventType uint8

// The events.
const (
	Appeared EventType = iota + 1
	Moved              // it has another parent
	Deleted            // a tombstone was read
	Returned           // it is no tombstone any more
	Carried            // an ancestor moved: same parent, another place
	Changed            // anything else: anchor, name
	Chosen             // other choices take it
)

// Event is one change of one user, group or contact. A container's change is reported as events of the objects below it.
type Event struct {
	Object scoping.ObjectID
	Kind   scoping.Kind
	Type   EventType
}

// Tree is one directory. It is not safe for concurrent use.
type Tree struct {
	Directory string
	Root      scoping.GUID
	RootDN    string
	Reading   uint64 // the number of the reading that is being taken in

	objects  map[scoping.GUID]*Object
	children map[scoping.GUID]map[scoping.GUID]struct{}
	anchors  map[string]int                       // number of objects per kind and anchor, deleted ones left out, and those whose anchor is objectGUID: objects finds these
	linked   map[string]map[scoping.GUID]struct{} // objects by the links that they show, in lower case; deleted ones left out
	links    []string                             // the attributes that show links, in lower case
	touched  map[scoping.GUID]struct{}
	staged   map[scoping.GUID]struct{}       // objects with staged changes
	fresh    map[scoping.GUID]struct{}       // appeared in this Refresh: their choices take effect at once, as no owner changes
	chains   map[scoping.GUID][]scoping.GUID // cache of above
	restored map[scoping.GUID]struct{}       // their choices were restored from SelectionHistory
	changed  changes.Set[scoping.GUID]       // see Census.Changed

	named   bool                                 // the store's index of names covers all objects
	watched map[scoping.Kind]map[string]struct{} // what engines read of each kind, in lower case; shared, never changed

	shelf  *shelf // of a glance: where objects are read when asked for; nil: all are in objects
	failed error  // the first error of such a read
}

// NewTree returns an empty tree.
func NewTree(directoryName string, root scoping.GUID, rootDN string) *Tree {
	return &Tree{Directory: directoryName, Root: root, RootDN: rootDN, objects: map[scoping.GUID]*Object{},
		children: map[scoping.GUID]map[scoping.GUID]struct{}{}, anchors: map[string]int{}, linked: map[string]map[scoping.GUID]struct{}{}, links: lower(linkAttributes), touched: map[scoping.GUID]struct{}{}, staged: map[scoping.GUID]struct{}{}, fresh: map[scoping.GUID]struct{}{}, restored: map[scoping.GUID]struct{}{}}
}

// Len returns the number of known objects, tombstones included.
func (t *Tree) Len() int {
	t.whole()
	return len(t.objects)
}

// Get returns an object.
func (t *Tree) Get(g scoping.GUID) (Object, bool) {
	o := t.object(g)
	if o == nil {
		return Object{}, false
	}
	return *o, true
}

// Put takes in a stored object without an event.
func (t *Tree) Put(o Object) {
	t.unindex(t.objects[o.GUID])
	t.chains = nil
	t.objects[o.GUID] = &o
	t.index(&o)
	t.stage(&o)
}

// stage updates the index of objects with staged changes.
func (t *Tree) stage(o *Object) {
	if len(o.Staged) > 0 {
		t.staged[o.GUID] = struct{}{}
		return
	}
	delete(t.staged, o.GUID)
}

// Touched returns the objects that changed since the last call, in order, for storing. Objects in later stay for another call.
func (t *Tree) Touched(later map[scoping.ObjectID]bool) []Object {
	ids := make([]scoping.GUID, 0, len(t.touched))
	for g := range t.touched {
		ids = append(ids, g)
	}
	slices.SortFunc(ids, scoping.GUID.Compare)
	out := make([]Object, 0, len(ids))
	for _, g := range ids {
		if later[scoping.ObjectID{Directory: t.Directory, GUID: g}] {
			continue
		}
		if o := t.objects[g]; o != nil {
			out = append(out, *o)
		}
		delete(t.touched, g)
	}
	return out
}

// touch marks objects as still to be stored.
func (t *Tree) touch(os []Object) {
	for _, o := range os {
		t.touched[o.GUID] = struct{}{}
	}
}

func (t *Tree) index(o *Object) {
	if o.Deleted {
		return
	}
	if t.children[o.Parent] == nil {
		t.children[o.Parent] = map[scoping.GUID]struct{}{}
	}
	t.children[o.Parent][o.GUID] = struct{}{}
	t.link(o, true)
	if scoping.Base(o.Kind) != "" && !o.anchoredByGUID() {
		t.anchors[string(o.Kind)+string(o.Anchor)]++
	}
}

func (t *Tree) unindex(o *Object) {
	if o == nil || o.Deleted {
		return
	}
	delete(t.children[o.Parent], o.GUID)
	t.link(o, false)
	if scoping.Base(o.Kind) != "" && !o.anchoredByGUID() {
		k := string(o.Kind) + string(o.Anchor)
		if t.anchors[k]--; t.anchors[k] == 0 {
			delete(t.anchors, k)
		}
	}
}

// sharing returns the number of objects of a kind that have an anchor, deleted ones left out.
func (t *Tree) sharing(kind scoping.Kind, anchor []byte) int {
	n := t.anchors[string(kind)+string(anchor)]
	if g := (scoping.GUID{}); len(anchor) == len(g) {
		copy(g[:], anchor)
		if o := t.objects[g]; o != nil && !o.Deleted && o.Kind == kind && o.anchoredByGUID() {
			n++
		}
	}
	return n
}

// Apply takes in what was read about one object and returns the events, in order. If whole is set, the entry has all attributes, so that an absent
// one has no value; else it has only what changed.
func (t *Tree) Apply(e directory.Entry, whole bool) []Event {
	t.whole()
	old := t.objects[e.GUID]
	o := Object{GUID: e.GUID, Kind: e.Kind()}
	if old != nil {
		o = *old
	} else {
		t.fresh[e.GUID] = struct{}{}
	}
	if whole && !e.Deleted {
		o.Anchor, o.UPN, o.SAM, o.Critical, o.Links = nil, "", "", false, nil
	}
	merge(&o, e)
	if !e.Deleted {
		mergeLinks(&o, e, t.links)
	}
	unmoved := old != nil && same(old, &o)
	if unmoved && (whole || !t.seen(o.Kind, e)) {
		return nil
	}
	o.Reading = t.Reading
	if unmoved {
		*old = o
		t.note(o.GUID)
		return nil
	}
	t.unindex(old)
	t.chains = nil
	t.objects[o.GUID] = &o
	t.index(&o)
	t.note(o.GUID)
	if len(t.children[o.GUID]) > 0 && (old == nil || old.Parent != o.Parent) { // everything below it has another place
		t.changed.NoteAll()
	}
	return t.events(old, &o)
}

// note marks an object as changed: it has to be stored and compared.
func (t *Tree) note(g scoping.GUID) {
	t.touched[g] = struct{}{}
	t.changed.Note(g)
}

// Changed returns the objects that changed in the census since its last call; all means any of them may have.
func (c *Census) Changed() (ids map[scoping.ObjectID]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids = map[scoping.ObjectID]struct{}{}
	for n, t := range c.trees {
		some, every := t.changed.Take()
		for g := range some {
			ids[scoping.ObjectID{Directory: n, GUID: g}] = struct{}{}
		}
		all = all || every
	}
	return ids, all
}

func merge(o *Object, e directory.Entry) {
	if k := e.Kind(); e.Has("objectClass") {
		o.Kind = k
	}
	o.Deleted = e.Deleted
	if !e.Deleted {
		if !e.Parent.IsZero() {
			o.Parent = e.Parent
		}
		if e.DN != "" {
			o.RDN = strings.Clone(firstRDN(e.DN)) // so that the whole DN is not kept in memory
		}
		mergeValues(o, e)
	} else if !e.LastParent.IsZero() {
		o.Parent = e.LastParent // it may have moved just before it was deleted
	}
	if e.Version != 0 {
		o.Version = e.Version
	}
}

// mergeValues is not called for tombstones: they lose their attributes, and an anchor computed without them may be another object's (rule I2).
func mergeValues(o *Object, e directory.Entry) {
	if v, ok := e.Attrs["ms-ds-consistencyguid"]; ok {
		o.Anchor = nil
		if len(v) > 0 {
			o.Anchor = slices.Clone(v[0])
		}
	}
	if _, ok := e.Attrs["userprincipalname"]; ok {
		o.UPN = e.Text("userPrincipalName")
	}
	if _, ok := e.Attrs["samaccountname"]; ok {
		o.SAM = e.Text("sAMAccountName")
	}
	if _, ok := e.Attrs["iscriticalsystemobject"]; ok {
		o.Critical = e.Bool("isCriticalSystemObject")
	}
}

func same(a, b *Object) bool {
	x, y := *a, *b
	x.Version, y.Version = 0, 0
	x.Anchor, y.Anchor = nil, nil
	return slices.Equal(a.Anchor, b.Anchor) && slices.Equal(a.Links, b.Links) && x.GUID == y.GUID && x.Parent == y.Parent && x.Kind == y.Kind && x.RDN == y.RDN && x.Deleted == y.Deleted &&
		x.UPN == y.UPN && x.SAM == y.SAM && x.Critical == y.Critical
}

// firstRDN returns a DN's first component.
func firstRDN(dn string) string {
	for i := 0; i < len(dn); i++ {
		switch dn[i] {
		case '\\':
			i++
		case ',':
			return dn[:i]
		}
	}
	return dn
}

func (t *Tree) events(old, o *Object) []Event {
	if scoping.Base(o.Kind) == "" {
		if old != nil && !o.Deleted && !old.Deleted && old.Parent != o.Parent {
			return t.carried(o.GUID)
		}
		return nil
	}
	e := Event{Object: scoping.ObjectID{Directory: t.Directory, GUID: o.GUID}, Kind: o.Kind, Type: Changed}
	switch {
	case old == nil && o.Deleted:
		return nil // an object that was never known
	case old == nil:
		e.Type = Appeared
	case o.Deleted && !old.Deleted:
		e.Type = Deleted
	case !o.Deleted && old.Deleted:
		e.Type = Returned
	case o.Parent != old.Parent:
		e.Type = Moved
	}
	return []Event{e}
}

// carried returns events for all objects below a container that moved: DirSync reports only the container (rule T1).
func (t *Tree) carried(container scoping.GUID) []Event {
	var out []Event
	for id := range t.Under(container) {
		o := t.objects[id.GUID]
		out = append(out, Event{Object: id, Kind: o.Kind, Type: Carried})
	}
	return out
}

// Under yields the users, groups and contacts anywhere below a container, in order of the tree. Deleted ones are left out.
func (t *Tree) Under(container scoping.GUID) func(yield func(scoping.ObjectID) bool) {
	return func(yield func(scoping.ObjectID) bool) {
		t.whole()
		t.under([]scoping.GUID{container}, yield)
	}
}

// under yields what is below the last container of a path. What was read may hold a cycle for a while: of two containers that changed places, the one that is below now
// may be read before the other one's move, for a reading is in the order of last changes.
func (t *Tree) under(path []scoping.GUID, yield func(scoping.ObjectID) bool) bool {
	below := t.children[path[len(path)-1]]
	kids := make([]scoping.GUID, 0, len(below))
	for g := range below {
		kids = append(kids, g)
	}
	slices.SortFunc(kids, scoping.GUID.Compare)
	for _, g := range kids {
		if scoping.Base(t.objects[g].Kind) != "" && !yield(scoping.ObjectID{Directory: t.Directory, GUID: g}) {
			return false
		}
		if len(t.children[g]) > 0 && !slices.Contains(path, g) && !t.under(append(path, g), yield) {
			return false
		}
	}
	return true
}

// Place returns where an object is, or where a tombstone was before.
func (t *Tree) Place(g scoping.GUID) scoping.Place {
	p := scoping.Place{Directory: t.Directory}
	if o := t.object(g); o != nil {
		p.Chosen, p.Ancestors = o.Chosen, t.above(o)
	}
	return p
}

// above returns an object's ancestors, the parent first, up to the root or as far as they were read (see under about cycles). Objects of one container share the slice,
// until anything in the tree changes.
func (t *Tree) above(o *Object) []scoping.GUID {
	if known, ok := t.chains[o.Parent]; ok {
		return known
	}
	parent := o.Parent
	var out []scoping.GUID
	for o != nil && !o.Parent.IsZero() && !slices.Contains(out, o.Parent) {
		out = append(out, o.Parent)
		if o.Parent == t.Root {
			break
		}
		o = t.object(o.Parent)
	}
	out = slices.Clip(out)
	if t.chains == nil {
		t.chains = map[scoping.GUID][]scoping.GUID{}
	}
	t.chains[parent] = out
	return out
}

// brief returns an object's Sight without name and anchor.
func (t *Tree) brief(o *Object) gate.Sight {
	return gate.Sight{Known: true, Deleted: o.Deleted, Kind: o.Kind, Parent: o.Parent, Chain: t.above(o), Chosen: o.Chosen, Version: o.Version, Reading: o.Reading, Links: o.shows()}
}

// DN returns an object's name as the tree knows it, for display.
func (t *Tree) DN(g scoping.GUID) string {
	if g == t.Root {
		return t.RootDN
	}
	o := t.object(g)
	if o == nil {
		return "<GUID=" + g.String() + ">"
	}
	name := o.RDN
	for _, up := range t.above(o) {
		if up == t.Root {
			return name + "," + t.RootDN
		}
		if o = t.object(up); o == nil {
			return name + ",<GUID=" + up.String() + ">"
		}
		name += "," + o.RDN
	}
	return name + "," + t.RootDN
}

// Named finds an object by its DN. Deleted objects are not found.
func (t *Tree) Named(dn scoping.DN) (scoping.GUID, bool) {
	root, err := scoping.ParseDN(t.RootDN)
	if err != nil || !root.AncestorOf(dn, true) {
		return scoping.GUID{}, false
	}
	above := t.Root
	if parent := dn.Parent(); !parent.Equal(root) {
		var ok bool
		if above, ok = t.Named(parent); !ok {
			return scoping.GUID{}, false
		}
	}
	if t.shelf != nil {
		if g, found, ok := t.child(above, dn); ok {
			return g, found
		}
	}
	t.whole()
	for g := range t.children[above] {
		if x, err := scoping.ParseDN(t.objects[g].RDN); err == nil && x.Depth() == 1 && x.RDN().Equal(dn.RDN()) {
			return g, true
		}
	}
	return scoping.GUID{}, false
}

// Anchor returns the source anchor in base64, or the code of what is wrong with it (rules I2, I3).
func (t *Tree) Anchor(g scoping.GUID) (anchor string, bad gate.Code) {
	o := t.object(g)
	if o == nil {
		return "", ""
	}
	a := o.anchor()
	switch {
	case len(a) != 16:
		return "", gate.CodeAnchorInvalid
	case !o.Deleted && (t.sharing(o.Kind, a) > 1 || t.shelf != nil && t.shared(o)):
		return "", gate.CodeDuplicateAnchor
	}
	return base64.StdEncoding.EncodeToString(a), ""
}

// All returns the users, groups and contacts that are not deleted, in order of their identities.
func (t *Tree) All() []scoping.ObjectID {
	t.whole()
	var out []scoping.ObjectID
	for g, o := range t.objects {
		if !o.Deleted && scoping.Base(o.Kind) != "" {
			out = append(out, scoping.ObjectID{Directory: t.Directory, GUID: g})
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}

// ByAnchor returns the users, groups and contacts that are not deleted, by their source anchor (base64).
func (t *Tree) ByAnchor() map[string][]scoping.ObjectID {
	out := map[string][]scoping.ObjectID{}
	for _, id := range t.All() {
		if a := t.objects[id.GUID].anchor(); len(a) == 16 {
			k := base64.StdEncoding.EncodeToString(a)
			out[k] = append(out[k], id)
		}
	}
	return out
}

// Find returns the objects whose user principal name, account name or source anchor (base64) is the given text. Deleted ones are left out.
func (t *Tree) Find(text string) []scoping.ObjectID {
	raw, _ := base64.StdEncoding.DecodeString(text)
	if t.shelf != nil {
		return t.find(text, raw)
	}
	var out []scoping.ObjectID
	for g, o := range t.objects {
		if o.named(text, raw) {
			out = append(out, scoping.ObjectID{Directory: t.Directory, GUID: g})
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}

// named reports whether an object has this user principal name, account name or anchor. A deleted object has none.
func (o *Object) named(text string, anchor []byte) bool {
	if o.Deleted || scoping.Base(o.Kind) == "" {
		return false
	}
	return o.UPN != "" && equalFold(o.UPN, text) || len(anchor) == 16 && string(o.anchor()) == string(anchor) || equalFold(o.SAM, text)
}
