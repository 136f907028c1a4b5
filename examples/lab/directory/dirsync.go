package directory

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"

	"github.com/go-ldap/ldap/v3"
	"github.com/tandem-sync/tandem/scoping"
)

// Flags of the DirSync control (MS-ADTS 3.1.1.3.4.1.3).
const (
	dirSyncObjectSecurity    = 0x1
	dirSyncAncestorsFirst    = 0x800
	dirSyncIncrementalValues = 0x80000000
)

// syncCookie is where a client stands. Objects changed after mark are still to come; of an object, what changed after
// known is sent. The two differ in the middle of a series of rounds only: known moves when the series is complete.
type syncCookie struct {
	era        uint32
	invocation scoping.GUID
	mark       uint64
	known      uint64
}

var cookieMagic = []byte("MSDS\x03\x00\x00\x00")

func (c syncCookie) encode() []byte {
	b := bytes.Clone(cookieMagic)
	b = binary.LittleEndian.AppendUint32(b, c.era)
	b = append(b, c.invocation[:]...)
	b = binary.LittleEndian.AppendUint64(b, c.mark)
	b = binary.LittleEndian.AppendUint64(b, c.known)
	sum := sha256.Sum256(b)
	return append(b, sum[:8]...)
}

func decodeCookie(b []byte) (syncCookie, bool) {
	const size = 8 + 4 + 16 + 8 + 8
	if len(b) != size+8 || !bytes.HasPrefix(b, cookieMagic) {
		return syncCookie{}, false
	}
	if sum := sha256.Sum256(b[:size]); !bytes.Equal(sum[:8], b[size:]) {
		return syncCookie{}, false
	}
	return syncCookie{
		era: binary.LittleEndian.Uint32(b[8:]), invocation: scoping.GUID(b[12:28]),
		mark: binary.LittleEndian.Uint64(b[28:]), known: binary.LittleEndian.Uint64(b[36:]),
	}, true
}

// syncRequest is a search with the DirSync control.
type syncRequest struct {
	searchRequest
	flags  int64
	cookie []byte
	max    int // most entries of one round
}

// syncRound is one answer to it.
type syncRound struct {
	entries []entry
	cookie  []byte
	more    bool
}

// dirSync answers one round.
func (m *Model) dirSync(id identity, r syncRequest) (syncRound, error) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	root, err := m.syncRoot(id, r)
	if err != nil {
		return syncRound{}, err
	}
	at, err := m.standing(r.cookie)
	if err != nil {
		return syncRound{}, err
	}
	match, err := m.compile(r.filter, 0)
	if err != nil {
		return syncRound{}, err
	}
	p := &syncPass{m: m, r: r, at: at, match: match, selection: newSyncSelection(r.attributes), sent: map[*object]bool{}}
	p.secure = !id.replicates
	return p.run(m.changedSince(root, at.mark)), nil
}

// syncRoot finds the naming context. Anything else is refused, differently with and without OBJECT_SECURITY.
func (m *Model) syncRoot(id identity, r syncRequest) (*object, error) {
	if r.flags&dirSyncObjectSecurity == 0 && !id.replicates {
		return nil, refuse(ldap.LDAPResultInsufficientAccessRights, "00002105: DirSync needs DS-Replication-Get-Changes on %s", r.base)
	}
	root, err := m.resolve(r.base)
	if err != nil {
		return nil, err
	}
	if root.parent == nil {
		return root, nil
	}
	if r.flags&dirSyncObjectSecurity != 0 {
		return nil, refuse(ldap.LDAPResultUnwillingToPerform, "00002035: DN is not one of the naming context")
	}
	return nil, refuse(ldap.LDAPResultInsufficientAccessRights, "00002098: dN is not one of the naming context")
}

// standing reads the cookie. One of another incarnation of the database says nothing about this one: all is sent.
func (m *Model) standing(cookie []byte) (syncCookie, error) {
	start := syncCookie{era: m.cookieEra, invocation: m.invocation}
	if len(cookie) == 0 {
		return start, nil
	}
	c, ok := decodeCookie(cookie)
	if !ok || c.era != m.cookieEra {
		return start, refuse(ldap.LDAPResultUnavailableCriticalExtension, "0000202C: Unable to unmarshall cookie as a ldapControlDirSyncCookie structure")
	}
	if c.invocation != m.invocation || c.mark > m.usn {
		return start, nil
	}
	return c, nil
}

