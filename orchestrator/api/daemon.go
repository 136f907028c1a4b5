package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/state"
)

// endLimit is how long a daemon may take to end. An engine is killed 3 s after it was asked to end, and requests to tenant or directory end with
// their context. Whatever has not ended by then hangs for an unknown reason, and the process ends nevertheless: every step that matters is durable or
// did not happen.
const endLimit = 45 * time.Second

// Serve is the daemon: it takes the state, serves its socket and runs the schedules until ctx ends, or until the state cannot be used any more. While
// a one-shot command holds the state it waits for its end. ready is called with the daemon's addresses. Errors match state.ErrHeld when another
// daemon has the state, or a holder does not answer.
func Serve(ctx context.Context, o Options, ready func(Serving)) error {
	c, err := load(&o)
	if err != nil {
		return err
	}
	o.daemon = true
	s, err := takeOver(ctx, c, o)
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- s.run(ctx, o.Listen, ready) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	select {
	case err := <-ended:
		return err
	case <-o.Clock(endLimit):
		return fmt.Errorf("it did not end within %s and is given up: %s", endLimit, strings.Join(s.busy(), ", "))
	}
}

// Serving is where a daemon is reached.
type Serving struct {
	Socket  string
	Monitor string // HOST:PORT of /metrics, /healthz and /readyz, or ""
}

// takeOver waits until the state is free and serves it. A one-shot command that holds it ends by itself, however long it takes; a process that is
// just beginning or ending does not answer for a short time.
func takeOver(ctx context.Context, c orchestrator.Config, o Options) (*server, error) {
	remote := newClient(func(ctx context.Context) (net.Conn, error) { return dialState(ctx, o.State) })
	defer remote.http.CloseIdleConnections()
	told := 0
	end := o.Clock(holderPatience)
	for {
		s, err := serve(ctx, c, o)
		if !errors.Is(err, state.ErrHeld) {
			return s, err
		}
		if info, helloErr := remote.hello(ctx); helloErr == nil {
			if info.Daemon {
				return nil, err
			}
			if info.PID != told {
				told = info.PID
				o.tell(fmt.Sprintf("waiting for `%s` (process %d), which holds the state, to end", info.Command, info.PID))
			}
			end = o.Clock(holderPatience) // it answers: the next holder gets its own time
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

// run serves until ctx ends or the state cannot be used any more. It then asks commands in progress to stop, so that no loop waits for one.
func (s *server) run(ctx context.Context, listen string, ready func(Serving)) error {
	path, err := socketPath(s.handler.info.State)
	var m *monitor
	at := Serving{Socket: path}
	if err == nil && listen != "" {
		var tcp net.Addr
		if m, tcp, err = s.monitorOn(listen); err == nil {
			at.Monitor = tcp.String()
		}
	}
	if err == nil {
		ready(at)
		stop := context.AfterFunc(ctx, s.handler.cancelAll)
		err = s.o.RunSchedules(ctx)
		stop()
	}
	err = errors.Join(err, m.close())
	s.handler.cancelAll()
	s.client.http.CloseIdleConnections()
	return errors.Join(err, s.close())
}

// busy describes what has not ended.
func (s *server) busy() []string {
	var out []string
	for _, l := range s.o.Loops() {
		if !l.Began.IsZero() {
			out = append(out, fmt.Sprintf("%s is busy since %s", l.Name, l.Began.UTC().Format(time.RFC3339)))
		}
	}
	if len(out) == 0 {
		out = append(out, "its loops have ended; a command or an engine has not")
	}
	return out
}

// cancelAll asks all commands in progress, and those still to come, to stop: the daemon ends.
func (h *Handler) cancelAll() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ending = true
	for _, stop := range h.calls {
		stop(errStopped)
	}
}

// watch answers monitoring requests. It reports whether the request was one.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request) bool {
	if r.Method != http.MethodGet {
		return false
	}
	switch r.URL.Path {
	case "/healthz":
		h.alive(w)
	case "/readyz":
		h.ready(w, r)
	case "/metrics":
		h.metrics.ServeHTTP(w, r)
	default:
		return false
	}
	return true
}
