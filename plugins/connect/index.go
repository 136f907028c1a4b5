package connect

import (
	"context"
	"errors"

	"github.com/tandem-sync/tandem/state"
)

// The format of the index file; another one is thrown away and read anew from the directories.
const (
	indexName    = "connector-spaces"
	indexFormat  = "tandem-connect-spaces"
	indexVersion = 1
)

// indexFile is the Store on disk: one index in a state folder of the engine's own.
type indexFile struct {
	*state.Index
	home *state.Store
}

// openIndex opens the connector spaces in a folder. Unusable ones are removed: the next run reads everything again.
func openIndex(_ context.Context, path string) (Store, error) {
	home, err := state.Open(path, state.Options{Reserve: -1})
	if err != nil {
		return nil, err
	}
	x, err := OpenSpaces(home)
	if err != nil {
		return nil, errors.Join(err, home.Close())
	}
	return &indexFile{Index: x, home: home}, nil
}

// OpenSpaces opens the connector spaces of a state folder, removing unusable ones.
func OpenSpaces(home *state.Store) (*state.Index, error) {
	x, err := home.Index(indexName, indexFormat, indexVersion)
	if errors.Is(err, state.ErrIndexUnusable) {
		if err := home.RemoveIndex(indexName); err != nil {
			return nil, err
		}
		x, err = home.Index(indexName, indexFormat, indexVersion)
	}
	return x, err
}

// Close closes the index and its folder.
func (f *indexFile) Close() error { return errors.Join(f.Index.Close(), f.home.Close()) }
