package ledger

import (
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tandem-sync/tandem/scoping"
)

// A packed row takes about a fifth of a row's memory. Texts and lists that rows have in common are numbers into the table's shared; ids and digests
// are bytes. It begins with what is asked of all rows: kind, state, and whether it is in transit. Rare fields are JSON.

// pack encodes a row.
func (s *shared) pack(r *Row) (string, error) {
	w := packer{s: s}
	w.word(string(r.Kind))
	w.word(string(r.State))
	w.flag(r.Transit != nil)
	w.word(string(r.Origin))
	w.name(r.Name)
	for _, t := range []string{r.CloudID, r.Anchor, r.Key} {
		w.short(t)
	}
	w.b = binary.AppendVarint(w.b, r.Wrote)
	w.number(uint64(len(r.Features)))
	for _, f := range slices.Sorted(maps.Keys(r.Features)) {
		w.word(string(f))
		w.last(r.Features[f])
	}
	w.links(s.setAside(r))
	w.rare(r.Transit, r.Transit != nil)
	w.rare(r.Quiet, r.Quiet != nil)
	w.number(r.Cloud)
	w.text(r.Stamp)
	return string(w.b), w.err
}

// unpack decodes a packed row. The row is the caller's, except for the lists that it shares.
func (s *shared) unpack(o scoping.ObjectID, packed string) (*Row, error) {
	u := unpacker{s: s, rest: packed}
	r := &Row{Object: o, Kind: scoping.Kind(u.word()), State: RowState(u.word())}
	u.number() // in transit
	r.Origin = Origin(u.word())
	r.Name = u.name()
	r.CloudID, r.Anchor, r.Key = u.short(), u.short(), u.short()
	r.Wrote = u.signed()
	n := u.number()
	r.Features = make(map[scoping.Feature]*Last, min(n, 8))
	for range n {
		f := scoping.Feature(u.word())
		r.Features[f] = u.last()
		if u.err != nil {
			break
		}
	}
	if r.Links = u.links(); s.wide[o] != nil {
		r.Links = s.wide[o]
	}
	u.rare(&r.Transit)
	u.rare(&r.Quiet)
	r.Cloud, r.Stamp = u.number(), u.text()
	if u.err != nil || u.rest != "" {
		return nil, fmt.Errorf("%w: the row of %s in memory: %w", ErrRecord, o, errors.Join(u.err, errPacked))
	}
	return r, nil
}

// fewLinks is the most links that are packed with their row. Larger sets are kept beside it: a group gets its 100,000 members in writes of twenty,
// and packing all of them each time would be most of the work.
const fewLinks = 64

// setAside returns the links that are to be packed with a row, and puts larger sets aside.
func (s *shared) setAside(r *Row) *Links {
	if r.Links == nil || r.Links.Len() <= fewLinks {
		delete(s.wide, r.Object)
		return r.Links
	}
	if s.wide == nil {
		s.wide = map[scoping.ObjectID]*Links{}
	}
	s.wide[r.Object] = r.Links
	return nil
}

// peek returns the fields that are asked of all rows.
func (s *shared) peek(packed string) (kind scoping.Kind, state RowState, transit bool) {
	u := unpacker{s: s, rest: packed}
	return scoping.Kind(u.word()), RowState(u.word()), u.number() != 0
}

// errPacked means that a packed row cannot be read: damaged memory, or a fault of the program.
var errPacked = errors.New("it cannot be understood")

type packer struct {
	s   *shared
	b   []byte
	err error
}

func (w *packer) number(n uint64) { w.b = binary.AppendUvarint(w.b, n) }

func (w *packer) flag(set bool) {
	if set {
		w.number(1)
		return
	}
	w.number(0)
}

func (w *packer) word(t string) { w.number(uint64(w.s.wordOf(t))) }

func (w *packer) text(t string) {
	w.number(uint64(len(t)))
	w.b = append(w.b, t...)
}

// name writes a DN as its first component and a word for the rest, which many rows share.
func (w *packer) name(dn string) {
	first := dn
	for i := 0; i < len(dn); i++ {
		if dn[i] == '\\' {
			i++
		} else if dn[i] == ',' {
			first = dn[:i]
			break
		}
	}
	w.text(first)
	w.word(dn[len(first):])
}

// The forms of short texts.
const (
	asText = iota
	asHex
	asBase64
	asUUID
)

