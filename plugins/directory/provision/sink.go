// Package provision writes into Active Directory what package plugins/provision describes: users and groups that come from the tenant.
//
// A [Sink] carries writes out in one directory, with the account for that, each over a connection to the one controller that the write names, which no other write uses meanwhile:
// [Sink.Carry] signs in, or takes a connection that is signed in, looks at the object and its containers, asks for the permit when nothing stands in the way any more, looks once more, and
// sends one LDAP operation. [Look] asks who has a name, and reads back what a
// write without an answer left. Nothing is sent twice, and nothing is taken to another controller.
//
// What protects others' objects: an object is addressed by objectGUID; a modification begins with the delete and the add of the link's value, so that it comes to nothing as a whole where the
// link is another one [there is no assertion control in Active Directory; a wrong value answers 16 and changes nothing]; values that are replaced are deleted by value; an object is made under
// a common name made of its cloud id, which Active Directory keeps unique; and protected objects are refused whatever the account may (package protection). Rename, move and delete have no
// condition over LDAP: between the look over the same connection and the write lie milliseconds in which somebody may take the link away.
package provision

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// Sink writes into one directory. It is safe for concurrent use: writes at the same time have a connection each. A write whose context ends costs its connection. Connections that no write
// uses end after a while, or with Close.
type Sink struct {
	Directory directory.Connection // of the account that reads; its URLs are the controllers that may be named
	Account   directory.Account    // the account that writes; without a user there is none
	Own       []string             // sign-in names of other accounts that work for Tandem, which are never written
	Now       func() time.Time     // nil: time.Now
	Random    io.Reader            // for passwords that nobody knows: crypto/rand.Reader

	rest  directory.Rest
	mu    sync.Mutex
	known map[scoping.GUID]map[string]bool // attributes that a controller's schema was seen to have, lower-cased
	idle  []*signedIn
	ends  *time.Timer // closes idle; nil: nothing was idle yet

	signing chan struct{} // has what signs in
}

// Permit allows the one write of a target, or says why it is refused.
type Permit struct {
	Refused   string        // a code; empty: it is allowed
	Remaining time.Duration // from when it was asked for: what has not begun by then is not begun, and what has is not waited for
	Values    provision.Values
}

// Outcome is how a write or a look ended. Reason, Diagnostic and Cause are for administrators.
type Outcome struct {
	Code       provision.Code
	Result     provision.Result
	Reason     string // more than the code says; may be empty
	Diagnostic string // what the controller said; may be empty
	Cause      error  // may be nil
}

// Why says for administrators why it is no success; empty where the code says it all.
func (o Outcome) Why() string {
	switch {
	case o.Reason != "" && o.Cause != nil:
		return o.Reason + ": " + o.Cause.Error()
	case o.Cause != nil:
		return o.Cause.Error()
	}
	return o.Reason
}

// Error makes an outcome an error, for the functions of this package that find what stands in the way.
func (o Outcome) Error() string { return string(o.Code) + ": " + o.Why() }

// Unwrap returns the cause.
func (o Outcome) Unwrap() error { return o.Cause }

func stop(code provision.Code, format string, args ...any) error {
	return Outcome{Code: code, Reason: fmt.Sprintf(format, args...)}
}

// Carry carries one write out. own are sign-in names of accounts that are never written, beside those that the Sink knows. ask is called at most once, and only when nothing stands in the
// way any more; an error of it means that there is no permit. What is asked for is not sent twice, whatever happens.
func (k *Sink) Carry(ctx context.Context, t provision.Target, own []string, ask func(context.Context) (Permit, error)) Outcome {
	if err := t.Valid(); err != nil {
		return Outcome{Code: provision.Failed, Cause: err}
	}
	if k.Account.User == "" {
		return Outcome{Code: provision.NoAgent, Reason: "there is no account that writes into directory " + k.Directory.Name}
	}
	h, err := k.begin(ctx, t, own)
	if err != nil {
		return outcomeOf(err)
	}
	o := h.carry(ctx, ask)
	k.release(h.signedIn, o)
	return o
}

