package service_test

import (
	"context"
	"errors"
	"net"
	"path/filepath"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/cmd/service"
)

// listening is a systemd that listens.
func listening(t *testing.T) *net.UnixConn {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return c
}

func heard(t *testing.T, c *net.UnixConn) string {
	t.Helper()
	b := make([]byte, 256)
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	n, err := c.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}

func TestSystemdIsTold(t *testing.T) {
	c := listening(t)
	if err := service.Notify(service.Ready + "\n" + service.Status("serving")); err != nil {
		t.Fatal(err)
	}
	if got := heard(t, c); got != "READY=1\nSTATUS=serving" {
		t.Errorf("systemd heard %q", got)
	}
}

func TestWithoutSystemdNobodyIsTold(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := service.Notify(service.Ready); err != nil {
		t.Error(err)
	}
	t.Setenv("WATCHDOG_USEC", "")
	service.Watch(t.Context(), func(context.Context) error { panic("nobody wants to know") }, nil) // returns
}

// Systemd hears that the service lives as long as it does, and nothing while it does not.
func TestTheWatchdogIsFedByWhatLives(t *testing.T) {
	c := listening(t)
	t.Setenv("WATCHDOG_USEC", "3000000")
	t.Setenv("WATCHDOG_PID", "")
	ctx, stop := context.WithCancel(t.Context())
	ticks, ended := make(chan time.Time), make(chan struct{})
	answers := make(chan error)
	go func() {
		defer close(ended)
		service.Watch(ctx, func(context.Context) error { return <-answers }, func(d time.Duration) <-chan time.Time {
			if d != time.Second {
				t.Errorf("asked every %s", d)
			}
			return ticks
		})
	}()
	answers <- errors.New("it stands still")
	ticks <- time.Time{}
	answers <- nil
	if got := heard(t, c); got != "WATCHDOG=1" {
		t.Errorf("systemd heard %q", got)
	}
	stop()
	<-ended // and nothing more was told
	if err := c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 16)); err == nil {
		t.Errorf("systemd heard %d bytes more", n)
	}
}
