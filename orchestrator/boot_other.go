//go:build !linux

package orchestrator

import "time"

// sinceBoot says nothing: the time since the process began has to do.
func sinceBoot() (string, time.Duration) { return "", 0 }
