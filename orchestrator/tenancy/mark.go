// Package tenancy decides whether this host may write to the tenant at all (rules H1–H3). The tenant carries a mark that names the host which writes
// to it; the state remembers its signatures, the tenant and directories that it belongs to, and whether it was restored and waits for a person.
//
// A Tenancy is made when the host opens. Recognize is called before each run and each act of a wave, Entitle and Left before each physical attempt;
// they may run at once. First, TakeOver and Activate are commands of administrators.
package tenancy

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/control"
	"github.com/tandem-sync/tandem/orchestrator/gate"
	"github.com/tandem-sync/tandem/scoping"
)

// The reasons for which a host may not write at all.
var (
	// ErrOtherHost means that another installation, another host, or a newer incarnation of this one writes to the tenant (rule H1): a cloned
	// machine, a copied folder, a restored backup. Only `tandem takeover` ends it.
	ErrOtherHost = errors.New("another Tandem feeds this tenant")
	// ErrNotBound means that the state belongs to another tenant or directory than the configuration names (rule H1).
	ErrNotBound = errors.New("the state belongs to another tenant or directory")
)

// Identity distinguishes hosts.
type Identity struct {
	Machine string // the machine's id; "" if it has none
	Folder  string // the state folder's own random id; "" if the state is not in a folder
	Name    string // the machine's name, for display
	CopyOf  string // the folder that this one is a copy of; "" if it is none, or the original does not exist any more
}

// Key returns the part of an identity that is compared.
func (i Identity) Key() string { return i.Machine + "-" + i.Folder }

// Mark is the tenant's record of the host that writes to it (rule H1).
type Mark struct {
	Installation string
	Incarnation  uint64
	Host         string // Identity.Key of the host that last began to write; "" in a mark of an older version
	Name         string // its machine's name
	Nonce        string // renewed whenever a host begins to write
	At           time.Time
}

// host describes the host of a mark.
func (m Mark) host() string {
	s := "installation " + m.Installation
	if m.Name != "" {
		s += " on host " + m.Name
	}
	if !m.At.IsZero() {
		s += ", which began to write at " + m.At.UTC().Format(time.RFC3339)
	}
	return s
}

// Marker is a tenant that can keep a mark. Its reads may lag by the tenant's delay. permitted is false if the application may not keep a mark: then
// the rule cannot be enforced, which is no error.
type Marker interface {
	Mark(ctx context.Context) (m Mark, found, permitted bool, err error)
	SetMark(ctx context.Context, m Mark) (permitted bool, err error)
}

// Identified is a tenant that knows its id.
type Identified interface {
	TenantID(ctx context.Context) (string, error)
}

// DefaultTenure is how long a host may go on writing after it last saw its own mark.
const DefaultTenure = 2 * time.Minute

// keptNonces is how many of its own nonces a host remembers: a lagging read may show one as old as the tenant's delay.
const keptNonces = 64

// Census is what Tenancy needs of the host's view of the directories.
type Census interface {
	Names() []string
	// Root reads the objectGUID and the name of a directory's root.
	Root(ctx context.Context, name string) (scoping.GUID, string, error)
}

// Options are what a Tenancy is made of. Identity, Renew, Configured and GhostLife may be left out.
type Options struct {
	Control  *control.Control
	Census   Census
	Tenant   any // a Marker and Identified, if it can be
	Engines  func() []string
	Identity Identity
	// Renew makes a new identity for the state folder at a take-over; nil: it keeps its identity.
	Renew      func() (Identity, error)
	Configured Configured
	Tenure     time.Duration // how long a host may go on writing after it last saw its own mark
	GhostLife  time.Duration // how long a request without an answer may still take effect
	Delay      func() time.Duration
	Remaining  func() time.Duration // what is left of the control store's own tenure
	Clock      gate.Clock
	NewID      func() string
	Grant      func(context.Context) error // tells the engines their grants
	// Waiting is called with how long a command has waited for another host to stop writing.
	Waiting func(phase string, done, whole time.Duration)
}

// Tenancy is this host's right to write. It is safe for concurrent use.
type Tenancy struct {
	o Options // Identity is guarded by mu

	mu sync.Mutex
	is known
}

// New makes a Tenancy that knows nothing yet.
func New(o Options) *Tenancy { return &Tenancy{o: o} }

// known is what this process knows of its right to write.
type known struct {
	mark      Mark             // by the last reading
	found     bool             // the tenant had a mark
	permitted bool             // the application may keep a mark
	read      time.Time        // time of the last reading; zero: none
	ours      time.Time        // when it was last seen to be this host's; the tenure counts from it
	claimed   bool             // this process has renewed the nonce
	bound     bool             // this process has seen that the tenant is the state's
	notBefore int64            // of control's head
	binding   *control.Binding // control's
}

