// Package agent is the light half of the cloudsync engine: it sits next to a domain controller, dials out to the service, and
// reads the directory when asked, and sets passwords and writes users and groups there when that is permitted.
//
// An agent keeps no state of the directory: whatever it is asked, it reads and streams, holding no more than a few batches.
// The directory password stays on the agent's host. An agent that loses the service dials again, with a growing and random
// delay, and so does one that the service refuses: the fault may be fixed meanwhile. It ends at once when its context does,
// and by itself only when a person has removed it from the service.
package agent

import (
	"context"
	cryptorand "crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
)

// ErrRemoved says that the service no longer knows this agent: it was removed there, and must be enrolled again.
var ErrRemoved = errors.New("the service has removed this agent: enrol it again with tandem-agent enroll --force and a new token")

// The bounds of the delay between two attempts to reach the service. It begins anew once a line has lasted.
const (
	minBackOff = 250 * time.Millisecond
	maxBackOff = 30 * time.Second
	lasting    = time.Minute
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
	// Machine names the machine; empty: MachineName().
	Machine string
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
	if o.Machine == "" {
		o.Machine = MachineName()
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

// Run serves the service until ctx ends, which gives nil, or until a person has removed the agent there (ErrRemoved). Everything else
// is tried again, a refusal and a service whose key is not the pinned one too.
func Run(ctx context.Context, id Identity, o Options) error {
	o = o.withDefaults()
	process := make([]byte, 16)
	if _, err := cryptorand.Read(process); err != nil {
		return fmt.Errorf("name this process: %w", err)
	}
	passwords, err := passwordhash.DirectTo(id.Connection, id.Accounts)
	if err != nil {
		return err
	}
	passwords.Now = o.Now
	r := &runner{id: id, options: o, process: process, passwords: passwords, writer: writerOf(id, o.Now), sink: sinkOf(id, o.Now)}
	defer r.sink.Close()
	back := minBackOff
	for ctx.Err() == nil {
		begun := o.Now()
		attended, err := r.attend(ctx)
		if errors.Is(err, ErrRemoved) {
			return err
		}
		if ctx.Err() != nil {
			return nil
		}
		if !attended {
			o.Down(err)
		} else if o.Now().Sub(begun) >= lasting {
			back = minBackOff
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

// runner is a running agent.
type runner struct {
	options   Options
	process   []byte // tells this run of the program from any other
	rights    knowledge
	passwords *passwordhash.Direct
	writer    *password.Writer
	sink      *provision.Sink

	mu sync.Mutex
	id Identity // changes when its certificate is renewed
}

func (r *runner) identity() Identity {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.id
}

// attend holds the line once: it announces the agent and serves requests until the line or ctx ends. attended says that
// the service took the agent.
func (r *runner) attend(ctx context.Context) (attended bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := line.Probe(ctx, r.identity().Server, line.ClientTLS(r.identity().Pin, nil)); err != nil {
		return false, err
	}
	if err := r.renewIfDue(ctx); err != nil {
		if r.expired() || errors.Is(err, ErrRemoved) {
			return false, err
		}
		r.options.Logger.Warn("the certificate could not be renewed", "error", err)
	}
	id := r.identity()
	conn, err := line.Dial(id.Server, line.ClientTLS(id.Pin, &id.Certificate))
	if err != nil {
		return false, err
	}
	defer conn.Close()
	reader := &reader{connection: id.Connection, accounts: id.Accounts, passwords: r.passwords, writer: r.writer, sink: r.sink, rights: &r.rights, log: r.options.Logger, now: r.options.Now}
	defer reader.close()
	hello, err := reader.hello(ctx)
	if err != nil {
		return false, err
	}
	hello.Machine, hello.Process = r.options.Machine, r.process
	client := linepb.NewLineClient(conn)
	stream, err := client.Attend(ctx, hello)
	if err != nil {
		return false, refusal(err)
	}
	header, err := stream.Header()
	if err != nil {
		return false, refusal(err)
	}
	s := &server{client: client, reader: reader, log: r.options.Logger, running: map[uint64]work{}}
	defer s.work.Wait()
	defer cancel()
	s.work.Go(func() { r.keepRenewed(ctx) })
	s.work.Go(func() { r.rights.keep(ctx, reader, r.options.Wait) })
	// A refusal has a header too, but not this key.
	attended = len(header.Get(line.Attending)) > 0
	return attended, s.serve(ctx, stream.Recv)
}

// refusal tells apart why the service refuses this agent: for good, since a person removed it, or for a reason that may pass.
func refusal(err error) error {
	switch s := status.Convert(err); s.Code() {
	case codes.PermissionDenied:
		return fmt.Errorf("%w (%s)", ErrRemoved, s.Message())
	case codes.Unauthenticated, codes.AlreadyExists, codes.FailedPrecondition, codes.InvalidArgument, codes.ResourceExhausted:
		return fmt.Errorf("the service refuses this agent: %s", s.Message())
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
	running map[uint64]work
}

// work is a request under way.
type work struct {
	end    context.CancelFunc
	permit chan *linepb.Permit // of a write: has room for the one
}

func (s *server) serve(ctx context.Context, receive func() (*linepb.Request, error)) error {
	s.log.Info("attending")
	for {
		r, err := receive()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("the service ended the line")
		case err != nil:
			return refusal(err)
		case r.GetCancel() != nil:
			s.cancel(r.Id)
		case r.GetPermit() != nil:
			s.permit(r.Id, r.GetPermit())
		default:
			s.start(ctx, r)
		}
	}
}

func (s *server) start(ctx context.Context, r *linepb.Request) {
	ctx, cancel := context.WithCancel(ctx)
	w := work{end: cancel, permit: make(chan *linepb.Permit, 1)}
	s.mu.Lock()
	s.running[r.Id] = w
	s.mu.Unlock()
	s.work.Go(func() {
		defer s.cancel(r.Id)
		if err := answer(ctx, s.client, s.reader, r, w.permit); err != nil && ctx.Err() == nil {
			s.log.Warn("an answer could not be given", "request", r.Id, "error", err)
		}
	})
}

func (s *server) cancel(request uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, there := s.running[request]; there {
		w.end()
		delete(s.running, request)
		select {
		case p := <-w.permit: // nobody took it
			forget(p)
		default:
		}
	}
}

// permit passes a permit on to the write that waits for it. One that nobody waits for is forgotten.
func (s *server) permit(request uint64, p *linepb.Permit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, there := s.running[request]; there {
		select {
		case w.permit <- p:
			return
		default: // it has one
		}
	}
	forget(p)
}
