package agent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/cloudsync/line"
	"github.com/tandem-sync/tandem/plugins/cloudsync/line/linepb"
	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/password"
	"github.com/tandem-sync/tandem/plugins/directory/provision"
	"github.com/tandem-sync/tandem/plugins/passwordhash"
	"github.com/tandem-sync/tandem/scoping"
)

// errController says that the service asked for a controller that this agent was not given at enrolment. The agent does not
// take addresses from the service: it would send the directory password there.
var errController = errors.New("this agent is not configured for that controller: enrol it with the controller's URL")

// The reader's patience.
const (
	helloPatience = 10 * time.Second // with the directory before the line begins; afterwards the service knows that there is trouble
	idlePatience  = 5 * time.Second  // with a session that lay idle: the controller may have gone meanwhile
	refusedRest   = 5 * time.Minute  // after a refused sign-in: more of them would lock the account
)

// reader keeps one idle session to the directory at hand and opens more when requests come together.
type reader struct {
	connection directory.Connection
	accounts   map[scoping.Purpose]directory.Account
	passwords  *passwordhash.Direct
	writer     *password.Writer
	sink       *provision.Sink
	rights     *knowledge
	log        *slog.Logger
	now        func() time.Time

	mu     sync.Mutex
	idle   *directory.Session
	usn    uint64 // of idle's controller, read at some time: what a later search shows is at least as new
	checks bool   // idle sessions are tried out before they are used: one did not answer when it was not
	closed bool
	first  int // the URL that is tried first: the one that worked last, or the one after one that did not

	rest directory.Rest
}

// hello is what the agent says of itself when its line begins. A directory that cannot be read is said, and no error: the service
// then knows what is wrong, and asks again from time to time.
func (r *reader) hello(ctx context.Context) (*linepb.AttendRequest, error) {
	host, _ := os.Hostname()
	out := &linepb.AttendRequest{Base: r.connection.Base, Host: host, Version: line.Version(), Controllers: r.connection.URLs}
	for _, p := range slices.Sorted(maps.Keys(r.accounts)) {
		out.Purposes = append(out.Purposes, string(p))
	}
	looking, end := context.WithTimeoutCause(ctx, helloPatience, fmt.Errorf("no controller answered within %s", helloPatience))
	defer end()
	s, usn, err := r.session(looking, "")
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		r.log.Warn("the directory cannot be read", "error", err)
		out.Trouble = err.Error()
		return out, nil
	}
	c := s.Controller()
	out.Controller, out.Invocation = c.URL, c.InvocationID[:]
	r.release(s, usn)
	if _, known := r.rights.get(); !known {
		r.rights.look(looking, r)
		hasty, end := context.WithTimeout(looking, accountsHaste)
		r.rights.lookAtAccounts(hasty, r)
		end()
	}
	out.Lacks, _ = r.rights.get()
	return out, ctx.Err()
}

// session gives a session to the controller (empty: any) and its highestCommittedUSN, read just now. The caller releases it, or
// closes it after an error.
func (r *reader) session(ctx context.Context, controller string) (*directory.Session, uint64, error) {
	if s := r.take(controller); s != nil {
		quick, end := context.WithTimeoutCause(ctx, idlePatience, directory.ErrTimeout)
		usn, err := s.HighestUSN(quick)
		end()
		if err == nil {
			return s, usn, nil
		}
		s.Close()
		if ctx.Err() != nil {
			return nil, 0, err
		}
	}
	c := r.connection
	if controller != "" {
		if !slices.Contains(c.URLs, controller) {
			return nil, 0, errController
		}
		c.URLs = []string{controller}
	}
	if len(c.URLs) == 0 {
		return nil, 0, fmt.Errorf("directory %s has no URL of a controller", c.Name)
	}
	s, err := r.dial(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	return s, s.Controller().HighestUSN, nil
}

// dial signs in, unless that was refused a short time ago. A controller that hangs uses up the time that the service has: the
// next attempt begins with the next one.
func (r *reader) dial(ctx context.Context, c directory.Connection) (*directory.Session, error) {
	r.mu.Lock()
	if n := r.first % len(c.URLs); n > 0 {
		c.URLs = slices.Concat(c.URLs[n:], c.URLs[:n])
	}
	r.mu.Unlock()
	var s *directory.Session
	err := r.rest.SignIn(r.now, refusedRest, func() (err error) {
		s, err = directory.Dial(ctx, c)
		r.mu.Lock()
		defer r.mu.Unlock()
		if err == nil {
			r.first = slices.Index(r.connection.URLs, s.Controller().URL)
		} else {
			r.first++
		}
		return err
	})
	return s, err
}

// has reports whether a session's controller has what a point names, as far as can be told without asking.
func has(s *directory.Session, usn uint64, p *linepb.AsOf) bool {
	own := s.Controller().InvocationID
	return p == nil || string(own[:]) == string(p.Invocation) && usn >= p.Usn
}

// current is session for a controller that has what the request names. One that lacks it is passed over: of the controllers that the agent may
// read, another may be ahead of it. Without that an agent would stay with the one that it found while the others were away.
func (r *reader) current(ctx context.Context, request *linepb.Request) (*directory.Session, uint64, error) {
	p := directory.AsOf{USN: request.GetAsOf().GetUsn()}
	if request.AsOf != nil {
		invocation, err := scoping.GUIDFromBytes(request.AsOf.Invocation)
		if err != nil {
			return nil, 0, errRequest
		}
		p.Invocation = invocation
	}
	for tries := 0; ; tries++ {
		s, usn, err := r.session(ctx, request.Controller)
		if err != nil {
			return nil, 0, err
		}
		if err = s.Reached(ctx, p); err == nil {
			return s, usn, nil
		}
		s.Close()
		if tries == len(r.connection.URLs) || ctx.Err() != nil { // the idle session, then a new one to each
			return nil, 0, err
		}
		r.pass(s.Controller().URL)
	}
}

// pass lets the next sign-in begin with the controller after this one.
func (r *reader) pass(controller string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.first = slices.Index(r.connection.URLs, controller) + 1
}

func (r *reader) take(controller string) *directory.Session {
	s, _ := r.takeWith(controller)
	return s
}

// takeWith gives the idle session, untried, and a USN that its controller has had; nil if there is none of that controller.
func (r *reader) takeWith(controller string) (*directory.Session, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle == nil || (controller != "" && r.idle.Controller().URL != controller) {
		return nil, 0
	}
	s := r.idle
	r.idle = nil
	return s, r.usn
}

// trusted gives the idle session to the database that gave a cookie, untried: a question that is mostly answered with nothing shall cost
// one round trip. nil: there is none, or idle sessions are not to be trusted here.
func (r *reader) trusted(controller string, invocation []byte) (*directory.Session, uint64) {
	r.mu.Lock()
	checks := r.checks
	r.mu.Unlock()
	if checks {
		return nil, 0
	}
	s, usn := r.takeWith(controller)
	if s == nil {
		return nil, 0
	}
	if own := s.Controller().InvocationID; string(own[:]) != string(invocation) {
		r.release(s, usn)
		return nil, 0
	}
	return s, usn
}

// distrust notes that an idle session did not answer: from now on they are tried out first.
func (r *reader) distrust() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.checks = true
}

func (r *reader) release(s *directory.Session, usn uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle != nil || r.closed {
		s.Close()
		return
	}
	r.idle, r.usn = s, usn
}

func (r *reader) close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	if r.idle != nil {
		r.idle.Close()
		r.idle = nil
	}
}
