package plugin

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// WithLife gives e with every call bound to life too: when life ends, calls end and further ones fail with its cause, which
// should be an ErrEngineDied. It is how engines in the host's own process die; [Process] does it for plugins.
func WithLife(life context.Context, e engine.Engine) engine.Engine {
	return &mortal{life: life, inner: e, lost: func() {}}
}

// mortal is an engine whose life may end.
type mortal struct {
	life  context.Context
	inner engine.Engine
	lost  func() // the connection broke: makes life end soon
}

// over gives why life ended.
func (m *mortal) over() error {
	if m.life.Err() == nil {
		return nil
	}
	return context.Cause(m.life)
}

// during makes one call. A caller that gave up gets its own error, otherwise death is the one error whatever the wire said.
func (m *mortal) during(ctx context.Context, call func(context.Context) error) error {
	if err := m.over(); err != nil {
		return err
	}
	joined, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(m.life, func() { cancel(context.Cause(m.life)) })()
	err := call(joined)
	if err == nil || ctx.Err() != nil {
		return err
	}
	if errors.Is(err, errLost) {
		m.lost()
		select {
		case <-m.life.Done():
		case <-ctx.Done():
			return err
		}
	}
	if over := m.over(); over != nil {
		return over
	}
	return err
}

func (m *mortal) Describe(ctx context.Context) (d engine.Description, err error) {
	err = m.during(ctx, func(ctx context.Context) error {
		d, err = m.inner.Describe(ctx)
		return err
	})
	return d, err
}

func (m *mortal) Configure(ctx context.Context, c engine.Config) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Configure(ctx, c) })
}

func (m *mortal) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Grants(ctx, in, out) })
}

func (m *mortal) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Run(ctx, r, in, out) })
}

func (m *mortal) Health(ctx context.Context, out chan<- engine.Health) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Health(ctx, out) })
}

func (m *mortal) Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Call(ctx, verb, args, out) })
}

func (m *mortal) Map(ctx context.Context, r engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Map(ctx, r, in, out) })
}

func (m *mortal) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Deliver(ctx, d, in, out) })
}

func (m *mortal) Observe(ctx context.Context, in <-chan engine.TenantChange) error {
	return m.during(ctx, func(ctx context.Context) error { return m.inner.Observe(ctx, in) })
}
