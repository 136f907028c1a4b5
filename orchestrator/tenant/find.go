package tenant

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

func unmarshal(b []byte, out any) error { return json.Unmarshal(b, out) }

// Find reads objects directly from the tenant, with members and manager. An empty result is no error, and proves nothing before the
// tenant's delay has passed (rule V2). Deleted users are shown without manager, and deleted groups without members.
func (c *Client) Find(ctx context.Context, key cloud.Key) ([]cloud.Object, error) {
	objects, err := c.patient().find(ctx, key)
	if err != nil {
		return nil, err
	}
	for i := range objects {
		if o := &objects[i]; o.Kind == scoping.Group && !o.Deleted {
			if o.Members, err = c.members(ctx, o.ID); err != nil {
				return nil, err
			}
		}
	}
	return objects, nil
}

// find is Find without the members of groups.
func (c reader) find(ctx context.Context, key cloud.Key) ([]cloud.Object, error) {
	switch key.Kind {
	case scoping.User, scoping.Group:
	case scoping.Contact:
		return c.findContact(ctx, key)
	default:
		return nil, fmt.Errorf("find a %s: the tenant client finds users, groups and contacts", key.Kind)
	}
	if key.Kind == scoping.Group && key.Anchor != "" {
		anchor, err := base64.StdEncoding.DecodeString(key.Anchor)
		if err != nil {
			return nil, fmt.Errorf("find group by anchor: %w", err)
		}
		key.UniqueName = cloud.UniqueNameOf(anchor)
	}
	switch {
	case key.Deleted:
		return c.findDeleted(ctx, key)
	case key.ID != "":
		return c.one(ctx, key.Kind, false, collection(key.Kind)+"/"+url.PathEscape(key.ID))
	case key.UniqueName != "" && key.Kind == scoping.Group:
		return c.one(ctx, key.Kind, false, "/groups("+keyed(cloud.UniqueName, key.UniqueName)+")")
	case key.Anchor != "":
		return c.filtered(ctx, key.Kind, cloud.ImmutableID, key.Anchor)
	case key.UPN != "" && key.Kind == scoping.User:
		return c.filtered(ctx, key.Kind, cloud.UPN, key.UPN)
	}
	return nil, fmt.Errorf("find a %s: no key is set that it has", key.Kind)
}

// findContact finds a contact at the lab's door, since Graph does not show its anchor. There are no deleted contacts.
func (c reader) findContact(ctx context.Context, key cloud.Key) ([]cloud.Object, error) {
	switch {
	case key.Deleted:
		return nil, nil
	case key.ID != "":
		return c.one(ctx, key.Kind, false, c.labPath("/contacts/"+url.PathEscape(key.ID)))
	case key.Anchor != "":
		return c.objects(ctx, key.Kind, false, c.labPath("/contacts?"+cloud.SourceAnchor+"="+url.QueryEscape(key.Anchor)))
	}
	return nil, fmt.Errorf("find a %s: no key is set that it has", key.Kind)
}

// query returns the query for reading whole objects.
func (c *Client) query(kind scoping.Kind, deleted bool) string {
	q := "$select=" + c.selection(kind)
	if kind == scoping.User && !deleted {
		q += "&$expand=manager($select=id)"
	}
	return q
}

func permissionOf(kind scoping.Kind) string {
	switch kind {
	case scoping.User:
		return permUser
	case scoping.Contact:
		return permContact
	}
	return permGroup
}

// one reads an object by its address; after a 404 the result is empty.
func (c reader) one(ctx context.Context, kind scoping.Kind, deleted bool, path string) ([]cloud.Object, error) {
	var r raw
	err := c.get(ctx, "read "+path, permissionOf(kind), path+"?"+c.query(kind, deleted), &r)
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	o, err := r.object(kind, deleted)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return []cloud.Object{o}, nil
}

// filtered reads the objects whose property has a value; deleted ones are not among them.
func (c reader) filtered(ctx context.Context, kind scoping.Kind, name, value string) ([]cloud.Object, error) {
	return c.objects(ctx, kind, false, collection(kind)+"?"+c.query(kind, false)+"&$filter="+equals(name, value))
}

