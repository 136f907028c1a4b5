package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// domainsLife is how long the tenant's domains are not read again.
const domainsLife = 10 * time.Minute

// prepare brings the host's view of tenant and directories up to date and draws the conclusions: owners and places of record are updated (rules T1,
// L1), and doubts are ended where possible. Directories that were read before and cannot be read now are returned: what is known of them stays, and
// nothing is moved or deleted in them meanwhile.
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
	open, err := h.gate.EndDoubts(ctx)
	if err != nil {
		return nil, err
	}
	if err := h.compare(ctx); err != nil {
		return nil, err
	}
	if err := h.gate.Cover(ctx); err != nil {
		return nil, err
	}
	h.sweepIfDue()
	if open > 0 {
		h.say("writes are still in doubt", "writes", open)
	}
	return unread, nil
}

// reachTenant brings the view of the tenant up to date. The prep lock is held.
func (h *Host) reachTenant(ctx context.Context) error {
	began := h.now()
	if err := h.Recognize(ctx); err != nil { // before anything is read of a tenant that may belong to another host
		h.noteTenant(began, err)
		return err
	}
	if err := h.learnDomains(ctx); err != nil {
		return err
	}
	return h.readTenant(ctx)
}

// lookAtTenant brings the view of the tenant up to date alone.
func (h *Host) lookAtTenant(ctx context.Context) error {
	h.prep.Lock()
	defer h.prep.Unlock()
	return h.reachTenant(ctx)
}

// noteTenant remembers whether the tenant was reached. A tenant that belongs to another installation was.
func (h *Host) noteTenant(began time.Time, err error) {
	if !errors.Is(err, tenancy.ErrOtherHost) && !errors.Is(err, tenancy.ErrNotBound) {
		h.Note(reach.Tenant, began, err)
	}
}

// readDirectories brings the census up to date and draws the conclusions. The prep lock is held.
func (h *Host) readDirectories(ctx context.Context) (*census.UnreadError, error) {
	events, full, unread, err := h.lookAround(ctx)
	if unread == nil || err != nil { // whether an unread directory is the right one is unknown
		err = h.NoteOtherDomain(ctx, err)
	}
	if err != nil {
		return nil, err
	}
	if err := h.followChanges(ctx, events, full); err != nil {
		return nil, err
	}
	if full && unread != nil {
		h.o.Census.Again(nil, true) // objects of the others are compared when those can be read
	}
	if err := h.o.Census.Keep(ctx); err != nil {
		return nil, fmt.Errorf("keeping the census: %w", err)
	}
	return unread, nil
}

// readTenant reads what the tenant shows into the cache. Changes by others are found by comparison.
func (h *Host) readTenant(ctx context.Context) error {
	began, steady := h.now(), time.UnixMilli(h.steady.Now())
	for n := range h.gate.Rules().Extensions {
		if attribute.Registered(n) {
			h.o.Cache.Track(n)
		}
	}
	_, err := h.o.Tenant.Refresh(ctx, h.o.Cache, steady)
	h.noteTenant(began, err)
	if err != nil {
		return fmt.Errorf("reading the tenant's changes: %w", err)
	}
	h.gate.Refreshed(steady)
	return nil
}

// lookInBin reads an object with a key from the tenant's deleted items into the cache. It does not end own writes that are not shown yet.
func (h *Host) lookInBin(ctx context.Context, k cloud.Key) error {
	k.Deleted = true
	found, err := h.o.Tenant.Find(ctx, k)
	if err != nil {
		return fmt.Errorf("reading the tenant's deleted items: %w", err)
	}
	if len(found) > 0 {
		h.o.Cache.Commit(cloud.Refresh{Deleted: found})
	}
	return nil
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
	return h.control.SetDomains(ctx, v, initial)
}

