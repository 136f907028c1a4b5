package agent

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory"
	"github.com/tandem-sync/tandem/plugins/directory/rights"
	"github.com/tandem-sync/tandem/scoping"
)

// How often the account's rights are looked at anew while the line is up.
const (
	rightsUnknown = time.Minute      // they could not be looked at
	rightsLacking = 10 * time.Minute // somebody may grant what is missing
	rightsFine    = 12 * time.Hour   // somebody may take one away
)

// How long looking at the accounts beside the one that reads may take: replication whose ports a firewall drops answers nothing for long.
const (
	accountsPatience = 2 * time.Minute
	accountsHaste    = 5 * time.Second // before the line begins, which waits for it
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

// Troubles says what is wrong with the account of a purpose: what it lacks, and what it may too much. refused is set when it could not sign in.
func Troubles(ctx context.Context, p scoping.Purpose, c directory.Connection, a directory.Account) (all []string, refused bool) {
	for _, f := range rights.Of(ctx, p, c, a) {
		// That the history is not enforced is the controller's nature, and lasts: it is told at enrolment.
		if f.Level != rights.Failure && f.Level != rights.Warning || f.Code == rights.HistoryNotEnforced {
			continue
		}
		text := string(p) + ": " + f.Text
		if f.Hint != "" {
			text += " (" + f.Hint + ")"
		}
		all = append(all, text)
		refused = refused || f.Code == rights.SignIn
	}
	return all, refused
}

// knowledge is what is known of the accounts' rights.
type knowledge struct {
	mu       sync.Mutex
	lacks    string // of the account that reads
	known    bool
	accounts map[scoping.Purpose]standing
}

// standing is how an account of another purpose was when it was looked at last.
type standing struct {
	troubles []string
	// until is when one that could not sign in is tried again: more attempts would lock it out, and several agents may hold the same one.
	until time.Time
}

// get returns all that is known to be wrong, and whether the account that reads was looked at.
func (r *knowledge) get() (lacks string, known bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := []string{}
	if r.lacks != "" {
		all = append(all, r.lacks)
	}
	for _, p := range scoping.Purposes() {
		all = append(all, r.accounts[p].troubles...)
	}
	return strings.Join(all, ", "), r.known
}

// look looks at the rights with a session of its own choice, which it closes or gives back. It leaves them unknown when ctx ends before
// the controller has answered: in a big directory without tombstones that can take minutes.
func (r *knowledge) look(ctx context.Context, from *reader) {
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

// lookAtAccounts looks at the accounts beside the one that reads. What ctx ends before is left as it was.
func (r *knowledge) lookAtAccounts(ctx context.Context, from *reader) {
	for _, p := range scoping.Purposes() {
		a, held := from.accounts[p]
		r.mu.Lock()
		last := r.accounts[p]
		r.mu.Unlock()
		if !held || from.now().Before(last.until) {
			continue
		}
		troubles, refused := Troubles(ctx, p, from.connection, a)
		if ctx.Err() != nil {
			return
		}
		next := standing{troubles: troubles}
		if refused {
			next.until = from.now().Add(rightsFine)
		}
		for _, t := range troubles {
			from.log.Warn("an account is not as it should be", "trouble", t)
		}
		r.mu.Lock()
		if r.accounts == nil {
			r.accounts = map[scoping.Purpose]standing{}
		}
		r.accounts[p] = next
		r.mu.Unlock()
	}
}

// complete reports whether every account was looked at.
func (r *knowledge) complete(from *reader) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for p := range from.accounts {
		if _, looked := r.accounts[p]; !looked {
			return false
		}
	}
	return true
}

// keep looks at the rights from time to time until ctx ends.
func (r *knowledge) keep(ctx context.Context, from *reader, wait func(context.Context, time.Duration) error) {
	for {
		d := rightsFine
		if lacks, known := r.get(); !known || !r.complete(from) {
			d = rightsUnknown
		} else if lacks != "" {
			d = rightsLacking
		}
		if wait(ctx, d) != nil {
			return
		}
		r.look(ctx, from)
		bounded, end := context.WithTimeout(ctx, accountsPatience)
		r.lookAtAccounts(bounded, from)
		end()
	}
}
