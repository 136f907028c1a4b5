package ledger

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// Packed troubles have an entry for each feature: its name, its length and its form. Most only count writes of the last day, and are packed; all
// others are JSON.

const (
	troubleAsJSON = iota
	troubleOfWrites
)

func (s *shared) packTroubles(fs map[scoping.Feature]*Trouble) (string, error) {
	w := packer{s: s}
	for _, f := range slices.Sorted(maps.Keys(fs)) {
		one := packer{s: s}
		one.trouble(fs[f])
		w.word(string(f))
		w.text(string(one.b))
		w.err = errors.Join(w.err, one.err)
	}
	return string(w.b), w.err
}

func (w *packer) trouble(t *Trouble) {
	if len(t.Parts)+len(t.NotKept)+t.Count > 0 || t.First != 0 || t.Last != 0 || t.Next != 0 {
		w.number(troubleAsJSON)
		w.rare(t, true)
		return
	}
	w.number(troubleOfWrites)
	w.short(t.Want)
	w.number(uint64(len(t.Written)))
	for _, x := range t.Written {
		w.short(x.Have)
		w.number(uint64(len(x.At)))
		for _, at := range x.At {
			w.b = binary.AppendVarint(w.b, at)
		}
	}
}

func (u *unpacker) trouble() *Trouble {
	t := &Trouble{}
	if u.number() == troubleAsJSON {
		u.rare(t)
		return t
	}
	t.Want = u.short()
	for range u.number() {
		x := Written{Have: u.short()}
		for range u.number() {
			if u.err != nil {
				return t
			}
			x.At = append(x.At, u.signed())
		}
		if t.Written = append(t.Written, x); u.err != nil {
			break
		}
	}
	return t
}

// troubles yields the entries of packed troubles.
func (u *unpacker) troubles(yield func(f scoping.Feature, entry string) bool) {
	for u.rest != "" && u.err == nil {
		if f, entry := scoping.Feature(u.word()), u.text(); u.err == nil && !yield(f, entry) {
			return
		}
	}
}

// alone decodes one entry.
func (s *shared) alone(entry string) (*Trouble, error) {
	u := unpacker{s: s, rest: entry}
	t := u.trouble()
	if u.err == nil && u.rest != "" {
		u.err = errPacked
	}
	return t, u.err
}

// unpackTroubles decodes what packTroubles encoded.
func (s *shared) unpackTroubles(packed string) (map[scoping.Feature]*Trouble, error) {
	u, fs := unpacker{s: s, rest: packed}, map[scoping.Feature]*Trouble{}
	for f, entry := range u.troubles {
		t, err := s.alone(entry)
		if err != nil {
			return nil, err
		}
		fs[f] = t
	}
	return fs, u.err
}

// troubleIn decodes the trouble of one feature; nil if there is none.
func (s *shared) troubleIn(packed string, of scoping.Feature) (*Trouble, error) {
	u := unpacker{s: s, rest: packed}
	for f, entry := range u.troubles {
		if f == of {
			return s.alone(entry)
		}
	}
	return nil, u.err
}
