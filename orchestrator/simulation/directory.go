package simulation

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
)

// dirName is the name of the one directory.
const dirName = "sim"

// entry is one directory object at one moment. It is never changed: a change makes a new one.
type entry struct {
	guid    scoping.GUID
	parent  scoping.GUID
	kind    scoping.Kind
	name    string
	display string
	upn     string
	dept    string
	title   string
	role    string // employeeType: by it policies choose, and no engine writes it
	enabled bool
	manager scoping.GUID
	members map[scoping.GUID]bool
	changed map[scoping.GUID]uint64 // by member, when the link came or went
	deleted bool
	back    uint64 // when it was undeleted last
	valued  uint64 // when one of its values changed last, as a USN
	managed uint64 // when its manager changed last, as a USN
	moved   uint64 // when it moved last, as a USN; 0: never
	secret  password
	keyed   uint64 // when its password, or whether it is handed over, changed last, as a USN
	filled  uint64 // when a group that was deleted or empty had members again, as a USN; 0: never
	usn     uint64 // uSNChanged
	brought
}

func (e *entry) id() scoping.ObjectID { return scoping.ObjectID{Directory: dirName, GUID: e.guid} }

// snapshot is the whole directory at one USN. It is never changed.
type snapshot struct {
	usn     uint64
	objects map[scoping.GUID]*entry
}

// chain returns the ancestors of an object, the parent first and the root last; of a deleted one those of its last place.
func (s snapshot) chain(g scoping.GUID) []scoping.GUID {
	var out []scoping.GUID
	for o := s.objects[g]; o != nil && !o.parent.IsZero() && len(out) < 64; o = s.objects[o.parent] {
		out = append(out, o.parent)
	}
	return out
}

func (s snapshot) place(g scoping.GUID) scoping.Place {
	return scoping.Place{Directory: dirName, Ancestors: s.chain(g)}
}

func (s snapshot) dn(g scoping.GUID) string {
	o := s.objects[g]
	switch {
	case o == nil:
		return "?"
	case o.parent.IsZero():
		return rootDN
	case o.kind == directory.OU:
		return "OU=" + o.name + "," + s.dn(o.parent)
	}
	return "CN=" + o.name + "," + s.dn(o.parent)
}

// sorted returns the objects in order of their identities.
func (s snapshot) sorted() []*entry {
	return slices.SortedFunc(maps.Values(s.objects), func(a, b *entry) int { return a.guid.Compare(b.guid) })
}

const rootDN = "DC=sim,DC=test"

// domain is the directory's history: every change makes a new snapshot.
type domain struct {
	now        snapshot
	invocation scoping.GUID
	root       scoping.GUID
	made       uint64
	behind     *snapshot               // what the second controller shows
	anchors    map[string]scoping.GUID // directory objects, by the anchor or unique name that they have in the tenant
	watch      func(old, now *entry)   // is called at each change; nil: nothing is
}

func newDomain() *domain {
	d := &domain{invocation: scoping.GUID{0xd, 0xc, 1}, anchors: map[string]scoping.GUID{}}
	d.root = scoping.GUID{0xff}
	d.now = snapshot{usn: 1, objects: map[scoping.GUID]*entry{d.root: {guid: d.root, kind: directory.OU, name: "sim", usn: 1}}}
	return d
}

func (d *domain) nextGUID() scoping.GUID {
	d.made++
	var g scoping.GUID
	g[0] = 0x10
	binary.BigEndian.PutUint64(g[8:], d.made)
	g[1] = byte(d.made * 37) // identities do not rise with age
	return g
}

// put makes a new snapshot with one object changed.
func (d *domain) put(e entry) *entry {
	objects := maps.Clone(d.now.objects)
	e.usn = d.now.usn + 1
	e.members = maps.Clone(e.members)
	old := d.now.objects[e.guid]
	if old != nil && old.deleted && !e.deleted {
		e.back = e.usn
	}
	if old != nil && old.parent != e.parent {
		e.moved = e.usn
	}
	if old != nil && (old.deleted || len(old.members) == 0) && !e.deleted && len(e.members) > 0 {
		e.filled = e.usn
	}
	if old == nil || old.values() != e.values() {
		e.valued = e.usn
	}
	if old == nil || old.secret != e.secret {
		e.keyed = e.usn
	}
	if old == nil || old.manager != e.manager {
		e.managed = e.usn
	}
	if old == nil || old.link != e.link {
		e.linked = e.usn
	}
	e.noteLinks(old)
	objects[e.guid] = &e
	if old == nil {
		d.anchors[anchorOf(e.guid)], d.anchors[cloud.UniqueNameOf(e.guid[:])] = e.guid, e.guid
	}
	d.now = snapshot{usn: e.usn, objects: objects}
	if d.watch != nil {
		d.watch(old, &e)
	}
	return &e
}

