package api

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/state"
)

// holderPatience is how long a command waits for a holder that is just beginning or ending.
const holderPatience = 10 * time.Second

// Options are the state and the process that asks.
type Options struct {
	Config  string                                 // path of tandem.yaml; empty: TANDEM_CONFIG, then ./tandem.yaml
	State   string                                 // overrides the configuration's state folder
	Command string                                 // what this process is, shown to others that find the state held
	Self    string                                 // the executable that serves the built-in engines; empty: this one
	Getenv  func(string) string                    // nil: os.Getenv
	Logger  *slog.Logger                           // nil: silent
	Warn    func(message string)                   // may be nil; receives warnings that concern every command
	Clock   func(d time.Duration) <-chan time.Time // nil: time.After
	Tell    func(message string)                   // may be nil; receives what a waiting person should know

	Listen string // where a daemon also listens for monitoring, HOST:PORT; may be empty

	// Glance: the command only shows what is stored. It may then be answered without taking the state, which is fast and possible beside other
	// processes.
	Glance bool

	daemon bool
}

func (o Options) tell(message string) {
	if o.Tell != nil {
		o.Tell(message)
	}
}

// Session is a client, with the holder behind it when that is this process. It has to be closed.
type Session struct {
	*Client
	server *server // nil: another process holds the state
}

// Connect opens the state folder and serves it, or connects to the process that holds it. If a process holds the folder and does not answer, the
// error is a *state.HeldError, which names it.
func Connect(ctx context.Context, o Options) (*Session, error) {
	c, err := load(&o)
	if err != nil {
		return nil, err
	}
	if elsewhere(c, o.State) {
		return connectOthers(ctx, c, o)
	}
	end := o.Clock(holderPatience)
	for {
		s, err := serve(ctx, c, o)
		if err == nil {
			s.client.Warn = o.Warn
			return &Session{Client: s.client, server: s}, nil
		}
		if !errors.Is(err, state.ErrHeld) {
			return nil, err
		}
		remote := newClient(func(ctx context.Context) (net.Conn, error) { return dialState(ctx, o.State) })
		if _, helloErr := remote.hello(ctx); helloErr == nil {
			remote.Warn = o.Warn
			return &Session{Client: remote}, nil
		}
		select {
		case <-end:
			return nil, err
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-o.Clock(50 * time.Millisecond):
		}
	}
}

// connectOthers connects to the holder of another user's state.
func connectOthers(ctx context.Context, c orchestrator.Config, o Options) (*Session, error) {
	path := c.SocketPath()
	remote := newClient(func(ctx context.Context) (net.Conn, error) {
		d := net.Dialer{Timeout: 2 * time.Second}
		return d.DialContext(ctx, "unix", path)
	})
	if _, err := remote.hello(ctx); err != nil {
		return nil, errNoDaemon(path, err)
	}
	remote.Warn = o.Warn
	return &Session{Client: remote}, nil
}

