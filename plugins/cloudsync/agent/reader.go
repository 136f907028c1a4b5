package agent

import (
	"context"
	"errors"
	"slices"
	"sync"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// errController says that the service asked for a controller that this agent was not given at enrolment. The agent does not
// take addresses from the service: it would send the directory password there.
var errController = errors.New("this agent is not configured for that controller: enrol it with the controller's URL")

// reader keeps one idle session to the directory at hand and opens more when requests come together.
type reader struct {
	connection directory.Connection

	mu     sync.Mutex
	idle   *directory.Session
	closed bool
}

// look tells which controller is read.
func (r *reader) look(ctx context.Context) (directory.Controller, error) {
	s, _, err := r.session(ctx, "")
	if err != nil {
		return directory.Controller{}, err
	}
	c := s.Controller()
	r.release(s)
	return c, nil
}

// session gives a session to the controller (empty: any) and its highestCommittedUSN, read just now. The caller releases it, or
// closes it after an error.
func (r *reader) session(ctx context.Context, controller string) (*directory.Session, uint64, error) {
	if s := r.take(controller); s != nil {
		usn, err := s.HighestUSN(ctx)
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
	s, err := directory.Dial(ctx, c)
	if err != nil {
		return nil, 0, err
	}
	return s, s.Controller().HighestUSN, nil
}

func (r *reader) take(controller string) *directory.Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle == nil || (controller != "" && r.idle.Controller().URL != controller) {
		return nil
	}
	s := r.idle
	r.idle = nil
	return s
}

func (r *reader) release(s *directory.Session) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.idle != nil || r.closed {
		s.Close()
		return
	}
	r.idle = s
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
