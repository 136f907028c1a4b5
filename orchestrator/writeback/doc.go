// Package writeback carries password changes from the tenant, and from administrators, into the directory. It hands each to the engine that owns it, which asks for
// a permit when it is ready to write; whoever made the change is told how it ended.
//
// A [Desk] is made when the host opens. Poll takes what people did in the tenant, while this host feeds it; Deliver carries one change out. Both may be called from any
// goroutine. What decides is pure: taking an event ([judge]), permitting it (gate.Permits), and what is told of its end (answerOf).
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
	// Describe says what an engine can.
	Describe(ctx context.Context, name string) (engine.Description, error)
	// Deliver lets an engine carry a delivery out: see engine.Deliver.
	Deliver(ctx context.Context, name string, d engine.Delivery, permit func(context.Context) (engine.Permit, error)) (r engine.DeliveryResult, permitted bool, err error)
}

// Relay hands out what people did in the tenant.
type Relay interface {
	// Open reports whether the tenant has a relay for this host at all.
	Open(ctx context.Context) (bool, error)
	// PasswordEvents waits for changes. One comes again until it is answered or its deadline is past.
	PasswordEvents(ctx context.Context, wait time.Duration) ([]cloud.PasswordEvent, error)
	// AnswerPasswordEvent tells how one ended. That the tenant waits for it no longer is no error.
	AnswerPasswordEvent(ctx context.Context, id string, answer cloud.PasswordAnswer, message string) error
	// TenantID names the tenant.
	TenantID(ctx context.Context) (string, error)
}

// Tenant tells who holds power in it.
type Tenant interface {
	Powerful(ctx context.Context, ids []string) (map[string]string, error)
}

// Options are what a Desk is made of. Relay may be nil: then nothing comes from the tenant.
type Options struct {
	Gate    *gate.Gate
	Census  gate.Census
	Engines Engines
	Tenant  Tenant
	Relay   Relay
	Clock   gate.Clock
	Entitle func(context.Context) error // see gate.Options.Entitle
	Own     map[string][]string         // of each directory, the sign-in names of accounts that work for Tandem
	NewID   func() string
	Alive   func(context.Context) // shows that a poll goes on
	Log     func(msg string, args ...any)
}

// owned returns the feature whose owner carries out what comes from the tenant, and the one of what a command asks for.
const (
	fromTenant  = scoping.PasswordWriteback
	fromCommand = scoping.Users
)
