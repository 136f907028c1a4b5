package simulation

import (
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// othersLink is a membership that others wrote in the tenant.
type othersLink struct{ group, end string }

// byHand is what is known of a membership that others wrote: as of which change of the directory, and whether it has to stay (rule D3). Where the log has it
// as Tandem's, a removal may be done and not yet in the log: then it may stay.
type byHand struct {
	since uint64
	stays bool
}

// linkedByOthers notes that others make an account a member of a group that it is not in.
func (w *world) linkedByOthers(group *account, end string) {
	if group.truth().HasMember(end) {
		return
	}
	if w.others == nil {
		w.others = map[othersLink]byHand{}
	}
	row, ok := w.book.scratch.ByCloud(group.id)
	w.others[othersLink{group.id, end}] = byHand{w.dir.now.usn, (!ok || row.Links == nil || !row.Links.Has(end)) && !w.adding(group.id, end)}
}

// adding reports whether Tandem sent a request for a membership of which it does not know yet what came of it: then it is Tandem's as well.
func (w *world) adding(group, end string) bool {
	for _, o := range w.book.scratch.Intents {
		if x := o.Record.Intent.Write; x.Op == cloud.AddMembers && x.CloudID == group && slices.Contains(x.Refs, end) {
			return true
		}
	}
	return false
}

// wroteOthers reports whether others wrote a membership. It may be there at rest: the directory may have had it for so short a while that no run saw it.
func (w *world) wroteOthers(group, end string) bool {
	_, ok := w.others[othersLink{group, end}]
	return ok
}

// byOthers reports whether a membership is one that only others wrote, which has to stay: the directory said nothing about it since.
func (w *world) byOthers(group, end string) bool {
	link, ok := w.others[othersLink{group, end}]
	if !ok || !link.stays {
		return false
	}
	e, x := w.entryOf(group), w.entryOf(end)
	return e == nil || x == nil || !e.members[x.guid] && e.changed[x.guid] <= link.since
}

// entryOf returns the directory object of an account, as the ledger links it; nil: there is none.
func (w *world) entryOf(id string) *entry {
	row, ok := w.book.scratch.ByCloud(id)
	if !ok || row.Object.GUID == (scoping.GUID{}) {
		return nil
	}
	return w.dir.now.objects[row.Object.GUID]
}
