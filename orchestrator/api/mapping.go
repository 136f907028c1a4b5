package api

import (
	"context"

	"github.com/tandem-sync/tandem/scoping"
)

// TenantSource is an object of the tenant by its last reading, on which a mapping can be tried.
type TenantSource struct {
	ID     string              `json:"id"`
	Kind   scoping.Kind        `json:"kind"`
	Values map[string][]string `json:"values"` // by Graph's names
}

// mappingSource returns the values of one of the tenant's objects.
func mappingSource(_ context.Context, c *call, q RefRequest) (any, Outcome, error) {
	o, err := c.h.o.Host().InTenant(q.Ref)
	if err != nil {
		return nil, Outcome{}, err
	}
	return TenantSource{ID: o.ID, Kind: o.Kind, Values: o.Values}, Outcome{}, nil
}
