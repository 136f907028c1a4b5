package simulation

import (
	"github.com/tandem-sync/tandem/scoping"
)

// othersLink is a membership that somebody else wrote in the tenant.
type othersLink struct{ group, end string }

// linkedByOthers notes that somebody else makes an account a member of a group, unless the directory says so too or Tandem wrote it before: it has to stay
// (rule D3) until the directory says something about it.
func (w *world) linkedByOthers(group *account, end string) {
	if group.truth().HasMember(end) {
		return
	}
	if row, ok := w.book.scratch.ByCloud(group.id); ok && row.Links != nil && row.Links.Has(end) {
		return
	}
	if w.others == nil {
		w.others = map[othersLink]uint64{}
	}
	w.others[othersLink{group.id, end}] = w.dir.now.usn
}

// wroteOthers reports whether others wrote a membership. It may be there at rest: the directory may have had it for so short a while that no run saw it.
func (w *world) wroteOthers(group, end string) bool {
	_, ok := w.others[othersLink{group, end}]
	return ok
}

// byOthers reports whether a membership is one that only others wrote: the directory said nothing about it since.
func (w *world) byOthers(group, end string) bool {
	since, ok := w.others[othersLink{group, end}]
	if !ok {
		return false
	}
	e, x := w.entryOf(group), w.entryOf(end)
	return e == nil || x == nil || !e.members[x.guid] && e.changed[x.guid] <= since
}

// entryOf gives the directory object of an account, as the ledger links it.
func (w *world) entryOf(id string) *entry {
	row, ok := w.book.scratch.ByCloud(id)
	if !ok || row.Object.GUID == (scoping.GUID{}) {
		return nil
	}
	return w.dir.now.objects[row.Object.GUID]
}
