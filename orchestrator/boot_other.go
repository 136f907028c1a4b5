//go:build !linux

package orchestrator

import "time"

// sinceBoot returns nothing on this system: the host uses the time since the process began.
func sinceBoot() (string, time.Duration) { return "", 0 }
