package main

import "testing"

// A process that keeps little lets much garbage pile up, one that keeps much little; what both take together grows with what is kept.
func TestWhoKeepsMuchCollectsOften(t *testing.T) {
	for _, g := range []garbage{holder, oneEngine, wholeLab} {
		before := uint64(0)
		for live := uint64(0); live < 4<<30; live += 1 << 20 {
			p := g.percent(live)
			whole := live + live*uint64(p)/100
			if p < g.least || p > g.most || whole+live/100+1 < before || live > uint64(g.room) && p != g.least {
				t.Fatalf("%d MiB kept: %d %%, %d MiB in all", live>>20, p, whole>>20)
			}
			before = whole
		}
	}
}
