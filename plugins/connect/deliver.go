package connect

import (
	"context"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/scoping"
)

// passwordWriters set the passwords of each directory from this process, with the account that tandem.yaml names for it.
func passwordWriters(c engine.Config) map[string]*password.Writer {
	out := map[string]*password.Writer{}
	for _, d := range c.Directories {
		w := &password.Writer{Directory: directory.Connection{Name: d.Name, URLs: d.URLs, Base: d.Base, User: d.User, CA: d.CA, Insecure: d.Insecure},
			Account: directory.Account(d.Accounts[scoping.Reset])}
		for _, a := range d.Accounts {
			w.Own = append(w.Own, a.User)
		}
		out[d.Name] = w
	}
	return out
}

// Deliver sets a password, with a connection of its own, beside a run.
func (e *Engine) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	return engine.Tell(ctx, out, e.deliver(ctx, d, in, out))
}

func (e *Engine) deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) engine.DeliveryResult {
	e.mu.Lock()
	w := e.writers[d.Object.Directory]
	e.mu.Unlock()
	switch {
	case d.Feature != scoping.PasswordWriteback:
		return engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryFailed, Reason: fmt.Sprintf("this engine delivers no %s", d.Feature)}
	case w == nil:
		return engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryFailed, Reason: fmt.Sprintf("directory %q is not configured", d.Object.Directory)}
	case !e.delivered.First(d.ID):
		return engine.DeliveryResult{ID: d.ID, Code: engine.DeliveryRepeated}
	}
	order := password.Order{User: d.Object.GUID, Op: password.Op(d.Op), MustChange: d.MustChange, Unlock: d.Unlock, Own: d.Own}
	r := w.Carry(ctx, order, func(ctx context.Context) (password.Permit, error) {
		p, err := engine.Ask(ctx, d.ID, in, out)
		return password.Permit{Refused: p.Refused, Remaining: p.Remaining, New: p.New, Old: p.Old}, err
	})
	return engine.DeliveryResult{ID: d.ID, Code: string(r.Code), Reason: r.Why(), Diagnostic: r.Diagnostic}
}
