package objects

import (
	"encoding/base64"
	"fmt"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// Deleted returns the deleted item of the tenant that belongs to an object: the linked one, else the one with its anchor. there reports that the
// tenant has a live one instead. why is the reason if there is neither.
func (v *View) Deleted(id scoping.ObjectID, k scoping.Kind, anchor string, row *ledger.Row) (back cloud.Object, there bool, why string) {
	if row != nil && row.CloudID != "" {
		o, shown := v.cache.Get(row.CloudID)
		switch {
		case !shown:
			return cloud.Object{ID: row.CloudID}, false, fmt.Sprintf("tenant object %s is in the tenant no more, nor in its deleted items: it was deleted for good, or the tenant's time for deleted items is over", row.CloudID)
		case !o.Deleted:
			return o, true, ""
		}
		return o, false, ""
	}
	if anchor == "" {
		return back, false, "it has no usable source anchor, by which a deleted object could be told"
	}
	if live := v.cache.ByAnchor(k, anchor); len(live) > 0 {
		return live[0], true, ""
	}
	switch found := v.cache.DeletedByAnchor(k, anchor); len(found) {
	case 0:
		return back, false, "the tenant's deleted items hold nothing with its source anchor: what was deleted for good, or never carried the anchor, cannot be brought back by it"
	case 1:
		return found[0], false, ""
	default:
		return back, false, fmt.Sprintf("%d deleted objects of the tenant carry its source anchor, %s and %s among them: delete those for good that are not meant", len(found), found[0].ID, found[1].ID)
	}
}

// OfDeleted returns the directory object that a deleted object of the tenant belongs to, by its anchor. Administrators name deleted items by the
// tenant's id.
func (v *View) OfDeleted(cloudID string) (id scoping.ObjectID, ok bool) {
	o, shown := v.cache.Get(cloudID)
	if !shown || !o.Deleted {
		return id, false
	}
	anchor := o.Anchor()
	if o.Kind == scoping.Group {
		raw, made := cloud.AnchorOf(o.Values.First(cloud.UniqueName))
		if !made {
			return id, false
		}
		anchor = base64.StdEncoding.EncodeToString(raw)
	}
	var found []scoping.ObjectID
	for _, n := range v.census.Names() {
		v.census.Tree(n, func(t *census.Tree) { found = append(found, t.Find(anchor)...) })
	}
	if found = distinct(found); anchor == "" || len(found) != 1 {
		return id, false
	}
	return found[0], true
}
