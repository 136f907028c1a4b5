package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"time"
)

// What a service tells systemd (sd_notify(3)).
const (
	Ready     = "READY=1"
	Reloading = "RELOADING=1" // until the next Ready
	Stopping  = "STOPPING=1"
	alive     = "WATCHDOG=1"
)

// Notify tells systemd something about this service; where none listens it does nothing. Several assignments stand on lines of their own.
func Notify(text string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	c, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"}) // a name that begins with @ is an abstract one here, too
	if err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	_, err = c.Write([]byte(text))
	if err = errors.Join(err, c.Close()); err != nil {
		return fmt.Errorf("tell systemd: %w", err)
	}
	return nil
}

// Status is what systemctl status shows of the service beside its state.
func Status(text string) string { return "STATUS=" + text }

// watchdog returns how often systemd wants to hear that this process lives; 0: it does not.
func watchdog() time.Duration {
	us, err := strconv.ParseInt(os.Getenv("WATCHDOG_USEC"), 10, 64)
	if pid := os.Getenv("WATCHDOG_PID"); err != nil || us <= 0 || pid != "" && pid != strconv.Itoa(os.Getpid()) {
		return 0
	}
	return time.Duration(us) * time.Microsecond
}

// Watch tells systemd that this process lives, as often as it wants to hear it, until ctx ends. lives is asked before; as long as it returns an error nothing is told,
// and systemd starts the service anew when that lasts. after is the clock; nil: time.After.
func Watch(ctx context.Context, lives func(context.Context) error, after func(time.Duration) <-chan time.Time) {
	every := watchdog()
	if every == 0 {
		return
	}
	if after == nil {
		after = time.After
	}
	for {
		asked, cancel := context.WithTimeout(ctx, every/2)
		if lives(asked) == nil {
			_ = Notify(alive) // a systemd that does not listen hears nothing
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-after(every / 3):
		}
	}
}
