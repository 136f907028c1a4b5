package plugin

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
)

// errLost means that the connection broke. A process's owner turns it into ErrEngineDied.
var errLost = errors.New("the connection to the engine broke")

// NewClient gives the engine at the other end of conn. Its receive limit must allow for groups with many members:
// go-plugin's is large enough. [Start] makes the client of a plugin; tests and other transports do it themselves.
func NewClient(conn grpc.ClientConnInterface) engine.Engine {
	return &client{api: enginepb.NewEngineClient(conn)}
}

// client translates calls of an Engine into calls of the contract.
type client struct{ api enginepb.EngineClient }

// fault gives an error of the wire the form in which callers know it.
func fault(ctx context.Context, method string, err error) error {
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return fmt.Errorf("engine %s: %w", method, context.Cause(ctx))
	case errors.Is(err, engine.ErrContract):
		return fmt.Errorf("engine %s: %w", method, err)
	}
	st := status.Convert(err)
	switch st.Code() {
	case codes.Unimplemented:
		return fmt.Errorf("engine %s: %w", method, engine.ErrUnsupported)
	case codes.Unavailable, codes.Canceled: // Canceled by the other end: it is going away
		return fmt.Errorf("engine %s: %w: %s", method, errLost, st.Message())
	}
	return &engine.RemoteError{Method: method, Message: st.Message()}
}

func (c *client) Describe(ctx context.Context) (engine.Description, error) {
	d, err := c.api.Describe(ctx, &enginepb.DescribeRequest{})
	if err != nil {
		return engine.Description{}, fault(ctx, "Describe", err)
	}
	return descriptionIn(d), nil
}

func (c *client) Configure(ctx context.Context, config engine.Config) error {
	message := configOut(config)
	defer wipePasswords(message)
	r, err := c.api.Configure(ctx, message)
	if err != nil {
		return fault(ctx, "Configure", err)
	}
	if len(r.Problems) > 0 {
		return &engine.ConfigError{Problems: r.Problems}
	}
	return nil
}

func (c *client) Grants(ctx context.Context, in <-chan []engine.Grant, out chan<- engine.Ack) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Grants(ctx)
	if err != nil {
		return fault(ctx, "Grants", err)
	}
	send := func(g []engine.Grant) error { return stream.Send(grantsOut(g)) }
	recv := func() (engine.Ack, error) {
		a, err := stream.Recv()
		if err != nil {
			return engine.Ack{}, err
		}
		return ackIn(a), nil
	}
	return fault(ctx, "Grants", converse(ctx, in, send, stream.CloseSend, recv, out))
}

func (c *client) Run(ctx context.Context, r engine.RunRequest, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Run(ctx)
	if err != nil {
		return fault(ctx, "Run", err)
	}
	start := &enginepb.RunMessage{Is: &enginepb.RunMessage_Start{Start: requestOut(r)}}
	if err := stream.Send(start); err != nil && err != io.EOF { // io.EOF: Recv says why
		return fault(ctx, "Run", err)
	}
	send := func(d []engine.Decision) error {
		return stream.Send(&enginepb.RunMessage{Is: &enginepb.RunMessage_Decisions{Decisions: decisionsOut(d)}})
	}
	recv := func() (engine.RunEvent, error) {
		e, err := stream.Recv()
		if err != nil {
			return engine.RunEvent{}, err
		}
		return eventOfRun(e)
	}
	return fault(ctx, "Run", converse(ctx, in, send, stream.CloseSend, recv, out))
}

func (c *client) Health(ctx context.Context, out chan<- engine.Health) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Health(ctx, &enginepb.HealthRequest{})
	if err != nil {
		return fault(ctx, "Health", err)
	}
	recv := func() (engine.Health, error) {
		h, err := stream.Recv()
		if err != nil {
			return engine.Health{}, err
		}
		return healthIn(h), nil
	}
	return fault(ctx, "Health", listen(ctx, recv, out))
}

func (c *client) Call(ctx context.Context, verb string, args []byte, out chan<- []byte) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Call(ctx, &enginepb.CallRequest{Verb: verb, Args: args})
	if err != nil {
		return fault(ctx, "Call "+verb, err)
	}
	recv := func() ([]byte, error) {
		r, err := stream.Recv()
		return r.GetData(), err
	}
	return fault(ctx, "Call "+verb, listen(ctx, recv, out))
}

