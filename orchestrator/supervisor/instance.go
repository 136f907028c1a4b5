package supervisor

import (
	"context"
	"io"
	"sync"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// Instance is one started engine: a session. *plugin.Process is one.
type Instance interface {
	Engine() engine.Engine
	PID() int
	Done() <-chan struct{}
	Err() error // why it ended: an engine.ErrEngineDied
	Stop(context.Context) error
}

// Starter starts an engine once. It is called again for each session.
type Starter func(context.Context) (Instance, error)

// Command starts an executable.
func Command(c plugin.Command) Starter {
	return func(ctx context.Context) (Instance, error) {
		p, err := plugin.Start(ctx, c)
		if err != nil {
			return nil, err
		}
		return p, nil
	}
}

// InProcess starts engines in this process, for tests and simulations. make is called for each session; an engine that is
// an io.Closer is closed when its session ends.
func InProcess(make func() (engine.Engine, error)) Starter {
	return func(context.Context) (Instance, error) {
		impl, err := make()
		if err != nil {
			return nil, err
		}
		return NewLocal(impl), nil
	}
}

// Local is an engine in this process whose death can be played.
type Local struct {
	impl   engine.Engine
	engine engine.Engine
	life   context.Context
	end    context.CancelCauseFunc
	once   sync.Once
	done   chan struct{}
	err    error
}

// NewLocal gives a living engine.
func NewLocal(impl engine.Engine) *Local {
	l := &Local{impl: impl, done: make(chan struct{})}
	l.life, l.end = context.WithCancelCause(context.Background())
	l.engine = plugin.WithLife(l.life, impl)
	return l
}

// Engine gives the engine; its calls end with the instance.
func (l *Local) Engine() engine.Engine { return l.engine }

// PID gives 0.
func (l *Local) PID() int { return 0 }

// Done is closed when the instance has ended.
func (l *Local) Done() <-chan struct{} { return l.done }

// Err gives an engine.ErrEngineDied after the end, and nil before.
func (l *Local) Err() error {
	if l.life.Err() == nil {
		return nil
	}
	return context.Cause(l.life)
}

// Kill ends the instance as kill -9 would end a process, but that its calls end with their contexts.
func (l *Local) Kill() { _ = l.finish(&engine.DiedError{Path: "in this process", State: "killed"}) }

// Stop ends the instance.
func (l *Local) Stop(context.Context) error {
	return l.finish(&engine.DiedError{Path: "in this process", Stopped: true})
}

func (l *Local) finish(why error) error {
	l.once.Do(func() {
		l.end(why)
		if c, ok := l.impl.(io.Closer); ok {
			l.err = c.Close()
		}
		close(l.done)
	})
	return l.err
}
