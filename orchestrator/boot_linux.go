package orchestrator

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bootID names the machine's last start (proc(5)). It is read once: no process outlives it, and each decision asks for the time.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// sinceBoot names the machine's last start, and says how long ago it was, time asleep included (clock_gettime(2)).
func sinceBoot() (string, time.Duration) {
	var ts unix.Timespec
	if bootID() == "" || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return "", 0
	}
	return bootID(), time.Duration(ts.Nano())
}
