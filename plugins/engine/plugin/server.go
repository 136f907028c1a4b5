package plugin

import (
	"context"
	"errors"
	"io"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/tandem-sync/tandem/plugins/engine"
	"github.com/tandem-sync/tandem/plugins/engine/plugin/enginepb"
)

// maxMessage bounds what an engine accepts in one message, in bytes: runs by object and arguments of Call are the largest.
const maxMessage = 64 << 20

// maxAnswer bounds what the host accepts from an engine in one message, in bytes. The largest in earnest is one group's references: 500,000 take 9 MB.
const maxAnswer = 16 << 20

// softMessage is the size, in bytes, above which a batch of proposals is sent as several messages.
const softMessage = 1 << 20

// ServerOptions are the options that a gRPC server of the contract needs.
func ServerOptions() []grpc.ServerOption {
	return []grpc.ServerOption{grpc.MaxRecvMsgSize(maxMessage)}
}

// Register makes r serve impl by the contract. [Serve] does it for plugins; tests and other transports do it themselves.
func Register(r grpc.ServiceRegistrar, impl engine.Engine) {
	enginepb.RegisterEngineServer(r, &server{impl: impl})
}

// server translates calls of the contract into calls of an Engine.
type server struct {
	enginepb.UnimplementedEngineServer
	impl engine.Engine
}

// statusOf gives an engine's error the form in which it crosses the wire.
func statusOf(ctx context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, engine.ErrUnsupported):
		return status.Error(codes.Unimplemented, engine.ErrUnsupported.Error())
	case ctx.Err() != nil:
		return status.FromContextError(ctx.Err()).Err()
	}
	return status.Error(codes.Unknown, strings.ToValidUTF8(err.Error(), "\uFFFD"))
}

func (s *server) Describe(ctx context.Context, _ *enginepb.DescribeRequest) (*enginepb.DescribeResponse, error) {
	d, err := s.impl.Describe(ctx)
	if err != nil {
		return nil, statusOf(ctx, err)
	}
	return descriptionOut(d), nil
}

func (s *server) Configure(ctx context.Context, r *enginepb.ConfigureRequest) (*enginepb.ConfigureResponse, error) {
	err := s.impl.Configure(ctx, configIn(r))
	var refused *engine.ConfigError
	if errors.As(err, &refused) {
		return &enginepb.ConfigureResponse{Problems: problemsOut(refused)}, nil
	}
	return &enginepb.ConfigureResponse{}, statusOf(ctx, err)
}

// problemsOut never gives an empty list, which would mean acceptance.
func problemsOut(e *engine.ConfigError) []string {
	if len(e.Problems) == 0 {
		return []string{"the engine refuses without saying why"}
	}
	problems := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		problems[i] = strings.ToValidUTF8(p, "\uFFFD")
	}
	return problems
}

func (s *server) Grants(stream grpc.BidiStreamingServer[enginepb.GrantsRequest, enginepb.Ack]) error {
	recv := func() ([]engine.Grant, error) {
		r, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return grantsIn(r)
	}
	send := func(a engine.Ack) error { return stream.Send(ackOut(a)) }
	return exchange(stream.Context(), recv, send, s.impl.Grants)
}

func (s *server) Run(stream grpc.BidiStreamingServer[enginepb.RunMessage, enginepb.RunEvent]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetStart() == nil {
		return status.Error(codes.InvalidArgument, "a run begins with its start")
	}
	request, err := requestIn(first.GetStart())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	recv := func() ([]engine.Decision, error) {
		m, err := stream.Recv()
		return decisionsIn(m.GetDecisions()), err
	}
	send := func(e engine.RunEvent) error { return sendRunEvent(e, stream.Send) }
	return exchange(stream.Context(), recv, send, func(ctx context.Context, in <-chan []engine.Decision, out chan<- engine.RunEvent) error {
		return s.impl.Run(ctx, request, in, out)
	})
}

// sendRunEvent sends an event, its proposals in messages that keep the contract's limits.
func sendRunEvent(e engine.RunEvent, send func(*enginepb.RunEvent) error) error {
	switch {
	case e.Begin != nil:
		return send(&enginepb.RunEvent{Is: &enginepb.RunEvent_Begin{Begin: beginOut(*e.Begin)}})
	case e.Progress != nil:
		return send(&enginepb.RunEvent{Is: &enginepb.RunEvent_Progress{Progress: progressOut(*e.Progress)}})
	case e.Report != nil:
		return send(&enginepb.RunEvent{Is: &enginepb.RunEvent_Report{Report: reportOut(*e.Report)}})
	}
	defer forget(e.Proposals)
	batch, size := &enginepb.Proposals{}, 0
	flush := func() error {
		full := &enginepb.RunEvent{Is: &enginepb.RunEvent_Proposals{Proposals: batch}}
		defer forgetSent(batch.Proposals)
		batch, size = &enginepb.Proposals{}, 0
		return send(full)
	}
	for _, p := range e.Proposals {
		to, err := proposalOut(p)
		if err != nil {
			return err
		}
		n := proto.Size(to)
		if len(batch.Proposals) == engine.MaxBatch || size > 0 && size+n > softMessage {
			if err := flush(); err != nil {
				return err
			}
		}
		batch.Proposals, size = append(batch.Proposals, to), size+n
	}
	if len(batch.Proposals) == 0 {
		return nil
	}
	return flush()
}

