package state_test

import (
	"testing"

	"github.com/tandem-sync/tandem/state"
	"github.com/tandem-sync/tandem/state/statetest"
)

// diskAt is a state folder as statetest wants it.
type diskAt struct {
	dir string
	o   state.Options
}

func (d diskAt) Open() (*state.Store, error) { return state.Open(d.dir, d.o) }

func TestConformance(t *testing.T) {
	backends := map[string]func(*testing.T, state.Options) statetest.Disk{
		"disk":   func(t *testing.T, o state.Options) statetest.Disk { return diskAt{t.TempDir(), o} },
		"memory": func(_ *testing.T, o state.Options) statetest.Disk { return state.Memory(o) },
	}
	for name, disk := range backends {
		t.Run(name, func(t *testing.T) { statetest.Run(t, disk) })
	}
}
