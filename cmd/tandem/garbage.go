package main

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// How much garbage piles up before it is collected, in percent of what a process keeps. A process that holds a state keeps a little of every object of the directory: with
// Go's 100 the machine would need twice that, and with this it stays well below 6 kB an object (bench B4). One that keeps little lets more pile up: collecting would take a third of its time. The demo keeps little, and works on few objects.
const (
	holderGC   = 50
	demoGC     = 200
	holderMost = 400
	holderRoom = 256 << 20 // bytes that a holder may take whatever it keeps
)

// collect sets that for a command, unless the environment does; a lab, which keeps a whole directory and tenant, stays with Go's.
func collect(command string) {
	switch {
	case os.Getenv("GOGC") != "", command == "lab", command == "bench":
	case command == "demo":
		debug.SetGCPercent(demoGC)
	default:
		tune(&tuning{})
	}
}

// holderPercent is how much garbage may pile up in a process that keeps so many bytes.
func holderPercent(live uint64) int {
	if live == 0 {
		return holderMost
	}
	return max(holderGC, min(holderMost, int(int64(holderRoom)-int64(live))*100/int(live)))
}

// tuning is garbage itself: each collection finds it.
type tuning struct{ percent int }

// tune sets the percentage by what the last collection left, and does so again after the next one.
func tune(t *tuning) {
	s := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(s)
	if p := holderPercent(s[0].Value.Uint64()); p < t.percent*9/10 || p > t.percent*11/10 {
		t.percent = p
		debug.SetGCPercent(p)
	}
	runtime.SetFinalizer(t, tune)
}