// short writes a text that is often the text form of bytes.
func (w *packer) short(t string) {
	form, raw := byte(asText), []byte(nil)
	if g, ok := guidOf(t); ok {
		form, raw = asUUID, g[:]
	} else if b, err := hex.DecodeString(t); err == nil && hex.EncodeToString(b) == t {
		form, raw = asHex, b
	} else if b, err := base64.StdEncoding.DecodeString(t); err == nil && base64.StdEncoding.EncodeToString(b) == t {
		form, raw = asBase64, b
	} else {
		raw = []byte(t)
	}
	w.b = append(w.b, form)
	w.number(uint64(len(raw)))
	w.b = append(w.b, raw...)
}

// guidOf parses a text that is exactly as a GUID is written.
func guidOf(t string) (scoping.GUID, bool) {
	if len(t) != 36 {
		return scoping.GUID{}, false
	}
	g, err := scoping.ParseGUID(t)
	return g, err == nil && g.String() == t
}

func (w *packer) last(l *Last) {
	w.word(l.Engine)
	w.number(l.Epoch.Incarnation)
	w.number(l.Epoch.N)
	w.b = append(w.b, l.Place[:]...)
	w.number(uint64(w.s.chainOf(l.Chain)))
	w.number(uint64(w.s.chainOf(l.Chosen)))
	w.number(l.Version)
	w.short(l.Hash)
	w.number(uint64(w.s.listOf(l.Attrs)))
	w.word(l.Restores)
	w.rare(l.Never, l.Never != nil)
}

func (w *packer) links(l *Links) {
	if l == nil {
		w.number(0)
		return
	}
	w.number(uint64(len(l.sums)) + 1)
	for _, x := range l.sums {
		w.b = binary.BigEndian.AppendUint64(w.b, x)
	}
}

func (w *packer) rare(v any, there bool) {
	if !there {
		w.text("")
		return
	}
	b, err := json.Marshal(v)
	w.err = errors.Join(w.err, err)
	w.text(string(b))
}

type unpacker struct {
	s    *shared
	rest string
	err  error
}

func (u *unpacker) number() uint64 {
	var n uint64
	for i := range min(len(u.rest), binary.MaxVarintLen64) {
		b := u.rest[i]
		n |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			u.rest = u.rest[i+1:]
			return n
		}
	}
	u.err, u.rest = errPacked, ""
	return 0
}

// signed reads a number written by binary.AppendVarint.
func (u *unpacker) signed() int64 {
	n := u.number()
	return int64(n>>1) ^ -int64(n&1)
}

func (u *unpacker) bytes(n uint64) string {
	if n > uint64(len(u.rest)) {
		u.err, u.rest = errPacked, ""
		return ""
	}
	out := u.rest[:n]
	u.rest = u.rest[n:]
	return out
}

func (u *unpacker) text() string { return u.bytes(u.number()) }

func (u *unpacker) word() string { return at(u, u.s.words.all) }

func (u *unpacker) name() string {
	first, rest := u.text(), u.word()
	return first + rest
}

func (u *unpacker) short() string {
	form := u.bytes(1)
	raw := u.text()
	switch {
	case form == "":
		return ""
	case form[0] == asUUID && len(raw) == len(scoping.GUID{}):
		return scoping.GUID([]byte(raw)).String()
	case form[0] == asHex:
		return hex.EncodeToString([]byte(raw))
	case form[0] == asBase64:
		return base64.StdEncoding.EncodeToString([]byte(raw))
	}
	return raw
}

func (u *unpacker) last() *Last {
	l := &Last{Engine: u.word(), Epoch: scoping.Epoch{Incarnation: u.number(), N: u.number()}}
	copy(l.Place[:], u.bytes(uint64(len(l.Place))))
	l.Chain, l.Chosen = at(u, u.s.chains.all), at(u, u.s.chains.all)
	l.Version = u.number()
	l.Hash = u.short()
	l.Attrs = at(u, u.s.lists.all)
	l.Restores = u.word()
	u.rare(&l.Never)
	return l
}

// at reads the number of a value that rows share.
func at[T any](u *unpacker, all []T) T {
	n := u.number()
	if n >= uint64(len(all)) {
		u.err, u.rest = errPacked, ""
		var none T
		return none
	}
	return all[n]
}

func (u *unpacker) links() *Links {
	n := u.number()
	if n == 0 {
		return nil
	}
	l, raw := &Links{}, u.bytes(8*(n-1))
	for ; len(raw) > 0; raw = raw[8:] {
		l.sums = append(l.sums, binary.BigEndian.Uint64([]byte(raw[:8])))
	}
	return l
}

func (u *unpacker) rare(to any) {
	if t := u.text(); t != "" {
		u.err = errors.Join(u.err, json.Unmarshal([]byte(t), to))
	}
}
