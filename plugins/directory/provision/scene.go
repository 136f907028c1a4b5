package provision

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/access"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

type accessSID = access.SID

// scene is what a write meets: read over the connection that will write.
type scene struct {
	object    directory.Entry // but for an add
	container directory.Entry // of an add and a move
}

// scene reads what a write is about, and refuses what stands in its way.
func (h *hand) scene(ctx context.Context) (at scene, err error) {
	t := h.target
	if t.ByGUID {
		at.object, err = h.object(ctx)
		return at, err
	}
	if !t.Container.IsZero() {
		what := "the container"
		if t.Container == t.Root {
			what = "the container of the policy"
		}
		if at.container, err = h.holder(ctx, t.Container, what); err != nil {
			return at, err
		}
		if err := h.below(ctx, at.container, nil); err != nil {
			return at, err
		}
	}
	if t.Op == provision.Add {
		return at, h.free(ctx, at.container)
	}
	if at.object, err = h.object(ctx); is(err, provision.Vanished) { // perhaps with all that was there
		if _, gone := h.holder(ctx, t.Root, "the container of the policy"); gone != nil {
			err = gone
		}
	}
	return at, err
}

// is reports whether an error is an outcome of that code.
func is(err error, code provision.Code) bool {
	var o Outcome
	return errors.As(err, &o) && o.Code == code
}

// read reads one living object by its objectGUID.
func (h *hand) read(ctx context.Context, g scoping.GUID, attrs ...string) (directory.Entry, error) {
	return one(ctx, h.Session, directory.SearchQuery{BaseGUID: g, Scope: directory.Base, Attrs: attrs})
}

func one(ctx context.Context, s *directory.Session, q directory.SearchQuery) (directory.Entry, error) {
	var found directory.Entry
	err := s.Search(ctx, q, func(e directory.Entry) error { found = e; return nil })
	if err == nil && (found.GUID.IsZero() || found.Deleted) {
		err = directory.ErrNoSuchObject
	}
	return found, err
}

// holder reads a container.
func (h *hand) holder(ctx context.Context, g scoping.GUID, what string) (directory.Entry, error) {
	e, err := h.read(ctx, g, "objectClass")
	if errors.Is(err, directory.ErrNoSuchObject) {
		return e, stop(provision.NoContainer, "%s %s is not at %s any more: somebody deleted it, or %s does not see it. Name another one in the policy, or restore it", what, g, h.Controller().URL, h.sink.Account.User)
	}
	if err != nil {
		return e, fmt.Errorf("read %s %s: %w", what, g, err)
	}
	return e, nil
}

// below refuses what does not lie below the container of the policy, or one of others. What lies in it shows it.
func (h *hand) below(ctx context.Context, e directory.Entry, others []scoping.GUID) error {
	if root := h.target.Root; e.GUID == root || e.Parent == root || slices.Contains(others, e.Parent) {
		return nil
	}
	up, err := h.Ancestors(ctx, e.Parent)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(up, func(g scoping.GUID) bool { return g == h.target.Root || slices.Contains(others, g) }) {
		if _, err := h.holder(ctx, h.target.Root, "the container of the policy"); err != nil {
			return err
		}
		return stop(provision.Outside, "%q does not lie below the container %s of the policy", e.DN, h.target.Root)
	}
	return nil
}

// free refuses an add whose object is there: under its name in the container, or with its link anywhere in the domain.
func (h *hand) free(ctx context.Context, container directory.Entry) error {
	t := h.target
	there, err := one(ctx, h.Session, directory.SearchQuery{BaseDN: commonName(t.RDN()) + "," + container.DN, Scope: directory.Base, Attrs: []string{"objectClass"}})
	if errors.Is(err, directory.ErrNoSuchObject) {
		there, err = h.linked(ctx)
	}
	switch {
	case errors.Is(err, directory.ErrNoSuchObject):
		return nil
	case err != nil:
		return fmt.Errorf("look for what an earlier add made: %w", err)
	}
	return exists(there, t.Link, h.Controller().InvocationID)
}