// takeoverAdvice ends every refusal that is due to another host.
const takeoverAdvice = "if that one writes no more, `tandem takeover --reason R` takes the tenant over"

// foreign returns why a tenant's mark forbids this host to write, or "". A nonce of the state's own history is lag, any other is another host's. A
// mark of an older incarnation is lag as well, or was written by a host that has not noticed the take-over yet: see overwritten.
func foreign(hd control.Head, m Mark, found bool) string {
	switch {
	case !found:
		return ""
	case m.Installation != hd.Installation:
		return fmt.Sprintf("the tenant is fed by %s; this is installation %s: %s", m.host(), hd.Installation, takeoverAdvice)
	case m.Incarnation > hd.Epoch.Incarnation:
		return fmt.Sprintf("the tenant is fed by incarnation %d of %s; this state is of incarnation %d: was it restored from an old backup, or taken over? %s",
			m.Incarnation, m.host(), hd.Epoch.Incarnation, takeoverAdvice)
	case m.Incarnation == hd.Epoch.Incarnation && m.Nonce != "" && !signed(hd, m.Nonce):
		return fmt.Sprintf("the tenant was last written by another host with a copy of this state: %s; %s", m.host(), takeoverAdvice)
	}
	return ""
}

// signed reports whether a nonce is of the state's own history.
func signed(hd control.Head, nonce string) bool {
	return slices.ContainsFunc(hd.Signed, func(s control.Signature) bool { return s.Nonce == nonce })
}

// lingers returns why another host's mark that was seen recently still counts although a read shows this host's: reads of the tenant lag, and not all
// by the same time.
func lingers(hd control.Head, now time.Time, delay time.Duration) string {
	if hd.Refused == nil || now.UnixMilli() >= hd.Refused.At+delay.Milliseconds() {
		return ""
	}
	return hd.Refused.Why
}

// overwritten reports whether a mark of an older incarnation replaced this state's: the displaced host had read an old mark when it wrote. Within the
// tenant's delay such a read is lag.
func overwritten(hd control.Head, m Mark, found bool, now time.Time, delay time.Duration) bool {
	return found && m.Installation == hd.Installation && m.Incarnation < hd.Epoch.Incarnation && !signed(hd, m.Nonce) && now.UnixMilli() > hd.SignedAt+delay.Milliseconds()
}

// displaced returns why a state folder that another host used may not write here, or "". It does not ask the tenant.
func displaced(hd control.Head, me Identity) string {
	if hd.Restored != nil || len(hd.Signed) == 0 {
		return ""
	}
	last := hd.Signed[len(hd.Signed)-1].Host
	switch {
	case me.CopyOf != "":
		return fmt.Sprintf("this state folder is a copy of %s, which is still there: use that one, or remove it; %s", me.CopyOf, takeoverAdvice)
	case last != me.Key():
		return "this state folder was used by another host last; " + takeoverAdvice
	}
	return ""
}

// look reads the mark and decides whether this host may write. A state that waits for its activation only remembers the result.
func (t *Tenancy) look(ctx context.Context) error {
	m, ok := t.o.Tenant.(Marker)
	if !ok {
		return nil
	}
	mark, found, permitted, err := m.Mark(ctx)
	if err != nil {
		return fmt.Errorf("reading which installation feeds the tenant: %w", err)
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return err
	}
	now := t.o.Clock.Now()
	why := foreign(c.Head, mark, found)
	if why == "" {
		why = lingers(c.Head, now, t.o.Delay())
	}
	t.mu.Lock()
	t.is.mark, t.is.found, t.is.permitted, t.is.read = mark, found, permitted, now
	if why == "" {
		t.is.ours = now
	}
	t.mu.Unlock()
	if c.Head.Restored != nil || c.Head.ReadOnly != "" {
		return nil
	}
	if overwritten(c.Head, mark, found, now, t.o.Delay()) {
		return t.signAgain(ctx, mark)
	}
	return t.refuse(ctx, why)
}

// refuse stores why the tenant's mark forbids writing, or that it does not, if that changed.
func (t *Tenancy) refuse(ctx context.Context, why string) error {
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return err
	}
	was := ""
	if c.Head.Refused != nil {
		was = c.Head.Refused.Why
	}
	if was == why {
		return refusedAs(ErrOtherHost, why)
	}
	err = t.o.Control.Change(ctx, func(c *control.Content) error {
		c.Head.Refused = nil
		if why != "" {
			c.Head.Refused = &control.Refusal{Why: why, At: t.o.Clock.Now().UnixMilli()}
		}
		return nil
	})
	return cmp.Or(err, refusedAs(ErrOtherHost, why))
}

