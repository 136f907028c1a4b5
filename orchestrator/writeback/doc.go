// Package writeback writes password changes of the tenant and of administrators into the directory. It hands each change to the engine that owns it, which asks for a permit when
// it is ready to write. The tenant or the administrator gets the result.
//
// The host makes one [Desk] when it opens. While it serves, one loop calls [Desk.Poll], which takes the changes that people make in the tenant. Commands call [Desk.Set]. Both end
// in [Desk.Deliver], which carries out one change. All may be called by several goroutines at once. The decisions are pure: whether an event is taken (judge), whether it is
// permitted (gate.Permits), and what is answered (answerOf).
//
// An event is written at most once, since the gate remembers the ids of permits for a day and an event's deadline is never that far ahead. Once a permit is given, the delivery
// goes on even if its caller ends, so that its result is recorded.
package writeback

import (
	"context"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/orchestrator/tenant/cloud"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// Engines are the engines that deliver.
type Engines interface {
	// Describe returns an engine's description.
	Describe(ctx context.Context, name string) (engine.Description, error)
	// Deliver makes an engine carry out a delivery, see engine.Deliver.
	Deliver(ctx context.Context, name string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (r engine.DeliveryResult, permitted bool, err error)
}

// Relay hands out the password changes that people make in the tenant.
type Relay interface {
	// Open reports whether the tenant has a relay.
	Open(ctx context.Context) (bool, error)
	// PasswordEvents returns changes, and waits for some if there are none. The tenant returns an event again until it is answered or its deadline is past.
	PasswordEvents(ctx context.Context, wait time.Duration) ([]cloud.PasswordEvent, error)
	// AnswerPasswordEvent sends the result of an event. It returns nil if the tenant no longer waits for it.
	AnswerPasswordEvent(ctx context.Context, id string, answer cloud.PasswordAnswer, message string) error
	// TenantID returns the tenant's id.
	TenantID(ctx context.Context) (string, error)
}

// Tenant knows the directory roles.
type Tenant interface {
	// Powerful returns those of the ids that hold power in the tenant, each with the reason.
	Powerful(ctx context.Context, ids []string) (map[string]string, error)
}

// Options are the parts of a Desk. Relay may be nil: then nothing comes from the tenant.
type Options struct {
	Gate    *gate.Gate
	Census  gate.Census
	Engines Engines
	Tenant  Tenant
	Relay   Relay
	Clock   gate.Clock
	Entitle func(context.Context) error // see gate.Options.Entitle
	Own     map[string][]string         // by directory, the sign-in names of Tandem's own accounts, whose passwords are never set
	NewID   func() string
	Alive   func(context.Context) // called while a poll makes progress; may be nil
	Log     func(msg string, args ...any)
}

// The features whose owners carry out a change that comes from the tenant, and one that a command asks for.
const (
	fromTenant  = scoping.PasswordWriteback
	fromCommand = scoping.Users
)