func exists(there directory.Entry, l provision.Link, dc scoping.GUID) Outcome {
	return Outcome{Code: provision.Exists, Reason: fmt.Sprintf("%q is there with the name or the %s of %s", there.DN, l.Attribute, l.Value),
		Result: provision.Result{Object: there.GUID, DN: there.DN, Invocation: dc, USN: there.Version}}
}

// linked finds the living object that holds the link's value; directory.ErrNoSuchObject if there is none.
func (h *hand) linked(ctx context.Context) (directory.Entry, error) {
	return one(ctx, h.Session, directory.SearchQuery{Filter: directory.EqualFilter(h.target.Link.Attribute, h.target.Link.Value), Attrs: []string{"objectClass"}})
}

// object reads the object that is written, and refuses one that is another's, of another kind, protected, or elsewhere.
func (h *hand) object(ctx context.Context) (directory.Entry, error) {
	t := h.target
	e, err := h.read(ctx, t.Object, append([]string{"name", t.Link.Attribute}, protection.Attributes...)...)
	if errors.Is(err, directory.ErrNoSuchObject) {
		return e, stop(provision.Vanished, "object %s is not at %s any more: it was deleted", t.Object, h.Controller().URL)
	}
	if err != nil {
		return e, fmt.Errorf("look at object %s: %w", t.Object, err)
	}
	why, err := h.protected(ctx, e)
	switch {
	case err != nil:
		return e, fmt.Errorf("%q at %s: %w", e.DN, h.Controller().URL, err)
	case why != "":
		return e, stop(provision.Protected, "%q is never written: %s", e.DN, why)
	case e.Kind() != t.Kind:
		return e, stop(provision.Protected, "%q is a %s and not a %s", e.DN, e.Kind(), t.Kind)
	case t.ByGUID:
		return e, nil
	case !slices.Equal(e.Texts(t.Link.Attribute), shown(t)):
		return e, stop(provision.Precondition, "%s of %q is %q and not %q: it is not what it was linked to", t.Link.Attribute, e.DN, e.Texts(t.Link.Attribute), shown(t))
	}
	return e, h.below(ctx, e, t.Roots)
}

// shown is what the object of a target has to show as its link before the write.
func shown(t provision.Target) []string {
	switch {
	case t.Op != provision.Join && !t.Altered:
		return []string{t.Link.Value}
	case t.WasLink == "":
		return nil
	}
	return []string{t.WasLink}
}

// protected judges the object by the domain's head, which holds who has power over the domain. The second look at an object goes by the head of the first, unless the permit took its time.
func (h *hand) protected(ctx context.Context, e directory.Entry) (why string, err error) {
	if age := h.sink.now().Sub(h.headAt); h.headAt.IsZero() || age < 0 || age > time.Second {
		h.headAt = h.sink.now()
		if h.head, err = head(ctx, h.Session); err != nil {
			return "", err
		}
	}
	return judge(ctx, h.Session, e, h.head, h.own)
}

func head(ctx context.Context, s *directory.Session) (directory.Entry, error) {
	root, err := one(ctx, s, directory.SearchQuery{Scope: directory.Base, Attrs: []string{"nTSecurityDescriptor"}, Descriptor: true})
	if err != nil {
		return root, fmt.Errorf("look at the domain: %w", err)
	}
	return root, nil
}

func judge(ctx context.Context, s *directory.Session, e, root directory.Entry, own []access.SID) (string, error) {
	if e.Kind() != scoping.Group {
		return protection.OfUser(e, root, own)
	}
	holders, err := protection.Holders(ctx, s, e)
	if err != nil {
		return "", err
	}
	return protection.OfGroup(e, root, holders)
}

// commonName returns the relative name of what is called by a text.
func commonName(text string) string { return "CN=" + scoping.EscapeValue(text) }