// values is what engines read of an entry, links apart.
type values struct {
	name, display, upn, dept, title string
	enabled                         bool
}

func (e *entry) values() values {
	return values{e.name, e.display, e.upn, e.dept, e.title, e.enabled}
}

// noteLinks dates the members that came or went.
func (e *entry) noteLinks(old *entry) {
	var had map[scoping.GUID]bool
	if old != nil {
		had, e.changed = old.members, old.changed
	}
	if maps.Equal(had, e.members) {
		return
	}
	e.changed = maps.Clone(e.changed)
	if e.changed == nil {
		e.changed = map[scoping.GUID]uint64{}
	}
	for g := range had {
		if !e.members[g] {
			e.changed[g] = e.usn
		}
	}
	for g := range e.members {
		if !had[g] {
			e.changed[g] = e.usn
		}
	}
}

// kill deletes an object. The links to it are hidden while it is deleted, and no reader is told that they are, as in AD with its recycle bin.
func (d *domain) kill(g scoping.GUID) {
	e := *d.now.objects[g]
	e.deleted = true
	d.put(e)
}

var classes = map[scoping.Kind][][]byte{
	scoping.User:    {[]byte("top"), []byte("person"), []byte("organizationalPerson"), []byte("user")},
	scoping.Group:   {[]byte("top"), []byte("group")},
	scoping.Contact: {[]byte("top"), []byte("person"), []byte("organizationalPerson"), []byte("contact")},
	directory.OU:    {[]byte("top"), []byte("organizationalUnit")},
}

// told is an object as LDAP shows it to the census, with its links that came or went since a USN; back-links are only shown whole.
func (s snapshot) told(e *entry, attrs []string, since uint64, whole bool) directory.Entry {
	asked := func(name string) bool {
		return slices.ContainsFunc(attrs, func(a string) bool { return strings.EqualFold(a, name) })
	}
	out := directory.Entry{GUID: e.guid, DN: s.dn(e.guid), Deleted: e.deleted, Version: e.usn, Attrs: map[string][][]byte{"objectclass": classes[e.kind]},
		Links: map[string]directory.LinkChange{}}
	if e.deleted {
		out.LastParent = e.parent
		out.Attrs["isdeleted"] = [][]byte{[]byte("TRUE")}
		return out
	}
	if !whole && e.back > since {
		out.Attrs["isdeleted"] = nil // its links are shown again, and no reader is told that they changed
	}
	out.Parent = e.parent
	out.Attrs["samaccountname"] = [][]byte{[]byte(cmp.Or(e.sam, e.name))}
	if asked(linkAttribute) && (e.linked > since || whole) {
		out.Attrs[strings.ToLower(linkAttribute)] = text(e.link)
	}
	if whole || e.valued > since {
		s.tellValues(e, &out, asked)
	}
	s.tellPassword(e, &out, asked, since, whole)
	if !whole && asked("manager") && e.managed > since {
		out.Links["manager"] = s.links(slices.DeleteFunc([]scoping.GUID{e.manager}, scoping.GUID.IsZero))
	}
	if asked("employeeType") && (e.role != "" || !whole) {
		out.Attrs["employeetype"] = text(e.role)
	}
	switch {
	case !whole && asked("member"):
		if l := s.linksSince(e, since); len(l.Added)+len(l.Removed) > 0 {
			out.Links["member"] = l
		}
	case whole:
		if asked("member") {
			out.Links["member"] = s.links(slices.Collect(maps.Keys(e.members)))
		}
		if asked("memberOf") {
			out.Links["memberof"] = s.links(s.groupsOf(e.guid))
		}
		if asked("manager") && !e.manager.IsZero() {
			out.Links["manager"] = s.links([]scoping.GUID{e.manager})
		}
	}
	return out
}

