//go:build !linux

package state

import "os"

func syncData(f *os.File) error { return f.Sync() }

func allocate(f *os.File, size int64) error { return fill(f, size) }

// bootID is unknown here, so an index that was not synced is never used after its process ended.
func bootID() string { return "" }