func load(o *Options) (orchestrator.Config, error) {
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Clock == nil {
		o.Clock = time.After
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	c, err := orchestrator.LoadConfig(o.Config, o.Getenv)
	if err != nil {
		return c, err
	}
	if o.State == "" {
		o.State = c.StateDir()
	}
	if names := c.Insecure(); len(names) > 0 && o.Warn != nil {
		o.Warn("the certificates of " + strings.Join(names, ", ") + " are not verified (tls.insecureSkipVerify): anybody in between can read the directory's password")
	}
	if files := c.Exposed(); len(files) > 0 && o.Warn != nil {
		o.Warn("everybody on this machine can read " + strings.Join(files, ", ") + ": take that right away (chmod o-r)")
	}
	return c, nil
}

// TakePasswords carries out password changes from the tenant, as a daemon always does, until there were none for a while or ctx ends. If another
// process holds the state, that one does so.
func (s *Session) TakePasswords(ctx context.Context) error {
	if s.server == nil {
		return nil
	}
	return s.server.o.Host().SetPasswords().Poll(ctx)
}

// Do runs f with a session. If the holder ended between the greeting and the command, it connects again: the command did not begin.
func Do(ctx context.Context, o Options, f func(*Session) error) error {
	if o.Glance && glance(ctx, o, f) {
		return nil
	}
	for tries := 0; ; tries++ {
		s, err := Connect(ctx, o)
		if err != nil {
			return err
		}
		err = errors.Join(f(s), s.Close())
		if !errors.Is(err, errGone) || tries == 3 {
			return err
		}
	}
}

// glance answers a command from what is stored. After any failure, of the command too, it returns false and the state is taken instead: nothing was
// changed, and f shows nothing before it succeeds.
func glance(ctx context.Context, o Options, f func(*Session) error) bool {
	var warned []string
	warn := o.Warn
	o.Warn = func(m string) { warned = append(warned, m) } // taking the state repeats them
	c, err := load(&o)
	if err != nil {
		return false
	}
	h := newHub()
	x, err := orchestrator.Open(ctx, c, orchestrator.Options{Glance: true, Logger: o.Logger, Command: o.Command, Self: o.Self, StateDir: o.State, Progress: h.tell, Getenv: o.Getenv})
	if err != nil {
		return false // also if another process holds the state, which is asked then
	}
	s := &server{o: x, handler: newHandler(x, h, Info{PID: os.Getpid(), Command: o.Command, State: o.State}), ended: make(chan error, 1)}
	inside := newMemory()
	s.client, s.http = newClient(inside.dial), &http.Server{Handler: s.handler, ConnContext: withCaller, ReadHeaderTimeout: 10 * time.Second}
	s.client.Warn = o.Warn
	go func() { s.ended <- s.http.Serve(inside) }()
	err = f(&Session{Client: s.client})
	s.client.http.CloseIdleConnections()
	if err == nil {
		err = x.Host().Doubt()
	}
	closed := s.http.Shutdown(ctx)
	<-s.ended
	if errors.Join(err, closed, x.Close(ctx)) != nil {
		return false
	}
	for _, m := range warned {
		if warn != nil {
			warn(m)
		}
	}
	return true
}

// Local reports whether this process holds the state.
func (s *Session) Local() bool { return s.server != nil }

// Close releases the state, after every other served command has ended.
func (s *Session) Close() error {
	s.http.CloseIdleConnections()
	if s.server == nil {
		return nil
	}
	return s.server.close()
}

// server is a holder: the orchestrator, its handler, and its listeners.
type server struct {
	o       *orchestrator.Orchestrator
	handler *Handler
	client  *Client
	http    *http.Server
	ended   chan error // receives the end of each listener

	listeners int
}

// serve takes the state folder and serves it. Errors match state.ErrHeld when another process has it.
func serve(ctx context.Context, c orchestrator.Config, o Options) (*server, error) {
	h := newHub()
	x, err := orchestrator.Open(ctx, c, orchestrator.Options{Logger: o.Logger, Command: o.Command, Self: o.Self, StateDir: o.State, Progress: h.tell, Getenv: o.Getenv})
	if err != nil {
		return nil, err
	}
	s := &server{o: x, handler: newHandler(x, h, Info{PID: os.Getpid(), Command: o.Command, State: o.State, Daemon: o.daemon}), ended: make(chan error, 3)}
	others := ""
	if o.daemon { // a one-shot command serves its owner only
		others = c.SocketPath()
	}
	if err := s.listen(o.State, others); err != nil {
		return nil, errors.Join(err, x.Close(ctx))
	}
	return s, nil
}

func (s *server) listen(dir, others string) error {
	socket, err := listen(dir)
	if err != nil {
		return err
	}
	inside := newMemory()
	on := []net.Listener{socket, inside}
	if others != "" {
		l, err := listenOthers(others)
		if err != nil {
			return errors.Join(err, socket.Close())
		}
		on = append(on, l)
	}
	s.client = newClient(inside.dial)
	s.http = &http.Server{Handler: s.handler, ConnContext: withCaller, ReadHeaderTimeout: 10 * time.Second}
	s.listeners = len(on)
	for _, l := range on {
		go func() { s.ended <- s.http.Serve(l) }()
	}
	return nil
}

// callLimit is how long a command that was asked to stop may take to its next durable step.
const callLimit = 30 * time.Second

// close stops serving, after commands of others have ended. A daemon has asked them to stop, and waits for callLimit only.
func (s *server) close() error {
	ctx := context.Background()
	if s.handler.info.Daemon {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, callLimit)
		defer cancel()
	}
	err := s.http.Shutdown(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.Join(fmt.Errorf("commands did not stop within %s and are cut off", callLimit), s.http.Close())
	}
	for range s.listeners {
		if e := <-s.ended; !errors.Is(e, http.ErrServerClosed) {
			err = errors.Join(err, fmt.Errorf("serving the socket: %w", e))
		}
	}
	return errors.Join(err, cleanSocket(s.handler.info.State), s.o.Close(context.Background()))
}
