package main

import "testing"

// A holder of little lets much garbage pile up, one of much little; what both take together grows with what is kept.
func TestHoldersOfMuchCollectOften(t *testing.T) {
	before := uint64(0)
	for live := uint64(0); live < 4<<30; live += 1 << 20 {
		p := holderPercent(live)
		whole := live + live*uint64(p)/100
		if p < holderGC || p > holderMost || whole+live/100+1 < before || live > holderRoom && p != holderGC {
			t.Fatalf("%d MiB kept: %d %%, %d MiB in all", live>>20, p, whole>>20)
		}
		before = whole
	}
}
