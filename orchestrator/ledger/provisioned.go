package ledger

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// CodeNotThere ends a doubt about a write into a directory: the controller does not show it, and it cannot arrive any more.
const CodeNotThere = "not-there"

// CodeOvertaken ends a doubt about a write that enables an account: the account was changed by others since, so it may have been enabled and disabled
// again. Such a decision is not overruled.
const CodeOvertaken = "overtaken"

// provisioned folds the end of a write for an object of the tenant. A doubt is kept for as long as it lasts; other ends are not, since ids made by
// the host never come again.
func (s *State) provisioned(seq uint64, r Record, x Delivered) {
	if r.Code == engine.DeliveryInDoubt {
		x.Ended, x.Code, x.Reason = true, r.Code, r.Reason
		s.Deliveries[x.ID] = &x
		return
	}
	delete(s.Deliveries, x.ID)
	if source, err := scoping.Cloud(x.CloudID); err == nil {
		s.spend(x.Engine, Key{source, x.Feature}, x.LostQuestion().Digest())
	}
	if r.Code == CodeOvertaken {
		s.switched(x.Object, x)
		s.Rows.touched.Note(x.Object)
	}
	if r.Code != engine.DeliveryOK {
		return
	}
	p, result := x.Provisioned, r.Delivery.Result
	if p.Class != Ordinary && !p.Approved {
		s.History = append(s.History, Destroyed{At: r.At, Engine: x.Engine, Assignment: p.Assignment, Class: p.Class, Kind: x.Kind, Count: 1})
		s.forgetHistory(r.At)
	}
	if p.Grave != "" {
		if source, err := scoping.Cloud(x.CloudID); err == nil {
			s.spend(x.Engine, Key{source, x.Feature}, p.Grave)
		}
	}
	if d := p.Disabled; d != nil && d.To && p.Approved && !x.shown() {
		if s.Disabling == nil {
			s.Disabling = map[string]bool{}
		}
		s.Disabling[p.Assignment] = true
	}
	id := x.Object
	if result != nil && !result.Object.IsZero() {
		id.GUID = result.Object
	}
	switch p.Op {
	case provision.Add, provision.Join:
		s.made(seq, id, x, r)
	case provision.Modify:
		s.switched(id, x)
	case provision.Delete:
		if row := s.Rows.change(id); row != nil {
			row.State = DeletedByTandem
		}
	}
	if row := s.Rows.change(id); row != nil {
		row.unpark(x)
		row.Wrote = r.Moment()
		if result != nil && result.DN != "" {
			row.Name = result.DN
		}
	}
	s.Rows.touched.Note(id)
}

// shown reports whether the answer to a write was lost, so that only what a controller shows tells that it was done. An account that is shown disabled
// may have been disabled by others, and that is not the first disabling of its assignment [the first one, which a person had approved, never arrived,
// and security disabled the account meanwhile: the next account was disabled without a question].
func (d Delivered) shown() bool { return d.Ended && d.Code == engine.DeliveryInDoubt }

// LostQuestion is the question to a person about a write without an answer: whether the controller that got it will never be back. It is about this
// very write.
func (d Delivered) LostQuestion() Grave {
	return Grave{Op: "controller-gone", Target: d.CloudID, Detail: fmt.Sprintf("%s (%s) %s", d.Provisioned.Controller, d.Provisioned.Invocation, d.ID)}
}

// made links the directory object that a write made with the object of the tenant it was made of.
func (s *State) made(seq uint64, id scoping.ObjectID, x Delivered, r Record) {
	row := s.Rows.change(id)
	parted := row != nil // the account of a person who left: an answer says who has it now
	another := parted && row.CloudID != x.CloudID
	if row == nil {
		row = &Row{Object: id, Kind: x.Kind, Features: map[scoping.Feature]*Last{}, State: Live}
		s.Rows.put(row)
	}
	s.relink(row, Claim{CloudID: x.CloudID, Origin: x.Provisioned.Origin})
	row.State, row.Cloud = Live, seq
	if x.Provisioned.Made() && r.Delivery.Result != nil && !parted { // of a leaver's account it is known
		row.Stamp = r.Delivery.Result.Stamp
	}
	s.touchCloud(row, x)
	switch l := row.Features[x.Feature]; {
	case x.Provisioned.Op == provision.Join && !parted:
		l.Attrs = []string{Enabled} // it was disabled by others
	case another:
		now := *l
		now.Attrs = append(slices.Clone(l.Attrs), Relinked)
		row.Features[x.Feature] = &now
	}
}

