package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

func lower(s string) string { return strings.ToLower(s) }

// codeNobodys is the code of debts of which no engine is asked any more.
const codeNobodys = "nobodys"

// domainsLife is how long the tenant's domains are believed.
const domainsLife = 10 * time.Minute

// prepare brings the host's view of tenant and directory up to date and draws the conclusions: foreign writes, deletes and owner changes make
// dirty what has to be asked for again (rules P2, T1), and doubts are ended where they can be. It goes on without directories that were read before and cannot be
// read now: what is known of them stands, nothing in them moves or dies meanwhile. It returns which.
func (h *Host) prepare(ctx context.Context) (*census.UnreadError, error) {
	h.prep.Lock()
	defer h.prep.Unlock()
	if err := h.reachTenant(ctx); err != nil {
		return nil, err
	}
	unread, err := h.readDirectories(ctx)
	if err != nil {
		return nil, err
	}
	before := h.seq()
	open, err := h.gate.EndDoubts(ctx)
	if err != nil {
		return nil, err
	}
	h.news = h.news || h.seq() != before
	if err := h.sortDebts(ctx); err != nil {
		return nil, err
	}
	if err := h.compare(ctx); err != nil {
		return nil, err
	}
	if open > 0 {
		h.say("writes are still in doubt", "writes", open)
	}
	return unread, nil
}

// reachTenant brings the view of the tenant up to date. The prep lock is held.
func (h *Host) reachTenant(ctx context.Context) error {
	began := h.now()
	if err := h.Recognize(ctx); err != nil { // before anything is read of what may not be ours
		h.noteTenant(began, err)
		return err
	}
	if err := h.learnDomains(ctx); err != nil {
		return err
	}
	return h.readTenant(ctx, h.o.Cache.Loaded(scoping.User) && h.o.Cache.Loaded(scoping.Group))
}

// noteTenant keeps whether the tenant was reached. One that another installation feeds was.
func (h *Host) noteTenant(began time.Time, err error) {
	if !errors.Is(err, tenancy.ErrOtherHost) && !errors.Is(err, tenancy.ErrNotBound) {
		h.Note(reach.Tenant, began, err)
	}
}

