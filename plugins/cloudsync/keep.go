package cloudsync

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// keptFiles are what a backup of the state holds of this engine: the agents' certificate authority, the service's key that agents pin, and who is
// enrolled. All else is read again from the directories.
var keptFiles = []string{"authority.key", "server.key", "agents.json"}

const keptVersion = 1

// saved is the answer of verb "save" and the argument of verb "load". It holds private keys.
type saved struct {
	Version int               `json:"version"`
	Files   map[string][]byte `json:"files"`
}

// save answers what a backup has to hold so that agents need not enrol again.
func (s *service) save(ctx context.Context, out chan<- []byte) error {
	k := saved{Version: keptVersion, Files: map[string][]byte{}}
	for _, name := range keptFiles {
		b, err := os.ReadFile(filepath.Join(s.config.DataDir, name)) // each is replaced as a whole
		if errors.Is(err, fs.ErrNotExist) {
			continue // nobody is enrolled
		}
		if err != nil {
			return fmt.Errorf("read what is kept of the agents: %w", err)
		}
		k.Files[name] = b
	}
	return send(ctx, out, k)
}

// load puts back what save answered, instead of what the engine has made meanwhile, and begins anew with it. It waits for a run to end.
func (e *Engine) load(ctx context.Context, args []byte, out chan<- []byte) error {
	var k saved
	if err := arguments(args, &k); err != nil {
		return err
	}
	if err := k.mistake(); err != nil {
		return err
	}
	if err := e.acquire(ctx); err != nil {
		return err
	}
	defer e.release()
	before := e.current()
	if before == nil {
		return errUnconfigured
	}
	e.install(nil, engine.Config{})
	if err := before.close(); err != nil {
		return err
	}
	for _, name := range keptFiles {
		if b, has := k.Files[name]; has {
			if err := replaceFile(filepath.Join(before.config.DataDir, name), b); err != nil {
				return errors.Join(fmt.Errorf("write what was kept of the agents: %w", err), e.restore(ctx, before))
			}
		}
	}
	if err := e.restore(ctx, before); err != nil {
		return err
	}
	return send(ctx, out, map[string]int{"files": len(k.Files)})
}

// mistake says what makes a saved state unusable, before anything is replaced by it.
func (k saved) mistake() error {
	if k.Version != keptVersion {
		return fmt.Errorf("what was kept of the agents has format %d, this program knows %d", k.Version, keptVersion)
	}
	for name, b := range k.Files {
		switch {
		case !slices.Contains(keptFiles, name):
			return fmt.Errorf("what was kept of the agents holds %q, which is none of %v", name, keptFiles)
		case filepath.Ext(name) == ".key":
			if block, _ := pem.Decode(b); block == nil {
				return fmt.Errorf("what was kept of the agents: %s holds no PEM key", name)
			}
		case !json.Valid(b):
			return fmt.Errorf("what was kept of the agents: %s is damaged", name)
		}
	}
	return nil
}
