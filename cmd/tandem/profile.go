package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"runtime/pprof"
	"time"
)

// profileVariable names the folder that gets the profiles of this process, for people who look for time or memory.
const profileVariable = "TANDEM_PROFILE"

// peakGlance is how often the live heap is looked at.
const peakGlance = 20 * time.Millisecond

// watchPeak writes a heap profile whenever what is live outgrew the one before by a twentieth, until over is closed: what is left is of the peak.
func watchPeak(path string, over <-chan struct{}) {
	tick := time.NewTicker(peakGlance)
	defer tick.Stop()
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	for most := uint64(0); ; {
		select {
		case <-over:
			return
		case <-tick.C:
		}
		metrics.Read(live)
		if now := live[0].Value.Uint64(); now > most+most/20 {
			most = now
			if heap, err := os.Create(path); err == nil {
				_ = pprof.WriteHeapProfile(heap)
				_ = heap.Close() // nothing is lost but the profile
			}
		}
	}
}

// profile begins to watch where this process spends its time and where it waits, if somebody asked for it; end writes that down, with what memory holds then and what was
// allocated. Trouble with it is told and changes nothing else.
func profile() (end func()) {
	dir := os.Getenv(profileVariable)
	if dir == "" {
		return func() {}
	}
	name := func(kind string) string { return filepath.Join(dir, fmt.Sprintf("%d.%s.pprof", os.Getpid(), kind)) }
	cpu, err := os.Create(name("cpu"))
	if err == nil {
		err = pprof.StartCPUProfile(cpu)
	}
	if err != nil {
		complain("warning: no profile is written: "+err.Error(), "")
		return func() {}
	}
	runtime.SetBlockProfileRate(int(100 * time.Microsecond))
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		watchPeak(name("peak"), over)
	}()
	return func() {
		close(over)
		<-ended
		pprof.StopCPUProfile()
		_ = cpu.Close() // nothing is lost but the profile
		if block, err := os.Create(name("block")); err == nil {
			_ = pprof.Lookup("block").WriteTo(block, 0)
			_ = block.Close()
		}
		heap, err := os.Create(name("heap"))
		if err != nil {
			complain("warning: no heap profile is written: "+err.Error(), "")
			return
		}
		runtime.GC()
		_ = pprof.WriteHeapProfile(heap)
		_ = heap.Close()
	}
}
