package cloudsync

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/scoping"
)

// hub is where agents dial in. It knows which are live, and hands them requests (see ask).
type hub struct {
	linepb.UnimplementedLineServer

	authority *authority
	registry  *registry
	log       *slog.Logger
	clock     clock
	bases     []string      // naming contexts that are synchronized here
	silence   time.Duration // an agent that says nothing for so long in an answer is given up
	changed   func()        // an agent came or went

	port *port

	mu      sync.Mutex
	live    map[string]*live
	records map[string]*record // by agent; kept over its lines
	paces   map[paceKey]*pace
	signal  chan struct{} // closed and replaced when an agent comes or goes
	calls   map[uint64]*call
	last    uint64 // number of the last request
}

// live is an agent that attends.
type live struct {
	enrolled
	version    string
	machine    string       // names the installed machine; empty: the agent does not tell
	process    string       // one run of the agent's program; empty: it does not tell
	controller string       // guarded by hub.mu, as it was when the agent attended or answered last
	invocation scoping.GUID // guarded by hub.mu
	since      time.Time
	requests   chan *linepb.Request
	kick       chan struct{} // closed to end its Attend
	gone       chan struct{} // closed when its Attend has ended
	load       int           // requests under way; guarded by hub.mu
}

// listen opens the port and serves agents until close.
func (h *hub) listen(address string) error {
	known := func(agent string) bool {
		_, ok := h.registry.find(agent)
		return ok
	}
	p, err := listenPort(address, h.authority, known, h.clock, h.log)
	if err != nil {
		return err
	}
	h.port, h.live, h.calls, h.signal = p, map[string]*live{}, map[uint64]*call{}, make(chan struct{})
	h.records, h.paces = map[string]*record{}, map[paceKey]*pace{}
	linepb.RegisterLineServer(p.agents, h)
	linepb.RegisterLineServer(p.strangers, h)
	p.serve()
	return nil
}

// address is where agents dial in.
func (h *hub) address() string { return h.port.listener.Addr().String() }

// close ends every line and waits for what served them.
func (h *hub) close() { h.port.close() }

func (h *hub) reads(base string) bool {
	return slices.ContainsFunc(h.bases, func(b string) bool { return line.SameBase(b, base) })
}

// Attend implements linepb.LineServer: it lasts as long as the agent lives.
func (h *hub) Attend(r *linepb.AttendRequest, stream grpc.ServerStreamingServer[linepb.Request]) error {
	a, who, err := h.attendant(stream.Context())
	if err != nil {
		return err
	}
	if !h.reads(r.Base) || !line.SameBase(a.Base, r.Base) {
		return status.Errorf(codes.FailedPrecondition, "no directory with base %q is synchronized here; these are: %q", r.Base, h.bases)
	}
	if a.Expires.IsZero() { // enrolled before this was noted
		if err := h.registry.certified(a.ID, who.leaf.NotAfter); err != nil {
			return status.Error(codes.Internal, err.Error())
		}
	}
	l := &live{enrolled: a, version: shortened(r.Version), controller: r.Controller, machine: shortened(r.Machine), process: string(r.Process), since: h.clock.now(),
		requests: make(chan *linepb.Request), kick: make(chan struct{}), gone: make(chan struct{})}
	l.Host = shortened(r.Host)
	l.invocation, _ = scoping.GUIDFromBytes(r.Invocation)
	if err := h.join(l, r); err != nil {
		return err
	}
	defer h.leave(l)
	watching, end := context.WithCancel(stream.Context())
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end()
	watch.Go(func() { h.watch(watching, l) })
	if err := stream.SendHeader(metadata.Pairs(line.Attending, "yes")); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-l.kick:
			// A removed agent is told so; one that attends anew ends here without being told anything.
			_, _, err := h.attendant(stream.Context())
			return err
		case request := <-l.requests:
			err := stream.Send(request)
			forgetPermit(request.GetPermit())
			if err != nil {
				return err
			}
		}
	}
}

// join takes an agent in. A newer line of the same process replaces the older, which may be dead without anybody knowing yet. Another
// process is refused while the older lives: two that replaced each other in turn would never let the other work.
func (h *hub) join(l *live, r *linepb.AttendRequest) error {
	h.mu.Lock()
	rec, old := h.record(l.ID), h.live[l.ID]
	if old != nil && l.process != "" && old.process != "" && l.process != old.process {
		where := second(l.Host, l.machine)
		told := rec.second != where
		rec.second, rec.seconded = where, h.clock.now()
		h.mu.Unlock()
		if told {
			h.log.Warn("a second process with an agent's identity is refused", "agent", l.ID, "attends", old.Host, "machine", old.machine,
				"refused", l.Host, "its machine", l.machine)
			h.changed()
		}
		return errAttends(old, l.Host, l.machine)
	}
	rec.attends(r, h.clock.now())
	if old != nil {
		close(old.kick)
	}
	h.live[l.ID] = l
	h.tell()
	h.mu.Unlock()
	h.changed()
	return nil
}

func (h *hub) leave(l *live) {
	h.mu.Lock()
	if h.live[l.ID] == l {
		delete(h.live, l.ID)
		h.record(l.ID).left = h.clock.now()
	}
	close(l.gone)
	h.tell()
	h.mu.Unlock()
	h.changed()
}

// tell wakes whoever waits for an agent. The caller holds mu.
func (h *hub) tell() {
	close(h.signal)
	h.signal = make(chan struct{})
}

// remove takes an agent's right to attend, and ends its line.
func (h *hub) remove(id string) error {
	if err := h.registry.remove(id, h.clock.now()); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.live[id]; l != nil {
		delete(h.live, id)
		close(l.kick)
	}
	delete(h.records, id)
	return nil
}

// audience says which agents may serve a directory.
type audience struct{ group, base string }

func (a audience) has(l *live) bool { return l.Group == a.group && line.SameBase(l.Base, a.base) }

// attending returns the live agents of an audience, the best first, and a channel that is closed when one comes or goes.
func (h *hub) attending(a audience) ([]*live, <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*live
	for _, l := range h.live {
		if a.has(l) {
			out = append(out, l)
		}
	}
	h.rank(out, nil)
	return out, h.signal
}

// coming returns a channel that is closed when an agent comes or goes.
func (h *hub) coming() <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.signal
}

// everyone gives all live agents in the order of their ids.
func (h *hub) everyone() []*live {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*live, 0, len(h.live))
	for _, l := range h.live {
		out = append(out, l)
	}
	slices.SortFunc(out, func(x, y *live) int { return strings.Compare(x.ID, y.ID) })
	return out
}

// await waits until at least n agents of the audience attend; ctx's end gives the number there is.
func (h *hub) await(ctx context.Context, a audience, n int) int {
	for {
		agents, changed := h.attending(a)
		if len(agents) >= n {
			return len(agents)
		}
		select {
		case <-ctx.Done():
			return len(agents)
		case <-changed:
		}
	}
}
