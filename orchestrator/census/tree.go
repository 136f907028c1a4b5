// Package census is the host's own view of the directory: where each object is, whether it lives, and which source anchor it has. The census alone
// says where an object is (rule V1); engines may be ahead or behind.
//
// Tree is pure: entries in, events out. Census is the shell that reads the directory, keeps trees in an index file and answers the gate.
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
	Parent   scoping.GUID `json:"p"`           // the last living parent of a tombstone
	Kind     scoping.Kind `json:"k"`           // directory.OU and directory.Other besides the kinds of scoping
	RDN      string       `json:"n"`           // the first component of the DN, escaped
	Anchor   []byte       `json:"a,omitempty"` // mS-DS-ConsistencyGuid as it is; empty: objectGUID is the anchor
	UPN      string       `json:"u,omitempty"`
	SAM      string       `json:"s,omitempty"`
	Gone     bool         `json:"d,omitempty"`
	Critical bool         `json:"c,omitempty"`
	Version  uint64       `json:"v,omitempty"`
	Reading  uint64       `json:"r,omitempty"` // the reading that changed it last

	Links []string `json:"l,omitempty"` // of objects of the tenant that it shows, as "attribute=value", sorted

	Chosen []scoping.GUID `json:"o,omitempty"` // the choices that take it, sorted; of a tombstone, those that took it
	Staged []scoping.GUID `json:"w,omitempty"` // choices of which the opposite of Chosen is true now, which waits to be taken
}

// anchor gives the source anchor's bytes, as computed by the host (rule I2).
func (o *Object) anchor() []byte {
	if len(o.Anchor) > 0 {
		return o.Anchor
	}
	return o.GUID[:]
}

// anchoredByGUID reports whether objectGUID is the anchor, as computed or as written into the directory.
func (o *Object) anchoredByGUID() bool { return bytes.Equal(o.anchor(), o.GUID[:]) }

// EventType says what the census noticed.
type EventType uint8

// The events.
const (
	Appeared EventType = iota + 1
	Moved              // has another parent
	Died               // a tombstone was read
	Returned           // lives again
	Carried            // an ancestor moved: same parent, another place
	Changed            // something else: anchor, name
	Chosen             // other choices take it
)

// Event is one thing that the census noticed about one object. It is about users, groups and the like; events of containers are expanded to what
// lies in them.
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
	Reading   uint64 // the number of the reading that is taken in now

	objects  map[scoping.GUID]*Object
	children map[scoping.GUID]map[scoping.GUID]struct{}
	anchors  map[string]int                       // living objects per kind and anchor, but for those of which the anchor is objectGUID: these are found by it
	linked   map[string]map[scoping.GUID]struct{} // living objects by the links that they show, in small letters
	links    []string                             // the attributes that show links, in small letters
	touched  map[scoping.GUID]struct{}
	staged   map[scoping.GUID]struct{}       // objects with staged changes
	fresh    map[scoping.GUID]struct{}       // appeared in this refresh: nobody's owner changes by what takes them
	chains   map[scoping.GUID][]scoping.GUID // see above
	recalled map[scoping.GUID]struct{}       // what took them before was told from elsewhere
	news     changes.Set[scoping.GUID]       // see Census.Changed

	named   bool                                 // the store's index of names is of all its objects
	watched map[scoping.Kind]map[string]struct{} // what engines read of each kind, in small letters; not to be changed

	shelf  *shelf // of a glance: where objects are read from when they are asked for; nil: all are here
	failed error  // what could not be read of it first
}

// NewTree gives an empty tree.
func NewTree(directoryName string, root scoping.GUID, rootDN string) *Tree {
	return &Tree{Directory: directoryName, Root: root, RootDN: rootDN, objects: map[scoping.GUID]*Object{},
		children: map[scoping.GUID]map[scoping.GUID]struct{}{}, anchors: map[string]int{}, linked: map[string]map[scoping.GUID]struct{}{}, links: lower(linkAttributes), touched: map[scoping.GUID]struct{}{}, staged: map[scoping.GUID]struct{}{}, fresh: map[scoping.GUID]struct{}{}, recalled: map[scoping.GUID]struct{}{}}
}

