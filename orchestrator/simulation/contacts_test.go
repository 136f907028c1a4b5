package simulation_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/tandem-sync/tandem/orchestrator/simulation"
)

// TestInvariantsHoldWithContacts lets seeds have contacts beside users and groups: what is true of those is true of them, although no bin keeps a deleted one.
func TestInvariantsHoldWithContacts(t *testing.T) {
	var mu sync.Mutex
	gone := 0
	t.Run("seeds", func(t *testing.T) {
		const shares = 4
		for share := range shares {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				for i := share; i < max(20, *seeds/5); i += shares {
					r, err := simulation.Simulate(*from+uint64(i), simulation.Options{Eyes: []simulation.Eye{simulation.Contacts}})
					var v *simulation.Violation
					if errors.As(err, &v) {
						t.Errorf("seed %d: %s", v.Seed, v.What)
					} else if err != nil {
						t.Error(err)
					}
					mu.Lock()
					gone += r.Counts["eye: "+string(simulation.Contacts)]
					mu.Unlock()
				}
			})
		}
	})
	if gone < 20 {
		t.Errorf("%d contacts were deleted", gone)
	}
	t.Logf("%d contacts were deleted", gone)
}
