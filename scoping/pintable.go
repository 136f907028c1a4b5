package scoping

import "encoding/binary"

// pinTable finds the node of a container by objectGUID. It is an open-addressing table rather than a map so that a look-up
// among many pins touches one cache line: with 100,000 pins the misses are what a look-up costs.
type pinTable struct {
	slots []pinSlot // a power of two of them, at most half full
	shift uint8
}

type pinSlot struct {
	guid    GUID // zero: free, since the zero GUID names nothing
	node    int32
	layered bool // choices decide at the node: whoever asks looks there only then
}

func newPinTable(count int) pinTable {
	t := pinTable{shift: 63}
	for 1<<(64-t.shift) < 2*count {
		t.shift--
	}
	t.slots = make([]pinSlot, 1<<(64-t.shift))
	return t
}

// slot is where the search for g begins: multiplicative hashing, since parts of a GUID may be a clock or a counter.
func (t *pinTable) slot(g *GUID) int {
	h := binary.LittleEndian.Uint64(g[:]) ^ binary.LittleEndian.Uint64(g[8:])*0xff51afd7ed558ccd
	return int(h * 0x9e3779b97f4a7c15 >> t.shift)
}

func (t *pinTable) put(g GUID, node int32, layered bool) {
	i := t.slot(&g)
	for !t.slots[i].guid.IsZero() && t.slots[i].guid != g {
		i = (i + 1) & (len(t.slots) - 1)
	}
	t.slots[i] = pinSlot{g, node, layered}
}

// find gives the slot of g, nil if it has none.
func (t *pinTable) find(g GUID) *pinSlot {
	if g.IsZero() {
		return nil
	}
	for i := t.slot(&g); ; i = (i + 1) & (len(t.slots) - 1) {
		s := &t.slots[i]
		if s.guid == g {
			return s
		}
		if s.guid.IsZero() {
			return nil
		}
	}
}