// tellValues adds the values that were asked for. Those that engines alone read are told as changed; what they are, engines read from the entry.
func (s snapshot) tellValues(e *entry, out *directory.Entry, asked func(string) bool) {
	if e.kind == scoping.User {
		out.Attrs["userprincipalname"] = text(e.upn)
	}
	for name, v := range map[string]string{"displayName": e.display, "department": e.dept, "title": e.title, "userAccountControl": strconv.FormatBool(e.enabled)} {
		if asked(name) && e.kind != directory.OU {
			out.Attrs[strings.ToLower(name)] = text(v)
		}
	}
}

// text is an attribute's value, or that it has none.
func text(v string) [][]byte {
	if v == "" {
		return nil
	}
	return [][]byte{[]byte(v)}
}

// groupsOf returns the living groups of which an object is a direct member.
func (s snapshot) groupsOf(g scoping.GUID) (out []scoping.GUID) {
	for _, x := range s.objects {
		if !x.deleted && x.members[g] {
			out = append(out, x.guid)
		}
	}
	return out
}

// linksSince returns the members that came or went since a USN. Links to deleted objects are hidden.
func (s snapshot) linksSince(e *entry, since uint64) (l directory.LinkChange) {
	for _, g := range slices.SortedFunc(maps.Keys(e.changed), scoping.GUID.Compare) {
		switch {
		case e.changed[g] <= since || s.objects[g].deleted:
		case e.members[g]:
			l.Added = append(l.Added, directory.Link{GUID: g, DN: s.dn(g)})
		default:
			l.Removed = append(l.Removed, directory.Link{GUID: g, DN: s.dn(g)})
		}
	}
	return l
}

func (s snapshot) links(ids []scoping.GUID) directory.LinkChange {
	l := directory.LinkChange{Whole: true}
	slices.SortFunc(ids, scoping.GUID.Compare)
	for _, g := range ids {
		if s.objects[g].deleted {
			continue
		}
		l.Targets = append(l.Targets, directory.Link{GUID: g, DN: s.dn(g)})
	}
	return l
}

// errDirectory is a fault of the directory's line.
var errDirectory = errors.New("simulated: the controller cannot be reached")

// reader is the census's session with the directory.
type reader struct {
	w    *world
	dc   controller
	deaf bool // it is another host's
}

var _ census.Reader = (*reader)(nil)

func (w *world) dial(context.Context, string) (census.Reader, error) {
	w.alive()
	if w.fault(2) {
		return nil, errDirectory
	}
	return &reader{w: w, dc: w.answering("")}, nil
}

func (r *reader) HighestUSN(context.Context) (uint64, error) {
	if r.deaf {
		return r.now().usn, nil
	}
	r.w.alive()
	r.w.preparing = true
	if r.gone() || r.w.fault(2) {
		return 0, errDirectory
	}
	return r.now().usn + r.dc.shift, nil
}

// Sync implements census.Reader: it passes on what changed since a cookie.
func (r *reader) Sync(_ context.Context, cookie []byte, q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error) {
	w := r.w
	if r.deaf {
		return r.tell(q, each)
	}
	w.alive()
	if r.gone() || w.fault(3) {
		return nil, errDirectory
	}
	since := uint64(0)
	if len(cookie) > 0 {
		dc, n, ok := strings.Cut(string(cookie), ":")
		since, _ = strconv.ParseUint(n, 10, 64)
		if !ok || dc != r.dc.invocation.String() || w.fault(2) {
			return nil, directory.ErrCookie
		}
		since -= r.dc.shift
	}
	if len(cookie) == 0 {
		w.retakeLost()
	}
	w.heard = map[scoping.GUID]sightOf{}
	s, left := r.now(), false
	changed := s.sorted()
	slices.SortStableFunc(changed, func(a, b *entry) int { return cmp.Compare(a.usn, b.usn) })
	for _, e := range changed {
		if e.usn <= since || (len(cookie) == 0 && e.deleted) {
			continue
		}
		left = left || w.leaves(s, e)
		w.hears(e)
		if len(cookie) > 0 {
			w.noticed[e.guid] = e.usn
		}
		if err := each(r.told(e, q.Attrs, since, false)); err != nil {
			return nil, err
		}
	}
	if (s.usn > since && w.fault(6)) || (left && w.fault(50)) {
		w.arm(8) // while the changes are taken in
	}
	w.maybe(8, w.changeDirectory) // the directory changes while the answer is on its way
	return fmt.Appendf(nil, "%s:%d", r.dc.invocation, s.usn+r.dc.shift), nil
}