// begin looks over a connection whether anything stands in the way. A kept connection that turns out to be broken is no trouble: nothing was asked for yet.
func (k *Sink) begin(ctx context.Context, t provision.Target, own []string) (*hand, error) {
	for {
		s, err := k.connect(ctx, t.Controller, t.Invocation)
		if err != nil {
			return nil, err
		}
		h := &hand{signedIn: s, sink: k, target: t}
		if err = h.ready(ctx, own); err == nil {
			return h, nil
		}
		o := outcomeOf(err)
		k.release(s, o)
		if !s.kept || ctx.Err() != nil || o.Code != provision.Unreachable && o.Code != provision.Failed {
			return nil, err
		}
	}
}

// ready refuses what stands in the way of a write.
func (h *hand) ready(ctx context.Context, own []string) error {
	k := h.sink
	if err := h.protects(ctx, append([]string{k.Directory.User, k.Account.User}, slices.Concat(k.Own, own)...)); err != nil {
		return err
	}
	if err := h.has(ctx, h.target.Link.Attribute); err != nil {
		return err
	}
	_, err := h.scene(ctx)
	return err
}

// carry asks for the permit and writes.
func (h *hand) carry(ctx context.Context, ask func(context.Context) (Permit, error)) Outcome {
	k := h.sink
	asked := k.now()
	p, err := ask(ctx)
	p.Remaining -= k.now().Sub(asked) // a process that stood still with the permit on its way does not begin later than whoever gave it believes
	switch {
	case err != nil:
		return Outcome{Code: provision.Refused, Reason: "no permit came", Cause: err}
	case p.Refused != "":
		return Outcome{Code: provision.Refused, Reason: p.Refused}
	case p.Remaining <= 0:
		return Outcome{Code: provision.Expired, Reason: "its time was over when the permit came"}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.Remaining, directory.ErrTimeout)
	defer cancel()
	w := provision.Write{Target: h.target, Values: p.Values}
	if err := w.Valid(); err != nil {
		return Outcome{Code: provision.Failed, Cause: err}
	}
	return h.write(ctx, w)
}

// refusedRest is how long no sign-in is tried after one that was refused: more of them would lock the account.
const refusedRest = 30 * time.Minute

func (k *Sink) now() time.Time {
	if k.Now == nil {
		return time.Now()
	}
	return k.Now()
}

// dial signs in at one controller.
func (k *Sink) dial(ctx context.Context, url string, invocation scoping.GUID) (*directory.Session, error) {
	if !slices.Contains(k.Directory.URLs, url) {
		return nil, stop(provision.OtherController, "%s is no controller of directory %s here: name it in url, or enrol the agent with it", url, k.Directory.Name)
	}
	var s *directory.Session
	err := k.rest.SignIn(k.now, refusedRest, func() error {
		c, err := k.Directory.As(k.Account)
		if err != nil {
			return err
		}
		c.URLs = []string{url}
		s, err = directory.Dial(ctx, c)
		return err
	})
	if err != nil {
		return nil, err
	}
	if err = same(s, invocation); err == nil && s.Controller().ReadOnly {
		err = stop(provision.ReadOnly, "%s is a read-only controller: name a writable one", url)
	}
	if err != nil {
		_ = s.Close() // nothing was asked of it
		return nil, err
	}
	return s, nil
}

// same refuses a controller that is not the one that is meant; the zero invocation means any.
func same(s *directory.Session, invocation scoping.GUID) error {
	if c := s.Controller(); !invocation.IsZero() && c.InvocationID != invocation {
		return stop(provision.OtherController, "%s is controller %s now and was %s: it was restored, or another one is reached by that address", c.URL, c.InvocationID, invocation)
	}
	return nil
}

