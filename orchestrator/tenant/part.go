package tenant

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/attribute"
)

// part is one request inside a $batch (https://learn.microsoft.com/graph/json-batching).
type part struct {
	ID      string            `json:"id"`
	Method  string            `json:"method"`
	URL     string            `json:"url"`
	Headers map[string]string `json:"headers,omitempty"`
	Body    json.RawMessage   `json:"body,omitempty"`
	lab     bool              // it goes into a batch at the lab's door, not at Graph's
}

// partOf returns the request of a write. An error means that the write can never be sent.
func (c *Client) partOf(w cloud.Write) (part, error) {
	if err := w.Valid(); err != nil {
		return part{}, err
	}
	p, err := c.requestOf(w)
	p.lab = w.Kind == scoping.Contact
	return p, err
}

func (c *Client) requestOf(w cloud.Write) (part, error) {
	object := collection(w.Kind) + "/" + url.PathEscape(w.CloudID)
	switch w.Op {
	case cloud.Create:
		return c.create(w)
	case cloud.Update:
		return withBody("PATCH", object, encodeValues(w.Kind, w.Set))
	case cloud.Delete:
		return part{Method: "DELETE", URL: object}, nil
	case cloud.Restore:
		return c.restore(w)
	case cloud.AddMembers:
		return withBody("PATCH", object, map[string]any{"members@odata.bind": c.references(w.Refs)})
	case cloud.RemoveMember:
		return part{Method: "DELETE", URL: object + "/members/" + url.PathEscape(w.Refs[0]) + "/$ref"}, nil
	case cloud.SetManager:
		return withBody("PUT", object+"/manager/$ref", map[string]any{"@odata.id": c.references(w.Refs)[0]})
	case cloud.ClearManager:
		return part{Method: "DELETE", URL: object + "/manager/$ref"}, nil
	}
	return part{}, fmt.Errorf("unknown operation %q", w.Op)
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

func withBody(method, path string, body map[string]any) (part, error) {
	b, err := json.Marshal(body)
	return part{Method: method, URL: path, Headers: map[string]string{"Content-Type": "application/json"}, Body: b}, err
}

// create is idempotent under a key that the tenant enforces (rule J3).
func (c *Client) create(w cloud.Write) (part, error) {
	body := encodeValues(w.Kind, w.Set)
	switch w.Kind {
	case scoping.Group:
		return createGroup(w, body)
	case scoping.Contact:
		body[cloud.SourceAnchor] = w.Anchor
		return withBody("POST", "/contacts", body)
	}
	body[cloud.ImmutableID] = w.Anchor
	// This password is not kept anywhere. A demand to change it at the next sign-in would outlive a password hash that is synchronized later, and lock the user out.
	body["passwordProfile"] = map[string]any{"password": newPassword(), "forceChangePasswordNextSignIn": false}
	return withBody("POST", "/users", body)
}

// newPassword returns a password of 32 random base32 characters after one of each class of characters; Entra requires three classes.
func newPassword() string { return "aA1!" + rand.Text() + rand.Text()[:6] }

// createGroup is an upsert: https://learn.microsoft.com/graph/api/group-upsert. Only security groups are made (rule J4).
func createGroup(w cloud.Write, body map[string]any) (part, error) {
	delete(body, cloud.UniqueName) // the address contains it
	body[attribute.MailEnabled] = false
	if _, said := body[attribute.SecurityEnabled]; !said {
		body[attribute.SecurityEnabled] = true
	}
	p, err := withBody("PATCH", "/groups("+keyed(cloud.UniqueName, w.Key)+")", body)
	if err == nil {
		p.Headers["Prefer"] = "create-if-missing"
	}
	return p, err
}

// keyed returns an alternate key for an address.
func keyed(name, value string) string {
	return name + "='" + url.PathEscape(strings.ReplaceAll(value, "'", "''")) + "'"
}

// restore restores a deleted item: https://learn.microsoft.com/graph/api/directory-deleteditems-restore.
func (c *Client) restore(w cloud.Write) (part, error) {
	body := map[string]any{}
	if upn := w.Set.First(cloud.UPN); upn != "" {
		body["newUserPrincipalName"] = upn
	}
	return withBody("POST", "/directory/deletedItems/"+url.PathEscape(w.CloudID)+"/restore", body)
}
