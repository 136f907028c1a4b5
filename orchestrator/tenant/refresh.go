package tenant

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// refreshed returns the kinds that a refresh reads, in order: groups refer to the others. Contacts are read only if they can be written, since nothing else needs them and
// reading them takes a permission of its own.
func (c *Client) refreshed(ctx context.Context) ([]scoping.Kind, error) {
	contacts, err := c.Door(ctx, DoorContacts)
	if err != nil || !contacts {
		return []scoping.Kind{scoping.User, scoping.Group}, err
	}
	return []scoping.Kind{scoping.User, scoping.Contact, scoping.Group}, nil
}

// A full reading counts as an outage, not as a change, if the cache has more than outageFloor objects of the kind and the tenant shows fewer than one in outageShare of them
// (rule D2).
const (
	outageFloor = 20
	outageShare = 10
)

// Refresh brings the cache up to date by delta. It reads everything where there is no delta link, or the tenant has forgotten the link, which it keeps for seven days. Data and
// links are committed together; on an error nothing is. now is the time at which the refresh begins. It returns the ids of objects that others changed, see Cache.Commit.
func (c *Client) Refresh(ctx context.Context, cache *cloud.Cache, now time.Time) (changed []string, err error) {
	r := cloud.Refresh{Began: now, Tokens: map[string]string{}}
	tracked := cache.Tracked()
	c.extensions.Store(&tracked)
	kinds, err := c.refreshed(ctx)
	if err != nil {
		return nil, err
	}
	for _, kind := range kinds {
		removed, full, err := c.round(ctx, cache, kind, &r)
		if err != nil {
			return nil, err
		}
		if !removed && !full || !cloud.Restore.Takes(kind) {
			continue
		}
		// Delta does not contain the values of deleted objects.
		deleted, err := c.patient().objects(ctx, kind, true, c.deletedPath(kind)+"&$top=999")
		if err != nil {
			return nil, err
		}
		r.Deleted = append(r.Deleted, deleted...)
	}
	return cache.Commit(r), nil
}

// round reads one delta round of a kind into r. It reports whether anything was removed, and whether the round read everything.
func (c *Client) round(ctx context.Context, cache *cloud.Cache, kind scoping.Kind, r *cloud.Refresh) (removed, full bool, err error) {
	name := collection(kind)[1:]
	if kind == scoping.User && len(c.registered()) > 0 { // a link tracks only the properties of its first round, so another selection has another link
		name += "+" + strings.Join(c.registered(), "+")
	}
	link := cache.Token(name)
	pages, next, err := c.delta(ctx, kind, link)
	if link != "" && forgotten(err) {
		c.log.Info("the tenant forgot the delta link; reading everything", "kind", kind)
		link = ""
		pages, next, err = c.delta(ctx, kind, "")
	}
	if err != nil {
		return false, false, err
	}
	full = link == ""
	if full {
		if err := plausible(kind, pages, cache.Count(kind)); err != nil {
			return false, false, err
		}
		r.Full = append(r.Full, kind)
	}
	for _, p := range pages {
		removed = removed || len(p.Removed) > 0
	}
	r.Pages, r.Tokens[name] = append(r.Pages, pages...), next
	return removed, full, nil
}

// forgotten reports whether the tenant no longer knows the delta link (https://learn.microsoft.com/graph/delta-query-overview).
func forgotten(err error) bool {
	var e *GraphError
	if !errors.As(err, &e) {
		return false
	}
	return e.HTTP == http.StatusGone || e.HTTP >= 400 && e.HTTP < 500 && (e.Code == "syncStateNotFound" || e.Code == "resyncRequired")
}

func plausible(kind scoping.Kind, pages []cloud.Page, known int) error {
	seen := map[string]bool{}
	for _, p := range pages {
		for _, u := range p.Upserts {
			seen[u.ID] = true
		}
	}
	if known > outageFloor && len(seen) < known/outageShare {
		return &GraphError{
			Op: "read all " + string(kind) + "s of the tenant", Kind: ErrOutage,
			Message: fmt.Sprintf("%d came back where %d were known; nothing was taken over", len(seen), known),
			Hint:    "see whether the application still may read all " + string(kind) + "s; if they are truly gone, rebuild the tenant's index",
		}
	}
	return nil
}

// deltaPage is one answer of a delta query.
type deltaPage struct {
	Value []raw  `json:"value"`
	Next  string `json:"@odata.nextLink"`
	Delta string `json:"@odata.deltaLink"`
}

// delta reads a round to its end, from a link or, without one, everything. It returns the link for the next round.
func (c *Client) delta(ctx context.Context, kind scoping.Kind, link string) (pages []cloud.Page, next string, err error) {
	byPage := c.noManager.Load() && kind == scoping.User
	path := linkOr(link, c.firstRound(kind, byPage))
	op := "read the changes of all " + string(kind) + "s"
	anchors := map[string]string{} // of contacts
	for {
		var d deltaPage
		err := c.patient().get(ctx, op, permissionOf(kind), path, &d)
		if link == "" && len(pages) == 0 && kind == scoping.User && !byPage && refusesManager(err) {
			c.noManager.Store(true)
			return c.delta(ctx, kind, "")
		}
		if err != nil {
			return nil, "", err
		}
		page, err := pageOf(kind, d.Value)
		if err != nil {
			return nil, "", err
		}
		if byPage {
			if err := c.readManagers(ctx, page.Upserts); err != nil {
				return nil, "", err
			}
		}
		if kind == scoping.Contact {
			if err := c.readAnchors(ctx, anchors, page.Upserts); err != nil {
				return nil, "", err
			}
		}
		page.Pack()
		pages = append(pages, page)
		if d.Delta != "" {
			return pages, d.Delta, nil
		}
		if d.Next == "" {
			return nil, "", &GraphError{Op: op, Kind: ErrGarbage, Message: "a page has neither a next link nor a delta link"}
		}
		path = d.Next
	}
}

