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

// The doors of the lab's tenant. Microsoft's engines use private interfaces for this; public Graph has no call.
const (
	DoorContacts    = "contacts"
	DoorCredentials = "credentials" // password hashes
	DoorWriteback   = "writeback"   // password changes that people make in the tenant
)

// ErrNoDoor means that the tenant does not have the door: it is not the lab's.
var ErrNoDoor = errors.New("public Graph has no call for this")

// doors remembers the tenant's answer to the question for its doors.
type doors struct {
	mu    sync.Mutex
	known bool
	names []string
}

// publicGraphs are the hosts of Microsoft's clouds (https://learn.microsoft.com/graph/deployments). They have no doors and are not asked.
var publicGraphs = map[string]bool{
	"graph.microsoft.com": true, "graph.microsoft.us": true, "dod-graph.microsoft.us": true, "microsoftgraph.chinacloudapi.cn": true,
}

// Door reports whether the tenant has a door, which only the lab's can have. The tenant is asked once, at an address that Graph does not have, so a real tenant's answer means
// that it has none. An error means that no answer came; the next call asks again.
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

// isNoDoor reports whether an answer means that there is nothing at the lab's address. Graph refuses it as a version that it does not have, and a server that is not Graph
// need not answer JSON.
func isNoDoor(err error) bool {
	var e *GraphError
	if !errors.As(err, &e) {
		return false
	}
	return errors.Is(err, ErrGarbage) || e.HTTP >= 400 && e.HTTP < 500 && e.HTTP != http.StatusUnauthorized && e.HTTP != http.StatusTooManyRequests && e.HTTP != http.StatusRequestTimeout
}

// open returns nil if the tenant has the door, and otherwise why it cannot be used.
func (c *Client) open(ctx context.Context, name string) error {
	has, err := c.Door(ctx, name)
	if err == nil && !has {
		err = ErrNoDoor
	}
	return err
}

// labPath returns an address at the lab's doors.
func (c *Client) labPath(path string) string { return c.config.Endpoint + "/lab" + path }

// readAnchors sets the source anchors of contacts, which Graph does not show. anchors contains the known ones, by id; if one is missing, all are read anew.
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
