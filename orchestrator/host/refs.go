package host

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tandem-sync/tandem/orchestrator/census"
	"github.com/tandem-sync/tandem/orchestrator/ledger"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/scoping"
	"github.com/tandem-sync/tandem/scoping/policy"
)

// RefError is a failure about one object, with the reference by which it was asked for.
type RefError struct {
	Ref string
	Err error
}

// Error implements error: the reference stands in Err's own text.
func (e *RefError) Error() string { return e.Err.Error() }

// Unwrap returns what went wrong.
func (e *RefError) Unwrap() error { return e.Err }

func refError(ref, format string, args ...any) error {
	return &RefError{Ref: ref, Err: fmt.Errorf(format, args...)}
}

// resolveDN finds a container or object by DN in the directory whose naming context it lies in.
func (h *Host) resolveDN(ctx context.Context, dn string) (dir string, guid scoping.GUID, chain []scoping.GUID, err error) {
	if _, err := scoping.ParseDN(dn); err != nil {
		return "", guid, nil, refError(dn, "%w", Refuse("%w", err))
	}
	for _, name := range h.o.Census.Names() {
		guid, _, chain, err := h.o.Census.Resolve(ctx, name, dn)
		if err == nil {
			return name, guid, chain, nil
		}
		if !errors.Is(err, directory.ErrNoSuchObject) {
			return "", guid, nil, err
		}
	}
	return "", guid, nil, refError(dn, "%w: %s is in none of the directories (%s)", ErrNotFound, dn, strings.Join(h.o.Census.Names(), ", "))
}

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

// Find resolves what people call an object: a DN, a user principal name, a source anchor, an account name, an identity, or a tenant object id.
func (h *Host) Find(ctx context.Context, ref string) (scoping.ObjectID, error) {
	if id, err := scoping.ParseObjectID(ref); err == nil {
		return id, nil
	}
	if strings.Contains(ref, "=") && strings.Contains(ref, ",") {
		dir, guid, _, err := h.resolveDN(ctx, ref)
		if err == nil {
			return scoping.ObjectID{Directory: dir, GUID: guid}, nil
		}
		if id, ok := h.rowNamed(ref); ok {
			return id, nil
		}
		return scoping.ObjectID{}, err
	}
	var found []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		if row, ok := s.ByCloud(ref); ok {
			found = append(found, row.Object)
		}
	})
	for _, n := range h.o.Census.Names() {
		h.o.Census.Tree(n, func(t *census.Tree) { found = append(found, t.Find(ref)...) })
	}
	found = append(found, h.byCloudName(ref)...)
	slices.SortFunc(found, scoping.ObjectID.Compare)
	switch found = slices.Compact(found); len(found) {
	case 0:
		return scoping.ObjectID{}, refError(ref, "%w: %q is no DN, user principal name, source anchor or tenant object id that is known", ErrNotFound, ref)
	case 1:
		return found[0], nil
	}
	return scoping.ObjectID{}, refError(ref, "%w", Refuse("%q names %d objects, %s among them: use the DN", ref, len(found), h.nameOf(found[0])))
}

// rowNamed finds an object that is gone by the name under which it was last seen.
func (h *Host) rowNamed(dn string) (id scoping.ObjectID, ok bool) {
	want, err := scoping.ParseDN(dn)
	if err != nil {
		return id, false
	}
	h.gate.Read(func(s *ledger.State) {
		for _, o := range s.Objects() {
			if d, err := scoping.ParseDN(s.Rows[o].Name); err == nil && d.Equal(want) {
				id, ok = o, true
			}
		}
	})
	return id, ok
}

// byCloudName finds the object of a tenant user by his sign-in name or anchor there.
func (h *Host) byCloudName(ref string) []scoping.ObjectID {
	o, ok := h.o.Cache.ByUPN(ref)
	if !ok {
		return nil
	}
	var out []scoping.ObjectID
	h.gate.Read(func(s *ledger.State) {
		if row, linked := s.ByCloud(o.ID); linked {
			out = append(out, row.Object)
		}
	})
	return out
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
	if err := h.choose(ctx); err != nil {
		if errors.As(err, &unread) {
			h.noteDirectories(began, unread)
		}
		return nil, false, nil, err
	}
	events, full, err = h.o.Census.Refresh(ctx)
	if err != nil && (!errors.As(err, &unread) || ctx.Err() != nil || errors.Is(err, ErrNotBound)) {
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
