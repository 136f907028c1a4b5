package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// demoGC is how much garbage piles up in the demo before it is collected, in percent of what it keeps: it keeps little, and works on few objects.
const demoGC = 200

// garbage is how much of it may pile up in a process before it is collected.
type garbage struct {
	least, most int // percent of what the process keeps
	room        int // bytes that the process may take whatever it keeps
}

// A process that keeps little lets much pile up: collecting would take a third of its time. One that holds a state keeps a little of every object of the directory: with Go's 100 the machine
// would need twice that, and with this it stays well below 6 kB an object (bench B4). An engine keeps its objects on disk.
var (
	holder    = garbage{least: 50, most: 400, room: 256 << 20}
	oneEngine = garbage{least: 100, most: 400, room: 256 << 20}
	wholeLab  = garbage{least: 100, most: 300, room: 512 << 20} // a whole directory and tenant
)

// collect sets that for a command, unless the environment does.
func collect(command string) {
	switch command {
	case "bench":
	case "demo":
		if os.Getenv("GOGC") == "" {
			debug.SetGCPercent(demoGC)
		}
	case "lab":
		wholeLab.collect()
	default:
		holder.collect()
	}
}

// collect sets it for this process, unless the environment does.
func (g garbage) collect() {
	if os.Getenv("GOGC") == "" {
		tune(&tuning{of: g})
	}
}

// percent is how much garbage may pile up in a process that keeps so many bytes.
func (g garbage) percent(live uint64) int {
	if live == 0 {
		return g.most
	}
	return max(g.least, min(g.most, (g.room-int(live))*100/int(live)))
}

// tuning is garbage itself: each collection finds it.
type tuning struct {
	of      garbage
	percent int
}

// tune sets the percentage by what the last collection left, and does so again after the next one.
func tune(t *tuning) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if p := t.of.percent(s[0].Value.Uint64()); p < t.percent*9/10 || p > t.percent*11/10 {
		t.percent = p
		debug.SetGCPercent(p)
	}
	runtime.SetFinalizer(t, tune)
}
