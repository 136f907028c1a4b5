package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"

	"github.com/tandem-sync/tandem/orchestrator"
	"github.com/tandem-sync/tandem/orchestrator/metrics"
	"github.com/tandem-sync/tandem/plugins/secret"
)

// maxRequest bounds the body of a request: the largest is a plan file.
const maxRequest = 64 << 20

// Handler answers the commands of one running orchestrator. It is safe for concurrent use.
type Handler struct {
	o    *orchestrator.Orchestrator
	hub  *hub
	info Info

	metrics http.Handler

	mu     sync.Mutex
	calls  map[string]context.CancelCauseFunc
	ending bool          // the holder ends: calls stop at their next durable step
	wake   chan struct{} // closed when a person decides about a wave
}

// Info describes the holder of the state.
type Info struct {
	PID     int    `json:"pid"`
	Command string `json:"command"`
	State   string `json:"state"`
	Daemon  bool   `json:"daemon,omitempty"` // it serves until it is stopped; others end with their command
}

func newHandler(o *orchestrator.Orchestrator, h *hub, i Info) *Handler {
	registry := metrics.Registry(func() (metrics.Snapshot, error) { return o.Snapshot(context.Background()) })
	return &Handler{o: o, hub: h, info: i, metrics: metrics.Handler(registry), calls: map[string]context.CancelCauseFunc{}, wake: make(chan struct{})}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /v1/hello":
		writeJSON(w, h.info)
		return
	case "POST /v1/cancel":
		h.cancel(r.Header.Get(callHeader))
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if h.watch(w, r) {
		return
	}
	x, ok := commandOf(r)
	if !ok {
		http.NotFound(w, r)
		return
	}
	h.serve(w, r, x)
}

func commandOf(r *http.Request) (x command, ok bool) {
	const prefix = "/v1/"
	if r.Method != http.MethodPost || len(r.URL.Path) <= len(prefix) {
		return x, false
	}
	x, ok = commands[r.URL.Path[len(prefix):]]
	return x, ok
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the client may have hung up
}

// callHeader names a call, so that a second request can stop it.
const callHeader = "Tandem-Call"

func (h *Handler) cancel(id string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if stop := h.calls[id]; stop != nil {
		stop(errStopped)
	}
}

// call is one command in progress.
type call struct {
	h    *Handler
	by   string // the person at the other end
	who  caller
	body []byte

	mu  sync.Mutex
	enc *json.Encoder
	out http.Flusher
}

// runner carries out one command.
type runner func(ctx context.Context, c *call) (any, Outcome, error)

// on makes a runner of a function that takes a decoded request.
func on[Q any](f func(ctx context.Context, c *call, q Q) (any, Outcome, error)) runner {
	return func(ctx context.Context, c *call) (any, Outcome, error) {
		var q Q
		d := json.NewDecoder(bytes.NewReader(c.body))
		d.DisallowUnknownFields()
		if err := d.Decode(&q); err != nil {
			return nil, Outcome{}, Usage("the request is not understood: %v", err)
		}
		return f(ctx, c, q)
	}
}

func (h *Handler) serve(w http.ResponseWriter, r *http.Request, x command) {
	ctx, stop := context.WithCancelCause(r.Context())
	defer stop(nil)
	if id := r.Header.Get(callHeader); id != "" {
		h.mu.Lock()
		h.calls[id] = stop
		if h.ending {
			stop(errStopped)
		}
		h.mu.Unlock()
		defer func() {
			h.mu.Lock()
			delete(h.calls, id)
			h.mu.Unlock()
		}()
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	who := callerOf(r.Context())
	c := &call{h: h, by: who.name, who: who, enc: json.NewEncoder(w)}
	c.enc.SetEscapeHTML(false)
	c.out, _ = w.(http.Flusher)
	var body secret.Buffer // of one command it contains a password
	defer body.Wipe()
	if _, err := body.ReadFrom(http.MaxBytesReader(w, r.Body, maxRequest)); err != nil {
		c.write(line{Error: AsError(fmt.Errorf("reading the request: %w", err))})
		return
	}
	c.body = body.Bytes()
	end := h.hub.subscribe(func(p Progress) { c.write(line{Progress: &p}) })
	last := c.finish(ctx, func(ctx context.Context, c *call) (any, Outcome, error) {
		if err := c.may(x.role); err != nil {
			return nil, Outcome{}, err
		}
		return x.run(ctx, c)
	})
	end()
	if last.Error == nil || last.Error.Kind != KindOtherHost && last.Error.Kind != KindNotBound {
		last.Warning = h.o.Host().ReadOnly()
	}
	c.write(last)
}

// finish carries a command out and returns the last line of its answer. A panic ends the command, not the holder of the state.
func (c *call) finish(ctx context.Context, run runner) (last line) {
	defer func() {
		if p := recover(); p != nil {
			last = line{Error: &Error{Kind: KindFailed, Exit: ExitFailed, Message: fmt.Sprintf("a defect of tandem ended the command: %v", p), Hint: "please report it; the state is safe: every step is durable or did not take place"}}
		}
	}()
	v, o, err := run(ctx, c)
	if err == nil {
		b, err := encode(v)
		if err != nil {
			return line{Error: AsError(err)}
		}
		return line{Result: &result{Value: b, Outcome: o}}
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(err, errStopped) && errors.Is(err, context.Canceled) {
		err = fmt.Errorf("%w: %w", cause, err)
	}
	return line{Error: AsError(err)}
}

// encode is json.Marshal without HTML escapes.
func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return bytes.TrimRight(b.Bytes(), "\n"), nil
}

// item sends one of many results.
func (c *call) item(v any) error {
	b, err := encode(v)
	if err != nil {
		return err
	}
	c.write(line{Item: b})
	return nil
}

func (c *call) write(l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	_ = c.enc.Encode(l) // if the client hung up, its context ends the work
	if c.out != nil && l.Item == nil {
		c.out.Flush()
	}
}

// hub passes progress on to all calls that wait for an answer.
type hub struct {
	mu   sync.Mutex
	next int
	subs map[int]chan Progress
}

// progressKept is how many lines of progress may wait for a reader; further ones are dropped, so that no reader delays the work.
const progressKept = 64

func newHub() *hub { return &hub{subs: map[int]chan Progress{}} }

func (h *hub) tell(p Progress) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, ch := range h.subs {
		select {
		case ch <- p:
		default:
		}
	}
}

// subscribe calls f with all progress until end is called; end waits for f.
func (h *hub) subscribe(f func(Progress)) (end func()) {
	ch, done := make(chan Progress, progressKept), make(chan struct{})
	h.mu.Lock()
	h.next++
	n := h.next
	h.subs[n] = ch
	h.mu.Unlock()
	go func() {
		defer close(done)
		for p := range ch {
			f(p)
		}
	}()
	return func() {
		h.mu.Lock()
		delete(h.subs, n)
		h.mu.Unlock()
		close(ch)
		<-done
	}
}
