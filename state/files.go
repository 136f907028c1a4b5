package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// files is the folder that a log writes to: the disk's, or a Memory's, which loses what was not synced.
type files interface {
	list() ([]string, error) // sorted
	open(name string) (file, error)
	create(name string) (file, error) // refuses an existing name
	remove(name string) error
	syncDir() error
	path(name string) string // for messages
	alive() error            // ErrCrashed after a simulated crash
}

// file is one file of a folder.
type file interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	Sync() error
	Truncate(size int64) error
	size() (int64, error)
}

// diskFiles is a folder of the file system.
type diskFiles struct {
	dir      string
	readOnly bool
}

func (d diskFiles) path(name string) string { return filepath.Join(d.dir, name) }

func (d diskFiles) alive() error { return nil }

func (d diskFiles) list() ([]string, error) {
	entries, err := os.ReadDir(d.dir)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	names := make([]string, 0, len(entries))
	for _, e := range entries {
		names = append(names, e.Name())
	}
	sort.Strings(names)
	return names, nil
}

func (d diskFiles) open(name string) (file, error) {
	flag := os.O_RDWR
	if d.readOnly {
		flag = os.O_RDONLY
	}
	f, err := os.OpenFile(d.path(name), flag, 0)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d diskFiles) create(name string) (file, error) {
	f, err := os.OpenFile(d.path(name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	return diskFile{f}, nil
}

func (d diskFiles) remove(name string) error { return os.Remove(d.path(name)) }

func (d diskFiles) syncDir() error { return syncDir(d.dir) }

// diskFile adds to os.File what the log needs.
type diskFile struct{ *os.File }

// Sync makes the content durable; on Linux without the file's times, which are not used.
func (f diskFile) Sync() error { return syncData(f.File) }

func (f diskFile) size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}

// makeDir makes a folder and makes its name durable.
func makeDir(dir string) error {
	if _, err := os.Stat(dir); err == nil {
		return nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make folder: %w", err)
	}
	return syncDir(filepath.Dir(dir))
}
