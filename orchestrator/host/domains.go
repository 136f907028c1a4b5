package host

import (
	"context"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/scoping"
)

// followDomains puts the tenant's verified domains in force. Where they are others than those that the last writes went by, users are asked for again whose
// sign-in name they may change: no engine proposes them by itself, since nothing changed in the directory.
func (h *Host) followDomains(ctx context.Context, verified []string, initial string) error {
	now := make([]string, len(verified))
	for i, v := range verified {
		now[i] = lower(v)
	}
	slices.Sort(now)
	c, err := h.control.View(ctx)
	if err != nil {
		return err
	}
	if err := h.control.SetDomains(ctx, verified, initial); err != nil {
		return err
	}
	if slices.Equal(c.Head.Domains, now) || !h.o.Without.FollowsDomains() {
		return nil
	}
	if err := h.soil(ctx, h.signedInElsewhere(now, initial), ledger.DomainsChanged, "the tenant's verified domains changed"); err != nil {
		return err
	}
	return h.control.Change(ctx, func(c *control.Content) error {
		c.Head.Domains = now
		return nil
	})
}

// signedInElsewhere returns the linked users whose sign-in name is of the initial domain, which stands for every unverified one, or of one that is not verified
// any more.
func (h *Host) signedInElsewhere(verified []string, initial string) (keys []ledger.Key) {
	h.gate.Read(func(s *ledger.State) {
		for _, id := range s.Objects() {
			o, ok := h.Cloud(s.Rows.Get(id))
			if !ok || o.Kind != scoping.User {
				continue
			}
			_, domain, _ := strings.Cut(lower(o.Values.First(cloud.UPN)), "@")
			if domain == lower(initial) || !slices.Contains(verified, domain) {
				keys = append(keys, ledger.Key{Object: id, Feature: scoping.Users})
			}
		}
	})
	return keys
}
