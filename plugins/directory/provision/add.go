package provision

import (
	"context"
	"errors"
	"fmt"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/internal/write"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/plugins/secret"
	"github.com/tandem-sync/tandem/scoping"
)

// What a new object is.
const (
	disabledUser      = "514"         // NORMAL_ACCOUNT and ACCOUNTDISABLE (MS-ADTS 2.2.16)
	universalSecurity = "-2147483640" // of groupType (MS-ADTS 2.2.12)
)

// add makes the object by one operation, and reads its objectGUID back.
func (h *hand) add(ctx context.Context, w provision.Write, at scene) Outcome {
	a := write.Addition{DN: commonName(w.RDN()) + "," + at.container.DN, Attributes: []write.Attribute{{Name: w.Link.Attribute, Values: texts(w.Link.Value)}}}
	for _, s := range w.Set {
		a.Attributes = append(a.Attributes, write.Attribute{Name: s.Attribute, Values: texts(s.To...)})
	}
	if w.Kind == scoping.Group {
		a.Attributes = append(a.Attributes, write.Attribute{Name: "objectClass", Values: texts("group")}, write.Attribute{Name: "groupType", Values: texts(universalSecurity)})
		return h.made(ctx, w, at, h.Add(ctx, a))
	}
	fresh, err := password.Random(h.sink.Random, valueOf(w, "sAMAccountName"), valueOf(w, "displayName"))
	if err != nil {
		return Outcome{Code: provision.Failed, Cause: err}
	}
	defer fresh.Wipe()
	return h.made(ctx, w, at, h.addUser(ctx, a, fresh))
}

// addUser makes a user, disabled, with a password that nobody knows.
func (h *hand) addUser(ctx context.Context, a write.Addition, fresh *secret.Value) error {
	quoted, err := password.Quote(fresh)
	defer clear(quoted)
	if err != nil {
		return err
	}
	a.Attributes = append(a.Attributes, write.Attribute{Name: "objectClass", Values: texts("user")}, write.Attribute{Name: "userAccountControl", Values: texts(disabledUser)},
		write.Attribute{Name: "unicodePwd", Values: [][]byte{quoted}})
	return h.Add(ctx, a)
}

// made is the outcome of an add.
func (h *hand) made(ctx context.Context, w provision.Write, at scene, err error) Outcome {
	if err != nil {
		return h.explain(ctx, w, err)
	}
	attrs := []string{"objectClass", w.Link.Attribute, stampAttribute}
	e, err := one(ctx, h.Session, directory.SearchQuery{BaseDN: commonName(w.RDN()) + "," + at.container.DN, Scope: directory.Base, Attrs: attrs})
	if errors.Is(err, directory.ErrNoSuchObject) { // the container has another name since
		e, err = one(ctx, h.Session, directory.SearchQuery{Filter: directory.EqualFilter(w.Link.Attribute, w.Link.Value), Attrs: attrs})
	}
	switch {
	case err != nil:
		return Outcome{Code: provision.InDoubt, Reason: fmt.Sprintf("%q was made and could not be read back", w.RDN()), Cause: err}
	case e.Parent != w.Container || e.Text(w.Link.Attribute) != w.Link.Value:
		return Outcome{Code: provision.InDoubt, Reason: fmt.Sprintf("what was made is read back as %q with the %s %q", e.DN, w.Link.Attribute, e.Text(w.Link.Attribute))}
	}
	r := h.result(e)
	if w.Kind == scoping.User {
		r.Stamp = stampOf(e)
	}
	return Outcome{Code: provision.Done, Result: r}
}

func (h *hand) result(e directory.Entry) provision.Result {
	return provision.Result{Object: e.GUID, DN: e.DN, Invocation: h.Controller().InvocationID, USN: e.Version}
}

// valueOf is what a write makes an attribute; empty: nothing.
func valueOf(w provision.Write, attribute string) string {
	for _, s := range w.Set {
		if equalNames(s.Attribute, attribute) && len(s.To) > 0 {
			return s.To[0]
		}
	}
	return ""
}

func texts(values ...string) [][]byte {
	out := make([][]byte, len(values))
	for i, v := range values {
		out[i] = []byte(v)
	}
	return out
}