// followChanges updates partition and ledger by the changes that the census noticed. After an error they stay pending (rule T1).
func (h *Host) followChanges(ctx context.Context, events []census.Event, full bool) error {
	err := h.followPins(ctx)
	if err == nil {
		err = h.follow(ctx, events, full)
	}
	if err != nil {
		h.o.Census.Again(events, full)
	}
	return err
}

// followPins updates the places of the partition's pinned containers; owners are unchanged.
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

// follow draws the conclusions from the changes that the census noticed. After a full reading every row is looked at.
func (h *Host) follow(ctx context.Context, events []census.Event, full bool) error {
	if full {
		h.missing = nil // a tombstone may be readable by now
		h.miss(nil, true)
		if err := h.seek(ctx); err != nil {
			return err
		}
		h.gate.Read(func(s *ledger.State) {
			for _, id := range s.Objects() {
				t := census.Carried
				if sight := h.o.Census.Sight(id); sight.Known && sight.Deleted {
					t = census.Deleted
				}
				events = append(events, census.Event{Object: id, Kind: s.Rows.Get(id).Kind, Type: t})
			}
		})
	}
	auth := h.gate.Authority()
	var forget []ledger.Key
	var rs []ledger.Record
	h.gate.Read(func(s *ledger.State) {
		seen := map[scoping.ObjectID]bool{}
		ends := map[string]bool{}
		for _, e := range slices.Backward(events) { // the last change of an object counts
			if seen[e.Object] {
				continue
			}
			seen[e.Object] = true
			row := s.Rows.Get(e.Object)
			if row == nil {
				continue
			}
			if row.CloudID != "" && (e.Type == census.Returned || e.Type == census.Deleted && row.Cloud != 0) {
				ends[row.CloudID] = true
			}
			if e.Type != census.Deleted {
				rs = append(rs, h.conclude(s, auth, row, h.o.Census.Brief(e.Object))...)
			}
		}
		forget = h.holders(s, ends)
	})
	inOrder(rs)
	if err := h.gate.Record(ctx, rs...); err != nil {
		return err
	}
	return h.gate.Forget(ctx, forget)
}

// conclude returns the records for a link whose object may have moved: that it is in transit, or has another place with the same owner.
func (h *Host) conclude(s *ledger.State, auth gate.Authority, row *ledger.Row, sight gate.Sight) []ledger.Record {
	r, changed := h.transit(s, auth, row, sight)
	if !changed {
		return h.Placing(s, auth, row, sight)
	}
	rs := []ledger.Record{r}
	if r.Transit.To == r.Transit.From { // it came back to its owner, perhaps to another place
		there := *row
		there.Transit = nil
		rs = append(rs, h.Placing(s, auth, &there, sight)...)
	}
	return rs
}

// holders returns the references that name one of some objects of the tenant, so that who has them is asked: of what came back in the directory its groups and reports kept it while it was
// deleted, and the directory may not; what the tenant feeds stays there when its account is deleted, and nothing in the tenant ends what refers to it [a group lost a member by the account's
// delete, which no directory tells of the group: until a full run it kept the member in the tenant].
func (h *Host) holders(s *ledger.State, ends map[string]bool) (out []ledger.Key) {
	if len(ends) == 0 {
		return nil
	}
	for _, id := range s.Objects() {
		o, ok := h.Cloud(s.Rows.Get(id))
		if ok && (ends[o.Manager] || slices.ContainsFunc(o.Members, func(m string) bool { return ends[m] })) {
			out = append(out, ledger.Key{Object: id, Feature: scoping.References})
		}
	}
	return out
}

// transit compares an object's owner with its owner of record (rule T1).
func (h *Host) transit(s *ledger.State, auth gate.Authority, row *ledger.Row, sight gate.Sight) (ledger.Record, bool) {
	record, known := s.OwnerOfRow(row, scoping.Base(row.Kind))
	if !known || row.State == ledger.DeletedByTandem {
		return ledger.Record{}, false
	}
	now := auth.Owner(sight.Place(row.Object.Directory), row.Kind, scoping.Base(row.Kind)).Engine
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