// What the attributes of a provisioning feature record between a write that enabled or disabled an account and the next agreement: the opposite state
// was then written by others.
const (
	Enabled  = "enabled"
	Disabled = "disabled"
	// ShownDisabled is that the answer to its disabling was lost, and that it was shown disabled: by that write, or by others.
	ShownDisabled = "shown-disabled"
	// Relinked is that another object of the tenant got the account.
	Relinked = "relinked"
)

// switched notes that an account was enabled or disabled.
func (s *State) switched(id scoping.ObjectID, x Delivered) {
	row, d := s.Rows.change(id), x.Provisioned.Disabled
	if row == nil || d == nil || row.Features[x.Feature] == nil {
		return
	}
	l, how := *row.Features[x.Feature], Enabled
	switch {
	case d.To && x.shown():
		how = ShownDisabled
	case d.To:
		how = Disabled
	}
	l.Attrs = []string{how}
	row.Features[x.Feature] = &l
}

// unpark ends that a row is parked, or deleted: of what left nothing but its disabling and its delete are written, so that any other write is of what
// came back, and its engine is the one that sees it off again [an account came back, was enabled, and waited for a person about its name: a new hire
// with the same number was offered it as a leaver's; and when it left once more, it was parked already, and stayed enabled].
func (r *Row) unpark(x Delivered) {
	p := x.Provisioned
	if r.State != ParkedRow && r.State != DeletedByTandem || p.Op == provision.Delete || p.Disabled != nil && p.Disabled.To {
		return
	}
	r.State = Live
	if l := r.Features[x.Feature]; l != nil {
		last := *l
		last.Engine, last.Epoch = x.Engine, x.Epoch
		r.Features[x.Feature] = &last
	}
}

// touchCloud records the last writer before the feature is settled. What was agreed about a leaver's account stays: an account that others
// disabled before its user left is not enabled for the next one. Until a reading tells the containers above it, the place is within the container of
// the assignment [an account was made in a container below that one, enabled, and moved elsewhere before a reading: it was no assignment's any more].
func (s *State) touchCloud(row *Row, x Delivered) {
	l := row.Features[x.Feature]
	if l != nil && l.Engine == x.Engine {
		return
	}
	p := x.Provisioned
	now := &Last{Engine: x.Engine, Epoch: x.Epoch, Place: p.Container, Chain: []scoping.GUID{p.Root}}
	if l != nil {
		now.Hash, now.Attrs, now.Version = l.Hash, l.Attrs, l.Version
	}
	row.Features[x.Feature] = now
}

// Provisioning returns the writes for an object of the tenant without a known end, in order of their ids.
func (s *State) Provisioning(cloudID string) (out []Delivered) {
	for _, d := range s.Deliveries {
		if d.Provisioned != nil && d.CloudID == cloudID {
			out = append(out, *d)
		}
	}
	slices.SortFunc(out, func(a, b Delivered) int { return strings.Compare(a.ID, b.ID) })
	return out
}

// Changing reports whether a write for any object of the tenant to an existing object of a directory has no known end. The account of a leaver may be
// another's by then [its new link had no answer, the leaver came back, and its values were written over those of the account's new owner].
func (s *State) Changing(o scoping.ObjectID) bool {
	for _, d := range s.Deliveries {
		if d.Provisioned != nil && d.Object == o && !o.GUID.IsZero() {
			return true
		}
	}
	return false
}

// Reserved returns the object of the tenant that an attribute's value is reserved for in a directory, by a write that has not ended; "": it is free.
func (s *State) Reserved(directory, attribute, value string) string {
	for _, d := range s.Deliveries {
		if d.Provisioned == nil || d.Object.Directory != directory {
			continue
		}
		for _, set := range d.Provisioned.Set {
			if strings.EqualFold(set.Attribute, attribute) && slices.ContainsFunc(set.To, func(v string) bool { return strings.EqualFold(v, value) }) {
				return d.CloudID
			}
		}
	}
	return ""
}

// CloudRows returns the objects of directories that were made of objects of the tenant, in order.
func (s *State) CloudRows() (out []scoping.ObjectID) {
	for o, r := range s.Rows.All() {
		if r.Cloud != 0 {
			out = append(out, o)
		}
	}
	slices.SortFunc(out, scoping.ObjectID.Compare)
	return out
}
