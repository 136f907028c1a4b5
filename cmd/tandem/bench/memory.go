package bench

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// memory is the most anonymous resident memory that was seen of a process and of those that it started, in MiB. Pages of files do not count: they are the
// operating system's cache.
type memory struct{ own, children int }

// glimpses is how often the memory of processes is looked at.
const glimpses = 50 * time.Millisecond

// watch looks at a process until done is closed. What it saw last of a process that ended between two looks is missing. Elsewhere than on Linux it sees nothing.
func watch(pid int, done <-chan struct{}) memory {
	var most memory
	tick := time.NewTicker(glimpses)
	defer tick.Stop()
	for {
		now := memory{own: anonymous(pid)}
		for _, c := range descendants(pid) {
			now.children += anonymous(c)
		}
		most = memory{max(most.own, now.own), max(most.children, now.children)}
		select {
		case <-done:
			return most
		case <-tick.C:
		}
	}
}

func anonymous(pid int) (mib int) {
	for line := range lines(fmt.Sprintf("/proc/%d/status", pid)) {
		var kib int
		if n, _ := fmt.Sscanf(line, "RssAnon: %d kB", &kib); n == 1 {
			return kib / 1024
		}
	}
	return 0
}

func descendants(pid int) (out []int) {
	tasks, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, path := range tasks {
		b, err := os.ReadFile(path)
		if err != nil {
			continue // the thread has ended
		}
		for _, f := range strings.Fields(string(b)) {
			if c, err := strconv.Atoi(f); err == nil {
				out = append(append(out, c), descendants(c)...)
			}
		}
	}
	return out
}
