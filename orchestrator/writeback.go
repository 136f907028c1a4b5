package orchestrator

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/orchestrator/tenant"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/orchestrator/writeback"
	"github.com/tandem-sync/tandem/scoping"
)

// relayOf is the tenant as a writeback.Relay.
type relayOf struct{ tenantFor }

var _ writeback.Relay = relayOf{}

// Open implements writeback.Relay.
func (r relayOf) Open(ctx context.Context) (bool, error) {
	return r.Client.Door(ctx, tenant.DoorWriteback)
}

// AnswerPasswordEvent implements writeback.Relay.
func (r relayOf) AnswerPasswordEvent(ctx context.Context, id string, answer cloud.PasswordAnswer, message string) error {
	err := r.Client.AnswerPasswordEvent(ctx, id, answer, message)
	if errors.Is(err, tenant.ErrEventAnswered) || errors.Is(err, tenant.ErrEventExpired) {
		return nil
	}
	return err
}

// ownAccounts returns, by directory, the names of the accounts with which Tandem signs in.
func (c *Config) ownAccounts() map[string][]string {
	out := map[string][]string{}
	for _, d := range c.Directories {
		names := []string{d.Bind.User}
		for _, p := range scoping.Purposes() {
			if a := d.account(p); a != nil {
				names = append(names, a.User)
			}
		}
		out[d.Name] = names
	}
	return out
}