// tell passes on every living object to another host: the host that the simulation is about learns nothing by it.
func (r *reader) tell(q directory.SyncQuery, each func(directory.Entry) error) ([]byte, error) {
	for _, e := range r.now().sorted() {
		if e.deleted {
			continue
		}
		if err := each(r.told(e, q.Attrs, 0, false)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// told is an object as a session shows it: with its controller's own numbers.
func (r *reader) told(e *entry, attrs []string, since uint64, whole bool) directory.Entry {
	out := r.now().told(e, attrs, since, whole)
	out.Version += r.dc.shift
	return out
}

// hears notes what the host is told of an object. What is older than what it was told before changes nothing (rule V1).
func (w *world) hears(e *entry) {
	for _, before := range []map[scoping.GUID]sightOf{w.unstored, w.heard} {
		if _, noted := before[e.guid]; !noted {
			before[e.guid] = w.told[e.guid]
		}
	}
	if now := w.dir.now.objects[e.guid]; now.usn > e.usn && w.eyes[Laggards] {
		w.note(e.guid, Lagged)
	}
	if old := w.told[e.guid]; e.usn >= old.usn {
		w.told[e.guid] = sightOf{parent: e.parent, deleted: e.deleted, usn: e.usn}
	}
}

// forgets takes back what the host was told and a crash made it forget: a directory's other controller may tell it something older now.
func (w *world) forgets() {
	for g, before := range w.unstored {
		s := w.census.Sight(scoping.ObjectID{Directory: dirName, GUID: g})
		if was := w.told[g]; s.Known && s.Parent == was.parent && s.Deleted == was.deleted {
			if s.Kind == scoping.Group { // a sight does not show its members
				w.told[g] = sightOf{parent: was.parent, deleted: was.deleted, usn: before.usn}
			}
			continue
		}
		w.untell(g, before)
	}
	w.unstored, w.heard = map[scoping.GUID]sightOf{}, map[scoping.GUID]sightOf{}
}

// brokeOff takes back what the host was told by a reading that broke off before the census took it in.
func (w *world) brokeOff() {
	for g, before := range w.heard {
		s := w.census.Sight(scoping.ObjectID{Directory: dirName, GUID: g})
		if was := w.told[g]; s.Known && s.Parent == was.parent && s.Deleted == was.deleted {
			continue
		}
		w.untell(g, before)
	}
	w.heard = map[scoping.GUID]sightOf{}
}

func (w *world) untell(g scoping.GUID, before sightOf) {
	if before == (sightOf{}) {
		delete(w.told, g)
	} else {
		w.told[g] = before
	}
}

// leaves reports whether an object comes to where no engine writes: a change of which only the census tells the host.
func (w *world) leaves(s snapshot, e *entry) bool {
	was, known := w.told[e.guid]
	return known && !e.deleted && e.kind != directory.OU && was.parent != e.parent && w.owner(s.place(e.guid), e.kind, scoping.Base(e.kind)).Engine == scoping.None
}

// ByGUID reads objects singly.
func (r *reader) ByGUID(_ context.Context, guids []scoping.GUID, attrs []string, showDeleted bool) (map[scoping.GUID]directory.Entry, error) {
	w := r.w
	if !r.deaf {
		w.alive()
		if r.gone() || w.fault(2) {
			w.brokeOff()
			return nil, errDirectory
		}
		w.heard = map[scoping.GUID]sightOf{} // it is taken in, or this was the last question before
	}
	out := map[scoping.GUID]directory.Entry{}
	for _, g := range guids {
		e := r.now().objects[g]
		if e == nil || (e.deleted && !showDeleted) {
			continue
		}
		out[g] = r.told(e, attrs, 0, true)
		if r.deaf || !slices.Contains(attrs, "sAMAccountName") {
			continue // of this only selectors are judged: where the object is, the census goes on to know from before
		}
		w.hears(e)
		if old := w.evidence[g]; old == nil || e.usn >= old.usn {
			w.evidence[g] = e
		}
	}
	return out, nil
}

func (r *reader) Resolve(_ context.Context, dn string) (scoping.GUID, string, []scoping.GUID, error) {
	s := r.now()
	for _, e := range s.sorted() {
		if !e.deleted && (strings.EqualFold(s.dn(e.guid), dn) || dn == "<GUID="+e.guid.String()+">") {
			return e.guid, s.dn(e.guid), s.chain(e.guid), nil
		}
	}
	return scoping.GUID{}, "", nil, fmt.Errorf("%w: %s", directory.ErrNoSuchObject, dn)
}

func (r *reader) Close() error { return nil }
