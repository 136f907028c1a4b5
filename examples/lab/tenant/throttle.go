package tenant

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// Limits are Entra's documented throttling limits: token buckets of which the first to run empty refuses.
// A zero amount switches that limit off. See https://learn.microsoft.com/graph/throttling-limits (identity and access).
type Limits struct {
	AppWrites        float64 `json:"appWrites"` // per AppWritesSeconds, per app and tenant
	AppWritesSeconds float64 `json:"appWritesSeconds"`
	TenantWrites     float64 `json:"tenantWrites"` // per TenantWritesSeconds, all apps; here there is one
	TenantSeconds    float64 `json:"tenantSeconds"`
	Units            float64 `json:"units"` // resource units per UnitsSeconds
	UnitsSeconds     float64 `json:"unitsSeconds"`
}

// EntraLimits are the documented figures for a tenant with more than 500 users.
func EntraLimits() Limits {
	return Limits{AppWrites: 3000, AppWritesSeconds: 150, TenantWrites: 18000, TenantSeconds: 300, Units: 8000, UnitsSeconds: 10}
}

type bucket struct {
	capacity, level, rate float64 // rate per second
	at                    time.Time
}

func newBucket(amount, seconds float64, now time.Time) *bucket {
	if amount <= 0 || seconds <= 0 {
		return nil
	}
	return &bucket{amount, amount, amount / seconds, now}
}

// peek refills the bucket and tells how long until it holds cost.
func (b *bucket) peek(now time.Time, cost float64) time.Duration {
	if b == nil {
		return 0
	}
	if passed := now.Sub(b.at).Seconds(); passed > 0 {
		b.level = math.Min(b.capacity, b.level+passed*b.rate)
		b.at = now
	}
	if b.level >= cost {
		return 0
	}
	return time.Duration((cost - b.level) / b.rate * float64(time.Second))
}

func (b *bucket) take(cost float64) {
	if b != nil {
		b.level -= cost
	}
}

type throttle struct {
	mu                sync.Mutex
	on                bool
	app, whole, units *bucket
}

func (t *throttle) set(l Limits, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.app, t.whole, t.units = newBucket(l.AppWrites, l.AppWritesSeconds, now), newBucket(l.TenantWrites, l.TenantSeconds, now), newBucket(l.Units, l.UnitsSeconds, now)
	t.on = t.app != nil || t.whole != nil || t.units != nil
}

// admit charges a call, or answers 429. units is what the call costs, as the x-ms-resource-unit header says.
func (t *throttle) admit(now time.Time, c *call, r *route, app, tenantID string) (denied *reply, units string) {
	cost := resourceUnits(c, r)
	if cost == 0 {
		return nil, ""
	}
	units = strconv.Itoa(cost)
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.on || c.ghost {
		return nil, units
	}
	written := 0.0
	if r.write {
		written = 1
	}
	checks := []struct {
		b           *bucket
		cost        float64
		scope, info string
	}{{t.app, written, "Tenant_Application", "WriteLimitExceeded"}, {t.whole, written, "Tenant", "WriteLimitExceeded"},
		{t.units, float64(cost), "Tenant_Application", "ResourceUnitLimitExceeded"}}
	for _, k := range checks {
		if delay := k.b.peek(now, k.cost); delay > 0 {
			return &reply{status: http.StatusTooManyRequests, body: tooMany(), header: map[string]string{
				"Retry-After":                    strconv.Itoa(int(math.Ceil(delay.Seconds()))),
				"x-ms-throttle-scope":            fmt.Sprintf("%s/%s/%s/%s", k.scope, k.info, app, tenantID),
				"x-ms-throttle-information":      k.info,
				"x-ms-throttle-limit-percentage": "1.0"}}, units
		}
	}
	for _, k := range checks {
		k.b.take(k.cost)
	}
	return nil, units
}

// resourceUnits applies the documented modifiers: $select −1, $expand +1, $top under 20 −1, never below 1.
func resourceUnits(c *call, r *route) int {
	if r.units == 0 {
		return 0
	}
	units := r.units
	if c.option("select") != "" {
		units--
	}
	if c.option("expand") != "" {
		units++
	}
	if n, err := strconv.Atoi(c.option("top")); err == nil && n < 20 {
		units--
	}
	return max(1, units)
}
