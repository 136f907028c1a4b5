package tenant

import (
	"context"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// followUp reads what a result needs and the answer does not contain: the id of a new object, the object that has a unique value, or whether an object that cannot be restored
// is restored already. It sends reads only, one attempt each.
func (c *Client) followUp(ctx context.Context, w cloud.Write, r *cloud.Result) {
	switch {
	case r.Status == cloud.Done && w.Op == cloud.Create && r.CloudID == "":
		if r.CloudID = c.idUnder(ctx, w); r.CloudID == "" {
			// The ledger needs the id. As a doubt, the object is read again after the tenant's delay.
			r.Status, r.Message = cloud.InDoubt, "created, but its id cannot be read yet"
		}
	case r.Conflict:
		r.CloudID = c.holder(ctx, w, r.Code)
	case r.Missing && w.Op == cloud.Restore:
		living, err := c.glance().find(ctx, cloud.Key{Kind: w.Kind, ID: w.CloudID})
		if err == nil && len(living) == 1 {
			r.Status, r.Missing, r.CloudID = cloud.Done, false, w.CloudID
		}
	}
}

// idUnder returns the id of a created object, which it finds by the create's key; empty: it is not shown yet.
func (c *Client) idUnder(ctx context.Context, w cloud.Write) string {
	key := cloud.Key{Kind: w.Kind, Anchor: w.Anchor}
	if w.Kind == scoping.Group {
		key = cloud.Key{Kind: w.Kind, UniqueName: w.Key}
	}
	return c.only(ctx, key)
}

// holder returns the object that has the value of a conflict; empty: Graph does not show it, as happens while it is new.
func (c *Client) holder(ctx context.Context, w cloud.Write, code string) string {
	blamed := func(name string) bool { return code == cloud.CodeConflict || code == cloud.CodeConflict+":"+name }
	anchor, upn := w.Anchor, w.Set.First(cloud.UPN)
	if w.Op == cloud.Update {
		anchor = w.Set.First(cloud.ImmutableID)
	}
	var keys []cloud.Key
	if w.Kind == scoping.User && anchor != "" && blamed(cloud.ImmutableID) {
		keys = append(keys, cloud.Key{Kind: w.Kind, Anchor: anchor}, cloud.Key{Kind: w.Kind, Anchor: anchor, Deleted: true})
	}
	if w.Kind == scoping.User && upn != "" && blamed(cloud.UPN) {
		keys = append(keys, cloud.Key{Kind: w.Kind, UPN: upn})
	}
	if w.Kind == scoping.Contact && anchor != "" && blamed(cloud.SourceAnchor) {
		keys = append(keys, cloud.Key{Kind: w.Kind, Anchor: anchor})
	}
	if w.Kind == scoping.Group && w.Key != "" && blamed(cloud.UniqueName) {
		keys = append(keys, cloud.Key{Kind: w.Kind, UniqueName: w.Key, Deleted: true})
	}
	for _, key := range keys {
		if id := c.only(ctx, key); id != "" && id != w.CloudID {
			return id
		}
	}
	return ""
}

func (c *Client) only(ctx context.Context, key cloud.Key) string {
	found, err := c.glance().find(ctx, key)
	if err != nil || len(found) != 1 {
		return ""
	}
	return found[0].ID
}
