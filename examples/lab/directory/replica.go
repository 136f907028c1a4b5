package directory

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// replicaOffset keeps the numbers of two controllers apart. The replica's are the higher ones although what it has is never newer: who compares
// numbers of two controllers takes old for new.
const replicaOffset = 1_000_000

// Replica makes a second controller of the same domain, with an invocationId and update sequence numbers of its own. It has what m has now and
// learns of later changes by CatchUp alone: in between it lags. Nobody may write to it.
func (m *Model) Replica() *Model {
	m.mu.Lock()
	invocation := m.newGUID()
	m.mu.Unlock()
	r := &Model{opts: m.opts, partner: m, invocation: invocation, has: map[scoping.GUID]uint64{}}
	r.CatchUp()
	return r
}

// CatchUp brings a replica up to what its partner has now.
func (r *Model) CatchUp() {
	m := r.partner
	m.mu.RLock()
	defer m.mu.RUnlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	c := copier{of: map[*object]*object{}}
	r.byGUID = make(map[scoping.GUID]*object, len(m.byGUID))
	for g, o := range m.byGUID {
		r.byGUID[g] = c.object(o)
	}
	r.usn, r.seq, r.nextRID, r.domainSID, r.cookieEra = m.usn+replicaOffset, m.seq, m.nextRID, m.domainSID, m.cookieEra
	r.domain, r.config, r.deletedBox, r.dsa = c.object(m.domain), c.object(m.config), c.object(m.deletedBox), c.object(m.dsa)
	r.accounts, r.principals, r.replicators = c.named(m.accounts), c.named(m.principals), map[*object]bool{}
	for o, may := range m.replicators {
		r.replicators[c.object(o)] = may
	}
	c.finish()
	r.dsa.set("invocationid", []string{string(r.invocation[:])}, r.dsa.usnLast)
	maps.Copy(r.has, m.has)
	r.receive(m.invocation, m.usn)
}

// receive notes that everything of another controller up to a number is here, and lets the domain's head say so (MS-DRSR 5.165, version 2).
// The lock is held.
func (m *Model) receive(from scoping.GUID, usn uint64) {
	if m.has == nil {
		m.has = map[scoping.GUID]uint64{}
	}
	m.has[from] = usn
	b := binary.LittleEndian.AppendUint32(nil, 2)
	b = binary.LittleEndian.AppendUint32(b, 0)
	b = binary.LittleEndian.AppendUint32(b, uint32(len(m.has)))
	b = binary.LittleEndian.AppendUint32(b, 0)
	for _, g := range slices.SortedFunc(maps.Keys(m.has), func(a, b scoping.GUID) int { return bytes.Compare(a[:], b[:]) }) {
		b = append(b, g[:]...)
		b = binary.LittleEndian.AppendUint64(b, m.has[g])
		b = binary.LittleEndian.AppendUint64(b, 0) // when: nobody asks
	}
	m.domain.set("repluptodatevector", []string{string(b)}, m.domain.usnLast)
}

// copier copies a graph of objects.
type copier struct {
	of map[*object]*object
}

func (c copier) object(o *object) *object {
	if o == nil {
		return nil
	}
	if n := c.of[o]; n != nil {
		return n
	}
	n := new(object)
	*n = *o
	c.of[o] = n
	return n
}

func (c copier) named(m map[string]*object) map[string]*object {
	if m == nil {
		return nil
	}
	out := make(map[string]*object, len(m))
	for k, o := range m {
		out[k] = c.object(o)
	}
	return out
}

// finish lets the copies point to copies. What it meets on the way is copied too.
func (c copier) finish() {
	done := map[*object]bool{}
	for len(done) < len(c.of) {
		for o := range maps.Clone(c.of) {
			if !done[o] {
				done[o] = true
				c.wire(c.of[o])
			}
		}
	}
}

func (c copier) wire(n *object) {
	n.parent, n.children = c.object(n.parent), c.named(n.children)
	n.nameUSN, n.usnFirst, n.usnLast = n.nameUSN+replicaOffset, n.usnFirst+replicaOffset, n.usnLast+replicaOffset
	attrs := make(map[string]*attribute, len(n.attrs))
	for k, a := range n.attrs {
		attrs[k] = &attribute{of: a.of, values: slices.Clone(a.values), usn: a.usn + replicaOffset}
	}
	links := make(map[string]*linkSet, len(n.links))
	for k, s := range n.links {
		t := &linkSet{of: s.of, by: make(map[*object]*link, len(s.by))}
		for _, l := range s.order {
			x := &link{target: c.object(l.target), present: l.present, usn: l.usn + replicaOffset}
			t.order = append(t.order, x)
			t.by[x.target] = x
		}
		links[k] = t
	}
	backs := make(map[string][]*object, len(n.backs))
	for k, holders := range n.backs {
		for _, h := range holders {
			backs[k] = append(backs[k], c.object(h))
		}
	}
	n.attrs, n.links, n.backs = attrs, links, backs
}
