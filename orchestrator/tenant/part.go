package tenant

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// part is one request inside a $batch (https://learn.microsoft.com/graph/json-batching).
type part struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
}

// partOf makes the request of a write. An error means that the write can never be sent.
func (c *Client) partOf(w cloud.Write) (part, error) {
	if err := c.possible(w); err != nil {
		return part{}, err
	}
	object := collection(w.Kind) + "/" + url.PathEscape(w.CloudID)
	switch w.Op {
	case cloud.Create:
		return c.create(w)
	case cloud.Update:
		body, err := encodeValues(w.Kind, w.Set)
		if err == nil && len(body) == 0 {
			err = errors.New("an update without values")
		}
		return withBody("PATCH", object, body, err)
	case cloud.Delete:
		return part{Method: "DELETE", URL: object}, nil
	case cloud.Restore:
		return c.restore(w)
	case cloud.AddMembers:
		return withBody("PATCH", object, map[string]any{"members@odata.bind": c.references(w.Refs)}, nil)
	case cloud.RemoveMember:
		return part{Method: "DELETE", URL: object + "/members/" + url.PathEscape(w.Refs[0]) + "/$ref"}, nil
	case cloud.SetManager:
		return withBody("PUT", object+"/manager/$ref", map[string]any{"@odata.id": c.references(w.Refs)[0]}, nil)
	case cloud.ClearManager:
		return part{Method: "DELETE", URL: object + "/manager/$ref"}, nil
	}
	return part{}, fmt.Errorf("unknown operation %q", w.Op)
}

// possible checks what every write of its operation needs.
func (c *Client) possible(w cloud.Write) error {
	if w.Kind != scoping.User && w.Kind != scoping.Group {
		return fmt.Errorf("public Graph cannot write a %s", w.Kind)
	}
	if (w.Op == cloud.Create) != (w.CloudID == "") {
		return fmt.Errorf("%s with cloud id %q", w.Op, w.CloudID)
	}
	refs := len(w.Refs)
	switch w.Op {
	case cloud.AddMembers:
		if w.Kind != scoping.Group || refs == 0 || refs > cloud.MaxMembers {
			return fmt.Errorf("%d members for a %s: 1 to %d fit into a request", refs, w.Kind, cloud.MaxMembers)
		}
	case cloud.RemoveMember:
		if w.Kind != scoping.Group || refs != 1 {
			return fmt.Errorf("removing %d members from a %s: it is one from a group", refs, w.Kind)
		}
	case cloud.SetManager, cloud.ClearManager:
		if w.Kind != scoping.User || (refs == 1) != (w.Op == cloud.SetManager) || refs > 1 {
			return fmt.Errorf("%s of a %s with %d references", w.Op, w.Kind, refs)
		}
	}
	for _, id := range w.Refs {
		if id == "" {
			return errors.New("a reference without id")
		}
	}
	return nil
}

func collection(kind scoping.Kind) string {
	switch kind {
	case scoping.User:
		return "/users"
	case scoping.Contact:
		return "/contacts"
	}
	return "/groups"
}

func (c *Client) references(ids []string) []string {
	out := make([]string, len(ids))
	for i, id := range ids {
		out[i] = c.base + "/directoryObjects/" + url.PathEscape(id)
	}
	return out
}

func withBody(method, path string, body map[string]any, err error) (part, error) {
	if err != nil {
		return part{}, err
	}
	b, err := json.Marshal(body)
	return part{Method: method, URL: path, Headers: map[string]string{"Content-Type": "application/json"}, Body: b}, err
}

// create is idempotent under a key that the tenant enforces (rule J3).
func (c *Client) create(w cloud.Write) (part, error) {
	body, err := encodeValues(w.Kind, w.Set)
	if err != nil {
		return part{}, err
	}
	if w.Kind == scoping.Group {
		return createGroup(w, body)
	}
	if w.Anchor == "" {
		return part{}, errors.New("a user without anchor: a second attempt would make a second user")
	}
	body[cloud.ImmutableID] = w.Anchor
	// Nobody ever knows this password. Demanding a change at the next sign-in would outlive a password hash that is synchronized
	// later, and bar the user.
	body["passwordProfile"] = map[string]any{"password": newPassword(), "forceChangePasswordNextSignIn": false}
	return withBody("POST", "/users", body, nil)
}

// newPassword makes a password of 32 random base32 characters, with the four classes of characters that Entra wants three of.
func newPassword() string { return "aA1!" + rand.Text() + rand.Text()[:6] }

// createGroup is an upsert: https://learn.microsoft.com/graph/api/group-upsert. Only security groups are made (rule J4).
func createGroup(w cloud.Write, body map[string]any) (part, error) {
	if w.Key == "" {
		return part{}, errors.New("a group without uniqueName: a second attempt would make a second group")
	}
	if body["mailEnabled"] == true {
		return part{}, errors.New("public Graph cannot create mail-enabled groups")
	}
	delete(body, cloud.UniqueName) // it is in the address
	body["mailEnabled"] = false
	if _, said := body["securityEnabled"]; !said {
		body["securityEnabled"] = true
	}
	p, err := withBody("PATCH", "/groups("+keyed(cloud.UniqueName, w.Key)+")", body, nil)
	if err == nil {
		p.Headers["Prefer"] = "create-if-missing"
	}
	return p, err
}

// keyed writes an alternate key of an address.
func keyed(name, value string) string {
	return name + "='" + url.PathEscape(strings.ReplaceAll(value, "'", "''")) + "'"
}

// restore brings an object back from the deleted items: https://learn.microsoft.com/graph/api/directory-deleteditems-restore.
func (c *Client) restore(w cloud.Write) (part, error) {
	body := map[string]any{}
	for name := range w.Set {
		if name != cloud.UPN || w.Kind != scoping.User {
			return part{}, fmt.Errorf("%s cannot be set while restoring a %s; update it afterwards", name, w.Kind)
		}
		body["newUserPrincipalName"] = w.Set.First(cloud.UPN)
	}
	return withBody("POST", "/directory/deletedItems/"+url.PathEscape(w.CloudID)+"/restore", body, nil)
}
