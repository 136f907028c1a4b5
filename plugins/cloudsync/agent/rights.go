package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
)

// How often the account's rights are looked at anew while the line is up.
const (
	rightsUnknown = time.Minute      // they could not be looked at
	rightsLacking = 10 * time.Minute // somebody may grant what is missing
	rightsFine    = 12 * time.Hour   // somebody may take one away
)

// Lacks says what that synchronizing needs the account of a session lacks, and how to grant it; empty: nothing is known to be missing.
// The error tells that looking failed.
func Lacks(ctx context.Context, s *directory.Session, now time.Time) (string, error) {
	findings, err := s.Check(ctx, now)
	if err != nil {
		return "", err
	}
	var all []string
	for _, f := range findings {
		switch {
		case f.OK || f.Name == "clock":
		case f.Name == "deleted-objects":
			all = append(all, "no delete of this directory can be proved: "+f.Detail+" ("+f.Hint+")")
		default:
			all = append(all, f.Detail+" ("+f.Hint+")")
		}
	}
	return strings.Join(all, ", "), nil
}

// rights is what is known of the account's rights.
type rights struct {
	mu    sync.Mutex
	lacks string
	known bool
}

func (r *rights) get() (lacks string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lacks, r.known
}

// look looks at the rights with a session of its own choice, which it closes or gives back. It leaves them unknown when ctx ends before
// the controller has answered: in a big directory without tombstones that can take minutes.
func (r *rights) look(ctx context.Context, from *reader) {
	s, usn, err := from.session(ctx, "")
	if err != nil {
		return
	}
	lacks, err := Lacks(ctx, s, from.now())
	if err != nil {
		s.Close()
		if ctx.Err() == nil {
			from.log.Warn("the account's rights could not be looked at", "error", err)
		}
		return
	}
	from.release(s, usn)
	if lacks != "" {
		from.log.Warn("the account lacks a right", "lacks", lacks)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lacks, r.known = lacks, true
}

// keep looks at the rights from time to time until ctx ends.
func (r *rights) keep(ctx context.Context, from *reader, wait func(context.Context, time.Duration) error) {
	for {
		d := rightsFine
		if lacks, known := r.get(); !known {
			d = rightsUnknown
		} else if lacks != "" {
			d = rightsLacking
		}
		if wait(ctx, d) != nil {
			return
		}
		r.look(ctx, from)
	}
}
