package connect

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/state"
)

// Store is where the engine keeps its connector spaces: an index file of package state, or a model of one in tests. What an
// Update wrote is there as a whole or not at all, also after a crash.
type Store interface {
	View(context.Context, func(state.Tx) error) error
	Update(context.Context, func(state.Tx) error) error
	Close() error
}

// space is the connector space of one directory: what the engine last read of each object, what it still has to propose,
// and the watermark up to which it has read. Its methods work inside the caller's transaction.
//
// Buckets, each with the directory's name behind the letter: o objects by objectGUID; p pending marks by objectGUID;
// b back-links, target objectGUID + source objectGUID; v the metaverse's joins, anchor + 0 + objectGUID; m the watermark.
type space struct {
	directory string
	tx        state.Tx
}

func (s space) bucket(letter string) string { return letter + "/" + s.directory }

// recordVersion stands first in every object record; others are refused.
const recordVersion = 1

// record is one object of the connector space. Generation is the full import that saw it last.
type record struct {
	generation uint64
	entry      directory.Entry
}

// errDamaged means that the connector space cannot be read. It is an index: the engine reads everything again.
var errDamaged = errors.New("the connector space is damaged")

func (r record) encode() []byte {
	b := binary.BigEndian.AppendUint64([]byte{recordVersion}, r.generation)
	return append(b, r.entry.Encode()...)
}

func decodeRecord(b []byte) (record, error) {
	if len(b) < 9 || b[0] != recordVersion {
		return record{}, fmt.Errorf("%w: an object record of unknown version", errDamaged)
	}
	e, err := directory.DecodeEntry(b[9:])
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	return record{generation: binary.BigEndian.Uint64(b[1:9]), entry: e}, nil
}

// get gives an object; false when the space does not hold it.
func (s space) get(g scoping.GUID) (record, bool, error) {
	b := s.tx.Get(s.bucket("o"), string(g[:]))
	if b == nil {
		return record{}, false, nil
	}
	r, err := decodeRecord(b)
	return r, err == nil, err
}

// put stores an object with its back-links and joins, before being what was there until now.
func (s space) put(before directory.Entry, r record) error {
	if err := s.putBackLinks(before, r.entry); err != nil {
		return err
	}
	if err := s.putJoin(before, r.entry); err != nil {
		return err
	}
	return s.tx.Put(s.bucket("o"), string(r.entry.GUID[:]), r.encode())
}

// drop removes an object and everything that hangs on it.
func (s space) drop(e directory.Entry) error {
	if err := s.putBackLinks(e, directory.Entry{GUID: e.GUID}); err != nil {
		return err
	}
	if err := s.putJoin(e, directory.Entry{GUID: e.GUID}); err != nil {
		return err
	}
	if err := s.clear(e.GUID, pendingAll); err != nil {
		return err
	}
	return s.tx.Delete(s.bucket("o"), string(e.GUID[:]))
}

func targets(e directory.Entry) map[scoping.GUID]bool {
	out := map[scoping.GUID]bool{}
	for _, l := range e.Links {
		for _, t := range l.Targets {
			out[t.GUID] = true
		}
	}
	return out
}

