package supervisor

import (
	"context"
	"io"
	"sync"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin"
)

// Instance is one started engine. *plugin.Process is one.
type Instance interface {
	Engine() engine.Engine
	PID() int
	Done() <-chan struct{} // closed when it has ended
	Err() error            // after that, why: an engine.ErrEngineDied
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

// InProcess starts engines in this process, for tests and simulations. It calls create for each session, and closes an engine that is an io.Closer when its session ends.
func InProcess(create func() (engine.Engine, error)) Starter {
	return func(context.Context) (Instance, error) {
		impl, err := create()
		if err != nil {
			return nil, err
		}
		return NewLocal(impl), nil
	}
}

// Local is an engine in this process that can be ended as a process can.
type Local struct {
	impl   engine.Engine
	engine engine.Engine
	life   context.Context // ends with the instance
	end    context.CancelCauseFunc
	once   sync.Once
	done   chan struct{}
	err    error
}

// NewLocal returns an instance that has begun.
func NewLocal(impl engine.Engine) *Local {
	l := &Local{impl: impl, done: make(chan struct{})}
	l.life, l.end = context.WithCancelCause(context.Background())
	l.engine = plugin.WithLife(l.life, impl)
	return l
}

// Engine returns the engine. Its calls end with the instance.
func (l *Local) Engine() engine.Engine { return l.engine }

// PID returns 0.
func (l *Local) PID() int { return 0 }

// Done returns a channel that is closed when the instance has ended.
func (l *Local) Done() <-chan struct{} { return l.done }

// Err returns an engine.ErrEngineDied after the end, and nil before.
func (l *Local) Err() error {
	if l.life.Err() == nil {
		return nil
	}
	return context.Cause(l.life)
}

// Kill ends the instance as kill -9 ends a process, except that the engine's calls end through their contexts.
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