// hand is one write over one session.
type hand struct {
	*signedIn
	sink   *Sink
	target provision.Target
	head   directory.Entry // of the domain
	headAt time.Time       // when it was asked for; zero: it was not
}

// has refuses attributes that the schema lacks. What it was seen to have it has for ever: schemas are only added to.
func (h *hand) has(ctx context.Context, names ...string) error {
	k, dc := h.sink, h.Controller().InvocationID
	k.mu.Lock()
	names = slices.DeleteFunc(slices.Clone(names), func(n string) bool { return k.known[dc][strings.ToLower(n)] })
	k.mu.Unlock()
	lacks, err := h.Lacks(ctx, names)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.known == nil {
		k.known = map[scoping.GUID]map[string]bool{}
	}
	if k.known[dc] == nil {
		k.known[dc] = map[string]bool{}
	}
	for _, n := range names {
		if !slices.Contains(lacks, n) {
			k.known[dc][strings.ToLower(n)] = true
		}
	}
	if len(lacks) == 0 {
		return nil
	}
	hint := "leave it out of the mapping, or extend the schema"
	if slices.Contains(lacks, h.target.Link.Attribute) {
		hint = "extend the schema to that of Windows Server 2016, or name another attribute for the link in the policy, such as adminDescription"
	}
	return stop(provision.NoAttribute, "the schema of %s has no attribute %s: %s", h.Controller().URL, strings.Join(lacks, ", "), hint)
}

// write looks once more and does it.
func (h *hand) write(ctx context.Context, w provision.Write) Outcome {
	var names []string
	for _, s := range w.Set {
		names = append(names, s.Attribute)
	}
	for _, r := range w.Refs {
		names = append(names, r.Attribute)
	}
	if err := errors.Join(fits(w)...); err != nil {
		return Outcome{Code: provision.Invalid, Cause: err}
	}
	if err := h.has(ctx, names...); err != nil {
		return outcomeOf(err)
	}
	at, err := h.scene(ctx)
	if err != nil {
		return outcomeOf(err)
	}
	reached()
	switch w.Op {
	case provision.Add:
		return h.add(ctx, w, at)
	case provision.Join:
		return h.join(ctx, w)
	case provision.Modify:
		return h.modify(ctx, w, at)
	case provision.Rename:
		return h.rename(ctx, w, at)
	case provision.Move:
		return h.move(ctx, w, at)
	case provision.Delete:
		return h.remove(ctx, at)
	}
	return Outcome{Code: provision.Failed, Reason: fmt.Sprintf("operation %q", w.Op)}
}

// fits returns which values Active Directory does not take. The host asks the same before; here they come from a wire.
func fits(w provision.Write) (bad []error) {
	for _, s := range w.Set {
		bad = append(bad, provision.CheckValues(w.Kind, s.Attribute, s.To))
	}
	if w.Op == provision.Rename {
		bad = append(bad, provision.CheckValues(w.Kind, "cn", []string{w.Name}))
	}
	return bad
}

// between is nil; tests set it, to let others write at the worst moment.
var between func()

func reached() {
	if between != nil {
		between()
	}
}

// outcomeOf is the outcome where nothing was written.
func outcomeOf(err error) Outcome {
	var o Outcome
	if errors.As(err, &o) {
		return o
	}
	o = Outcome{Code: provision.Failed, Cause: err}
	var dialed *directory.DialError
	switch {
	case errors.Is(err, directory.ErrNoSuchObject):
		o.Code = provision.Vanished
	case errors.Is(err, protection.ErrBlind), errors.Is(err, directory.ErrNotPermitted), errors.As(err, &dialed) && errors.Is(err, directory.ErrCredentials):
		o.Code = provision.NoRights
	case errors.Is(err, directory.ErrUnreachable), errors.Is(err, directory.ErrTimeout), errors.Is(err, directory.ErrTLS), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		o.Code = provision.Unreachable
	}
	return o
}
