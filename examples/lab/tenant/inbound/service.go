package inbound

import (
	"crypto/rand"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/tandem-sync/tandem/examples/lab/tenant/scim"
)

// Job says whose requests the service carries out.
type Job struct {
	ID               string // API2AAD.<tenant id>.<id>
	TenantID         string
	AppID            string // of the provisioning application
	ServicePrincipal string // its object id
	Name             string // its display name
}

// Options are the service's delays. Entra's cycle begins within minutes, and the log follows 5 to 10 minutes later.
type Options struct {
	Clock    func() time.Time
	Rand     io.Reader     // of ids; default crypto/rand
	Cycle    time.Duration // from the arrival of a request to its being carried out; default DefaultCycle, negative is at once
	LogDelay time.Duration // from then to its being in the log; default DefaultLogDelay, negative is at once
}

// The delays of a lab, which nobody is to wait for long. The log has seconds: with one second of delay, what it tells is of an earlier
// second than whatever is sent after it was read.
const (
	DefaultCycle    = 500 * time.Millisecond
	DefaultLogDelay = time.Second
)

// retryAfter is how long a manager who was not there is not looked for again.
const retryAfter = 10 * time.Second

// Retention is how long the log keeps entries, as in tenants with a premium licence.
// See https://learn.microsoft.com/entra/identity/monitoring-health/reference-reports-data-retention.
const Retention = 30 * 24 * time.Hour

// Service carries out the requests of one job. It is safe for concurrent use.
type Service struct {
	directory Directory
	job       Job

	mu      sync.Mutex
	opts    Options
	paused  bool
	staged  []staged
	waiting []waiting // for a manager who is not there yet
	retry   time.Time // when those are looked at again
	log     []Entry   // by time
	systems [2]string // ids of source and target
}

type staged struct {
	received, due time.Time
	request       scim.Request
}

// waiting is a user whose manager is not there yet.
type waiting struct{ user, externalID, manager, change string }

// New makes the service of a job, which is running.
func New(d Directory, j Job, o Options) *Service {
	if o.Rand == nil {
		o.Rand = rand.Reader
	}
	s := &Service{directory: d, job: j, opts: o}
	s.systems = [2]string{s.newID(), s.newID()}
	s.SetDelays(o.Cycle, o.LogDelay)
	return s
}

// Job returns the service's job.
func (s *Service) Job() Job { return s.job }

// SetDelays changes how long requests arriving from now on, and the log, take: 0 is the default, a negative duration none.
func (s *Service) SetDelays(cycle, logDelay time.Duration) {
	pick := func(d, fallback time.Duration) time.Duration {
		if d == 0 {
			return fallback
		}
		return max(0, d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.opts.Cycle, s.opts.LogDelay = pick(cycle, DefaultCycle), pick(logDelay, DefaultLogDelay)
}

func (s *Service) newID() string {
	id, err := uuid.NewRandomFromReader(s.opts.Rand)
	if err != nil {
		panic(fmt.Sprintf("inbound: reading randomness for an id: %v", err)) // a Rand that ends is a mistake of the caller
	}
	return id.String()
}

// Upload stages a request. It is carried out when its time has come and somebody calls Advance.
func (s *Service) Upload(r scim.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock()
	s.staged = append(s.staged, staged{now, now.Add(s.opts.Cycle), r})
}

// Pause keeps requests staged and carries none out, until Start.
func (s *Service) Pause() { s.set(true) }

// Start carries out requests again, those that were staged meanwhile too.
func (s *Service) Start() { s.set(false) }

func (s *Service) set(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.paused = paused
}

// Restart starts the job and forgets who waits for a manager. A job that is not running forgets what is staged, too.
// See https://learn.microsoft.com/entra/identity/app-provisioning/inbound-provisioning-api-faqs (how does restart provisioning work).
func (s *Service) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		s.staged = nil
	}
	s.paused, s.waiting = false, nil
}

// Paused reports whether requests are only staged.
func (s *Service) Paused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.paused
}

// Advance carries out what is due.
func (s *Service) Advance() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.paused {
		return
	}
	now := s.opts.Clock()
	for len(s.staged) > 0 && !s.staged[0].due.After(now) {
		next := s.staged[0]
		s.staged = s.staged[1:]
		s.cycle(next)
	}
	if len(s.waiting) > 0 && !now.Before(s.retry) {
		s.resolve(s.newID(), now)
	}
}

// cycle carries out one request, and looks for managers who may have come with it.
func (s *Service) cycle(r staged) {
	id := s.newID()
	for _, op := range r.request.Operations {
		s.carryOut(op, id, r)
	}
	s.resolve(id, r.due)
}

// Log gives the entries that are in the log by now and that keep says yes to, oldest first.
func (s *Service) Log(keep func(*Entry) bool) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.opts.Clock()
	s.log = slices.DeleteFunc(s.log, func(e Entry) bool { return now.Sub(e.ActivityDateTime) > Retention })
	var out []Entry
	for i := range s.log {
		if e := &s.log[i]; !e.at.Add(s.opts.LogDelay).After(now) && keep(e) {
			out = append(out, *e)
		}
	}
	return out
}
