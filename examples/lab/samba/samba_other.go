//go:build !linux

// Package samba runs a Samba Active Directory domain controller. That needs Linux: elsewhere [Start] refuses.
package samba

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"runtime"
)

// ErrUnavailable is the kind of the error by which [Available] and [Start] say that this machine cannot run Samba.
var ErrUnavailable = errors.New("samba cannot run here")

// Options say what domain to run; see the Linux build.
type Options struct {
	Dir, Domain, AdminPassword, Cache string
	Global                            []string
	Log                               io.Writer
}

// DC is a running domain controller; there is none on this operating system.
type DC struct{}

// Available returns an [ErrUnavailable].
func Available() error {
	return fmt.Errorf("%w: it needs Linux, this is %s", ErrUnavailable, runtime.GOOS)
}

// Start returns an [ErrUnavailable].
func Start(context.Context, Options) (*DC, error) { return nil, Available() }

// Stop does nothing.
func (*DC) Stop() error { return nil }

// Done returns nil: there is nothing to end.
func (*DC) Done() <-chan struct{} { return nil }

// URL is empty, like everything that describes the domain controller that cannot be.
func (*DC) URL() string { return "" }

// PlainURL is empty.
func (*DC) PlainURL() string { return "" }

// Dial fails.
func (*DC) Dial(int) (net.Conn, error) { return nil, Available() }

// ReplicationPort is 0.
func (*DC) ReplicationPort() int { return 0 }

// CAFile is empty.
func (*DC) CAFile() string { return "" }

// CAPEM is empty.
func (*DC) CAPEM() []byte { return nil }

// Base is empty.
func (*DC) Base() string { return "" }

// Domain is empty.
func (*DC) Domain() string { return "" }

// AdminUser is empty.
func (*DC) AdminUser() string { return "" }

// AdminPassword is empty.
func (*DC) AdminPassword() string { return "" }

// ReadOnlyUser is empty.
func (*DC) ReadOnlyUser() string { return "" }

// ReadOnlyPassword is empty.
func (*DC) ReadOnlyPassword() string { return "" }
