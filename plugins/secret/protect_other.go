//go:build !linux

package secret

// Protect does nothing on this operating system: what it keeps of processes that crash is its administrator's to settle.
func Protect() error { return nil }
