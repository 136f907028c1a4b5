package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/reach"
	"github.com/tandem-sync/tandem/orchestrator/tenancy"
)

// ensureCensus reads the directories if one was never read.
func (h *Host) ensureCensus(ctx context.Context) error {
	for _, n := range h.o.Census.Names() {
		if h.o.Census.USN(n) == 0 {
			return h.prepareDirectory(ctx)
		}
	}
	return nil
}

// lookAround reads what changed in the directories, membership of choices included. unread names directories that were read before and cannot be read
// now; a directory that was never read is an error, since nothing is known of it.
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

// noteDirectories remembers which directories a refresh reached.
func (h *Host) noteDirectories(began time.Time, unread *census.UnreadError) {
	for _, n := range h.o.Census.Names() {
		if unread == nil || unread.Directories[n] == nil {
			h.Note(reach.Directory(n), began, nil)
			continue
		}
		h.Note(reach.Directory(n), began, unread.Directories[n])
	}
}
