//go:build !windows

package agent

import (
	"bytes"
	"os"
)

// installedMachine is the machine-id of systemd, which D-Bus has too.
func installedMachine() string {
	for _, path := range []string{"/etc/machine-id", "/var/lib/dbus/machine-id"} {
		if b, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(b)) > 0 {
			return string(bytes.TrimSpace(b))
		}
	}
	return ""
}
