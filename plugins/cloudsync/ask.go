package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// errLost says that an agent died, fell silent, or left before its answer was whole.
var errLost = errors.New("the agent was lost in the middle of its answer")

// NoAgentError says that no live agent can serve a directory.
type NoAgentError struct {
	Directory   string
	Live, Needs int
	Failures    []error // why each agent that was asked did not serve; empty if none was
	Unenrolled  bool    // fewer are enrolled than are needed: waiting helps nothing
	elsewhere   bool    // one could, that reads another controller than the cookie is of
}

// noAgents is the error when too few agents attend. trouble is why embedded ones do not; nil if nothing is known.
func noAgents(directory string, live, needs int, trouble error) *NoAgentError {
	e := &NoAgentError{Directory: directory, Live: live, Needs: needs}
	if trouble != nil {
		e.Failures = []error{trouble}
	}
	return e
}

// Error says what to do about it.
func (e *NoAgentError) Error() string {
	if len(e.Failures) > 0 {
		var all []string
		for _, f := range e.Failures {
			if !slices.Contains(all, f.Error()) {
				all = append(all, f.Error())
			}
		}
		return fmt.Sprintf("no live agent could serve directory %s: %s", e.Directory, strings.Join(all, "; "))
	}
	if e.Unenrolled {
		return fmt.Sprintf("directory %s has too few agents: %d attending, %d needed, and no more are enrolled; `tandem agent invite` prints a token, with which `tandem-agent enroll` on the agent's host "+
			"enrols one, and `tandem-agent run` starts it (for a try without hosts of their own: settings.agents.embedded in tandem.yaml)", e.Directory, e.Live, e.Needs)
	}
	return fmt.Sprintf("no live agent for directory %s (%d live, %d needed); start tandem-agent run on an enrolled host, or enrol "+
		"one: tandem agent invite", e.Directory, e.Live, e.Needs)
}

// Unwrap gives the agents' failures.
func (e *NoAgentError) Unwrap() []error { return e.Failures }

// failureError is what the directory answered an agent.
type failureError struct {
	Agent, Code, Message string
}

func (e *failureError) Error() string { return fmt.Sprintf("agent %s: %s", e.Agent, e.Message) }

func failureOf(l *live, f *linepb.Failure) error {
	return &failureError{Agent: l.ID, Code: f.Code, Message: f.Message}
}

// PasswordCode is the code of a failure to read passwords.
func (e *failureError) PasswordCode() string {
	if e.Code == line.CodeNoAccount || strings.HasPrefix(e.Code, "drs-") {
		return e.Code
	}
	return ""
}

// Is matches what an agent cannot say otherwise over the line.
func (e *failureError) Is(target error) bool {
	return e.Code == line.CodeBehind && target == directory.ErrBehind || e.Code == line.CodeNoAccount && target == passwordhash.ErrNoAccount
}

// final says that another agent would answer the same.
func (e *failureError) final() bool { return e.Code == line.CodeCookie || e.Code == line.CodeNotFound }

// reading is one request and where its answer goes.
type reading struct {
	request *linepb.Request
	begin   func(*linepb.Start) error       // the answer begins, perhaps anew: what came before does not count
	entry   func(directory.Entry) error     // nil: no entries are expected
	users   func([]passwordhash.User) error // nil: none are expected
	written func(*live, *linepb.Written)    // of a look: what was found; nil: none is expected
	needs   scoping.Purpose                 // of the account without which an agent is not asked; "": none
	pinned  func(*live) bool                // agents that read the controller meant: others are asked when these cannot serve; nil: all alike
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

// follow gives a request to one agent and passes each part of its answer on, the End or Failure last. Its errors are errLost,
// each's own, or the end of ctx; the agent is told then to stop reading.
func (h *hub) follow(ctx context.Context, l *live, r *linepb.Request, each func(*linepb.Part) error) error {
	request := &linepb.Request{Is: r.Is, Controller: r.Controller, Attributes: r.Attributes, AsOf: r.AsOf}
	c := h.open(l, request)
	defer h.shut(request.Id, c)
	select {
	case l.requests <- request:
	case <-l.gone:
		return fmt.Errorf("%w (%s)", errLost, l.ID)
	case <-ctx.Done():
		return ctx.Err()
	}
	err := h.pass(ctx, c, each)
	if err != nil {
		h.withdraw(l, request.Id)
	}
	return err
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

func (h *hub) pass(ctx context.Context, c *call, each func(*linepb.Part) error) error {
	for {
		silence, stop := h.clock.after(h.silence)
		select {
		case p := <-c.parts:
			stop()
			if err := each(p); err != nil {
				return err
			}
			if p.GetEnd() != nil || p.GetFailure() != nil {
				return nil
			}
			continue
		case <-c.broken:
		case <-c.agent.gone:
		case <-silence:
			return fmt.Errorf("%w (%s said nothing for %s)", errLost, c.agent.ID, h.silence)
		case <-ctx.Done():
			stop()
			return ctx.Err()
		}
		stop()
		return fmt.Errorf("%w (%s)", errLost, c.agent.ID)
	}
}

// Answer implements linepb.LineServer.
func (h *hub) Answer(stream grpc.ClientStreamingServer[linepb.Part, linepb.Received]) error {
	a, _, err := h.attendant(stream.Context())
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
