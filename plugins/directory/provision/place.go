package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/internal/write"
	"github.com/tandem-sync/tandem/plugins/provision"
)

// rename gives the object another common name where it is.
func (h *hand) rename(ctx context.Context, w provision.Write, at scene) Outcome {
	if name := at.object.Text("name"); name != w.WasName {
		return Outcome{Code: provision.Precondition, Reason: fmt.Sprintf("%q is called %q and not %q: somebody renamed it", at.object.DN, name, w.WasName)}
	}
	if err := h.Rename(ctx, write.Rename{DN: at.object.DN, RDN: commonName(w.Name)}); err != nil {
		return h.explain(ctx, w, err)
	}
	return h.verify(ctx, w, func(e directory.Entry) string {
		if e.Text("name") != w.Name {
			return fmt.Sprintf("it is called %q after it was renamed to %q", e.Text("name"), w.Name)
		}
		return ""
	})
}

// move puts the object into another container, with the name that it has.
func (h *hand) move(ctx context.Context, w provision.Write, at scene) Outcome {
	if at.object.Parent != w.From {
		return Outcome{Code: provision.Precondition, Reason: fmt.Sprintf("%q does not lie in container %s any more: somebody moved it", at.object.DN, w.From)}
	}
	if err := h.Rename(ctx, write.Rename{DN: at.object.DN, RDN: commonName(at.object.Text("name")), Parent: at.container.DN}); err != nil {
		return h.explain(ctx, w, err)
	}
	return h.verify(ctx, w, func(e directory.Entry) string {
		if e.Parent != w.Container {
			return fmt.Sprintf("it lies at %q after it was moved into %q", e.DN, at.container.DN)
		}
		return ""
	})
}

// remove deletes the object.
func (h *hand) remove(ctx context.Context, at scene) Outcome {
	w := provision.Write{Target: h.target}
	if err := h.Remove(ctx, write.Removal{Object: w.Object}); err != nil {
		return h.explain(ctx, w, err)
	}
	r := h.result(at.object)
	r.USN = 0
	switch e, err := h.read(ctx, w.Object, "objectClass"); {
	case errors.Is(err, directory.ErrNoSuchObject):
		return Outcome{Code: provision.Done, Result: r}
	case err != nil:
		return Outcome{Code: provision.Done, Result: r, Reason: "it was deleted, and not looked at again", Cause: err}
	default:
		return Outcome{Code: provision.InDoubt, Result: r, Reason: fmt.Sprintf("it is there after it was deleted, as %q: somebody may have restored it", e.DN)}
	}
}

// verify reads the object again by its objectGUID. differs says what is not as it was written; nil: nothing is looked at but the link and the place.
func (h *hand) verify(ctx context.Context, w provision.Write, differs func(directory.Entry) string) Outcome {
	r := provision.Result{Object: w.Object, Invocation: h.Controller().InvocationID}
	e, err := h.read(ctx, w.Object, "name", w.Link.Attribute)
	if err != nil {
		return Outcome{Code: provision.InDoubt, Result: r, Reason: "it was written, and could not be read again", Cause: err}
	}
	r = h.result(e)
	why := ""
	if differs != nil {
		why = differs(e)
	}
	if is := e.Text(w.Link.Attribute); why == "" && !w.ByGUID && is != afterwards(w.Target) {
		why = fmt.Sprintf("its %s is %q after it was written", w.Link.Attribute, is)
	}
	from := w.Roots
	if w.Op == provision.Move {
		from = nil
	}
	if why == "" && !w.ByGUID {
		if err := h.below(ctx, e, from); err != nil {
			why = err.Error()
		}
	}
	if why != "" {
		return Outcome{Code: provision.InDoubt, Result: r, Reason: why + ": somebody else changed it at the same time"}
	}
	return Outcome{Code: provision.Done, Result: r}
}

// afterwards is what the object of a target shows as its link when it was written.
func afterwards(t provision.Target) string {
	if t.Altered {
		return t.WasLink
	}
	return t.Link.Value
}
