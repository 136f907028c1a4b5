package orchestrator_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/engine"
)

// peak gives the peak resident memory of this process and of its engines, in MiB. This process holds the lab's tenant too.
func peak(t *testing.T) (host, engines int) {
	t.Helper()
	for _, pid := range append(children(os.Getpid(), "plugin"), os.Getpid()) {
		b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "status"))
		if err != nil {
			t.Fatal(err)
		}
		_, rest, _ := strings.Cut(string(b), "VmHWM:")
		kib, _ := strconv.Atoi(strings.Fields(rest)[0])
		if pid == os.Getpid() {
			host = kib / 1024
		} else {
			engines += kib / 1024
		}
	}
	return host, engines
}

// TestFigures measures a full sync of as many users of a real directory as -people says, and a wave over a part of them. It prints, and asserts no time.
func TestFigures(t *testing.T) {
	if *people == 0 {
		t.Skip("it measures, and promises nothing: -people 2000 runs it")
	}
	sites(t, func(t *testing.T, s site) {
		began := time.Now()
		w := newWorld(t, s, *people)
		w.importPolicy()
		seeded := time.Since(began)
		began = time.Now()
		r := w.sync("connect", engine.ProfileFull)
		took := time.Since(began)
		_, c := w.graph.Requests()
		began = time.Now()
		w.sync("connect", engine.ProfileFull)
		again := time.Since(began)
		w.graph.ResetCounters()
		began = time.Now()
		wave := w.migrate("OU=Sales,"+s.base, "cloudsync")
		moved := time.Since(began)
		_, m := w.graph.Requests()
		began = time.Now()
		w.sync("cloudsync", engine.ProfileDelta)
		delta := time.Since(began)
		host, engines := peak(t)
		n := 0
		for _, k := range wave.Objects {
			n += k
		}
		fmt.Printf("figures (%s): seeded in %.1fs; full sync of %d objects %.2fs = %.0f objects/s, %d Graph requests with %d writes; again without a write %.2fs; "+
			"wave over %d objects %.2fs, freeze %d ms, %d Graph writes; delta without a change %.0f ms; peak memory %d MiB (host, with the lab's tenant and directory in it) + %d MiB (engines)\n",
			s.name, seeded.Seconds(), r.Applied, took.Seconds(), float64(r.Applied)/took.Seconds(), c.Requests, c.Writes, again.Seconds(), n, moved.Seconds(), wave.FreezeMillis, m.Writes,
			float64(delta.Milliseconds()), host, engines)
	})
}
