package cloudsync

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
)

// mostName bounds what an agent calls its host, machine and version.
const mostName = 255

// Enroll implements linepb.LineServer.
func (h *hub) Enroll(_ context.Context, r *linepb.EnrollRequest) (*linepb.EnrollReply, error) {
	// The token goes first: who has none learns nothing and costs nothing.
	if err := h.registry.invited(string(r.Secret), h.clock.now()); err != nil {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	if !h.reads(r.Base) {
		return nil, status.Errorf(codes.InvalidArgument, "no directory with base %q is synchronized here; these are: %q", r.Base, h.bases)
	}
	// The request is checked before the token is used up.
	if _, err := h.authority.enrol(r.Csr, nil, "check", h.clock.now()); err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	a, err := h.registry.redeem(string(r.Secret), enrolled{Base: r.Base, Host: shortened(r.Host), Machine: shortened(r.Machine)}, h.clock.now())
	if errors.Is(err, errTokenWrong) || errors.Is(err, errTokenExpired) {
		return nil, status.Error(codes.PermissionDenied, err.Error())
	}
	if err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	h.log.Info("an agent was enrolled", "agent", a.ID, "group", a.Group, "base", a.Base, "host", a.Host)
	return h.certify(a, caller{}, r.Csr)
}

func shortened(s string) string {
	if len(s) > mostName {
		return s[:mostName]
	}
	return s
}

// Renew implements linepb.LineServer.
func (h *hub) Renew(ctx context.Context, r *linepb.RenewRequest) (*linepb.EnrollReply, error) {
	a, who, err := h.identify(ctx)
	if err != nil {
		return nil, err
	}
	return h.certify(a, who, r.Csr)
}

// certify signs a certificate, for the key of the one before if there was one, and notes when it ends.
func (h *hub) certify(a enrolled, who caller, csr []byte) (*linepb.EnrollReply, error) {
	der, err := h.authority.enrol(csr, who.leaf, a.ID, h.clock.now())
	if err != nil {
		return nil, status.Error(codes.InvalidArgument, err.Error())
	}
	if err := h.registry.certified(a.ID, h.clock.now().Add(agentLife)); err != nil {
		return nil, status.Error(codes.Internal, err.Error())
	}
	h.changed()
	return &linepb.EnrollReply{Agent: a.ID, Group: a.Group, Certificate: der}, nil
}

// identify finds the enrolled agent behind a call, by its client certificate, which may have ended a short time ago.
// PermissionDenied says that a person removed it, and nothing else.
func (h *hub) identify(ctx context.Context) (enrolled, caller, error) {
	var who caller
	if p, ok := peer.FromContext(ctx); ok {
		who, _ = p.AuthInfo.(caller)
	}
	if who.agent == "" {
		return enrolled{}, who, status.Error(codes.Unauthenticated, who.refused)
	}
	a, ok := h.registry.find(who.agent)
	switch {
	case ok:
		return a, who, nil
	case h.registry.wasRemoved(who.agent):
		return enrolled{}, who, status.Errorf(codes.PermissionDenied, "agent %s was removed", who.agent)
	}
	return enrolled{}, who, status.Errorf(codes.Unauthenticated, "agent %s is not known here: was the engine's folder replaced? If it does not come "+
		"back, enrol the agent again with tandem-agent enroll --force and a new token", who.agent)
}

// attendant is identify for calls that need a certificate in force.
func (h *hub) attendant(ctx context.Context) (enrolled, caller, error) {
	a, who, err := h.identify(ctx)
	if err == nil && who.lapsed {
		err = status.Errorf(codes.Unauthenticated, "the certificate of agent %s ended on %s: it must be renewed first", a.ID, who.leaf.NotAfter.Format(time.DateOnly))
	}
	return a, who, err
}

// errAttends is what a second process with an agent's identity is told.
func errAttends(first *live, host, machine string) error {
	if first.machine != machine || first.Host != host {
		return status.Errorf(codes.AlreadyExists, "agent %s attends from host %s (machine %s) since %s; this is host %s (machine %s): one identity cannot be "+
			"used twice. Enrol an agent of its own here: tandem-agent enroll --force with a new token", first.ID, first.Host, first.machine,
			first.since.UTC().Format(time.RFC3339), host, machine)
	}
	return status.Errorf(codes.AlreadyExists, "agent %s attends from another process on this host since %s: stop one of the two", first.ID,
		first.since.UTC().Format(time.RFC3339))
}

// second says where another process with an agent's identity is, for people.
func second(host, machine string) string {
	return fmt.Sprintf("a second process with its identity was refused on host %s (machine %s): enrol that one anew", host, machine)
}
