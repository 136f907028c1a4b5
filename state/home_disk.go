package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// diskHome is a state folder.
type diskHome struct {
	dir      string
	lock     *dirLock
	readOnly bool
}

const (
	indexSuffix = ".idx"
	dirtySuffix = ".unsynced"
)

func (h *diskHome) indexPath(name, suffix string) string {
	return filepath.Join(h.dir, indexDir, name+suffix)
}

func (h *diskHome) openIndex(name, format string, version uint32) (kv, bool, error) {
	path := h.indexPath(name, indexSuffix)
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) && !h.readOnly {
		err = h.createIndex(name, path, format, version)
	}
	if err != nil {
		return nil, false, err
	}
	dirty, err := unsynced(h.indexPath(name, dirtySuffix))
	if err != nil {
		return nil, false, err
	}
	k, err := openBolt(path, !h.readOnly, h.readOnly)
	if err != nil {
		return nil, false, err
	}
	if err = k.sealed(); err == nil {
		err = k.view(context.Background(), func(tx Tx) error { return checkFormat(tx, path, format, version) })
	}
	if err == nil && !h.readOnly { // decisions are made by an index only if it is as it was written; others are read bit by bit
		err = k.checkSums()
	}
	if err != nil {
		return nil, false, errors.Join(err, k.close())
	}
	return k, dirty, nil
}

func (h *diskHome) createIndex(name, path, format string, version uint32) error {
	if err := makeDir(filepath.Dir(path)); err != nil {
		return err
	}
	if err := h.markClean(name); err != nil {
		return err
	}
	return createBolt(path, format, version)
}

// unsynced reads an index's mark. The file may be used if the machine was not restarted since it was written: then the operating system still has
// what it was given.
func unsynced(mark string) (bool, error) {
	b, err := os.ReadFile(mark)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if boot := bootID(); boot == "" || string(b) != boot {
		return true, &DamageError{File: mark, Why: "the machine went down before the index was synced"}
	}
	return true, nil
}

func (h *diskHome) markDirty(name string) error {
	f, err := os.Create(h.indexPath(name, dirtySuffix))
	if err != nil {
		return err
	}
	_, err = f.WriteString(bootID())
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Join(h.dir, indexDir))
}

func (h *diskHome) markClean(name string) error {
	return h.removeFile(h.indexPath(name, dirtySuffix))
}

func (h *diskHome) removeFile(path string) error {
	err := os.Remove(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// removeIndex removes the file before its mark: in the other order a crash in between would leave a bad file that looks good.
func (h *diskHome) removeIndex(name string) error {
	if err := h.removeFile(h.indexPath(name, indexSuffix)); err != nil {
		return err
	}
	return h.markClean(name)
}

func (h *diskHome) close() error {
	if err := h.lock.release(); err != nil {
		return fmt.Errorf("release state folder: %w", err)
	}
	return nil
}
