package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/orchestrator/gate"
)

// Kinds of reasons for which a host may not write at all.
var (
	// ErrOtherHost means that the tenant is fed by another installation, by another host, or by a newer life of this one (rule H1): a cloned
	// machine, a copied folder, a restored backup. `tandem takeover` is the one way out.
	ErrOtherHost = errors.New("another Tandem feeds this tenant")
	// ErrNotBound means that the state belongs to another tenant or directory than the configuration names (rule H1).
	ErrNotBound = errors.New("the state belongs to another tenant or directory")
)

// Identity tells one host from another.
type Identity struct {
	Machine string // the machine's id; "" where it has none
	Folder  string // the state folder's own random id; "" where the state lies in no folder
	Name    string // the machine's name, for people
	CopyOf  string // where the folder lies of which this one is a copy; "" if it is none, or the first is gone
}

// Key is what of an identity is compared.
func (i Identity) Key() string { return i.Machine + "-" + i.Folder }

// Mark is what the tenant remembers of who feeds it (rule H1).
type Mark struct {
	Installation string
	Incarnation  uint64
	Host         string // Identity.Key of the host that began to write last; "" in a mark of an older program
	Name         string // its machine's name
	Nonce        string // renewed whenever a host begins to write
	At           time.Time
}

// host says which host a mark names, for people.
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

// Marker is a tenant that remembers which host feeds it. Its reads may lag by the tenant's delay. permitted is false where the application may
// not keep such a mark: then the rule cannot be kept, which is no error.
type Marker interface {
	Mark(ctx context.Context) (m Mark, found, permitted bool, err error)
	SetMark(ctx context.Context, m Mark) (permitted bool, err error)
}

// Identified is a tenant that knows its id.
type Identified interface {
	TenantID(ctx context.Context) (string, error)
}

// DefaultTenure is how long a host may go on writing after it saw that the mark is its own.
const DefaultTenure = 2 * time.Minute

// keptNonces is how many of its own nonces a host remembers. The tenant's delay bounds how old one may be that a lagging read shows.
const keptNonces = 64

// signature is one nonce that this state signed the mark with, and as which host.
type signature struct {
	Nonce string `json:"nonce"`
	Host  string `json:"host"`
}

// refusal is why a host may not write, as it was found last; kept so that every later command says so at once.
type refusal struct {
	Why string `json:"why"`
	At  int64  `json:"at"` // Unix ms
}

// tenancy is what a host knows of its right to write, while its process lives.
type tenancy struct {
	mark      Mark      // as read last
	found     bool      // the tenant had a mark
	permitted bool      // the application may keep one
	read      time.Time // when the mark was read last; zero: never
	ours      time.Time // when it was last seen to be ours; the tenure counts from it
	claimed   bool      // this process has renewed the nonce
	bound     bool      // this process has seen that the tenant is the one that the state belongs to
	notBefore int64     // control's, see head
	binding   *binding  // control's
}

// takeoverAdvice ends every refusal that another host causes.
const takeoverAdvice = "if that one writes no more, `tandem takeover --reason R` takes the tenant over"

// foreign says why a tenant's mark forbids this host to write, or "". A nonce of the state's own history is lag; one that is not is another
// host's. A mark of an older incarnation is lag as well, or was written by a host that has not noticed yet: see overwritten.
func foreign(hd head, m Mark, found bool) string {
	switch {
	case !found:
		return ""
	case m.Installation != hd.Installation:
		return fmt.Sprintf("the tenant is fed by %s; this is installation %s: %s", m.host(), hd.Installation, takeoverAdvice)
	case m.Incarnation > hd.Epoch.Incarnation:
		return fmt.Sprintf("the tenant is fed by incarnation %d of %s; this state is of incarnation %d: was it restored from an old backup, or taken over? %s",
			m.Incarnation, m.host(), hd.Epoch.Incarnation, takeoverAdvice)
	case m.Incarnation == hd.Epoch.Incarnation && m.Nonce != "" && !hd.signed(m.Nonce):
		return fmt.Sprintf("the tenant was last written by another host with a copy of this state: %s; %s", m.host(), takeoverAdvice)
	}
	return ""
}

func (hd head) signed(nonce string) bool {
	return slices.ContainsFunc(hd.Signed, func(s signature) bool { return s.Nonce == nonce })
}

// lingers gives why another host's mark, seen a moment ago, still counts although a read shows this host's: the tenant's reads lag, and need not
// lag alike.
func (hd head) lingers(now time.Time, delay time.Duration) string {
	if hd.Refused == nil || now.UnixMilli() >= hd.Refused.At+delay.Milliseconds() {
		return ""
	}
	return hd.Refused.Why
}

