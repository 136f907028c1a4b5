package provision

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/protection"
	"github.com/tandem-sync/tandem/plugins/provision"
	"github.com/tandem-sync/tandem/scoping"
)

// A connection is used for one write after the other, since signing in costs more than a write does.
const (
	keptFor = time.Minute      // after its sign-in: what the account may do by its groups is decided there
	lingers = 15 * time.Second // without a write
)

// signedIn is a connection of the account that writes. At most one write uses it at a time.
type signedIn struct {
	*directory.Session
	at    time.Time // of the sign-in
	kept  bool      // an earlier write used it: the controller may have gone since
	names string    // for which own was read
	own   []accessSID
}

// protects reads the SIDs of accounts that are never written, once for each connection.
func (s *signedIn) protects(ctx context.Context, names []string) (err error) {
	if text := strings.Join(names, "\x00"); s.own == nil || s.names != text {
		if s.own, err = protection.Own(ctx, s.Session, names); err == nil {
			s.names = text
		}
	}
	return err
}

// connect returns a connection to one controller: one that is kept, or a new one.
func (k *Sink) connect(ctx context.Context, url string, invocation scoping.GUID) (*signedIn, error) {
	if s := k.keptAt(url, invocation); s != nil {
		return s, nil
	}
	free, err := k.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer free()
	if s := k.keptAt(url, invocation); s != nil { // a write ended meanwhile
		return s, nil
	}
	at := k.now()
	s, err := k.dial(ctx, url, invocation)
	if err != nil {
		return nil, err
	}
	return &signedIn{Session: s, at: at}, nil
}

// turn waits until nobody else signs in: a password that is refused is tried once, and not by each of the writes under way.
func (k *Sink) turn(ctx context.Context) (free func(), err error) {
	k.mu.Lock()
	if k.signing == nil {
		k.signing = make(chan struct{}, 1)
	}
	k.mu.Unlock()
	select {
	case k.signing <- struct{}{}:
		return func() { <-k.signing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// keptAt returns a connection that an earlier write left; nil: there is none to that controller.
func (k *Sink) keptAt(url string, invocation scoping.GUID) *signedIn {
	s := k.take(url)
	if s == nil {
		return nil
	}
	if same(s.Session, invocation) != nil { // the controller is another one now
		_ = s.Close() // nothing was asked of it
		return nil
	}
	s.kept = true
	return s
}

// take returns a kept connection to a controller, and closes those whose time is over; nil: there is none.
func (k *Sink) take(url string) (found *signedIn) {
	now := k.now()
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = slices.DeleteFunc(k.idle, func(s *signedIn) bool {
		age := now.Sub(s.at)
		switch {
		case age < 0 || age >= keptFor: // clocks can be set back
			_ = s.Close() // nothing was asked of it
			return true
		case found == nil && s.Controller().URL == url:
			found = s
			return true
		}
		return false
	})
	return found
}

// release keeps a connection for the next write, if the last one ended with an answer of the controller that says nothing of the connection or the account.
func (k *Sink) release(s *signedIn, o Outcome) {
	answered := []provision.Code{provision.Done, provision.Refused, provision.Expired, provision.Precondition, provision.TakenName, provision.Exists, provision.Protected, provision.Vanished, provision.Outside}
	if o.Cause != nil || !slices.Contains(answered, o.Code) {
		_ = s.Close() // what was written was answered
		return
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.idle = append(k.idle, s)
	if k.ends == nil {
		k.ends = time.AfterFunc(lingers, k.Close)
	} else {
		k.ends.Reset(lingers)
	}
}

// Close ends the connections that no write uses. The Sink can be used further.
func (k *Sink) Close() {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, s := range k.idle {
		_ = s.Close() // nothing was asked of it
	}
	k.idle = nil
}