// readDirectories brings the census up to date and draws the conclusions. The prep lock is held.
func (h *Host) readDirectories(ctx context.Context) (*census.UnreadError, error) {
	events, full, unread, err := h.lookAround(ctx)
	h.news = h.news || full || len(events) > 0
	if unread == nil || err != nil { // a directory that was not read says nothing about whose it is
		err = h.NoteStrange(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	if err := h.followNews(ctx, events, full); err != nil {
		return nil, err
	}
	if full && unread != nil {
		h.o.Census.Again(nil, true) // what lies in the others is compared when they can be read
	}
	if err := h.o.Census.Keep(ctx); err != nil {
		return nil, fmt.Errorf("keeping the census: %w", err)
	}
	return unread, nil
}

// readTenant takes what the tenant shows into the cache and makes dirty what was changed there by others. The cache tells of a change once: what the log
// could not be told of stays for the next time, and no cache is kept until then.
func (h *Host) readTenant(ctx context.Context, known bool) error {
	h.catch(true)
	began, steady := h.now(), time.UnixMilli(h.steady.now())
	changed, err := h.o.Tenant.Refresh(ctx, h.o.Cache, steady)
	h.noteTenant(began, err)
	if err != nil {
		return fmt.Errorf("reading the tenant's changes: %w", err)
	}
	h.gate.Refreshed(steady)
	if !known {
		changed = h.linkedIDs()
	}
	h.unheard = append(h.unheard, changed...)
	if err := h.foreign(ctx, h.unheard); err != nil {
		return err
	}
	h.unheard = nil
	h.catch(false)
	return nil
}

func (h *Host) catch(catching bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.catching = catching
}

func (h *Host) learnDomains(ctx context.Context) error {
	h.mu.Lock()
	fresh := h.now().Sub(h.domains) < domainsLife
	h.mu.Unlock()
	if fresh {
		return nil
	}
	began := h.now()
	v, initial, err := h.o.Tenant.Domains(ctx)
	if err != nil {
		h.noteTenant(began, err)
		return fmt.Errorf("reading the tenant's domains: %w", err)
	}
	h.mu.Lock()
	if len(v) > 0 {
		h.domains = h.now()
	}
	h.mu.Unlock()
	return h.followDomains(ctx, v, initial)
}

// foreign makes dirty what the tenant shows changed by others.
func (h *Host) foreign(ctx context.Context, ids []string) error {
	var keys []ledger.Key
	h.gate.Read(func(s *ledger.State) {
		for _, id := range ids {
			row, ok := s.ByCloud(id)
			if !ok || row.State != ledger.Live {
				continue
			}
			for f := range row.Features {
				keys = append(keys, ledger.Key{Object: row.Object, Feature: f})
			}
		}
	})
	return h.soil(ctx, keys, ledger.ForeignWrite, "the tenant shows a change by somebody else")
}

// linkedIDs returns the cloud objects of all links. When the cache was read from nothing it cannot tell what others changed meanwhile:
// then everything is looked at again.
func (h *Host) linkedIDs() (ids []string) {
	h.gate.Read(func(s *ledger.State) {
		for _, o := range s.Objects() {
			ids = append(ids, s.Rows.Get(o).CloudID)
		}
	})
	return ids
}

// soil makes keys dirty.
func (h *Host) soil(ctx context.Context, keys []ledger.Key, why ledger.Cause, reason string) error {
	return h.gate.Record(ctx, ledger.Again(keys, why, reason)...)
}

// followNews lets partition and ledger follow the changes that the census noticed. On failure they stay pending (rule T1).
func (h *Host) followNews(ctx context.Context, events []census.Event, full bool) error {
	err := h.followPins(ctx)
	if err == nil {
		err = h.follow(ctx, events, full)
	}
	if err != nil {
		h.o.Census.Again(events, full)
	}
	return err
}

// followPins lets the partition know where its pinned containers lie now; owners are unchanged.
func (h *Host) followPins(ctx context.Context) error {
	p := h.gate.Authority().Partition
	if p == nil || p.Follow(h.Pin) == p {
		return nil
	}
	return h.control.Change(ctx, func(c *control.Content) error {
		if c.Partition != nil {
			c.Partition = c.Partition.Follow(h.Pin)
		}
		return nil
	})
}

// follow draws the conclusions from what the census noticed. After a full reading every row is looked at.
func (h *Host) follow(ctx context.Context, events []census.Event, full bool) error {
	if full {
		if err := h.lookUp(ctx); err != nil {
			return err
		}
		h.gate.Read(func(s *ledger.State) {
			for _, id := range s.Objects() {
				t := census.Carried
				if sight := h.o.Census.Sight(id); sight.Known && sight.Gone {
					t = census.Died
				}
				events = append(events, census.Event{Object: id, Kind: s.Rows.Get(id).Kind, Type: t})
			}
		})
	}
	auth := h.gate.Authority()
	var keys []ledger.Key
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		seen := map[scoping.ObjectID]bool{}
		for _, e := range slices.Backward(events) { // the last about an object counts
			if seen[e.Object] {
				continue
			}
			seen[e.Object] = true
			k, r := h.conclude(s, auth, e, full)
			if e.Type == census.Returned {
				k = append(k, h.holders(s, s.Rows.Get(e.Object))...)
			}
			keys, rs = append(keys, k...), append(rs, r...)
		}
	})
	slices.SortFunc(rs, func(a, b ledger.Record) int { return a.Object.Compare(*b.Object) })
	if err := h.gate.Record(ctx, rs...); err != nil {
		return err
	}
	return h.soil(ctx, keys, ledger.DirectoryChanged, "the directory changed")
}

// lookUp reads what is linked and the census does not know, after its index was lost: a full reading tells no tombstones.
func (h *Host) lookUp(ctx context.Context) error {
	var ids []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			if !h.o.Census.Sight(id).Known && h.o.Census.Down(id.Directory) == nil { // what cannot be read is compared when it can
				ids = append(ids, id)
			}
		}
		for _, k := range s.DirtyKeys() {
			if s.Rows.Get(k.Object) == nil && !h.o.Census.Sight(k.Object).Known && h.o.Census.Down(k.Object.Directory) == nil {
				ids = append(ids, k.Object)
			}
		}
	})
	if ids = slices.Compact(ids); len(ids) == 0 {
		return nil
	}
	if err := h.o.Census.Reread(ctx, ids); err != nil {
		return fmt.Errorf("looking up %d linked objects that the census does not know: %w", len(ids), err)
	}
	return nil
}