func (s *server) Health(_ *enginepb.HealthRequest, stream grpc.ServerStreamingServer[enginepb.HealthEvent]) error {
	return emit(stream.Context(), func(h engine.Health) error { return stream.Send(healthOut(h)) }, s.impl.Health)
}

func (s *server) Call(r *enginepb.CallRequest, stream grpc.ServerStreamingServer[enginepb.CallResponse]) error {
	send := func(b []byte) error { return stream.Send(&enginepb.CallResponse{Data: b}) }
	return emit(stream.Context(), send, func(ctx context.Context, out chan<- []byte) error {
		return s.impl.Call(ctx, r.Verb, r.Args, out)
	})
}

func (s *server) Map(stream grpc.BidiStreamingServer[enginepb.MapMessage, enginepb.MapEvent]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetStart() == nil {
		return status.Error(codes.InvalidArgument, "a mapping begins with its start")
	}
	request, err := mapStartIn(first.GetStart())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	recv := func() ([]engine.Source, error) {
		m, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		return sourcesIn(m.GetSources())
	}
	send := func(e engine.MapEvent) error { return stream.Send(mapEventOut(e)) }
	return exchange(stream.Context(), recv, send, func(ctx context.Context, in <-chan []engine.Source, out chan<- engine.MapEvent) error {
		return s.impl.Map(ctx, request, in, out)
	})
}

func (s *server) Deliver(stream grpc.BidiStreamingServer[enginepb.DeliverMessage, enginepb.DeliverEvent]) error {
	first, err := stream.Recv()
	if err != nil {
		return err
	}
	if first.GetDelivery() == nil {
		return status.Error(codes.InvalidArgument, "a delivery is told before its permit")
	}
	d, err := deliveryIn(first.GetDelivery())
	if err != nil {
		return status.Error(codes.InvalidArgument, err.Error())
	}
	recv := func() (engine.Permit, error) {
		m, err := stream.Recv()
		if err == nil && m.GetPermit() == nil {
			err = engine.ContractError("a delivery has one beginning")
		}
		if err != nil {
			return engine.Permit{}, err
		}
		return permitIn(m.GetPermit())
	}
	send := func(e engine.DeliverEvent) error { return stream.Send(deliverEventOut(e)) }
	return exchange(stream.Context(), recv, send, func(ctx context.Context, in <-chan engine.Permit, out chan<- engine.DeliverEvent) error {
		return s.impl.Deliver(ctx, d, in, out)
	})
}

func (s *server) Observe(stream grpc.ClientStreamingServer[enginepb.ObserveRequest, enginepb.ObserveResponse]) error {
	var waiting []*enginepb.TenantChange
	recv := func() (engine.TenantChange, error) {
		for len(waiting) == 0 {
			r, err := stream.Recv()
			if err != nil {
				return engine.TenantChange{}, err
			}
			waiting = r.Changes
		}
		next := waiting[0]
		waiting = waiting[1:]
		return changeIn(next)
	}
	none := func(struct{}) error { return nil }
	err := exchange(stream.Context(), recv, none, func(ctx context.Context, in <-chan engine.TenantChange, _ chan<- struct{}) error {
		return s.impl.Observe(ctx, in)
	})
	if err != nil {
		return err
	}
	return stream.SendAndClose(&enginepb.ObserveResponse{})
}

// exchange runs call between a stream's two directions. What comes in waits in an unbounded queue, so that an engine that
// reads its decisions late cannot block itself: the engine pays with its own memory.
func exchange[In, Out any](ctx context.Context, recv func() (In, error), send func(Out) error, call func(context.Context, <-chan In, chan<- Out) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	arrived, in := make(chan In), make(chan In)
	go receive(ctx, cancel, recv, arrived) // ends with the stream, which ends when the handler returns
	go engine.Relay(ctx, arrived, in)
	err := emit(ctx, send, func(ctx context.Context, out chan<- Out) error { return call(ctx, in, out) })
	if cause := context.Cause(ctx); errors.Is(cause, engine.ErrContract) {
		return status.Error(codes.InvalidArgument, cause.Error())
	}
	return err
}

// receive passes on what recv gives until the other side has closed.
func receive[T any](ctx context.Context, cancel context.CancelCauseFunc, recv func() (T, error), to chan<- T) {
	for {
		v, err := recv()
		if err == io.EOF {
			close(to)
			return
		}
		if err != nil {
			cancel(err)
			return
		}
		select {
		case to <- v:
		case <-ctx.Done():
			return
		}
	}
}

// emit runs call and sends what it puts out. It returns when call has returned.
func emit[Out any](ctx context.Context, send func(Out) error, call func(context.Context, chan<- Out) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	out, ended := make(chan Out), make(chan error, 1)
	go func() { ended <- call(ctx, out) }()
	var failed error
	for {
		select {
		case v := <-out:
			if failed == nil {
				if failed = send(v); failed != nil {
					cancel()
				}
			}
		case err := <-ended:
			if failed != nil {
				return statusOf(context.Background(), failed)
			}
			return statusOf(ctx, err)
		}
	}
}
