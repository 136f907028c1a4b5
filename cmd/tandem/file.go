package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// makeFile makes a file of what fill writes, readable for this user alone. Until that is whole and on the disk, the file is not there, or is what it was before.
func makeFile(name string, fill func(io.Writer) error) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	err = fill(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	err = errors.Join(err, tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), name)
	}
	if err != nil {
		_ = os.Remove(tmp.Name()) // the first error says more
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return nil
}

func writeFile(name string, b []byte) error {
	return makeFile(name, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}