func (s space) putBackLinks(before, after directory.Entry) error {
	old, now := targets(before), targets(after)
	for g := range old {
		if !now[g] {
			if err := s.tx.Delete(s.bucket("b"), string(g[:])+string(after.GUID[:])); err != nil {
				return err
			}
		}
	}
	for g := range now {
		if !old[g] {
			if err := s.tx.Put(s.bucket("b"), string(g[:])+string(after.GUID[:]), nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// linkedFrom gives the objects that have a link to g.
func (s space) linkedFrom(g scoping.GUID) ([]scoping.GUID, error) {
	var out []scoping.GUID
	err := s.tx.Each(s.bucket("b"), string(g[:]), func(key string, _ []byte) error {
		from, err := scoping.GUIDFromBytes([]byte(key[len(g):]))
		out = append(out, from)
		return err
	})
	return out, err
}

// anchorOf gives the source anchor of an object that takes part in the metaverse, else "".
func anchorOf(e directory.Entry) string {
	if e.Deleted || e.GUID.IsZero() || !synchronizes(e.Kind()) {
		return ""
	}
	return Evaluate(e, "").Anchor
}

func (s space) putJoin(before, after directory.Entry) error {
	old, now := anchorOf(before), anchorOf(after)
	if old == now {
		return nil
	}
	if old != "" {
		if err := s.tx.Delete("v", old+"\x00"+s.directory+"/"+before.GUID.String()); err != nil {
			return err
		}
	}
	if now == "" {
		return nil
	}
	return s.tx.Put("v", now+"\x00"+s.directory+"/"+after.GUID.String(), nil)
}

// joined gives every object of every directory that shares an anchor, as "directory/guid".
func (s space) joined(anchor string) ([]string, error) {
	var out []string
	err := s.tx.Each("v", anchor+"\x00", func(key string, _ []byte) error {
		out = append(out, key[len(anchor)+1:])
		return nil
	})
	return out, err
}

// What a pending mark says is still to be proposed of an object.
const (
	pendingBase       = 1 << iota // its base feature
	pendingReferences             // its references
	pendingExtensions             // its extensions, of users

	pendingAll = pendingBase | pendingReferences | pendingExtensions
)

// featureOf returns the feature that a pass is about.
func featureOf(pass byte, k scoping.Kind) scoping.Feature {
	switch pass {
	case pendingReferences:
		return scoping.References
	case pendingExtensions:
		return scoping.Extensions
	}
	return scoping.Base(k)
}

// mark is what is still to be proposed, and where the object was when that began, to tell an object that left the scopes.
type mark struct {
	bits byte
	from scoping.GUID
}

func decodeMark(b []byte) (mark, error) {
	if len(b) != 17 {
		return mark{}, fmt.Errorf("%w: a pending mark of %d bytes", errDamaged, len(b))
	}
	m := mark{bits: b[0]}
	copy(m.from[:], b[1:])
	return m, nil
}

func (s space) pending(g scoping.GUID) (mark, bool, error) {
	b := s.tx.Get(s.bucket("p"), string(g[:]))
	if b == nil {
		return mark{}, false, nil
	}
	m, err := decodeMark(b)
	return m, err == nil, err
}

// owe marks an object as to be proposed. An older mark keeps the place it began at.
func (s space) owe(g scoping.GUID, bits byte, from scoping.GUID) error {
	m, there, err := s.pending(g)
	if err != nil {
		return err
	}
	if !there {
		m.from = from
	}
	m.bits |= bits
	return s.tx.Put(s.bucket("p"), string(g[:]), append([]byte{m.bits}, m.from[:]...))
}

// clear takes bits off an object's mark.
func (s space) clear(g scoping.GUID, bits byte) error {
	m, there, err := s.pending(g)
	if err != nil || !there {
		return err
	}
	if m.bits &^= bits; m.bits == 0 {
		return s.tx.Delete(s.bucket("p"), string(g[:]))
	}
	return s.tx.Put(s.bucket("p"), string(g[:]), append([]byte{m.bits}, m.from[:]...))
}

// watermark says how far the directory was read. It moves only in the transaction that stores what it stands for (rule P3).
type watermark struct {
	Version    int          `json:"version"`
	Cookie     []byte       `json:"cookie"`     // of DirSync; empty: everything has to be read
	Controller scoping.GUID `json:"controller"` // invocationId that the cookie belongs to
	Root       scoping.GUID `json:"root"`       // objectGUID of the naming context's root
	Domain     string       `json:"domain"`     // its DNS name
	Rules      string       `json:"rules"`      // fingerprint of what was asked for; other attributes need a full import
	Generation uint64       `json:"generation"`
}

// watermarkVersion is the format that this program reads and writes.
const watermarkVersion = 1

func (s space) watermark() (watermark, error) {
	b := s.tx.Get("m", s.directory)
	if b == nil {
		return watermark{Version: watermarkVersion}, nil
	}
	var w watermark
	decoder := json.NewDecoder(bytes.NewReader(b))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&w); err != nil || w.Version != watermarkVersion {
		return w, fmt.Errorf("%w: the watermark of directory %s has an unknown format", errDamaged, s.directory)
	}
	return w, nil
}

func (s space) setWatermark(w watermark) error {
	b, err := json.Marshal(w)
	if err != nil {
		return err
	}
	return s.tx.Put("m", s.directory, b)
}