// overwritten reports whether a mark of an older incarnation replaced the one that this state signed: the host of which it was taken over had
// read an old mark when it wrote. Within the tenant's delay such a read is lag.
func overwritten(hd head, m Mark, found bool, now time.Time, delay time.Duration) bool {
	return found && m.Installation == hd.Installation && m.Incarnation < hd.Epoch.Incarnation && !hd.signed(m.Nonce) && now.UnixMilli() > hd.SignedAt+delay.Milliseconds()
}

// displaced says why a state folder that was used by another host may not write here, or "". It needs no tenant.
func displaced(hd head, me Identity) string {
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

// look reads the mark and works out whether it lets this host write. A state that may not write anyway until a person activates it only
// remembers what it saw.
func (h *Host) look(ctx context.Context) error {
	m, ok := h.o.Tenant.(Marker)
	if !ok {
		return nil
	}
	mark, found, permitted, err := m.Mark(ctx)
	if err != nil {
		return fmt.Errorf("reading which installation feeds the tenant: %w", err)
	}
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	now := h.now()
	why := foreign(c.head, mark, found)
	if why == "" {
		why = c.head.lingers(now, h.o.Cache.Delay())
	}
	h.mu.Lock()
	h.tenancy.mark, h.tenancy.found, h.tenancy.permitted, h.tenancy.read = mark, found, permitted, now
	if why == "" {
		h.tenancy.ours = now
	}
	h.mu.Unlock()
	if c.head.Restored != nil || c.head.ReadOnly != "" {
		return nil
	}
	if overwritten(c.head, mark, found, now, h.o.Cache.Delay()) {
		return h.signAgain(ctx, mark)
	}
	return h.refuse(ctx, why)
}

// refuse keeps why the tenant's mark forbids to write, or that it does not, where that changed.
func (h *Host) refuse(ctx context.Context, why string) error {
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	was := ""
	if c.head.Refused != nil {
		was = c.head.Refused.Why
	}
	if was == why {
		return refusedAs(ErrOtherHost, why)
	}
	err = h.change(ctx, func(c *control) error {
		c.head.Refused = nil
		if why != "" {
			c.head.Refused = &refusal{Why: why, At: h.now().UnixMilli()}
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

// signAgain puts this host's mark back after a host with an older one wrote over it, and waits that one out before it writes.
func (h *Host) signAgain(ctx context.Context, over Mark) error {
	until := h.now().Add(h.silence())
	if err := h.sign(ctx, func(c *control) error {
		c.head.NotBefore = until.UnixMilli()
		return nil
	}); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s wrote its mark over this one's, which is newer; it is signed again, and nothing is written before %s, when the other has noticed",
		ErrOtherHost, over.host(), until.UTC().Format(time.RFC3339))
}

// recognize looks whether this host may write, before each run and each act of a wave. If not, nothing is written any more.
func (h *Host) recognize(ctx context.Context) error {
	if h.gate.Authority().Partition == nil {
		return nil
	}
	if err := h.bound(ctx); err != nil {
		return err
	}
	c, err := h.view(ctx)
	if err != nil {
		return err
	}
	if why := displaced(c.head, h.identity()); why != "" && c.head.ReadOnly == "" {
		if _, _, err := h.read(ctx); err != nil { // for the status; the folder's own history is enough to refuse
			return err
		}
		return refusedAs(ErrOtherHost, why)
	}
	if err := h.look(ctx); err != nil {
		return err
	}
	return h.bind(ctx, c)
}

// entitle is called before each physical attempt: it looks at the mark again where the last look is too old, and renews the nonce when this
// process begins to write.
func (h *Host) entitle(ctx context.Context) error {
	if _, ok := h.o.Tenant.(Marker); !ok {
		return nil
	}
	if why := h.gate.Authority().ReadOnly; why != "" {
		return refusedAs(ErrOtherHost, why)
	}
	h.mu.Lock()
	fresh := h.now().Sub(h.tenancy.ours) < h.o.Tenure/2
	claimed := h.tenancy.claimed
	h.mu.Unlock()
	if !fresh {
		if err := h.recognize(ctx); err != nil {
			return err
		}
	}
	if claimed {
		return nil
	}
	return h.sign(ctx, func(*control) error { return nil })
}

// sign marks the tenant as fed by this host, under a new nonce. The nonce is durable before it is sent, so that the tenant never shows one that
// is not of this state's history; f makes what else changes durable with it. Where the application may not keep a mark, the history alone tells
// that a folder was copied.
func (h *Host) sign(ctx context.Context, f func(*control) error) error {
	m, ok := h.o.Tenant.(Marker)
	if !ok {
		return h.change(ctx, f)
	}
	var mark Mark
	err := h.change(ctx, func(c *control) error {
		if err := f(c); err != nil {
			return err
		}
		me := h.identity()
		mark = Mark{Installation: c.head.Installation, Incarnation: c.head.Epoch.Incarnation, Host: me.Key(), Name: me.Name, Nonce: h.nonce(), At: h.now()}
		c.head.Signed = append(c.head.Signed, signature{Nonce: mark.Nonce, Host: mark.Host})
		c.head.Signed = c.head.Signed[max(0, len(c.head.Signed)-keptNonces):]
		c.head.SignedAt = mark.At.UnixMilli()
		return nil
	})
	if err != nil {
		return err
	}
	permitted, err := m.SetMark(ctx, mark)
	if err != nil {
		return fmt.Errorf("marking the tenant as fed by this host: %w", err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.tenancy.claimed, h.tenancy.permitted, h.tenancy.ours = true, permitted, h.now()
	if permitted {
		h.tenancy.mark, h.tenancy.found, h.tenancy.read = mark, true, h.now()
	}
	return nil
}

func (h *Host) identity() Identity {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.o.Identity
}

// nonce makes a new one; colons separate what stands in a mark.
func (h *Host) nonce() string { return strings.ReplaceAll(h.o.NewID(), ":", "") }

// tenure is how much is left of the right to write: none before an earlier host is sure to be silent, and none once the mark was not seen to be
// ours for too long (rule H3).
func (h *Host) tenure() time.Duration {
	left := h.o.Store.Control.Tenure().Remaining()
	if _, ok := h.o.Tenant.(Marker); !ok {
		return left
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := h.now()
	if now.UnixMilli() < h.tenancy.notBefore {
		return 0
	}
	return min(left, h.tenancy.ours.Add(h.o.Tenure).Sub(now))
}

// silence is how long another host may still write after the tenant's mark was changed: it sees the change when the tenant's delay has passed,
// looks within its tenure, and a request without an answer lives on for ghostLife.
func (h *Host) silence() time.Duration {
	return h.o.Cache.Delay() + h.o.Tenure + cmp.Or(h.o.GhostLife, gate.DefaultGhostLife)
}

// refused says why this host may not write as things are known, and the kind of it; "" if it may, or waits for its activation.
func (h *Host) refused(c *control) (why string, kind error) {
	switch {
	case h.elsewhere(c.head) != "":
		return h.elsewhere(c.head), ErrNotBound
	case c.head.Strange != "":
		return c.head.Strange, ErrNotBound
	case c.head.ReadOnly != "":
		return "", nil
	case displaced(c.head, h.identity()) != "":
		return displaced(c.head, h.identity()), ErrOtherHost
	case c.head.Refused != nil:
		return c.head.Refused.Why, ErrOtherHost
	}
	return "", nil
}

// authority is control's, unless this host may not write at all.
func (h *Host) authority(c *control) gate.Authority {
	a := c.authority()
	if why, _ := h.refused(c); why != "" {
		a.ReadOnly = why
	}
	return a
}

// MarkStatus is what is known of the tenant's mark.
type MarkStatus struct {
	Mark
	Found     bool
	Permitted bool      // the application may keep a mark; false as well before it was looked for
	Read      time.Time // when it was read last by this process; zero: never
	Refused   string    // why this host may not write, or ""; not for a state that waits for its activation
	NotBefore time.Time // another host may still write until then; zero: none
}

func (h *Host) markStatus(c *control) MarkStatus {
	why, _ := h.refused(c)
	h.mu.Lock()
	defer h.mu.Unlock()
	t := h.tenancy
	if why == "" && c.partition == nil { // an import would be refused
		why = foreign(c.head, t.mark, t.found)
	}
	st := MarkStatus{Mark: t.mark, Found: t.found, Permitted: t.permitted, Read: t.read, Refused: why}
	if c.head.NotBefore > h.now().UnixMilli() {
		st.NotBefore = time.UnixMilli(c.head.NotBefore).UTC()
	}
	return st
}

// Look reads the tenant's mark if it was not read for a while, so that a status says what is true now. Only what keeps the mark from being read
// is an error: what it says is in the status.
func (h *Host) Look(ctx context.Context, older time.Duration) error {
	h.mu.Lock()
	known := !h.tenancy.read.IsZero() && h.now().Sub(h.tenancy.read) < older
	h.mu.Unlock()
	if known {
		return nil
	}
	if h.gate.Authority().Partition == nil {
		_, _, err := h.read(ctx)
		return err
	}
	err := h.recognize(ctx)
	if errors.Is(err, ErrOtherHost) || errors.Is(err, ErrNotBound) {
		return nil
	}
	return err
}