// changedSince lists the objects of a naming context in the order of their last change.
func (m *Model) changedSince(root *object, mark uint64) []*object {
	var out []*object
	for _, o := range m.byGUID {
		if o.usnLast > mark && o.root() == root {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, func(a, b *object) int {
		if a.usnLast != b.usnLast {
			if a.usnLast < b.usnLast {
				return -1
			}
			return 1
		}
		return bySeq(a, b)
	})
	return out
}

// syncPass builds one round.
type syncPass struct {
	m         *Model
	r         syncRequest
	at        syncCookie
	match     filter
	selection syncSelection
	secure    bool // OBJECT_SECURITY: the reader sees no tombstones' contents
	sent      map[*object]bool
	out       []entry
}

func (p *syncPass) run(changed []*object) syncRound {
	next := p.at
	for _, o := range changed {
		if p.full() {
			return syncRound{p.out, next.encode(), true}
		}
		p.send(o)
		next.mark = o.usnLast
	}
	next.mark, next.known = p.m.usn, p.m.usn
	return syncRound{p.out, next.encode(), false}
}

func (p *syncPass) full() bool { return p.r.max > 0 && len(p.out) >= p.r.max }

// send adds o if it has something to tell, after its ancestors if that is asked for.
func (p *syncPass) send(o *object) {
	if p.sent[o] {
		return
	}
	p.sent[o] = true
	if p.r.flags&dirSyncAncestorsFirst != 0 && o.parent != nil && o.parent.usnLast > p.at.mark && !p.sent[o.parent] {
		p.send(o.parent)
	}
	if p.secure && o.deleted && o != p.m.deletedBox || !p.match(o) {
		return
	}
	if e, ok := p.changes(o); ok {
		p.out = append(p.out, e)
	}
}

// syncSelection is what DirSync reports on: all replicated attributes or those named.
type syncSelection struct {
	all  bool
	keys []string
}

func newSyncSelection(names []string) syncSelection {
	s := syncSelection{all: len(names) == 0 || slices.Contains(names, "*")}
	for _, n := range names {
		t, ok := lookupType(n)
		if ok && !t.has(local) {
			s.keys = append(s.keys, strings.ToLower(t.name))
		}
	}
	return s
}

func (s syncSelection) has(key string) bool { return s.all || slices.Contains(s.keys, key) }

// changes makes the entry of what is new of o. ok is false if nothing that was asked for is.
func (p *syncPass) changes(o *object) (entry, bool) {
	e := entry{dn: p.r.form.of(o)}
	if o.nameUSN > p.at.known {
		p.nameChange(o, &e)
	}
	if o.usnFirst > p.at.known && o.sid != "" && p.selection.has("objectsid") {
		e.attrs = append(e.attrs, namedValues{"objectSid", []string{o.sid}})
	}
	if o.usnFirst > p.at.known && p.selection.has("whencreated") {
		e.attrs = append(e.attrs, namedValues{"whenCreated", []string{generalizedTime(o.created)}})
	}
	p.attributeChanges(o, &e)
	p.linkChanges(o, &e)
	if len(e.attrs) == 0 && !p.selects(o) {
		return e, false
	}
	e.attrs = append(e.attrs, namedValues{"objectGUID", []string{string(o.guid[:])}})
	if !slices.ContainsFunc(e.attrs, func(a namedValues) bool { return a.name == "instanceType" }) {
		e.attrs = append(e.attrs, namedValues{"instanceType", o.values("instancetype", schema["instancetype"], plainDN)})
	}
	return e, true
}

// selects says that o is new and that what is always sent was asked for.
func (p *syncPass) selects(o *object) bool {
	return o.usnFirst > p.at.known && slices.Contains(p.selection.keys, "objectguid")
}

func (p *syncPass) nameChange(o *object, e *entry) {
	if p.selection.has("name") {
		e.attrs = append(e.attrs, namedValues{"name", []string{o.name}})
	}
	if p.selection.has("parentguid") && o.parent != nil {
		e.attrs = append(e.attrs, namedValues{"parentGUID", []string{string(o.parent.guid[:])}})
	}
}

func (p *syncPass) attributeChanges(o *object, e *entry) {
	keys := make([]string, 0, len(o.attrs))
	for key, a := range o.attrs {
		if a.usn > p.at.known && p.selection.has(key) && !a.of.has(local) && key != "instancetype" {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		a := o.attrs[key]
		if len(a.values) == 0 && p.at.known == 0 && !a.of.has(secret) {
			continue // a first synchronization does not tell of what is no more
		}
		e.attrs = append(e.attrs, namedValues{a.of.name, a.values})
	}
}

func (p *syncPass) linkChanges(o *object, e *entry) {
	keys := make([]string, 0, len(o.links))
	for key := range o.links {
		if p.selection.has(key) {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	for _, key := range keys {
		p.linkChange(o.links[key], e)
	}
}

// linkChange tells of single values ("range=1-1" added, "range=0-0" removed) or, without INCREMENTAL_VALUES, of the whole set.
func (p *syncPass) linkChange(s *linkSet, e *entry) {
	var added, removed []*object
	for _, l := range s.order {
		switch {
		case l.usn <= p.at.known:
		case l.present:
			added = append(added, l.target)
		case p.at.known > 0:
			removed = append(removed, l.target)
		}
	}
	if len(added)+len(removed) == 0 {
		return
	}
	if p.r.flags&dirSyncIncrementalValues == 0 || s.of.back == "" {
		e.attrs = append(e.attrs, namedValues{s.of.name, p.r.form.all(s.targets())})
		return
	}
	if len(removed) > 0 {
		e.attrs = append(e.attrs, namedValues{s.of.name + ";range=0-0", p.r.form.all(removed)})
	}
	if len(added) > 0 {
		e.attrs = append(e.attrs, namedValues{s.of.name + ";range=1-1", p.r.form.all(added)})
	}
}