// Len counts the objects known, tombstones included.
func (t *Tree) Len() int {
	t.whole()
	return len(t.objects)
}

// Get gives an object.
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

// stage keeps the index of objects with staged changes.
func (t *Tree) stage(o *Object) {
	if len(o.Staged) > 0 {
		t.staged[o.GUID] = struct{}{}
		return
	}
	delete(t.staged, o.GUID)
}

// Touched gives what changed since the last call, in order, for storing; what is in later waits for another call.
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

// touch notes that objects are still to be stored.
func (t *Tree) touch(os []Object) {
	for _, o := range os {
		t.touched[o.GUID] = struct{}{}
	}
}

func (t *Tree) index(o *Object) {
	if o.Gone {
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
	if o == nil || o.Gone {
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

// sharing counts the living objects of a kind that have an anchor.
func (t *Tree) sharing(kind scoping.Kind, anchor []byte) int {
	n := t.anchors[string(kind)+string(anchor)]
	if g := (scoping.GUID{}); len(anchor) == len(g) {
		copy(g[:], anchor)
		if o := t.objects[g]; o != nil && !o.Gone && o.Kind == kind && o.anchoredByGUID() {
			n++
		}
	}
	return n
}

// Apply takes in what was read about one object: all of it if whole, so that an absent attribute has no value, or what changed. It gives
// the events, in order.
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
	if len(t.children[o.GUID]) > 0 && (old == nil || old.Parent != o.Parent) { // what lies in it is elsewhere
		t.news.NoteAll()
	}
	return t.events(old, &o)
}

// note says that an object changed: it is to be stored, and compared.
func (t *Tree) note(g scoping.GUID) {
	t.touched[g] = struct{}{}
	t.news.Note(g)
}

// Changed returns the objects of which the census says something else since it was asked last: all of them, or these.
func (c *Census) Changed() (ids map[scoping.ObjectID]struct{}, all bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ids = map[scoping.ObjectID]struct{}{}
	for n, t := range c.trees {
		some, every := t.news.Take()
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
	o.Gone = e.Deleted
	if !e.Deleted {
		if !e.Parent.IsZero() {
			o.Parent = e.Parent
		}
		if e.DN != "" {
			o.RDN = strings.Clone(firstRDN(e.DN)) // not the whole DN
		}
		mergeValues(o, e)
	} else if !e.LastParent.IsZero() {
		o.Parent = e.LastParent // it may have moved just before it died
	}
	if e.Version != 0 {
		o.Version = e.Version
	}
}

// mergeValues is for the living: tombstones lose their attributes, and an anchor computed from one may be another person's (rule I2).
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
	return slices.Equal(a.Anchor, b.Anchor) && slices.Equal(a.Links, b.Links) && x.GUID == y.GUID && x.Parent == y.Parent && x.Kind == y.Kind && x.RDN == y.RDN && x.Gone == y.Gone &&
		x.UPN == y.UPN && x.SAM == y.SAM && x.Critical == y.Critical
}

// firstRDN cuts a DN behind its first component.
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
		if old != nil && !o.Gone && !old.Gone && old.Parent != o.Parent {
			return t.carried(o.GUID)
		}
		return nil
	}
	e := Event{Object: scoping.ObjectID{Directory: t.Directory, GUID: o.GUID}, Kind: o.Kind, Type: Changed}
	switch {
	case old == nil && o.Gone:
		return nil // a tombstone of what was never known
	case old == nil:
		e.Type = Appeared
	case o.Gone && !old.Gone:
		e.Type = Died
	case !o.Gone && old.Gone:
		e.Type = Returned
	case o.Parent != old.Parent:
		e.Type = Moved
	}
	return []Event{e}
}

// carried gives the objects under a container that moved: DirSync reports only the container (rule T1).
func (t *Tree) carried(container scoping.GUID) []Event {
	var out []Event
	for id := range t.Under(container) {
		o := t.objects[id.GUID]
		out = append(out, Event{Object: id, Kind: o.Kind, Type: Carried})
	}
	return out
}

