//go:build linux

package drsr_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tandem-sync/tandem/plugins/directory/drsr"
	"github.com/tandem-sync/tandem/scoping"
)

// processorTime is that of this process and of the domain controller, which is what to compare on a busy machine.
func (w *world) processorTime() (own, controller time.Duration) {
	w.Helper()
	var r syscall.Rusage
	w.ok(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	home, err := os.Stat(w.dc.Dir())
	w.ok(err)
	places, err := filepath.Glob("/proc/[0-9]*/cwd")
	w.ok(err)
	const tick = 10 * time.Millisecond // USER_HZ is 100 on every architecture that Go runs on
	for _, p := range places {
		at, err := os.Stat(p)
		if err != nil || !os.SameFile(at, home) {
			continue
		}
		stat, err := os.ReadFile(filepath.Dir(p) + "/stat")
		if err != nil {
			continue // it has ended
		}
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, f := range fields[11:13] { // utime and stime
			n, err := strconv.Atoi(f)
			w.ok(err)
			controller += time.Duration(n) * tick
		}
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano()), controller
}

// figures reports hashes a second, and the processor time of one.
func (w *world) figures(b *testing.B, hashes int, read func()) {
	own, controller := w.processorTime()
	for b.Loop() {
		read()
	}
	after, afterController := w.processorTime()
	all := float64(hashes) * float64(b.N)
	b.ReportMetric(all/b.Elapsed().Seconds(), "hashes/s")
	b.ReportMetric(float64((after-own).Microseconds())/all, "µs-here/hash")
	b.ReportMetric(float64((afterController-controller).Microseconds())/all, "µs-controller/hash")
}

// The aim is 4,000 hashes a second from Samba on two processors that do nothing else.
func BenchmarkEveryone(b *testing.B) {
	w, there := onSamba(b)
	if !there {
		return
	}
	const users = 1000
	wanted := map[scoping.GUID]bool{}
	for i := range users {
		_, g := w.user(fmt.Sprintf("B%d", i), "Some-Passw0rd!")
		wanted[g] = true
	}
	s := w.session(w.config())
	depth := func(g scoping.GUID) drsr.Depth {
		if wanted[g] {
			return drsr.WithHash
		}
		return drsr.Nothing
	}
	w.figures(b, users, func() {
		_, err := s.Everyone(b.Context(), depth, func(u drsr.User) error { u.Hash.Wipe(); return nil })
		w.ok(err)
	})
}

func BenchmarkSingle(b *testing.B) {
	w, there := onSamba(b)
	if !there {
		return
	}
	_, g := w.user("Ann", "Some-Passw0rd!")
	s := w.session(w.config())
	w.figures(b, 1, func() { w.one(s, g).Hash.Wipe() })
}
