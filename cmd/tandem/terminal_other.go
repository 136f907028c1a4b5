//go:build !linux

package main

import "os"

// terminal says whether a file is one.
func terminal(f *os.File) bool {
	i, err := f.Stat()
	return err == nil && i.Mode()&os.ModeCharDevice != 0
}