// Under gives the living objects of known kinds anywhere beneath a container, in order of the tree.
func (t *Tree) Under(container scoping.GUID) func(yield func(scoping.ObjectID) bool) {
	return func(yield func(scoping.ObjectID) bool) {
		t.whole()
		t.under(container, yield)
	}
}

func (t *Tree) under(container scoping.GUID, yield func(scoping.ObjectID) bool) bool {
	kids := make([]scoping.GUID, 0, len(t.children[container]))
	for g := range t.children[container] {
		kids = append(kids, g)
	}
	slices.SortFunc(kids, scoping.GUID.Compare)
	for _, g := range kids {
		if scoping.Base(t.objects[g].Kind) != "" && !yield(scoping.ObjectID{Directory: t.Directory, GUID: g}) {
			return false
		}
		if g != container && !t.under(g, yield) {
			return false
		}
	}
	return true
}

// Place gives where a living object is, or where a tombstone was.
func (t *Tree) Place(g scoping.GUID) scoping.Place {
	p := scoping.Place{Directory: t.Directory}
	if o := t.object(g); o != nil {
		p.Chosen, p.Ancestors = o.Chosen, t.above(o)
	}
	return p
}

// above returns what an object lies in, the parent first. Objects of one container share the list, until anything in the tree changes.
func (t *Tree) above(o *Object) []scoping.GUID {
	if known, ok := t.chains[o.Parent]; ok {
		return known
	}
	parent := o.Parent
	var out []scoping.GUID
	for o != nil && !o.Parent.IsZero() && len(out) < 256 {
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

// brief returns what is known of an object, without name and anchor.
func (t *Tree) brief(o *Object) gate.Sight {
	return gate.Sight{Known: true, Gone: o.Gone, Kind: o.Kind, Parent: o.Parent, Chain: t.above(o), Chosen: o.Chosen, Version: o.Version, Reading: o.Reading, Links: o.shows()}
}

// DN gives an object's name as the tree knows it, for people.
func (t *Tree) DN(g scoping.GUID) string {
	if g == t.Root {
		return t.RootDN
	}
	o := t.object(g)
	if o == nil {
		return "<GUID=" + g.String() + ">"
	}
	if o.Parent == t.Root || o.Parent.IsZero() {
		return o.RDN + "," + t.RootDN
	}
	return o.RDN + "," + t.DN(o.Parent)
}

// Named finds a living object by name, as the tree knows names.
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

// Anchor gives the source anchor in base64, or what is wrong with it (rules I2, I3).
func (t *Tree) Anchor(g scoping.GUID) (anchor string, bad gate.Code) {
	o := t.object(g)
	if o == nil {
		return "", ""
	}
	a := o.anchor()
	switch {
	case len(a) != 16:
		return "", gate.CodeAnchorInvalid
	case !o.Gone && (t.sharing(o.Kind, a) > 1 || t.shelf != nil && t.shared(o)):
		return "", gate.CodeDuplicateAnchor
	}
	return base64.StdEncoding.EncodeToString(a), ""
}

// All gives the living objects of known kinds, in order of their identities.
func (t *Tree) All() []scoping.ObjectID {
	t.whole()
	var out []scoping.ObjectID
	for g, o := range t.objects {
		if !o.Gone && scoping.Base(o.Kind) != "" {
			out = append(out, scoping.ObjectID{Directory: t.Directory, GUID: g})
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}

// ByAnchor gives the living objects of known kinds by their source anchor (base64).
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

// Find gives the living objects whose user principal name, account name or source anchor (base64) is the given text.
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

// named reports whether a living object of a known kind has this user principal name, account name, or anchor.
func (o *Object) named(text string, anchor []byte) bool {
	if o.Gone || scoping.Base(o.Kind) == "" {
		return false
	}
	return o.UPN != "" && equalFold(o.UPN, text) || len(anchor) == 16 && string(o.anchor()) == string(anchor) || equalFold(o.SAM, text)
}
