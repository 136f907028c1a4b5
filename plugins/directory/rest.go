package directory

import (
	"errors"
	"fmt"
	"sync"
	"time"
)

// Rest keeps an account from being locked: after a sign-in that was refused ([ErrCredentials]) none is tried for a while. The zero value rests after none. It is safe for
// concurrent use.
type Rest struct {
	mu      sync.Mutex
	refused error // the last sign-in
	until   time.Time
}

// SignIn calls dial, or returns the error of the sign-in that was refused less than pause ago.
func (r *Rest) SignIn(now func() time.Time, pause time.Duration, dial func() error) error {
	r.mu.Lock()
	refused, until := r.refused, r.until
	r.mu.Unlock()
	if refused != nil && now().Before(until) {
		return fmt.Errorf("%w (not tried again before %s, lest the account be locked)", refused, until.UTC().Format(time.RFC3339))
	}
	err := dial()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.refused = nil
	if errors.Is(err, ErrCredentials) {
		r.refused, r.until = err, now().Add(pause)
	}
	return err
}
