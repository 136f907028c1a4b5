// Package agent is the light half of the cloudsync engine: it sits next to a domain controller, dials out to the service, and
// reads the directory when asked.
//
// An agent keeps no state of the directory: whatever it is asked, it reads and streams, holding no more than a few batches.
// The directory password stays on the agent's host. An agent that loses the service dials again, with a growing and random
// delay; it ends at once when its context does, and by itself when the service has removed it.
package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
)

// ErrRemoved says that the service no longer knows this agent: it was removed there, and must be enrolled again.
var ErrRemoved = errors.New("the service has removed this agent: enrol it again with tandem-agent enroll --force and a new token")

// The bounds of the delay between two attempts to reach the service.
const (
	minBackOff = 250 * time.Millisecond
	maxBackOff = 30 * time.Second
)

// Options are what an agent runs with. Zero fields have working defaults.
type Options struct {
	Logger *slog.Logger
	// Wait waits before the next attempt to reach the service; tests replace it.
	Wait func(ctx context.Context, d time.Duration) error
	// Now is the clock by which certificates are renewed.
	Now func() time.Time
	// Down is told why the agent does not attend, after each attempt that failed; nil for nobody.
	Down func(error)
	// Save is called with an identity whose certificate was renewed, before it is used.
	Save func(Identity) error
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Wait == nil {
		o.Wait = wait
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Down == nil {
		o.Down = func(error) {}
	}
	if o.Save == nil {
		o.Save = func(Identity) error { return nil }
	}
	return o
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// Version names the build, for people.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	return info.Main.Version
}

// Run serves the service until ctx ends, which gives nil, or until the service has removed the agent (ErrRemoved) or turns out
// to be another one (line.ErrPin). Everything else is tried again.
func Run(ctx context.Context, id Identity, o Options) error {
	o = o.withDefaults()
	back := minBackOff
	for ctx.Err() == nil {
		attended, err := attend(ctx, &id, o)
		if errors.Is(err, ErrRemoved) || errors.Is(err, line.ErrPin) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if attended {
			back = minBackOff
		} else {
			o.Down(err)
		}
		pause := back/2 + rand.N(back/2+1)
		o.Logger.Warn("the line to the service is down", "server", id.Server, "error", err, "again", pause)
		if o.Wait(ctx, pause) != nil {
			return nil
		}
		back = min(2*back, maxBackOff)
	}
	return nil
}

// attend holds the line once: it announces the agent and serves requests until the line or ctx ends. attended says that
// the service took the agent.
func attend(ctx context.Context, id *Identity, o Options) (attended bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := line.Probe(ctx, id.Server, line.ClientTLS(id.Pin, nil)); err != nil {
		return false, err
	}
	if err := renewIfDue(ctx, id, o); err != nil {
		return false, err
	}
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	reader := &reader{connection: id.Connection, log: o.Logger, now: o.Now}
	defer reader.close()
	hello, err := reader.hello(ctx)
	if err != nil {
		return false, err
	}
	client := linepb.NewLineClient(conn)
	stream, err := client.Attend(ctx, hello)
	if err != nil {
		return false, refusal(err)
	}
	if _, err := stream.Header(); err != nil {
		return false, refusal(err)
	}
	s := &server{client: client, reader: reader, log: o.Logger, running: map[uint64]context.CancelFunc{}}
	defer s.work.Wait()
	defer cancel()
	return s.serve(ctx, stream.Recv)
}

// refusal tells a service that refuses this agent for good from a line that is down.
func refusal(err error) error {
	switch status.Code(err) {
	case codes.PermissionDenied, codes.Unauthenticated:
		return fmt.Errorf("%w (%s)", ErrRemoved, status.Convert(err).Message())
	}
	return err
}

// server answers the requests of one Attend, each in a goroutine of its own.
type server struct {
	client linepb.LineClient
	reader *reader
	log    *slog.Logger
	work   sync.WaitGroup

	mu      sync.Mutex
	running map[uint64]context.CancelFunc
}

func (s *server) serve(ctx context.Context, receive func() (*linepb.Request, error)) (attended bool, err error) {
	s.log.Info("attending")
	for {
		r, err := receive()
		switch {
		case errors.Is(err, io.EOF):
			return true, errors.New("the service ended the line")
		case err != nil:
			return true, refusal(err)
		case r.GetCancel() != nil:
			s.cancel(r.Id)
		default:
			s.start(ctx, r)
		}
	}
}

func (s *server) start(ctx context.Context, r *linepb.Request) {
	ctx, cancel := context.WithCancel(ctx)
	s.mu.Lock()
	s.running[r.Id] = cancel
	s.mu.Unlock()
	s.work.Go(func() {
		defer s.cancel(r.Id)
		if err := answer(ctx, s.client, s.reader, r); err != nil && ctx.Err() == nil {
			s.log.Warn("an answer could not be given", "request", r.Id, "error", err)
		}
	})
}

func (s *server) cancel(request uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if end := s.running[request]; end != nil {
		end()
		delete(s.running, request)
	}
}
