package orchestrator

import (
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// bootID returns the id of the machine's present boot (proc(5)); empty: it cannot be read. It is read once, since each decision asks for the time and no process outlives a boot.
var bootID = sync.OnceValue(func() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
})

// sinceBoot returns the id of the machine's present boot and the time since then, including time asleep (clock_gettime(2)). An empty id means that neither is known.
func sinceBoot() (string, time.Duration) {
	var ts unix.Timespec
	if bootID() == "" || unix.ClockGettime(unix.CLOCK_BOOTTIME, &ts) != nil {
		return "", 0
	}
	return bootID(), time.Duration(ts.Nano())
}
