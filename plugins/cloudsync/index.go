package cloudsync

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/state"
)

// The format of the index file; another one is thrown away, and the directories are read anew.
const (
	indexName    = "directories"
	indexFormat  = "tandem-cloudsync-directories"
	indexVersion = 2 // 1 had no contacts
)

// indexFile is the Store on disk: one index in a state folder of the engine's own.
type indexFile struct {
	*state.Index
	home *state.Store
}

// openIndex opens the index in a folder. An unusable one is removed: the next run reads everything again, and proposes it.
func openIndex(_ context.Context, path string) (Store, error) {
	home, err := state.Open(path, state.Options{Reserve: -1})
	if err != nil {
		return nil, err
	}
	x, err := home.Index(indexName, indexFormat, indexVersion)
	if errors.Is(err, state.ErrIndexUnusable) {
		if err = home.RemoveIndex(indexName); err == nil {
			x, err = home.Index(indexName, indexFormat, indexVersion)
		}
	}
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	return &indexFile{Index: x, home: home}, nil
}

// Close closes the index and its folder.
func (f *indexFile) Close() error { return errors.Join(f.Index.Close(), f.home.Close()) }