func linkOr(link, first string) string {
	if link != "" {
		return link
	}
	return first
}

func (c *Client) firstRound(kind scoping.Kind, withoutManager bool) string {
	var extra []string
	switch {
	case kind == scoping.Group:
		extra = []string{"members"}
	case !withoutManager:
		extra = []string{cloud.Manager}
	}
	return collection(kind) + "/delta?$select=" + c.selection(kind, extra...)
}

// refusesManager reports whether the tenant refuses to track managers by delta.
func refusesManager(err error) bool {
	var e *GraphError
	return errors.As(err, &e) && (e.HTTP == http.StatusBadRequest || e.HTTP == http.StatusNotImplemented) && contains(e.Message, cloud.Manager)
}

// pageOf converts the objects of a page. If an object occurs several times, its last occurrence decides whether it is removed: upserts before a removal are dropped, and so is
// a removal before an upsert.
func pageOf(kind scoping.Kind, objects []raw) (cloud.Page, error) {
	var p cloud.Page
	for _, o := range objects {
		id := o.text("id")
		if id == "" {
			return p, &GraphError{Op: "read the changes of all " + string(kind) + "s", Kind: ErrGarbage, Message: "an object without id"}
		}
		if reason, removed := o.removed(); removed {
			p.Upserts = slices.DeleteFunc(p.Upserts, func(u cloud.Upsert) bool { return u.ID == id })
			p.Removed = append(p.Removed, cloud.Removal{ID: id, Kind: kind, Hard: reason == "deleted"})
			continue
		}
		p.Removed = slices.DeleteFunc(p.Removed, func(r cloud.Removal) bool { return r.ID == id })
		u, err := o.upsert(kind, id)
		if err != nil {
			return p, err
		}
		p.Upserts = append(p.Upserts, u)
	}
	return p, nil
}

func (r raw) removed() (reason string, ok bool) {
	x, ok := r["@removed"]
	if !ok {
		return "", false
	}
	var why raw
	_ = unmarshal(x, &why) // without a reason the removal counts as soft
	return why.text("reason"), true
}

func (r raw) upsert(kind scoping.Kind, id string) (cloud.Upsert, error) {
	values, err := r.values(kind)
	if err != nil {
		return cloud.Upsert{}, &GraphError{Op: "read " + string(kind) + " " + id, Kind: ErrGarbage, Message: err.Error(), Err: err}
	}
	u := cloud.Upsert{ID: id, Kind: kind, Values: values, Synced: r.flag("onPremisesSyncEnabled"), Mailed: r.flag(attribute.MailEnabled),
		Role: r.flag("isAssignableToRole")}
	if v, said := values["userType"]; said {
		guest := len(v) == 1 && v[0] == "Guest"
		u.Guest = &guest
	}
	if err := r.managerInto(&u); err != nil {
		return u, err
	}
	return u, r.membersInto(&u)
}

// managerInto reads the manager, which delta shows as entries that were added and removed, or as the object itself.
func (r raw) managerInto(u *cloud.Upsert) error {
	if x, said := r["manager@delta"]; said {
		come, gone, err := references(x)
		if err != nil {
			return badReferences(u.ID, err)
		}
		manager := ""
		if len(come) > 0 {
			manager = come[len(come)-1]
		}
		if len(come)+len(gone) > 0 {
			u.Manager = &manager
		}
	} else if x, said := r[cloud.Manager]; said {
		var m raw
		_ = unmarshal(x, &m) // null: none
		id := m.text("id")
		u.Manager = &id
	}
	return nil
}

func (r raw) membersInto(u *cloud.Upsert) error {
	x, said := r["members@delta"]
	if !said {
		return nil
	}
	var err error
	if u.AddMembers, u.RemoveMembers, err = references(x); err != nil {
		return badReferences(u.ID, err)
	}
	return nil
}

func badReferences(id string, err error) error {
	return &GraphError{Op: "read the references of " + id, Kind: ErrGarbage, Message: err.Error(), Err: err}
}

// references reads the entries of a navigation in delta. Of several for one id the last counts.
func references(x []byte) (come, gone []string, err error) {
	var entries []raw
	if err := unmarshal(x, &entries); err != nil {
		return nil, nil, err
	}
	there := map[string]bool{}
	var order []string
	for _, e := range entries {
		id := e.text("id")
		if id == "" {
			return nil, nil, errors.New("a reference without id")
		}
		if _, seen := there[id]; !seen {
			order = append(order, id)
		}
		_, removed := e.removed()
		there[id] = !removed
	}
	for _, id := range order {
		if there[id] {
			come = append(come, id)
		} else {
			gone = append(gone, id)
		}
	}
	return come, gone, nil
}

// readManagers reads the managers of a page's users one by one, in batches. It is used where the tenant does not track managers by delta.
func (c *Client) readManagers(ctx context.Context, users []cloud.Upsert) error {
	for start := 0; start < len(users); start += maxBatch {
		some := users[start:min(start+maxBatch, len(users))]
		parts := make([]part, len(some))
		for i, u := range some {
			parts[i] = part{ID: strconv.Itoa(i), Method: "GET", URL: "/users/" + url.PathEscape(u.ID) + "/manager?$select=id"}
		}
		err := c.readParts(ctx, "read managers", parts, func(i int, a partAnswer) error {
			id := ""
			if a.Status == http.StatusOK {
				id = idOf(a.Body)
			}
			some[i].Manager = &id
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
