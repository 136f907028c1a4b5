package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
)

// profileVariable names the folder that gets the profiles of this process, for people who look for time or memory.
const profileVariable = "TANDEM_PROFILE"

// profile begins to watch where this process spends its time, if somebody asked for it; end writes that down, with what memory holds then and what was
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
	return func() {
		pprof.StopCPUProfile()
		_ = cpu.Close() // nothing is lost but the profile
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
