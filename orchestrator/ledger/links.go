package ledger

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Links are the references of an object in the tenant that Tandem wrote, or took over because the directory has them too (rule D3): all others that
// the tenant shows were written by others. Each is kept as the first eight bytes of a hash of the other end's cloud id, sorted.
type Links struct{ sums []uint64 }

func linkSum(cloudID string) uint64 {
	sum := sha256.Sum256([]byte(cloudID))
	return binary.BigEndian.Uint64(sum[:])
}

// Has reports whether the reference to a cloud object is one of them.
func (l *Links) Has(cloudID string) bool {
	_, found := slices.BinarySearch(l.sums, linkSum(cloudID))
	return found
}

// Len returns their number.
func (l *Links) Len() int { return len(l.sums) }

// with returns the links and more. l stays as it is: rows share it.
func (l *Links) with(cloudIDs []string) *Links {
	more := make([]uint64, len(cloudIDs))
	for i, id := range cloudIDs {
		more[i] = linkSum(id)
	}
	slices.Sort(more)
	more = slices.Compact(more)
	out := make([]uint64, 0, len(l.sums)+len(more)) // a large group has many links, and a write adds few
	for _, x := range l.sums {
		for ; len(more) > 0 && more[0] <= x; more = more[1:] {
			if more[0] < x {
				out = append(out, more[0])
			}
		}
		out = append(out, x)
	}
	return &Links{sums: append(out, more...)}
}

// without returns the links except some. l stays as it is.
func (l *Links) without(cloudIDs []string) *Links {
	removed := (&Links{}).with(cloudIDs)
	return &Links{sums: slices.DeleteFunc(slices.Clone(l.sums), func(x uint64) bool {
		_, found := slices.BinarySearch(removed.sums, x)
		return found
	})}
}

// takeOver notes references that the tenant has and the directory wants.
func (r *Row) takeOver(f scoping.Feature, c Claim) {
	if f != scoping.References || !c.Tracks {
		return
	}
	if r.Links == nil {
		r.Links = &Links{}
	}
	if len(c.Took) > 0 {
		r.Links = r.Links.with(c.Took)
	}
}

// wroteLinks applies a write of references.
func (r *Row) wroteLinks(w cloud.Write) {
	if r.Links == nil {
		return
	}
	switch w.Op {
	case cloud.AddMembers:
		r.Links = r.Links.with(w.Refs)
	case cloud.RemoveMember:
		r.Links = r.Links.without(w.Refs)
	case cloud.SetManager:
		r.Links = (&Links{}).with(w.Refs)
	case cloud.ClearManager:
		r.Links = &Links{}
	}
}

// showsLinks notes which references of an unanswered write the tenant shows when it cannot take effect any more: they are as Tandem wanted them.
func (r *Row) showsLinks(w cloud.Write, shown []string) {
	if r.Links == nil {
		return
	}
	switch w.Op {
	case cloud.AddMembers:
		r.Links = r.Links.with(shown)
	case cloud.RemoveMember:
		r.Links = r.Links.without(slices.DeleteFunc(slices.Clone(w.Refs), func(id string) bool { return slices.Contains(shown, id) }))
	}
}

// MarshalText implements encoding.TextMarshaler: eight bytes each, in base64.
func (l Links) MarshalText() ([]byte, error) {
	raw := make([]byte, 0, 8*len(l.sums))
	for _, s := range l.sums {
		raw = binary.BigEndian.AppendUint64(raw, s)
	}
	return base64.StdEncoding.AppendEncode(nil, raw), nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (l *Links) UnmarshalText(b []byte) error {
	raw, err := base64.StdEncoding.DecodeString(string(b))
	if err != nil || len(raw)%8 != 0 {
		return fmt.Errorf("the references of an object: %d bytes: %w", len(raw), ErrRecord)
	}
	l.sums = nil
	for ; len(raw) > 0; raw = raw[8:] {
		l.sums = append(l.sums, binary.BigEndian.Uint64(raw))
	}
	return nil
}
