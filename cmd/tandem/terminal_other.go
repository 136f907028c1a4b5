//go:build !linux

package main

import (
	"errors"
	"os"
)

// hideInput cannot be done here in a way that was tried.
func hideInput(*os.File) (func(), error) {
	return nil, errors.New("not possible on this operating system")
}

// terminal says whether a file is one.
func terminal(f *os.File) bool {
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}

// columns and lines are not known on this system.
func columns() int { return 0 }
func lines() int   { return 0 }