// conclude returns what follows from one event: dirty features, or a transit.
func (h *Host) conclude(s *ledger.State, auth gate.Authority, e census.Event, full bool) ([]ledger.Key, []ledger.Record) {
	row := s.Rows.Get(e.Object)
	base := ledger.Key{Object: e.Object, Feature: scoping.Base(e.Kind)}
	if row == nil {
		moved := e.Type == census.Moved || e.Type == census.Carried || e.Type == census.Returned || e.Type == census.Chosen
		if owner := h.Owner(auth, e.Object, e.Kind); h.o.Census.Expected(e.Object) && owner != scoping.None && (moved || e.Type == census.Appeared && ran(s, owner)) {
			return []ledger.Key{base}, nil // its engine may have seen it before the host did, and been put off (rule V1)
		}
		return nil, nil
	}
	if e.Type == census.Died {
		if row.State == ledger.Live || row.State == ledger.ParkedRow {
			return []ledger.Key{base}, nil
		}
		return nil, nil
	}
	if r, changed := h.transit(s, auth, row); changed {
		rs := []ledger.Record{r}
		if r.Transit.To == r.Transit.From { // it came back to its owner, perhaps to another place of the same owner
			there := *row
			there.Transit = nil
			rs = append(rs, h.Placing(s, auth, &there)...)
		}
		return nil, rs
	}
	if h.returned(s, auth, row) {
		return []ledger.Key{base}, h.Placing(s, auth, row)
	}
	if rs := h.Placing(s, auth, row); len(rs) > 0 {
		if e.Type != census.Changed && e.Type != census.Returned {
			return nil, rs
		}
		return []ledger.Key{base}, rs
	}
	if e.Type == census.Changed || e.Type == census.Returned || (e.Type == census.Moved && !full) {
		if h.Owner(auth, e.Object, e.Kind) != scoping.None {
			return []ledger.Key{base}, nil
		}
	}
	return nil, nil
}

// sortDebts goes through the dirty set: what changed hands while nobody could see it (a write was on its way) is in transit from now on, and what
// nobody can be asked for any more (it never was in the tenant, and is gone or nobody's now) is closed.
func (h *Host) sortDebts(ctx context.Context) error {
	auth := h.gate.Authority()
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		moved, placed := map[scoping.ObjectID]bool{}, map[scoping.ObjectID]bool{}
		for _, k := range s.DirtyKeys() {
			row, sight := s.Rows.Get(k.Object), h.o.Census.Sight(k.Object)
			if _, pending := s.Pending(k.Object); pending || !sight.Known || moved[k.Object] {
				continue
			}
			if row != nil && !sight.Gone {
				if r, changed := h.transit(s, auth, row); changed {
					rs, moved[k.Object] = append(rs, r), true
					continue
				}
				if !placed[k.Object] { // nor was it told that it moved within its owner's scopes
					rs, placed[k.Object] = append(rs, h.Placing(s, auth, row)...), true
				}
			}
			if h.nobodys(s, auth, row, sight, k) {
				rs = append(rs, ledger.Record{Type: ledger.DecisionType, Object: &k.Object, Kind: sight.Kind, Name: sight.Name, Feature: k.Feature, Outcome: engine.Released,
					Code: codeNobodys, Reason: "no engine is to be asked for it any more", Closed: true})
			}
		}
	})
	return h.gate.Record(ctx, rs...)
}

// nobodys reports whether no engine will ever be asked for a debt as things are.
func (h *Host) nobodys(s *ledger.State, auth gate.Authority, row *ledger.Row, sight gate.Sight, k ledger.Key) bool {
	if sight.Gone {
		return row == nil || row.State == ledger.DeletedByTandem || h.OwnerOfGone(s, auth, row) == scoping.None
	}
	o := auth.Owner(sight.Place(k.Object.Directory), sight.Kind, k.Feature)
	return o.Engine == scoping.None && (row == nil || row.Transit == nil)
}

// holders returns the references that still name an object which came back: its groups and reports kept it while it was deleted, and the
// directory may not.
func (h *Host) holders(s *ledger.State, row *ledger.Row) []ledger.Key {
	if row == nil || row.CloudID == "" {
		return nil
	}
	var out []ledger.Key
	for _, id := range s.Objects() {
		r := s.Rows.Get(id)
		if o, ok := h.Cloud(r); ok && (o.HasMember(row.CloudID) || o.Manager == row.CloudID) {
			out = append(out, ledger.Key{Object: id, Feature: scoping.References})
		}
	}
	return out
}

// transit compares an object's owner with its owner of record (rule T1).
func (h *Host) transit(s *ledger.State, auth gate.Authority, row *ledger.Row) (ledger.Record, bool) {
	record, known := s.OwnerOfRecord(row.Object, scoping.Base(row.Kind))
	if !known || row.State == ledger.DeletedByTandem {
		return ledger.Record{}, false
	}
	now := h.Owner(auth, row.Object, row.Kind)
	switch {
	case row.Transit == nil && now == record,
		row.Transit != nil && now == row.Transit.To && record == row.Transit.From:
		return ledger.Record{}, false
	}
	id := row.Object
	reason := "moved in the directory"
	if now == record {
		reason = "came back before anybody claimed it"
	}
	return ledger.Record{Type: ledger.TransitType, Engine: record, Object: &id, Kind: row.Kind, Name: row.Name, Feature: scoping.Base(row.Kind), Op: "transit",
		Reason: reason + ": from " + record + " to " + now, Transit: &ledger.Transit{From: record, To: now}}, true
}
