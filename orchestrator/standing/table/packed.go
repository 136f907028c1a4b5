package table

import (
	"encoding/binary"
	"iter"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/standing"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// A process keeps a claim for each engine, object and feature. Packed, it takes a third of the memory of a [standing.Claim] with its key, and in a
// map without pointers, which the garbage collector does not scan. What many claims have in common is kept once, rare fields apart.

// packed are one engine's claims.
type packed struct {
	of      map[spot]held
	rare    map[spot]rare
	names   *names
	commons *commons
}

// spot is a key with a number for the names of directory and feature.
type spot struct {
	guid scoping.GUID
	name uint32
}

// held has the fields of one claim that are its own.
type held struct {
	target, reading, seen uint64
	common                uint32
	want                  engine.Want
	marks                 uint8
}

// The bits of held.marks.
const (
	agrees = 1 << iota
	person
	hasRare
)

// rare has the fields that few claims have.
type rare struct {
	waits  []scoping.ObjectID
	at     int64
	unkept uint64
}

func (p *packed) spotOf(k ledger.Key) spot {
	return spot{k.Object.GUID, p.names.number(named{k.Object.Directory, k.Feature})}
}

func (p *packed) key(s spot) ledger.Key {
	n := p.names.all[s.name]
	return ledger.Key{Object: scoping.ObjectID{Directory: n.directory, GUID: s.guid}, Feature: n.feature}
}

// get returns the claim of a key, or nil. It is the caller's, except for its lists.
func (p *packed) get(k ledger.Key) *standing.Claim {
	if p == nil {
		return nil
	}
	s := p.spotOf(k)
	if h, there := p.of[s]; there {
		return p.unpack(s, h)
	}
	return nil
}

func (p *packed) unpack(s spot, h held) *standing.Claim {
	c := p.commons.all[h.common]
	x := &standing.Claim{Want: h.want, Agrees: h.marks&agrees != 0, Person: h.marks&person != 0, Target: h.target, Reading: h.reading, Seen: h.seen, Rules: c.rules, SignIn: c.signIn, Attrs: c.attrs}
	if h.marks&hasRare != 0 {
		r := p.rare[s]
		x.Waits, x.At, x.Unkept = r.waits, r.at, r.unkept
	}
	return x
}

// put sets the claim of a key.
func (p *packed) put(k ledger.Key, x *standing.Claim) {
	s := p.spotOf(k)
	h := held{target: x.Target, reading: x.Reading, seen: x.Seen, common: p.commons.take(x), want: x.Want}
	if x.Agrees {
		h.marks |= agrees
	}
	if x.Person {
		h.marks |= person
	}
	p.drop(s) // after put took the new claim's common part, which may be the same
	if len(x.Waits) > 0 || x.At != 0 || x.Unkept != 0 {
		h.marks |= hasRare
		p.rare[s] = rare{x.Waits, x.At, x.Unkept}
	}
	p.of[s] = h
}

func (p *packed) drop(s spot) {
	if h, there := p.of[s]; there {
		p.commons.give(h.common)
		delete(p.of, s)
		delete(p.rare, s)
	}
}

// saw notes the version of the target object that a claim was found to agree with.
func (p *packed) saw(k ledger.Key, version uint64) {
	s := p.spotOf(k)
	if h, there := p.of[s]; there {
		h.seen = version
		p.of[s] = h
	}
}

func (p *packed) len() int {
	if p == nil {
		return 0
	}
	return len(p.of)
}

// all yields every claim, in no order.
func (p *packed) all() iter.Seq2[ledger.Key, *standing.Claim] {
	return func(yield func(ledger.Key, *standing.Claim) bool) {
		for s, h := range p.of {
			if !yield(p.key(s), p.unpack(s, h)) {
				return
			}
		}
	}
}

// keys yields the key of every claim, in no order.
func (p *packed) keys() iter.Seq[ledger.Key] {
	return func(yield func(ledger.Key) bool) {
		if p == nil {
			return
		}
		for s := range p.of {
			if !yield(p.key(s)) {
				return
			}
		}
	}
}

// rules yields the key of every claim, in no order, with the rules by which it was made.
func (p *packed) rules() iter.Seq2[ledger.Key, uint64] {
	return func(yield func(ledger.Key, uint64) bool) {
		if p == nil {
			return
		}
		for s, h := range p.of {
			if !yield(p.key(s), p.commons.all[h.common].rules) {
				return
			}
		}
	}
}

// named is a directory and a feature. There are few pairs.
type named struct {
	directory string
	feature   scoping.Feature
}

// names numbers the pairs.
type names struct {
	all []named
	of  map[named]uint32
}

func (x *names) number(n named) uint32 {
	i, known := x.of[n]
	if !known {
		i = uint32(len(x.all))
		x.of[n], x.all = i, append(x.all, n)
	}
	return i
}

// common has the fields that many claims share.
type common struct {
	rules  uint64
	signIn standing.SignIn
	attrs  []string
}

// commons numbers common parts for as long as a claim has them: engines may make new ones at any time, so unused ones have to be dropped.
type commons struct {
	all   []common
	keys  []string
	users []int
	free  []uint32
	of    map[string]uint32
	key   []byte
}

// take returns the number of a claim's common part.
func (x *commons) take(c *standing.Claim) uint32 {
	x.key = binary.LittleEndian.AppendUint64(x.key[:0], c.Rules)
	x.text(c.SignIn.Domain)
	x.text(c.SignIn.As)
	for _, a := range c.Attrs {
		x.text(a)
	}
	n, known := x.of[string(x.key)]
	if !known {
		n = x.slot()
		x.keys[n], x.all[n] = string(x.key), common{c.Rules, c.SignIn, slices.Clone(c.Attrs)}
		x.of[x.keys[n]] = n
	}
	x.users[n]++
	return n
}

func (x *commons) text(t string) {
	x.key = append(binary.AppendUvarint(x.key, uint64(len(t))), t...)
}

func (x *commons) slot() uint32 {
	if k := len(x.free); k > 0 {
		n := x.free[k-1]
		x.free = x.free[:k-1]
		return n
	}
	x.all, x.keys, x.users = append(x.all, common{}), append(x.keys, ""), append(x.users, 0)
	return uint32(len(x.all) - 1)
}

// give releases a common part, and drops it with its last user.
func (x *commons) give(n uint32) {
	if x.users[n]--; x.users[n] == 0 {
		delete(x.of, x.keys[n])
		x.all[n], x.keys[n] = common{}, ""
		x.free = append(x.free, n)
	}
}