func (c *client) Map(ctx context.Context, r engine.MapRequest, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Map(ctx)
	if err != nil {
		return fault(ctx, "Map", err)
	}
	start := &enginepb.MapMessage{Is: &enginepb.MapMessage_Start{Start: mapStartOut(r)}}
	if err := stream.Send(start); err != nil && err != io.EOF { // io.EOF: Recv says why
		return fault(ctx, "Map", err)
	}
	send := func(s []engine.Source) error {
		return stream.Send(&enginepb.MapMessage{Is: &enginepb.MapMessage_Sources{Sources: sourcesOut(s)}})
	}
	recv := func() (engine.MapEvent, error) {
		e, err := stream.Recv()
		if err != nil {
			return engine.MapEvent{}, err
		}
		return mapEventIn(e)
	}
	return fault(ctx, "Map", converse(ctx, in, send, stream.CloseSend, recv, out))
}

func (c *client) Deliver(ctx context.Context, d engine.Delivery, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Deliver(ctx)
	if err != nil {
		return fault(ctx, "Deliver", err)
	}
	start := &enginepb.DeliverMessage{Is: &enginepb.DeliverMessage_Delivery{Delivery: deliveryOut(d)}}
	if err := stream.Send(start); err != nil && err != io.EOF { // io.EOF: Recv says why
		return fault(ctx, "Deliver", err)
	}
	send := func(p engine.Permit) error {
		message := permitOut(p)
		defer forgetPermit(message)
		p.Wipe()
		return stream.Send(&enginepb.DeliverMessage{Is: &enginepb.DeliverMessage_Permit{Permit: message}})
	}
	recv := func() (engine.DeliverEvent, error) {
		e, err := stream.Recv()
		if err != nil {
			return engine.DeliverEvent{}, err
		}
		return deliverEventIn(e)
	}
	return fault(ctx, "Deliver", converse(ctx, in, send, stream.CloseSend, recv, out))
}

func (c *client) Observe(ctx context.Context, in <-chan engine.TenantChange) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := c.api.Observe(ctx)
	if err != nil {
		return fault(ctx, "Observe", err)
	}
	send := func(t engine.TenantChange) error {
		return stream.Send(&enginepb.ObserveRequest{Changes: []*enginepb.TenantChange{changeOut(t)}})
	}
	// An unsupporting engine answers before the first change, so the answer is awaited beside the sending.
	answered := false
	recv := func() (struct{}, error) {
		if answered {
			return struct{}{}, io.EOF
		}
		answered = true
		return struct{}{}, stream.RecvMsg(&enginepb.ObserveResponse{})
	}
	ignored := make(chan struct{}, 1)
	return fault(ctx, "Observe", converse(ctx, in, send, stream.CloseSend, recv, ignored))
}

// converse sends what comes in and puts out what is received, until the engine ends the stream. It waits for its sender.
func converse[In, Out any](ctx context.Context, in <-chan In, send func(In) error, closeSend func() error, recv func() (Out, error), out chan<- Out) error {
	ctx, cancel := context.WithCancel(ctx)
	sent := make(chan error, 1)
	go func() { sent <- forward(ctx, in, send, closeSend) }()
	err := listen(ctx, recv, out)
	cancel()
	if failed := <-sent; failed != nil && failed != io.EOF && err != nil {
		return failed
	}
	return err
}

// forward sends what comes in until in is closed. An io.EOF means that the receiving side knows the error.
func forward[In any](ctx context.Context, in <-chan In, send func(In) error, closeSend func() error) error {
	for {
		select {
		case v, ok := <-in:
			if !ok {
				return closeSend()
			}
			if err := send(v); err != nil {
				return err
			}
		case <-ctx.Done():
			return nil
		}
	}
}

// listen puts out what recv gives until the stream's end.
func listen[T any](ctx context.Context, recv func() (T, error), out chan<- T) error {
	for {
		v, err := recv()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		select {
		case out <- v:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