func refusedAs(kind error, why string) error {
	if why == "" {
		return nil
	}
	return fmt.Errorf("%w: %s", kind, why)
}

// signAgain restores this host's mark after a host with an older one overwrote it, and waits until that one can write no more.
func (t *Tenancy) signAgain(ctx context.Context, over Mark) error {
	until := t.o.Clock.Now().Add(t.silence())
	if err := t.sign(ctx, func(c *control.Content) error {
		c.Head.NotBefore = until.UnixMilli()
		return nil
	}); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s wrote its mark over this one's, which is newer; it is signed again, and nothing is written before %s, when the other has noticed",
		ErrOtherHost, over.host(), until.UTC().Format(time.RFC3339))
}

// Recognize checks whether this host may write, before each run and each act of a wave. After an error nothing is written.
func (t *Tenancy) Recognize(ctx context.Context) error {
	if t.o.Control.InForce().Partition == nil {
		return nil
	}
	if err := t.bound(ctx); err != nil {
		return err
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return err
	}
	if why := displaced(c.Head, t.identity()); why != "" && c.Head.ReadOnly == "" {
		if _, _, err := t.read(ctx); err != nil { // for the status; the folder's own history suffices to refuse
			return err
		}
		return refusedAs(ErrOtherHost, why)
	}
	if err := t.look(ctx); err != nil {
		return err
	}
	return t.bind(ctx, c)
}

// Entitle is called before each physical attempt: it reads the mark again if the last reading is too old, and renews the nonce when this process
// begins to write.
func (t *Tenancy) Entitle(ctx context.Context) error {
	if _, ok := t.o.Tenant.(Marker); !ok {
		return nil
	}
	if why := t.o.Control.InForce().ReadOnly; why != "" {
		return refusedAs(ErrOtherHost, why)
	}
	t.mu.Lock()
	fresh := t.o.Clock.Now().Sub(t.is.ours) < t.o.Tenure/2
	claimed := t.is.claimed
	t.mu.Unlock()
	if !fresh {
		if err := t.Recognize(ctx); err != nil {
			return err
		}
	}
	if claimed {
		return nil
	}
	return t.sign(ctx, func(*control.Content) error { return nil })
}

