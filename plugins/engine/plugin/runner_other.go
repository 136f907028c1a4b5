//go:build !linux

package plugin

import "os/exec"

// bindToHost does nothing here: the engine notices the host's end by its standard input.
func bindToHost(*exec.Cmd) {}

// awaitExit returns when the process has ended and was reaped; ending it again is harmless then.
func awaitExit(cmd *exec.Cmd) { _ = cmd.Wait() }

// killGroup ends the process; what it started ends with its own standard input.
func killGroup(cmd *exec.Cmd) { _ = cmd.Process.Kill() }
