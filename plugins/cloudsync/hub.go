package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/peer"
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

	listener net.Listener
	server   *grpc.Server
	serving  sync.WaitGroup

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
	l, err := net.Listen("tcp", address)
	if err != nil {
		return fmt.Errorf("listen for agents: %w", err)
	}
	h.listener, h.live, h.calls, h.signal = l, map[string]*live{}, map[uint64]*call{}, make(chan struct{})
	h.records, h.paces = map[string]*record{}, map[paceKey]*pace{}
	h.server = grpc.NewServer(grpc.Creds(credentials.NewTLS(h.authority.serverTLS(h.clock.now))),
		grpc.MaxRecvMsgSize(line.MaxMessage), grpc.MaxSendMsgSize(line.MaxMessage), grpc.WaitForHandlers(true),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: line.AgentAlive, Timeout: line.AgentAlive}),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: line.KeepAlive / 2, PermitWithoutStream: true}))
	linepb.RegisterLineServer(h.server, h)
	h.serving.Go(func() {
		if err := h.server.Serve(l); err != nil {
			h.log.Error("agents cannot dial in any more", "error", err)
		}
	})
	return nil
}

// address is where agents dial in.
func (h *hub) address() string { return h.listener.Addr().String() }

// close ends every line and waits for what served them.
func (h *hub) close() {
	h.server.Stop()
	h.serving.Wait()
}

// Enroll implements linepb.LineServer.
func (h *hub) Enroll(_ context.Context, r *linepb.EnrollRequest) (*linepb.EnrollReply, error) {
	if !h.reads(r.Base) {
		return nil, status.Errorf(codes.InvalidArgument, "no directory with base %q is synchronized here; these are: %q", r.Base, h.bases)
	}
	// The request is checked before the token is used up.
	if _, err := h.authority.enrol(r.Csr, "check", h.clock.now()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	a, err := h.registry.redeem(string(r.Secret), enrolled{Base: r.Base, Host: r.Host}, h.clock.now())
	if errors.Is(err, errTokenWrong) || errors.Is(err, errTokenExpired) {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	h.log.Info("an agent was enrolled", "agent", a.ID, "group", a.Group, "base", a.Base, "host", a.Host)
	return h.certify(a, r.Csr)
}

// Renew implements linepb.LineServer.
func (h *hub) Renew(ctx context.Context, r *linepb.RenewRequest) (*linepb.EnrollReply, error) {
	a, err := h.caller(ctx)
	if err != nil {
		return nil, err
	}
	return h.certify(a, r.Csr)
}

func (h *hub) certify(a enrolled, csr []byte) (*linepb.EnrollReply, error) {
	der, err := h.authority.enrol(csr, a.ID, h.clock.now())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	return &linepb.EnrollReply{Agent: a.ID, Group: a.Group, Certificate: der}, nil
}

// caller is the enrolled agent behind a call, by its client certificate.
func (h *hub) caller(ctx context.Context) (enrolled, error) {
	p, ok := peer.FromContext(ctx)
	if !ok {
		return enrolled{}, status.Error(codes.Unauthenticated, "no connection")
	}
	info, ok := p.AuthInfo.(credentials.TLSInfo)
	if !ok || len(info.State.VerifiedChains) == 0 {
		return enrolled{}, status.Error(codes.Unauthenticated, "a client certificate is needed: enrol first")
	}
	id := info.State.PeerCertificates[0].Subject.CommonName
	a, ok := h.registry.find(id)
	if !ok {
		return enrolled{}, status.Errorf(codes.PermissionDenied, "agent %s is not known here any more", id)
	}
	return a, nil
}

func (h *hub) reads(base string) bool {
	return slices.ContainsFunc(h.bases, func(b string) bool { return line.SameBase(b, base) })
}

// Attend implements linepb.LineServer: it lasts as long as the agent lives.
func (h *hub) Attend(r *linepb.AttendRequest, stream grpc.ServerStreamingServer[linepb.Request]) error {
	a, err := h.caller(stream.Context())
	if err != nil {
		return err
	}
	if !h.reads(r.Base) || !line.SameBase(a.Base, r.Base) {
		return status.Errorf(codes.FailedPrecondition, "no directory with base %q is synchronized here; these are: %q", r.Base, h.bases)
	}
	l := &live{enrolled: a, version: r.Version, controller: r.Controller, since: h.clock.now(), requests: make(chan *linepb.Request),
		kick: make(chan struct{}), gone: make(chan struct{})}
	l.Host = r.Host
	l.invocation, _ = scoping.GUIDFromBytes(r.Invocation)
	h.join(l, r)
	defer h.leave(l)
	watching, end := context.WithCancel(stream.Context())
	var watch sync.WaitGroup
	defer watch.Wait()
	defer end()
	watch.Go(func() { h.watch(watching, l) })
	if err := stream.SendHeader(nil); err != nil {
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case <-l.kick:
			// A removed agent is told so; one that attends anew ends here without being told anything.
			_, err := h.caller(stream.Context())
			return err
		case request := <-l.requests:
			if err := stream.Send(request); err != nil {
				return err
			}
		}
	}
}

func (h *hub) join(l *live, r *linepb.AttendRequest) {
	h.mu.Lock()
	h.record(l.ID).attends(r, h.clock.now())
	if old := h.live[l.ID]; old != nil {
		close(old.kick)
	}
	h.live[l.ID] = l
	h.tell()
	h.mu.Unlock()
	h.changed()
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
	if err := h.registry.remove(id); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if l := h.live[id]; l != nil {
		delete(h.live, id)
		close(l.kick)
	}
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