// sign marks the tenant as this host's, under a new nonce. The nonce is durable before it is sent, so that every nonce in the tenant is of this
// state's history; f makes further changes in the same transaction. If the application may not keep a mark, only the history tells that a folder was
// copied.
func (t *Tenancy) sign(ctx context.Context, f func(*control.Content) error) error {
	m, ok := t.o.Tenant.(Marker)
	if !ok {
		return t.o.Control.Change(ctx, f)
	}
	var mark Mark
	err := t.o.Control.Change(ctx, func(c *control.Content) error {
		if err := f(c); err != nil {
			return err
		}
		me := t.identity()
		mark = Mark{Installation: c.Head.Installation, Incarnation: c.Head.Epoch.Incarnation, Host: me.Key(), Name: me.Name, Nonce: t.nonce(), At: t.o.Clock.Now()}
		c.Head.Signed = append(c.Head.Signed, control.Signature{Nonce: mark.Nonce, Host: mark.Host})
		c.Head.Signed = c.Head.Signed[max(0, len(c.Head.Signed)-keptNonces):]
		c.Head.SignedAt = mark.At.UnixMilli()
		return nil
	})
	if err != nil {
		return err
	}
	permitted, err := m.SetMark(ctx, mark)
	if err != nil {
		return fmt.Errorf("marking the tenant as fed by this host: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.is.claimed, t.is.permitted, t.is.ours = true, permitted, t.o.Clock.Now()
	if permitted {
		t.is.mark, t.is.found, t.is.read = mark, true, t.o.Clock.Now()
	}
	return nil
}

func (t *Tenancy) identity() Identity {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.o.Identity
}

// nonce returns a new nonce without colons, which separate the fields of a mark.
func (t *Tenancy) nonce() string { return strings.ReplaceAll(t.o.NewID(), ":", "") }

// Left returns how much is left of the right to write: nothing while an earlier host may still write, and nothing once this host's mark was not seen
// for too long (rule H3).
func (t *Tenancy) Left() time.Duration {
	left := t.o.Remaining()
	if _, ok := t.o.Tenant.(Marker); !ok {
		return left
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.o.Clock.Now()
	if now.UnixMilli() < t.is.notBefore {
		return 0
	}
	return min(left, t.is.ours.Add(t.o.Tenure).Sub(now))
}

// silence is how long another host may still write after the tenant's mark changed: it sees the change after the tenant's delay, reads the mark
// within its tenure, and an unanswered request may take effect for GhostLife.
func (t *Tenancy) silence() time.Duration {
	return t.o.Delay() + t.o.Tenure + cmp.Or(t.o.GhostLife, gate.DefaultGhostLife)
}

// refused returns why this host may not write as far as is known, and the kind of reason; "" if it may, or waits for its activation.
func (t *Tenancy) refused(c *control.Content) (why string, kind error) {
	switch {
	case t.elsewhere(c.Head) != "":
		return t.elsewhere(c.Head), ErrNotBound
	case c.Head.Strange != "":
		return c.Head.Strange, ErrNotBound
	case c.Head.ReadOnly != "":
		return "", nil
	case displaced(c.Head, t.identity()) != "":
		return displaced(c.Head, t.identity()), ErrOtherHost
	case c.Head.Refused != nil:
		return c.Head.Refused.Why, ErrOtherHost
	}
	return "", nil
}

// Barred returns why this host may not write at all as far as is known, or "" if it may or waits for its activation; control calls it after each
// change.
func (t *Tenancy) Barred(c *control.Content) string {
	t.mu.Lock()
	t.is.notBefore, t.is.binding = c.Head.NotBefore, c.Head.Bound
	t.mu.Unlock()
	why, _ := t.refused(c)
	return why
}

// MarkStatus is what is known of the tenant's mark.
type MarkStatus struct {
	Mark
	Found     bool
	Permitted bool      // the application may keep a mark; also false before it was tried
	Read      time.Time // when this process last read it; zero: never
	Refused   string    // why this host may not write, or ""; not for a state that waits for its activation
	NotBefore time.Time // another host may still write until then; zero: none
}

// MarkStatus returns what is known of the tenant's mark without reading it.
func (t *Tenancy) MarkStatus(c *control.Content) MarkStatus {
	why, _ := t.refused(c)
	t.mu.Lock()
	defer t.mu.Unlock()
	is := t.is
	if why == "" && c.Partition == nil { // an import would be refused
		why = foreign(c.Head, is.mark, is.found)
	}
	st := MarkStatus{Mark: is.mark, Found: is.found, Permitted: is.permitted, Read: is.read, Refused: why}
	if c.Head.NotBefore > t.o.Clock.Now().UnixMilli() {
		st.NotBefore = time.UnixMilli(c.Head.NotBefore).UTC()
	}
	return st
}

// Look reads the tenant's mark if the last reading is older than a time, so that a status is current. An error means that it could not be read; its
// content is in the status.
func (t *Tenancy) Look(ctx context.Context, older time.Duration) error {
	t.mu.Lock()
	fresh := !t.is.read.IsZero() && t.o.Clock.Now().Sub(t.is.read) < older
	t.mu.Unlock()
	if fresh {
		return nil
	}
	if t.o.Control.InForce().Partition == nil {
		_, _, err := t.read(ctx)
		return err
	}
	err := t.Recognize(ctx)
	if errors.Is(err, ErrOtherHost) || errors.Is(err, ErrNotBound) {
		return nil
	}
	return err
}

// read reads the mark, and remembers it for the status.
func (t *Tenancy) read(ctx context.Context) (Mark, bool, error) {
	m, ok := t.o.Tenant.(Marker)
	if !ok {
		return Mark{}, false, nil
	}
	mark, found, permitted, err := m.Mark(ctx)
	if err != nil {
		return Mark{}, false, fmt.Errorf("reading which installation feeds the tenant: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.is.mark, t.is.found, t.is.permitted, t.is.read = mark, found, permitted, t.o.Clock.Now()
	return mark, found, nil
}

// First refuses a first adoption if another installation, or another host with this one's state, writes to the tenant (rule H1), and marks the tenant
// as this host's. The change that puts the first policy in force has to call bind.
func (t *Tenancy) First(ctx context.Context) (bind func(*control.Content), err error) {
	if err := t.bound(ctx); err != nil {
		return nil, err
	}
	mark, found, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	c, err := t.o.Control.View(ctx)
	if err != nil {
		return nil, err
	}
	if why := cmp.Or(foreign(c.Head, mark, found), displaced(c.Head, t.identity())); why != "" {
		return nil, refusedAs(ErrOtherHost, why)
	}
	b, err := t.here(ctx)
	if err != nil {
		return nil, err
	}
	if _, keeps := t.o.Tenant.(Marker); keeps {
		if err := t.sign(ctx, func(*control.Content) error { return nil }); err != nil {
			return nil, err
		}
	}
	return func(c *control.Content) { bindTo(c, b) }, nil
}