func equals(name, value string) string {
	return url.QueryEscape(name + " eq '" + strings.ReplaceAll(value, "'", "''") + "'")
}

// objects reads a collection of whole objects.
func (c reader) objects(ctx context.Context, kind scoping.Kind, deleted bool, path string) ([]cloud.Object, error) {
	var out []cloud.Object
	var bad error
	op := "read " + strings.SplitN(path, "?", 2)[0]
	err := list(ctx, c, op, permissionOf(kind), path, func(r raw) {
		o, err := r.object(kind, deleted)
		out, bad = append(out, o), errors.Join(bad, err)
	})
	if err = errors.Join(err, bad); err != nil {
		return nil, err
	}
	return out, nil
}

func (c *Client) deletedPath(kind scoping.Kind) string {
	return "/directory/deletedItems/microsoft.graph." + string(kind) + "?" + c.query(kind, true)
}

// findDeleted searches the deleted items: by a filter, or, if Graph refuses the filter, through all of them. Microsoft does not document by which properties Graph filters there.
// The tenant puts the hexadecimal digits of the id before a deleted user's UPN.
func (c reader) findDeleted(ctx context.Context, key cloud.Key) ([]cloud.Object, error) {
	name, value := "id", key.ID
	switch {
	case key.UniqueName != "" && key.Kind == scoping.Group:
		name, value = cloud.UniqueName, key.UniqueName
	case key.Anchor != "":
		name, value = cloud.ImmutableID, key.Anchor
	case key.UPN != "" && key.Kind == scoping.User:
		name, value = cloud.UPN, key.UPN
	case key.ID == "":
		return nil, fmt.Errorf("find a deleted %s: no key is set that it has", key.Kind)
	}
	if name != cloud.UPN {
		found, err := c.objects(ctx, key.Kind, true, c.deletedPath(key.Kind)+"&$filter="+equals(name, value))
		var refused *GraphError
		if err == nil || !errors.As(err, &refused) || refused.HTTP != http.StatusBadRequest {
			return found, err
		}
	}
	all, err := c.objects(ctx, key.Kind, true, c.deletedPath(key.Kind))
	return slices.DeleteFunc(all, func(o cloud.Object) bool {
		switch name {
		case "id":
			return o.ID != value
		case cloud.UPN:
			upn := o.Values.First(cloud.UPN)
			return !strings.EqualFold(upn, value) && !strings.EqualFold(upn, strings.ReplaceAll(o.ID, "-", "")+value)
		}
		return o.Values.First(name) != value
	}), err
}

func (c *Client) members(ctx context.Context, group string) ([]string, error) {
	var ids []string
	path := "/groups/" + url.PathEscape(group) + "/members?$select=id&$top=999"
	err := list(ctx, c.patient(), "read the members of group "+group, permMember, path, func(r raw) { ids = append(ids, r.text("id")) })
	if errors.Is(err, ErrNotFound) {
		return nil, nil // the group was deleted after it was read
	}
	slices.Sort(ids)
	return slices.Compact(ids), err
}

// object converts a whole object of Graph.
func (r raw) object(kind scoping.Kind, deleted bool) (cloud.Object, error) {
	id := r.text("id")
	if id == "" {
		return cloud.Object{}, &GraphError{Op: "read a " + string(kind), Kind: ErrGarbage, Message: "an object without id"}
	}
	values, err := r.values(kind)
	if err != nil {
		return cloud.Object{}, &GraphError{Op: "read " + string(kind) + " " + id, Kind: ErrGarbage, Message: err.Error(), Err: err}
	}
	for name, v := range values {
		if len(v) == 0 {
			delete(values, name)
		}
	}
	o := cloud.Object{ID: id, Kind: kind, Values: values, Deleted: deleted, Synced: isTrue(r.flag("onPremisesSyncEnabled")),
		Guest: values.First("userType") == "Guest", Mailed: isTrue(r.flag(attribute.MailEnabled)), Role: isTrue(r.flag("isAssignableToRole"))}
	var manager raw
	if unmarshal(r["manager"], &manager) == nil {
		o.Manager = manager.text("id")
	}
	return o, nil
}

func isTrue(b *bool) bool { return b != nil && *b }
