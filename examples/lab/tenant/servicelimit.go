package tenant

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// service is a part of Graph with limits of its own. They hold whether or not the directory's are switched on (Limits).
type service string

const (
	uploads service = "bulkUpload"
	reports service = "reports"
)

// rate is so many requests in so many seconds.
type rate struct{ amount, seconds float64 }

// serviceRates are what Microsoft documents for an application and a tenant.
//
// See https://learn.microsoft.com/graph/api/synchronization-synchronizationjob-post-bulkupload (40 requests a second; the guide to
// troubleshooting, which came later, says 40 in 5 seconds),
// https://learn.microsoft.com/entra/identity/app-provisioning/inbound-provisioning-api-issues (6,000 a day) and
// https://learn.microsoft.com/graph/throttling-limits (identity and access reports).
var serviceRates = map[service][]rate{
	uploads: {{40, 1}, {6000, 24 * 60 * 60}},
	reports: {{5, 10}},
}

// serviceLimits are the buckets of the services.
type serviceLimits struct {
	mu      sync.Mutex
	buckets map[service][]*bucket // none is no limit
}

// set fills every bucket, or takes the limits away.
func (l *serviceLimits) set(on bool, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buckets = map[service][]*bucket{}
	for s, rates := range serviceRates {
		for _, r := range rates {
			if on {
				l.buckets[s] = append(l.buckets[s], newBucket(r.amount, r.seconds, now))
			}
		}
	}
}

// admit charges a call to its service, or answers 429.
func (l *serviceLimits) admit(now time.Time, c *call, r *route) *reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	if c.ghost {
		return nil
	}
	var wait time.Duration
	for _, b := range l.buckets[r.limited] {
		wait = max(wait, b.peek(now, 1))
	}
	if wait > 0 {
		return &reply{status: http.StatusTooManyRequests, body: tooMany(), header: map[string]string{"Retry-After": strconv.Itoa(int(math.Ceil(wait.Seconds())))}}
	}
	for _, b := range l.buckets[r.limited] {
		b.take(1)
	}
	return nil
}
