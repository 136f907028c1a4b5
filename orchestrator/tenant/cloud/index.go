package cloud

import (
	"hash/maphash"
	"iter"
	"strings"
)

// indexed are the fields by which objects are found; members are indexed separately.
var indexed = []string{UPN, ImmutableID, UniqueName, Nickname, Mail, DisplayName, SourceAnchor}

// index finds slots by the hash of a field and a value. Hits are candidates, possibly repeated: the caller compares. Hashes are short to save memory
// for every object, so some objects share one, at the cost of a comparison. The seed is random, so that names cannot be chosen to collide; no result
// depends on it.
type index struct {
	seed maphash.Seed
	one  map[uint32]uint32
	more map[uint32][]uint32 // the second and later slots of a hash
}

func newIndex() index {
	return index{seed: maphash.MakeSeed(), one: map[uint32]uint32{}, more: map[uint32][]uint32{}}
}

// foldKey returns the form in which values of a field are compared: anchors by bytes, all others without case.
func foldKey(field, value string) string {
	if field == ImmutableID || field == SourceAnchor || field == Members {
		return value
	}
	return strings.ToLower(value)
}

func sameKey(field, a, b string) bool { return foldKey(field, a) == foldKey(field, b) }

func (x *index) hash(field, value string) uint32 {
	var h maphash.Hash
	h.SetSeed(x.seed)
	h.WriteString(field)
	h.WriteByte(0)
	h.WriteString(foldKey(field, value))
	return uint32(h.Sum64())
}

// slots yields the candidates of a hash.
func (x *index) slots(h uint32) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		n, ok := x.one[h]
		if !ok || !yield(n) {
			return
		}
		for _, n := range x.more[h] {
			if !yield(n) {
				return
			}
		}
	}
}

func (x *index) add(field, value string, n uint32) {
	if value == "" {
		return
	}
	h := x.hash(field, value)
	if _, taken := x.one[h]; taken {
		x.more[h] = append(x.more[h], n)
		return
	}
	x.one[h] = n
}

func (x *index) remove(field, value string, n uint32) {
	if value == "" {
		return
	}
	h := x.hash(field, value)
	rest := x.more[h]
	if x.one[h] != n {
		x.more[h] = without(rest, n)
	} else if len(rest) > 0 {
		x.one[h], x.more[h] = rest[len(rest)-1], rest[:len(rest)-1]
	} else {
		delete(x.one, h)
	}
	if len(x.more[h]) == 0 {
		delete(x.more, h)
	}
}

func without(s []uint32, n uint32) []uint32 {
	for i := range s {
		if s[i] == n {
			s[i] = s[len(s)-1]
			return s[:len(s)-1]
		}
	}
	return s
}

// move updates the index for a change of slot n.
func (x *index) move(n uint32, before, after *Object) {
	for _, field := range indexed {
		b, a := firstOf(before, field), firstOf(after, field)
		if b != a {
			x.remove(field, b, n)
			x.add(field, a, n)
		}
	}
	gone, come := setDiff(membersOf(before), membersOf(after))
	for _, id := range gone {
		x.remove(Members, id, n)
	}
	for _, id := range come {
		x.add(Members, id, n)
	}
}

func firstOf(o *Object, field string) string {
	if o == nil {
		return ""
	}
	return o.Values.First(field)
}

func membersOf(o *Object) []string {
	if o == nil {
		return nil
	}
	return o.Members
}

// setDiff returns the elements of two sorted sets that only a has, and that only b has.
func setDiff(a, b []string) (gone, come []string) {
	for len(a) > 0 && len(b) > 0 {
		switch c := strings.Compare(a[0], b[0]); {
		case c == 0:
			a, b = a[1:], b[1:]
		case c < 0:
			gone, a = append(gone, a[0]), a[1:]
		default:
			come, b = append(come, b[0]), b[1:]
		}
	}
	return append(gone, a...), append(come, b...)
}
