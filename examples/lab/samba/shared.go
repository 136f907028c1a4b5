package samba

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"
)

// Shared is a domain controller that the tests of a package share. It starts when the first of them asks for it: pure tests and the workers of fuzzing need none. The zero
// value was not asked for.
type Shared struct {
	once sync.Once
	dc   *DC // nil: it does not run
	err  error
}

// DC returns the domain controller, and starts it for the first who asks.
func (s *Shared) DC() (*DC, error) {
	s.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
		defer cancel()
		if s.dc, s.err = Start(ctx, Options{}); s.err != nil {
			s.dc, s.err = nil, fmt.Errorf("%w (TANDEM_NO_SAMBA=1 leaves Samba out)", s.err)
		}
	})
	return s.dc, s.err
}

// Around runs tests, stops the domain controller if it runs, and returns the exit code for the process.
func (s *Shared) Around(tests interface{ Run() int }) (code int) {
	code = tests.Run()
	if s.dc == nil {
		return code
	}
	if err := s.dc.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}
