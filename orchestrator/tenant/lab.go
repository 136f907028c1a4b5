package tenant

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
)

// The doors of the lab's tenant: what Microsoft's engines write through interfaces of their own, for which public Graph has no call.
const (
	DoorContacts    = "contacts"
	DoorCredentials = "credentials" // password hashes
	DoorWriteback   = "writeback"   // password changes that people make in the tenant
)

// ErrNoDoor means that the tenant does not have what was asked of it, since it is none of the lab's.
var ErrNoDoor = errors.New("public Graph has no call for this")

// doors remembers what the tenant answered when it was asked for its doors.
type doors struct {
	mu    sync.Mutex
	known bool
	names []string
}

// publicGraphs are the hosts of Microsoft's clouds (https://learn.microsoft.com/graph/deployments), which have no doors and are not asked.
var publicGraphs = map[string]bool{
	"graph.microsoft.com": true, "graph.microsoft.us": true, "dod-graph.microsoft.us": true, "microsoftgraph.chinacloudapi.cn": true,
}

// Door reports whether the tenant has a door: only the lab's has any. It is asked once, at an address that is none of Graph's; whatever a real tenant answers there
// says that it has none. An error says that no answer came, and nothing is remembered of it.
func (c *Client) Door(ctx context.Context, name string) (bool, error) {
	if u, err := url.Parse(c.config.Endpoint); err == nil && publicGraphs[u.Hostname()] {
		return false, nil
	}
	c.doors.mu.Lock()
	defer c.doors.mu.Unlock()
	if !c.doors.known {
		var said struct {
			Doors []string `json:"doors"`
		}
		err := c.glance().get(ctx, "ask the tenant for doors beside Graph", "", c.labPath("/"), &said)
		if err != nil && !isNoDoor(err) {
			return false, err
		}
		c.doors.known, c.doors.names = true, said.Doors
	}
	return slices.Contains(c.doors.names, name), nil
}

// isNoDoor reports whether an answer says that there is nothing at the lab's address: Graph takes it for a version that it does not have, and what answers instead of
// Graph need not speak JSON.
func isNoDoor(err error) bool {
	var e *GraphError
	if !errors.As(err, &e) {
		return false
	}
	return errors.Is(err, ErrGarbage) || e.HTTP >= 400 && e.HTTP < 500 && e.HTTP != http.StatusUnauthorized && e.HTTP != http.StatusTooManyRequests && e.HTTP != http.StatusRequestTimeout
}

// open returns nil if the tenant has a door, and else why nothing can be asked there.
func (c *Client) open(ctx context.Context, name string) error {
	has, err := c.Door(ctx, name)
	if err == nil && !has {
		err = ErrNoDoor
	}
	return err
}

// labPath is an address at the lab's door.
func (c *Client) labPath(path string) string { return c.config.Endpoint + "/lab" + path }

// readAnchors gives contacts their source anchors, which Graph does not show. anchors has those that are known, by id; they are read anew if one is missing.
func (c *Client) readAnchors(ctx context.Context, anchors map[string]string, contacts []cloud.Upsert) error {
	if slices.ContainsFunc(contacts, func(u cloud.Upsert) bool { _, known := anchors[u.ID]; return !known }) {
		err := list(ctx, c.patient(), "read the anchors of contacts", "", c.labPath("/contacts"), func(r raw) { anchors[r.text("id")] = r.text(cloud.SourceAnchor) })
		if err != nil {
			return err
		}
	}
	for _, u := range contacts {
		if a := anchors[u.ID]; a != "" {
			u.Values[cloud.SourceAnchor] = []string{a}
		}
	}
	return nil
}
