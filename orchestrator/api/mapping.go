package api

import (
	"context"

	"github.com/tandem-sync/tandem/scoping"
)

// TenantSource is an object of the tenant as it was read last, of which a mapping can be tried.
type TenantSource struct {
	ID     string              `json:"id"`
	Kind   scoping.Kind        `json:"kind"`
	Values map[string][]string `json:"values"` // by Graph's names
}

// mappingSource answers what the tenant holds of one of its objects.
func mappingSource(_ context.Context, c *call, q RefRequest) (any, Outcome, error) {
	o, err := c.h.o.Host().InTenant(q.Ref)
	if err != nil {
		return nil, Outcome{}, err
	}
	return TenantSource{ID: o.ID, Kind: o.Kind, Values: o.Values}, Outcome{}, nil
}
