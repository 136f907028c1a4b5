package ledger

import (
	"encoding/json"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Origin is how a link came about.
type Origin string

// The origins of links.
const (
	Created   Origin = "created"
	HardMatch Origin = "hard-match"
	SoftMatch Origin = "soft-match"
	ByFile    Origin = "by-file"
	Restored  Origin = "restored"
	Joined    Origin = "joined" // a person answered that the directory's object is the tenant's
)

// RowState is the state of a link.
type RowState string

// The states of a row. Transit and doubt are kept beside it, since both are possible in any state.
const (
	Live            RowState = "live"
	DeletedByTandem RowState = "deleted-by-tandem"
	DeletedByOthers RowState = "deleted-by-others"
	ParkedRow       RowState = "parked" // no engine owns it: it is kept, and not written
)

// Row is what the ledger knows about one link. The anchor is as it was when joined (rule I2).
type Row struct {
	Object   scoping.ObjectID          `json:"object"`
	Kind     scoping.Kind              `json:"kind"`
	Name     string                    `json:"name,omitempty"` // the last DN seen, for display
	CloudID  string                    `json:"cloudId"`
	Anchor   string                    `json:"anchor"`
	Key      string                    `json:"key,omitempty"`
	Origin   Origin                    `json:"origin"`
	State    RowState                  `json:"state"`
	Features map[scoping.Feature]*Last `json:"features"`
	Transit  *Transit                  `json:"transit,omitempty"`
	Wrote    int64                     `json:"wrote,omitempty"` // when a write of Tandem's was last answered, steady ms (rule V2)
	// Links are the references that Tandem wrote or took over (D3); nil: they were not tracked yet, and those to linked objects count as Tandem's.
	Links *Links `json:"links,omitempty"`
	// Quiet is, per feature, until when (steady ms) no different write is sent: an earlier one may still arrive.
	Quiet map[scoping.Feature]int64 `json:"quiet,omitempty"`
	// Cloud is the record of the log since which the tenant is the authority: the directory's object was made for an object of the tenant, or joined
	// with it. 0: the directory is.
	Cloud uint64 `json:"cloud,omitempty"`
	// Stamp is that of the random password that an account was made with (credential.Stamp.Text): it is never handed over. Empty in other rows.
	Stamp string `json:"stamp,omitempty"`
}

// Last is the record of the last settled write of one feature.
type Last struct {
	Engine  string         `json:"engine"`
	Epoch   scoping.Epoch  `json:"epoch"`
	Place   scoping.GUID   `json:"place"`
	Chain   []scoping.GUID `json:"chain,omitempty"`
	Chosen  []scoping.GUID `json:"chosen,omitempty"`
	Version uint64         `json:"version,omitempty"`
	Hash    string         `json:"hash,omitempty"`
	Attrs   []string       `json:"attrs,omitempty"`

	Never *Never `json:"never,omitempty"` // see Claim.Never

	Restores string `json:"restores,omitempty"` // the wave whose values the last write took back; until the next write
}

// QuietDelete is the key in Row.Quiet of a create that may still arrive. Its key makes the tenant refuse a second arrival while the object exists;
// only after a delete would it make the object again, so a delete has to wait.
const QuietDelete scoping.Feature = "delete"

// Open is an intent without an end: to be sent, in flight, or in doubt.
type Open struct {
	Record Record `json:"record"`
	Doubt  bool   `json:"doubt,omitempty"`
	Until  int64  `json:"until,omitempty"` // when the doubt ends, in ms on the steady scale
	Tries  int    `json:"tries,omitempty"` // how often it was prolonged
	Seq    uint64 `json:"seq,omitempty"`   // of the intent in the log
}

// HeldAnswer begins the code of a key that a person answered about since its engine was last asked.
const HeldAnswer = "held-"

// Unsettled is the last answer about a key that did not settle it: why, since when, and how often. Whether something is owed is derived by
// comparison.
type Unsettled struct {
	Since  int64  `json:"since"` // Unix ms
	Code   string `json:"code"`
	Reason string `json:"reason,omitempty"`
	Seq    uint64 `json:"seq"`
	Tries  int    `json:"tries,omitempty"`
}

// Destroyed is one successful write of a class that thresholds count.
type Destroyed struct {
	At         int64        `json:"at"`
	Engine     string       `json:"engine"`
	Assignment string       `json:"assignment"`
	Class      Class        `json:"class"`
	Kind       scoping.Kind `json:"kind"`
	Count      int          `json:"count"`
}

// State is the whole ledger. Only Fold changes it; readers must not keep pointers across a Fold.
type State struct {
	Seq       uint64                                             `json:"seq"` // of the last record folded
	Rows      Table                                              `json:"rows,omitzero"`
	Unsettled map[scoping.ObjectID]map[scoping.Feature]Unsettled `json:"dirty"`
	Transfers []scoping.Transfer                                 `json:"transfers"`
	Holds     map[string]*Hold                                   `json:"holds"`
	Excluded  map[scoping.ObjectID]string                        `json:"excluded"` // objects that their owner's rules leave out, and why
	Intents   map[string]*Open                                   `json:"intents"`  // by intent id
	History   []Destroyed                                        `json:"history"`

	// Tried are objects with a create whose effect is unknown (a lost answer, or a 503), until they are linked: what the tenant shows may be its
	// result.
	Tried map[scoping.ObjectID]bool `json:"tried,omitempty"`

	Troubles Troubles `json:"troubles,omitzero"` // of keys whose writes are refused or do not last (S10)

	Runs map[string]json.RawMessage `json:"runs,omitempty"` // the last report of each engine, as the host wrote it

	// Deliveries are the permitted writes into the directory, by id, for a day: none is permitted twice.
	Deliveries map[string]*Delivered `json:"deliveries,omitempty"`
	// EventsUntil is the latest deadline among the events that are forgotten: see Delivery.Deadline.
	EventsUntil int64 `json:"eventsUntil,omitempty"`

	// Disabling are the assignments from the tenant into directories that have disabled an account, which a person was asked about. A disabling whose
	// answer was lost does not count.
	Disabling map[string]bool `json:"disabling,omitempty"`
	// Nested are, by the id of a group of the tenant that brings users into a directory, the groups inside it that bring some of them.
	Nested map[string][]NestedGroup `json:"nested,omitempty"`

	since   uint64                        // the first record that the shelf knows the objects of
	records map[scoping.ObjectID][]uint64 // by object, the records since the last checkpoint
	storing *Checkpoint                   // its result is not known yet
	anew    bool                          // nothing of it is on the shelf
	pending map[scoping.ObjectID][]string // object -> open intent ids, sorted
	held    map[scoping.ObjectID][]string // object -> held sets that name it, the oldest first
}

// RunKey is the key in State.Runs of an engine's last report: for its objects without a feature, else for a feature that has a stream of its own.
func RunKey(engine string, f scoping.Feature) string {
	if f == "" {
		return engine
	}
	return engine + " " + string(f)
}

// New returns an empty ledger.
func New() *State {
	s := &State{since: 1, anew: true}
	s.index()
	return s
}

// index makes everything that is derived, and missing maps.
func (s *State) index() {
	if s.Unsettled == nil {
		s.Unsettled = map[scoping.ObjectID]map[scoping.Feature]Unsettled{}
	}
	if s.Holds == nil {
		s.Holds = map[string]*Hold{}
	}
	if s.Excluded == nil {
		s.Excluded = map[scoping.ObjectID]string{}
	}
	if s.Runs == nil {
		s.Runs = map[string]json.RawMessage{}
	}
	if s.Tried == nil {
		s.Tried = map[scoping.ObjectID]bool{}
	}
	if s.Intents == nil {
		s.Intents = map[string]*Open{}
	}
	s.pending = map[scoping.ObjectID][]string{}
	for id, o := range s.Intents {
		s.wait(*o.Record.Object, id)
	}
	s.indexHolds()
}

// ByCloud returns the row of a cloud object.
func (s *State) ByCloud(id string) (*Row, bool) {
	o, ok := s.Rows.linked(id)
	if !ok {
		return nil, false
	}
	return s.Rows.Get(o), true
}

// Links reports whether an object of the tenant is linked.
func (s *State) Links(id string) bool {
	_, ok := s.Rows.linked(id)
	return ok
}

// Pending returns the open intent about an object: in flight, or in doubt. Of several, one in doubt comes first.
func (s *State) Pending(o scoping.ObjectID) (*Open, bool) {
	ids := s.pending[o]
	if len(ids) == 0 {
		return nil, false
	}
	for _, id := range ids {
		if x := s.Intents[id]; x.Doubt {
			return x, true
		}
	}
	return s.Intents[ids[0]], true
}

// Linked returns the cloud id of an object that exists in the tenant as far as the ledger knows. Where the tenant is the authority, a delete was of
// the directory's object, and the tenant's remains [such an account was undeleted by hand: the groups of which it is a member asked in every run for
// its membership to be removed from the tenant, which the directory still showed].
func (s *State) Linked(o scoping.ObjectID) (string, bool) {
	r := s.Rows.Get(o)
	if r == nil || r.CloudID == "" || (r.State != Live && r.State != ParkedRow && r.Cloud == 0) {
		return "", false
	}
	return r.CloudID, true
}

// UnsettledKeys returns the keys whose last answer did not settle them, in order.
func (s *State) UnsettledKeys() []Key {
	var out []Key
	for o, fs := range s.Unsettled {
		for f := range fs {
			out = append(out, Key{o, f})
		}
	}
	slices.SortFunc(out, Key.Compare)
	return out
}

// Objects returns the objects of all rows, in order.
func (s *State) Objects() []scoping.ObjectID {
	out := make([]scoping.ObjectID, 0, s.Rows.Len())
	for o := range s.Rows.Objects() {
		out = append(out, o)
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}

// Doubts returns the open intents in order of their ids.
func (s *State) Doubts() []*Open {
	ids := make([]string, 0, len(s.Intents))
	for id := range s.Intents {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	out := make([]*Open, len(ids))
	for i, id := range ids {
		out[i] = s.Intents[id]
	}
	return out
}

// OwnerOfRecord returns the engine that wrote a feature of an object last, as transfers since then have it (rule L1); false without a record (rule
// L2).
func (s *State) OwnerOfRecord(o scoping.ObjectID, f scoping.Feature) (string, bool) {
	return s.OwnerOfRow(s.Rows.Get(o), f)
}

// OwnerOfRow is OwnerOfRecord of the object of a row, which may be nil.
func (s *State) OwnerOfRow(r *Row, f scoping.Feature) (string, bool) {
	if r == nil || r.Features[f] == nil {
		return "", false
	}
	l := r.Features[f]
	return ownerAfter(l, r, f, s.Transfers), true
}

func ownerAfter(l *Last, r *Row, f scoping.Feature, ts []scoping.Transfer) string {
	owner := l.Engine
	place := scoping.Place{Directory: r.Object.Directory, Ancestors: l.Chain, Chosen: l.Chosen}
	for _, t := range ts {
		if t.At.Compare(l.Epoch) > 0 && t.From == owner && t.Scope.Writes(r.Kind, f) && t.Scope.Covers(place) {
			owner = t.To
		}
	}
	return owner
}

// Unlinkable returns the object of another row than o's that a cloud object is linked with, which keeps it from being joined (rule J2).
func (s *State) Unlinkable(c cloud.Object, o scoping.ObjectID) (scoping.ObjectID, bool) {
	other, ok := s.Rows.linked(c.ID)
	if !ok || other == o {
		return scoping.ObjectID{}, false
	}
	return other, true
}
