package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
)

// errLost says that an agent died, fell silent, or left before its answer was whole.
var errLost = errors.New("the agent was lost in the middle of its answer")

// NoAgentError says that no live agent can serve a directory.
type NoAgentError struct {
	Directory   string
	Live, Needs int
	Last        error // why the last agent did not serve, as far as known; nil if none tried
}

// Error says what to do about it.
func (e *NoAgentError) Error() string {
	if e.Last != nil {
		return fmt.Sprintf("no live agent could serve directory %s: %v", e.Directory, e.Last)
	}
	return fmt.Sprintf("no live agent for directory %s (%d live, %d needed); start tandem-agent run on an enrolled host, or enrol "+
		"one: tandem agent invite", e.Directory, e.Live, e.Needs)
}

// Unwrap gives the last agent's failure.
func (e *NoAgentError) Unwrap() error { return e.Last }

// failureError is what the directory answered an agent.
type failureError struct {
	Agent, Code, Message string
}

func (e *failureError) Error() string { return fmt.Sprintf("agent %s: %s", e.Agent, e.Message) }

// final says that another agent would answer the same.
func (e *failureError) final() bool { return e.Code == line.CodeCookie || e.Code == line.CodeNotFound }

// reading is one request and where its answer goes.
type reading struct {
	request *linepb.Request
	begin   func(*linepb.Start) error   // the answer begins, perhaps anew: what came before does not count
	entry   func(directory.Entry) error // nil: no entries are expected
	prefer  func(*live) bool            // agents to ask first; nil: all alike
}

// ask gives the request to one agent after the other until one answers it whole. An agent that is lost is not asked again; the
// answer begins anew with the next. Agents that come meanwhile are asked too.
func (h *hub) ask(ctx context.Context, name string, a audience, r reading) (*linepb.End, error) {
	asked := map[*live]bool{}
	var last error
	for {
		l := h.choose(a, asked, r.prefer)
		if l == nil {
			return nil, &NoAgentError{Directory: name, Needs: 1, Last: last}
		}
		asked[l] = true
		end, err := h.askOne(ctx, l, r)
		var failure *failureError
		switch {
		case err == nil:
			return end, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.As(err, &failure) && failure.final():
			return nil, err
		case errors.As(err, &failure), errors.Is(err, errLost):
			h.log.Warn("another agent is asked", "directory", name, "agent", l.ID, "error", err)
			last = err
		default:
			return nil, err // the taker's own error
		}
	}
}

func (h *hub) choose(a audience, asked map[*live]bool, prefer func(*live) bool) *live {
	agents, _ := h.attending(a)
	agents = slices.DeleteFunc(agents, func(l *live) bool { return asked[l] })
	if prefer != nil {
		if i := slices.IndexFunc(agents, prefer); i >= 0 {
			return agents[i]
		}
	}
	if len(agents) == 0 {
		return nil
	}
	return agents[0]
}

// call is a request under way with one agent.
type call struct {
	agent  *live
	parts  chan *linepb.Part // unbuffered: the agent is held back by the taker
	broken chan struct{}     // closed when the answer's stream ended without End or Failure
	over   chan struct{}     // closed when nobody takes parts any more

	claimed bool // an answer has begun; guarded by hub.mu
}

func (h *hub) open(l *live, request *linepb.Request) *call {
	c := &call{agent: l, parts: make(chan *linepb.Part), broken: make(chan struct{}), over: make(chan struct{})}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.last++
	request.Id = h.last
	h.calls[request.Id] = c
	l.load++
	return c
}

func (h *hub) shut(id uint64, c *call) {
	h.mu.Lock()
	delete(h.calls, id)
	c.agent.load--
	h.mu.Unlock()
	close(c.over)
}

func (h *hub) askOne(ctx context.Context, l *live, r reading) (*linepb.End, error) {
	request := &linepb.Request{Is: r.request.Is, Controller: r.request.Controller, Attributes: r.request.Attributes}
	c := h.open(l, request)
	defer h.shut(request.Id, c)
	select {
	case l.requests <- request:
	case <-l.gone:
		return nil, fmt.Errorf("%w (%s)", errLost, l.ID)
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	end, err := h.take(ctx, c, r)
	if err != nil {
		h.withdraw(l, request.Id)
	}
	return end, err
}

// withdraw tells the agent to stop reading. It does not insist: an agent that is gone or busy finds its answer refused.
func (h *hub) withdraw(l *live, id uint64) {
	t := time.NewTimer(time.Second)
	defer t.Stop()
	select {
	case l.requests <- &linepb.Request{Id: id, Is: &linepb.Request_Cancel{Cancel: &linepb.Cancel{}}}:
	case <-l.gone:
	case <-t.C:
	}
}

func (h *hub) take(ctx context.Context, c *call, r reading) (*linepb.End, error) {
	silence := time.NewTimer(h.silence)
	defer silence.Stop()
	for {
		select {
		case p := <-c.parts:
			end, err := takePart(c, r, p)
			if end != nil || err != nil {
				return end, err
			}
			silence.Reset(h.silence)
		case <-c.broken:
			return nil, fmt.Errorf("%w (%s)", errLost, c.agent.ID)
		case <-c.agent.gone:
			return nil, fmt.Errorf("%w (%s)", errLost, c.agent.ID)
		case <-silence.C:
			return nil, fmt.Errorf("%w (%s said nothing for %s)", errLost, c.agent.ID, h.silence)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

func takePart(c *call, r reading, p *linepb.Part) (*linepb.End, error) {
	switch is := p.Is.(type) {
	case *linepb.Part_Start:
		return nil, r.begin(is.Start)
	case *linepb.Part_Entries:
		return nil, takeEntries(c, r, is.Entries.Entries)
	case *linepb.Part_End:
		return is.End, nil
	case *linepb.Part_Failure:
		return nil, &failureError{Agent: c.agent.ID, Code: is.Failure.Code, Message: is.Failure.Message}
	}
	return nil, nil
}

func takeEntries(c *call, r reading, entries [][]byte) error {
	if r.entry == nil {
		return fmt.Errorf("%w (%s answers a request that was not made)", errLost, c.agent.ID)
	}
	for _, b := range entries {
		e, err := directory.DecodeEntry(b)
		if err != nil {
			return fmt.Errorf("%w (%s: %w)", errLost, c.agent.ID, err)
		}
		if err := r.entry(e); err != nil {
			return err
		}
	}
	return nil
}

// Answer implements linepb.LineServer.
func (h *hub) Answer(stream grpc.ClientStreamingServer[linepb.Part, linepb.Received]) error {
	a, err := h.caller(stream.Context())
	if err != nil {
		return err
	}
	var c *call
	for {
		p, err := stream.Recv()
		if err != nil {
			if c != nil {
				close(c.broken)
			}
			return err
		}
		if c == nil {
			if c = h.callOf(p.Request, a.ID); c == nil {
				return status.Error(codes.Aborted, "nobody waits for this answer")
			}
		}
		select {
		case c.parts <- p:
		case <-c.over:
			return status.Error(codes.Aborted, "nobody waits for this answer any more")
		case <-stream.Context().Done():
			close(c.broken)
			return stream.Context().Err()
		}
		if p.GetEnd() != nil || p.GetFailure() != nil {
			return stream.SendAndClose(&linepb.Received{})
		}
	}
}

func (h *hub) callOf(request uint64, agent string) *call {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := h.calls[request]
	if c == nil || c.agent.ID != agent || c.claimed {
		return nil
	}
	c.claimed = true
	return c
}
