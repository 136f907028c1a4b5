package host

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// pinner resolves a policy's DNs through the census.
type pinner struct{ h *Host }

// Resolve implements policy.Resolver.
func (p pinner) Resolve(ctx context.Context, dir string, dn scoping.DN) (scoping.Pin, error) {
	g, canonical, chain, err := p.h.o.Census.Resolve(ctx, dir, dn.String())
	if errors.Is(err, directory.ErrNoSuchObject) {
		return scoping.Pin{}, fmt.Errorf("%w: %w", policy.ErrNotFound, err)
	}
	if err != nil {
		return scoping.Pin{}, err
	}
	return scoping.Pin{GUID: g, DN: canonical, Ancestors: chain}, nil
}

// ensureCensus reads the directory if nothing is known of it yet.
func (h *Host) ensureCensus(ctx context.Context) error {
	for _, n := range h.o.Census.Names() {
		if h.o.Census.USN(n) == 0 {
			return h.prepareDirectory(ctx)
		}
	}
	return nil
}

// lookAround reads what changed in the directories, whom choices take included. unread names those that were read before and cannot be read now; one
// that was never read is an error: nothing is known of what lies there.
func (h *Host) lookAround(ctx context.Context) (events []census.Event, full bool, unread *census.UnreadError, err error) {
	began := h.now()
	if err := h.Choose(ctx); err != nil {
		if errors.As(err, &unread) {
			h.noteDirectories(began, unread)
		}
		return nil, false, nil, err
	}
	events, full, err = h.o.Census.Refresh(ctx)
	if err != nil && (!errors.As(err, &unread) || ctx.Err() != nil || errors.Is(err, tenancy.ErrNotBound)) {
		return nil, false, nil, fmt.Errorf("reading the directory's changes: %w", err)
	}
	h.noteDirectories(began, unread)
	if unread != nil && slices.ContainsFunc(unread.Names(), func(n string) bool { return h.o.Census.USN(n) == 0 }) {
		h.o.Census.Again(events, full)
		return nil, false, nil, fmt.Errorf("reading the directory's changes: %w", unread)
	}
	more, err := h.weighChosen(ctx, events)
	if err != nil {
		h.o.Census.Again(events, full)
		return nil, false, nil, err
	}
	return more, full, unread, nil
}

// prepareDirectory refreshes the census alone.
func (h *Host) prepareDirectory(ctx context.Context) error {
	h.prep.Lock()
	defer h.prep.Unlock()
	unread, err := h.readDirectories(ctx)
	if err == nil && unread != nil {
		return fmt.Errorf("reading the directory's changes: %w", unread)
	}
	return err
}
